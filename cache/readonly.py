"""Reading a database in a folder where this process may write nothing: its writer is another user.

SQLite shares a WAL database through a ``-shm`` file, which a reader need not be able to write as long as it is
there.
Where there is none, no process writes, and the file is read as it stands:

- no ``-wal``: everything is in the database, which is taken as immutable until a ``-wal`` appears;
- a ``-wal`` (the power was cut, and the writer has not started yet): both are copied into a folder of our own.

Either holds only as long as the files stay as they are: ask ``current`` before (and after) each use.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

WAIT = 0.1
"""Seconds a reader waits for a lock: longer would be felt at the door."""

MOST_COPIED = 1 << 30
"""Bytes of a database and its ``-wal`` that are copied at most; 100,000 people need 21 MB."""

_UNSHARED = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
"""What SQLite says where it would have to make a ``-shm`` file and may not."""

_BLOCK = 1 << 20

Mark = tuple[int, int, int, int] | None


class ReadConnection(sqlite3.Connection):
    """A connection that only reads. ``private``: it does not see what a writer does, who would be noticed."""

    private = False
    _path = Path()
    _marks: tuple[Mark, ...] = ()

    def keep_to(self, path: Path, marks: tuple[Mark, ...]) -> None:
        """Be good for as long as the files at ``path`` are those of ``marks``."""
        self.private, self._path, self._marks = True, path, marks

    def current(self) -> bool:
        """Whether what it reads is what the files say; costs a few microseconds where it is ``private``."""
        return not self.private or _marks(self._path) == self._marks


def connect(path: Path, scratch: Path | None = None) -> ReadConnection:
    """Open ``path`` to read it; ``scratch`` is where a copy may be made, else the folder for temporary files.

    Raises ``sqlite3.Error`` or ``OSError``, also when one of the files is no regular one: another user could have
    put a pipe there, which never answers.
    """
    _expect_regular_files(path)
    try:
        return _opened(path, "mode=ro")
    except sqlite3.OperationalError as fault:
        if fault.sqlite_errorcode & 0xFF not in _UNSHARED:
            raise
    marks = _marks(path)
    if marks[1] is None:
        connection = _opened(path, "mode=ro&immutable=1")
    else:
        with _copied(path, scratch) as copy:
            connection = _opened(copy, "mode=ro&immutable=1")
    connection.keep_to(path, marks)
    if not connection.current():
        connection.close()
        raise OSError(errno.EBUSY, "its writer has just started")
    return connection


def _opened(path: Path, options: str) -> ReadConnection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{options}",
        uri=True,
        timeout=WAIT,
        isolation_level=None,
        cached_statements=64,
        factory=ReadConnection,
    )
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("SELECT count(*) FROM sqlite_schema")  # opens the -wal and -shm files
    except BaseException:
        connection.close()
        raise
    return connection


def _files(path: Path) -> tuple[Path, Path, Path]:
    return path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")


def _expect_regular_files(path: Path) -> None:
    for file in _files(path):
        try:
            if not stat.S_ISREG(file.lstat().st_mode):
                raise OSError(errno.EINVAL, f"{file.name} is not a regular file")
        except FileNotFoundError:
            continue


def _marks(path: Path) -> tuple[Mark, ...]:
    """What tells whether the files were written or replaced; ``None`` for one that is not there, or empty."""
    return tuple(_mark(file) for file in _files(path))


def _mark(file: Path) -> Mark:
    try:
        status = os.stat(file, follow_symlinks=False)
    except OSError:
        return None
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns) if status.st_size else None


@contextmanager
def _copied(path: Path, scratch: Path | None) -> Iterator[Path]:
    """A copy of the database with its ``-wal`` worked in; it may be unlinked while it is open."""
    with tempfile.TemporaryDirectory(prefix=f"{path.name}-", dir=scratch) as folder:
        copy = Path(folder, path.name)
        room = MOST_COPIED
        for source, target in zip(_files(path)[:2], _files(copy)[:2], strict=True):
            room -= copy_file(source, target, room)
        with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("PRAGMA journal_mode = DELETE")
        yield copy


def copy_file(source: Path, target: Path, most: int) -> int:
    """Copy a regular file of another user's into a new one of ours; returns its size. Raises ``OSError``."""
    given = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(given, "rb") as reading:
        if not stat.S_ISREG(os.fstat(given).st_mode):
            raise OSError(errno.EINVAL, f"{source.name} is not a regular file")
        made = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        size = 0
        with open(made, "wb") as writing:
            while block := reading.read(_BLOCK):
                size += len(block)
                if size > most:
                    raise OSError(errno.EFBIG, f"{source.name} is larger than what is copied")
                writing.write(block)
    return size
