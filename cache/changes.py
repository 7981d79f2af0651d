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

MANY_DEACTIVATED = "many deactivated"
"""How the summary of a generation begins in which so many people were deactivated that an alarm is due."""


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
    """What the brake counts over its window, each by a bound of its own."""

    PEOPLE = "people"
    LAST_DOOR = "last_door"
    DOORS = "doors"
    DEACTIVATED = "deactivated"


@dataclass(frozen=True, slots=True)
class Loss:
    """How many passed the brake: people who lost a door, their last one, doors that lost everyone, and so on."""

    scope: Scope
    count: int


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
    ``refused`` is what operators have rejected and the directory still claims; when nothing else waits, it is
    ``delta``, too, and ``rejected`` is true. ``rows`` is how many rows ``delta`` had when the token was made.
    """

    token: str
    delta: Delta
    reasons: tuple[str, ...]
    diff: tuple[str, ...]
    since: datetime
    rejected: bool = False
    refused: Delta = field(default_factory=Delta)
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Alarm:
    """Many people were deactivated at once: ``done`` is what was applied, ``back`` leads back from it."""

    text: str
    done: Delta
    back: Delta


@dataclass(frozen=True, slots=True)
class Plan:
    """What one sync changes. ``delta`` applies now, ``quarantine`` waits, ``warnings`` are for people.

    ``losses`` are what the brake's window has to remember.
    """

    delta: Delta = field(default_factory=Delta)
    rebinding: Rebinding = field(default_factory=Rebinding)
    quarantine: Quarantine | None = None
    losses: tuple[Loss, ...] = ()
    diff: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    alarm: Alarm | None = None


def minus(delta: Delta, other: Delta) -> Delta:
    """What of ``delta`` is not in ``other``; rows of people, groups and credentials are compared by their ids."""
    people, heads = {one.id for one in other.people}, {one.id for one in other.groups}
    cards = {(one.key, one.person_id) for one in other.credentials}
    return Delta(
        tuple(one for one in delta.people if one.id not in people),
        tuple(one for one in delta.groups if one.id not in heads),
        tuple(one for one in delta.credentials if (one.key, one.person_id) not in cards),
        _less(delta.members, other.members),
        delta.people_removed - other.people_removed,
        delta.groups_removed - other.groups_removed,
        _less(delta.members_removed, other.members_removed),
        delta.credentials_removed - other.credentials_removed,
    )


def plus(delta: Delta, other: Delta) -> Delta:
    """Both; where both have a row of one id, that of ``other``."""
    rest = minus(delta, other)
    return Delta(
        rest.people + other.people,
        rest.groups + other.groups,
        rest.credentials + other.credentials,
        _both(delta.members, other.members),
        delta.people_removed | other.people_removed,
        delta.groups_removed | other.groups_removed,
        _both(delta.members_removed, other.members_removed),
        delta.credentials_removed | other.credentials_removed,
    )


def _less(whole: Mapping[str, frozenset[str]], other: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    left = {id_: members - other.get(id_, frozenset()) for id_, members in whole.items()}
    return {id_: members for id_, members in left.items() if members}


def _both(one: Mapping[str, frozenset[str]], other: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    return {id_: one.get(id_, frozenset()) | other.get(id_, frozenset()) for id_ in {**one, **other}}


def patched(directory: Directory, delta: Delta) -> Directory:
    """The directory after the delta: what the store's apply leads to."""
    people = {id_: person for id_, person in directory.people.items() if id_ not in delta.people_removed}
    people.update((person.id, person) for person in delta.people)
    groups = {}
    heads = {id_: GroupHead(id_, group.name, group.external_id) for id_, group in directory.groups.items()}
    heads.update((head.id, head) for head in delta.groups)
    no_one: frozenset[str] = frozenset()
    for id_, head in heads.items():
        if id_ in delta.groups_removed:
            continue
        before = directory.groups[id_].members if id_ in directory.groups else no_one
        gone, joined = delta.members_removed.get(id_, no_one), delta.members.get(id_, no_one)
        if gone or joined or not before.isdisjoint(delta.people_removed):
            groups[id_] = Group(id_, head.name, head.external_id, before - delta.people_removed - gone | joined)
        else:
            groups[id_] = Group(id_, head.name, head.external_id, before)
    credentials = {
        (one.key, one.person_id): one
        for one in directory.credentials
        if one.person_id not in delta.people_removed and (one.key, one.person_id) not in delta.credentials_removed
    }
    credentials.update(((one.key, one.person_id), one) for one in delta.credentials)
    return Directory(people, groups, tuple(credentials.values()))
