"""How long something has lasted: one clock while the process runs, two readings over a restart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cache.model import ClockQuality, Moment
from daemon.doors.door.durable import Durable
from daemon.doors.door.elapsed import Restart, Since, since

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
BEGAN = Since(NOON, 500.0)


def after(minutes: float, monotonic: float, quality: ClockQuality = ClockQuality.SYNCED) -> Moment:
    return Moment(NOON + timedelta(minutes=minutes), monotonic, quality)


def test_while_the_process_runs_only_the_monotonic_clock_counts() -> None:
    assert since(after(0, 500.0)) == BEGAN
    for minutes in (-600, 1, 600):
        assert BEGAN.elapsed(after(minutes, 560.0)) == 60.0
        assert BEGAN.shown(after(minutes, 560.0)) == NOON + timedelta(minutes=minutes - 1)
    assert since(after(10, 1100.0), 600.0) == BEGAN


@pytest.mark.parametrize(
    ("minutes", "reached", "least", "most"),
    [
        (10, 800.0, 300.0, 600.0),
        (10, 1700.0, 600.0, 1200.0),
        (-10, 800.0, 0.0, 300.0),
        (10, None, 0.0, 600.0),
        (10, 400.0, 0.0, 600.0),
        (-10, None, 0.0, 0.0),
    ],
)
def test_over_a_restart_there_are_two_readings(
    minutes: float, reached: float | None, least: float, most: float
) -> None:
    """Neither is ever negative: what has begun has not begun in the future."""
    restart = Restart(after(minutes, 70.0), reached)
    assert restart.at_least(BEGAN) == since(restart.now, least)
    assert restart.at_most(BEGAN) == since(restart.now, most)
    assert restart.at_least(BEGAN).elapsed(after(minutes, 71.0)) == least + 1.0


@pytest.mark.parametrize(
    ("minutes", "reached", "lasted"), [(10, 800.0, 600.0), (-10, 800.0, 300.0), (10, None, 600.0)]
)
def test_over_a_power_cut_the_wall_clock_counts_and_at_least_what_is_proved(
    minutes: float, reached: float | None, lasted: float
) -> None:
    restart = Restart(after(minutes, 70.0), reached, same_boot=False)
    assert restart.at_least(BEGAN) == restart.at_most(BEGAN) == since(restart.now, lasted)


@pytest.mark.parametrize(("reached", "lasted"), [(800.0, 300.0), (None, 0.0)])
def test_a_clock_that_was_never_set_is_no_reading(reached: float | None, lasted: float) -> None:
    restart = Restart(after(1000, 70.0, ClockQuality.NEVER_SET), reached)
    assert restart.at_least(BEGAN) == restart.at_most(BEGAN) == since(restart.now, lasted)


def test_it_survives_as_text() -> None:
    durable = Durable(Since)
    assert durable.load(durable.dump(BEGAN)) == BEGAN
