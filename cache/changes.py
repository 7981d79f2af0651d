"""What changes between two generations: values only, made by cache.reconcile, applied by cache.directory.store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cache.model import Credential, Directory, Group, Person

ID_MARK = "id:"
"""What a reference of the site file begins with when it is a group's id and not its name."""

CredentialId = tuple[bytes, str]
"""A credential's key and its holder's id: what makes it one row."""


@dataclass(frozen=True, slots=True)
class GroupHead:
    """A group without its members."""

    id: str
    name: str
    external_id: str | None = None


@dataclass(frozen=True, slots=True)
class Delta:
    """What to write over a directory and what to take out of it.

    ``people``, ``groups`` and ``credentials`` are new or changed, whole. Taking a person out takes their
    memberships and credentials along; taking a group out takes its memberships along.
    """

    people: tuple[Person, ...] = ()
    groups: tuple[GroupHead, ...] = ()
    credentials: tuple[Credential, ...] = ()
    members: Mapping[str, frozenset[str]] = field(default_factory=dict)
    people_removed: frozenset[str] = frozenset()
    groups_removed: frozenset[str] = frozenset()
    members_removed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    credentials_removed: frozenset[CredentialId] = frozenset()

    def __bool__(self) -> bool:
        """Whether anything changes at all."""
        return self.added > 0 or self.removed > 0

    @property
    def added(self) -> int:
        """How many people, groups, credentials and memberships are new or changed."""
        members = sum(map(len, self.members.values()))
        return len(self.people) + len(self.groups) + len(self.credentials) + members

    @property
    def removed(self) -> int:
        """How many people, groups, credentials and memberships are taken out by name, not as a consequence."""
        members = sum(map(len, self.members_removed.values()))
        return len(self.people_removed) + len(self.groups_removed) + len(self.credentials_removed) + members


class Scope(StrEnum):
    """What the brake counts, each by a limit of its own."""

    PEOPLE = "people"
    GROUPS = "groups"
    MEMBERS = "members"
    CREDENTIALS = "credentials"


@dataclass(frozen=True, slots=True)
class Removal:
    """How many were removed at once in one scope; ``group_id`` is empty but for members."""

    scope: Scope
    count: int
    group_id: str = ""


@dataclass(frozen=True, slots=True)
class Binding:
    """What a reference of the site file means: the group of this id, also when it has gone (a tombstone)."""

    reference: str
    group_id: str
    external_id: str | None
    name: str


@dataclass(frozen=True, slots=True)
class Rebinding:
    """How the references change: bindings new or changed, and references that the site file no longer has."""

    bound: tuple[Binding, ...] = ()
    dropped: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        """Whether anything changes at all."""
        return bool(self.bound or self.dropped)


@dataclass(frozen=True, slots=True)
class Quarantine:
    """What the brake holds back until an operator accepts or rejects it.

    ``token`` is a digest of the content: accepting names what was seen. ``diff`` is for people to read.
    """

    token: str
    delta: Delta
    reasons: tuple[str, ...]
    diff: tuple[str, ...]
    since: datetime
    rejected: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What one sync changes. ``delta`` applies now, ``quarantine`` waits, ``warnings`` are for people.

    ``removals`` are what the rolling 24 hours have to remember.
    """

    delta: Delta = field(default_factory=Delta)
    rebinding: Rebinding = field(default_factory=Rebinding)
    quarantine: Quarantine | None = None
    removals: tuple[Removal, ...] = ()
    diff: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def patched(directory: Directory, delta: Delta) -> Directory:
    """The directory after the delta: what the store's apply leads to."""
    people = {id_: person for id_, person in directory.people.items() if id_ not in delta.people_removed}
    people.update((person.id, person) for person in delta.people)
    groups = {}
    heads = {id_: GroupHead(id_, group.name, group.external_id) for id_, group in directory.groups.items()}
    heads.update((head.id, head) for head in delta.groups)
    none: frozenset[str] = frozenset()
    for id_, head in heads.items():
        if id_ in delta.groups_removed:
            continue
        before = directory.groups[id_].members if id_ in directory.groups else none
        after = before - delta.people_removed - delta.members_removed.get(id_, none)
        groups[id_] = Group(id_, head.name, head.external_id, after | delta.members.get(id_, none))
    credentials = {
        (one.key, one.person_id): one
        for one in directory.credentials
        if one.person_id not in delta.people_removed and (one.key, one.person_id) not in delta.credentials_removed
    }
    credentials.update(((one.key, one.person_id), one) for one in delta.credentials)
    return Directory(people, groups, tuple(credentials.values()))
