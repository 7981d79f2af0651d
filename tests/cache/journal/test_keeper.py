"""Whatever is wrong with journal.db, there is a journal; what held still holds, and what is lost is told."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cache.errors import JournalError
from cache.journal.head import SEAL, head_path, read_head
from cache.journal.journal import Entry, Journal
from cache.journal.keeper import MOST_ASIDE, KeptJournal, set_aside
from cache.journal.reader import JournalReader
from cache.model import Event, EventName, Moment, Stamp

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
KEY = bytes(32)
LOCKDOWN = {"mode.lobby": '{"lockdown": true}', "position.ada": "{}"}


def entry(number: int) -> Entry:
    at = Moment(NOW + timedelta(seconds=number), float(number))
    return Stamp(at, "boot"), Event(EventName.REX, f"d{number}")


@contextmanager
def kept(path: Path, key: bytes = KEY) -> Iterator[KeptJournal]:
    journal = KeptJournal(path, None, key, lambda: NOW)
    try:
        yield journal
    finally:
        journal.close()


def causes(path: Path) -> list[object]:
    """The causes of all gaps that are on record."""
    with JournalReader(path) as reader:
        gaps = [one.event for one in reader.events() if one.event.name is EventName.JOURNAL_GAP]
        return [dict(event.detail)["cause"] for event in gaps]


def faults(path: Path) -> tuple[str, ...]:
    with JournalReader(path) as reader:
        return reader.verify(KEY).faults


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal of ten records with a lockdown, closed cleanly."""
    found = tmp_path / "journal.db"
    with kept(found) as journal:
        for number in range(1, 11):
            journal.append([entry(number)], LOCKDOWN if number == 5 else None)
    assert faults(found) == ()
    return found


def edit(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        for statement in statements:
            other.execute(statement)


def starts(path: Path) -> KeptJournal:
    """Start on it, put one event, and close; the journal as it was then."""
    with kept(path) as journal:
        held = journal.state()
        journal.append([entry(99)], {"sync.seen": "1"})
        assert held["mode.lobby"] == LOCKDOWN["mode.lobby"], "the lockdown holds"
    assert faults(path) == ()
    with JournalReader(path) as reader:
        assert reader.state()["mode.lobby"] == LOCKDOWN["mode.lobby"], "and is in the file again"
        last = reader.last()
        assert last is not None
        assert last.event.door == "d99"
    return journal


# ------------------------------------------------------------------ what is well


def test_a_journal_that_is_well_gives_no_cause_for_remarks(path: Path) -> None:
    assert starts(path).remarks == []
    assert causes(path) == []
    with JournalReader(path) as reader:
        assert [one.sequence for one in reader.events()] == list(range(1, 12))
        assert reader.state()["position.ada"] == "{}"


def test_a_journal_of_an_older_version_is_taken_up_as_it_is(path: Path) -> None:
    head_path(path).unlink()
    edit(path, f"DELETE FROM state WHERE name = '{SEAL}'")
    assert starts(path).remarks == []


def test_a_kill_between_the_file_and_the_head_is_no_fault(path: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.head"
    with kept(path) as journal:
        shutil.copy(head_path(path), old)
        journal.append([entry(11)], {"mode.yard": "2"})
    old.replace(head_path(path))
    journal = starts(path)
    assert journal.remarks == []
    assert journal.state()["mode.yard"] == "2"


def test_a_look_at_a_file_that_is_ahead_of_its_head_leaves_both_alike(path: Path, tmp_path: Path) -> None:
    """Opened after a kill and closed before anything was written: the next start must find no fault either."""
    old = tmp_path / "old.head"
    with kept(path) as journal:
        shutil.copy(head_path(path), old)
        journal.append([entry(11)], {"mode.yard": "2"})
    old.replace(head_path(path))
    for _ in range(2):
        with kept(path) as journal:
            assert journal.remarks == []
    assert faults(path) == ()
    head_path(path).unlink()
    for _ in range(2):
        with kept(path) as journal:
            assert journal.remarks == []


def test_another_writer_is_the_one_thing_that_ends_a_start(path: Path) -> None:
    with Journal(path), pytest.raises(JournalError, match="another process is already writing it"):
        KeptJournal(path, None, KEY)


# ------------------------------------------------------------------ what is damaged


def zeros(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(4096))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "first page zeros": zeros,
    "cut in the middle": lambda path: os.truncate(path, path.stat().st_size // 2 + 100),
    "no database": lambda path: path.write_bytes(b"this is no database\n" * 400),
    "no anchor": lambda path: edit(path, "DELETE FROM anchor"),
    "no table": lambda path: edit(path, "DROP TABLE state"),
    "newer": lambda path: edit(path, "PRAGMA user_version = 9"),
    "another program's": lambda path: edit(path, "PRAGMA application_id = 7"),
    "end is not understood": lambda path: edit(path, "UPDATE event SET detail = '[' WHERE sequence = 10"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_one_is_set_aside_and_what_held_holds(kind: str, path: Path) -> None:
    DAMAGE[kind](path)
    journal = starts(path)
    assert [file.name for file in set_aside(path)] == ["journal.db.damaged-20260302T080000Z"]
    assert any("was set aside as" in text for text in journal.remarks)
    assert causes(path) == ["damaged"]
    with JournalReader(path) as reader:
        assert [one.sequence for one in reader.events()] == [11, 12], "the numbers go on"


def test_an_unknown_event_is_no_damage(path: Path) -> None:
    edit(path, "UPDATE event SET name = 'door.painted' WHERE sequence = 10")
    with kept(path) as journal:
        last = journal.last()
        assert last is not None
        assert str(last.event.name) == "door.painted"
    assert set_aside(path) == []


def test_only_the_newest_that_were_set_aside_stay(path: Path) -> None:
    for day in range(1, MOST_ASIDE + 4):
        path.write_bytes(b"no database" * 1000)
        KeptJournal(path, None, KEY, lambda day=day: NOW + timedelta(days=day)).close()  # type: ignore[misc]
    assert len(set_aside(path)) == MOST_ASIDE


# ------------------------------------------------------------------ what is lost, older, replaced or edited


@pytest.mark.parametrize("wal", [False, True])
def test_a_lost_one_is_told_and_what_held_holds(wal: bool, path: Path) -> None:
    if wal:
        path.with_name("journal.db-wal").write_bytes(b"of another file")
    path.unlink()
    assert faults(path) == (f"{path} is not there, and 10 records were",)
    assert any("lost" in text for text in starts(path).remarks)
    assert causes(path) == ["lost"]


CUTS: dict[str, tuple[tuple[str, ...], str]] = {
    "the last record": (("DELETE FROM event WHERE sequence = 10",), "records 10 to 10 are missing at the end"),
    "all records": (("DELETE FROM event",), "records 1 to 10 are missing at the end"),
}


@pytest.mark.parametrize("kind", CUTS)
def test_a_cut_tail_is_seen_and_recorded_in_its_place(kind: str, path: Path) -> None:
    statements, told = CUTS[kind]
    edit(path, *statements)
    assert told in faults(path)
    journal = starts(path)
    assert any("are missing" in text for text in journal.remarks)
    assert causes(path) == ["older"]
    assert set_aside(path) == []
    with JournalReader(path) as reader:
        assert [one.sequence for one in reader.events()][-2:] == [11, 12]


def test_an_older_copy_is_seen_and_its_orders_are_not_taken(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with kept(path) as journal:
        journal.append([entry(11)], {"mode.lobby": None})
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    with kept(path) as journal:
        journal.append([entry(12)], LOCKDOWN)
    copy.replace(path)
    assert any("are missing at the end" in fault for fault in faults(path))
    starts(path)
    assert causes(path) == ["older"]


def test_another_journal_in_its_place_is_set_aside(path: Path, tmp_path: Path) -> None:
    with Journal(tmp_path / "other.db") as other:
        other.append([entry(number) for number in range(50, 80)])
    (tmp_path / "other.db").replace(path)
    assert any("the journal is another" in fault for fault in faults(path))
    starts(path)
    assert [file.name for file in set_aside(path)] == ["journal.db.replaced-20260302T080000Z"]
    assert causes(path) == ["replaced"]


EDITS = {
    "a lockdown is lifted": "DELETE FROM state WHERE name = 'mode.lobby'",
    "a door is unlocked": """UPDATE state SET body = '{"override": 1}' WHERE name = 'mode.lobby'""",
    "a door is added": "INSERT INTO state VALUES ('mode.yard', '1')",
    "the seal is gone": f"DELETE FROM state WHERE name = '{SEAL}'",
    "the edition is a lie": f"""UPDATE state SET body = '{{"edition": 99, "mac": "0"}}' WHERE name = '{SEAL}'""",
}


@pytest.mark.parametrize("kind", EDITS)
def test_edited_state_is_seen_and_not_taken(kind: str, path: Path) -> None:
    edit(path, EDITS[kind])
    assert faults(path) != ()
    journal = starts(path)
    assert any("its state was edited" in text for text in journal.remarks)
    assert "mode.yard" not in journal.state()
    assert causes(path) == ["state edited"]


def test_an_older_state_with_its_own_seal_is_not_taken(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        old = other.execute("SELECT name, body FROM state").fetchall()
    with kept(path) as journal:
        journal.append([entry(11)], {"mode.lobby": '{"lockdown": "harder"}'})
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("DELETE FROM state")
        other.executemany("INSERT INTO state VALUES (?, ?)", old)
    assert any("the state is older" in fault for fault in faults(path))
    with kept(path) as journal:
        assert journal.state()["mode.lobby"] == '{"lockdown": "harder"}'


def test_the_head_is_not_believed_under_another_key_or_when_it_is_damaged(path: Path) -> None:
    with pytest.raises(ValueError, match="changed, or written under another site key"):
        read_head(path, bytes(range(32)))
    head_path(path).write_bytes(b"{")
    with kept(path) as journal:
        assert "is not what the doors process wrote" in journal.remarks[0]
        journal.append([entry(11)])
    assert starts(path).remarks == [], "it was written again"


@pytest.mark.parametrize("kind", ["link", "fifo", "directory"])
def test_nothing_in_the_place_of_the_head_holds_a_start_up(kind: str, path: Path, tmp_path: Path) -> None:
    head_path(path).unlink()
    match kind:
        case "link":
            (tmp_path / "elsewhere").write_text("precious")
            head_path(path).symlink_to(tmp_path / "elsewhere")
        case "fifo":
            os.mkfifo(head_path(path))
        case _:
            head_path(path).mkdir()
    with kept(path) as journal:
        assert journal.state()["mode.lobby"] == LOCKDOWN["mode.lobby"]
        journal.append([entry(11)])
    if kind == "link":
        assert (tmp_path / "elsewhere").read_text() == "precious"


# ------------------------------------------------------------------ while it runs


def recover(journal: KeptJournal) -> str:
    """As the writer does: look, and where that fails open it afresh; what was wrong."""
    with pytest.raises(JournalError) as error:
        journal.look()
    journal.reopen()
    journal.look()
    return str(error.value)


@pytest.mark.parametrize("how", ["removed", "renamed", "replaced by nothing", "replaced by an older copy"])
def test_a_file_that_goes_while_it_runs_is_noticed_and_made_again(how: str, path: Path, tmp_path: Path) -> None:
    shutil.copy(path, tmp_path / "copy.db")
    with kept(path) as journal:
        journal.append([entry(11)], {"position.ken": "{}"})
        match how:
            case "removed":
                path.unlink()
            case "renamed":
                path.rename(tmp_path / "away.db")
            case "replaced by nothing":
                (tmp_path / "empty").touch()
                (tmp_path / "empty").replace(path)
            case _:
                (tmp_path / "copy.db").replace(path)
                path.with_name("journal.db-wal").unlink()
        with pytest.raises(JournalError):
            journal.append([entry(12)])
        recover(journal)
        journal.append([entry(12)])
        assert journal.remarks
    assert faults(path) == ()
    with JournalReader(path) as reader:
        assert {**LOCKDOWN, "position.ken": "{}"}.items() <= reader.state().items(), "all that is known"
        last = reader.last()
        assert last is not None
        assert (last.sequence, last.event.door) == (13, "d12")
    assert len(causes(path)) == 1


def test_a_file_that_is_damaged_while_it_runs_is_set_aside(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with kept(path) as journal:
        broken = sqlite3.DatabaseError("database disk image is malformed")
        broken.sqlite_errorcode = sqlite3.SQLITE_CORRUPT

        def append(*_: object) -> None:
            raise JournalError("it is damaged") from broken

        with monkeypatch.context() as patch:
            patch.setattr(Journal, "append", append)
            with pytest.raises(JournalError):
                journal.append([entry(11)])
        journal.reopen()
        journal.append([entry(11)])
    assert causes(path) == ["damaged"]
    assert faults(path) == ()


def test_a_reader_follows_to_the_new_file(path: Path) -> None:
    with JournalReader(path) as reader, kept(path) as journal:
        assert len(reader.events()) == 10
        path.unlink()
        recover(journal)
        journal.append([entry(11)])
        assert [one.sequence for one in reader.events()] == [11, 12]
