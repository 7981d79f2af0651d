"""The small notations of the site file: times of day, weekdays, sizes, points. Pure."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, PlainValidator

from cache.model import Interval
from daemon.config.bounds import KEEP, LONGEST_SOCKET, MAX_SIZE
from drivers.events import Point

GPIO = "gpio:"
"""How a line of a chip is named directly."""

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = re.compile(r"([01]\d|2[0-4]):([0-5]\d)")
_SIZE = re.compile(r"(\d{1,9})(B|kB|MB|GB)")
_SIZE_UNITS = {"B": 1, "kB": 1000, "MB": 1000_000, "GB": 1000_000_000}
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


def check_socket(path: str) -> str:
    """The path of a Unix socket, as far as it can be seen from it."""
    if len(path.encode()) > LONGEST_SOCKET:
        raise ValueError(f"expected the path of a Unix socket, {LONGEST_SOCKET} bytes at most")
    return path


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


def parse_size(text: object) -> int:
    """Bytes from ``512MB``; kB, MB and GB are powers of 1000. What is smaller than 1 MB could hold no history."""
    match = _SIZE.fullmatch(text) if isinstance(text, str) else None
    size = 0 if match is None else int(match[1]) * _SIZE_UNITS[match[2]]
    if size < MAX_SIZE.least:
        raise ValueError('expected a size such as "512MB", at least "1MB"')
    return size


def parse_count(text: object) -> int:
    """A number of events; written as a number or, as in ``keep = "1000000"``, as digits."""
    if isinstance(text, int) and not isinstance(text, bool) and text >= KEEP.least:
        return text
    if isinstance(text, str) and text.isascii() and text.isdigit() and int(text) >= KEEP.least:
        return int(text)
    raise ValueError('expected a count above 0 such as "1000000"')


def parse_point(text: object) -> Point:
    """An output or input: ``main.out1``, ``reader:lobby-in/out0`` or ``gpio:/dev/gpiochip0/22``."""
    if isinstance(text, str):
        if text.startswith(GPIO):
            chip, slash, line = text.removeprefix(GPIO).rpartition("/")
            if slash and chip and line.isdigit():
                return Point(GPIO + chip, line)
        elif text.startswith("reader:"):
            device, slash, line = text.removeprefix("reader:").partition("/")
            if slash and device and line:
                return Point(device, line)
        else:
            device, dot, line = text.rpartition(".")
            if dot and device and line:
                return Point(device, line)
    raise ValueError('expected "board.out1", "reader:NAME/out0" or "gpio:/dev/gpiochip0/22"')


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
Size = Annotated[int, PlainValidator(parse_size)]
Count = Annotated[int, PlainValidator(parse_count)]
Line = Annotated[Point, PlainValidator(parse_point)]
SocketPath = Annotated[str, AfterValidator(check_socket)]
DoorMode = Literal["locked", "card_and_pin", "unlocked", "blocked"]
