"""Reading journal.db without writing it: for ``latchctl``, for the upload, and to verify."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from cache.errors import JournalError
from cache.journal.filter import EVERYTHING, EventFilter
from cache.journal.head import disagreements, read_head
from cache.journal.records import COLUMNS, faults, newest, record_of, to_microseconds
from cache.model import Record
from cache.readonly import ReadConnection
from cache.sqlite import JOURNAL, explained, open_reader


@dataclass(frozen=True, slots=True)
class Verification:
    """What verifying found: the records from ``first`` to ``last`` (0: none) and every fault in words."""

    first: int
    last: int
    faults: tuple[str, ...]


class JournalReader:
    """journal.db, opened read-only on first use. Belongs to one thread. While there is no file, it is empty.

    ``scratch`` is a folder for a copy, where one has to be made (``cache/readonly.py``).
    """

    def __init__(self, path: Path, scratch: Path | None = None) -> None:
        """Nothing is opened yet: the file may not exist."""
        self.path = path
        self._scratch = scratch
        self._connection: ReadConnection | None = None
        self._opened: tuple[int, int] | None = None

    def close(self) -> None:
        """Close the file; a later call opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        """The reader itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def events(self, after: int = 0, limit: int = 1000, wanted: EventFilter = EVERYTHING) -> list[Record]:
        """At most ``limit`` records after sequence number ``after``, oldest first. Raises ``JournalError``."""
        return self._select("sequence > ?", after, limit, wanted, "ASC")

    def latest(self, limit: int = 50, wanted: EventFilter = EVERYTHING) -> list[Record]:
        """The newest ``limit`` records, oldest of them first. Raises ``JournalError``."""
        return self._select("sequence > ?", 0, limit, wanted, "DESC")[::-1]

    def last(self) -> Record | None:
        """The newest record."""
        with self._reading() as connection:
            row = newest(connection) if connection else None
            return None if row is None else record_of(row)

    def state(self) -> dict[str, str]:
        """What the doors process keeps by name: JSON text."""
        with self._reading() as connection:
            return dict(connection.execute("SELECT name, body FROM state")) if connection else {}

    def verify(self, key: bytes | None = None) -> Verification:
        """Read everything, and check the sequence, the chain, where it begins, and what ``journal.head`` knows.

        ``key`` (``head_key``) shows edited state, too.
        """
        try:
            head, fault = read_head(self.path, key), []
        except ValueError as error:
            head, fault = None, [str(error)]
        with self._reading() as connection:
            if connection is None:
                missing = [f"{self.path} is not there, and {head.sequence} records were"] if head else []
                return Verification(0, 0, (*fault, *missing))
            connection.execute("BEGIN")
            try:
                first, last = connection.execute("SELECT min(sequence), max(sequence) FROM event").fetchone()
                beside = () if head is None else disagreements(connection, head, key)
                return Verification(first or 0, last or 0, (*fault, *faults(connection), *beside))
            finally:
                connection.execute("ROLLBACK")

    def _select(self, start: str, after: int, limit: int, wanted: EventFilter, order: str) -> list[Record]:
        terms, values = _where(wanted)
        query = f"SELECT {COLUMNS}, chain FROM event WHERE {start}{terms} ORDER BY sequence {order} LIMIT ?"  # noqa: S608
        with self._reading() as connection:
            rows = connection.execute(query, (after, *values, limit)).fetchall() if connection else []
            return [record_of(row) for row in rows]

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        try:
            with explained(self.path, JOURNAL):
                if self._connection is not None and not self._is_current(self._connection):
                    self.close()  # its writer has come, or another file, or none, is in its place
                yield self._connection or self._open()
        except JournalError:
            self.close()
            raise
        except (ValueError, TypeError) as fault:
            self.close()
            raise JournalError(f"{self.path}: holds a record that is not understood ({fault})") from fault

    def _is_current(self, connection: ReadConnection) -> bool:
        return connection.current() and _identity(self.path) == self._opened

    def _open(self) -> sqlite3.Connection | None:
        try:
            if self.path.stat().st_size == 0:
                return None
        except FileNotFoundError:
            return None
        self._opened = _identity(self.path)
        self._connection = open_reader(self.path, JOURNAL, self._scratch)
        return self._connection


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _where(wanted: EventFilter) -> tuple[str, list[object]]:
    """The conditions in SQL and their values."""
    terms: list[str] = []
    values: list[object] = []
    if wanted.names:
        terms.append(f"name IN ({', '.join('?' * len(wanted.names))})")
        values += sorted(name.value for name in wanted.names)
    for column, value in (("door", wanted.door), ("reader", wanted.reader), ("person", wanted.person)):
        if value is not None:
            terms.append(f"{column} = ?")
            values.append(value)
    for sign, bound in ((">=", wanted.since), ("<", wanted.until)):
        if bound is not None:
            terms.append(f"at {sign} ?")
            values.append(to_microseconds(bound))
    return "".join(f" AND {term}" for term in terms), values
