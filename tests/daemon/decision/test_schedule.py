"""daemon.decision.schedule against the naive evaluation: days of five years in each of eight time zones.

test_schedule_years.py goes through every minute of those years.
"""

from __future__ import annotations

import itertools
import random
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cache.model import ALWAYS, NEVER, AccessException, AccessLevel, Interval, Mode, Schedule
from daemon.decision.door_rules import DoorException, DoorPlan, DoorSchedule, ModeWindow
from daemon.decision.schedule import (
    contains,
    level_next_edge,
    level_open,
    next_mode_edge,
    scheduled_mode,
    wall_ranges,
)
from tests.daemon.decision.naive_schedule import NaiveDoor, NaiveLevel, each_minute

BERLIN = ZoneInfo("Europe/Berlin")

YEARS = {
    "Europe/Berlin": 2024,
    "America/New_York": 2024,
    "Australia/Lord_Howe": 2024,
    "Asia/Kathmandu": 2024,
    "Pacific/Apia": 2010,  # Friday 2011-12-30 does not exist there
    "America/Havana": 2024,  # the clock changes at midnight
    "America/St_Johns": 2007,  # until 2011 it went from 00:01 back to 23:01 of the day before
    "UTC": 2024,
}
"""Each zone with the first of the five years that are sampled."""


def changes(zone: ZoneInfo, year: int) -> list[datetime]:
    """The days (as UTC midnights) of five years on which the offset is another at the end."""
    days = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(5 * 365)]
    return [
        at
        for at in days
        if at.astimezone(zone).utcoffset() != (at + timedelta(days=1)).astimezone(zone).utcoffset()
    ]


CHANGES = {name: changes(ZoneInfo(name), year) for name, year in YEARS.items()}

minutes = st.integers(0, 1439) | st.sampled_from([0, 1, 60, 119, 120, 121, 150, 180, 1380, 1381, 1439])
intervals = st.builds(Interval, minutes, minutes | st.just(1440))
days = st.lists(intervals, max_size=3).map(tuple)
schedules = st.builds(Schedule, st.just("drawn"), st.tuples(*[days] * 7)) | st.sampled_from([ALWAYS, NEVER])
modes = st.sampled_from([Mode.LOCKED, Mode.CARD_AND_PIN, Mode.UNLOCKED, Mode.BLOCKED])


@st.composite
def starts(draw: st.DrawFn, name: str) -> datetime:
    """An instant of the zone's five years to start a day at, often one on which the clock changes."""
    if CHANGES[name] and draw(st.booleans()):
        return draw(st.sampled_from(CHANGES[name])) - timedelta(hours=draw(st.integers(0, 24)))
    return datetime(YEARS[name], 1, 1, tzinfo=UTC) + timedelta(minutes=draw(st.integers(0, 5 * 365 * 1440)))


@st.composite
def special_days(draw: st.DrawFn, around: datetime) -> dict[date, tuple[Interval, ...]]:
    offsets = draw(st.sets(st.integers(-3, 4), max_size=3))
    return {around.date() + timedelta(days=offset): draw(days) for offset in offsets}


@st.composite
def levels(draw: st.DrawFn, around: datetime) -> AccessLevel:
    exceptions = []
    for _ in range(draw(st.integers(0, 2))):
        start = around + timedelta(minutes=draw(st.integers(-2000, 3000)))
        length = timedelta(minutes=draw(st.integers(1, 4000)))
        exceptions.append(AccessException(start, start + length, draw(st.booleans())))
    schedule, special = draw(schedules), draw(special_days(around))
    return AccessLevel("L", frozenset({"G"}), frozenset({"D"}), schedule, special, tuple(exceptions))


EXAMPLES = settings(max_examples=14, deadline=None)
each_zone = pytest.mark.parametrize("name", sorted(YEARS))


@each_zone
@EXAMPLES
@given(data=st.data())
def test_every_minute_agrees_with_the_naive_evaluation(name: str, data: st.DataObject) -> None:
    zone, start = ZoneInfo(name), data.draw(starts(name))
    level = data.draw(levels(start))
    naive = NaiveLevel(level, zone)
    for at in each_minute(start, 1440):
        assert level_open(level, zone, at) is naive.open(at), (at, at.astimezone(zone))


@each_zone
@EXAMPLES
@given(data=st.data())
def test_edges_are_just_the_minutes_at_which_the_naive_evaluation_changes(name: str, data: st.DataObject) -> None:
    zone, start = ZoneInfo(name), data.draw(starts(name))
    level = data.draw(levels(start))
    naive = NaiveLevel(level, zone)
    instants = list(each_minute(start, 3 * 1440))
    flips = [at for last, at in itertools.pairwise(instants) if naive.open(last) != naive.open(at)]
    edges: list[datetime] = []
    edge = level_next_edge(level, zone, instants[0])
    while edge is not None and edge <= instants[-1]:
        edges.append(edge)
        edge = level_next_edge(level, zone, edge)
    assert edges == flips


@each_zone
@EXAMPLES
@given(data=st.data(), later=st.integers(0, 3 * 365 * 1440))
def test_the_answer_is_constant_up_to_the_next_edge_and_another_at_it(
    name: str, data: st.DataObject, later: int
) -> None:
    zone, start = ZoneInfo(name), data.draw(starts(name))
    level = data.draw(levels(start))
    before = level_open(level, zone, start)
    edge = level_next_edge(level, zone, start)
    if edge is None:
        assert level_open(level, zone, start + timedelta(minutes=later)) is before
        return
    assert edge > start
    assert level_open(level, zone, edge) is not before
    span = edge - start
    for share in (0.1, 0.5, 0.9, 0.999):
        assert level_open(level, zone, start + span * share) is before
    assert level_open(level, zone, edge - timedelta(seconds=1)) is before or span <= timedelta(seconds=1)


@each_zone
@EXAMPLES
@given(data=st.data(), default=modes)
def test_door_modes_and_their_edges_agree_with_the_naive_evaluation(
    name: str, data: st.DataObject, default: Mode
) -> None:
    zone, start = ZoneInfo(name), data.draw(starts(name))
    parts = [
        DoorSchedule(data.draw(schedules), data.draw(modes), data.draw(special_days(start)))
        for _ in range(data.draw(st.integers(0, 2)))
    ]
    exceptions = [
        DoorException(
            tuple(data.draw(st.lists(st.builds(ModeWindow, intervals, modes), max_size=2))),
            frozenset(
                start.date() + timedelta(days=n) for n in data.draw(st.sets(st.integers(-2, 3), max_size=2))
            ),
        )
        for _ in range(data.draw(st.integers(0, 2)))
    ]
    plan = DoorPlan(default, tuple(parts), tuple(exceptions))
    naive = NaiveDoor(plan, zone)
    shown: Mode | None = None
    edge: datetime | None = start
    for at in list(each_minute(start, 2 * 1440))[1::7]:
        if edge is not None and edge <= at:
            while edge is not None and edge <= at:
                shown = scheduled_mode(plan, zone, edge).mode
                edge = next_mode_edge(plan, zone, edge)
        assert scheduled_mode(plan, zone, at).mode is naive.mode(at)
        assert shown is naive.mode(at), (at, at.astimezone(zone))


@each_zone
@EXAMPLES
@given(data=st.data())
def test_a_range_of_wall_time_is_just_the_minutes_at_which_the_wall_shows_it(
    name: str, data: st.DataObject
) -> None:
    zone, around = ZoneInfo(name), data.draw(starts(name))
    first = (around + timedelta(minutes=data.draw(st.integers(0, 1440)))).astimezone(zone).replace(tzinfo=None)
    last = first + timedelta(minutes=data.draw(st.integers(1, 1440)))
    ranges = wall_ranges(first, last, zone)
    for at in each_minute(around - timedelta(hours=3), 3 * 1440 + 360):
        shown = at.astimezone(zone).replace(tzinfo=None)
        assert any(start <= at < end for start, end in ranges) is (first <= shown < last), (at, shown)


@example(seed=0)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_adding_a_level_or_an_interval_never_closes(seed: int) -> None:
    chosen = random.Random(seed)
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=chosen.randrange(365 * 1440))
    week = [[Interval(chosen.randrange(1440), chosen.randrange(1441))] for _ in range(7)]
    wider = [[*day, Interval(chosen.randrange(1440), chosen.randrange(1441))] for day in week]
    narrow, wide = (Schedule("s", tuple(tuple(day) for day in days_)) for days_ in (week, wider))
    assert contains(wide, {}, BERLIN, now) or not contains(narrow, {}, BERLIN, now)
