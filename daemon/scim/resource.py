"""A tolerant reader of SCIM resources on plain JSON (docs/scim.md, rule 1). Pure.

Attribute names are matched without regard to case, unknown ones are ignored, ids may be integers and booleans
strings. What cannot be understood at all is ``MalformedError``, and only that one resource is skipped.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

MAX_TEXT = 1024
"""Characters; a longer id or name is no id or name, and is not carried about."""

_FEW = 50
"""Attributes; the names of larger resources are not remembered, whoever sends them."""

_CORE = "urn:ietf:params:scim:schemas:core:"
_TRUE = frozenset({"true", "1", "yes"})
_FALSE = frozenset({"false", "0", "no"})


class MalformedError(ValueError):
    """One resource cannot be understood; the message names the attribute, never its value."""


@dataclass(frozen=True, slots=True)
class MemberRef:
    """One entry of ``members``: the raw ``value`` and whether it says that it is a group (``None``: not said)."""

    value: str
    is_group: bool | None = None


@dataclass(frozen=True, slots=True)
class GroupResource:
    """A SCIM Group as read, its members not yet resolved. ``modified`` is ``meta.lastModified``, if it says so."""

    id: str
    name: str
    external_id: str | None
    members: tuple[MemberRef, ...]
    modified: datetime | None = None
    members_readable: bool = True


def get(resource: Mapping[str, Any], name: str) -> Any:
    """The attribute ``name``, by its exact name first and else without regard to case; ``None`` if absent."""
    value = resource.get(name)
    if value is not None:
        return value
    folded = name.casefold()
    if len(resource) <= _FEW and folded not in _folded(tuple(resource)):
        return None
    for key, candidate in resource.items():
        if candidate is not None and key.casefold() == folded:
            return candidate
    return None


@lru_cache(maxsize=256)
def _folded(keys: tuple[str, ...]) -> frozenset[str]:
    """The resources of one server have the same attributes, a hundred thousand times over."""
    return frozenset(key.casefold() for key in keys)


def lookup(resource: Mapping[str, Any], path: str) -> list[Any]:
    """All values at ``path``: ``name``, ``name.sub`` or ``urn:…:User:name``; lists are opened."""
    found: list[Any] = [resource]
    for step in _steps(path):
        values = (get(item, step) for item in found if isinstance(item, Mapping))
        found = []
        for value in values:
            if isinstance(value, list):
                found.extend(value)
            elif value is not None:
                found.append(value)
    return found


def _steps(path: str) -> list[str]:
    """A URN keeps its dots (``…:2.0:User``); core attributes stand in the resource itself, others under it."""
    urn, _, attribute = path.rpartition(":")
    nested = urn and not urn.casefold().startswith(_CORE)
    return ([urn] if nested else []) + attribute.split(".")


def text(value: object) -> str | None:
    """A short string out of a string or integer; ``None`` for anything else and for blanks."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        value = str(value) if abs(value) < 10**64 else ""
    if not isinstance(value, str) or len(value) > MAX_TEXT or not (value.isascii() or _encodes(value)):
        return None
    return value.strip() or None


def _encodes(value: str) -> bool:
    """JSON may hold half a surrogate pair (``"\\ud800"``), which is no text that could be kept or shown."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def identifier(resource: Mapping[str, Any]) -> str:
    """The resource's ``id``. ``MalformedError`` without one."""
    found = text(get(resource, "id"))
    if found is None:
        raise MalformedError("the resource has no usable id")
    return sys.intern(found)


def boolean(value: object, name: str) -> bool:
    """``true`` as a boolean, a string in any case, or 1. ``MalformedError`` if it cannot be either."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().casefold() if isinstance(value, str | int) else ""
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise MalformedError(f"{name} is neither true nor false")


def display_name(resource: Mapping[str, Any]) -> str | None:
    """A name for people: ``displayName``, ``name.formatted``, given and family name, or else ``userName``."""
    name = get(resource, "name")
    parts = name if isinstance(name, Mapping) else {}
    whole = text(get(resource, "displayName")) or text(get(parts, "formatted"))
    if whole is None:
        whole = " ".join(p for p in (text(get(parts, "givenName")), text(get(parts, "familyName"))) if p)
    return whole or text(get(resource, "userName"))


def user_groups(resource: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The ids in a user's own ``groups``; ``None`` when the server does not say (absent and [] are one state)."""
    entries = get(resource, "groups")
    if not isinstance(entries, list):
        return None
    found = (text(get(e, "value")) if isinstance(e, Mapping) else text(e) for e in entries)
    return tuple(value for value in found if value is not None) or None


def read_group(resource: Mapping[str, Any], known_as: str | None = None) -> GroupResource:
    """A Group. ``MalformedError`` without id, or without displayName where it is not ``known_as`` anything.

    ``members`` that are no list are none, and say so.
    """
    group_id = identifier(resource)
    name = text(get(resource, "displayName")) or known_as
    if name is None:
        raise MalformedError("displayName is missing")
    listed = get(resource, "members")
    members = _members(listed)
    external_id = text(get(resource, "externalId"))
    return GroupResource(group_id, name, external_id, members or (), _modified(resource), members is not None)


def _modified(resource: Mapping[str, Any]) -> datetime | None:
    """``meta.lastModified`` (RFC 7643 §3.1); ``None`` without one, or without a time zone."""
    meta = get(resource, "meta")
    when = text(get(meta, "lastModified")) if isinstance(meta, Mapping) else None
    try:
        found = datetime.fromisoformat(when or "")
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _members(members: object) -> tuple[MemberRef, ...] | None:
    """The members; ``None`` if they are no list."""
    if members is None:
        return ()
    if isinstance(members, Mapping):
        members = [members]
    if not isinstance(members, list):
        return None
    found = (_member(entry) for entry in members)
    return tuple(member for member in found if member is not None)


def _member(entry: object) -> MemberRef | None:
    """One member; ``None`` if it has no usable value, which then dangles like any unknown one."""
    if not isinstance(entry, Mapping):
        value = text(entry)
        return None if value is None else MemberRef(value)
    reference = get(entry, "$ref") if len(entry) > 1 or "value" not in entry else None
    path = reference.rstrip("/").split("/") if isinstance(reference, str) else []
    value = text(get(entry, "value")) or (text(path[-1]) if path else None)
    if value is None:
        return None
    value = sys.intern(value)  # the same string as the person's id: one of the largest parts of a directory
    kind = str(get(entry, "type") or (path[-2] if len(path) > 1 else "")).casefold().rstrip("s")
    return MemberRef(value, {"group": True, "user": False}.get(kind))
