"""How far the wall clock can be believed, from what is known to have passed. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

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


def passed(newest: datetime | None, at: Moment) -> datetime:
    """Return the last instant known to have passed, once an event was stamped ``at``.

    A clock that NTP sets has the last word, also when it takes back a future that was stamped before: else the
    clock would count as never set as soon as NTP is away, until that future is reached.
    """
    return at.utc if newest is None or at.quality is ClockQuality.SYNCED else max(newest, at.utc)


def believed(said: Moment, newest: datetime | None, earliest: datetime = EARLIEST_PLAUSIBLE) -> Moment:
    """Return the instant with its quality as far as it can be believed."""
    return replace(said, quality=quality_of(said.utc, newest, said.quality, earliest))
