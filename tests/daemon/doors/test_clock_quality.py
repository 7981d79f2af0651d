"""How far the wall clock is believed: what the kernel says, and what is known to have passed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cache.model import ClockQuality, Moment
from daemon.doors.clock_quality import EARLIEST_PLAUSIBLE, ProvedTime, quality_of

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SYNCED, HOLDOVER, NEVER_SET = ClockQuality.SYNCED, ClockQuality.HOLDOVER, ClockQuality.NEVER_SET


@pytest.mark.parametrize(
    ("utc", "newest", "kernel", "believed"),
    [
        (NOW, None, SYNCED, SYNCED),
        (NOW, None, HOLDOVER, HOLDOVER),
        (NOW, NOW, HOLDOVER, HOLDOVER),
        (NOW, NOW - HOUR, HOLDOVER, HOLDOVER),
        (NOW, NOW + HOUR, HOLDOVER, NEVER_SET),
        (NOW, NOW + HOUR, SYNCED, SYNCED),
        (datetime(1970, 1, 1, tzinfo=UTC), None, HOLDOVER, NEVER_SET),
        (datetime(1970, 1, 1, tzinfo=UTC), None, SYNCED, NEVER_SET),
        (EARLIEST_PLAUSIBLE, None, SYNCED, SYNCED),
    ],
)
def test_how_far_a_clock_is_believed(
    utc: datetime, newest: datetime | None, kernel: ClockQuality, believed: ClockQuality
) -> None:
    assert quality_of(utc, newest, kernel) is believed


def at(seconds: float, ahead: timedelta = timedelta(), quality: ClockQuality = HOLDOVER) -> Moment:
    """So long after NOW by the monotonic clock, with a wall clock that is ahead."""
    return Moment(NOW + timedelta(seconds=seconds) + ahead, 500.0 + seconds, quality)


def test_a_clock_before_what_the_journal_proves_was_never_set() -> None:
    proved = ProvedTime(NOW)
    assert proved.believe(at(0)).quality is HOLDOVER
    assert proved.believe(at(10, -timedelta(seconds=2))).quality is HOLDOVER, "what NTP slews"
    assert proved.believe(at(10, -timedelta(seconds=3))).quality is NEVER_SET
    assert proved.believe(at(3600, -HOUR)).quality is NEVER_SET, "proved time goes on"


def test_a_clock_that_was_ahead_is_forgiven_when_it_is_set() -> None:
    """Ten years ahead for three seconds, events on record meanwhile, set back by hand, without NTP."""
    proved, decade = ProvedTime(NOW), timedelta(days=3650)
    for seconds in (1.0, 2.0, 3.0):
        assert proved.believe(at(seconds, decade)).quality is HOLDOVER
        proved.durable(at(seconds, decade))
    assert proved.believe(at(4)).quality is HOLDOVER
    assert proved.believe(at(4, -HOUR)).quality is NEVER_SET


def test_a_new_journal_proves_what_it_is_given_first() -> None:
    proved = ProvedTime(None)
    assert proved.at(500.0) is None
    assert proved.believe(at(0, -HOUR)).quality is HOLDOVER
    proved.durable(at(0, quality=NEVER_SET))
    assert proved.at(500.0) is None
    proved.durable(at(0))
    assert proved.at(510.0) == NOW + timedelta(seconds=10)
    assert proved.believe(at(10, -HOUR)).quality is NEVER_SET


def test_ntp_takes_back_what_was_proved() -> None:
    proved = ProvedTime(NOW + HOUR)
    assert proved.believe(at(0)).quality is NEVER_SET
    assert proved.believe(at(1, quality=SYNCED)).quality is SYNCED
    assert proved.believe(at(2)).quality is HOLDOVER
    assert proved.believe(Moment(datetime(1970, 1, 1, tzinfo=UTC), 503.0, SYNCED)).quality is NEVER_SET
    assert proved.believe(at(4)).quality is HOLDOVER


def test_where_the_beginning_of_plausible_times_is_another() -> None:
    old = datetime(2011, 3, 27, tzinfo=UTC)
    assert quality_of(old, None, SYNCED) is NEVER_SET
    assert quality_of(old, None, SYNCED, earliest=old) is SYNCED
