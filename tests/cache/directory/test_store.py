"""store: a plan applies as a whole or not at all, an unchanged one writes nothing, and there is a way back."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from contextlib import closing, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings

from cache.changes import Binding, Delta, Loss, Plan, Quarantine, Rebinding, Scope
from cache.directory.lookup import Lookup
from cache.directory.store import Store
from cache.errors import CacheError
from cache.model import Directory, Group, Person
from cache.reconcile.limits import Bound, Brake
from cache.reconcile.reconcile import Evidence, Policy, changes, disconnect, missing, plan
from cache.sqlite import CACHE, Family, migrate, open_writer
from tests.cache.directories import NOW, directories
from tests.cache.numbered import large, person_id, same
from tests.peers.cache_writer import generation

EVERYTHING = Bound(percent=100, count=10**6)
NO_LIMITS = Brake(people=EVERYTHING, last_door=EVERYTHING, doors_without_anybody=10**6)
LATER = NOW + timedelta(minutes=5)
ROOT = Path(__file__).parent.parent.parent.parent


def towards(old: Directory, new: Directory) -> Delta:
    """The whole way from one directory to another."""
    claims = missing(old, new)
    return changes(old, new, Evidence(claims.people, claims.groups, claims.members))


def fill(store: Store, new: Directory, references: frozenset[str] = frozenset()) -> int:
    """Make the cache hold ``new``."""
    old = store.load()
    claims = missing(old, new)
    evidence = Evidence(claims.people, claims.groups, claims.members)
    result = plan(old, new, evidence, Policy(NO_LIMITS, references), NOW, (), store.bindings())
    assert result.quarantine is None
    return store.apply(result, NOW)


def bytes_on_disk(database: Path) -> dict[str, bytes]:
    """Everything that SQLite wrote; the index of the -wal file is no writing."""
    names = (database, database.with_name("cache.db-wal"))
    return {path.name: path.read_bytes() for path in names if path.exists()}


# ------------------------------------------------------------------ applying


@settings(deadline=None, max_examples=25)
@given(directories(), directories(), directories())
def test_apply_then_load_is_the_new_directory_and_rollback_the_old(
    one: Directory, two: Directory, three: Directory
) -> None:
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder, "cache.db")) as store:
        history: dict[int, Directory] = {}
        for wanted in (one, two, three):
            changes_it = store.generation == 0 or bool(towards(store.load(), wanted))
            assert fill(store, wanted) == len(history) + changes_it
            history[store.generation] = wanted
            assert same(store.load(), wanted)
        for number in sorted(history)[:-1]:
            latest = store.generation
            assert store.rollback(number, LATER) == latest + 1
            assert same(store.load(), history[number])
            assert store.rollback(latest, LATER) == latest + 2
            assert same(store.load(), history[max(history)])


def test_what_equals_the_known_directory_is_shared_with_it(store: Store) -> None:
    known = large(20)
    fill(store, known)
    loaded = store.load(known)
    assert all(loaded.people[id_] is person for id_, person in known.people.items())
    assert all(loaded.groups[id_].members is group.members for id_, group in known.groups.items())
    assert {id(one) for one in loaded.credentials} == {id(one) for one in known.credentials}


def test_an_unchanged_directory_writes_nothing_and_is_fresher_nevertheless(
    store: Store, lookup: Lookup, database: Path
) -> None:
    directory = large(30)
    fill(store, directory, frozenset({"Group group-0001"}))
    store.completed(NOW, "complete")
    before = bytes_on_disk(database)
    for minutes in range(1, 4):
        assert fill(store, directory, frozenset({"Group group-0001"})) == 1
        store.completed(NOW + timedelta(minutes=minutes), "complete")
        assert bytes_on_disk(database) == before
        assert lookup.freshness().synced_at == NOW + timedelta(minutes=minutes)


def test_a_small_change_to_many_people_writes_a_small_transaction(store: Store, database: Path) -> None:
    fill(store, large(5000))
    wal = database.with_name("cache.db-wal")
    with closing(sqlite3.connect(database)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert wal.stat().st_size == 0
    store.apply(Plan(Delta(people_removed=frozenset({person_id(7)}))), LATER)
    assert wal.stat().st_size < 40 * 4096


def test_the_first_complete_sync_of_an_empty_directory_is_generation_one(store: Store) -> None:
    assert store.generation == 0
    assert store.apply(Plan(), NOW) == 1
    assert store.apply(Plan(), LATER) == 1


def test_a_value_that_cannot_be_kept_leaves_the_cache_as_it_was(store: Store) -> None:
    fill(store, large(3))
    before = store.load()
    broken = Delta(people=(Person("a", name="fine"), Person("b", name="\ud800")))
    with pytest.raises(CacheError, match="cannot be stored"):
        store.apply(Plan(broken), LATER)
    assert store.generation == 1
    assert store.load() == before


def test_a_disconnect_is_no_complete_sync(store: Store, lookup: Lookup) -> None:
    fill(store, large(5))
    store.completed(NOW, "complete")
    assert store.apply(disconnect(store.load(), LATER, approved=True), LATER, "disconnected", complete=False) == 2
    assert not store.load().groups
    assert lookup.freshness().synced_at == NOW


# ------------------------------------------------------------------ generations


def test_the_last_three_generations_can_be_restored_and_no_more(store: Store) -> None:
    for number in range(1, 7):
        fill(store, generation(number))
    assert [one.number for one in store.generations() if one.restorable] == [5, 4, 3]
    with pytest.raises(CacheError, match="generation 2 cannot be restored"):
        store.rollback(2, LATER)
    for wrong in (0, 6, 7):
        with pytest.raises(CacheError):
            store.rollback(wrong, LATER)
    assert store.rollback(3, LATER) == 7
    assert same(store.load(), generation(3))
    assert store.held() == "generation 3 was restored"
    store.hold(None)
    assert store.held() is None


def test_a_rollback_restores_bindings_too(store: Store) -> None:
    names = frozenset({"Group group-0000"})
    fill(store, large(5, groups=2), names)
    before = store.bindings()
    renamed = replace(large(5, groups=2).groups["group-0000"], name="Renamed")
    fill(store, Directory(large(5).people, {"group-0000": renamed}), names)
    assert store.bindings()["Group group-0000"].name == "Renamed"
    store.rollback(1, LATER)
    assert store.bindings() == before


def test_a_restored_generation_is_as_old_as_it_was(store: Store, database: Path) -> None:
    fill(store, large(2))
    store.apply(Plan(Delta(people=(Person("x"),))), LATER)
    store.completed(LATER, "complete")
    store.rollback(1, LATER)
    with Lookup(database, lambda: LATER) as lookup:
        assert lookup.freshness().synced_at == NOW


# ------------------------------------------------------------------ quarantine and the brake's memory


def held(people: frozenset[str], token: str = "0badcafe") -> Quarantine:
    """People held back."""
    return Quarantine(token, Delta(people_removed=people), ("too many",), ("- person",), NOW)


def test_a_quarantine_survives_and_is_written_once(store: Store, database: Path) -> None:
    fill(store, large(4))
    waiting = held(frozenset({person_id(1)}))
    store.apply(Plan(quarantine=waiting), NOW)
    before = bytes_on_disk(database)
    store.apply(Plan(quarantine=replace(waiting, since=LATER)), LATER)
    assert bytes_on_disk(database) == before
    store.close()
    with Store(database) as again:
        assert again.quarantine() == waiting
        assert again.generation == 1


def test_accepting_applies_what_was_seen_and_nothing_else(store: Store, lookup: Lookup) -> None:
    fill(store, large(4))
    store.completed(NOW, "complete")
    store.apply(Plan(quarantine=held(frozenset({person_id(1)}))), NOW)
    with pytest.raises(CacheError, match="it is now 0badcafe, not 12345678"):
        store.accept("12345678", LATER)
    assert lookup.quarantine() == store.quarantine()
    assert store.accept("0badcafe", LATER) == 2
    assert person_id(1) not in store.load().people
    assert store.quarantine() is None
    assert store.recent_losses(LATER) == ()
    assert lookup.freshness().synced_at == NOW
    with pytest.raises(CacheError, match="nothing is held back"):
        store.accept("0badcafe", LATER)


def test_rejecting_is_remembered_and_what_waits_later_waits_by_itself(store: Store) -> None:
    fill(store, large(4))
    store.apply(Plan(quarantine=held(frozenset({person_id(1)}))), NOW)
    store.reject("0badcafe")
    kept = store.quarantine()
    assert kept is not None
    assert (kept.rejected, kept.refused) == (True, kept.delta)
    more = replace(held(frozenset({person_id(2)}), "another0"), refused=kept.delta)
    store.apply(Plan(quarantine=more), LATER)
    assert store.quarantine() == more
    store.reject("another0")
    kept = store.quarantine()
    assert kept is not None
    assert kept.refused.people_removed == {person_id(1), person_id(2)}
    store.apply(Plan(), LATER)
    assert store.quarantine() is None


def test_what_was_refused_stays_so_when_what_waits_is_accepted(store: Store) -> None:
    fill(store, large(4))
    first = replace(held(frozenset({person_id(1)}), "refused0"), rejected=True)
    store.apply(Plan(quarantine=replace(held(frozenset({person_id(2)})), refused=first.delta)), NOW)
    store.accept("0badcafe", NOW, left=first)
    assert store.quarantine() == first
    assert person_id(1) in store.load().people


def test_losses_are_remembered_for_the_window(store: Store) -> None:
    fill(store, large(4))
    losses = (Loss(Scope.PEOPLE, 1), Loss(Scope.LAST_DOOR, 3))
    store.apply(Plan(Delta(people_removed=frozenset({person_id(0)})), losses=losses), NOW)
    store.apply(Plan(Delta(people_removed=frozenset({person_id(1)})), losses=losses[:1]), LATER)
    assert set(store.recent_losses(LATER)) == {Loss(Scope.PEOPLE, 2), losses[1]}
    day = timedelta(hours=24)
    assert set(store.recent_losses(NOW + day)) == {Loss(Scope.PEOPLE, 1)}
    assert store.recent_losses(LATER + day) == ()
    assert len(store.recent_losses(LATER + day, timedelta(days=7))) == 2, "a longer window remembers longer"
    assert len(store.recent_losses(NOW - timedelta(days=400))) == 2
    much_later = NOW + timedelta(days=400)
    store.apply(Plan(Delta(people_removed=frozenset({person_id(2)})), losses=losses[:1]), much_later)
    assert store.recent_losses(much_later, timedelta(days=900)) == losses[:1], "what is old is forgotten"


# ------------------------------------------------------------------ how syncing goes


def test_failures_count_up_and_keep_the_time_of_the_last_complete_sync(store: Store, database: Path) -> None:
    fill(store, large(2))
    store.completed(NOW, "complete: 2 people", road="members", warnings=("a card",))
    before = bytes_on_disk(database)
    store.failed(LATER, "outage", "the server did not answer")
    state = store.failed(LATER, "outage", "the server did not answer")
    assert bytes_on_disk(database) == before
    assert state == store.sync_state()
    assert (state.synced_at, state.attempted_at, state.failures) == (NOW, LATER, 2)
    assert (state.outcome, state.road, state.warnings) == ("outage", "members", ("a card",))
    assert store.completed(LATER, "complete").failures == 0


def test_a_long_list_of_warnings_is_cut(store: Store) -> None:
    store.completed(NOW, "complete", warnings=tuple(f"card {number}" for number in range(2000)))
    warnings = store.sync_state().warnings
    assert len(warnings) == 501
    assert warnings[-1] == "and 1500 more"


# ------------------------------------------------------------------ the file


def test_the_file_is_shared_with_the_group_and_nobody_else(tmp_path: Path) -> None:
    before = os.umask(0o007)
    try:
        with Store(tmp_path / "cache.db") as store:
            store.completed(NOW, "complete")
            for path in tmp_path.iterdir():
                assert stat.S_IMODE(path.stat().st_mode) == 0o660, path
    finally:
        os.umask(before)


def test_only_one_process_writes(store: Store, database: Path) -> None:
    with pytest.raises(CacheError, match="another process is already writing"):
        Store(database)
    store.close()
    Store(database).close()


def test_a_newer_or_foreign_or_damaged_file_is_refused_and_left_alone(database: Path) -> None:
    with Store(database) as store:
        fill(store, large(200))
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA user_version = 7")
    whole = database.read_bytes()
    with pytest.raises(CacheError, match=r"newer latchd \(version 7, this one knows 1\)"):
        Store(database)
    assert database.read_bytes() == whole
    for content in (b"not a database, but long enough to be looked at" * 100, whole[:5000] + b"\xff" * 3000):
        database.write_bytes(content)
        with pytest.raises(CacheError, match="damaged"), Store(database) as store:
            store.load()
        database.with_name("cache.db-wal").unlink(missing_ok=True)
        database.with_name("cache.db-shm").unlink(missing_ok=True)
    database.unlink()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    with pytest.raises(CacheError, match="not a latchd cache"):
        Store(database)


def test_a_folder_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match="No such file or directory"):
        Store(tmp_path / "absent" / "cache.db")


class Draft(Family):
    """A family of which version 2 exists only here."""

    def script(self, file: str) -> str:
        """The step to version 2, which fails after it has changed something, unless it is repaired."""
        if file != "cache_v1_to_v2.sql":
            return super().script(file)
        half = "CREATE TABLE extra (x) STRICT;" if BROKEN else "CREATE TABLE extra (x ANY) STRICT;"
        return f"PRAGMA user_version = 2; ALTER TABLE person ADD COLUMN extra TEXT; {half}"


BROKEN = True


def test_a_migration_that_fails_half_way_leaves_the_file_as_it_was(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(database) as store:
        fill(store, large(3))
        before = store.load()
    draft = Draft("cache", CACHE.application_id, 2, CacheError, CacheError)
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        with pytest.raises(CacheError, match=r"version 1 to 2 .*left as it was"):
            migrate(connection, database, draft)
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    with Store(database) as store:
        assert store.load() == before
    monkeypatch.setitem(globals(), "BROKEN", False)
    with closing(open_writer(database, draft)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        assert connection.execute("SELECT extra FROM person").fetchall() == [(None,)] * 3


# ------------------------------------------------------------------ killed at any instant


def killed_writer(database: Path, generations: int, moment: float) -> int:
    """Kill a writer some time after it has told of so many generations; the last one that it told of."""
    arguments = [sys.executable, "-m", "tests.peers.cache_writer", str(database)]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        told = [int(child.stdout.readline()) for _ in range(generations)]
        with suppress(subprocess.TimeoutExpired):
            child.wait(moment)
        child.send_signal(signal.SIGKILL)
        return max(told + [int(line) for line in child.stdout if line.endswith("\n")])


def test_a_writer_killed_at_any_instant_leaves_a_whole_generation(database: Path) -> None:
    rolls = random.Random(4)
    for _ in range(5):
        acknowledged = killed_writer(database, rolls.randrange(1, 5), rolls.random() / 50)
        with Lookup(database) as lookup, Store(database) as store:
            number = lookup.freshness().generation
            assert number in (acknowledged, acknowledged + 1)
            assert same(store.load(), generation(number))
            assert {person.id for person in lookup.people()} == set(generation(number).people)


def test_binding_and_group_are_one_generation(store: Store, lookup: Lookup) -> None:
    group = Group("g1", "Staff")
    store.apply(
        Plan(towards(Directory(), Directory({}, {"g1": group})), Rebinding((Binding("S", "g1", None, "Staff"),))),
        NOW,
    )
    assert lookup.groups()[0].references == {"id:g1", "Staff", "S"}
