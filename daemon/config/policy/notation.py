"""The small notations of the policy half: times of day, weekdays, dates, names, modes. Pure."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, PlainValidator

from cache.model import Interval

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = re.compile(r"([01]\d|2[0-4]):([0-5]\d)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


def parse_interval(text: object) -> Interval:
    """``08:00-18:00`` as minutes ``[start, end)``; 23:59 and 24:00 as an end mean the end of that day."""
    start, dash, end = text.partition("-") if isinstance(text, str) else ("", "", "")
    first, last = _minutes(start.strip()), _minutes(end.strip())
    if not dash or first is None or last is None or first == 1440:
        raise ValueError('expected a range of times such as "08:00-18:00" (end "24:00" is midnight)')
    return Interval(first, 1440 if last == 1439 else last)


def _minutes(text: str) -> int | None:
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    minutes = int(match[1]) * 60 + int(match[2])
    return minutes if minutes <= 1440 else None


def parse_time_of_day(text: object) -> int:
    """``04:00`` as minutes after midnight, 0..1439."""
    minutes = _minutes(text) if isinstance(text, str) else None
    if minutes is None or minutes == 1440:
        raise ValueError('expected a time of day such as "04:00"')
    return minutes


def parse_weekdays(text: str) -> tuple[int, ...]:
    """``mon``, ``mon-fri`` or ``fri-mon`` as weekday numbers, Monday 0."""
    first, dash, last = text.partition("-")
    if not dash:
        last = first
    if first not in WEEKDAYS or last not in WEEKDAYS:
        raise ValueError(f'expected a weekday or a range of them such as "mon-fri" ({", ".join(WEEKDAYS)})')
    start = WEEKDAYS.index(first)
    count = (WEEKDAYS.index(last) - start) % 7 + 1
    return tuple((start + day) % 7 for day in range(count))


def check_name(text: str) -> str:
    """A name that a person can type in a command: letters, digits, ``-`` and ``_``."""
    if _NAME.fullmatch(text) is None:
        raise ValueError("expected a name of up to 63 letters, digits, '-' and '_'")
    return text


def parse_date(text: str) -> date:
    """An ISO date key such as ``"2026-12-24"``."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError('expected a date such as "2026-12-24"') from None


Name = Annotated[str, AfterValidator(check_name)]
TimeRange = Annotated[Interval, PlainValidator(parse_interval)]
TimeOfDay = Annotated[int, PlainValidator(parse_time_of_day)]
DoorMode = Literal["locked", "card_and_pin", "unlocked", "blocked"]
