"""What a hostile writer of cache.db can do to a reader: be refused, and nothing else."""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cache.changes import Plan
from cache.directory import cache_file, codec
from cache.directory.lookup import Lookup
from cache.directory.rows import REMEMBERED
from cache.directory.store import Store
from cache.errors import CacheError
from cache.model import Credential
from tests.cache.directories import NOW
from tests.cache.small import SMALL


def tampered(database: Path, *statements: str) -> None:
    """Write into the file as somebody who has taken over its writer can."""
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("PRAGMA ignore_check_constraints = 1")
        for statement in statements:
            other.execute(statement)


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT"


@pytest.mark.parametrize(
    "statements",
    [
        (
            "ALTER TABLE credential RENAME TO hidden",
            f"CREATE VIEW credential AS {ENDLESS} x'00' AS key, 1 AS person, 'card' AS kind, 'active' AS state,"
            " NULL AS valid_from, NULL AS valid_until, '' AS label FROM n",
        ),
        ("CREATE VIEW more AS SELECT 1",),
        ("CREATE VIRTUAL TABLE more USING fts5(x)",),
        ("CREATE TABLE more (x, y AS (hex(zeroblob(1e8))))",),
        ("CREATE TRIGGER more AFTER INSERT ON person BEGIN DELETE FROM credential; END",),
    ],
)
@pytest.mark.parametrize("opened", [False, True])
def test_a_schema_that_computes_is_refused(
    store: Store, lookup: Lookup, database: Path, opened: bool, statements: tuple[str, ...]
) -> None:
    store.apply(Plan(SMALL), NOW)
    if opened:
        lookup.changed()
        assert lookup.find(b"one").holders
    tampered(database, *statements)
    with pytest.raises(CacheError, match="plain tables alone"):
        lookup.changed()
    with pytest.raises(CacheError, match="plain tables alone"):
        lookup.find(b"one")


def test_a_question_without_an_end_is_given_up(store: Store, database: Path) -> None:
    """Between a commit and the next look at the file a view may stand where a table was."""
    store.apply(Plan(SMALL), NOW)
    with Lookup(database, lambda: NOW, bounded=True) as lookup:
        assert lookup.find(b"one").holders
        tampered(
            database,
            "ALTER TABLE credential RENAME TO hidden",
            f"CREATE VIEW credential AS {ENDLESS} x'ff' AS key, 1 AS person, 'card' AS kind, 'active' AS state,"
            " NULL AS valid_from, NULL AS valid_until, '' AS label FROM n",
        )
        with pytest.raises(CacheError, match="took too long"):
            lookup.find(b"one")


def test_many_questions_never_add_up_to_one_without_an_end(
    store: Store, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_file, "PATIENCE", 2)
    store.apply(Plan(SMALL), NOW)
    with Lookup(database, lambda: NOW, bounded=True) as lookup:
        for _ in range(1000):
            assert lookup.find(b"one").holders


@pytest.mark.parametrize(
    "body",
    [
        zlib.compress(b"[" * 100_000),
        zlib.compress(b'{"token": 1}'),
        zlib.compress(b"[]"),
        zlib.compress(b"{}")[:-4],
        zlib.compress(b" " * (codec.MAX_UNPACKED + 1), 1),
        codec.pack({"token": "1", "delta": [[]] * 7}),
        b"\xff",
        b"",
    ],
)
def test_a_quarantine_that_cannot_be_read_is_an_error_that_is_bounded(
    store: Store, lookup: Lookup, database: Path, body: bytes
) -> None:
    store.apply(Plan(SMALL), NOW)
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("INSERT INTO state VALUES ('quarantine', ?)", (body,))
    with pytest.raises(CacheError, match="quarantine cannot be read"):
        lookup.quarantine()
    assert lookup.find(b"one").holders, "and no card is denied for it"


def test_many_generations_cost_no_more_than_those_that_are_listed(store: Store, database: Path) -> None:
    store.apply(Plan(SMALL), NOW)
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute(
            "WITH RECURSIVE n(x) AS (SELECT 2 UNION ALL SELECT x + 1 FROM n WHERE x < 50000)"
            " INSERT INTO generation SELECT x, 0, 0, 0, 0, '', NULL FROM n"
        )
    with Lookup(database, lambda: NOW, bounded=True) as lookup:
        assert len(lookup.generations()) == REMEMBERED
        assert lookup.generations()[0].number == 50_000


@pytest.mark.parametrize("seconds", [1 << 62, -(1 << 62)])
@pytest.mark.parametrize("column", ["valid_from", "valid_until"])
def test_a_time_beyond_the_calendar_is_its_end_and_one_beyond_2038_a_time(
    store: Store, lookup: Lookup, database: Path, column: str, seconds: int
) -> None:
    far = datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC)
    store.apply(Plan(replace(SMALL, credentials=(Credential(b"one", "a", valid_until=far),))), NOW)
    assert lookup.find(b"one").holders[0].credential.valid_until == far
    tampered(database, f"UPDATE credential SET {column} = {seconds}")
    found = getattr(lookup.find(b"one").holders[0].credential, column)
    assert found.year == (9999 if seconds > 0 else 1)
    assert getattr(lookup.credentials("a")[0], column) == found
    assert store.load().credentials
