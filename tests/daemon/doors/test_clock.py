"""The clocks of this machine, as the kernel has them."""

from __future__ import annotations

import ctypes
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cache.model import ClockQuality
from daemon.doors import clock

SYNCED, HOLDOVER = ClockQuality.SYNCED, ClockQuality.HOLDOVER


@pytest.mark.parametrize("synchronised", [True, False])
def test_a_moment_has_every_clock(synchronised: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "kernel_synchronised", lambda: synchronised)
    before = (datetime.now(UTC), time.monotonic())
    now = clock.now()
    assert before[0] <= now.utc <= datetime.now(UTC)
    assert before[1] <= now.monotonic <= time.monotonic()
    assert now.quality is (SYNCED if synchronised else HOLDOVER)


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
