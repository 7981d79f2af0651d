"""A checked policy as the decision has it: tables turned into the domain. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date
from zoneinfo import ZoneInfo

from cache.model import (
    ALWAYS,
    NEVER,
    AccessException,
    AccessLevel,
    Interval,
    Mode,
    Schedule,
    StalenessPolicy,
)
from daemon.config.policy.notation import parse_date, parse_weekdays
from daemon.config.policy.tables import (
    AccessExceptionTable,
    AccessLevelTable,
    AreaTable,
    Days,
    DoorExceptionTable,
    DoorPolicyTable,
    DoorScheduleTable,
    PolicyTables,
    StalenessTable,
    Week,
)
from daemon.decision.door_rules import Area, DoorException, DoorPlan, DoorSchedule, ModeWindow, TwoPersonRule
from daemon.decision.recurrence import parse_recurrence
from daemon.decision.schedule import wall_ranges


@dataclass(frozen=True, slots=True)
class DoubleBadge:
    """Two grants of a member of ``groups`` (references) within ``within`` seconds toggle the unlock."""

    groups: frozenset[str]
    within: float


@dataclass(frozen=True, slots=True)
class DoorPolicy:
    """Who may pass one door, and its mode by the clock."""

    plan: DoorPlan
    levels: tuple[AccessLevel, ...]
    lockdown_exempt: frozenset[str] = frozenset()
    two_person: TwoPersonRule | None = None
    double_badge: DoubleBadge | None = None
    to_area: Area | None = None
    from_area: Area | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """A whole policy. ``references`` are the words by which it means access groups."""

    schedules: Mapping[str, Schedule]
    levels: tuple[AccessLevel, ...]
    areas: Mapping[str, Area]
    doors: Mapping[str, DoorPolicy]
    references: frozenset[str]


def build_policy(tables: PolicyTables, doors: Iterable[str], zone: ZoneInfo) -> Policy:
    """Return the domain values of tables that ``check_policy`` accepted, for each of ``doors``."""
    schedules = {name: build_schedule(name, week) for name, week in tables.schedule.items()}
    schedules |= {"always": ALWAYS, "never": NEVER}
    levels = tuple(_level(table, tables, schedules, zone) for table in tables.access_level)
    areas = _areas(tables)
    found = {name: _door(name, tables, schedules, levels, areas) for name in doors}
    return Policy(schedules, levels, areas, found, frozenset(group_references(tables)))


def build_schedule(name: str, week: Week) -> Schedule:
    """``mon-fri = ["08:00-18:00"]`` as seven tuples of intervals."""
    days: list[tuple[Interval, ...]] = [()] * 7
    for key, intervals in week.items():
        for day in parse_weekdays(key):
            days[day] = tuple(intervals)
    return Schedule(name, tuple(days))


def special_days(names: Iterable[str], tables: Mapping[str, Days]) -> dict[date, tuple[Interval, ...]]:
    """Several lists of special days as one: on a date that stands in two of them, the union."""
    merged: dict[date, tuple[Interval, ...]] = {}
    for name in names:
        for key, intervals in tables[name].items():
            day = parse_date(key)
            merged[day] = (*merged.get(day, ()), *intervals)
    return merged


def staleness_policy(table: StalenessTable) -> StalenessPolicy:
    """A staleness table as the domain has it."""
    return StalenessPolicy(table.degrade_after, table.deny_after)


def group_references(tables: PolicyTables) -> Iterator[str]:
    """Every word by which the policy means an access group."""
    for level in tables.access_level:
        yield from level.groups
    for schedule in tables.door_schedule:
        yield from schedule.first_person_in
    for door in tables.door.values():
        yield from door.lockdown_exempt
        for rule in (door.two_person, door.double_badge):
            if rule is not None:
                yield from rule.groups


def _level(
    table: AccessLevelTable, tables: PolicyTables, schedules: Mapping[str, Schedule], zone: ZoneInfo
) -> AccessLevel:
    return AccessLevel(
        name=table.name,
        groups=frozenset(table.groups),
        doors=frozenset(table.doors),
        schedule=schedules[table.schedule],
        special_days=special_days(table.special_days, tables.special_days),
        exceptions=tuple(one for exception in table.exception for one in _access_exceptions(exception, zone)),
        essential=table.essential,
        staleness=staleness_policy(table.staleness) if table.staleness is not None else None,
    )


def _access_exceptions(table: AccessExceptionTable, zone: ZoneInfo) -> Iterator[AccessException]:
    """The ranges of instants of one table: a local time is meant as the wall clock of the site's zone shows it."""
    if table.from_.tzinfo is not None:
        yield AccessException(table.from_.astimezone(UTC), table.until.astimezone(UTC), table.access)
        return
    for start, end in wall_ranges(table.from_, table.until, zone):
        yield AccessException(start, end, table.access)


def _areas(tables: PolicyTables) -> dict[str, Area]:
    """Every area with rules, and what lies inside one, also without rules of its own."""
    ways = [(door.area.from_, door.area.to) for door in tables.door.values() if door.area is not None]
    outer = areas_around(ways)
    inner = {name for name, around in outer.items() if not around.isdisjoint(tables.area)}
    names = [*tables.area, *sorted(inner - tables.area.keys())]
    return {
        name: _area(name, tables.area.get(name, AreaTable()), outer.get(name, frozenset()) & {*names})
        for name in names
    }


def areas_around(ways: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    """The areas around each area, from the (from, to) of every door: every way from outside leads through them.

    Outside is where no door leads to. A door may be passed both ways: by that fewer areas are inner, never more.
    """
    known = list(ways)
    names = {name for way in known for name in way}
    outside = names - {to for _, to in known}
    steps = [*known, *((to, from_) for from_, to in known)]
    around: dict[str, frozenset[str]] = {}
    reached = _reached(outside, steps, without=None)
    cut = {name: reached - _reached(outside - {name}, steps, without=name) - {name} for name in names - outside}
    for name in names:
        around[name] = frozenset(outer for outer, inside in cut.items() if name in inside)
    return around


def _reached(start: set[str], steps: Iterable[tuple[str, str]], without: str | None) -> set[str]:
    """Every name that the steps lead to, none of them through ``without``."""
    reached, fresh = set(start), set(start)
    open_steps = [(from_, to) for from_, to in steps if without not in (from_, to)]
    while fresh:
        fresh = {to for from_, to in open_steps if from_ in fresh} - reached
        reached |= fresh
    return reached


def _area(name: str, table: AreaTable, outer: frozenset[str]) -> Area:
    return Area(name, table.anti_passback, table.timed, table.reset, table.occupancy, outer)


def _door(
    name: str,
    tables: PolicyTables,
    schedules: Mapping[str, Schedule],
    levels: tuple[AccessLevel, ...],
    areas: Mapping[str, Area],
) -> DoorPolicy:
    table = tables.door.get(name, DoorPolicyTable())
    two, double, area = table.two_person, table.double_badge, table.area
    return DoorPolicy(
        plan=DoorPlan(
            default=Mode(table.mode),
            schedules=tuple(_schedule(s, tables, schedules) for s in tables.door_schedule if s.door == name),
            exceptions=tuple(_door_exception(e) for e in tables.door_exception if e.door == name),
        ),
        levels=tuple(level for level in levels if name in level.doors),
        lockdown_exempt=frozenset(table.lockdown_exempt),
        two_person=TwoPersonRule(frozenset(two.groups), two.within) if two is not None else None,
        double_badge=DoubleBadge(frozenset(double.groups), double.within) if double is not None else None,
        to_area=areas.get(area.to) if area is not None else None,
        from_area=areas.get(area.from_) if area is not None else None,
    )


def _schedule(table: DoorScheduleTable, tables: PolicyTables, schedules: Mapping[str, Schedule]) -> DoorSchedule:
    return DoorSchedule(
        schedule=schedules[table.schedule],
        mode=Mode(table.mode),
        special_days=special_days(table.special_days, tables.special_days),
        first_person_in=frozenset(table.first_person_in),
        grace=table.grace,
    )


def _door_exception(table: DoorExceptionTable) -> DoorException:
    return DoorException(
        windows=tuple(ModeWindow(window.at, Mode(window.mode)) for window in table.windows),
        dates=frozenset(table.dates),
        first=table.from_,
        last=table.until,
        recurrence=parse_recurrence(table.recurrence, table.from_) if table.recurrence is not None else None,
    )
