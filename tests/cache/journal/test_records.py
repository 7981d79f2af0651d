"""How a record stands in the file, and that words which a version does not know stay readable."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from cache.journal.journal import Entry, Journal
from cache.journal.reader import JournalReader
from cache.journal.records import from_microseconds, to_microseconds
from cache.model import Event, EventName, Moment, Reason, Stamp

NOW = datetime(2026, 3, 2, 8, 0, 0, 123456, tzinfo=UTC)
ENTRY: Entry = (Stamp(Moment(NOW, 1.0), "boot"), Event(EventName.REX, "lobby", reason=Reason.GRANTED))


def test_an_instant_is_stored_to_the_microsecond() -> None:
    assert from_microseconds(to_microseconds(NOW)) == NOW


def test_a_record_of_an_unknown_kind_reads_as_text(tmp_path: Path) -> None:
    """A later version wrote it: its word is shown as it stands, and the journal goes on."""
    database = tmp_path / "journal.db"
    with Journal(database) as journal:
        journal.append([ENTRY, ENTRY])
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("UPDATE event SET name = 'door.painted', reason = 'wet', quality = 'odd' WHERE sequence = 2")
    with Journal(database) as journal, JournalReader(database) as reader:
        last = journal.last()
        assert last is not None
        assert (last.event.name.value, str(last.event.reason)) == ("door.painted", "wet")
        assert last.event.name not in list(EventName)
        journal.append([ENTRY])
        assert [str(one.event.name) for one in reader.events()] == ["rex", "door.painted", "rex"]
