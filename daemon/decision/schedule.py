"""Whether a schedule is open at an instant, and when that may change: exact across every change of the clock.

An interval is meant in wall-clock time of the site's zone. So the question is asked of the wall clock: an
instant is inside when the date and minute that a clock on the wall shows are inside. From that follows what
docs/glossary.md demands: a wall time that does not exist starts at the first instant after the gap, and one that
occurs twice is covered both times. docs/access-rules.md has the table.

An interval that crosses midnight belongs to the date on which it starts, in every respect: a special day
replaces the intervals that start on its date, and the rest of the night before stays as it was. A door
exception is stronger: it owns its date, from midnight to midnight, and every window that begins on it. The night
before ends at its midnight, that of another exception too; its own windows may run past the next one.

Instants in and out are timezone-aware; out they are UTC.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cache.model import (
    AccessException,
    AccessLevel,
    Interval,
    Mode,
    ModeCause,
    Schedule,
    SpecialDays,
)
from daemon.decision.door_rules import DoorException, DoorPlan, DoorSchedule
from daemon.decision.recurrence import occurs

DAY = 1440
"""Minutes of a wall-clock day, however long that day is."""

HORIZON = timedelta(days=400)
"""How far a door's next edge is searched; past it the end of the search is the answer (it *may* change)."""

_SETTLE = timedelta(days=22)
"""Behind the last special day a weekly schedule with an edge has shown it after this, clock changes included."""

STRICTNESS = (Mode.UNLOCKED, Mode.LOCKED, Mode.CARD_AND_PIN, Mode.LOCKDOWN, Mode.BLOCKED)
"""From the most open mode to the strictest."""


@dataclass(frozen=True, slots=True)
class LevelTime:
    """What the clock says about an access level: open or not, and which of its rules said so.

    ``day`` is the date whose intervals ruled: the one before, where one of them runs past midnight.
    """

    open: bool
    cause: ModeCause
    exception: AccessException | None = None
    day: date | None = None


@dataclass(frozen=True, slots=True)
class ScheduledMode:
    """The mode that the clock gives a door, and through what.

    ``name`` is the schedule's (or ``exception``); with ``first_person_in`` the mode waits for a member of those
    groups, who counts from ``grace`` seconds before the window.
    """

    mode: Mode
    cause: ModeCause
    name: str = ""
    first_person_in: frozenset[str] = frozenset()
    grace: float = 0.0


# ------------------------------------------------------------------ weekly intervals and special days


def contains(schedule: Schedule, special_days: SpecialDays, zone: ZoneInfo, now: datetime) -> bool:
    """Whether ``now`` is inside the schedule, special days included."""
    wall = now.astimezone(zone)
    return _inside(schedule, special_days, wall.date(), wall.hour * 60 + wall.minute)


def next_edge(schedule: Schedule, special_days: SpecialDays, zone: ZoneInfo, now: datetime) -> datetime | None:
    """The first instant after ``now`` at which ``contains`` answers otherwise; None if it never will."""
    inside = contains(schedule, special_days, zone, now)
    always = constant(schedule)
    today = now.astimezone(zone).date()
    ahead = sorted(day for day in special_days if day >= today - timedelta(days=1))
    # A week without edges changes only around its special days: look there and nowhere else.
    if always is None:
        spans = [(now, _midnight(max([today, *ahead])) + _SETTLE)]
    else:
        spans = [
            (max(now, _midnight(day) - timedelta(days=1)), _midnight(day) + timedelta(days=4)) for day in ahead
        ]

    def edges(day: date) -> Iterable[int]:
        return _edges(_intervals(schedule, special_days, day), _intervals(schedule, special_days, _before(day)))

    for start, end in spans:
        for instant in _instants(zone, start, end, edges):
            if instant > now and contains(schedule, special_days, zone, instant) != inside:
                return instant
    return None


def _inside(schedule: Schedule, special_days: SpecialDays, day: date, minute: int) -> bool:
    return next(_owners(schedule, special_days, day, minute), None) is not None


def _owners(schedule: Schedule, special_days: SpecialDays, day: date, minute: int) -> Iterator[date]:
    """The dates whose intervals hold this minute: the day itself, the one before, both or none."""
    for interval in _intervals(schedule, special_days, day):
        if interval.start <= minute and (minute < interval.end or interval.end <= interval.start):
            yield day
            break
    before = _before(day)
    for interval in _intervals(schedule, special_days, before):
        if minute < interval.end <= interval.start:
            yield before
            break


def _intervals(schedule: Schedule, special_days: SpecialDays, day: date) -> tuple[Interval, ...]:
    special = special_days.get(day)
    return schedule.week[day.weekday()] if special is None else special


def _before(day: date) -> date:
    return day - timedelta(days=1)


def _edges(today: Iterable[Interval], yesterday: Iterable[Interval]) -> set[int]:
    """The minutes of a day at which something may begin or end."""
    edges = {0}
    for interval in today:
        edges.add(interval.start)
        if interval.start < interval.end < DAY:
            edges.add(interval.end)
    edges.update(interval.end for interval in yesterday if interval.end <= interval.start)
    return edges


@lru_cache(maxsize=256)
def constant(schedule: Schedule) -> bool | None:
    """True or False if the week (special days apart) is open or closed throughout, None if it has an edge."""
    shown = {
        _inside(schedule, {}, day, minute)
        for day in (date(2024, 1, number) for number in range(1, 8))
        for minute in _edges(schedule.week[day.weekday()], schedule.week[_before(day).weekday()])
    }
    return shown.pop() if len(shown) == 1 else None


# ------------------------------------------------------------------ access levels


def level_time(level: AccessLevel, zone: ZoneInfo, now: datetime) -> LevelTime:
    """Whether the level is open: exception before special day before weekly schedule.

    Of exceptions that overlap, one that takes access away wins.
    """
    return level_time_on(level, now, now.astimezone(zone))


def level_time_on(level: AccessLevel, now: datetime, wall: datetime) -> LevelTime:
    """``level_time`` for a caller who asks about many levels and has the wall-clock time of ``now`` at hand."""
    ruling: AccessException | None = None
    for exception in level.exceptions:
        if exception.start <= now < exception.end and (ruling is None or ruling.access):
            ruling = exception
    if ruling is not None:
        return LevelTime(ruling.access, ModeCause.EXCEPTION, ruling)
    day = wall.date()
    owner = next(_owners(level.schedule, level.special_days, day, wall.hour * 60 + wall.minute), None)
    special = (owner or day) in level.special_days
    return LevelTime(
        owner is not None, ModeCause.SPECIAL_DAY if special else ModeCause.SCHEDULE, None, owner or day
    )


def level_open(level: AccessLevel, zone: ZoneInfo, now: datetime) -> bool:
    """Whether the level grants at ``now``, as far as time goes."""
    return level_time(level, zone, now).open


def level_next_edge(level: AccessLevel, zone: ZoneInfo, now: datetime) -> datetime | None:
    """The first instant after ``now`` at which ``level_open`` answers otherwise; None if it never will."""
    before = level_open(level, zone, now)
    bounds = sorted({bound for item in level.exceptions for bound in (item.start, item.end) if bound > now})
    at: datetime | None = now
    while at is not None:
        following = next((bound for bound in bounds if bound > at), None)
        ruled = any(item.start <= at < item.end for item in level.exceptions)
        edge = None if ruled else next_edge(level.schedule, level.special_days, zone, at)
        at = min((instant for instant in (following, edge) if instant is not None), default=None)
        if at is not None and level_open(level, zone, at) != before:
            return at.astimezone(UTC)
    return None


# ------------------------------------------------------------------ doors


def scheduled_mode(plan: DoorPlan, zone: ZoneInfo, now: datetime) -> ScheduledMode:
    """The mode that the clock gives a door: exception, special day, door schedule, default mode.

    Where windows of one rank overlap, the strictest mode wins.
    """
    wall = now.astimezone(zone)
    day, minute = wall.date(), wall.hour * 60 + wall.minute
    excepted = _excepted(plan, day, minute)
    if excepted is not None:
        return excepted
    ranked: dict[bool, list[DoorSchedule]] = {True: [], False: []}
    for schedule in plan.schedules:
        owners = list(_owners(schedule.schedule, schedule.special_days, day, minute))
        if owners and (day in owners or not _is_excepted(plan, _before(day))):
            ranked[any(owner in schedule.special_days for owner in owners)].append(schedule)
    for special, cause in ((True, ModeCause.SPECIAL_DAY), (False, ModeCause.SCHEDULE)):
        if ranked[special]:
            ruling = max(ranked[special], key=lambda schedule: STRICTNESS.index(schedule.mode))
            return ScheduledMode(ruling.mode, cause, ruling.schedule.name, ruling.first_person_in, ruling.grace)
    return ScheduledMode(plan.default, ModeCause.DEFAULT)


def next_mode_edge(plan: DoorPlan, zone: ZoneInfo, now: datetime) -> datetime | None:
    """The first instant after ``now`` at which ``scheduled_mode`` may answer otherwise; None if it never will.

    With nothing found inside HORIZON the end of the search is returned, to be asked again then.
    """
    if not plan.schedules and not plan.exceptions:
        return None
    before = scheduled_mode(plan, zone, now)
    end = now + HORIZON

    def edges(day: date) -> Iterable[int]:
        return plan_edges(plan, day)

    for instant in _instants(zone, now, end, edges):
        if scheduled_mode(plan, zone, instant) != before:
            return instant
    return end.astimezone(UTC)


def exception_applies(exception: DoorException, day: date) -> bool:
    """Whether the door exception replaces the door's day on this date."""
    if day in exception.dates:
        return True
    if exception.recurrence is None and exception.first is None and exception.last is None:
        return False
    if exception.last is not None and day > exception.last:
        return False
    if exception.recurrence is not None:
        return occurs(exception.recurrence, exception.first, day)
    return exception.first is None or day >= exception.first


def _excepted(plan: DoorPlan, day: date, minute: int) -> ScheduledMode | None:
    modes: list[Mode] = []
    replaced = _is_excepted(plan, day)
    for exception in plan.exceptions:
        here = exception_applies(exception, day)
        if here:
            modes += [
                item.mode
                for item in exception.windows
                if item.at.start <= minute and (minute < item.at.end or item.at.end <= item.at.start)
            ]
        if (here or not replaced) and exception_applies(exception, _before(day)):
            modes += [item.mode for item in exception.windows if minute < item.at.end <= item.at.start]
    if not modes and not replaced:
        return None
    return ScheduledMode(max(modes, key=STRICTNESS.index, default=plan.default), ModeCause.EXCEPTION, "exception")


def _is_excepted(plan: DoorPlan, day: date) -> bool:
    return any(exception_applies(exception, day) for exception in plan.exceptions)


def plan_edges(plan: DoorPlan, day: date) -> set[int]:
    """Return the minutes of a date at which the door's mode may change; always with midnight."""
    edges: set[int] = {0}
    before = _before(day)
    for schedule in plan.schedules:
        edges |= _schedule_edges(schedule, day, before)
    for exception in plan.exceptions:
        windows = [item.at for item in exception.windows]
        today = windows if exception_applies(exception, day) else []
        edges |= _edges(today, windows if exception_applies(exception, before) else [])
    return edges


def _schedule_edges(schedule: DoorSchedule, day: date, before: date) -> set[int]:
    return _edges(
        _intervals(schedule.schedule, schedule.special_days, day),
        _intervals(schedule.schedule, schedule.special_days, before),
    )


# ------------------------------------------------------------------ from the wall clock to instants


def instant_of(wall: datetime, zone: ZoneInfo, *, end: bool = False) -> datetime:
    """The instant of a wall-clock time without zone, as the bound of a range.

    A wall time that does not exist is the first instant after the gap; of two, a start is the first and an end
    the last, so that the range covers both.
    """
    local = wall.replace(tzinfo=zone, fold=int(end))
    instant = local.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) != wall:
        # Inside a gap the two folds read the clock before and after it: the gap's end lies between them.
        earlier, later = sorted(wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        return _transition(zone, earlier, later)
    return instant


def wall_ranges(start: datetime, end: datetime, zone: ZoneInfo) -> tuple[tuple[datetime, datetime], ...]:
    """The instants at which a wall clock shows a time from ``start`` up to, but without, ``end`` (both local).

    One range, but where the clock goes back between or at them: an end that occurs twice is over at the first, and
    what lies in the doubled hour is inside in both passes.
    """
    ends = {instant_of(bound, zone, end=second) for bound in (start, end) for second in (False, True)}
    changes = set()
    for at in ends:
        low, high = at - timedelta(hours=12), at + timedelta(hours=12)
        if _offset(zone, low) != _offset(zone, high):
            changes.add(_transition(zone, low, high))
    points = sorted(ends | changes)
    ranges: list[tuple[datetime, datetime]] = []
    for at, following in itertools.pairwise(points):
        if start <= at.astimezone(zone).replace(tzinfo=None) < end:
            joins = bool(ranges) and ranges[-1][1] == at
            begin = ranges.pop()[0] if joins else at
            ranges.append((begin, following))
    return tuple(ranges)


def _midnight(day: date) -> datetime:
    """An instant within a day of the date's local midnight: good enough to bound a search."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _instants(
    zone: ZoneInfo, start: datetime, end: datetime, edges: Callable[[date], Iterable[int]]
) -> Iterator[datetime]:
    """Every instant in (start, end] at which a wall clock shows an edge of its date or is put forward or back.

    The way is cut into pieces of at most a day in which the offset from UTC stays the same; inside a piece
    wall time and instants run alike.
    """
    at = start.astimezone(UTC)
    while at < end:
        piece_end = at + timedelta(days=1)
        offset = _offset(zone, at)
        if _offset(zone, piece_end) != offset:
            piece_end = _transition(zone, at, piece_end)
        yield from _edges_between(at, piece_end, offset, edges)
        yield piece_end
        at = piece_end


def _edges_between(
    at: datetime, piece_end: datetime, offset: timedelta, edges: Callable[[date], Iterable[int]]
) -> Iterator[datetime]:
    day = (at + offset).date()
    while True:
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) - offset
        if midnight >= piece_end:
            return
        for minute in sorted(edges(day)):
            instant = midnight + timedelta(minutes=minute)
            if at < instant < piece_end:
                yield instant
        day += timedelta(days=1)


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta(0)


def _transition(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The first whole second after ``low``, up to ``high``, at which the offset is no longer that of ``low``."""
    offset = _offset(zone, low)
    low = low.replace(microsecond=0)
    seconds = int((high - low).total_seconds()) + 1
    first, last = 0, seconds
    while last - first > 1:
        middle = (first + last) // 2
        if _offset(zone, low + timedelta(seconds=middle)) == offset:
            first = middle
        else:
            last = middle
    return low + timedelta(seconds=last)
