"""daemon.decision.staleness: age, what it leaves, and when that changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.model import Freshness, StalenessPolicy
from daemon.decision.staleness import Staleness, age, next_change, staleness

SYNCED = datetime(2026, 3, 1, tzinfo=UTC)
FRESH, DEGRADED, DENIED = Staleness.FRESH, Staleness.DEGRADED, Staleness.DENIED


def at(seconds: float) -> datetime:
    return SYNCED + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("policy", "seconds", "expected"),
    [
        (StalenessPolicy(), 1e9, FRESH),
        (StalenessPolicy(60, 120), 59.9, FRESH),
        (StalenessPolicy(60, 120), 60, DEGRADED),
        (StalenessPolicy(60, 120), 119.9, DEGRADED),
        (StalenessPolicy(60, 120), 120, DENIED),
        (StalenessPolicy(None, 120), 119, FRESH),
        (StalenessPolicy(60), 1e9, DEGRADED),
        (StalenessPolicy(0), -5, DEGRADED),
    ],
)
def test_what_an_age_leaves(policy: StalenessPolicy, seconds: float, expected: Staleness) -> None:
    assert staleness(policy, Freshness(1, SYNCED), at(seconds)) is expected


def test_never_synced_is_older_than_every_limit() -> None:
    assert age(Freshness(), SYNCED) is None
    for policy, expected in (
        (StalenessPolicy(), FRESH),
        (StalenessPolicy(1e9), DEGRADED),
        (StalenessPolicy(None, 1e9), DENIED),
        (StalenessPolicy(1e9, 1e9), DENIED),
    ):
        assert staleness(policy, Freshness(), SYNCED) is expected
        assert next_change(policy, Freshness(), SYNCED) is None


def test_the_age_is_never_negative() -> None:
    assert age(Freshness(1, SYNCED), at(-10)) == 0
    assert age(Freshness(1, SYNCED), at(10)) == 10


def test_the_next_change() -> None:
    policy, freshness = StalenessPolicy(60, 120), Freshness(1, SYNCED)
    assert next_change(policy, freshness, at(0)) == at(60)
    assert next_change(policy, freshness, at(60)) == at(120)
    assert next_change(policy, freshness, at(120)) is None
    assert next_change(StalenessPolicy(120, 60), freshness, at(0)) == at(60)
    assert next_change(StalenessPolicy(120, 60), freshness, at(60)) is None


limits = st.none() | st.integers(0, 1000)


@settings(max_examples=100, deadline=None)
@given(st.builds(StalenessPolicy, limits, limits), st.integers(-10, 1100))
def test_nothing_changes_before_the_next_change(policy: StalenessPolicy, seconds: int) -> None:
    freshness = Freshness(1, SYNCED)
    now, change = at(seconds), next_change(policy, freshness, at(seconds))
    states = [staleness(policy, freshness, at(n)) for n in range(seconds, 1101)]
    changed = [n for n, state in enumerate(states) if state is not states[0]]
    assert change == (now + timedelta(seconds=changed[0]) if changed else None)


@pytest.mark.parametrize(
    ("policy", "seconds", "expected"),
    [
        (StalenessPolicy(), 0, FRESH),
        (StalenessPolicy(60), 0, DEGRADED),
        (StalenessPolicy(60, 120), 0, DEGRADED),
        (StalenessPolicy(60, 120), 120, DENIED),
        (StalenessPolicy(None, 120), 119, FRESH),
        (StalenessPolicy(None, 120), 120, DENIED),
    ],
)
def test_a_cache_that_went_back_is_degraded_at_once_where_anything_degrades(
    policy: StalenessPolicy, seconds: float, expected: Staleness
) -> None:
    assert staleness(policy, Freshness(1, SYNCED, went_back=True), at(seconds)) is expected
