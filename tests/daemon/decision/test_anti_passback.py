"""daemon.decision.anti_passback: what an entry is, by the person's position, and when a reset was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.model import Moment
from daemon.decision.anti_passback import EntryVerdict, last_reset, passage
from daemon.decision.door_rules import AntiPassback, Area
from daemon.decision.request import Position

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def inside(minutes: float) -> Position:
    return Position("office", NOW - timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("area", "position", "expected"),
    [
        (Area("office"), inside(5), EntryVerdict.FREE),
        (Area("office", reset=0, occupancy=3), inside(5), EntryVerdict.FREE),
        (Area("office", AntiPassback.HARD), None, EntryVerdict.ELSEWHERE),
        (Area("office", AntiPassback.HARD), Position("lab", NOW), EntryVerdict.ELSEWHERE),
        (Area("office", AntiPassback.HARD), inside(60 * 24 * 300), EntryVerdict.VIOLATION),
        (Area("office", AntiPassback.SOFT), inside(0), EntryVerdict.VIOLATION),
        (Area("office", timed=60.0), inside(0.9), EntryVerdict.VIOLATION),
        (Area("office", timed=60.0), inside(1), EntryVerdict.FORGIVEN),
        (Area("office", timed=0.5), inside(0), EntryVerdict.VIOLATION),
        (Area("office", timed=0.5), inside(0.01), EntryVerdict.FORGIVEN),
        (Area("office", AntiPassback.HARD, reset=599), inside(1), EntryVerdict.VIOLATION),
        (Area("office", AntiPassback.HARD, reset=600), inside(1), EntryVerdict.FORGIVEN),
        (Area("office", AntiPassback.HARD, reset=600), inside(0), EntryVerdict.VIOLATION),
        (Area("office", AntiPassback.HARD, reset=601), inside(60 * 24), EntryVerdict.FORGIVEN),
    ],
)
def test_an_entry(area: Area, position: Position | None, expected: EntryVerdict) -> None:
    assert passage(area, position, BERLIN, Moment(NOW, 1000.0)) is expected


LAB_IN_OFFICE = Position("lab", NOW, 1000.0, (Position("office", NOW - timedelta(hours=1), 900.0),))


@pytest.mark.parametrize(
    ("area", "leaving", "expected"),
    [
        ("office", False, EntryVerdict.VIOLATION),  # who is in the lab is in the office too
        ("lab", False, EntryVerdict.VIOLATION),
        ("office", True, EntryVerdict.ELSEWHERE),  # the way out of the lab
        ("lab", True, EntryVerdict.VIOLATION),  # out of what is inside the lab, where nobody saw them enter
        ("garage", False, EntryVerdict.ELSEWHERE),
    ],
)
def test_who_is_in_an_inner_area_is_inside_the_outer_ones(
    area: str, leaving: bool, expected: EntryVerdict
) -> None:
    hard = Area(area, AntiPassback.HARD)
    assert passage(hard, LAB_IN_OFFICE, BERLIN, Moment(NOW, 1000.0), leaving=leaving) is expected


@pytest.mark.parametrize("clock", [-36000, 0, 36000])
def test_a_timed_one_is_a_duration(clock: int) -> None:
    area, position = Area("office", timed=7200.0), Position("office", NOW, 1000.0)
    for seconds, expected in ((7199.0, EntryVerdict.VIOLATION), (7200.0, EntryVerdict.FORGIVEN)):
        now = Moment(NOW + timedelta(seconds=seconds + clock), 1000.0 + seconds)
        assert passage(area, position, BERLIN, now) is expected


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-03-02T03:59:59", "2026-03-01T04:00"),
        ("2026-03-02T04:00:00", "2026-03-02T04:00"),
        ("2026-03-02T23:59:59", "2026-03-02T04:00"),
        ("2026-03-29T06:00:00", "2026-03-29T04:00"),
    ],
)
def test_the_last_reset(now: str, expected: str) -> None:
    assert last_reset(240, BERLIN, berlin(now)) == berlin(expected)


def test_the_day_of_a_reset_is_the_site_s() -> None:
    """Half past midnight in Berlin is the day before in UTC; what is left of a second does not count."""
    now = berlin("2026-03-03T00:30:00.000007")
    assert last_reset(15, BERLIN, now) == berlin("2026-03-03T00:15")
    assert last_reset(45, BERLIN, now) == berlin("2026-03-02T00:45")


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["Europe/Berlin", "Pacific/Apia", "America/Havana", "Australia/Lord_Howe", "UTC"]).map(
        ZoneInfo
    ),
    st.integers(0, 1439),
    st.datetimes(datetime(2011, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
)
def test_a_reset_lies_at_most_two_days_back_and_never_ahead(zone: ZoneInfo, minute: int, now: datetime) -> None:
    reset = last_reset(minute, zone, now)
    assert timedelta(0) <= now - reset <= timedelta(hours=48)
    assert last_reset(minute, zone, now + timedelta(minutes=1)) >= reset
