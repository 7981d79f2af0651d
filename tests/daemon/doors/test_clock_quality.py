"""How far the wall clock is believed: what the kernel says, and what is known to have passed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cache.model import ClockQuality, Moment
from daemon.doors.clock_quality import EARLIEST_PLAUSIBLE, passed, quality_of

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


def test_what_is_known_to_have_passed() -> None:
    assert passed(None, Moment(NOW, 0.0, HOLDOVER)) == NOW
    assert passed(NOW, Moment(NOW + HOUR, 0.0, HOLDOVER)) == NOW + HOUR
    assert passed(NOW + HOUR, Moment(NOW, 0.0, HOLDOVER)) == NOW + HOUR
    assert passed(NOW + HOUR, Moment(NOW, 0.0, SYNCED)) == NOW, "NTP took a wrong future back"


def test_where_the_beginning_of_plausible_times_is_another() -> None:
    old = datetime(2011, 3, 27, tzinfo=UTC)
    assert quality_of(old, None, SYNCED) is NEVER_SET
    assert quality_of(old, None, SYNCED, earliest=old) is SYNCED
