# ruff: noqa: S608 -- the only parts put into a statement are the constants of this module
"""The tables of cache.db as values: load the directory, write a delta and return the way back.

Used by cache/directory/store.py inside its transactions; SQLite's errors are explained there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cache.changes import Binding, CredentialId, Delta, GroupHead, Rebinding
from cache.directory.codec import instant, to_seconds
from cache.model import Credential, CredentialKind, CredentialState, Directory, Group, Person

PERSON = "person.id, person.active, person.name, person.user_name, person.external_id, person.extended_time"
CREDENTIAL = "credential.kind, credential.state, credential.valid_from, credential.valid_until, credential.label"

REMEMBERED = 100
"""How many generations are listed."""

# A quarter of what the enumerations' own look-up takes, and every badge asks both.
_KINDS = {one.value: one for one in CredentialKind}
_STATES = {one.value: one for one in CredentialState}


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation of the cache; ``restorable`` ones can be rolled back to."""

    number: int
    synced_at: datetime
    applied_at: datetime
    added: int
    removed: int
    summary: str
    restorable: bool


def person_of(row: Iterable[Any]) -> Person:
    """A row of the columns ``PERSON``."""
    id_, active, name, user_name, external_id, extended = row
    return Person(id_, active == 1, name, user_name, external_id, extended == 1)


def credential_of(key: bytes, person_id: str, row: Iterable[Any]) -> Credential:
    """A row of the columns ``CREDENTIAL``."""
    kind, state, start, end, label = row
    return Credential(
        key,
        person_id,
        _KINDS.get(kind) or CredentialKind(kind),
        _STATES.get(state) or CredentialState(state),
        None if start is None else instant(start),
        None if end is None else instant(end),
        label,
    )


def read_generations(connection: sqlite3.Connection) -> tuple[Generation, ...]:
    """The last generations of an open cache, newest first."""
    rows = connection.execute(
        "SELECT number, synced_at, applied_at, added, removed, summary, undo IS NOT NULL"
        f" FROM generation ORDER BY number DESC LIMIT {REMEMBERED}"
    ).fetchall()
    # Restoring N needs the undo of N + 1.
    return tuple(
        Generation(
            number,
            instant(synced),
            instant(applied),
            added,
            removed,
            summary,
            index > 0 and bool(rows[index - 1][6]),
        )
        for index, (number, synced, applied, added, removed, summary, _) in enumerate(rows)
    )


def load_directory(connection: sqlite3.Connection, known: Directory) -> Directory:
    """The whole directory in one consistent read; what equals a part of ``known`` is that very object."""
    connection.execute("BEGIN")
    try:
        people: dict[str, Person] = {}
        ids: dict[int, str] = {}
        for row, *columns in connection.execute(f"SELECT person.row, {PERSON} FROM person"):
            person = person_of(columns)
            shared = known.people.get(person.id)
            person = shared if shared == person else person
            ids[row] = person.id
            people[person.id] = person
        groups = _load_groups(connection, known, ids)
        credentials = _load_credentials(connection, known, ids)
    finally:
        connection.execute("ROLLBACK")
    return Directory(people, groups, credentials)


def _load_groups(connection: sqlite3.Connection, known: Directory, ids: dict[int, str]) -> dict[str, Group]:
    members: dict[int, list[str]] = {}
    for person, group in connection.execute("SELECT person, access_group FROM membership"):
        members.setdefault(group, []).append(ids[person])
    groups = {}
    for row, id_, name, external_id in connection.execute("SELECT row, id, name, external_id FROM access_group"):
        listed = members.pop(row, [])
        twin = known.groups.get(id_)
        same = twin is not None and len(twin.members) == len(listed) and twin.members.issuperset(listed)
        groups[id_] = Group(id_, name, external_id, twin.members if twin and same else frozenset(listed))
    return groups


def _load_credentials(
    connection: sqlite3.Connection, known: Directory, ids: dict[int, str]
) -> tuple[Credential, ...]:
    twins = {(one.key, one.person_id): one for one in known.credentials}
    loaded = []
    for key, person, *columns in connection.execute(
        f"SELECT credential.key, credential.person, {CREDENTIAL} FROM credential"
    ):
        credential = credential_of(key, ids[person], columns)
        twin = twins.get((key, credential.person_id))
        loaded.append(twin if twin == credential else credential)
    return tuple(loaded)


def write_delta(connection: sqlite3.Connection, delta: Delta) -> Delta:
    """Write ``delta`` and return the delta that takes it back."""
    return _Writing(connection).write(delta)


def rebind(connection: sqlite3.Connection, rebinding: Rebinding) -> Rebinding:
    """Write bindings and return what takes it back."""
    before: list[Binding] = []
    new: set[str] = set()
    for reference in [*rebinding.dropped, *(one.reference for one in rebinding.bound)]:
        row = connection.execute(
            "DELETE FROM binding WHERE reference = ? RETURNING reference, group_id, external_id, name",
            (reference,),
        ).fetchone()
        if row is None:
            new.add(reference)
        else:
            before.append(Binding(*row))
    connection.executemany(
        "INSERT INTO binding VALUES (?, ?, ?, ?)",
        [(one.reference, one.group_id, one.external_id, one.name) for one in rebinding.bound],
    )
    return Rebinding(tuple(before), frozenset(new))


def refresh_names(connection: sqlite3.Connection) -> None:
    """Mark the groups whose bare name means them: no binding claims it, it is unique, and not ``id:…``."""
    connection.execute(
        """
        WITH alone (row, yes) AS (
            SELECT g.row,
                   NOT EXISTS (SELECT 1 FROM binding WHERE reference = g.name)
                   AND substr(g.name, 1, 3) <> 'id:'
                   AND g.name IN (SELECT name FROM access_group GROUP BY name HAVING count(*) = 1)
            FROM access_group g
        )
        UPDATE access_group SET by_name = alone.yes FROM alone
        WHERE alone.row = access_group.row AND access_group.by_name <> alone.yes
        """
    )


class _Writing:
    """One delta being written, and its inverse as it grows."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._run = connection.execute
        self._rows: dict[tuple[str, str], int | None] = {}
        self._people: list[Person] = []
        self._groups: list[GroupHead] = []
        self._credentials: list[Credential] = []
        self._members: dict[str, set[str]] = {}
        self._new_people: set[str] = set()
        self._new_groups: set[str] = set()
        self._new_members: dict[str, set[str]] = {}
        self._new_credentials: set[CredentialId] = set()

    def write(self, delta: Delta) -> Delta:
        for group, people in delta.members_removed.items():
            self._leave(group, people)
        for key, person in delta.credentials_removed:
            self._take_credential(key, person)
        for group in delta.groups_removed:
            self._take_group(group)
        for id_ in delta.people_removed:
            self._take_person(id_)
        for person_ in delta.people:
            self._put_person(person_)
        for head in delta.groups:
            self._put_group(head)
        for group, people in delta.members.items():
            self._join(group, people)
        for credential in delta.credentials:
            self._put_credential(credential)
        return Delta(
            tuple(self._people),
            tuple(self._groups),
            tuple(self._credentials),
            {group: frozenset(ids) for group, ids in self._members.items()},
            frozenset(self._new_people),
            frozenset(self._new_groups),
            {group: frozenset(ids) for group, ids in self._new_members.items()},
            frozenset(self._new_credentials),
        )

    def _row(self, table: str, id_: str) -> int | None:
        if (table, id_) not in self._rows:
            found = self._run(f"SELECT row FROM {table} WHERE id = ?", (id_,)).fetchone()
            self._rows[table, id_] = None if found is None else int(found[0])
        return self._rows[table, id_]

    def _leave(self, group: str, people: frozenset[str]) -> None:
        for id_ in people:
            rows = (self._row("person", id_), self._row("access_group", group))
            if self._run("DELETE FROM membership WHERE person = ? AND access_group = ?", rows).rowcount:
                self._members.setdefault(group, set()).add(id_)

    def _take_credential(self, key: bytes, person: str) -> bool:
        row = self._row("person", person)
        gone = self._run(
            f"DELETE FROM credential WHERE key = ? AND person = ? RETURNING {_bare(CREDENTIAL)}",
            (key, row),
        ).fetchone()
        if gone is None:
            return False
        self._credentials.append(credential_of(key, person, gone))
        return True

    def _take_group(self, id_: str) -> None:
        row = self._row("access_group", id_)
        if row is None:
            return
        name, external_id = self._run(
            "SELECT name, external_id FROM access_group WHERE row = ?", (row,)
        ).fetchone()
        self._groups.append(GroupHead(id_, name, external_id))
        for (member,) in self._run(
            "SELECT id FROM membership JOIN person ON person.row = membership.person WHERE access_group = ?",
            (row,),
        ):
            self._members.setdefault(id_, set()).add(member)
        self._run("DELETE FROM membership WHERE access_group = ?", (row,))
        self._run("DELETE FROM access_group WHERE row = ?", (row,))
        self._rows["access_group", id_] = None

    def _take_person(self, id_: str) -> None:
        row = self._row("person", id_)
        if row is None:
            return
        self._people.append(person_of(self._run(f"SELECT {PERSON} FROM person WHERE row = ?", (row,)).fetchone()))
        for (group,) in self._run(
            "SELECT id FROM membership JOIN access_group ON access_group.row = access_group WHERE person = ?",
            (row,),
        ):
            self._members.setdefault(group, set()).add(id_)
        for key, *columns in self._run(f"SELECT key, {CREDENTIAL} FROM credential WHERE person = ?", (row,)):
            self._credentials.append(credential_of(key, id_, columns))
        for table in ("membership", "credential"):
            self._run(f"DELETE FROM {table} WHERE person = ?", (row,))
        self._run("DELETE FROM person WHERE row = ?", (row,))
        self._rows["person", id_] = None

    def _put_person(self, person: Person) -> None:
        row = self._row("person", person.id)
        values = (person.active, person.name, person.user_name, person.external_id, person.extended_time)
        if row is None:
            inserted = self._run("INSERT INTO person VALUES (NULL, ?, ?, ?, ?, ?, ?)", (person.id, *values))
            self._rows["person", person.id] = inserted.lastrowid
            self._new_people.add(person.id)
            return
        self._people.append(person_of(self._run(f"SELECT {PERSON} FROM person WHERE row = ?", (row,)).fetchone()))
        self._run(
            "UPDATE person SET active = ?, name = ?, user_name = ?, external_id = ?, extended_time = ?"
            " WHERE row = ?",
            (*values, row),
        )

    def _put_group(self, head: GroupHead) -> None:
        row = self._row("access_group", head.id)
        if row is None:
            inserted = self._run(
                "INSERT INTO access_group VALUES (NULL, ?, ?, ?, 0)", (head.id, head.name, head.external_id)
            )
            self._rows["access_group", head.id] = inserted.lastrowid
            self._new_groups.add(head.id)
            return
        name, external_id = self._run(
            "SELECT name, external_id FROM access_group WHERE row = ?", (row,)
        ).fetchone()
        self._groups.append(GroupHead(head.id, name, external_id))
        self._run(
            "UPDATE access_group SET name = ?, external_id = ? WHERE row = ?", (head.name, head.external_id, row)
        )

    def _join(self, group: str, people: frozenset[str]) -> None:
        group_row = self._row("access_group", group)
        for id_ in people:
            person_row = self._row("person", id_)
            if group_row is None or person_row is None:
                continue
            fresh = self._run("INSERT OR IGNORE INTO membership VALUES (?, ?)", (person_row, group_row)).rowcount
            if fresh and group not in self._new_groups and id_ not in self._new_people:
                self._new_members.setdefault(group, set()).add(id_)

    def _put_credential(self, one: Credential) -> None:
        row = self._row("person", one.person_id)
        if row is None:
            return
        known = self._take_credential(one.key, one.person_id)
        bounds = (to_seconds(one.valid_from), to_seconds(one.valid_until))
        self._run(
            "INSERT INTO credential VALUES (?, ?, ?, ?, ?, ?, ?)",
            (one.key, row, one.kind.value, one.state.value, *bounds, one.label),
        )
        if not known and one.person_id not in self._new_people:
            self._new_credentials.add((one.key, one.person_id))


def _bare(columns: str) -> str:
    return columns.replace("credential.", "")
