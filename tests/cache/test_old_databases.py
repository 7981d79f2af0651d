"""Databases that earlier versions wrote are read as they were meant, for ever.

Each version that changes a schema adds its files to fixtures/ (``python tests/cache/test_old_databases.py`` writes
those of the present version) and keeps the older ones.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cache.changes import Binding, Delta, GroupHead, Loss, Plan, Quarantine, Rebinding, Scope
from cache.directory.lookup import Lookup
from cache.directory.store import Store
from cache.journal.journal import Journal
from cache.journal.reader import JournalReader
from cache.model import (
    Credential,
    CredentialState,
    Directory,
    Event,
    EventName,
    Group,
    Moment,
    Person,
    Reason,
    Record,
    RuleResult,
    Stamp,
)
from cache.sqlite import CACHE, JOURNAL, Family

FIXTURES = Path(__file__).parent / "fixtures"
NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)

DIRECTORY = Directory(
    {
        "u1": Person("u1", True, "Ada Lovelace", "ada", "7", True),
        "u2": Person("u2", False),
    },
    {
        "g1": Group("g1", "Staff", "e1", frozenset({"u1", "u2"})),
        "g2": Group("g2", "Straße 東京", None, frozenset({"u1"})),
    },
    (
        Credential(b"k" * 16, "u1", valid_from=NOW, valid_until=NOW + timedelta(days=1), label="H10301"),
        Credential(b"l" * 16, "u2", state=CredentialState.LOST),
    ),
)
BINDINGS = {"Employees": Binding("Employees", "g1", "e1", "Staff"), "Gone": Binding("Gone", "g9", None, "Gone")}
HELD = Quarantine("0badcafe", Delta(people_removed=frozenset({"u1"})), ("why",), ("- person u1",), NOW)
STATE = {"lockdown": '{"all":true}'}
STAMP = Stamp(Moment(NOW, 12.5), "boot")
EVENTS = (
    Event(EventName.SYSTEM_START),
    Event(
        EventName.ACCESS_DENIED, "lobby", "lobby-in", "u1", Reason.OUTSIDE_SCHEDULE, "Staff", "Weekdays", 3,
        (("bits", 26), ("late", 0.5), ("queued", False), ("note", "東")),
        (RuleResult("schedule", False, "closed"),),
    ),
)  # fmt: skip


def write(folder: Path) -> None:
    """The files of the present version, small and whole: nothing is left in a -wal file."""
    cache, journal = folder / f"cache_v{CACHE.version}.db", folder / f"journal_v{JOURNAL.version}.db"
    with Store(cache) as store:
        heads = tuple(GroupHead(one.id, one.name, one.external_id) for one in DIRECTORY.groups.values())
        members = {one.id: one.members for one in DIRECTORY.groups.values()}
        whole = Delta((*DIRECTORY.people.values(), Person("u3")), heads, DIRECTORY.credentials, members)
        store.apply(Plan(whole, Rebinding(tuple(BINDINGS.values()))), NOW)
        gone = Delta(people_removed=frozenset({"u3"}))
        store.apply(Plan(gone, quarantine=HELD, losses=(Loss(Scope.PEOPLE, 1),)), NOW)
    with Journal(journal) as log:
        log.append([(STAMP, event) for event in EVENTS], STATE)
    for path in (cache, journal):
        for suffix in (".lock", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        path.with_suffix(".reserve").unlink(missing_ok=True)


@pytest.fixture(params=range(1, CACHE.version + 1))
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of each old cache."""
    return Path(shutil.copy(FIXTURES / f"cache_v{request.param}.db", tmp_path / "cache.db"))


@pytest.fixture(params=range(1, JOURNAL.version + 1))
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of each old journal."""
    return Path(shutil.copy(FIXTURES / f"journal_v{request.param}.db", tmp_path / "journal.db"))


def test_an_old_cache_says_what_it_said(cache: Path) -> None:
    with Store(cache) as store, Lookup(cache, lambda: NOW) as lookup:
        loaded = store.load()
        assert (loaded.people, loaded.groups) == (DIRECTORY.people, DIRECTORY.groups)
        assert set(loaded.credentials) == set(DIRECTORY.credentials)
        assert store.bindings() == BINDINGS
        assert store.quarantine() == HELD
        assert store.recent_losses(NOW) == (), "version 1 counted otherwise"
        (holder,) = lookup.find(b"k" * 16).holders
        assert {one.group_id: one.references for one in holder.memberships} == {
            "g1": {"id:g1", "Staff", "Employees"},
            "g2": {"id:g2", "Straße 東京"},
        }
        assert store.rollback(1, NOW) == 3
        assert set(store.load().people) == {"u1", "u2", "u3"}


def test_an_old_journal_says_what_it_said_and_goes_on(journal: Path) -> None:
    with Journal(journal) as log, JournalReader(journal) as reader:
        assert log.state() == STATE
        assert [one.event for one in reader.events()] == list(EVENTS)
        assert {one.stamp for one in reader.events()} == {STAMP}
        (more,) = log.append([(STAMP, EVENTS[0])])
        assert more == Record(3, STAMP, EVENTS[0], more.chain)
        assert reader.verify().faults == ()


@pytest.mark.parametrize("family", [CACHE, JOURNAL], ids=lambda family: family.name)
def test_the_present_schema_is_that_of_its_fixture(family: Family, tmp_path: Path) -> None:
    write(tmp_path)
    schemas = []
    for folder in (FIXTURES, tmp_path):
        copy = Path(shutil.copy(folder / f"{family.name}_v{family.version}.db", tmp_path / "copy.db"))
        with closing(sqlite3.connect(copy)) as connection:
            schemas.append(connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall())
    assert schemas[0] == schemas[1], "a schema that was released is never edited: add a version and a step to it"


if __name__ == "__main__":
    write(FIXTURES if len(sys.argv) < 2 else Path(sys.argv[1]))
