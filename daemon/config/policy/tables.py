"""The policy tables: access levels, schedules, special days, what doors do by the clock, areas. Pure.

They stand in the site file, or come as a document of their own with a bundle; the same classes read both. What a
table can know of itself is checked here, what needs two of them in ``checks``. No driver is imported: the hub uses
this package.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator
from pydantic.dataclasses import dataclass

from daemon.config import bounds
from daemon.config.policy.notation import DoorMode, Name, TimeOfDay, TimeRange, parse_date, parse_weekdays
from daemon.decision.door_rules import AntiPassback
from daemon.decision.recurrence import parse_recurrence
from drivers.settings import STRICT, Duration


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
class DoorPolicyTable:
    """What ``[door.NAME]`` says of who may pass and when; the rest of it is the door's hardware."""

    mode: DoorMode = "locked"
    two_person: TwoPersonTable | None = None
    double_badge: DoubleBadgeTable | None = None
    lockdown_exempt: tuple[str, ...] = ()
    area: AreaStepTable | None = None


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
class PolicyTables:
    """The whole policy; ``door`` has a table for each door whose mode or rules differ from the defaults."""

    door: Mapping[Name, DoorPolicyTable] = Field(default_factory=dict)
    schedule: dict[Name, Week] = Field(default_factory=dict)
    special_days: dict[Name, Days] = Field(default_factory=dict)
    access_level: tuple[AccessLevelTable, ...] = ()
    door_schedule: tuple[DoorScheduleTable, ...] = ()
    door_exception: tuple[DoorExceptionTable, ...] = ()
    area: dict[Name, AreaTable] = Field(default_factory=dict)
