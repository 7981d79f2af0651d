"""Lockouts: when wrong PINs lead to one, how long it lasts, and what is left of it after a restart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.model import Moment
from daemon.doors.door.durable import Durable
from daemon.doors.door.elapsed import Restart
from daemon.doors.door.lockout import (
    LONGEST_LOCKOUT,
    Lockout,
    LockoutRules,
    forgotten,
    left,
    missed,
    restarted,
    unreadable,
)

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
TWO = LockoutRules(after=2)


def at(seconds: float, clock: float = 0.0) -> Moment:
    """So long after the start; the wall clock may have been set by ``clock`` seconds."""
    return Moment(START + timedelta(seconds=seconds + clock), 500.0 + seconds)


def after(times: list[float], rules: LockoutRules = TWO) -> Lockout:
    lockout = Lockout()
    for seconds in times:
        lockout, _ = missed(lockout, rules, at(seconds))
    return lockout


def test_it_grows_and_is_forgotten_after_a_day() -> None:
    lockout, now = Lockout(), 0.0
    for seconds in [60, 120, 240, 480, 960, 1920, LONGEST_LOCKOUT, LONGEST_LOCKOUT]:
        for _ in range(4):
            lockout, wrong = missed(lockout, LockoutRules(), at(now))
            assert (wrong, left(lockout, at(now))) == (0, 0.0)
        lockout, wrong = missed(lockout, LockoutRules(), at(now))
        assert (wrong, left(lockout, at(now))) == (5, seconds)
        assert left(lockout, at(now + seconds - 1)) == 1
        now += seconds
        assert left(lockout, at(now)) == 0
    assert not forgotten(lockout, at(now - LONGEST_LOCKOUT + 86399))
    assert forgotten(lockout, at(now - LONGEST_LOCKOUT + 86400))
    lockout, _ = missed(lockout, LockoutRules(after=1), at(now + 86400))
    assert left(lockout, at(now + 86400)) == 60


@pytest.mark.parametrize(("gap", "wrong"), [(299.9, 2), (300.0, 0)])
def test_wrong_pins_count_only_within_the_window(gap: float, wrong: int) -> None:
    assert missed(after([0.0]), TWO, at(gap))[1] == wrong


@pytest.mark.parametrize("clock", [-7200.0, 7200.0, -1e7, 1e7])
def test_the_wall_clock_neither_ends_nor_stretches_it(clock: float) -> None:
    locked = after([0.0, 1.0])
    assert left(locked, at(31.0, clock)) == 30.0
    assert left(locked, at(61.0, clock)) == 0.0
    assert missed(after([0.0]), TWO, at(299.0, clock))[1] == 2
    assert missed(after([0.0]), TWO, at(300.0, clock))[1] == 0


@pytest.mark.parametrize(
    ("wall", "reached", "refused"),
    [(40.0, 510.0, 51.0), (10.0, 540.0, 51.0), (-7200.0, 540.0, 60.0), (7200.0, None, 60.0)],
)
def test_over_a_restart_the_reading_that_refuses_for_longer_counts(
    wall: float, reached: float | None, refused: float
) -> None:
    restart = Restart(Moment(START + timedelta(seconds=wall), 70.0), reached)
    again = restarted(after([0.0, 1.0]), restart)
    assert left(again, restart.now) == pytest.approx(refused)
    one = restarted(after([0.0]), Restart(Moment(START + timedelta(hours=9), 70.0), None))
    assert missed(one, TWO, Moment(START + timedelta(hours=9), 71.0))[1] == 2, "the miss before it counts still"


def test_a_configured_time_beyond_the_longest_holds() -> None:
    rules = LockoutRules(after=1, seconds=7200.0)
    locked, _ = missed(Lockout(), rules, at(0))
    assert left(locked, at(0)) == 7200.0
    longer = LockoutRules(after=1, seconds=200_000.0)
    locked, _ = missed(Lockout(), longer, at(0))
    assert not forgotten(locked, at(199_999))


def test_one_that_cannot_be_read_is_the_shortest_from_now() -> None:
    assert left(unreadable(LockoutRules(), at(5)), at(5)) == 60.0
    assert restarted(Lockout(), Restart(at(0))) == Lockout()
    assert forgotten(Lockout(), at(0))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 4000), max_size=20))
def test_it_survives_as_text(times: list[float]) -> None:
    durable, lockout = Durable(Lockout), after(sorted(times))
    assert durable.load(durable.dump(lockout)) == lockout
    assert durable.load('{"wrong": ["2026-03-02T08:00:00Z"], "times": 2, "last": null, "until": null}').times == 2
