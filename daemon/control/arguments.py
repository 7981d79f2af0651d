"""What a request means: names, instants and filters from its arguments, refused in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from cache.journal.filter import EVERYTHING, EventFilter
from cache.model import EventName
from daemon.errors import RequestError

T = TypeVar("T")

FIRST_YEAR, LAST_YEAR = 1970, 2199
"""Instants outside are slips of the finger, and calendars end somewhere."""

NOW = "now"
"""What ``--at`` takes in addition to an instant."""


def event_filter(arguments: Mapping[str, object]) -> EventFilter:
    """Which events are wanted; ``RequestError`` for a name that is none."""
    names = arguments.get("names") or ()
    if not isinstance(names, list | tuple):
        raise RequestError("names is a list of event names")
    try:
        chosen = frozenset(EventName(str(name)) for name in names)
    except ValueError:
        raise RequestError(f"known events: {', '.join(EventName)}") from None
    return replace(
        EVERYTHING,
        names=chosen,
        door=text_of(arguments, "door"),
        reader=text_of(arguments, "reader"),
        person=text_of(arguments, "person"),
        since=parse_instant(arguments.get("since")),
        until=parse_instant(arguments.get("until")),
    )


def text_of(arguments: Mapping[str, object], name: str) -> str | None:
    """An argument as text; ``None`` where it is not given."""
    value = arguments.get(name)
    return None if value is None else str(value)


def whole_number(arguments: Mapping[str, object], name: str, default: T) -> int | T:
    """An argument that is a whole number of 0 or more; ``default`` where it is not given."""
    value = arguments.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise RequestError(f"{name} is a whole number, 0 or more")
    return value


def parse_instant(text: object) -> datetime | None:
    """An ISO 8601 instant with an offset (``Z`` for UTC) as UTC; ``None`` where none is given.

    ``RequestError`` for anything else, and for years that no door controller lives in.
    """
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(str(text))
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise RequestError(
            f'expected an instant with its offset such as "2026-11-24T08:00:00+01:00", not "{text}"'
        )
    if not FIRST_YEAR < instant.year < LAST_YEAR:
        raise RequestError(f"expected an instant between {FIRST_YEAR} and {LAST_YEAR}, not {instant.isoformat()}")
    return instant.astimezone(UTC)


def parse_at(text: object) -> datetime | None:
    """``--at``: an instant, or ``None`` for the present (``now``, or not given)."""
    return None if text == NOW else parse_instant(text)
