"""What a scenario expects of the events: the oldest match is consumed, what is left is reported. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo

from cache.model import DetailValue, Event, Stamp
from daemon.simulate.vocabulary import STATE_EVENTS

SHOWN = 12
"""Events that a failure shows at most, the latest."""


class UnmetError(Exception):
    """An expectation does not hold; the message says what had happened instead."""


@dataclass(frozen=True, slots=True)
class Happened:
    """An event with its stamp."""

    stamp: Stamp
    event: Event


class Expectations:
    """The events that were not yet consumed, oldest first. ``zone`` is for the times in messages."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._open: list[Happened] = []

    def add(self, happened: Iterable[Happened]) -> None:
        """These have happened."""
        self._open += happened

    def lose(self, happened: Collection[Happened]) -> None:
        """These were never durable, and a power cut has taken them."""
        self._open = [one for one in self._open if one not in happened]

    def expect(self, name: str, fields: Mapping[str, str]) -> None:
        """Consume the oldest event that matches; ``UnmetError`` if there is none."""
        found = self._find(name, fields)
        if found is None:
            raise UnmetError(f"no such event; {self.left()}")
        self._open.remove(found)

    def expect_no(self, name: str, fields: Mapping[str, str]) -> None:
        """``UnmetError`` if one is left that matches."""
        found = self._find(name, fields)
        if found is not None:
            raise UnmetError(f"it did happen: {self._line(found)}")

    def quiet(self) -> None:
        """``UnmetError`` if an event is left that is no state event; else all are forgotten."""
        if any(one.event.name not in STATE_EVENTS for one in self._open):
            raise UnmetError(self.left())
        self._open.clear()

    def clear(self) -> None:
        """Forget what is left."""
        self._open.clear()

    def left(self) -> str:
        """What is left, in words; state events only where there is nothing else."""
        left = [one for one in self._open if one.event.name not in STATE_EVENTS] or self._open
        if not left:
            return "nothing had happened that was not expected"
        lines = "".join(f"\n    {self._line(one)}" for one in left[-SHOWN:])
        more = f"\n    (and {len(left) - SHOWN} before these)" if len(left) > SHOWN else ""
        return f"what had happened and was not expected:{lines}{more}"

    def _find(self, name: str, fields: Mapping[str, str]) -> Happened | None:
        return next((one for one in self._open if _matches(one.event, name, fields)), None)

    def _line(self, happened: Happened) -> str:
        return event_line(happened.stamp, happened.event, self._zone)


def event_line(stamp: Stamp, event: Event, zone: tzinfo) -> str:
    """One event on one line, in wall-clock time of ``zone``, with its fields as ``expect`` takes them."""
    at = stamp.at.utc.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S%z")
    words = [f'{key}="{word}"' if " " in word else f"{key}={word}" for key, word in fields_of(event)]
    return " ".join([at, event.name.value, *words])


def fields_of(event: Event) -> list[tuple[str, str]]:
    """The fields of an event as ``key=value`` writes them."""
    values: list[tuple[str, DetailValue | None]] = [
        ("door", event.door),
        ("reader", event.reader),
        ("person", event.person),
        ("reason", event.reason),
        ("group", event.group),
        ("level", event.level),
        ("generation", event.generation),
        *event.detail,
    ]
    return [(name, _text(value)) for name, value in values if value is not None]


def _matches(event: Event, name: str, fields: Mapping[str, str]) -> bool:
    if event.name.value != name:
        return False
    found = dict(fields_of(event)) if fields else {}
    return all(found.get(key) == value for key, value in fields.items())


def _text(value: DetailValue) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return str(int(value)) if value.is_integer() else str(value)
        case _:
            return str(value)
