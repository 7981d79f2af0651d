"""How far the wall clock can be believed, from what is known to have passed. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cache.model import ClockQuality, Moment

EARLIEST_PLAUSIBLE = datetime(2026, 1, 1, tzinfo=UTC)
"""Before this release existed: a controller that says so has a clock that was never set."""


def quality_of(
    utc: datetime, newest: datetime | None, said: ClockQuality, earliest: datetime = EARLIEST_PLAUSIBLE
) -> ClockQuality:
    """Return how far ``utc`` can be believed, given what is ``said`` of the clock.

    ``never_set`` before ``earliest``. A clock that no time source disciplines is ``never_set`` also before
    ``newest``: it lost its battery. One that NTP sets is believed when it goes back, which is on record as a jump:
    else one event stamped in a wrong future would shut the site's schedules down until then.
    """
    if utc < earliest:
        return ClockQuality.NEVER_SET
    if newest is not None and utc < newest and said is not ClockQuality.SYNCED:
        return ClockQuality.NEVER_SET
    return said


TOLERANCE = timedelta(seconds=2)
"""By which a clock may go back without having been set: what NTP slews, and the delay of a look."""


class ProvedTime:
    """The instant that has passed for certain: what the journal proves, and as long as the process runs.

    It goes on with the monotonic clock, and no wall clock that is ahead moves it. So a clock that was put forward
    by mistake is forgiven as soon as it is set back. Only NTP takes back what was proved.
    """

    def __init__(self, newest: datetime | None, earliest: datetime = EARLIEST_PLAUSIBLE) -> None:
        """``newest`` is the last instant in the journal; a clock before ``earliest`` was never set."""
        self._newest = newest
        self._since: float | None = None
        self._earliest = earliest

    def at(self, monotonic: float) -> datetime | None:
        """Return the instant that has passed for certain; ``None``: nothing is known."""
        if self._newest is None:
            return None
        if self._since is None:
            self._since = monotonic
        return self._newest + timedelta(seconds=monotonic - self._since)

    def believe(self, said: Moment) -> Moment:
        """Return the instant with its quality as far as it can be believed."""
        proved = self.at(said.monotonic)
        if said.quality is ClockQuality.SYNCED and proved is not None and self._earliest <= said.utc < proved:
            self._newest, self._since = said.utc, said.monotonic
        return believed(said, None if proved is None else proved - TOLERANCE, self._earliest)

    def durable(self, at: Moment) -> None:
        """Take note that an event of this instant is durable: the first thing that a new journal proves."""
        if self._newest is None and at.quality is not ClockQuality.NEVER_SET:
            self._newest, self._since = at.utc, at.monotonic


def believed(said: Moment, newest: datetime | None, earliest: datetime = EARLIEST_PLAUSIBLE) -> Moment:
    """Return the instant with its quality as far as it can be believed."""
    return replace(said, quality=quality_of(said.utc, newest, said.quality, earliest))
