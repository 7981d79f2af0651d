"""The age of the cache: the greater of two readings while it runs, over clocks that are set, and over restarts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cache.model import ClockQuality, Freshness, Moment
from daemon.doors.controller.cache_age import NAME, CacheAge
from daemon.doors.controller.effects import Collected
from daemon.doors.door.elapsed import Restart

SYNCED = datetime(2026, 3, 2, 8, tzinfo=UTC)
FRESH = Freshness(3, SYNCED)
HOUR, DAY = 3600.0, 86400.0
NEVER_SET = ClockQuality.NEVER_SET


def at(seconds: float, set_by: float = 0.0, quality: ClockQuality = ClockQuality.HOLDOVER) -> Moment:
    """So long after the sync, with a wall clock that was set by so much."""
    return Moment(SYNCED + timedelta(seconds=seconds + set_by), 500.0 + seconds, quality)


def age(one: CacheAge, now: Moment, freshness: Freshness = FRESH) -> float:
    assert freshness.synced_at is not None
    return (one.judged_at(freshness, now) - freshness.synced_at).total_seconds()


def noticed(out: Collected | None = None, now: Moment | None = None) -> CacheAge:
    one = CacheAge(out or Collected())
    one.note(FRESH, now or at(0.5))
    return one


@pytest.mark.parametrize(("set_by", "expected"), [(0.0, DAY), (-HOUR, DAY), (-30 * DAY, DAY), (HOUR, DAY + HOUR)])
def test_it_is_the_greater_of_the_two_readings(set_by: float, expected: float) -> None:
    assert age(noticed(), at(DAY, set_by)) == pytest.approx(expected)


def test_a_clock_that_was_ahead_makes_it_no_older_once_it_is_set_right() -> None:
    one = noticed()
    assert age(one, at(HOUR, 3650 * DAY)) > 3000 * DAY
    assert age(one, at(HOUR)) == pytest.approx(HOUR)


def test_another_sync_begins_a_new_age() -> None:
    one = noticed()
    later = Freshness(4, SYNCED - timedelta(hours=5))
    one.note(FRESH, at(HOUR, -6 * HOUR))
    newer = Freshness(4, SYNCED + timedelta(hours=1))
    one.note(newer, at(HOUR))
    assert age(one, at(HOUR + 60), newer) == pytest.approx(60)
    older = Freshness(1, SYNCED - timedelta(days=9))
    assert age(one, at(HOUR), older) == pytest.approx(9 * DAY + HOUR), "another cache, older than this one"
    assert later.synced_at is not None


def test_an_older_word_of_the_same_generation_does_not_age_it() -> None:
    """The file beside the cache is not believed while the clock is set back; the sync happened all the same."""
    one = noticed()
    committed = Freshness(3, SYNCED - timedelta(days=40))
    one.note(committed, at(60, -HOUR))
    assert age(one, at(60, -HOUR), committed) == pytest.approx(60)


def test_a_sync_that_nobody_took_note_of_yet_is_judged_by_the_wall_clock() -> None:
    one = CacheAge(Collected())
    assert age(one, at(50)) == 50
    assert age(one, at(50, quality=NEVER_SET)) == 0
    assert one.judged_at(Freshness(), at(50)) == at(50).utc


# ------------------------------------------------------------------ starts


def started(
    now: Moment,
    stored: dict[str, str],
    reached: float | None,
    newest: datetime | None,
    out: Collected | None = None,
) -> CacheAge:
    one = CacheAge(out or Collected())
    one.start(stored, Restart(now, reached), newest)
    one.note(FRESH, now)
    return one


def test_a_clock_that_was_never_set_is_no_reading_and_the_journal_proves_an_age() -> None:
    now = Moment(datetime(1996, 1, 1, tzinfo=UTC), 10.0, NEVER_SET)
    one = started(now, {}, None, SYNCED + timedelta(hours=2))
    assert age(one, now) == pytest.approx(2 * HOUR)
    later = Moment(datetime(1996, 1, 1, 1, tzinfo=UTC), 10.0 + HOUR, NEVER_SET)
    assert age(one, later) == pytest.approx(3 * HOUR)
    set_now = Moment(SYNCED + timedelta(hours=30), 10.0 + 2 * HOUR)
    assert age(one, set_now) == pytest.approx(30 * HOUR), "once it is set it is a reading again"


def test_where_the_clocks_disagree_the_age_survives_a_restart() -> None:
    out = Collected()
    one = noticed(out)
    assert not out.state
    one.note(FRESH, at(30 * DAY, -30 * DAY))
    stored = {NAME: str(out.state[NAME])}
    one.note(FRESH, at(30 * DAY + 9, -30 * DAY))
    again = at(30 * DAY + HOUR, -30 * DAY)
    same_boot = started(again, stored, again.monotonic, None)
    assert age(same_boot, again) == pytest.approx(30 * DAY + HOUR)
    proved = started(again, stored, 500.0 + 30 * DAY, None)
    assert age(proved, again) == pytest.approx(30 * DAY)


def test_what_is_stored_goes_with_the_next_sync_and_with_damage() -> None:
    out = Collected()
    one = noticed(out)
    one.note(FRESH, at(DAY, -DAY))
    stored = {NAME: str(out.state[NAME])}
    one.note(Freshness(3, SYNCED + timedelta(hours=1)), at(DAY))
    assert out.state[NAME] is None
    assert age(started(at(60), stored, None, None), at(60)) >= 60
    damaged = Collected()
    assert age(started(at(60), {NAME: "?"}, None, None, damaged), at(60)) == pytest.approx(60)
    assert damaged.state == {NAME: None}


def test_a_clock_that_was_set_back_in_the_dark_does_not_undo_what_the_journal_proves() -> None:
    now = at(DAY, -DAY)
    assert age(started(now, {}, None, SYNCED + timedelta(hours=20)), now) == pytest.approx(20 * HOUR)
