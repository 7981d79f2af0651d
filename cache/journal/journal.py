"""The event log: append-only, numbered without holes, hash-chained, limited in count and size.

``Journal`` is the only writer of journal.db; each ``append`` is one transaction that is on the disk when it
returns. ``cache/journal/writer.py`` calls it from a thread of its own; ``cache/journal/reader.py`` reads.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from cache.errors import JournalError
from cache.journal.records import COLUMNS, as_text, chained, newest, record_of, row_of
from cache.journal.reserve import Reserve
from cache.model import Event, EventName, Record, Stamp
from cache.sqlite import JOURNAL, explained, hold, open_writer, transaction

Entry = tuple[Stamp, Event]
"""An event and when it happened."""

End = tuple[int, bytes]
"""Sequence number and chain value of the last record."""

TRIM = 20
"""Retention takes a 20th at a time, so that its gap records stay rare."""

FIRST_DROP = 64
"""Records that a full disk costs at first, or a 20th if that is less; twice as many if that was not enough."""

ENDLESS = 4_294_967_294
"""SQLite's own limit of pages."""


@dataclass(frozen=True, slots=True)
class Retention:
    """``keep`` events and ``max_size`` bytes at most; ``uploaded`` tells how far the upload has come.

    ``None`` for ``uploaded``: there is no upload. What is not yet uploaded outlives ``keep``, not ``max_size``.
    """

    keep: int = 1_000_000
    max_size: int = 512_000_000
    uploaded: Callable[[], int] | None = None


class Journal:
    """journal.db, opened for writing; use as a context manager. One process at a time can hold it."""

    remarks: Sequence[str] = ()
    """As ``KeptJournal.remarks``: a file that opens as it is gives no cause for any."""

    def __init__(self, path: Path, retention: Retention = Retention()) -> None:
        """Open or create the file. Raises ``JournalError``: newer, damaged, not writable, or held by another."""
        self.path = path
        self._retention = retention
        self._last: Record | None = None
        self._reserve = Reserve(path)
        self._tight = False
        self._doubtful: list[Record] = []
        self._found: list[Record] = []
        self._origin: End = (0, b"")
        self._beyond: End | None = None
        self._identity = (0, 0)
        self._drops = FIRST_DROP
        self._release = hold(path, JOURNAL)
        try:
            self._open()
        except BaseException:
            self._release()
            raise

    def close(self) -> None:
        """Close the file and let another writer in."""
        self._connection.close()
        self._release()

    def __enter__(self) -> Self:
        """The journal itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def reopen(self) -> None:
        """Open the file afresh, after an error that may have left the connection unusable."""
        self._connection.close()
        self._open()

    def last(self) -> Record | None:
        """The newest durable record: no new one may carry an earlier time without an alarm."""
        return self._last

    def end(self) -> End:
        """Return the sequence number and chain value after which the next record stands."""
        return (self._last.sequence, self._last.chain) if self._last else self._origin

    def chain_at(self, sequence: int) -> bytes | None:
        """Return the chain value of a record; ``None``: it is not there (any more)."""
        if sequence == self._origin[0]:
            return self._origin[1]
        with explained(self.path, JOURNAL):
            row = self._connection.execute("SELECT chain FROM event WHERE sequence = ?", (sequence,)).fetchone()
        return None if row is None else bytes(row[0])

    def begin_after(self, end: End) -> None:
        """Number the first record of a new file after the last one of a file that was lost."""
        with explained(self.path, JOURNAL), transaction(self._connection):
            self._connection.execute("UPDATE anchor SET sequence = ?, chain = ?", end)
        self._origin = end

    def go_on(self, after: End) -> None:
        """Number the next record after ``after``, because what stood up to there is lost. It must be the gap."""
        self._beyond = after

    def look(self) -> None:
        """Raise ``JournalError`` if another file, or none, is where this one was: nothing may be written then."""
        with explained(self.path, JOURNAL):
            found = os.stat(self.path)
        if (found.st_dev, found.st_ino) != self._identity:
            stale = OSError(errno.ESTALE, "another file is in its place")
            raise JournalError(f"{self.path}: was replaced while it was open; it is opened afresh") from stale

    def state(self) -> dict[str, str]:
        """What was put by name: JSON text."""
        with explained(self.path, JOURNAL):
            rows = self._connection.execute("SELECT name, body FROM state").fetchall()
        if not all(isinstance(name, str) and isinstance(body, str) for name, body in rows):
            raise JournalError(f"{self.path}: its state is damaged; move the file away and restart")
        return dict(rows)

    def append(self, entries: Sequence[Entry], state: Mapping[str, str | None] | None = None) -> list[Record]:
        """Make the events durable, in order, together with ``state`` (``None`` as a value deletes the name).

        One transaction: on ``JournalError`` nothing was stored, or ``reopen`` and the same call again find out
        that all of it was. The answer may end with a ``journal.gap`` record of retention. ``ValueError`` when an
        event holds what JSON cannot say.
        """
        if self._found and [(one.stamp, one.event) for one in self._found] == list(entries):
            records, self._found = self._found, []
            return records
        self.look()
        records = self._chain(entries)
        self._doubtful = records[:]
        with explained(self.path, JOURNAL):
            if self._tight and self._reserve.roomy():
                self._limit_pages(ENDLESS)
                self._reserve.claim()
                self._tight = False
            self._write(records, state or {})
        self._doubtful = []
        self._drops = FIRST_DROP
        if records:
            self._last, self._beyond = records[-1], None
        return records

    def make_room(self) -> None:
        """On a full disk: drop the oldest few, whether uploaded or not, and grow no more while there is no room.

        So a full disk costs about as many old records as new ones come, however often it fills. Spends the
        reserve, without which neither the -wal file could be written back nor anything be deleted.
        Raises ``JournalError`` when even that does not suffice.
        """
        with explained(self.path, JOURNAL):
            self._reserve.free()
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            pages = self._connection.execute("PRAGMA page_count").fetchone()[0]
            self._limit_pages(pages)
            self._tight = True
            if self._last is None:
                return
            with transaction(self._connection):
                first = self._oldest()
                few = min(self._drops, (self._last.sequence - first) // TRIM)
                gap = self._drop(first + few, self._last, "disk full")
            self._drops *= 2
            self._last = gap[-1] if gap else self._last

    # -------------------------------------------------------------- parts

    def _write(self, records: list[Record], state: Mapping[str, str | None]) -> None:
        """One transaction; what retention adds is appended to ``records``."""
        with transaction(self._connection):
            self._insert(records)
            for name, body in state.items():
                if body is None:
                    self._connection.execute("DELETE FROM state WHERE name = ?", (name,))
                else:
                    self._connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (name, as_text(body)))
            if records:
                records += self._retain(records[-1])

    def _limit_pages(self, pages: int) -> None:
        self._connection.execute(f"PRAGMA max_page_count = {pages}")

    def _open(self) -> None:
        self._connection = open_writer(self.path, JOURNAL)
        try:
            with explained(self.path, JOURNAL):
                status = os.stat(self.path)
                self._identity = (status.st_dev, status.st_ino)
                # Zeroing deleted pages would need the very room that deleting is to make.
                self._connection.execute("PRAGMA secure_delete = FAST")
                # The -wal file stays well below the reserve.
                self._connection.execute("PRAGMA wal_autocheckpoint = 256")
                row = newest(self._connection)
                self._last = None if row is None else record_of(row)
                sequence, chain = self._connection.execute("SELECT sequence, chain FROM anchor").fetchone()
                self._origin = (int(sequence), bytes(chain))
                self._resolve_doubt()
        except (ValueError, TypeError) as fault:
            self._connection.close()
            raise JournalError(
                f"{self.path}: its end is not understood ({fault}); move the file away and restart"
            ) from fault
        except BaseException:
            self._connection.close()
            raise
        self._reserve.claim()

    def _resolve_doubt(self) -> None:
        """A commit that was reported as failed may have reached the disk: it is then not to be repeated."""
        doubtful, self._doubtful = self._doubtful, []
        if doubtful:
            row = self._connection.execute(
                "SELECT chain FROM event WHERE sequence = ?", (doubtful[-1].sequence,)
            ).fetchone()
            self._found = doubtful if row is not None and bytes(row[0]) == doubtful[-1].chain else []

    def _chain(self, entries: Iterable[Entry], after: Record | None = None) -> list[Record]:
        sequence, chain = (after.sequence, after.chain) if after else self._beyond or self.end()
        records = []
        for stamp, event in entries:
            sequence += 1
            chain = chained(chain, row_of(sequence, stamp, event))
            records.append(Record(sequence, stamp, event, chain))
        return records

    def _insert(self, records: Sequence[Record]) -> None:
        self._connection.executemany(
            f"INSERT INTO event ({COLUMNS}, chain) VALUES ({'?, ' * 15}?)",  # noqa: S608 -- constants
            [(*row_of(one.sequence, one.stamp, one.event), one.chain) for one in records],
        )

    def _oldest(self) -> int:
        found = self._connection.execute("SELECT min(sequence) FROM event").fetchone()[0]
        return int(found or 1)

    def _size(self) -> int:
        pages, free, size = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _retain(self, last: Record) -> list[Record]:
        """Drop what is too old, inside the transaction; the gap record that says so."""
        oldest = self._oldest()
        count = last.sequence - oldest + 1
        limit = self._retention
        if self._size() > limit.max_size:
            return self._drop(oldest + max(count // TRIM, 1) - 1, last, "size")
        if count <= limit.keep:
            return []
        until = last.sequence - limit.keep + limit.keep // TRIM
        if limit.uploaded is not None:
            until = min(until, limit.uploaded())
        worthwhile = until - oldest + 1 >= max(limit.keep // TRIM, 1)
        return self._drop(until, last, "count") if worthwhile else []

    def _drop(self, until: int, last: Record, cause: str) -> list[Record]:
        """Delete everything up to ``until``, inside a transaction, and add the record of the gap."""
        until = min(until, last.sequence - 1)
        query = "SELECT sequence, chain FROM event WHERE sequence <= ? ORDER BY sequence DESC LIMIT 1"
        row = self._connection.execute(query, (until,)).fetchone()
        first = self._oldest()
        if row is None or until < first:
            return []
        until, chain = int(row[0]), bytes(row[1])
        self._connection.execute("DELETE FROM event WHERE sequence <= ?", (until,))
        self._connection.execute("UPDATE anchor SET sequence = ?, chain = ?", (until, chain))
        missed = (
            0 if self._retention.uploaded is None else max(0, until - max(self._retention.uploaded(), first - 1))
        )
        detail = (
            ("cause", cause),
            ("first", first),
            ("last", until),
            ("lost", until - first + 1),
            ("not_uploaded", missed),
            ("chain", chain.hex()),
        )
        gap = self._chain([(last.stamp, Event(EventName.JOURNAL_GAP, detail=detail))], after=last)
        self._insert(gap)
        return gap
