"""The values of one door's state machine: its configuration, events, effects and state.

Times are monotonic seconds, durations seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from cache.model import Event, Mode, ModeCause
from daemon.config import bounds
from daemon.config.bounds import Relock
from daemon.doors.door.table import Access, ContactLine, DoorPosition, LockState, Rex
from drivers.events import InputState

BARRED = (Mode.BLOCKED, Mode.LOCKDOWN)
"""Modes that refuse an operator's pulse, and take a running release away when they begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorConfig:
    """Hardware and timing of one door, in seconds; daemon/config/bounds.py has the ranges.

    Raises ``ValueError``, naming the key, for a value out of its range.
    """

    name: str
    strike_time: float = bounds.STRIKE_TIME.default
    extended_time: float = bounds.EXTENDED_TIME.default
    held_open_time: float = bounds.HELD_OPEN_TIME.default
    held_open_warning: float = bounds.HELD_OPEN_WARNING.default
    relock: Relock = Relock.ON_CLOSE
    has_contact: bool = True
    rex_release: bool = False
    rex_time: float = bounds.REX_TIME.default

    def __post_init__(self) -> None:
        """Check the ranges."""
        spans = {
            "strike_time": (self.strike_time, bounds.STRIKE_TIME),
            "extended_time": (self.extended_time, bounds.EXTENDED_TIME),
            "held_open_time": (self.held_open_time, bounds.HELD_OPEN_TIME),
            "held_open_warning": (self.held_open_warning, bounds.HELD_OPEN_WARNING),
            "rex.time": (self.rex_time, bounds.REX_TIME),
        }
        for key, (value, span) in spans.items():
            try:
                span.checked(value)
            except ValueError as error:
                raise ValueError(f"door {self.name}: {key}: {error}") from None
        try:
            bounds.check_held_open(self.held_open_time, self.held_open_warning)
        except ValueError as error:
            raise ValueError(f"door {self.name}: {error}") from None

    @property
    def longest_release(self) -> float:
        """The longest time for which one grant, pulse or REX releases the lock."""
        return max(self.strike_time + self.extended_time, self.rex_time)


# ------------------------------------------------------------------ events


class Contact(StrEnum):
    """A debounced reading of the door contact.

    ``line_open``: a supervised line is interrupted, which is a fault and not an open door. ``lost``: the board
    does not answer, so no one can say.
    """

    CLOSED = "closed"
    OPEN = "open"
    SHORT = "short"
    LINE_OPEN = "line_open"
    LOST = "lost"


class Signal(StrEnum):
    """A debounced reading of the REX line, its sense (NO, NC) already applied."""

    OFF = "off"
    ON = "on"
    SHORT = "short"
    LINE_OPEN = "line_open"
    LOST = "lost"


LINE_FAULTS: Mapping[Contact | Signal, InputState] = MappingProxyType(
    {
        Contact.SHORT: InputState.SHORT,
        Contact.LINE_OPEN: InputState.OPEN,
        Signal.SHORT: InputState.SHORT,
        Signal.LINE_OPEN: InputState.OPEN,
    }
)
"""The readings that are faults of a supervised line, as ``input.fault`` reports them."""


@dataclass(frozen=True, slots=True)
class Granted:
    """The decision was to grant: one person, or the two of a two-person rule; ``extended`` adds their time."""

    people: tuple[str, ...]
    reader: str | None = None
    extended: bool = False


@dataclass(frozen=True, slots=True)
class OperatorPulse:
    """An operator releases the door once, for the strike time or ``seconds`` (cut to what the door allows).

    Does nothing in blocked and lockdown mode.
    """

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class ContactRead:
    """The door contact, when it changed and once after start and each reconnection."""

    state: Contact


@dataclass(frozen=True, slots=True)
class RexRead:
    """The REX line, when it changed and once after start and each reconnection."""

    state: Signal


@dataclass(frozen=True, slots=True)
class ModeChanged:
    """The effective mode (modes.py). Sent whenever mode or cause differ, and once after start."""

    mode: Mode
    cause: ModeCause


@dataclass(frozen=True, slots=True)
class ReaderLink:
    """A reader of this door stopped answering, or answers again."""

    reader: str
    online: bool


@dataclass(frozen=True, slots=True)
class LockRestored:
    """The device that carries the lock output answers again: what it holds is not known, so order it again."""


@dataclass(frozen=True, slots=True)
class Tamper:
    """A reader's case was opened or closed: recorded in every mode."""

    device: str
    active: bool


@dataclass(frozen=True, slots=True)
class Timer:
    """Time has passed; to be sent at ``deadline(state)``."""


DoorEvent = (
    Granted | OperatorPulse | ContactRead | RexRead | ModeChanged | ReaderLink | LockRestored | Tamper | Timer
)


# ------------------------------------------------------------------ effects


@dataclass(frozen=True, slots=True)
class Unlock:
    """Switch the lock output on: for ``seconds`` from now (restarts), or ``None`` until ordered otherwise."""

    seconds: float | None


@dataclass(frozen=True, slots=True)
class Lock:
    """Switch the lock output off, also in the middle of a release."""


@dataclass(frozen=True, slots=True)
class RecordEvent:
    """Write an event to the journal."""

    event: Event


@dataclass(frozen=True, slots=True)
class CountEntry:
    """This person went through, or must be taken to have: the rules over space count it (space.py)."""

    person: str
    reader: str | None


Effect = Unlock | Lock | RecordEvent | CountEntry


# ------------------------------------------------------------------ state


@dataclass(frozen=True, slots=True)
class Passage:
    """Someone who was let through and has not been seen to go through.

    ``until``: the end of this grant's strike time; once it ``lapsed``, the end of the last instant behind it.
    """

    person: str
    reader: str | None
    until: float
    lapsed: bool = False


@dataclass(frozen=True, slots=True)
class DoorState:
    """Everything a door knows between two events. Times are monotonic seconds, ``None`` is not running."""

    config: DoorConfig
    mode: Mode = Mode.LOCKED
    cause: ModeCause = ModeCause.DEFAULT
    lock: LockState = LockState.LOCKED
    opening: DoorPosition = DoorPosition.UNKNOWN
    access: Access = Access.NONE
    sense: ContactLine = ContactLine.UNREAD
    rex: Rex = Rex.UNREAD
    contact: Contact = Contact.LOST
    rex_line: Signal = Signal.LOST
    passages: tuple[Passage, ...] = ()
    lock_until: float | None = None
    egress_until: float | None = None
    shunt_until: float | None = None
    access_until: float | None = None
    warn_at: float | None = None
    held_at: float | None = None
    offline: frozenset[str] = frozenset()
    tampered: frozenset[str] = frozenset()

    @property
    def released(self) -> bool:
        """Whether the lock output is on."""
        return self.lock is not LockState.LOCKED

    @property
    def is_open(self) -> bool:
        """Whether the door stood open when it was last seen."""
        return self.opening not in (DoorPosition.UNKNOWN, DoorPosition.LEFT_HELD, DoorPosition.CLOSED)

    @property
    def shunted(self) -> bool:
        """Whether opening is not forced: while released or in a shunt, and as long as REX is active."""
        return self.released or self.shunt_until is not None or self.rex is Rex.ACTIVE

    @property
    def held_alarm(self) -> bool:
        """Whether a held alarm was reported and its end was not."""
        return self.opening in (DoorPosition.HELD, DoorPosition.LEFT_HELD)

    @property
    def free(self) -> bool:
        """Whether the door may be opened without a credential: unlocked mode, or a fire alarm."""
        return self.mode is Mode.UNLOCKED or self.cause is ModeCause.FIRE
