"""scim.url names another directory: its ids are other people's, so everything waits for an operator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cache.directory.store import Store
from cache.reconcile.reconcile import ANOTHER_DIRECTORY
from daemon.scim.cards import CardMapper
from daemon.scim.settings import ScimSettings
from daemon.sync.outcome import SyncResult
from daemon.sync.plan import CacheUpdates
from drivers.cards.formats import built_in_formats
from tests.daemon.sync.test_plan import NOW, STAFF, sync

TENANT = {
    "Users": [{"id": "u1", "userName": "eve"}, {"id": "u3", "userName": "zoe"}],
    "Groups": [
        {"id": "g1", "displayName": "Visitors", "members": [{"value": "u1"}]},
        {"id": "g2", "displayName": "Staff", "members": [{"value": "u3"}]},
    ],
}
"""Another organisation: the same ids, other people, other groups."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "cache.db") as store:
        yield store


def at(store: Store, url: str) -> CacheUpdates:
    settings = ScimSettings(url=url, groups=("*",))
    mapper = CardMapper(settings.credential, built_in_formats(), bytes(32))
    return CacheUpdates(settings, store, mapper, frozenset({"Staff"}))


def test_nothing_of_another_directory_counts_until_an_operator_accepts_it(store: Store) -> None:
    assert sync(at(store, "https://ours.invalid"), STAFF).outcome is SyncResult.APPLIED
    before, bound = store.load(), store.bindings()
    theirs = at(store, "https://theirs.invalid")
    for _ in range(2):
        outcome = sync(theirs, TENANT)
        assert (outcome.outcome, outcome.reasons) == (SyncResult.QUARANTINED, (ANOTHER_DIRECTORY,))
        assert (store.load(), store.bindings()) == (before, bound)
    held = store.quarantine()
    assert held is not None
    theirs.accept(held.token, "jo", NOW)
    assert store.load().groups["g1"].name == "Visitors"
    assert store.bindings() == {}, "what Staff meant there says nothing about here"
    assert sync(theirs, TENANT).outcome is SyncResult.APPLIED
    assert store.bindings()["Staff"].group_id == "g2"
    assert sync(theirs, TENANT).outcome is SyncResult.UNCHANGED


def test_back_at_our_own_directory_nothing_waits_any_more(store: Store) -> None:
    ours = at(store, "https://ours.invalid")
    sync(ours, STAFF)
    sync(at(store, "https://theirs.invalid"), TENANT)
    assert sync(ours, STAFF).outcome is SyncResult.UNCHANGED
    assert store.quarantine() is None


def test_the_same_directory_at_another_url_goes_on(store: Store) -> None:
    sync(at(store, "https://ours.invalid"), STAFF)
    moved = at(store, "https://moved.invalid")
    assert sync(moved, STAFF).outcome is SyncResult.UNCHANGED
    leaver = {**STAFF, "Users": STAFF["Users"][:1]}
    assert sync(moved, leaver).outcome is SyncResult.APPLIED
