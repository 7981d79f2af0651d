"""What `status` and `doctor` say of the cache, above all when something is wrong with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cache.changes import Delta, Plan
from cache.directory.lookup import Lookup
from cache.directory.store import Store
from cache.directory.sync_state import write_sync_state
from cache.model import Moment, Person
from daemon.control.cache_status import read_cache

NOW = Moment(datetime(2026, 3, 2, 9, tzinfo=UTC), 1000.0)


@pytest.fixture
def lookup(tmp_path: Path) -> Iterator[Lookup]:
    with Store(tmp_path / "cache.db") as store:
        store.apply(Plan(Delta(people=(Person("ada"),))), NOW.utc)
        store.completed(NOW.utc, "all is well")
    with Lookup(tmp_path / "cache.db", lambda: NOW.utc) as made:
        yield made


def test_a_sound_cache_has_neither_trouble_nor_doubt(lookup: Lookup) -> None:
    cache, sync = read_cache(lookup, NOW)
    assert (cache.generation, cache.people, cache.age, cache.trouble, cache.doubt) == (1, 1, 0.0, None, None)
    assert (sync.outcome, sync.quarantine) == ("complete", False)
    assert read_cache(lookup, NOW, "the doors cannot", "wrong key")[0].trouble == "the doors cannot"
    assert read_cache(lookup, NOW, None, "wrong key")[0].doubt == "wrong key"


def test_a_damaged_cache_is_said_and_how_syncing_goes_too(lookup: Lookup) -> None:
    lookup.close()
    lookup.path.write_bytes(b"\xff" * 8192)
    cache, sync = read_cache(lookup, NOW)
    assert "cache.db" in (cache.trouble or "")
    assert (cache.generation, cache.people, cache.age) == (0, 0, None)
    assert (sync.text, sync.quarantine) == ("all is well", False)


def test_a_quarantine_that_cannot_be_read_waits_nevertheless(lookup: Lookup) -> None:
    with closing(sqlite3.connect(lookup.path, isolation_level=None)) as other:
        other.execute("INSERT INTO state VALUES ('quarantine', x'00')")
    cache, sync = read_cache(lookup, NOW)
    assert (cache.trouble, cache.people, sync.quarantine) == (None, 1, True)


def test_a_generation_behind_what_the_file_names_is_a_doubt(lookup: Lookup) -> None:
    lookup.freshness()
    write_sync_state(lookup.path, replace(lookup.sync_state(), generation=2))
    assert "went back" in (read_cache(lookup, NOW)[0].doubt or "")
    write_sync_state(lookup.path, replace(lookup.sync_state(), generation=2, cache_id="another"))
    assert read_cache(lookup, NOW)[0].doubt is None


def test_a_cache_that_is_replaced_is_followed(lookup: Lookup, tmp_path: Path) -> None:
    assert read_cache(lookup, NOW)[0].people == 1
    with Store(tmp_path / "other.db") as store:
        store.apply(Plan(Delta(people=(Person("ken"), Person("eve")))), NOW.utc)
    (tmp_path / "other.db").replace(lookup.path)
    assert read_cache(lookup, NOW)[0].people == 2
