"""How long something has lasted: by the monotonic clock while the process runs, cautiously over a restart. Pure.

What survives a restart carries its beginning on both clocks. At a start there are two readings of how long it has
lasted: the wall clock's, and the monotonic clock's as far as the journal proves it. Neither can be trusted alone,
so whoever asks takes the one that gives less access, and counts on from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from cache.model import ClockQuality, Moment


@dataclass(frozen=True, slots=True)
class Since:
    """When something began, on both clocks; ``monotonic`` counts in the boot that the journal names."""

    utc: datetime
    monotonic: float

    def elapsed(self, now: Moment) -> float:
        """Seconds since then, while the process runs."""
        return now.monotonic - self.monotonic

    def shown(self, now: Moment) -> datetime:
        """When that was by the wall clock as it is set now."""
        return now.utc - timedelta(seconds=self.elapsed(now))


def since(now: Moment, elapsed: float = 0.0) -> Since:
    """A beginning ``elapsed`` seconds before ``now``."""
    return Since(now.utc - timedelta(seconds=elapsed), now.monotonic - elapsed)


@dataclass(frozen=True, slots=True)
class Restart:
    """What a start knows of the time before it.

    ``reached``: a monotonic time that has passed for certain, in the boot in which what was stored counts. That is
    the present one after a restart of the process, else the last in the journal; ``None``: nothing is proved.
    Over a power cut (not ``same_boot``) the monotonic clock has no reading but that, which is the least.
    """

    now: Moment
    reached: float | None = None
    same_boot: bool = True

    def at_least(self, began: Since) -> Since:
        """The same beginning in the present boot, by the reading that makes it the more recent one."""
        return since(self.now, min(self._readings(began)))

    def at_most(self, began: Since) -> Since:
        """The same beginning in the present boot, by the reading that makes it the older one."""
        return since(self.now, max(self._readings(began)))

    def _readings(self, began: Since) -> tuple[float, ...]:
        proved = 0.0 if self.reached is None else max(0.0, self.reached - began.monotonic)
        if self.now.quality is ClockQuality.NEVER_SET:
            return (proved,)
        wall = max(0.0, (self.now.utc - began.utc).total_seconds())
        return (proved, wall) if self.same_boot else (max(proved, wall),)
