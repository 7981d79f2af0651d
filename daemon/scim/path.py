"""Attribute paths of the site file: ``name``, ``name.sub``, ``urn:…:User:name``, ``name[filter].sub``. Pure.

A path with a filter takes the entries of a list for which the filter holds (RFC 7644 §3.5.2, valuePath). Some
servers write the attributes of an extension flat into the resource, under the whole URN: those are found as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from daemon.scim.filters import FilterError, Predicate, parse_filter
from daemon.scim.resource import get, lookup, text

_FILTERED = re.compile(r"(?P<base>[^\[\]]+)\[(?P<filter>.+)\](?:\.(?P<sub>[A-Za-z$][\w$-]*))?")
_PLAIN = re.compile(r"(?:urn:[\w.:-]+:)?[A-Za-z$][\w$-]*(?:\.[A-Za-z$][\w$-]*)*", re.IGNORECASE)

MAX_WHOLE = 2**53
"""A JSON number with a fraction part is exact up to here; a larger one may have lost digits."""


def check_path(path: str) -> str:
    """Return ``path``. Raise ``ValueError`` if it is not a path, naming what is wrong with it."""
    found = _FILTERED.fullmatch(path)
    base = path if found is None else found["base"]
    if _PLAIN.fullmatch(base) is None:
        raise ValueError(
            'expected a path such as "badge", "name.sub", "urn:…:User:badge" or \'list[type eq "x"].value\''
        )
    if found is not None:
        try:
            parse_filter(found["filter"])
        except FilterError as error:
            raise ValueError(f"the filter in {path}: {error}") from None
    return path


def values_at(resource: Mapping[str, Any], path: str) -> list[Any]:
    """Return all values at ``path``, lists opened; nothing where the path is not there."""
    if "[" in path:
        base, predicate, sub = _filtered(path)
        entries = [entry for entry in lookup(resource, base) if isinstance(entry, Mapping) and predicate(entry)]
        return [value for entry in entries for value in lookup(entry, sub)]
    found = lookup(resource, path)
    if not found and ":" in path:
        flat = get(resource, path)
        found = flat if isinstance(flat, list) else [] if flat is None else [flat]
    return found


def extension(resource: Mapping[str, Any], urn: str) -> Mapping[str, Any] | None:
    """Return the attributes of an extension, nested under its URN or flat beside it; ``None``: it has none."""
    nested = get(resource, urn)
    if isinstance(nested, Mapping):
        return nested
    prefix = f"{urn}:".casefold()
    flat = {key[len(prefix) :]: value for key, value in resource.items() if key.casefold().startswith(prefix)}
    return flat or None


def word(value: object) -> str | None:
    """Return text, an integer, or a whole JSON number such as 45678.0 as text; ``None`` for all else."""
    if isinstance(value, float) and value.is_integer() and abs(value) < MAX_WHOLE:
        value = int(value)
    return text(value)


@lru_cache(maxsize=64)
def _filtered(path: str) -> tuple[str, Predicate, str]:
    found = _FILTERED.fullmatch(path)
    if found is None:
        raise ValueError(f"not a path: {path}")
    return found["base"], parse_filter(found["filter"]), found["sub"] or "value"
