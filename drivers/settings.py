"""How settings of the site file are written down as dataclasses; daemon/config reads them.

A settings class is a pydantic dataclass: ``@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)``.
Its fields are the keys of its table, and what it refuses is reported with file, line and key.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict

STRICT = ConfigDict(extra="forbid", strict=True, defer_build=True)

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d)")


def parse_duration(text: object) -> float:
    """Seconds from ``300ms``, ``10s``, ``5m``, ``24h``, ``30d``; ``0`` alone is allowed, in quotes or without."""
    if text in (0, "0") and text is not False:
        return 0.0
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError('expected a duration such as "300ms", "10s", "5m", "24h" or "30d"')
    return float(match[1]) * _UNITS[match[2]]


Duration = Annotated[float, BeforeValidator(parse_duration)]
"""Seconds, written as a duration string in the site file."""
