"""Preallocated space, freed when the disk is full: the journal has to write a little before it can make room."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

RESERVE = 2 << 20
"""Bytes: twice what the -wal file of the journal grows to before it is written back."""


class Reserve:
    """An empty, preallocated file in the folder of the database."""

    def __init__(self, database: Path) -> None:
        """Nothing is preallocated yet."""
        self._path = database.with_suffix(".reserve")

    def claim(self) -> None:
        """Preallocate the space if the disk has at least twice as much; otherwise do without."""
        with suppress(OSError):
            if self._path.exists() and self._path.stat().st_size >= RESERVE:
                return
            if not self.roomy():
                return
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o660)
            try:
                os.posix_fallocate(handle, 0, RESERVE)
            finally:
                os.close(handle)

    def free(self) -> None:
        """Give the space back to the disk."""
        self._path.unlink(missing_ok=True)

    def roomy(self) -> bool:
        """Whether the disk has space again."""
        status = os.statvfs(self._path.parent)
        return status.f_bavail * status.f_frsize >= 2 * RESERVE
