"""How old the cache is and what follows from it: hold, degrade to essential levels, deny. Pure.

The nearest policy counts as a whole: the level's own, else the door's, else the site's. A policy without limits
holds for ever. Age runs from the end of the last complete sync; a limit is reached at its exact instant.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from cache.model import Freshness, StalenessPolicy


class Staleness(StrEnum):
    """What the age of the cache leaves of an access level."""

    FRESH = "fresh"
    DEGRADED = "degraded"
    DENIED = "denied"


def age(freshness: Freshness, now: datetime) -> float | None:
    """Seconds since the last complete sync, never below 0; None if there was none."""
    if freshness.synced_at is None:
        return None
    return max(0.0, (now - freshness.synced_at).total_seconds())


def staleness(policy: StalenessPolicy, freshness: Freshness, now: datetime) -> Staleness:
    """What the policy says of a cache this old. Never synced is older than every limit.

    A cache that went back is degraded at once, where the policy degrades at all: the revoked may be in it again.
    """
    seconds = age(freshness, now)
    if policy.deny_after is not None and (seconds is None or seconds >= policy.deny_after):
        return Staleness.DENIED
    if policy.degrade_after is not None and (
        freshness.went_back or seconds is None or seconds >= policy.degrade_after
    ):
        return Staleness.DEGRADED
    return Staleness.FRESH


def next_change(policy: StalenessPolicy, freshness: Freshness, now: datetime) -> datetime | None:
    """The first instant after ``now`` at which ``staleness`` answers otherwise without another sync."""
    if freshness.synced_at is None:
        return None
    limits = [limit for limit in (policy.degrade_after, policy.deny_after) if limit is not None]
    instants = [freshness.synced_at + timedelta(seconds=limit) for limit in limits]
    state = staleness(policy, freshness, now)
    ahead = sorted(at for at in instants if at > now and staleness(policy, freshness, at) is not state)
    return ahead[0] if ahead else None
