"""The small notations of the policy half: what each means, and what is refused with what was expected."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from cache.model import Interval
from daemon.config.policy.notation import (
    check_name,
    parse_date,
    parse_interval,
    parse_time_of_day,
    parse_weekdays,
)

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
    (parse_date, "2026-12-24", date(2026, 12, 24)),
    (check_name, "lobby-in_2", "lobby-in_2"),
    (check_name, "x" * 63, "x" * 63),
]

BAD: list[tuple[Parser, str, str]] = [
    *((parse_interval, text, "range of times") for text in (
        "", "08:00", "8:00-18:00", "08:00-24:01", "24:00-24:00", "08:60-09:00", "08:00-25:00", "-",
        "08:00-18:00-19:00",
    )),
    *((parse_time_of_day, text, "time of day") for text in ("", "24:00", "4:00", "04:60", "04.00")),
    *((parse_weekdays, text, "weekday") for text in ("", "Mon", "monday", "mon-", "-fri", "mon-fr")),
    *((parse_date, text, "2026-12-24") for text in ("", "25.12.2026", "2026-02-30", "12-25")),
    *((check_name, text, "letters, digits") for text in ("", "-in", "lobby in", "a.b", "x" * 64, "é", "lobby\n")),
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
    for parse in (parse_interval, parse_time_of_day):
        with pytest.raises(ValueError, match="expected"):
            parse(value)
