"""Five years without a gap, in six zones and more: the schedule against the naive evaluation of every minute."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from cache.model import AccessException, AccessLevel, Interval, Mode, Schedule
from daemon.decision.door_rules import DoorException, DoorPlan, DoorSchedule, ModeWindow
from daemon.decision.schedule import level_next_edge, level_open, next_mode_edge, scheduled_mode
from tests.daemon.decision.naive_schedule import STRICTEST_FIRST, NaiveDoor, NaiveLevel, each_minute
from tests.daemon.decision.test_schedule import YEARS

DAYS = 5 * 365 + 1
MINUTES = DAYS * 1440
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "UTC")
"""Summer time of an hour and of half an hour, on both hemispheres, an odd offset, a missing date, and none."""


class Drawn:
    """Schedules, special days and exceptions all over five years; the same ones for the same zone every time."""

    def __init__(self, name: str) -> None:
        self.zone = ZoneInfo(name)
        self.chosen = random.Random(name)
        self.start = datetime(YEARS[name], 1, 1, tzinfo=UTC)

    def intervals(self) -> tuple[Interval, ...]:
        count = self.chosen.randrange(3)
        return tuple(Interval(self.chosen.randrange(1440), self.chosen.randrange(1441)) for _ in range(count))

    def schedule(self) -> Schedule:
        return Schedule("drawn", tuple(self.intervals() for _ in range(7)))

    def day(self) -> date:
        return self.start.date() + timedelta(days=self.chosen.randrange(DAYS))

    def special_days(self) -> dict[date, tuple[Interval, ...]]:
        return {self.day(): self.intervals() for _ in range(60)}

    def exception(self) -> AccessException:
        begin = self.start + timedelta(minutes=self.chosen.randrange(MINUTES))
        length = timedelta(minutes=self.chosen.randrange(1, 5000))
        return AccessException(begin, begin + length, self.chosen.random() < 0.5)

    def level(self) -> AccessLevel:
        exceptions = tuple(self.exception() for _ in range(12))
        nobody: frozenset[str] = frozenset()
        return AccessLevel("L", nobody, nobody, self.schedule(), self.special_days(), exceptions)

    def mode(self) -> Mode:
        return self.chosen.choice(STRICTEST_FIRST)

    def plan(self) -> DoorPlan:
        schedules = tuple(DoorSchedule(self.schedule(), self.mode(), self.special_days()) for _ in range(2))
        exceptions = tuple(
            DoorException(
                tuple(ModeWindow(interval, self.mode()) for interval in self.intervals()),
                frozenset(self.day() for _ in range(10)),
            )
            for _ in range(5)
        )
        return DoorPlan(self.mode(), schedules, exceptions)


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ZONES)
def test_every_minute_of_five_years_of_an_access_level(name: str) -> None:
    """The naive answer of every minute gives the minutes of change: they are the edges, and no other minute is."""
    drawn = Drawn(name)
    level, zone = drawn.level(), drawn.zone
    naive = NaiveLevel(level, zone)
    instants = list(each_minute(drawn.start, MINUTES))
    opened = [naive.open(at) for at in instants]
    flips = [
        at for at, (last, shown) in zip(instants[1:], itertools.pairwise(opened), strict=True) if last != shown
    ]
    changed = {*flips, *(at - timedelta(minutes=1) for at in flips)}
    for number, (at, shown) in enumerate(zip(instants, opened, strict=True)):
        if number % 3 == 0 or at in changed:
            assert level_open(level, zone, at) is shown, (at, at.astimezone(zone))
    edges: list[datetime] = []
    edge = level_next_edge(level, zone, drawn.start)
    while edge is not None and edge < drawn.start + timedelta(days=DAYS):
        edges.append(edge)
        edge = level_next_edge(level, zone, edge)
    assert edges == flips
    assert len(flips) > 300


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", sorted(YEARS))
def test_five_years_of_a_door(name: str) -> None:
    """Between two edges the mode stays: asked at every edge, in the minute before it, and every half hour."""
    drawn = Drawn(name)
    plan, zone = drawn.plan(), drawn.zone
    naive = NaiveDoor(plan, zone)
    edges = [drawn.start]
    while (edge := next_mode_edge(plan, zone, edges[-1])) is not None and len(edges) < 20_000:
        if edge >= drawn.start + timedelta(days=DAYS):
            break
        edges.append(edge)
    for begin, end in itertools.pairwise([*edges, drawn.start + timedelta(days=DAYS)]):
        shown = scheduled_mode(plan, zone, begin).mode
        minutes = int((end - begin).total_seconds()) // 60
        for at in (
            *(begin + timedelta(minutes=30 * n) for n in range(minutes // 30 + 1)),
            end - timedelta(minutes=1),
        ):
            if begin <= at < end:
                assert naive.mode(at) is shown, (at, at.astimezone(zone))
    assert len(edges) > 300
