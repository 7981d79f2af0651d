"""Schedules and durations in the words of a technician. Pure."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from cache.model import Interval, Schedule

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def describe_schedule(schedule: Schedule) -> str:
    """A week in words: ``08:00-18:00 Mon-Fri, 09:00-13:00 Sat``; ``always`` and ``never`` for all and nothing."""
    if schedule.always:
        return "always"
    parts: list[str] = []
    day = 0
    while day < 7:
        last = day
        while last < 6 and schedule.week[last + 1] == schedule.week[day]:
            last += 1
        if schedule.week[day]:
            days = _WEEKDAYS[day] if day == last else f"{_WEEKDAYS[day]}-{_WEEKDAYS[last]}"
            parts.append(f"{describe_intervals(schedule.week[day])} {days}")
        day = last + 1
    return ", ".join(parts) or "never"


def describe_intervals(intervals: tuple[Interval, ...]) -> str:
    """The intervals of one day: ``08:00-12:00 and 13:00-18:00``, or ``closed``."""
    return " and ".join(f"{_clock(i.start)}-{_clock(i.end)}" for i in intervals) or "closed"


def describe_instant(at: datetime | None, zone: ZoneInfo) -> str:
    """An instant as a clock of the site shows it: ``2026-03-02 10:00``; ``any time`` for none.

    Next to the ends of the calendar a zone can lead beyond them: there it is the time in UTC.
    """
    if at is None:
        return "any time"
    try:
        at = at.astimezone(zone)
    except OverflowError:
        return f"{at:%Y-%m-%d %H:%M} UTC"
    return f"{at:%Y-%m-%d %H:%M}"


def describe_duration(seconds: float) -> str:
    """A duration with two units at most: ``45 s``, ``3 min 5 s``, ``2 d 4 h``."""
    left = int(seconds)
    parts: list[str] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
        if len(parts) == 2:
            break
    return " ".join(parts) or "0 s"


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
