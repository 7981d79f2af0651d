"""The bounds of the brake make sense for three people and for a hundred thousand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.reconcile.limits import Bound, Brake, Limits, MemberLimit

PEOPLE = Brake().people


@pytest.mark.parametrize(
    ("total", "allowed"), [(0, 0), (3, 0), (12, 2), (50, 10), (100, 14), (1900, 61), (10_000, 141), (100_000, 447)]
)
def test_a_share_of_few_and_a_growing_count_of_many(total: int, allowed: int) -> None:
    assert int(PEOPLE.allowed(total)) == allowed
    assert not PEOPLE.trips(allowed, total)
    assert PEOPLE.trips(allowed + 2, total)
    assert not PEOPLE.trips(1, total), "one alone never is too many"


@given(st.integers(0, 100), st.integers(0, 1000), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_bound_never_falls_with_the_number_nor_exceeds_its_share(
    percent: int, count: int, one: int, two: int
) -> None:
    bound = Bound(percent=percent, count=count)
    small, large = sorted((one, two))
    assert bound.allowed(small) <= bound.allowed(large) + 1e-9
    assert bound.allowed(large) <= large * percent / 100


def test_an_older_table_means_the_nearest_brake() -> None:
    assert Limits().brake() == Brake(last_door=PEOPLE, doors_without_anybody=2)
    assert Limits(members=MemberLimit(percent=1, above=2)).brake() == Limits().brake()
