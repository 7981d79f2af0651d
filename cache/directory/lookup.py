# ruff: noqa: S608 -- the only parts put into a statement are constants
"""The read-only side of cache.db: from a credential's key to everything a decision needs, in one statement.

Holds no copy of the directory. Works before sync has ever run (no file: generation 0, no people) and notices when
the file appears or is replaced. Whatever cannot be read is a ``CacheError``; the next call tries afresh.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

from cache.changes import ID_MARK, GroupHead, Quarantine
from cache.directory import codec
from cache.directory.cache_file import CacheFile
from cache.directory.rows import CREDENTIAL, PERSON, Generation, credential_of, person_of, read_generations
from cache.directory.sync_state import SyncState, last_complete, read_sync_state, sync_state_path
from cache.errors import CacheError
from cache.model import Credential, Found, Freshness, Holder, Membership, Person
from cache.readonly import ReadConnection
from cache.sqlite import CACHE, expect_plain_tables, explain

_GROUPS = """
    LEFT JOIN membership ON membership.person = person.row
    LEFT JOIN access_group ON access_group.row = membership.access_group
    LEFT JOIN binding ON binding.group_id = access_group.id
"""

# One row for each holder. The newest generation stands first, so that an unknown key still yields one row; the
# groups come as the text of their rows, of which a directory has few different ones: what they mean is remembered.
_FIND = f"""
    SELECT newest.number, newest.synced_at,
           {PERSON}, {CREDENTIAL},
           (SELECT group_concat(access_group) FROM membership WHERE membership.person = credential.person)
    FROM (SELECT number, synced_at FROM generation ORDER BY number DESC LIMIT 1) AS newest
    LEFT JOIN credential ON credential.key = ?
    LEFT JOIN person ON person.row = credential.person
"""

_MEMBERSHIPS = f"""
    SELECT access_group.id, access_group.name, access_group.by_name, binding.reference
    FROM person {_GROUPS} WHERE person.id = ? ORDER BY access_group.name, access_group.id
"""

_NEWEST = "SELECT number, synced_at FROM generation ORDER BY number DESC LIMIT 1"

UNSHARED_TRIES = 3
"""Times that files are read again whose writer comes at this very moment."""

_NOBODY = Freshness()

SETS = 4096
"""Sets of groups whose memberships are remembered; a directory with more pays a second query now and then."""

_UNREADABLE = (sqlite3.Error, OSError, CacheError, ValueError, TypeError, KeyError, OverflowError, RecursionError)


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """An access group as ``latchctl`` lists it, with the words by which the site file means it."""

    group: GroupHead
    members: int
    references: frozenset[str]


class Lookup:
    """cache.db, opened read-only on first use. Belongs to one thread; ``clock`` tells the instant in UTC.

    ``scratch`` is a folder for a copy, which is needed where the writer was killed with the machine and has not
    started yet (``cache/readonly.py``). ``before`` is where the file was before an upgrade: it is read until the
    writer has taken it over. ``bounded``: a door waits for the answer, so a question without an end is given up.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        scratch: Path | None = None,
        before: Path | None = None,
        *,
        bounded: bool = False,
    ) -> None:
        """Nothing is opened yet: the file may not exist."""
        self._clock = clock
        self._file = CacheFile(path, scratch, before, bounded)
        self._cache_id = ""
        self._seen: tuple[int, int] | None = None
        self._state_mark: tuple[int, int] | None = None
        self._sync_state = SyncState()
        self._fresh_of: tuple[int, int] | None = None
        self._fresh = _NOBODY
        self.passed: datetime | None = None
        """An instant that has passed for certain, also where the wall clock shows less."""
        self.went_back = False
        """Set by whoever remembers a later generation; said in every age until it is set otherwise."""
        self._sets: dict[str | None, tuple[Membership, ...]] = {}

    def close(self) -> None:
        """Close the file; a later call opens it again."""
        self._file.close()

    @property
    def path(self) -> Path:
        """The file that is read."""
        return self._file.path

    def __enter__(self) -> Self:
        """The lookup itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    # -------------------------------------------------------------- the fast path

    def find(self, key: bytes) -> Found:
        """Return everyone who holds the credential of this key, in any state, with their access groups.

        The age is that of the last look: ``changed`` and ``freshness`` look again, and a new generation does.
        Raises ``CacheError`` when the cache cannot be read: the caller denies.
        """
        try:
            connection = self._file.connection or self._open()
            self._file.spent = 0
            if connection is not None and connection.private:
                return self._find_unshared(key)
            return self._found(connection, key)
        except _UNREADABLE as fault:
            self._fail(fault)

    def _find_unshared(self, key: bytes) -> Found:
        """Find in files that no process writes, before and after it: see ``cache/readonly.py``."""
        for _ in range(UNSHARED_TRIES):
            self._file.close_if_written()
            connection = self._file.connection or self._open()
            try:
                found = self._found(connection, key)
            except sqlite3.DatabaseError:
                if connection is None or connection.current():
                    raise
                continue
            if connection is None or connection.current():
                return found
        raise CacheError(f"{self.path}: its writer is just starting; try again")

    def _found(self, connection: ReadConnection | None, key: bytes) -> Found:
        rows = [] if connection is None else connection.execute(_FIND, (key,)).fetchall()
        if connection is None or not rows:
            return Found((), _NOBODY)
        number, synced_at = rows[0][:2]
        if (number, synced_at) != self._fresh_of:
            self._take_generation(number, synced_at)
        if rows[0][2] is None:
            return Found((), self._fresh)
        for row in rows:
            if row[13] not in self._sets:
                return self._find_anew(connection, key)
        return Found(
            tuple(
                [
                    Holder(person_of(row[2:8]), credential_of(key, row[2], row[8:13]), self._sets[row[13]])
                    for row in rows
                ]
            ),
            self._fresh,
        )

    def _find_anew(self, connection: sqlite3.Connection, key: bytes) -> Found:
        """Find with the memberships of sets that are not remembered, all in one transaction: of one generation."""
        with closing(connection.cursor()) as cursor:
            cursor.execute("BEGIN")
            try:
                rows = cursor.execute(_FIND, (key,)).fetchall()
                self._take_generation(*rows[0][:2])
                holders = []
                for row in rows if rows[0][2] is not None else ():
                    if row[13] not in self._sets:
                        if len(self._sets) >= SETS:
                            self._sets.clear()
                        self._sets[row[13]] = _memberships(cursor.execute(_MEMBERSHIPS, (row[2],)).fetchall())
                    holders.append(
                        Holder(person_of(row[2:8]), credential_of(key, row[2], row[8:13]), self._sets[row[13]])
                    )
            finally:
                cursor.execute("ROLLBACK")
        return Found(tuple(holders), self._fresh)

    def freshness(self) -> Freshness:
        """Return the generation and when the last complete sync ended, as far as that can be believed."""
        with self._reading() as connection:
            row = connection and connection.execute(_NEWEST).fetchone()
            if not row:
                return _NOBODY
            self._take_generation(*row)
            return self._fresh

    def changed(self) -> bool:
        """Whether another process has committed, or the file appeared or was replaced, since the last call.

        Cheap enough to ask every second. The first call answers whether there is a file. The next ``find`` looks
        at the age again.
        """
        self._fresh_of = None
        self._file.close_if_replaced()
        with self._reading() as connection:
            version = connection.execute("PRAGMA data_version").fetchone()[0] if connection else 0
        seen = (self._file.opened, version) if connection else None
        changed = seen != self._seen
        self._seen = seen
        if changed:
            self._sets.clear()
            with self._reading() as connection:
                if connection is not None:
                    expect_plain_tables(connection, self.path, CACHE)
        return changed

    @property
    def cache_id(self) -> str:
        """The random name of the cache that was looked at last; empty: there is none."""
        return self._cache_id if self._file.connection is not None else ""

    def key_mark(self) -> bytes | None:
        """What the cache says of the site key it was made with (``cache.keys.key_mark``); ``None``: nothing."""
        rows = self._rows("SELECT body FROM state WHERE name = 'key_mark'")
        return bytes(rows[0][0]) if rows else None

    # -------------------------------------------------------------- for the technician

    def sync_state(self) -> SyncState:
        """How the last sync went."""
        return self._read_state_file()

    def person(self, id_: str) -> Person | None:
        """The person of this SCIM id."""
        row = self._rows(f"SELECT {PERSON} FROM person WHERE id = ?", id_)
        return person_of(row[0]) if row else None

    def people(self, containing: str = "") -> Iterator[Person]:
        """People by name; ``containing`` is looked for in name, user name, externalId and id."""
        text = f"%{containing.replace('!', '!!').replace('%', '!%').replace('_', '!_')}%"
        columns = ("name", "user_name", "external_id", "id")
        where = " OR ".join(f"{column} LIKE ?1 ESCAPE '!'" for column in columns)
        query = f"SELECT {PERSON} FROM person WHERE {where} ORDER BY name, id"
        return (person_of(row) for row in self._each(query, text))

    def memberships(self, person_id: str) -> tuple[Membership, ...]:
        """The access groups of a person, by name."""
        return _memberships(self._rows(_MEMBERSHIPS, person_id))

    def credentials(self, person_id: str) -> tuple[Credential, ...]:
        """The credentials of a person."""
        rows = self._rows(
            f"SELECT credential.key, {CREDENTIAL} FROM credential JOIN person ON person.row = credential.person"
            " WHERE person.id = ? ORDER BY credential.label, credential.key",
            person_id,
        )
        with self._reading():
            return tuple(credential_of(row[0], person_id, row[1:]) for row in rows)

    def groups(self) -> tuple[GroupSummary, ...]:
        """The access groups by name."""
        counts = dict(self._rows("SELECT access_group, count(*) FROM membership GROUP BY access_group"))
        references: dict[str, set[str]] = {}
        for group, reference in self._rows("SELECT group_id, reference FROM binding"):
            references.setdefault(group, set()).add(reference)
        return tuple(
            GroupSummary(
                GroupHead(id_, name, external_id),
                counts.get(row, 0),
                frozenset(references.get(id_, set()) | {ID_MARK + id_} | ({name} if by_name else set())),
            )
            for row, id_, name, external_id, by_name in self._rows(
                "SELECT row, id, name, external_id, by_name FROM access_group ORDER BY name, id"
            )
        )

    def members(self, group_id: str) -> Iterator[Person]:
        """The people in an access group, by name."""
        rows = self._each(
            f"SELECT {PERSON} FROM access_group JOIN membership ON membership.access_group = access_group.row"
            " JOIN person ON person.row = membership.person"
            " WHERE access_group.id = ? ORDER BY person.name, person.id",
            group_id,
        )
        return (person_of(row) for row in rows)

    def counts(self) -> dict[str, int]:
        """How many people, groups, memberships and credentials there are."""
        tables = {"people": "person", "groups": "access_group", "memberships": "membership"}
        tables["credentials"] = "credential"
        return {
            name: next((row[0] for row in self._rows(f"SELECT count(*) FROM {table}")), 0)
            for name, table in tables.items()
        }

    def generations(self) -> tuple[Generation, ...]:
        """The latest generations, newest first."""
        with self._reading() as connection:
            return () if connection is None else read_generations(connection)

    def quarantine(self) -> Quarantine | None:
        """What the brake holds back, if anything."""
        rows = self._rows("SELECT body FROM state WHERE name = 'quarantine'")
        try:
            return codec.unpack_quarantine(rows[0][0]) if rows else None
        except _UNREADABLE as fault:
            raise CacheError(
                f"{self.path}: the quarantine cannot be read ({fault}); run `latchctl sync now`"
            ) from fault

    # -------------------------------------------------------------- parts

    def _rows(self, query: str, *values: object) -> list[Any]:
        with self._reading() as connection:
            return [] if connection is None else connection.execute(query, values).fetchall()

    def _each(self, query: str, *values: object) -> Iterator[Any]:
        with self._reading() as connection:
            yield from [] if connection is None else connection.execute(query, values)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """The connection, opened if need be; ``None`` while there is no cache. An error closes it."""
        try:
            self._file.close_if_written()
            self._file.spent = 0
            yield self._file.connection or self._open()
        except _UNREADABLE as fault:
            self._fail(fault)

    def _fail(self, fault: Exception) -> NoReturn:
        """Close, so that the next call tries afresh, and raise the fault as a ``CacheError``."""
        self.close()
        if isinstance(fault, CacheError):
            raise fault
        if isinstance(fault, sqlite3.Error | OSError):
            explain(fault, self.path, CACHE)
        raise CacheError(f"{self.path}: holds a value that is not understood ({fault}); restore a copy") from fault

    def _open(self) -> ReadConnection | None:
        connection = self._file.open()
        if connection is not None:
            self._cache_id = ""
            self._fresh_of = None
            self._sets.clear()
        return connection

    def _take_generation(self, number: int, synced_at: int) -> None:
        """Find out how old this generation is; what the groups of another one were called is forgotten."""
        state = self._read_state_file()
        if not self._cache_id and self._file.connection is not None:
            row = self._file.connection.execute("SELECT body FROM state WHERE name = 'cache_id'").fetchone()
            self._cache_id = bytes(row[0]).decode() if row else ""
        if number != self._fresh.generation:
            self._sets.clear()
        now = self._clock() if self.passed is None else max(self._clock(), self.passed)
        synced = last_complete(codec.instant(synced_at), self._cache_id, number, state, now)
        self._fresh, self._fresh_of = Freshness(number, synced, self.went_back), (number, synced_at)

    def _read_state_file(self) -> SyncState:
        try:
            status = os.stat(sync_state_path(self.path))
            mark = (status.st_ino, status.st_mtime_ns)
        except OSError:
            mark = None
        if mark != self._state_mark:
            self._sync_state = read_sync_state(self.path) if mark else SyncState()
            self._state_mark = mark
        return self._sync_state


def _memberships(rows: list[Any]) -> tuple[Membership, ...]:
    """Rows of (group id, name, by_name, one reference or none) as memberships, a group's rows joined."""
    groups: dict[str, tuple[str, set[str]]] = {}
    for id_, name, by_name, reference in rows:
        if id_ is None:
            continue
        if id_ not in groups:
            groups[id_] = (name, {ID_MARK + id_, name} if by_name else {ID_MARK + id_})
        if reference is not None:
            groups[id_][1].add(reference)
    return tuple(Membership(id_, name, frozenset(references)) for id_, (name, references) in groups.items())
