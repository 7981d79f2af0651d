"""The clocks of the machine: wall, monotonic, which boot, and how far the wall clock can be believed."""

from __future__ import annotations

import ctypes
import time
from datetime import UTC, datetime
from pathlib import Path

from cache.model import ClockQuality, Moment

EARLIEST_PLAUSIBLE = datetime(2026, 1, 1, tzinfo=UTC)
"""Before this release existed: a controller that says so has a clock that was never set."""

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


def now(newest: datetime | None = None) -> Moment:
    """This instant on every clock. ``newest`` is the last instant that is known to have passed."""
    utc = datetime.now(UTC)
    kernel = ClockQuality.SYNCED if kernel_synchronised() else ClockQuality.HOLDOVER
    return Moment(utc, time.monotonic(), quality_of(utc, newest, kernel))


def quality_of(utc: datetime, newest: datetime | None, said: ClockQuality) -> ClockQuality:
    """How far ``utc`` can be believed, given what is ``said`` of the clock.

    ``never_set`` before this release existed. A clock that nobody disciplines is ``never_set`` also before
    ``newest``: it lost its battery. One that NTP sets is believed when it goes back, which is on record as a jump:
    else one event stamped in a wrong future would shut the site's schedules down until then.
    """
    if utc < EARLIEST_PLAUSIBLE:
        return ClockQuality.NEVER_SET
    if newest is not None and utc < newest and said is not ClockQuality.SYNCED:
        return ClockQuality.NEVER_SET
    return said


def passed(newest: datetime | None, at: Moment) -> datetime:
    """The last instant known to have passed, once an event was stamped ``at``.

    A clock that NTP sets has the last word, also when it takes back a future that was stamped before: else the
    clock would count as never set as soon as NTP is away, until that future is reached.
    """
    return at.utc if newest is None or at.quality is ClockQuality.SYNCED else max(newest, at.utc)


def kernel_synchronised() -> bool:
    """Whether an NTP or PTP daemon disciplines the kernel's clock: ``adjtimex(2)`` without STA_UNSYNC."""
    timex = _Timex()
    if _LIBC.adjtimex(ctypes.byref(timex)) < 0:
        return False
    return not timex.status & _STA_UNSYNC
