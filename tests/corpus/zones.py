"""Schedules at random in many zones; the answers are worked out by tests/daemon/decision/naive_schedule.py."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from cache.model import AccessException, AccessLevel, Interval, Schedule
from tests.corpus.layout import Tables, file, level, site
from tests.daemon.decision.naive_schedule import NaiveLevel


def files() -> dict[str, Tables]:
    """Every file of this module by its name."""
    return dict(_zones())


def _zones() -> Iterator[tuple[str, Tables]]:
    """Schedules at random in many zones; the instants lie at and around changes of the naive evaluation."""
    chosen = random.Random(2026)
    places = [
        ("Europe/Berlin", "2026-03-26"),
        ("America/New_York", "2026-10-29"),
        ("Australia/Lord_Howe", "2026-04-02"),
        ("Asia/Kathmandu", "2026-06-01"),
        ("Pacific/Apia", "2011-12-27"),
        ("America/Havana", "2026-03-05"),
        ("UTC", "2026-12-29"),
    ]
    for zone, first in places:
        week = {day: [chosen_interval(chosen)] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
        start = date.fromisoformat(first)
        special = {str(start + timedelta(days=n)): [chosen_interval(chosen)] for n in chosen.sample(range(6), 2)}
        configuration = site(
            zone,
            schedule={"drawn": week},
            special_days={"drawn": special},
            access_level=[level("Staff drawn", schedule="drawn", special_days=["drawn"])],
        )
        naive = NaiveLevel(naive_level(week, special), ZoneInfo(zone))
        begin = datetime.combine(start, datetime.min.time(), UTC)
        minutes = [begin + timedelta(minutes=n) for n in range(6 * 1440)]
        flips = [n for n in range(1, len(minutes)) if naive.open(minutes[n - 1]) != naive.open(minutes[n])]
        near = [minutes[n + around] for n in chosen.sample(flips, min(6, len(flips))) for around in (-1, 0)]
        table = "note: by the naive evaluation\n" + "\n".join(
            f"{at.astimezone(ZoneInfo(zone)).isoformat()} {'granted' if naive.open(at) else 'outside_schedule'}"
            for at in sorted(near)
        )
        name = f"zone-{zone.split('/')[-1].lower().replace('_', '-')}"
        yield name, file(f"Drawn schedules: {zone}", configuration, table, name)


def chosen_interval(chosen: random.Random) -> str:
    start, end = (15 * chosen.randrange(96) for _ in range(2))
    return f"{start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"


def naive_level(week: dict[str, list[str]], special: dict[str, list[str]]) -> AccessLevel:
    days = tuple(tuple(map(interval, day)) for day in week.values())
    replaced = {date.fromisoformat(day): tuple(map(interval, texts)) for day, texts in special.items()}
    none: tuple[AccessException, ...] = ()
    return AccessLevel("drawn", frozenset(), frozenset(), Schedule("drawn", days), replaced, none)


def interval(text: str) -> Interval:
    start, end = (int(part[:2]) * 60 + int(part[3:]) for part in text.split("-"))
    return Interval(start, end)
