"""cache.db as its readers find it: not there yet, opened, replaced, written by a writer that came, or upgraded."""

from __future__ import annotations

from pathlib import Path

from cache.readonly import ReadConnection
from cache.sqlite import CACHE, open_reader

STEPS = 10_000
"""Instructions of SQLite between two counts: some sixty lookups."""

PATIENCE = 500
"""Counts after which a question of a door is given up, well under a second; a sound cache needs a part of one."""


class CacheFile:
    """One opened cache.db at most. ``opened`` counts how often it was opened, each time perhaps another file."""

    def __init__(self, path: Path, scratch: Path | None, before: Path | None, bounded: bool) -> None:
        """Nothing is opened yet; see ``Lookup`` for the arguments. ``spent`` is set to 0 before each question."""
        self.spent = 0
        self._bounded = bounded
        self.path = path
        self.connection: ReadConnection | None = None
        self.opened = 0
        self._scratch = scratch
        self._wanted, self._before = path, before
        self._file: tuple[int, int] | None = None

    def close(self) -> None:
        """Close it; ``open`` opens it again."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def open(self) -> ReadConnection | None:
        """Open it; ``None`` while there is no cache. Raises ``CacheError`` or ``OSError``."""
        self._choose()
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        if status.st_size == 0:
            return None
        self.connection = open_reader(self.path, CACHE, self._scratch)
        if self._bounded:
            self.connection.set_progress_handler(self._spend, STEPS)
        self._file = (status.st_dev, status.st_ino)
        self.opened += 1
        return self.connection

    def close_if_written(self) -> None:
        """Close a file that was taken as it stood, when its writer has come."""
        if self.connection is not None and not self.connection.current():
            self.close()

    def close_if_replaced(self) -> None:
        """Close a file that is no longer the one at the path."""
        self._choose()
        if self.connection is None:
            return
        try:
            status = self.path.stat()
        except OSError:
            self.close()
            return
        if (status.st_dev, status.st_ino) != self._file:
            self.close()

    def _spend(self) -> bool:
        """Count what a question costs; true interrupts it."""
        self.spent += 1
        return self.spent > PATIENCE

    def _choose(self) -> None:
        """Read the file from before an upgrade until there is the one that its writer has taken over."""
        if self._before is None:
            return
        self.path = self._before
        if self._wanted.exists():
            self.path, self._before = self._wanted, None
            self.close()
