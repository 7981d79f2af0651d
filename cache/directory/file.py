"""The file of cache.db as its only writer has it open, and what is done when it is not the file that it was.

Whatever SQLite or the file system refuses is a ``CacheError``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from cache.directory import healing
from cache.directory.sync_state import read_sync_state
from cache.errors import CacheDamagedError, CacheError
from cache.sqlite import CACHE, explained, hold, open_writer, transaction


class CacheFile:
    """cache.db, opened for writing; use as a context manager. One process at a time can hold it."""

    def __init__(self, path: Path, heal_at: datetime | None = None) -> None:
        """Open or create the file. Raises ``CacheError``: newer, damaged, not writable, or held by another.

        With ``heal_at``, the instant of now, a damaged file is moved aside instead, and a new one begun.
        """
        self.path = path
        self.notice = ""
        """What befell the file; the next generation bears it, so that it becomes an event."""
        self._release = hold(path, CACHE)
        try:
            try:
                self._open()
            except CacheDamagedError:
                if heal_at is None:
                    raise
                self._begin_again(healing.Saved(), heal_at)
        except BaseException:
            self._release()
            raise

    def _open(self) -> None:
        self._connection = open_writer(self.path, CACHE)
        try:
            self.cache_id = self._identity()
            self._mark = self._file_mark()
        except BaseException:
            self._connection.close()
            raise

    def _file_mark(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def close(self) -> None:
        """Close the file and let another writer in."""
        self._connection.close()
        self._release()

    def __enter__(self) -> Self:
        """The store itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    @property
    def generation(self) -> int:
        """The number of the current generation; 0 before the first complete sync."""
        with self._explained():
            found = self._connection.execute("SELECT max(number) FROM generation").fetchone()[0]
        return int(found or 0)

    # -------------------------------------------------------------- when the file is not what it was

    def look(self) -> str:
        """Open the file that is there, if it is another one, and say what befell it; empty if nothing did.

        What can be saved of the file before goes into a new one.
        """
        if self._file_mark() != self._mark:
            saved = healing.save(self._connection)
            self._connection.close()
            self._open()
            if self.generation == 0:
                self._put_back(saved)
            self.notice = f"{healing.REPLACED}: {self.path.name} is another file than the one that was open"
        state = read_sync_state(self.path)
        if healing.went_back(state, self.cache_id, self.generation):
            self.notice = (
                f"{healing.WENT_BACK}: generation {self.generation} is in the file, and {state.generation} was "
                "known: an older copy, or changes that the disk lost"
            )
        return self.notice

    def rebuild(self, now: datetime) -> str:
        """Move the damaged file aside and begin a new one, with what could be saved; what happened, in words."""
        saved = healing.save(self._connection)
        self._connection.close()
        with self._explained():
            self._begin_again(saved, now)
        return self.notice

    def _begin_again(self, saved: healing.Saved, now: datetime) -> None:
        aside = healing.set_aside(self.path, now)
        self._open()
        self._put_back(saved if saved.state or saved.bindings else healing.save_from(aside))
        self.notice = f"{healing.REBUILT}: {self.path.name} was damaged, and is stored as {aside.name}"

    def _put_back(self, saved: healing.Saved) -> None:
        with self._explained(), transaction(self._connection):
            healing.restore(self._connection, saved)

    # -------------------------------------------------------------- parts

    def _identity(self) -> str:
        """The random name of this cache, made when it is new."""
        known = self._state("cache_id")
        if known is None:
            known = os.urandom(8).hex().encode()
            with self._explained(), transaction(self._connection):
                self._put("cache_id", known)
        return known.decode()

    def _state(self, name: str) -> bytes | None:
        with self._explained():
            row = self._connection.execute("SELECT body FROM state WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def _put(self, name: str, body: bytes | None) -> None:
        if body is None:
            self._connection.execute("DELETE FROM state WHERE name = ?", (name,))
        else:
            self._connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (name, body))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        with explained(self.path, CACHE):
            try:
                yield
            except (ValueError, OverflowError) as fault:
                raise CacheError(f"{self.path}: a value cannot be stored or read ({fault})") from fault
