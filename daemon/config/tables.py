"""The tables of the site file, key by key: docs/configuration.md as dataclasses. Pure.

What a single table can know of itself is checked here; what needs two tables is checked in
``daemon.config.checks``. Bus, board and reader tables belong to their drivers and are read by
``daemon.config.devices``. docs/configuration.md describes every key, and a test compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator
from pydantic.dataclasses import dataclass

from cache.model import ClockPolicy
from daemon.config import bounds
from daemon.config.bounds import InterlockRule, Relock, Wiring
from daemon.config.brake import BrakeTable
from daemon.config.policy.notation import Name
from daemon.config.policy.tables import DoorPolicyTable, PolicyTables, StalenessTable
from daemon.config.values import Count, Line, Size, SocketPath
from daemon.scim.settings import ScimSettings
from drivers.cards.tables import CardFormatTable
from drivers.driver import SecretReference
from drivers.settings import STRICT, Duration

StrikeTime = Annotated[Duration, AfterValidator(bounds.STRIKE_TIME.checked)]
ExtendedTime = Annotated[Duration, AfterValidator(bounds.EXTENDED_TIME.checked)]
HeldOpenTime = Annotated[Duration, AfterValidator(bounds.HELD_OPEN_TIME.checked)]
RexTime = Annotated[Duration, AfterValidator(bounds.REX_TIME.checked)]
Debounce = Annotated[Duration, AfterValidator(bounds.DEBOUNCE.checked)]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class SiteTable:
    """``[site]``: its name, its IANA time zone, and the key under which cards are looked up."""

    name: str
    timezone: str
    key: SecretReference


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class StateTable:
    """``[state]``: the directory of the folders ``doors`` and ``sync``, in which the databases are."""

    directory: str = bounds.STATE_DIRECTORY


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class ClockTable:
    """``[clock]``: what becomes of time-bound rules when the clock was never set."""

    untrusted: ClockPolicy = ClockPolicy.DENY_TIME_BOUND


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class ContactTable:
    """``contact``: the input of the door contact. ``nc``: closed circuit (on) while the door is closed."""

    input: Line
    sense: Wiring = Wiring.NC
    debounce: Debounce = bounds.DEBOUNCE.default


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class RexTable:
    """``rex``: the request-to-exit input. ``release`` false: it shunts the forced alarm only."""

    input: Line
    sense: Wiring = Wiring.NO
    release: bool = True
    time: RexTime = bounds.REX_TIME.default
    debounce: Debounce = bounds.DEBOUNCE.default


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class DoorTable(DoorPolicyTable):
    """``[door.NAME]``: one lock, its readers, inputs and times; its modes and rules are policy."""

    entry: str
    exit: str | None = None
    lock: Line
    fail: Literal["secure", "safe"] = "secure"
    contact: ContactTable | None = None
    rex: RexTable | None = None
    fire: ContactTable | None = None
    strike_time: StrikeTime = bounds.STRIKE_TIME.default
    extended_time: ExtendedTime = bounds.EXTENDED_TIME.default
    held_open_time: HeldOpenTime = bounds.HELD_OPEN_TIME.default
    held_open_warning: Duration = bounds.HELD_OPEN_WARNING.default
    relock: Relock = Relock.ON_CLOSE
    staleness: StalenessTable | None = None

    @model_validator(mode="after")
    def _whole(self) -> DoorTable:
        bounds.check_held_open(self.held_open_time, self.held_open_warning)
        if self.exit is not None and self.exit == self.entry:
            raise ValueError("entry and exit are the same reader; a door with one reader has no exit")
        return self


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class InterlockTable:
    """``[[interlock]]``: only one door of the set may be open (or released)."""

    doors: tuple[str, ...]
    rule: InterlockRule = InterlockRule.ONE_OPEN

    @field_validator("doors")
    @classmethod
    def _two(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < 2:
            raise ValueError("an interlock has at least two different doors")
        return value


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class LockoutTable:
    """``lockout``: after so many wrong PINs within a time the reader refuses PINs, longer each time."""

    after: Annotated[int, AfterValidator(bounds.LOCKOUT_AFTER.checked)] = bounds.LOCKOUT_AFTER.default
    within: Duration = bounds.LOCKOUT_WITHIN.default
    for_: Duration = Field(default=bounds.LOCKOUT_FOR.default, alias="for")


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class PinTable:
    """``[pin]``: length, time and lockout of PINs."""

    length: Annotated[int, AfterValidator(bounds.PIN_LENGTH.checked)] = bounds.PIN_LENGTH.default
    timeout: Duration = bounds.PIN_TIMEOUT.default
    lockout: LockoutTable = LockoutTable()
    duress: Literal["last_digit_plus_one", "off"] = "off"


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class JournalTable:
    """``[journal]``: how many events are stored."""

    keep: Count = bounds.KEEP.default
    max_size: Size = bounds.MAX_SIZE.default


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class ControlTable:
    """``[control]``: the sockets of ``latchctl`` and the Unix groups that may use them."""

    socket: SocketPath = bounds.DOORS_SOCKET
    sync_socket: SocketPath = bounds.SYNC_SOCKET
    operators: tuple[str, ...] = (bounds.OPERATORS,)
    viewers: tuple[str, ...] = (bounds.VIEWERS,)


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class SiteTables(PolicyTables):
    """The whole file but its bus, board and reader tables."""

    site: SiteTable
    scim: ScimSettings | None = None
    allow_simulation: bool = False
    state: StateTable = StateTable()
    brake: BrakeTable | None = None
    staleness: StalenessTable = StalenessTable()
    clock: ClockTable = ClockTable()
    door: Mapping[Name, DoorTable]
    interlock: tuple[InterlockTable, ...] = ()
    card_format: dict[Name, CardFormatTable] = Field(default_factory=dict)
    pin: PinTable = PinTable()
    journal: JournalTable = JournalTable()
    control: ControlTable = ControlTable()
