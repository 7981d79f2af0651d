"""What a decision is asked, and what the door and its surroundings are like at that moment. Frozen values.

None of them holds a card number or a PIN: both are compared before, by their keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cache.model import Credential, Mode, ModeCause, Moment


class PinResult(StrEnum):
    """What became of the PIN that was asked for or typed."""

    RIGHT = "right"
    DURESS = "duress"
    WRONG = "wrong"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class PinEntry:
    """A typed PIN, already compared. ``credential`` is the person's PIN that it matched, with a card."""

    result: PinResult
    credential: Credential | None = None


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """One request at one reader of a door: a card, a PIN, or a card and then a PIN.

    ``exit`` is the reader on the far side, whose way leads from the door's ``to`` area back to ``from``.
    """

    door: str
    card: bool = True
    pin: PinEntry | None = None
    exit: bool = False


@dataclass(frozen=True, slots=True)
class Position:
    """The area that a person was last known to enter, and when: by the wall clock, and monotonic in this process.

    ``outer`` are the areas around it, in which they are too, each with its own entry.
    """

    area: str
    since: datetime
    entered: float | None = None
    outer: tuple[Position, ...] = ()

    def stay(self, area: str) -> Position | None:
        """Their stay in an area, be it around the one that they entered last; ``None``: they are not in it."""
        return next((one for one in (self, *self.outer) if one.area == area), None)

    def lasted(self, now: Moment) -> float:
        """Seconds since the entry."""
        return now.monotonic - self.entered if self.entered is not None else (now.utc - self.since).total_seconds()


@dataclass(frozen=True, slots=True)
class FirstPerson:
    """The first of two people, granted but for the second, at a monotonic time in seconds."""

    person_id: str
    at: float


@dataclass(frozen=True, slots=True)
class AccessState:
    """What the door and its surroundings are like at the moment of the request.

    ``judged_at`` is the instant at which the cache is as old as it is, where that is not by the wall clock alone.
    ``beneath`` is the mode whose factors a lockdown asks: what would hold without it. ``positions`` needs to hold
    only the people of the request. ``occupancy`` counts who is in the area the request leads to; ``coming`` are
    those who were let in and have not gone through yet. ``interlock`` is the other door that keeps this one shut.
    """

    mode: Mode = Mode.LOCKED
    mode_cause: ModeCause = ModeCause.DEFAULT
    positions: Mapping[str, Position] = field(default_factory=dict)
    occupancy: int = 0
    coming: frozenset[str] = frozenset()
    interlock: str | None = None
    first_person: FirstPerson | None = None
    pin_locked_until: datetime | None = None
    beneath: Mode = Mode.LOCKED
    judged_at: datetime | None = None

    @property
    def factors(self) -> Mode:
        """The mode that says what people have to show: a lockdown takes no factor away."""
        return self.beneath if self.mode is Mode.LOCKDOWN else self.mode
