"""How settings of the site file are written down as dataclasses, and which word was probably meant. Pure.

A settings class is a pydantic dataclass: ``@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)``.
Its fields are the keys of its table, and what it refuses is reported with file, line and key by daemon/config.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict

STRICT = ConfigDict(extra="forbid", strict=True, defer_build=True)

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_NUMBER = r"(\d{1,9}(?:\.\d{1,6})?)"
_DURATION = re.compile("".join(f"(?:{_NUMBER}{unit}(?![a-z]))?" for unit in _UNITS))
"""The largest unit first, each at most once. No letter follows a unit, so that ``300ms`` is not 300 minutes."""


def parse_duration(text: object) -> float:
    """Return the seconds of ``300ms``, ``10s``, ``3h30m``; ``0`` alone is allowed, in quotes or without."""
    if text in (0, "0") and text is not False:
        return 0.0
    match = _DURATION.fullmatch(text) if isinstance(text, str) and text else None
    if match is None:
        raise ValueError('expected a duration such as "300ms", "10s", "5m", "24h" or "30d"')
    return sum(
        float(number) * unit for number, unit in zip(match.groups(), _UNITS.values(), strict=True) if number
    )


Duration = Annotated[float, BeforeValidator(parse_duration)]
"""Seconds, written as a duration string in the site file."""

_LIKENESS = 0.6
"""How alike two words must be (difflib's ratio) for one to be proposed in place of the other."""

_LISTED = 12
"""Known names that are listed where none of them is like the one that was given."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was probably meant, without regard to case; ``None`` if none is like it."""
    folded = {other.casefold(): other for other in known}
    near = difflib.get_close_matches(name.casefold(), folded, 1, _LIKENESS)
    return folded[near[0]] if near else None


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return the hint behind an unknown name: the nearest one, else ``otherwise``, else what there is."""
    names = sorted(known) if isinstance(known, set | frozenset) else list(known)
    near = nearest(name, names)
    if near is not None:
        return f'did you mean "{near}"?'
    return otherwise or (f"there are: {', '.join(names[:_LISTED])}" if names else "there is none")
