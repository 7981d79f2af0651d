"""What the doors' loop says of its own delays."""

from __future__ import annotations

from daemon.doors.lag import RECENT, SLOW, Lag


def test_the_worst_stays_and_the_recent_is_forgotten() -> None:
    lag = Lag()
    assert (lag.worst, lag.recent(1000.0)) == (0.0, 0.0)
    lag.note(2.6, 1000.0)
    lag.note(0.01, 1001.0)
    assert (lag.worst, lag.recent(1000.0 + RECENT / 2)) == (2.6, 2.6)
    lag.note(0.02, 1000.0 + 2.5 * RECENT)
    assert (lag.worst, lag.recent(1000.0 + 2.5 * RECENT)) == (2.6, 0.02)
    assert lag.recent(1000.0 + 10 * RECENT) == 0.0


def test_a_slow_turn_is_logged_and_a_hundred_of_them_are_logged_once() -> None:
    lag = Lag()
    assert not lag.note(SLOW, 5.0)
    assert [lag.note(2 * SLOW, 5.0 + n / 10) for n in range(100)].count(True) == 1
    assert lag.note(2 * SLOW, 5.0 + RECENT)
