"""How far the wall clock is believed: what the kernel says, and what is known to have passed."""

from __future__ import annotations

import ctypes
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cache.model import ClockQuality, Moment
from daemon.doors import clock

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
        (clock.EARLIEST_PLAUSIBLE, None, SYNCED, SYNCED),
    ],
)
def test_how_far_a_clock_is_believed(
    utc: datetime, newest: datetime | None, kernel: ClockQuality, believed: ClockQuality
) -> None:
    assert clock.quality_of(utc, newest, kernel) is believed


def test_what_is_known_to_have_passed() -> None:
    assert clock.passed(None, Moment(NOW, 0.0, HOLDOVER)) == NOW
    assert clock.passed(NOW, Moment(NOW + HOUR, 0.0, HOLDOVER)) == NOW + HOUR
    assert clock.passed(NOW + HOUR, Moment(NOW, 0.0, HOLDOVER)) == NOW + HOUR
    assert clock.passed(NOW + HOUR, Moment(NOW, 0.0, SYNCED)) == NOW, "NTP took a wrong future back"


@pytest.mark.parametrize("synchronised", [True, False])
def test_a_moment_has_every_clock(synchronised: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "kernel_synchronised", lambda: synchronised)
    before = (datetime.now(UTC), time.monotonic())
    now = clock.now()
    assert before[0] <= now.utc <= datetime.now(UTC)
    assert before[1] <= now.monotonic <= time.monotonic()
    assert now.quality is (SYNCED if synchronised else HOLDOVER)
    assert clock.now(now.utc + HOUR).quality is (SYNCED if synchronised else NEVER_SET)


def test_the_kernel_is_asked_as_adjtimex_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The structure is where the kernel has it: adjtimex with no mode returns the clock's state and writes it."""
    timex = clock._Timex()
    state = ctypes.CDLL(None).adjtimex(ctypes.byref(timex))
    assert 0 <= state <= 5
    assert timex.maxerror > 0
    unsynchronised = bool(timex.status & 0x0040)
    assert (state == 5) >= unsynchronised, "TIME_ERROR is what an unsynchronised clock returns"
    assert clock.kernel_synchronised() is not unsynchronised

    class Refusing:
        def adjtimex(self, _: object) -> int:
            return -1

    monkeypatch.setattr(clock, "_LIBC", Refusing())
    assert not clock.kernel_synchronised(), "a kernel that does not say is not believed"


def test_the_boot_is_the_kernels() -> None:
    assert clock.boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert len(clock.boot_id()) == 36
