"""daemon.decision.recurrence against dateutil's reading of RFC 5545, and the rules it refuses."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.decision.door_rules import Frequency, Recurrence
from daemon.decision.recurrence import WEEKDAYS, occurs, parse_recurrence

firsts = st.dates(date(2015, 1, 1), date(2030, 12, 31))
weekdays = st.sampled_from(WEEKDAYS)


def listed(items: st.SearchStrategy[object]) -> st.SearchStrategy[str]:
    return st.lists(items.map(str), min_size=1, max_size=3, unique=True).map(",".join)


@st.composite
def rules(draw: st.DrawFn) -> str:
    frequency = draw(st.sampled_from(sorted(Frequency)))
    parts = [f"FREQ={frequency}"]
    if draw(st.booleans()):
        parts.append(f"INTERVAL={draw(st.integers(1, 5))}")
    by_month = draw(st.booleans())
    if by_month:
        parts.append(f"BYMONTH={draw(listed(st.integers(1, 12)))}")
    month_days = frequency != "WEEKLY" and draw(st.booleans())
    if month_days:
        parts.append(f"BYMONTHDAY={draw(listed(st.integers(1, 31) | st.integers(-31, -1)))}")
    if draw(st.booleans()):
        if frequency in ("MONTHLY", "YEARLY") and draw(st.booleans()):
            bound = 5 if by_month or frequency == "MONTHLY" else 53
            ordinals = st.integers(1, bound) | st.integers(-bound, -1)
            parts.append(
                f"BYDAY={draw(listed(st.tuples(ordinals, weekdays).map(lambda pair: f'{pair[0]}{pair[1]}')))}"
            )
        else:
            parts.append(f"BYDAY={draw(listed(weekdays))}")
    end = draw(st.sampled_from(["", "COUNT", "UNTIL"]))
    if end == "COUNT":
        parts.append(f"COUNT={draw(st.integers(1, 12))}")
    elif end == "UNTIL":
        parts.append(f"UNTIL={draw(st.dates(date(2016, 1, 1), date(2036, 1, 1))):%Y%m%d}")
    return ";".join(parts)


@settings(max_examples=150, deadline=None)
@given(rules(), firsts)
def test_dates_are_those_of_an_independent_reader(text: str, first: date) -> None:
    rule = parse_recurrence(text, first)
    span = [first + timedelta(days=n) for n in range(-10, 1500)]
    start = datetime.combine(first, time())
    others = rrulestr(text, dtstart=start).between(start, datetime.combine(span[-1], time()), inc=True)
    assert [day for day in span if occurs(rule, first, day)] == [at.date() for at in others]


def test_every_part_is_read() -> None:
    text = "RRULE:FREQ=YEARLY;INTERVAL=2;BYDAY=-1MO,TU;BYMONTH=3,10;BYMONTHDAY=-1,15;COUNT=4"
    assert parse_recurrence(text, date(2026, 1, 1)) == Recurrence(
        Frequency.YEARLY, 2, ((-1, 0), (0, 1)), (-1, 15), (3, 10), 4
    )
    assert parse_recurrence("freq=daily;until=20261231").until == date(2026, 12, 31)


def test_month_days_and_ordinals_limit_each_other() -> None:
    rule = parse_recurrence("FREQ=MONTHLY;BYDAY=1MO;BYMONTHDAY=1")
    firsts = [day for day in (date(2026, 1, 1) + timedelta(days=n) for n in range(365)) if occurs(rule, None, day)]
    assert firsts == [date(2026, 6, 1)]


def test_a_count_that_is_never_reached_has_no_end() -> None:
    rule = parse_recurrence("FREQ=YEARLY;COUNT=100", date(2024, 2, 29))
    assert occurs(rule, date(2024, 2, 29), date(2096, 2, 29))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not one of FREQ"),
        ("BYDAY=MO", "needs FREQ"),
        ("FREQ=HOURLY", "needs FREQ"),
        ("FREQ=DAILY;BYSETPOS=1", "BYSETPOS=1"),
        ("FREQ=DAILY;FREQ=DAILY", "stands twice"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL=0"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "BYMONTHDAY=32"),
        ("FREQ=YEARLY;BYMONTH=13", "BYMONTH=13"),
        ("FREQ=WEEKLY;BYDAY=XX", "BYDAY=XX"),
        ("FREQ=WEEKLY;BYDAY=2MO", "ordinal"),
        ("FREQ=MONTHLY;BYDAY=6MO", "at most five"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "no meaning"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20270101", "exclude each other"),
        ("FREQ=DAILY;UNTIL=20270230", "not a date"),
        ("FREQ=DAILY;UNTIL=20270101T000000Z", "without a time"),
        ("FREQ=DAILY;UNTIL=soon", "not a date"),
        ("FREQ=DAILY;COUNT=x", "COUNT=X"),
    ],
)
def test_what_is_outside_the_subset_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_recurrence(text, date(2026, 1, 1))


@pytest.mark.parametrize(
    "text", ["FREQ=DAILY;COUNT=3", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO", "FREQ=YEARLY", "FREQ=MONTHLY"]
)
def test_a_rule_that_is_counted_needs_a_date_to_count_from(text: str) -> None:
    with pytest.raises(ValueError, match="counted from a date"):
        parse_recurrence(text)
    assert parse_recurrence(text, datetime(2026, 1, 1, tzinfo=UTC).date())
