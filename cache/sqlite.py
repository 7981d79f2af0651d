"""How cache.db and journal.db are opened: identity, version, migration, one writer, errors in words.

A file is refused when it is not ours, newer than this program, or damaged. A missing or empty one is created
by the writer. A migration runs in one transaction, so one that fails half-way leaves the file as it was.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import NoReturn

from cache.errors import CacheDamagedError, CacheError, JournalError, LatchdError
from cache.readonly import ReadConnection, connect

WRITER_WAIT = 5.0
"""Seconds a writer waits for a lock: only a reader that recovers the file after a crash ever holds one."""


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of database: whose schema files, which SQLite ``application_id``, the version of this program."""

    name: str
    application_id: int
    version: int
    error: type[LatchdError]
    damaged: type[LatchdError]

    def script(self, file: str) -> str:
        """The text of ``cache/schema/FILE``."""
        return (resources.files("cache") / "schema" / file).read_text(encoding="utf-8")


CACHE = Family("cache", 1818518371, 1, CacheError, CacheDamagedError)
JOURNAL = Family("journal", 1818518378, 1, JournalError, JournalError)


def open_writer(path: Path, family: Family) -> sqlite3.Connection:
    """Open for writing: create, migrate, WAL with every commit on disk before it counts (synchronous=FULL).

    Raises the family's error. The file gets mode 0660 as far as the umask allows.
    """
    with explained(path, family):
        created = _create_empty(path)
        connection = sqlite3.connect(
            path, timeout=WRITER_WAIT, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        try:
            migrate(connection, path, family)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA journal_size_limit = 4194304")
        except BaseException:
            connection.close()
            raise
        if created:
            _sync_folder(path.parent)
        return connection


def open_reader(path: Path, family: Family, scratch: Path | None = None) -> ReadConnection:
    """Open read-only, also in a folder where this user may write nothing (``cache/readonly.py``).

    ``scratch`` is a folder for a copy, where one has to be made. Raises the family's error.
    """
    with explained(path, family):
        connection = connect(path, scratch)
        try:
            _expect_current(check_identity(connection, path, family), path, family)
            expect_plain_tables(connection, path, family)
        except BaseException:
            connection.close()
            raise
        return connection


def _expect_current(found: int, path: Path, family: Family) -> None:
    if found != family.version:
        raise family.error(
            f"{path}: has no {family.name} of version {family.version} yet; "
            "it is brought up to date when its writer starts"
        )


def expect_plain_tables(connection: sqlite3.Connection, path: Path, family: Family) -> None:
    """Raise the family's error when the schema holds a view, a trigger, a virtual table or a generated column.

    Whoever can write the file must not be able to have the reader compute for them.
    """
    odd = connection.execute(
        "SELECT type, name FROM sqlite_schema AS one WHERE type NOT IN ('table', 'index')"
        " OR sql LIKE 'CREATE VIRTUAL%'"
        " OR EXISTS (SELECT 1 FROM pragma_table_xinfo(one.name) WHERE hidden <> 0) LIMIT 1"
    ).fetchone()
    if odd is not None:
        raise family.error(
            f"{path}: holds the {odd[0]} {odd[1]!r}, and a latchd {family.name} has plain tables alone; "
            "move it away and see who wrote it"
        )


def check_identity(connection: sqlite3.Connection, path: Path, family: Family) -> int:
    """The version of the file, 0 when it is empty; raises when it is another program's or a newer one's."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if application == 0 and version == 0 and tables == 0:
        return 0
    if application != family.application_id:
        raise family.error(f"{path}: is not a latchd {family.name}; move it away or correct the path")
    if version > family.version:
        raise family.error(
            f"{path}: was written by a newer latchd (version {version}, this one knows {family.version}); "
            "install that version again, or move the file away to start with an empty one"
        )
    return version


def migrate(connection: sqlite3.Connection, path: Path, family: Family) -> None:
    """Bring the file to the family's version in one transaction, or leave it as it was and raise.

    A new file gets the whole schema ``NAME_vN.sql``; an older one each step ``NAME_vN_to_vM.sql`` in turn.
    """
    version = check_identity(connection, path, family)
    if version == family.version:
        return
    files = (
        [f"{family.name}_v{family.version}.sql"]
        if version == 0
        else [f"{family.name}_v{step}_to_v{step + 1}.sql" for step in range(version, family.version)]
    )
    scripts = "\n".join(family.script(file) for file in files)
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{scripts}\nCOMMIT;")
    except sqlite3.Error as fault:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise family.error(
            f"{path}: cannot be brought from version {version} to {family.version} ({fault}); "
            "it was left as it was"
        ) from fault


_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@contextmanager
def explained(path: Path, family: Family) -> Iterator[None]:
    """Turn the errors of SQLite and of the file system into the family's error, which says what to do."""
    try:
        yield
    except (sqlite3.Error, OSError) as fault:
        explain(fault, path, family)


def explain(fault: Exception, path: Path, family: Family) -> NoReturn:
    """Raise the family's error for what SQLite or the file system said about ``path``."""
    code = getattr(fault, "sqlite_errorcode", 0) & 0xFF
    advice = {
        sqlite3.SQLITE_BUSY: "another process holds it; it frees itself, or see who holds it with `fuser`",
        sqlite3.SQLITE_LOCKED: "another process holds it; it frees itself, or see who holds it with `fuser`",
        sqlite3.SQLITE_FULL: "the disk is full; free some space",
        sqlite3.SQLITE_INTERRUPT: "reading it took too long; see who wrote it, or move it away",
        sqlite3.SQLITE_IOERR: "the disk reports an error; check the medium and the kernel log",
        sqlite3.SQLITE_READONLY: "it cannot be written; check owner, mode and mount options",
        sqlite3.SQLITE_CORRUPT: "it is damaged; move it away (with -wal and -shm) and restart, or restore a copy",
        sqlite3.SQLITE_NOTADB: "it is damaged; move it away (with -wal and -shm) and restart, or restore a copy",
        sqlite3.SQLITE_CANTOPEN: "check that the file and its folder exist and that this user may use them",
        sqlite3.SQLITE_ERROR: "it does not have the expected tables; move it away and restart, or restore a copy",
    }.get(code, "check the path, the owner and the mode")
    text = fault.strerror if isinstance(fault, OSError) and fault.strerror else str(fault)
    damaged = code in _DAMAGE or getattr(fault, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_SHORT_READ
    error = family.damaged if damaged else family.error
    raise error(f"{path}: {text}; {advice}") from fault


def is_full(fault: BaseException) -> bool:
    """Whether an error of a family goes back to a full disk."""
    return getattr(fault.__cause__, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the block, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A full disk may have rolled the transaction back already.
        if connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise


def hold(path: Path, family: Family) -> Callable[[], None]:
    """Be the only writer of ``path`` until the answer is called or the process dies; raises if another one is.

    The lock is on a file of its own: opening the database a second time would drop SQLite's own locks.
    """
    lock = path.with_name(path.name + ".lock")
    with explained(lock, family):
        file = os.fdopen(os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o660))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as fault:
        file.close()
        raise family.error(f"{path}: another process is already writing it; wait for it or stop it") from fault
    return file.close


def _create_empty(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o660))
    except FileExistsError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
