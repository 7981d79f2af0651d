"""Where people are: positions for anti-passback, occupancy of areas, and interlocks between doors.

Whether an entry is a violation is judged in daemon/decision/anti_passback.py; this stores the positions it needs.
An entry counts when the door machine says so (``CountEntry``): when access was taken, or at the grant where no
contact can tell. Every change is returned as a ``Moved``, which is what has to be made durable.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from zoneinfo import ZoneInfo

from daemon.config.bounds import InterlockRule
from daemon.decision.anti_passback import last_reset
from daemon.decision.door_rules import Area
from daemon.decision.request import Position
from daemon.doors.door.state import DoorState
from daemon.doors.door.table import ContactLine


@dataclass(frozen=True, slots=True)
class Moved:
    """A person's position from now on; ``area`` ``None``: outside, or not known. Durable, one per person."""

    person: str
    area: str | None
    since: datetime


class Space:
    """The positions of one controller. Belongs to one thread; no size limit but the number of people."""

    def __init__(self, areas: Mapping[str, Area], zone: ZoneInfo, moves: Iterable[Moved] = ()) -> None:
        """Start from what was durable: ``moves`` in the order in which they were returned."""
        self._areas = areas
        self._zone = zone
        self._positions: dict[str, Position] = {}
        self._counts = dict.fromkeys(areas, 0)
        self._last_reset: dict[str, datetime] = {}
        for move in moves:
            self._place(move)

    @property
    def positions(self) -> Mapping[str, Position]:
        """The area that each person was last seen to enter; people who are outside are not in it."""
        return MappingProxyType(self._positions)

    def occupancy(self, area: str | None) -> int:
        """How many people are in the area."""
        return 0 if area is None else self._counts.get(area, 0)

    def enter(self, person: str, area: str | None, at: datetime) -> Moved:
        """A person went into an area; ``None`` or one without rules is outside."""
        return self._place(Moved(person, area, at))

    def forgive(self, person: str, at: datetime) -> Moved:
        """Forget where a person is: their next entry is no violation."""
        return self._place(Moved(person, None, at))

    def clear(self, area: str, at: datetime) -> tuple[Moved, ...]:
        """Forget everybody in an area."""
        inside = [person for person, position in self._positions.items() if position.area == area]
        return tuple(self._place(Moved(person, None, at)) for person in inside)

    def expire(self, now: datetime) -> tuple[Moved, ...]:
        """Forget those who have been in an area since before its last reset time. Cheap when none has passed."""
        return tuple(self._expired(now))

    def _expired(self, now: datetime) -> Iterator[Moved]:
        for area in self._areas.values():
            if area.reset is None:
                continue
            reset = last_reset(area.reset, self._zone, now)
            if self._last_reset.get(area.name) == reset:
                continue
            self._last_reset[area.name] = reset
            gone = [p for p, at in self._positions.items() if at.area == area.name and at.since < reset]
            for person in gone:
                yield self._place(Moved(person, None, reset))

    def _place(self, move: Moved) -> Moved:
        area = move.area if move.area in self._areas else None
        before = self._positions.pop(move.person, None)
        if before is not None:
            self._counts[before.area] -= 1
        if area is not None:
            self._positions[move.person] = Position(area, move.since)
            self._counts[area] += 1
        return Moved(move.person, area, move.since)


# ------------------------------------------------------------------ interlock


@dataclass(frozen=True, slots=True)
class Interlock:
    """Doors of which only one may be in use (``[[interlock]]``)."""

    doors: tuple[str, ...]
    rule: InterlockRule = InterlockRule.ONE_OPEN


def interlocked_by(door: str, interlocks: Iterable[Interlock], states: Mapping[str, DoorState]) -> str | None:
    """The door that keeps ``door`` shut, if there is one. A request meanwhile is denied, never queued.

    A released door counts as one that is about to be open; one whose contact cannot be read counts as open.
    """
    for interlock in interlocks:
        if door not in interlock.doors:
            continue
        for other in interlock.doors:
            if other != door and (state := states.get(other)) is not None and _in_use(state, interlock.rule):
                return other
    return None


def _in_use(state: DoorState, rule: InterlockRule) -> bool:
    if rule is InterlockRule.ONE_RELEASED or not state.config.has_contact:
        return state.released
    return state.released or state.is_open or state.sense is not ContactLine.READ
