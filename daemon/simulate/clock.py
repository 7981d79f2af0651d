"""The virtual clock of a scenario: it moves only when a step moves it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cache.model import ClockQuality, Moment

MONOTONIC_START = 1000.0
"""Seconds since an imagined boot; each boot begins there again: times of two boots cannot be compared."""


@dataclass(slots=True)
class VirtualClock:
    """Wall and monotonic time. The wall clock can be set; the monotonic one only goes on, until the next boot."""

    start: datetime
    monotonic: float = MONOTONIC_START
    quality: ClockQuality = ClockQuality.SYNCED
    jumped: timedelta = timedelta()
    boot: int = 1
    _before: float = 0.0
    """Seconds since ``start`` that passed in earlier boots, and between them."""

    def now(self) -> Moment:
        """Return this instant on every clock."""
        return Moment(self.utc(), self.monotonic, self.quality)

    def utc(self) -> datetime:
        """Return what the wall clock shows."""
        passed = self._before + self.monotonic - MONOTONIC_START
        return self.start.astimezone(UTC) + self.jumped + timedelta(seconds=round(passed, 6))

    def move_to(self, monotonic: float) -> None:
        """Go on; never backwards."""
        self.monotonic = max(self.monotonic, monotonic)

    def boot_again(self, dark: float = 0.0) -> None:
        """The power was off for so many seconds, in which only the wall clock went on."""
        self._before += self.monotonic - MONOTONIC_START + dark
        self.monotonic = MONOTONIC_START
        self.boot += 1

    def until(self, instant: datetime) -> float:
        """Return the monotonic time at which the wall clock will show ``instant``."""
        return self.monotonic + (instant - self.utc()).total_seconds()
