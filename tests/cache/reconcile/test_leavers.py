"""Five hundred syncs with the brake on: who leaves alone never waits, and who stays never loses anything."""

from __future__ import annotations

import random

import pytest

from tests.cache.reconcile.test_held import Cache, staff


@pytest.mark.parametrize("seed", range(3))
def test_one_leaver_in_each_of_500_syncs_never_waits(seed: int) -> None:
    chance = random.Random(seed)
    here = set(range(80))
    cache = Cache(staff(*here))
    hidden: set[int] = set()
    newest = 80
    for turn in range(500):
        if turn % 50 == 10:  # a fault: many vanish, and an operator does not look
            hidden = set(chance.sample(sorted(here), 30))
        if turn % 50 == 40:  # and it heals
            hidden = set()
        leaver = chance.choice(sorted(here - hidden))
        here.discard(leaver)
        for _ in range(chance.randrange(3)):
            here.add(newest)
            newest += 1
        cache.sync(staff(*(here - hidden)))
        assert f"u{leaver:03}" not in cache.there.people or turn % 50 == 10, "one leaver never waits"
        stay = {f"u{number:03}" for number in here}
        assert stay <= cache.there.people.keys(), "no one who stays is lost"
        assert stay <= cache.there.groups["g"].members
        assert (cache.held is not None) == bool(hidden & here) or turn % 50 == 40
    cache.sync(staff(*here))
    assert cache.there.people.keys() == {f"u{number:03}" for number in here}, "nothing is left behind"
