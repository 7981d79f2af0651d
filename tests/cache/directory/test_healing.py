"""A cache.db that is damaged, replaced or older than it was: noticed, mended, and reported."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cache.changes import Binding, Delta, Plan, Rebinding
from cache.directory import healing
from cache.directory.lookup import Lookup
from cache.directory.store import Store
from cache.directory.sync_state import SyncState, read_sync_state, write_sync_state
from cache.errors import CacheDamagedError, CacheError
from cache.model import Person
from tests.cache.directories import NOW
from tests.cache.numbered import large

LATER = NOW + timedelta(minutes=5)
STAFF = Binding("Staff", "g1", None, "Staff")


def add(store: Store, *people: str) -> int:
    """A complete sync that adds these people."""
    number = store.apply(Plan(Delta(people=tuple(map(Person, people))), Rebinding((STAFF,))), NOW)
    store.completed(NOW, "complete")
    return number


def copy(database: Path, folder: Path) -> Path:
    """A whole copy of the database, as a backup has it."""
    folder.mkdir()
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(folder / "copy.db")) as target:
        source.backup(target)
    return folder / "copy.db"


def put_back(backup: Path, database: Path) -> None:
    """Put a backup in the place of the database."""
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    draft = database.with_name("draft")
    shutil.copy(backup, draft)
    draft.replace(database)


def summaries(store: Store) -> list[str]:
    return [one.summary for one in store.generations()]


# ------------------------------------------------------------------ replaced


def test_a_file_that_is_what_it_was_is_left_alone(database: Path) -> None:
    with Store(database) as store:
        add(store, "ada")
        assert store.look() == ""
        assert store.apply(Plan(), LATER) == 1


def test_a_file_that_was_replaced_is_opened_and_the_next_generation_says_so(
    database: Path, tmp_path: Path
) -> None:
    with Store(tmp_path / "other.db") as other:
        add(other, "eve")
    with Store(database) as store:
        add(store, "ada")
        put_back(copy(tmp_path / "other.db", tmp_path / "backup"), database)
        assert store.look().startswith(healing.REPLACED)
        assert set(store.load().people) == {"eve"}
        store.apply(Plan(Delta(people=(Person("ken"),))), LATER)
        assert summaries(store)[0].startswith(healing.REPLACED)
        assert store.look() == ""
    with Lookup(database) as lookup:
        assert {one.id for one in lookup.people()} == {"eve", "ken"}, "what is written is what others read"


def test_a_file_that_was_removed_is_begun_again_with_the_words_of_the_site_file(database: Path) -> None:
    with Store(database) as store:
        add(store, "ada")
        store.hold("disconnected")
        store.remember("scim", b"notes")
        for suffix in ("", "-wal", "-shm"):
            database.with_name(database.name + suffix).unlink()
        store.look()
        assert (store.generation, store.load().people) == (0, {})
        assert store.bindings() == {"Staff": STAFF}
        assert (store.held(), store.note("scim")) == ("disconnected", b"notes")
        assert store.apply(Plan(), LATER) == 1


# ------------------------------------------------------------------ older than it was


def test_an_older_copy_is_noticed_and_no_number_is_given_twice(database: Path, tmp_path: Path) -> None:
    with Store(database) as store:
        add(store, "ada")
        backup = copy(database, tmp_path / "backup")
        add(store, "eve")
        add(store, "ken")
    put_back(backup, database)
    with Store(database) as store:
        assert store.look().startswith("cache went back: generation 1 is in the file, and 3 was known")
        store.failed(LATER, "unreachable", "no answer")
        assert store.look(), "a failure does not make it forgotten"
        assert store.apply(Plan(), LATER) == 4
        assert summaries(store)[0].startswith(healing.WENT_BACK)
        store.completed(LATER, "complete")
        assert store.look() == ""
        assert store.rollback(1, LATER) == 5, "there is a way back over the gap"
        with pytest.raises(CacheError, match="cannot be restored"):
            store.rollback(3, LATER)


def test_a_number_beyond_reason_in_the_side_file_is_not_believed(database: Path) -> None:
    with Store(database) as store:
        add(store, "ada")
        for generation, back in ((2, True), (healing.HIGHEST, False), (1, False)):
            write_sync_state(database, replace(read_sync_state(database), generation=generation))
            store.notice = ""
            assert bool(store.look()) == back
        write_sync_state(database, SyncState("another", 99))
        store.notice = ""
        assert store.look() == ""


# ------------------------------------------------------------------ damaged


def damage(database: Path, *, from_byte: int) -> None:
    """Zeros over all of the file from there on, once everything is in it."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = database.stat().st_size
    with database.open("r+b") as file:
        file.seek(from_byte)
        file.write(bytes(size - from_byte))


def test_a_damaged_file_is_refused_unless_it_may_be_healed(database: Path) -> None:
    with Store(database) as store:
        add(store, "ada")
    damage(database, from_byte=0)
    with pytest.raises(CacheDamagedError, match="it is damaged"):
        Store(database)
    with Store(database, heal_at=NOW) as store:
        assert store.generation == 0
        assert (
            store.notice
            == "cache rebuilt: cache.db was damaged, and is stored as cache.db.damaged-20260302T080000"
        )
        assert database.with_name("cache.db.damaged-20260302T080000").exists()
        add(store, "ada")
        assert summaries(store) == [store.generations()[0].summary]
        assert summaries(store)[0].startswith(healing.REBUILT)


def test_what_can_be_read_of_a_damaged_file_is_kept(database: Path) -> None:
    with Store(database) as store:
        store.apply(Plan(Delta(people=tuple(large(3000).people.values())), Rebinding((STAFF,))), NOW)
        store.hold("rolled back")
    damage(database, from_byte=16 * 4096)
    with Store(database) as store:
        with pytest.raises(CacheDamagedError):
            store.load()
        assert store.rebuild(NOW).startswith(healing.REBUILT)
        assert store.load().people == {}
        assert store.bindings() == {"Staff": STAFF}
        assert store.held() == "rolled back"


def test_a_value_that_cannot_be_is_damage(database: Path) -> None:
    with Store(database) as store:
        store.apply(Plan(Delta(people=(Person("u"),))), NOW)
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            connection.execute("INSERT INTO membership VALUES (99, 1)")
        with pytest.raises(CacheDamagedError, match="cannot be read"):
            store.load()


def test_another_programs_file_is_never_moved(database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE x (y)")
        connection.execute("PRAGMA application_id = 5")
    with pytest.raises(CacheError, match="is not a latchd cache"):
        Store(database, heal_at=NOW)
    assert database.exists()
