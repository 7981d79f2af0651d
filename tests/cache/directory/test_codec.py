"""codec: a delta comes back as it was kept, in one encoding whatever the order, and damage is noticed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings

from cache.changes import Delta, Quarantine, patched
from cache.directory.codec import (
    canonical,
    from_seconds,
    pack,
    pack_quarantine,
    restore,
    to_seconds,
    unpack,
    unpack_quarantine,
)
from cache.model import Directory
from cache.reconcile.diff import token_of
from cache.reconcile.reconcile import Evidence, changes, missing
from tests.cache.directories import NOW, directories
from tests.cache.numbered import same


def between(old: Directory, new: Directory) -> Delta:
    """A delta that uses every kind of change."""
    claims = missing(old, new)
    return changes(old, new, Evidence(claims.people, claims.groups, claims.members))


@settings(deadline=None, max_examples=40)
@given(directories(), directories())
def test_a_delta_comes_back(old: Directory, new: Directory) -> None:
    delta = between(old, new)
    kept = restore(unpack(pack(canonical(delta))))
    assert same(patched(old, kept), new)
    assert canonical(kept) == canonical(delta)
    assert (kept.added, kept.removed) == (delta.added, delta.removed)
    assert token_of(kept) == token_of(delta)


@settings(deadline=None, max_examples=20)
@given(directories())
def test_the_order_of_what_was_fetched_does_not_matter(directory: Directory) -> None:
    backwards = Directory(
        dict(reversed(directory.people.items())),
        dict(reversed(directory.groups.items())),
        directory.credentials[::-1],
    )
    assert token_of(between(Directory(), directory)) == token_of(between(Directory(), backwards))


def test_a_quarantine_comes_back() -> None:
    held = Quarantine(
        "0badcafe", Delta(people_removed=frozenset({"u"})), ("why",), ("- u",), NOW, rejected=True, rows=3
    )
    assert unpack_quarantine(pack_quarantine(held)) == held


@pytest.mark.parametrize("damage", [b"", b"x", pack([1])[:-3], b"\0" + pack([1])])
def test_damage_is_an_error(damage: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        unpack(damage)


def test_seconds_round_down_also_before_1970() -> None:
    assert to_seconds(None) is None
    assert from_seconds(None) is None
    early = datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC)
    assert to_seconds(early) == -1
    assert from_seconds(to_seconds(NOW + timedelta(milliseconds=999))) == NOW
    assert json.loads(json.dumps(canonical(Delta()))) == [[]] * 8
