"""The tables of the site file, key by key: CONFIG.md as dataclasses. Pure.

What a single table can know of itself is checked here; what needs two tables is checked in
``daemon.config.checks``. Bus, board and reader tables belong to their drivers and are read by
``daemon.config.devices``. docs/configuration.md describes every key, and a test compares.
"""

from __future__ import annotations

import itertools
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator
from pydantic.dataclasses import dataclass

from cache.model import ClockPolicy
from daemon.config import bounds
from daemon.config.bounds import InterlockRule, Relock, Wiring
from daemon.config.values import (
    Count,
    DoorMode,
    Line,
    Name,
    Size,
    SocketPath,
    TimeOfDay,
    TimeRange,
    parse_date,
    parse_weekdays,
)
from daemon.decision.door_rules import AntiPassback
from daemon.decision.recurrence import parse_recurrence
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
    """``[state]``: the directory of cache.db and journal.db."""

    directory: str = bounds.STATE_DIRECTORY


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class StalenessTable:
    """``[staleness]``: how old the last complete sync may be; absent keys mean for ever."""

    degrade_after: Duration | None = None
    deny_after: Duration | None = None

    @model_validator(mode="after")
    def _in_order(self) -> StalenessTable:
        if self.degrade_after and self.deny_after and self.degrade_after > self.deny_after:
            raise ValueError("degrade_after must not be later than deny_after")
        return self


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
class TwoPersonTable:
    """``two_person``: two different members of ``groups`` within ``within``."""

    groups: tuple[str, ...]
    within: Duration = bounds.TWO_PERSON_WITHIN.default


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class DoubleBadgeTable:
    """``double_badge``: two grants of a member of ``groups`` within ``within`` toggle the unlock."""

    groups: tuple[str, ...]
    within: Duration = bounds.DOUBLE_BADGE_WITHIN.default


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class AreaStepTable:
    """``area``: where an entry leads; ``from`` and ``to`` are areas, ``outside`` is always one."""

    from_: str = Field(alias="from")
    to: str


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class DoorTable:
    """``[door.NAME]``: one lock, its readers, inputs, times and modes."""

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
    mode: DoorMode = "locked"
    two_person: TwoPersonTable | None = None
    double_badge: DoubleBadgeTable | None = None
    lockdown_exempt: tuple[str, ...] = ()
    area: AreaStepTable | None = None
    staleness: StalenessTable | None = None

    @model_validator(mode="after")
    def _whole(self) -> DoorTable:
        bounds.check_held_open(self.held_open_time, self.held_open_warning)
        if self.exit is not None and self.exit == self.entry:
            raise ValueError("entry and exit are the same reader; a door with one reader has no exit")
        return self


Week = dict[str, tuple[TimeRange, ...]]
"""``mon-fri = ["08:00-18:00"]``: weekdays or ranges of them, with intervals."""

Days = dict[str, tuple[TimeRange, ...]]
"""``"2026-12-25" = []``: dates with the intervals that replace the weekly ones."""


def check_week(week: Week) -> Week:
    """Refuse unknown weekdays, a weekday given twice, and intervals of one day that overlap."""
    seen: set[int] = set()
    for key, intervals in week.items():
        days = parse_weekdays(key)
        if seen & set(days):
            raise ValueError(f'"{key}" names a weekday that another line of this schedule names too')
        seen.update(days)
        check_overlap(key, intervals)
    return week


def check_days(days: Days) -> Days:
    """Refuse keys that are no dates and intervals of one date that overlap."""
    for key, intervals in days.items():
        parse_date(key)
        check_overlap(key, intervals)
    return days


def check_overlap(key: str, intervals: tuple[TimeRange, ...]) -> None:
    """Refuse two intervals of one day that overlap: one of them is a mistake."""
    spans = sorted((i.start, i.end if i.end > i.start else i.end + 1440) for i in intervals)
    for (_, end), (start, _) in itertools.pairwise(spans):
        if start < end:
            raise ValueError(f'"{key}" has intervals that overlap')


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class AccessExceptionTable:
    """``[[access_level.exception]]``: local times; within ``[from, until)`` access is as said."""

    from_: datetime = Field(alias="from")
    until: datetime
    access: bool

    @model_validator(mode="after")
    def _in_order(self) -> AccessExceptionTable:
        if (self.from_.tzinfo is None) != (self.until.tzinfo is None):
            raise ValueError("from and until must both be local times or both have an offset")
        if self.until <= self.from_:
            raise ValueError("until must be later than from")
        return self


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class AccessLevelTable:
    """``[[access_level]]``: access groups x doors x schedule."""

    name: str
    groups: tuple[str, ...]
    doors: tuple[str, ...]
    schedule: str = "always"
    special_days: tuple[str, ...] = ()
    essential: bool = False
    staleness: StalenessTable | None = None
    exception: tuple[AccessExceptionTable, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class DoorScheduleTable:
    """``[[door_schedule]]``: the mode of a door on a schedule."""

    door: str
    schedule: str
    mode: DoorMode
    special_days: tuple[str, ...] = ()
    first_person_in: tuple[str, ...] = ()
    grace: Duration = bounds.GRACE.default


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class DoorWindowTable:
    """One window of a door exception."""

    at: TimeRange
    mode: DoorMode


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class DoorExceptionTable:
    """``[[door_exception]]``: dates on which the door's whole day is replaced by ``windows``."""

    door: str
    dates: tuple[date, ...] = ()
    from_: date | None = Field(default=None, alias="from")
    until: date | None = None
    recurrence: str | None = None
    windows: tuple[DoorWindowTable, ...] = ()

    @model_validator(mode="after")
    def _one_way(self) -> DoorExceptionTable:
        ways = [bool(self.dates), self.recurrence is not None, self.recurrence is None and self.from_ is not None]
        if sum(ways) != 1:
            raise ValueError("say when it applies in one way: dates, or from and until, or from and recurrence")
        if self.from_ is not None and self.until is not None and self.until < self.from_:
            raise ValueError("until must not be earlier than from")
        if self.recurrence is None and (self.from_ is None) != (self.until is None):
            raise ValueError("from and until go together")
        if self.recurrence is not None and self.from_ is None:
            raise ValueError("a recurrence starts somewhere: add from = DATE")
        if self.recurrence is not None:
            parse_recurrence(self.recurrence, self.from_)
        return self


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class AreaTable:
    """``[area.NAME]``: anti-passback and occupancy of a space."""

    anti_passback: AntiPassback = AntiPassback.OFF
    timed: Duration = bounds.TIMED.default
    reset: TimeOfDay | None = None
    occupancy: Annotated[int, AfterValidator(bounds.OCCUPANCY.checked)] = bounds.OCCUPANCY.default


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
    """``[journal]``: how much of the past is kept."""

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
class SiteTables:
    """The whole file but its bus, board and reader tables."""

    site: SiteTable
    scim: ScimSettings | None = None
    allow_simulation: bool = False
    state: StateTable = StateTable()
    staleness: StalenessTable = StalenessTable()
    clock: ClockTable = ClockTable()
    door: dict[Name, DoorTable]
    schedule: dict[Name, Week] = Field(default_factory=dict)
    special_days: dict[Name, Days] = Field(default_factory=dict)
    access_level: tuple[AccessLevelTable, ...] = ()
    door_schedule: tuple[DoorScheduleTable, ...] = ()
    door_exception: tuple[DoorExceptionTable, ...] = ()
    area: dict[Name, AreaTable] = Field(default_factory=dict)
    interlock: tuple[InterlockTable, ...] = ()
    card_format: dict[Name, CardFormatTable] = Field(default_factory=dict)
    pin: PinTable = PinTable()
    journal: JournalTable = JournalTable()
    control: ControlTable = ControlTable()
