"""Events that repeat without end become one event with a count, so that no reader can roll the journal over. Pure.

A tamper contact that flaps at every poll, a line full of noise, a board that comes and goes: the first of them in
a minute are stored as they are, then ``event.flood`` says how many came since. What grants, what an operator does
and what a door reports of itself is never left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from cache.model import Event, EventName, Reason

WINDOW = 60.0
"""Seconds in which events of one kind and source are counted, and from one count to the next while it goes on."""

_KINDS: Mapping[EventName, tuple[str, int]] = MappingProxyType(
    {
        EventName.READ_ERROR: ("read errors", 20),
        EventName.TAMPER_ON: ("tamper", 20),
        EventName.TAMPER_OFF: ("tamper", 20),
        EventName.INPUT_FAULT: ("input faults", 20),
        EventName.INPUT_CLEAR: ("input faults", 20),
        EventName.READER_OFFLINE: ("outages", 20),
        EventName.READER_ONLINE: ("outages", 20),
        EventName.BOARD_OFFLINE: ("outages", 20),
        EventName.BOARD_ONLINE: ("outages", 20),
        EventName.ACCESS_DENIED: ("unknown cards", 300),
    }
)
"""What may be counted instead of stored: the words for it, and how many a minute are stored all the same."""

_UNKNOWN = frozenset({Reason.UNKNOWN_CREDENTIAL, Reason.BAD_FRAME, Reason.PARITY_ERROR})
"""Denials of no known person."""

Key = tuple[str, str]


@dataclass(slots=True)
class _Source:
    recent: deque[float] = field(default_factory=deque)
    withheld: int = 0
    total: int = 0
    last: Event | None = None
    since: float = 0.0
    flooding: bool = False


class FloodLimiter:
    """Times are monotonic seconds. The number of sources is that of devices times kinds, so it is bounded."""

    def __init__(self) -> None:
        self._sources: dict[Key, _Source] = {}

    def admit(self, events: Iterable[Event], now: float) -> list[Event]:
        """Return what is to be stored of these events, in their order."""
        stored: list[Event] = []
        for event in events:
            key = _key(event)
            if key is None:
                stored.append(event)
            else:
                stored += self._admit(key, event, now)
        return stored

    def due(self, now: float) -> list[Event]:
        """Return the counts that are due; a flood that is over gives its last event too: how things stand."""
        events: list[Event] = []
        for key, source in self._sources.items():
            if not source.flooding or now - source.since < WINDOW:
                continue
            source.since = now
            over = not source.withheld
            events.append(_count(key, source, "over" if over else "goes on"))
            source.withheld = 0
            if over:
                source.flooding = False
                source.recent.clear()
                if source.last is not None:
                    events.append(source.last)
                source.last, source.total = None, 0
        return events

    def _admit(self, key: Key, event: Event, now: float) -> list[Event]:
        source = self._sources.setdefault(key, _Source())
        if source.flooding:
            source.withheld += 1
            source.total += 1
            source.last = event
            return []
        while source.recent and now - source.recent[0] >= WINDOW:
            source.recent.popleft()
        source.recent.append(now)
        if len(source.recent) <= _KINDS[event.name][1]:
            return [event]
        source.flooding, source.since, source.withheld, source.total = True, now, 1, 1
        source.last = event
        return [_count(key, source, "begins")]


def _key(event: Event) -> Key | None:
    kind = _KINDS.get(event.name)
    if kind is None or (event.name is EventName.ACCESS_DENIED and event.reason not in _UNKNOWN):
        return None
    detail = dict(event.detail)
    named = (detail.get(name) for name in ("device", "input", "board"))
    source = event.reader or next((str(one) for one in named if one is not None), None) or event.door or ""
    return kind[0], source


def _count(key: Key, source: _Source, state: str) -> Event:
    what, device = key
    last = source.last
    return Event(
        EventName.EVENT_FLOOD,
        door=None if last is None else last.door,
        reader=None if last is None else last.reader,
        detail=(
            ("what", what),
            ("device", device),
            ("state", state),
            ("count", source.withheld),
            ("total", source.total),
        ),
    )
