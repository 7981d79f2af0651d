"""The virtual clock: it moves when told to, and its wall can be set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from cache.model import ClockQuality
from daemon.simulate.clock import MONOTONIC_START, VirtualClock

START = datetime(2026, 3, 2, 8, tzinfo=timezone(timedelta(hours=1)))


def test_it_goes_on_and_never_back() -> None:
    clock = VirtualClock(START)
    assert clock.now().utc == datetime(2026, 3, 2, 7, tzinfo=UTC)
    clock.move_to(MONOTONIC_START + 0.1)
    clock.move_to(MONOTONIC_START)
    assert clock.monotonic == MONOTONIC_START + 0.1
    assert clock.utc() == START + timedelta(milliseconds=100)


def test_a_jump_moves_the_wall_alone() -> None:
    clock = VirtualClock(START)
    clock.jumped -= timedelta(hours=1)
    assert clock.utc() == START - timedelta(hours=1)
    assert clock.monotonic == MONOTONIC_START
    assert clock.until(START) == MONOTONIC_START + 3600


def test_its_quality_is_what_it_is_told() -> None:
    clock = VirtualClock(START, quality=ClockQuality.HOLDOVER)
    assert clock.now().quality is ClockQuality.HOLDOVER


def test_a_boot_begins_its_own_monotonic_time_while_the_wall_goes_on() -> None:
    clock = VirtualClock(START)
    clock.move_to(MONOTONIC_START + 10)
    clock.boot_again(dark=7200)
    assert (clock.boot, clock.monotonic) == (2, MONOTONIC_START)
    assert clock.utc() == START + timedelta(seconds=7210)
    clock.move_to(MONOTONIC_START + 1)
    assert clock.utc() == START + timedelta(seconds=7211)
