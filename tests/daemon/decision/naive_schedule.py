"""Schedules evaluated a second time, minute by minute and as simply as can be: the judge of the schedule.

Every date is a strip of 1440 wall-clock minutes that intervals paint. What a clock on the wall shows at an
instant is looked up on the strip of the date it shows. No edge, no offset and no case for DST occurs anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from cache.model import AccessLevel, Interval, Mode, Schedule, SpecialDays
from daemon.decision.door_rules import DoorException, DoorPlan

STRICTEST_FIRST = (Mode.BLOCKED, Mode.CARD_AND_PIN, Mode.LOCKED, Mode.UNLOCKED)


def minutes_of(interval: Interval) -> Iterator[tuple[int, int]]:
    """(days after the start's date, minute of that day) for every minute of an interval."""
    days, minute = 0, interval.start
    while True:
        yield days, minute
        minute += 1
        if minute == interval.end:
            return
        if minute == 1440:
            days, minute = days + 1, 0
            if minute == interval.end:
                return


def intervals_starting(schedule: Schedule, special_days: SpecialDays, day: date) -> tuple[Interval, ...]:
    if day in special_days:
        return special_days[day]
    return schedule.week[day.weekday()]


def painted(schedule: Schedule, special_days: SpecialDays, day: date) -> set[int]:
    """The minutes of ``day`` that are inside."""
    minutes = set()
    for back in (0, 1):
        for interval in intervals_starting(schedule, special_days, day - timedelta(days=back)):
            minutes |= {minute for days, minute in minutes_of(interval) if days == back}
    return minutes


def wall(zone: ZoneInfo, instant: datetime) -> tuple[date, int]:
    shown = instant.astimezone(zone)
    return shown.date(), shown.hour * 60 + shown.minute


class NaiveLevel:
    """An access level; strips are kept so that a test of many minutes ends today."""

    def __init__(self, level: AccessLevel, zone: ZoneInfo) -> None:
        self.level, self.zone = level, zone
        self.strips: dict[date, set[int]] = {}

    def open(self, instant: datetime) -> bool:
        ruling = [e.access for e in self.level.exceptions if e.start <= instant < e.end]
        if ruling:
            return False not in ruling
        day, minute = wall(self.zone, instant)
        if day not in self.strips:
            self.strips[day] = painted(self.level.schedule, self.level.special_days, day)
        return minute in self.strips[day]


class NaiveDoor:
    """The mode of a door whose exceptions name their dates one by one."""

    def __init__(self, plan: DoorPlan, zone: ZoneInfo) -> None:
        self.plan, self.zone = plan, zone
        self.strips: dict[date, list[Mode]] = {}

    def mode(self, instant: datetime) -> Mode:
        day, minute = wall(self.zone, instant)
        if day not in self.strips:
            self.strips[day] = self.painted(day)
        return self.strips[day][minute]

    def owners(self, day: date) -> list[DoorException]:
        """The exceptions that own this date: nothing else that begins on it counts."""
        return [exception for exception in self.plan.exceptions if day in exception.dates]

    def painted(self, day: date) -> list[Mode]:
        """The mode of every minute of ``day``; what is stronger covers what is weaker."""
        by_exception: dict[int, list[Mode]] = {}
        by_special: dict[int, list[Mode]] = {}
        by_week: dict[int, list[Mode]] = {}
        for back in (0, 1):
            start = day - timedelta(days=back)
            excepted = self.owners(start)
            for schedule in self.plan.schedules if not excepted else ():
                layer = by_special if start in schedule.special_days else by_week
                for interval in intervals_starting(schedule.schedule, schedule.special_days, start):
                    paint(layer, interval, back, schedule.mode)
            for exception in excepted:
                if back and self.owners(day) and exception not in self.owners(day):
                    continue  # the date has another owner, from its midnight on
                for window in exception.windows:
                    paint(by_exception, window.at, back, window.mode)
        layers = [by_exception, by_special, by_week]
        if self.owners(day):
            layers = [by_exception]
        strip = []
        for minute in range(1440):
            shown = next((layer[minute] for layer in layers if minute in layer), [self.plan.default])
            strip.append(min(shown, key=STRICTEST_FIRST.index))
        return strip


def paint(layer: dict[int, list[Mode]], interval: Interval, back: int, mode: Mode) -> None:
    for days, minute in minutes_of(interval):
        if days == back:
            layer.setdefault(minute, []).append(mode)


def each_minute(start: datetime, count: int) -> Iterator[datetime]:
    first = start.astimezone(UTC).replace(second=0, microsecond=0)
    return (first + timedelta(minutes=minute) for minute in range(count))
