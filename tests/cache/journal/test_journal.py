"""journal: what was acknowledged is there, numbered without holes and chained, whatever happens to the process."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.directory.sync_state import upload_cursor, write_upload_cursor
from cache.errors import JournalError
from cache.journal.filter import EventFilter
from cache.journal.journal import Entry, Journal, Retention
from cache.journal.reader import JournalReader
from cache.journal.records import record_of, row_of
from cache.model import ClockQuality, Event, EventName, Moment, Reason, Record, RuleResult, Stamp

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
ROOT = Path(__file__).parents[3]

texts = st.text(max_size=8)
values = st.one_of(texts, st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans())
moments = st.builds(
    Moment,
    st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC)),
    st.floats(0, 1e9),
    st.sampled_from(ClockQuality),
)
events = st.builds(
    Event,
    st.sampled_from(EventName),
    st.none() | texts,
    st.none() | texts,
    st.none() | texts,
    st.none() | st.sampled_from(Reason),
    st.none() | texts,
    st.none() | texts,
    st.none() | st.integers(0, 1 << 40),
    st.lists(st.tuples(texts, values), max_size=4).map(tuple),
    st.lists(st.builds(RuleResult, texts, st.booleans(), texts), max_size=3).map(tuple),
)
entries = st.tuples(st.builds(Stamp, moments, texts), events)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where journal.db will be."""
    return tmp_path / "journal.db"


@pytest.fixture
def journal(database: Path) -> Iterator[Journal]:
    with Journal(database) as journal:
        yield journal


@pytest.fixture
def reader(database: Path) -> Iterator[JournalReader]:
    """The same file, open for reading."""
    with JournalReader(database) as reader:
        yield reader


def entry(number: int, name: EventName = EventName.ACCESS_GRANTED, size: int = 0) -> Entry:
    """The event of this number, a second after the one before."""
    moment = Moment(NOW + timedelta(seconds=number), float(number))
    detail = (("number", number), ("padding", "x" * size)) if size else (("number", number),)
    return Stamp(moment, "boot"), Event(name, "lobby" if number % 2 else "yard", detail=detail)


def sound(reader: JournalReader, last: int) -> None:
    """The journal ends at ``last`` and nothing is wrong with it."""
    found = reader.verify()
    assert found.faults == ()
    assert found.last == last


# ------------------------------------------------------------------ what goes in comes out


@settings(deadline=None, max_examples=100)
@given(entries, st.integers(1, 1 << 60), st.binary(min_size=32, max_size=32))
def test_a_record_is_what_was_written(one: Entry, sequence: int, chain: bytes) -> None:
    assert record_of((*row_of(sequence, *one), chain)) == Record(sequence, *one, chain)


@settings(deadline=None, max_examples=15)
@given(st.lists(st.lists(entries, max_size=4), max_size=6))
def test_batches_are_numbered_chained_and_read_again(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[Entry]]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.db"
    written: list[Record] = []
    with JournalReader(path) as reader:
        for batch in batches:
            with Journal(path) as journal:
                written += journal.append(batch)
                assert journal.last() == (written[-1] if written else None)
        assert [one.sequence for one in written] == list(range(1, len(written) + 1))
        assert reader.events() == written
        assert reader.last() == (written[-1] if written else None)
        sound(reader, len(written))


@pytest.mark.parametrize(
    "event",
    [
        Event(EventName.REX, door=5),  # type: ignore[arg-type]  # what a mistake elsewhere could hand over
        Event(EventName.REX, generation=1 << 63),
        Event(EventName.REX, detail=(("x", float("nan")),)),
        Event(EventName.REX, detail=(("x", object()),)),  # type: ignore[arg-type]  # as above
    ],
)
def test_what_cannot_be_written_is_refused_whole(journal: Journal, event: Event) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- the words are Python's
        journal.append([entry(1), (entry(2)[0], event)], {"a": "1"})
    assert journal.last() is None
    assert journal.state() == {}


def test_a_lone_surrogate_is_kept_legibly(journal: Journal, reader: JournalReader) -> None:
    stamp, event = entry(1)
    journal.append([(stamp, replace(event, person="\ud800", detail=(("why", "\udfff"),)))], {"a": '"\ud800"'})
    (kept,) = reader.events()
    assert kept.event.person == "\\ud800"
    assert kept.event.detail == (("why", "\udfff"),)
    sound(reader, 1)


def test_state_is_written_with_its_events_or_not_at_all(journal: Journal, reader: JournalReader) -> None:
    journal.append([entry(1)], {"lockdown": "true", "pins": "[]"})
    journal.append([], {"pins": None, "area": "{}"})
    assert journal.state() == reader.state() == {"lockdown": "true", "area": "{}"}
    with pytest.raises(ValueError):  # noqa: PT011 -- the words are Python's
        journal.append([(entry(2)[0], Event(EventName.REX, generation=1 << 63))], {"lockdown": None})
    assert reader.state() == {"lockdown": "true", "area": "{}"}
    sound(reader, 1)


# ------------------------------------------------------------------ reading


def test_filters_and_pages(journal: Journal, reader: JournalReader) -> None:
    names = (EventName.ACCESS_GRANTED, EventName.REX)
    journal.append([entry(number, names[number % 3 == 0]) for number in range(1, 31)])
    assert [one.sequence for one in reader.events(after=10, limit=3)] == [11, 12, 13]
    assert [one.sequence for one in reader.latest(limit=2)] == [29, 30]
    requests_to_exit = EventFilter(frozenset({EventName.REX}))
    assert [one.sequence for one in reader.events(wanted=requests_to_exit, limit=2)] == [3, 6]
    assert all(one.event.door == "lobby" for one in reader.events(wanted=EventFilter(door="lobby")))
    window = EventFilter(since=NOW + timedelta(seconds=5), until=NOW + timedelta(seconds=7))
    assert [one.sequence for one in reader.latest(wanted=window)] == [5, 6]
    assert reader.events(wanted=EventFilter(person="nobody")) == []
    assert reader.events(wanted=EventFilter(reader="nowhere")) == []


def test_without_a_file_there_is_nothing_until_it_appears(database: Path, reader: JournalReader) -> None:
    assert reader.events() == []
    assert reader.last() is None
    assert reader.state() == {}
    assert reader.verify().last == 0
    database.touch()
    assert reader.events() == []
    with Journal(database) as journal:
        journal.append([entry(1)])
        assert len(reader.events()) == 1


# ------------------------------------------------------------------ tampering and damage


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("UPDATE event SET person = 'somebody' WHERE sequence = 20", "record 20 is not what was written"),
        ("UPDATE event SET at = at + 1 WHERE sequence = 30", "record 30 is not what was written"),
        ("DELETE FROM event WHERE sequence BETWEEN 25 AND 26", "records 25 to 26 are missing"),
        ("DELETE FROM event WHERE sequence < 22", "records 10 to 21 are missing"),
        (
            "DELETE FROM event WHERE sequence < 22;"
            "UPDATE anchor SET sequence = 21, chain = (SELECT chain FROM event WHERE sequence = 22)",
            "record 22 is not what was written",
        ),
    ],
)
def test_verify_tells_what_was_changed(database: Path, change: str, fault: str) -> None:
    with Journal(database, Retention(keep=40)) as journal:
        for number in range(1, 46):
            journal.append([entry(number)])
    with JournalReader(database) as reader:
        before = reader.verify()
        assert (before.first, before.faults) == (10, ())
        with closing(sqlite3.connect(database)) as other:
            other.executescript(change)
        assert fault in reader.verify().faults[0]


def test_a_beginning_that_was_moved_is_told(database: Path) -> None:
    with Journal(database, Retention(keep=40)) as journal:
        for number in range(1, 46):
            journal.append([entry(number)])
    with closing(sqlite3.connect(database)) as other:
        other.executescript(
            "UPDATE anchor SET sequence = 15, chain = (SELECT chain FROM event WHERE sequence = 15);"
            "DELETE FROM event WHERE sequence <= 15"
        )
    with JournalReader(database) as reader:
        assert reader.verify().faults == ("the beginning at record 16 is not the one that retention recorded",)


def test_damaged_newer_and_foreign_files_are_refused(database: Path, reader: JournalReader) -> None:
    with Journal(database) as journal:
        journal.append([entry(number, size=300) for number in range(100)])
        with pytest.raises(JournalError, match="another process is already writing"):
            Journal(database)
    whole = database.read_bytes()
    for torn in (whole[:4096] + b"\xff" * (len(whole) - 4096), b"garbage " * 1000):
        reader.close()
        database.write_bytes(torn)
        with pytest.raises(JournalError, match="damaged"):
            reader.verify()
        with pytest.raises(JournalError, match="damaged"):
            Journal(database)
        for suffix in ("-wal", "-shm"):
            database.with_name(database.name + suffix).unlink(missing_ok=True)
    reader.close()
    database.write_bytes(whole)
    with closing(sqlite3.connect(database)) as other:
        other.execute("PRAGMA user_version = 9")
    with pytest.raises(JournalError, match="newer latchd"):
        Journal(database)


# ------------------------------------------------------------------ retention


def test_the_oldest_go_in_batches_and_a_gap_says_so(database: Path, reader: JournalReader) -> None:
    with Journal(database, Retention(keep=100)) as journal:
        for number in range(1, 301):
            journal.append([entry(number)])
            kept = journal.last()
            assert kept is not None
            assert kept.sequence - reader.events(limit=1)[0].sequence + 1 <= 101
    gaps = reader.events(wanted=EventFilter(frozenset({EventName.JOURNAL_GAP})))
    latest = dict(gaps[-1].event.detail)
    assert latest["cause"] == "count"
    assert latest["last"] == reader.events(limit=1)[0].sequence - 1
    assert 10 < len(gaps) < 50
    assert reader.verify().faults == ()


def test_size_is_bounded(database: Path, reader: JournalReader) -> None:
    with Journal(database, Retention(max_size=200_000)) as journal:
        for number in range(200):
            journal.append([entry(10 * number + step, size=400) for step in range(10)])
    assert database.stat().st_size < 260_000
    assert reader.verify().faults == ()
    last = reader.last()
    assert last is not None
    assert last.sequence > 2000


def test_what_is_not_uploaded_outlives_the_count_but_not_the_size(database: Path, reader: JournalReader) -> None:
    write_upload_cursor(database, 30)
    retention = Retention(keep=50, max_size=200_000, uploaded=lambda: upload_cursor(database))
    with Journal(database, retention) as journal:
        for number in range(1, 121):
            journal.append([entry(number)])
        assert reader.events(limit=1)[0].sequence == 31
        write_upload_cursor(database, 31)
        journal.append([entry(121)])
        assert reader.events(limit=1)[0].sequence == 31  # one record is not worth a gap
        for number in range(200):
            journal.append([entry(10 * number + step, size=400) for step in range(10)])
        assert reader.events(limit=1)[0].sequence > 31
    gaps = [dict(one.event.detail) for one in reader.latest(500, EventFilter(frozenset({EventName.JOURNAL_GAP})))]
    assert any(gap["cause"] == "size" and gap["not_uploaded"] == gap["lost"] for gap in gaps)
    assert reader.verify().faults == ()


@pytest.mark.parametrize("content", [b"", b"{", b'{"sequence": -4}', b'{"sequence": "9"}', b"[1]", b"\xff\xfe"])
def test_a_damaged_cursor_means_that_nothing_was_uploaded(database: Path, content: bytes) -> None:
    database.with_suffix(".uploaded").write_bytes(content)
    assert upload_cursor(database) == 0
    write_upload_cursor(database, 12)
    assert upload_cursor(database) == 12


# ------------------------------------------------------------------ a full disk


def test_a_full_database_keeps_nothing_by_halves_and_makes_room(journal: Journal, reader: JournalReader) -> None:
    journal.append([entry(number, size=300) for number in range(1, 101)])
    pages = journal._connection.execute("PRAGMA page_count").fetchone()[0]
    journal._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(JournalError, match="the disk is full"):
        journal.append([entry(number, size=300) for number in range(101, 201)], {"lockdown": "true"})
    assert reader.state() == {}
    sound(reader, 100)
    journal.make_room()
    journal.append([entry(101, size=300)], {"lockdown": "true"})
    found = reader.verify()
    assert (found.first, found.last, found.faults) == (6, 102, ())
    assert dict(reader.events(after=100)[0].event.detail)["cause"] == "disk full"


def test_a_commit_that_was_thought_to_have_failed_is_not_repeated(
    journal: Journal, reader: JournalReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.append([entry(1)])
    really = Journal._write

    def fail_afterwards(self: Journal, records: list[Record], state: dict[str, str | None]) -> None:
        really(self, records, state)
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(Journal, "_write", fail_afterwards)
    with pytest.raises(JournalError):
        journal.append([entry(2), entry(3)], {"a": "1"})
    monkeypatch.undo()
    journal.reopen()
    assert [one.sequence for one in journal.append([entry(2), entry(3)], {"a": "1"})] == [2, 3]
    assert [one.sequence for one in journal.append([entry(2), entry(3)])] == [4, 5]
    sound(reader, 5)


def test_a_commit_that_failed_is_repeated(journal: Journal, reader: JournalReader) -> None:
    journal.append([entry(1)])
    journal._connection.execute("PRAGMA query_only = 1")
    with pytest.raises(JournalError, match="cannot be written"):
        journal.append([entry(2)])
    journal.reopen()
    assert [one.sequence for one in journal.append([entry(2)])] == [2]
    sound(reader, 2)


# ------------------------------------------------------------------ killed at any instant


def killed_writer(database: Path, commits: int, moment: float, *arguments: str) -> tuple[int, int]:
    """Kill a writer after so many commits and a moment; the last sequence and number that it acknowledged."""
    command = [sys.executable, "-m", "tests.peers.journal_writer", str(database), *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        told = [child.stdout.readline() for _ in range(commits)]
        with suppress(subprocess.TimeoutExpired):
            child.wait(moment)
        child.send_signal(signal.SIGKILL)
        told += [line for line in child.stdout if line.endswith("\n")]
    sequence, number = told[-1].split()
    return int(sequence), int(number)


@pytest.mark.parametrize("keep", ["1000000", "40"])
def test_a_killed_writer_loses_nothing_that_it_acknowledged(database: Path, keep: str) -> None:
    rolls = random.Random(7)
    with JournalReader(database) as reader:
        for _ in range(4):
            sequence, number = killed_writer(database, rolls.randrange(1, 5), rolls.random() / 20, keep)
            found = reader.verify()
            assert found.faults == ()
            assert found.last >= sequence
            numbers = [int(dict(one.event.detail)["number"]) for one in reader.events(limit=10**6)
                       if one.event.name is not EventName.JOURNAL_GAP]  # fmt: skip
            assert numbers == list(range(numbers[0], numbers[-1] + 1))
            assert numbers[-1] >= number
            assert reader.state() == {"newest": str(numbers[-1])}


def test_the_file_is_shared_with_the_group(tmp_path: Path) -> None:
    before = os.umask(0o007)
    try:
        with Journal(tmp_path / "journal.db") as journal:
            journal.append([entry(1)])
            assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o660}
    finally:
        os.umask(before)
