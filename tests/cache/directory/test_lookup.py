"""lookup: every holder of a key with what the site file calls their groups, and an age that never flatters."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.changes import Binding, Delta, GroupHead, Plan, Rebinding
from cache.directory import lookup as module
from cache.directory.lookup import Lookup
from cache.directory.store import Store
from cache.directory.sync_state import TOLERANCE, SyncState, sync_state_path, write_sync_state
from cache.errors import CacheError
from cache.model import Directory, Found, Freshness, Membership, Person
from tests.cache.directories import NOW, directories
from tests.cache.numbered import card, large, person_id
from tests.cache.small import ADA, BEA, SECOND, SMALL, STAFF


def references(lookup: Lookup, key: bytes) -> dict[str, frozenset[str]]:
    """What the groups of a key's only holder are called."""
    (holder,) = lookup.find(key).holders
    return {one.group_id: one.references for one in holder.memberships}


def test_before_any_sync_there_is_nobody_and_a_new_file_is_noticed(database: Path, lookup: Lookup) -> None:
    assert lookup.find(b"one") == Found((), Freshness())
    assert lookup.freshness() == Freshness(0, None)
    assert not lookup.changed()
    assert lookup.person("a") is None
    assert lookup.groups() == lookup.memberships("a") == lookup.generations() == ()
    assert not list(lookup.people())
    database.touch()
    assert lookup.find(b"one") == Found((), Freshness())
    with Store(database) as store:
        assert lookup.find(b"one") == Found((), Freshness())
        assert lookup.changed()
        assert not lookup.changed()
        store.apply(Plan(SMALL), NOW)
        assert lookup.changed()
        assert not lookup.changed()
        assert len(lookup.find(b"one").holders) == 1


def test_find_answers_every_holder_in_any_state(store: Store, lookup: Lookup) -> None:
    store.apply(Plan(SMALL), NOW)
    found = lookup.find(b"one")
    assert found.freshness == Freshness(1, NOW)
    (holder,) = found.holders
    assert holder.person == ADA
    assert holder.credential == SMALL.credentials[0]
    assert set(holder.memberships) == {
        Membership("g1", "Staff", frozenset({"id:g1", "Staff"})),
        Membership("g2", "Vault", frozenset({"id:g2", "Vault"})),
    }
    assert [one.person.id for one in lookup.find(b"both").holders] == ["a", "b"]
    (bea,) = lookup.find(b"alone").holders
    assert bea.person == BEA
    assert lookup.find(b"unknown") == Found((), Freshness(1, NOW))


@settings(deadline=None, max_examples=20)
@given(directories())
def test_find_agrees_with_the_directory(tmp_path_factory: pytest.TempPathFactory, directory: Directory) -> None:
    path = tmp_path_factory.mktemp("lookup") / "cache.db"
    everything = Delta(
        tuple(directory.people.values()),
        tuple(GroupHead(group.id, group.name, group.external_id) for group in directory.groups.values()),
        directory.credentials,
        {id_: group.members for id_, group in directory.groups.items()},
    )
    with Store(path) as store, Lookup(path, lambda: NOW) as lookup:
        store.apply(Plan(everything), NOW)
        assert {one.id: one for one in lookup.people()} == directory.people
        for key in {one.key for one in directory.credentials}:
            holders = lookup.find(key).holders
            assert {one.credential for one in holders} == {one for one in directory.credentials if one.key == key}
            for holder in holders:
                assert holder.person == directory.people[holder.credential.person_id]
                mine = {id_ for id_, group in directory.groups.items() if holder.person.id in group.members}
                assert {one.group_id for one in holder.memberships} == mine
        for summary in lookup.groups():
            group = directory.groups[summary.group.id]
            assert summary.members == len(group.members) == len(list(lookup.members(group.id)))


# ------------------------------------------------------------------ references


def test_a_bare_name_means_a_group_until_it_is_bound_or_shared(store: Store, lookup: Lookup) -> None:
    store.apply(Plan(SMALL), NOW)
    assert references(lookup, b"alone") == {"g1": {"id:g1", "Staff"}}
    store.apply(Plan(Delta(groups=(GroupHead("g3", "Staff"),))), NOW)
    assert references(lookup, b"alone") == {"g1": {"id:g1"}}
    store.apply(Plan(rebinding=Rebinding((Binding("Staff", "g1", "e1", "Staff"),))), NOW)
    assert references(lookup, b"alone") == {"g1": {"id:g1", "Staff"}}
    store.apply(Plan(Delta(groups=(replace(STAFF, name="Employees"),), groups_removed=frozenset({"g3"}))), NOW)
    assert references(lookup, b"alone") == {"g1": {"id:g1", "Staff", "Employees"}}


def test_a_name_that_is_bound_elsewhere_or_looks_like_an_id_means_nothing(store: Store, lookup: Lookup) -> None:
    binding = Binding("Staff", "gone", None, "Staff")
    store.apply(Plan(SMALL, Rebinding((binding,))), NOW)
    assert references(lookup, b"alone") == {"g1": {"id:g1"}}
    store.apply(Plan(Delta(groups=(GroupHead("g1", "id:g2"),))), NOW)
    assert references(lookup, b"alone") == {"g1": {"id:g1"}}


def test_a_groups_id_is_no_word_for_it(store: Store, lookup: Lookup) -> None:
    binding = Binding("Vault", "g2", None, "Vault")
    store.apply(Plan(SMALL, Rebinding((binding,))), NOW)
    intruder = GroupHead("Vault", "Guests")
    store.apply(Plan(Delta(groups=(intruder,), members={"Vault": frozenset({BEA.id})})), NOW)
    assert references(lookup, b"alone")["Vault"] == {"id:Vault", "Guests"}


def test_what_groups_are_called_is_that_of_the_generation_found(
    store: Store, lookup: Lookup, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.apply(Plan(SMALL), NOW)
    staff = lookup.find(b"alone").holders[0].memberships
    assert lookup.find(b"alone").holders[0].memberships is staff, "remembered: one tuple for one set"
    store.apply(Plan(Delta(members={"g2": frozenset("b")})), NOW)
    assert references(lookup, b"alone").keys() == {"g1", "g2"}
    store.apply(Plan(Delta(groups_removed=frozenset({"g1", "g2"}))), NOW)
    assert references(lookup, b"alone") == {}
    monkeypatch.setattr(module, "SETS", 1)
    store.apply(Plan(replace(SMALL, people=(), credentials=())), NOW)
    for _ in range(3):
        assert [len(one.memberships) for one in lookup.find(b"both").holders] == [2, 1]
        assert references(lookup, b"alone").keys() == {"g1"}
    assert len(lookup._sets) == 1
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("UPDATE access_group SET name = 'Changed by hand' WHERE id = 'g1'")
    assert lookup.changed()
    assert "Changed by hand" in references(lookup, b"alone")["g1"]


# ------------------------------------------------------------------ freshness


def test_a_sync_that_changed_nothing_is_seen_by_the_next_look_and_not_by_a_badge(
    store: Store, lookup: Lookup
) -> None:
    """A badge asks the file system for nothing but the database."""
    store.apply(Plan(SMALL), NOW - SECOND)
    assert lookup.find(b"one").freshness == Freshness(1, NOW - SECOND)
    store.completed(NOW, "complete")
    assert lookup.find(b"one").freshness == Freshness(1, NOW - SECOND)
    lookup.changed()
    assert lookup.find(b"one").freshness == Freshness(1, NOW)
    store.apply(Plan(Delta(people_removed=frozenset("b"))), NOW + SECOND)
    assert lookup.find(b"one").freshness == Freshness(2, NOW + SECOND)


def test_the_sidecar_counts_only_for_its_own_cache_and_generation(
    store: Store, lookup: Lookup, database: Path
) -> None:
    early = NOW - timedelta(hours=10)
    store.apply(Plan(SMALL), early)
    assert lookup.freshness() == Freshness(1, early)
    state = store.completed(NOW, "complete")
    assert lookup.freshness() == Freshness(1, NOW)
    lies = [
        replace(state, cache_id="another"),
        replace(state, generation=2),
        replace(state, generation=0),
        replace(state, synced_at=NOW + TOLERANCE + SECOND),
        replace(state, synced_at=early - SECOND),
        replace(state, synced_at=None),
    ]
    for lie in lies:
        write_sync_state(database, lie)
        assert lookup.freshness() == Freshness(1, early), lie
        assert lookup.find(b"one").freshness == Freshness(1, early)


@settings(deadline=None, max_examples=60)
@given(
    st.one_of(
        st.binary(max_size=60),
        st.recursive(
            st.none() | st.integers() | st.floats() | st.text(max_size=3),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(SyncState.__slots__)), inner)
            ),
            max_leaves=12,
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_a_damaged_sidecar_is_never_believed(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("sidecar") / "cache.db"
    with Store(path) as store, Lookup(path, lambda: NOW) as lookup:
        store.apply(Plan(SMALL), NOW - timedelta(days=2))
        sync_state_path(path).write_bytes(content)
        assert lookup.freshness() == Freshness(1, NOW - timedelta(days=2))
        assert isinstance(lookup.sync_state(), SyncState)


def test_a_clock_before_the_last_sync_believes_the_cache_and_not_the_file_beside_it(
    store: Store, database: Path
) -> None:
    store.apply(Plan(SMALL), NOW)
    store.completed(NOW, "complete")
    store.completed(NOW + 100 * SECOND, "complete")
    with Lookup(database, lambda: NOW - TOLERANCE - SECOND) as lookup:
        assert lookup.freshness() == Freshness(1, NOW)
    with Lookup(database, lambda: NOW - TOLERANCE - SECOND) as lookup:
        lookup.passed = NOW + 100 * SECOND
        assert lookup.freshness() == Freshness(1, NOW + 100 * SECOND), "it has passed, whatever the clock shows"
    with Lookup(database, lambda: NOW - TOLERANCE) as lookup:
        assert lookup.freshness() == Freshness(1, NOW)


# ------------------------------------------------------------------ what can go wrong


def test_a_damaged_cache_is_an_error_and_a_repaired_one_is_read_again(database: Path, lookup: Lookup) -> None:
    with Store(database) as store:
        store.apply(Plan(SMALL), NOW)
    whole = database.read_bytes()
    assert lookup.find(b"one").holders
    lookup.close()
    for torn in (whole[:5000], b"\xff" * len(whole), whole[:4096] + b"\xff" * (len(whole) - 4096)):
        database.write_bytes(torn)
        with pytest.raises(CacheError, match=r"cache\.db: .*(damaged|malformed)"):
            lookup.find(b"one")
        with pytest.raises(CacheError):
            lookup.freshness()
    database.write_bytes(whole)
    assert lookup.find(b"one").holders


def test_a_value_that_means_nothing_is_an_error(store: Store, database: Path, lookup: Lookup) -> None:
    store.apply(Plan(SMALL), NOW)
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("PRAGMA ignore_check_constraints = 1")
        other.execute("UPDATE credential SET state = 'borrowed'")
    with pytest.raises(CacheError, match="not understood"):
        lookup.find(b"one")


def test_a_locked_cache_is_an_error_and_not_a_wait(store: Store, database: Path, lookup: Lookup) -> None:
    store.apply(Plan(SMALL), NOW)
    store.close()
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(CacheError, match="another process holds it"):
            lookup.find(b"one")
    assert lookup.find(b"one").holders


def test_a_file_of_another_program_or_version_is_refused(database: Path, lookup: Lookup) -> None:
    with closing(sqlite3.connect(database)) as other:
        other.execute("CREATE TABLE theirs (x)")
    with pytest.raises(CacheError, match="not a latchd cache"):
        lookup.find(b"one")
    database.unlink()
    Store(database).close()
    with closing(sqlite3.connect(database)) as other:
        other.execute("PRAGMA user_version = 2")
    with pytest.raises(CacheError, match="newer latchd"):
        lookup.find(b"one")


def test_a_file_that_is_replaced_or_goes_is_noticed(store: Store, database: Path, lookup: Lookup) -> None:
    store.apply(Plan(SMALL), NOW)
    store.close()
    assert lookup.changed()
    copy = database.with_name("copy.db")
    shutil.copy(database, copy)
    with Store(copy) as other:
        other.apply(Plan(Delta(people_removed=frozenset("a"))), NOW)
    lookup.close()
    copy.replace(database)
    assert lookup.changed()
    assert lookup.freshness().generation == 2
    database.unlink()
    assert lookup.changed()
    assert lookup.find(b"one") == Found((), Freshness())


def test_nothing_can_be_written_through_it(store: Store, lookup: Lookup) -> None:
    store.apply(Plan(SMALL), NOW)
    with pytest.raises(CacheError, match="cannot be written"):
        lookup._rows("DELETE FROM credential")


# ------------------------------------------------------------------ for the technician


def test_people_are_found_by_name_literally(store: Store, lookup: Lookup) -> None:
    odd = Person("p%", name="100%_!", user_name="odd")
    store.apply(Plan(replace(SMALL, people=(*SMALL.people, odd))), NOW)
    assert [one.id for one in lookup.people("%_!")] == ["p%"]
    assert [one.id for one in lookup.people("ADA@")] == ["a"]
    assert [one.id for one in lookup.people("nobody")] == []
    assert len(list(lookup.people())) == 3


def test_everything_of_a_person_can_be_listed(store: Store, lookup: Lookup) -> None:
    store.apply(Plan(SMALL), NOW)
    assert lookup.person("a") == ADA
    assert [one.group_name for one in lookup.memberships("a")] == ["Staff", "Vault"]
    assert {one.key for one in lookup.credentials("a")} == {b"one", b"both"}
    assert [one.id for one in lookup.members("g1")] == ["b", "a"]
    assert lookup.counts() == {"people": 2, "groups": 2, "memberships": 3, "credentials": 4}
    assert [one.number for one in lookup.generations()] == [1]


def test_a_reader_sees_one_generation_while_another_is_written(store: Store, lookup: Lookup) -> None:
    for number in range(1, 6):
        new = large(20, groups=4, each=2, spare=str(number))
        store.apply(
            Plan(
                Delta(
                    tuple(new.people.values()),
                    tuple(GroupHead(group.id, group.name) for group in new.groups.values()),
                    new.credentials,
                    {id_: group.members for id_, group in new.groups.items()},
                )
            ),
            NOW,
        )
        found = lookup.find(card(3))
        assert found.freshness.generation == number
        assert found.holders[0].person.name == f"Person 3{number}"
        assert found.holders[0].person.id == person_id(3)
