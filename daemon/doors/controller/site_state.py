"""What all readers of a controller share: the lookup, PIN rules, the doors, where people are, interlocks. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from cache.keys import card_key
from cache.model import Found, Freshness, Moment
from daemon.decision.door_rules import Area
from daemon.decision.pin import compare_pin, find_pin
from daemon.decision.request import AccessState, FirstPerson, PinEntry, PinResult
from daemon.doors.controller.cache_age import CacheAge
from daemon.doors.controller.door import DoorController
from daemon.doors.controller.effects import Collected
from daemon.doors.controller.pins import PinGuard
from daemon.doors.controller.setup import DoorSetup
from daemon.doors.door.durable import Durable
from daemon.doors.door.elapsed import Restart
from daemon.doors.door.lockout import LockoutRules
from daemon.doors.door.session import Ask, SessionConfig
from daemon.doors.door.space import Interlock, Moved, Space, interlocked_by, restarted

MOVED = Durable(Moved)
POSITION = "position."
"""Prefix of the names under which positions are stored in the journal, followed by the person's id."""

NO_ONE: frozenset[str] = frozenset()

Find = Callable[[bytes], Found]


@dataclass(frozen=True, slots=True)
class ControllerRules:
    """What the site file says of everything that is not one door; ``readers`` are all, also those of no door."""

    doors: Mapping[str, DoorSetup]
    site_key: bytes
    readers: frozenset[str]
    zone: ZoneInfo
    sessions: SessionConfig
    duress: bool
    areas: Mapping[str, Area]
    interlocks: tuple[Interlock, ...]
    lockouts: LockoutRules
    pins_alone: bool

    def __repr__(self) -> str:
        """The key never reaches a log by accident."""
        return f"ControllerRules({len(self.doors)} doors)"


class SiteState:
    """Shared by the readers of all doors; ``find`` is the read-only lookup of the cache.

    ``freshness`` is what was last known of the cache, for what is refused before anybody was looked up.
    """

    def __init__(self, rules: ControllerRules, find: Find, out: Collected) -> None:
        self.rules = rules
        self.space = Space(rules.areas, rules.zone)
        self.doors = {
            name: DoorController(setup, out, self.entered, self.interlocked_by)
            for name, setup in rules.doors.items()
        }
        self.pins = PinGuard(rules.lockouts, out)
        self.cache_age = CacheAge(out)
        self.freshness = Freshness()
        self._interlocks = {
            name: tuple(interlock for interlock in rules.interlocks if name in interlock.doors)
            for name in rules.doors
        }
        self._find = find
        self._out = out

    def start(self, stored: Mapping[str, str], restart: Restart) -> list[str]:
        """Put people where the journal has them; the names of what cannot be read, which is forgotten."""
        moves, unreadable = [], []
        for name, text in sorted(stored.items()):
            if name.startswith(POSITION):
                try:
                    moves.append(restarted(MOVED.load(text), restart))
                except ValueError:
                    unreadable.append(name)
                    self._out.state[name] = None
        self.space = Space(self.rules.areas, self.rules.zone, sorted(moves, key=lambda move: move.since))
        for moved in moves:
            if MOVED.dump(moved) != stored[POSITION + moved.person]:
                self._out.state[POSITION + moved.person] = MOVED.dump(moved)
        return unreadable

    # -------------------------------------------------------------- for a decision

    def key_of(self, length: int, value: int) -> bytes:
        """The lookup key of a card at this site. ``ValueError``: no card has so many bits."""
        return card_key(self.rules.site_key, length, value)

    def look_up(self, ask: Ask) -> tuple[Found, PinEntry | None]:
        """Who holds what was presented, and what became of the PIN. Raises ``CacheError``."""
        duress = self.rules.duress
        if ask.card is None and not ask.late:
            return find_pin(self._find, self.rules.site_key, ask.digits, duress=duress)
        found = self._find(ask.card) if ask.card is not None else self._find(b"")
        if ask.late:
            return found, PinEntry(PinResult.LATE)
        if not ask.digits:
            return found, None
        return found, compare_pin(self._find, self.rules.site_key, ask.digits, found, duress=duress)

    def access_state(
        self,
        door: DoorController,
        exiting: bool,
        first_person: FirstPerson | None = None,
        pin_locked_until: datetime | None = None,
        judged_at: datetime | None = None,
    ) -> AccessState:
        """Return the state of the door and of the site around it; the rest is what the reader's session knows."""
        area = door.setup.rules.from_area if exiting else door.setup.rules.to_area
        coming = self._coming(area) if area is not None and area.occupancy else NO_ONE
        return AccessState(
            door.state.mode,
            door.state.cause,
            self.space.positions,
            self.space.occupancy(area.name) if area is not None else 0,
            coming if first_person is None else coming | {first_person.person_id},
            self.interlocked_by(door),
            first_person,
            pin_locked_until,
            door.factors,
            judged_at,
        )

    def is_interlocked(self, door: str) -> bool:
        """Whether an interlock names the door."""
        return bool(self._interlocks[door])

    def interlocked_by(self, door: DoorController) -> str | None:
        """Return the other door of an interlock that keeps this one shut; ``None``: no one does."""
        interlocks = self._interlocks[door.setup.name]
        if not interlocks:
            return None
        return interlocked_by(
            door.setup.name, interlocks, {name: other.state for name, other in self.doors.items()}
        )

    def _coming(self, area: Area) -> frozenset[str]:
        """Who was let through a door into the area and has not been seen to go through."""
        inside = self.space.positions
        return frozenset(
            passage.person
            for door in self.doors.values()
            for passage in door.state.passages
            if door.area_behind(passage.reader) == area
            and (passage.person not in inside or inside[passage.person].stay(area.name) is None)
        )

    # -------------------------------------------------------------- where people are

    def entered(self, door: DoorController, person: str, reader: str | None, now: Moment) -> None:
        """A person went through a door: by its exit reader back, else onwards."""
        area = door.area_behind(reader)
        if door.setup.rules.from_area is not None or door.setup.rules.to_area is not None:
            leaving = reader is not None and reader == door.setup.exit
            name = area.name if area is not None else None
            self._keep(self.space.enter(person, name, now, leaving=leaving))

    def forgive(self, person: str, now: Moment) -> None:
        """Forget where a person is."""
        self._keep(self.space.forgive(person, now))

    def forgive_area(self, area: str, now: Moment) -> None:
        """Forget everybody who is in an area."""
        for moved in self.space.clear(area, now):
            self._keep(moved)

    def expire(self, now: Moment) -> None:
        """Forget those whose area was reset."""
        for moved in self.space.expire(now):
            self._keep(moved)

    def _keep(self, moved: Moved) -> None:
        self._out.state[POSITION + moved.person] = MOVED.dump(moved) if moved.area is not None else None
