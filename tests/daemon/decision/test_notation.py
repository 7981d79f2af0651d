"""daemon.decision.notation: schedules and durations in words."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from cache.model import ALWAYS, NEVER, Interval, Schedule
from daemon.decision.notation import describe_duration, describe_instant, describe_intervals, describe_schedule

DAY = (Interval(480, 1080),)
OFFICE = Schedule("office", (*(DAY,) * 5, (Interval(540, 780),), ()))


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (ALWAYS, "always"),
        (NEVER, "never"),
        (OFFICE, "08:00-18:00 Mon-Fri, 09:00-13:00 Sat"),
        (Schedule("s", ((), DAY, (), DAY, DAY, (), DAY)), "08:00-18:00 Tue, 08:00-18:00 Thu-Fri, 08:00-18:00 Sun"),
        (Schedule("s", ((Interval(480, 720), Interval(1380, 60)),) * 7), "08:00-12:00 and 23:00-01:00 Mon-Sun"),
        (Schedule("s", (*((),) * 6, (Interval(0, 1440),))), "00:00-24:00 Sun"),
    ],
)
def test_a_schedule_in_words(schedule: Schedule, words: str) -> None:
    assert describe_schedule(schedule) == words


def test_a_closed_day_in_words() -> None:
    assert describe_intervals(()) == "closed"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.9, "0 s"),
        (45, "45 s"),
        (60, "1 min"),
        (185, "3 min 5 s"),
        (3600, "1 h"),
        (3605, "1 h 5 s"),
        (86399, "23 h 59 min"),
        (187200, "2 d 4 h"),
    ],
)
def test_a_duration_in_words(seconds: float, words: str) -> None:
    assert describe_duration(seconds) == words


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (None, "any time"),
        (datetime(2026, 3, 2, 9, tzinfo=UTC), "2026-03-02 10:00"),
        (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), "9999-12-31 23:59 UTC"),
    ],
)
def test_an_instant_in_words_also_where_the_zone_leads_beyond_the_calendar(
    at: datetime | None, words: str
) -> None:
    assert describe_instant(at, ZoneInfo("Europe/Berlin")) == words
