"""Where people are: positions for anti-passback, occupancy of areas, and interlocks between doors.

Whether an entry is a violation is judged in daemon/decision/anti_passback.py; this stores the positions it needs.
An entry counts when the door machine says so (``CountEntry``): when access was taken, or at the grant where no
contact can tell. Every change is returned as a ``Moved``, which is what has to be made durable.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from zoneinfo import ZoneInfo

from cache.model import Moment
from daemon.config.bounds import InterlockRule
from daemon.decision.anti_passback import last_reset
from daemon.decision.door_rules import Area
from daemon.decision.request import Position
from daemon.doors.door.elapsed import Restart, Since
from daemon.doors.door.state import DoorState
from daemon.doors.door.table import ContactLine


@dataclass(frozen=True, slots=True)
class Moved:
    """A person's position from now on; ``area`` ``None``: outside, or not known. Durable, one per person.

    ``entered`` is the monotonic time, ``outer`` their stays in the areas around it.
    """

    person: str
    area: str | None
    since: datetime
    entered: float | None = None
    outer: tuple[Position, ...] = ()


def restarted(moved: Moved, restart: Restart) -> Moved:
    """The same after a restart: a stay is no older than what is certain, so that a timed one is not over early."""
    return replace(
        moved,
        entered=_entered(moved.since, moved.entered, restart),
        outer=tuple(replace(one, entered=_entered(one.since, one.entered, restart)) for one in moved.outer),
    )


def _entered(since: datetime, entered: float | None, restart: Restart) -> float:
    return restart.at_least(Since(since, (restart.reached or 0.0) if entered is None else entered)).monotonic


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

    def enter(self, person: str, area: str | None, at: Moment, *, leaving: bool = False) -> Moved:
        """A person went into an area, ``leaving`` by an exit reader; ``None`` or one without rules is outside."""
        known = self._areas.get(area) if area is not None else None
        if known is None:
            return self._place(Moved(person, None, at.utc, at.monotonic))
        before = self._positions.get(person)
        stays = {} if before is None else {one.area: one for one in (before, *before.outer)}
        around = (stays.get(name, Position(name, at.utc, at.monotonic)) for name in sorted(known.outer))
        outer = tuple(replace(one, outer=()) for one in around)
        here = stays.get(known.name) if leaving else None
        since, entered = (at.utc, at.monotonic) if here is None else (here.since, here.entered)
        return self._place(Moved(person, known.name, since, entered, outer))

    def forgive(self, person: str, at: Moment) -> Moved:
        """Forget where a person is: their next entry is no violation."""
        return self._place(Moved(person, None, at.utc, at.monotonic))

    def clear(self, area: str, at: Moment) -> tuple[Moved, ...]:
        """Forget the stays of everybody in an area; where else they are is known still."""
        inside = [person for person, position in self._positions.items() if position.stay(area) is not None]
        return tuple(self._place(self._without(person, area, at.utc)) for person in inside)

    def expire(self, now: Moment) -> tuple[Moved, ...]:
        """Forget those who have been in an area since before its last reset time. Cheap when none has passed."""
        return tuple(self._expired(now.utc))

    def _expired(self, now: datetime) -> Iterator[Moved]:
        for area in self._areas.values():
            if area.reset is None:
                continue
            reset = last_reset(area.reset, self._zone, now)
            if self._last_reset.get(area.name) == reset:
                continue
            self._last_reset[area.name] = reset
            stays = [(person, at.stay(area.name)) for person, at in self._positions.items()]
            for person in [person for person, stay in stays if stay is not None and stay.since < reset]:
                yield self._place(self._without(person, area.name, reset))

    def _without(self, person: str, area: str, at: datetime) -> Moved:
        """Where a person is, without a stay: in what is around it, or else outside."""
        position = self._positions[person]
        stays = [one for one in (position, *position.outer) if one.area != area]
        if not stays:
            return Moved(person, None, at)
        first, *rest = (replace(one, outer=()) for one in stays)
        return Moved(person, first.area, first.since, first.entered, tuple(rest))

    def _place(self, move: Moved) -> Moved:
        before = self._positions.pop(move.person, None)
        for stay in () if before is None else (before, *before.outer):
            self._counts[stay.area] -= 1
        if move.area is None or move.area not in self._areas:
            return replace(move, area=None, outer=())
        outer = tuple(one for one in move.outer if one.area in self._areas)
        after = Position(move.area, move.since, move.entered, outer)
        self._positions[move.person] = after
        for stay in (after, *outer):
            self._counts[stay.area] += 1
        return replace(move, outer=outer)


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
