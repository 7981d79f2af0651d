"""The small notations of the site file: what each means, and what is refused with what was expected."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from cache.model import Interval
from daemon.config.values import (
    LONGEST_SOCKET,
    check_name,
    check_socket,
    parse_count,
    parse_date,
    parse_interval,
    parse_point,
    parse_size,
    parse_time_of_day,
    parse_weekdays,
)
from drivers.events import Point

Parser = Callable[[str], object]

GOOD: list[tuple[Parser, str, object]] = [
    (parse_interval, "08:00-18:00", Interval(480, 1080)),
    (parse_interval, "22:00-06:00", Interval(1320, 360)),
    (parse_interval, "00:00-24:00", Interval(0, 1440)),
    (parse_interval, "00:00-23:59", Interval(0, 1440)),
    (parse_interval, "08:00 - 18:00", Interval(480, 1080)),
    (parse_time_of_day, "04:00", 240),
    (parse_time_of_day, "23:59", 1439),
    (parse_weekdays, "mon", (0,)),
    (parse_weekdays, "mon-fri", (0, 1, 2, 3, 4)),
    (parse_weekdays, "fri-mon", (4, 5, 6, 0)),
    (parse_weekdays, "mon-sun", (0, 1, 2, 3, 4, 5, 6)),
    (parse_size, "512MB", 512_000_000),
    (parse_size, "1000kB", 1_000_000),
    (parse_size, "1000000B", 1_000_000),
    (parse_size, "2GB", 2_000_000_000),
    (parse_count, "1000000", 1_000_000),
    (parse_point, "main.out1", Point("main", "out1")),
    (parse_point, "reader:lobby-in/out0", Point("lobby-in", "out0")),
    (parse_point, "gpio:/dev/gpiochip0/22", Point("gpio:/dev/gpiochip0", "22")),
    (parse_date, "2026-12-24", date(2026, 12, 24)),
    (check_name, "lobby-in_2", "lobby-in_2"),
    (check_name, "x" * 63, "x" * 63),
    (check_socket, "/" + "x" * (LONGEST_SOCKET - 1), "/" + "x" * (LONGEST_SOCKET - 1)),
]

BAD: list[tuple[Parser, str, str]] = [
    *((parse_interval, text, "range of times") for text in (
        "", "08:00", "8:00-18:00", "08:00-24:01", "24:00-24:00", "08:60-09:00", "08:00-25:00", "-",
        "08:00-18:00-19:00",
    )),
    *((parse_time_of_day, text, "time of day") for text in ("", "24:00", "4:00", "04:60", "04.00")),
    *((parse_weekdays, text, "weekday") for text in ("", "Mon", "monday", "mon-", "-fri", "mon-fr")),
    *((parse_size, text, "size") for text in ("", "512", "512 MB", "-1MB", "1.5GB", "512mb", "0B", "999kB")),
    *((parse_count, text, "above 0") for text in ("", "0", "-5", "1e6", "１０", "10 ")),
    *((parse_point, text, "board.out1") for text in (
        "", "main", ".out1", "main.", "reader:lobby-in", "reader:/out0", "gpio:22", "gpio:/dev/gpiochip0/x",
        "gpio:",
    )),
    *((parse_date, text, "2026-12-24") for text in ("", "25.12.2026", "2026-02-30", "12-25")),
    *((check_name, text, "letters, digits") for text in ("", "-in", "lobby in", "a.b", "x" * 64, "é", "lobby\n")),
    (check_socket, "/" + "é" * 54, "107 bytes"),
]  # fmt: skip


@pytest.mark.parametrize(("parse", "text", "meant"), GOOD)
def test_what_a_notation_means(parse: Parser, text: str, meant: object) -> None:
    assert parse(text) == meant


@pytest.mark.parametrize(("parse", "text", "expected"), BAD)
def test_what_is_none_is_refused_with_an_example(parse: Parser, text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        parse(text)


@pytest.mark.parametrize("value", [None, 5, 5.0, True, [], {}])
def test_what_is_no_text_is_refused_in_the_same_words(value: object) -> None:
    for parse in (parse_interval, parse_time_of_day, parse_size, parse_point):
        with pytest.raises(ValueError, match="expected"):
            parse(value)


def test_a_count_may_be_written_as_a_number() -> None:
    assert parse_count(7) == 7
    for value in (True, 0, -1, 1.0, None):
        with pytest.raises(ValueError, match="above 0"):
            parse_count(value)
