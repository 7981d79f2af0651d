"""What the site file says of a door, beyond access levels: modes by the clock, areas, and the rules of a decision.

Frozen values. Groups are named by reference, as in ``AccessLevel``; durations are seconds; minutes count from
midnight of the wall-clock day.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from zoneinfo import ZoneInfo

from cache.model import (
    AccessLevel,
    ClockPolicy,
    Interval,
    Membership,
    Mode,
    Schedule,
    SpecialDays,
    StalenessPolicy,
)
from daemon.decision.notation import describe_schedule

REMEMBERED = 256
"""Sets of access groups whose paths are remembered for a door."""

HOLD = StalenessPolicy()
"""The policy that lets a cache of any age be used."""


class Frequency(StrEnum):
    """How often a recurrence happens (RFC 5545 section 3.3.10, FREQ; nothing shorter than a day)."""

    DAILY = "DAILY"
    WEEKLY = "WEEKLY"
    MONTHLY = "MONTHLY"
    YEARLY = "YEARLY"


@dataclass(frozen=True, slots=True)
class Recurrence:
    """The part of an RFC 5545 recurrence rule that falls on dates; ``recurrence`` reads and applies it.

    ``by_day`` holds (ordinal, weekday) with Monday 0 and ordinal 0 for every one; ``until`` is inclusive.
    """

    frequency: Frequency
    interval: int = 1
    by_day: tuple[tuple[int, int], ...] = ()
    by_month_day: tuple[int, ...] = ()
    by_month: tuple[int, ...] = ()
    count: int | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True)
class ModeWindow:
    """A mode that a door exception sets within an interval of its day."""

    at: Interval
    mode: Mode


@dataclass(frozen=True, slots=True)
class DoorException:
    """Dates on which ``windows`` replace the door's whole day; outside the windows the default mode holds.

    The dates are ``dates``, or those of ``recurrence`` counted from ``first``, or every date from ``first``
    to ``last``. Both bounds are inclusive.
    """

    windows: tuple[ModeWindow, ...] = ()
    dates: frozenset[date] = frozenset()
    first: date | None = None
    last: date | None = None
    recurrence: Recurrence | None = None


@dataclass(frozen=True, slots=True)
class DoorSchedule:
    """A mode that a door has inside a schedule.

    With ``first_person_in`` (references of groups) the mode starts only after a member was granted, at the
    earliest ``grace`` seconds before the window.
    """

    schedule: Schedule
    mode: Mode
    special_days: SpecialDays = field(default_factory=dict)
    first_person_in: frozenset[str] = frozenset()
    grace: float = 0.0


@dataclass(frozen=True, slots=True)
class DoorPlan:
    """Everything that gives one door its mode by the clock."""

    default: Mode = Mode.LOCKED
    schedules: tuple[DoorSchedule, ...] = ()
    exceptions: tuple[DoorException, ...] = ()


class AntiPassback(StrEnum):
    """What a second entry into an area without leaving it leads to."""

    OFF = "off"
    SOFT = "soft"
    HARD = "hard"


@dataclass(frozen=True, slots=True)
class Area:
    """A space with rules of its own. ``timed`` in seconds; ``reset`` in minutes of the wall-clock day.

    With ``timed`` > 0 a second entry is a violation only that long after the first. At ``reset`` every position
    is forgiven. ``occupancy`` 0 is no limit. ``outer`` are the areas around it: who is in it is inside them too.
    """

    name: str
    anti_passback: AntiPassback = AntiPassback.OFF
    timed: float = 0.0
    reset: int | None = None
    occupancy: int = 0
    outer: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TwoPersonRule:
    """Two different valid people within ``within`` seconds, both from ``groups`` (references) if any are named."""

    groups: frozenset[str]
    within: float


@dataclass(frozen=True, slots=True)
class Paths:
    """What one set of access groups means at a door: every word for the groups, and the levels that name any.

    Each level has its schedule in words and the name of the first group by which it is reached.
    """

    memberships: tuple[Membership, ...]
    references: frozenset[str]
    levels: tuple[tuple[AccessLevel, str, str], ...]


@dataclass(frozen=True, slots=True)
class DoorRules:
    """What the site file says of one door; made once per configuration.

    ``levels`` are those that name this door.
    ``staleness`` is the door's own policy, else the site's.
    ``to_area`` and ``from_area`` are the areas
    with rules; outside has none.
    """

    door: str
    zone: ZoneInfo
    levels: tuple[AccessLevel, ...] = ()
    lockdown_exempt: frozenset[str] = frozenset()
    two_person: TwoPersonRule | None = None
    staleness: StalenessPolicy = HOLD
    clock: ClockPolicy = ClockPolicy.DENY_TIME_BOUND
    to_area: Area | None = None
    from_area: Area | None = None
    _weeks: tuple[tuple[AccessLevel, str], ...] = field(init=False, repr=False, compare=False)
    _paths: dict[int, Paths] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Say every schedule in words once, not in every decision."""
        words = tuple((level, describe_schedule(level.schedule)) for level in self.levels)
        object.__setattr__(self, "_weeks", words)

    def paths(self, memberships: tuple[Membership, ...]) -> Paths:
        """Return what these groups mean here, levels in their order.

        Found once for each tuple and remembered: the lookup answers with one and the same for everybody in the
        same groups, and of those there are few.
        """
        known = self._paths.get(id(memberships))
        if known is None or known.memberships is not memberships:
            if len(self._paths) >= REMEMBERED:
                self._paths.clear()
            known = self._paths[id(memberships)] = self._find_paths(memberships)
        return known

    def _find_paths(self, memberships: tuple[Membership, ...]) -> Paths:
        levels = []
        for level, week in self._weeks:
            group = next((one for one in memberships if not one.references.isdisjoint(level.groups)), None)
            if group is not None:
                levels.append((level, week, group.group_name))
        references: frozenset[str] = frozenset().union(*[one.references for one in memberships])
        return Paths(memberships, references, tuple(levels))
