"""The virtual clock of a scenario: it moves only when it is told to. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cache.model import ClockQuality, Moment

MONOTONIC_START = 1000.0
"""Seconds since an imagined boot."""


@dataclass(slots=True)
class VirtualClock:
    """Wall and monotonic time. The wall clock can be set; the monotonic one only goes on."""

    start: datetime
    monotonic: float = MONOTONIC_START
    quality: ClockQuality = ClockQuality.SYNCED
    jumped: timedelta = timedelta()

    def now(self) -> Moment:
        """This instant on every clock."""
        return Moment(self.utc(), self.monotonic, self.quality)

    def utc(self) -> datetime:
        """What the wall clock shows."""
        return (
            self.start.astimezone(UTC)
            + self.jumped
            + timedelta(seconds=round(self.monotonic - MONOTONIC_START, 6))
        )

    def move_to(self, monotonic: float) -> None:
        """Go on; never backwards."""
        self.monotonic = max(self.monotonic, monotonic)

    def until(self, instant: datetime) -> float:
        """The monotonic time at which the wall clock will show ``instant``."""
        return self.monotonic + (instant - self.utc()).total_seconds()
