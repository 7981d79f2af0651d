"""Recurring dates: the subset of RFC 5545 section 3.3.10 that a door exception may use.

FREQ=DAILY|WEEKLY|MONTHLY|YEARLY with INTERVAL, BYDAY, BYMONTHDAY, BYMONTH, COUNT and UNTIL. A week starts on
Monday. Whether a date is in the set is arithmetic on that date alone, except under COUNT, which is counted
once from the start and remembered.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache

from daemon.decision.door_rules import Frequency, Recurrence

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_PARTS = ("FREQ", "INTERVAL", "BYDAY", "BYMONTHDAY", "BYMONTH", "COUNT", "UNTIL")
_EPOCH = date(1970, 1, 1)
_COUNT_DAYS = 366 * 40
"""How many days a COUNT is followed: a rule that has not used its count up after 40 years has no end here."""


def parse_recurrence(text: str, first: date | None = None) -> Recurrence:
    """Read an RRULE value such as ``FREQ=MONTHLY;BYDAY=-1FR``; ``first`` is the date it is counted from.

    Raises ValueError, in words for the person who wrote the rule, for anything outside the subset, and for a
    rule that needs ``first`` (COUNT, INTERVAL above 1, or no day named) when there is none.
    """
    parts: dict[str, str] = {}
    for part in text.removeprefix("RRULE:").split(";"):
        name, equals, value = part.partition("=")
        name = name.strip().upper()
        if not equals or name not in _PARTS:
            raise ValueError(f"recurrence part {part.strip()!r} is not one of {', '.join(_PARTS)}")
        if name in parts:
            raise ValueError(f"recurrence part {name} stands twice")
        parts[name] = value.strip().upper()
    if parts.get("FREQ") not in list(Frequency):
        raise ValueError("a recurrence needs FREQ=DAILY, WEEKLY, MONTHLY or YEARLY")
    rule = Recurrence(
        frequency=Frequency(parts["FREQ"]),
        interval=_number("INTERVAL", parts.get("INTERVAL", "1"), 1, 10_000),
        by_day=tuple(_weekday(item) for item in _items(parts, "BYDAY")),
        by_month_day=tuple(_number("BYMONTHDAY", item, -31, 31) for item in _items(parts, "BYMONTHDAY")),
        by_month=tuple(_number("BYMONTH", item, 1, 12) for item in _items(parts, "BYMONTH")),
        count=_number("COUNT", parts["COUNT"], 1, 10_000) if "COUNT" in parts else None,
        until=_until(parts["UNTIL"]) if "UNTIL" in parts else None,
    )
    _check(rule, first)
    return rule


def occurs(rule: Recurrence, first: date | None, day: date) -> bool:
    """Whether ``day`` is in the set of the rule counted from ``first``.

    ``first`` itself belongs to the set only where the rule says so, also under COUNT.
    """
    start = first or _EPOCH
    if day < start or (rule.until is not None and day > rule.until):
        return False
    if not _MATCH[rule.frequency](rule, start, day):
        return False
    return rule.count is None or day <= _last_counted(rule, start)


def _items(parts: dict[str, str], name: str) -> list[str]:
    return [item.strip() for item in parts[name].split(",")] if name in parts else []


def _number(name: str, text: str, low: int, high: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value == 0 or not low <= value <= high:
        raise ValueError(f"{name}={text} is not a number from {low} to {high} other than 0")
    return value


def _weekday(text: str) -> tuple[int, int]:
    ordinal, name = text[:-2], text[-2:]
    if name not in WEEKDAYS:
        raise ValueError(f"BYDAY={text} does not end in one of {', '.join(WEEKDAYS)}")
    return _number("BYDAY ordinal", ordinal, -53, 53) if ordinal else 0, WEEKDAYS.index(name)


def _until(text: str) -> date:
    digits = text.replace("-", "")
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8] if len(digits) == 8 else ""))
    except ValueError:
        raise ValueError(
            f"UNTIL={text} is not a date such as 20261231; here it is a date without a time"
        ) from None


def _check(rule: Recurrence, first: date | None) -> None:
    if any(ordinal for ordinal, _ in rule.by_day):
        if rule.frequency in (Frequency.DAILY, Frequency.WEEKLY):
            raise ValueError("BYDAY may have an ordinal (2MO, -1FR) only with FREQ=MONTHLY or YEARLY")
        if (rule.frequency is Frequency.MONTHLY or rule.by_month) and any(abs(o) > 5 for o, _ in rule.by_day):
            raise ValueError("a month has at most five of a weekday: BYDAY ordinals are -5 to 5")
    if rule.by_month_day and rule.frequency is Frequency.WEEKLY:
        raise ValueError("BYMONTHDAY has no meaning with FREQ=WEEKLY (RFC 5545 section 3.3.10)")
    if rule.count is not None and rule.until is not None:
        raise ValueError("COUNT and UNTIL exclude each other (RFC 5545 section 3.3.10)")
    names_a_day = bool(rule.by_day or rule.by_month_day) or rule.frequency is Frequency.DAILY
    if first is None and (rule.count is not None or rule.interval > 1 or not names_a_day):
        raise ValueError(
            "this recurrence is counted from a date: give `from`, or name the days without COUNT and INTERVAL"
        )


@lru_cache(maxsize=256)
def _last_counted(rule: Recurrence, start: date) -> date:
    """The date of occurrence number COUNT."""
    match = _MATCH[rule.frequency]
    left = rule.count or 0
    day = start
    for _ in range(_COUNT_DAYS):
        left -= match(rule, start, day)
        if left <= 0:
            return day
        day += timedelta(days=1)
    return date.max


def _daily(rule: Recurrence, start: date, day: date) -> bool:
    return (
        (day - start).days % rule.interval == 0
        and _in_month(rule, day)
        and _on_month_day(rule, day)
        and (not rule.by_day or any(day.weekday() == weekday for _, weekday in rule.by_day))
    )


def _weekly(rule: Recurrence, start: date, day: date) -> bool:
    weeks = ((day - timedelta(days=day.weekday())) - (start - timedelta(days=start.weekday()))).days // 7
    weekdays = [weekday for _, weekday in rule.by_day] or [start.weekday()]
    return weeks % rule.interval == 0 and day.weekday() in weekdays and _in_month(rule, day)


def _monthly(rule: Recurrence, start: date, day: date) -> bool:
    months = (day.year - start.year) * 12 + day.month - start.month
    if months % rule.interval or not _in_month(rule, day):
        return False
    if not rule.by_day and not rule.by_month_day:
        return day.day == start.day
    return _on_month_day(rule, day) and _on_weekday_of_month(rule, day)


def _yearly(rule: Recurrence, start: date, day: date) -> bool:
    if (day.year - start.year) % rule.interval or not _in_month(rule, day):
        return False
    if not rule.by_day and not rule.by_month_day:
        return day.day == start.day and (bool(rule.by_month) or day.month == start.month)
    if rule.by_month:
        return _on_month_day(rule, day) and _on_weekday_of_month(rule, day)
    return _on_month_day(rule, day) and _on_weekday_of_year(rule, day)


_MATCH: dict[Frequency, Callable[[Recurrence, date, date], bool]] = {
    Frequency.DAILY: _daily,
    Frequency.WEEKLY: _weekly,
    Frequency.MONTHLY: _monthly,
    Frequency.YEARLY: _yearly,
}


def _in_month(rule: Recurrence, day: date) -> bool:
    return not rule.by_month or day.month in rule.by_month


def _on_month_day(rule: Recurrence, day: date) -> bool:
    if not rule.by_month_day:
        return True
    length = calendar.monthrange(day.year, day.month)[1]
    return day.day in rule.by_month_day or day.day - length - 1 in rule.by_month_day


def _on_weekday_of_month(rule: Recurrence, day: date) -> bool:
    length = calendar.monthrange(day.year, day.month)[1]
    return _on_ordinal(rule, day, (day.day - 1) // 7 + 1, (length - day.day) // 7 + 1)


def _on_weekday_of_year(rule: Recurrence, day: date) -> bool:
    number = day.timetuple().tm_yday
    length = 366 if calendar.isleap(day.year) else 365
    return _on_ordinal(rule, day, (number - 1) // 7 + 1, (length - number) // 7 + 1)


def _on_ordinal(rule: Recurrence, day: date, from_start: int, from_end: int) -> bool:
    if not rule.by_day:
        return True
    weekday = day.weekday()
    return any(weekday == wanted and ordinal in (0, from_start, -from_end) for ordinal, wanted in rule.by_day)
