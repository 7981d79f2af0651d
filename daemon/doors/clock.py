"""The clocks of the machine: wall, monotonic, which boot, and whether anyone disciplines the wall clock."""

from __future__ import annotations

import ctypes
import time
from datetime import UTC, datetime
from pathlib import Path

from cache.model import ClockQuality, Moment
from daemon.doors.clock_quality import quality_of

_STA_UNSYNC = 0x0040
_LIBC = ctypes.CDLL(None)


class _Timex(ctypes.Structure):
    """The head of ``struct timex`` (adjtimex(2)); the padding is larger than the rest of it is anywhere."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


def boot_id() -> str:
    """The kernel's random id of this boot: monotonic times of two boots cannot be compared."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def now() -> Moment:
    """Return this instant on every clock; what the journal knows of the time is not taken into account."""
    utc = datetime.now(UTC)
    kernel = ClockQuality.SYNCED if kernel_synchronised() else ClockQuality.HOLDOVER
    return Moment(utc, time.monotonic(), quality_of(utc, None, kernel))


def kernel_synchronised() -> bool:
    """Whether an NTP or PTP daemon disciplines the kernel's clock: ``adjtimex(2)`` without STA_UNSYNC."""
    timex = _Timex()
    if _LIBC.adjtimex(ctypes.byref(timex)) < 0:
        return False
    return not timex.status & _STA_UNSYNC
