"""Groups: which are chosen, and whom they hold once nested ones are opened. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cache.model import Group
from daemon.scim.filters import parse_filter
from daemon.scim.identity import Identity, Tally
from daemon.scim.people import People
from daemon.scim.resource import GroupResource, MemberRef, get, read_group, text
from daemon.scim.settings import ScimSettings

MAX_DEPTH = 8
"""How deep groups may hold groups; deeper ones are left out and reported."""


class Chooser:
    """Which groups of the directory become access groups: by name, by filter or by id.

    ``configured_names`` are the words by which the site file means a group, by its id: a group that was renamed
    is still chosen by the name that the site file knows it by, so that it keeps its doors.
    """

    def __init__(
        self, settings: ScimSettings, configured_names: Mapping[str, frozenset[str]] | None = None
    ) -> None:
        self._known_as = configured_names or {}
        self._ids = frozenset(settings.ids or ())
        self._patterns = settings.groups or ()
        self._filter_text = settings.filter
        self._filter = None if settings.filter is None else parse_filter(settings.filter)
        self._names = re.compile("|".join(map(_pattern, self._patterns)) or r"(?!)", re.IGNORECASE)

    def chooses(self, group_id: str, group: Mapping[str, Any]) -> bool:
        """Whether the SCIM Group becomes an access group."""
        configured_names = self._known_as.get(group_id, frozenset())
        if group_id in self._ids or group_id in configured_names or self._fits(group):
            return True
        return any(self._fits({**group, "displayName": name}) for name in configured_names)

    def unused(self, chosen: Mapping[str, str]) -> list[str]:
        """What the site file chooses by and nothing fits; ``chosen`` are the names of the chosen groups by id."""
        names = {*chosen.values(), *(word for id_ in chosen for word in self._known_as.get(id_, ()))}
        found = [f'scim.ids: no group has the id "{id_}"' for id_ in sorted(self._ids - chosen.keys())]
        for pattern in self._patterns:
            fits = re.compile(_pattern(pattern), re.IGNORECASE).fullmatch
            if not any(map(fits, names)):
                found.append(f'scim.groups: no group is called "{pattern}"')
        if self._filter is not None and not chosen:
            found.append(f"scim.filter: no group fits {self._filter_text}")
        return found

    def _fits(self, group: Mapping[str, Any]) -> bool:
        if self._filter is not None:
            return self._filter(group)
        return self._names.fullmatch(text(get(group, "displayName")) or "") is not None


def _pattern(pattern: str) -> str:
    """``*`` is any text and ``?`` any character; brackets are brackets, group names are full of them."""
    return "(?:" + re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".") + ")"


@dataclass(slots=True)
class Groups:
    """All groups read so far, also those not chosen: a chosen one may hold them."""

    chooser: Chooser
    all: dict[str, GroupResource] = field(default_factory=dict)
    chosen: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)
    identity: Identity = field(default_factory=Identity)
    known_as: Mapping[str, str] = field(default_factory=dict)
    """The names that groups had at the sync before, by id: one that has lost its name is still known by it."""

    def take(self, group_id: str, group: Mapping[str, Any]) -> None:
        """Read one Group. ``MalformedError`` if it is none."""
        read = read_group(group, self.known_as.get(group_id))
        self.all[group_id] = read
        if self.chooser.chooses(group_id, {**group, "displayName": read.name}):
            self.chosen.add(group_id)

    def take_members(self, group_id: str, group: Mapping[str, Any]) -> None:
        """Read the members of a group that is known already, and nothing else of it."""
        known = self.all.get(group_id)
        members = read_group(group, "-").members
        if known is not None and members:
            self.all[group_id] = replace(known, members=members)

    def add_members(self, group_id: str, members: tuple[MemberRef, ...]) -> None:
        """Members that another reading of the group showed."""
        read = self.all[group_id]
        self.all[group_id] = replace(read, members=tuple(dict.fromkeys((*read.members, *members))))

    def spoil(self, group_id: str) -> None:
        """Members of this group could not be read: nothing is known of who is no longer in it."""
        read = self.all.get(group_id)
        if read is not None:
            self.all[group_id] = replace(read, members_readable=False)

    def forget(self, group_id: str) -> None:
        """A group that is gone after all."""
        self.all.pop(group_id, None)
        self.chosen.discard(group_id)

    def readable(self, people: People) -> bool:
        """Whether any group shows a member who is somebody: only then does an empty one prove anything."""
        self.identity.decide(self.all, people)
        members = (member for group in self.all.values() for member in group.members)
        return any(self.identity.person(member, self.all, people) is not None for member in members)

    def inner(self, group_id: str, people: People) -> list[str]:
        """What a group holds that is a group, or may be one that was not read: a member who is nobody known."""
        read = self.all.get(group_id)
        return [
            member.value
            for member in (read.members if read is not None else ())
            if member.is_group is not False and not self._is_person(member, people)
        ]

    def strangers(self, people: People) -> set[str]:
        """What the chosen groups hold that is no group and was not read as a person."""
        return {
            member.value
            for group_id in self.chosen
            for member in self.all[group_id].members
            if not member.is_group and member.value not in self.all and not self._is_person(member, people)
        }

    def unknown(self, group_ids: Collection[str], people: People) -> set[str]:
        """What groups and those in them hold that was read neither as a person nor as a group."""
        todo, seen = list(group_ids), set(group_ids)
        while todo:
            inner = {id_ for id_ in self.inner(todo.pop(), people) if id_ not in seen}
            seen |= inner
            todo += inner
        return seen - self.all.keys()

    def _is_person(self, member: MemberRef, people: People) -> bool:
        """Whether a member is someone known, or is named like someone: no group is looked for then."""
        return not member.is_group and (
            member.value in people.people or self.identity.person(member, self.all, people) is not None
        )

    def resolved(self, people: People) -> dict[str, Group]:
        """The chosen groups with their members, nested groups opened to ``MAX_DEPTH``; cycles are harmless."""
        self.warnings.clear()
        self.identity.decide(self.all, people)
        tally = Tally()
        groups = {}
        for group_id in sorted(self.chosen):
            head = self.all[group_id]
            members = frozenset(self._open(group_id, people, tally))
            groups[group_id] = Group(group_id, head.name, head.external_id, members)
        self.identity.doubtful = tally.doubtful
        self.warnings += tally.words(people, self.all)
        unreadable = sum(not self.all[group_id].members_readable for group_id in self.chosen)
        if unreadable:
            self.warnings.append(f"members of {unreadable} groups cannot be read: those in them stay as they are")
        self.warnings += self.chooser.unused({id_: group.name for id_, group in groups.items()})
        return groups

    def _open(self, group_id: str, people: People, tally: Tally) -> set[str]:
        members: set[str] = set()
        opened, level = {group_id}, [group_id]
        for depth in range(MAX_DEPTH + 1):
            nested: list[str] = []
            for one in level:
                inner = self._direct(one, people, members, tally, group_id)
                nested.extend(g for g in inner if g not in opened)
                opened.update(inner)
            level = nested
            if not level:
                break
            if depth == MAX_DEPTH:
                self.warnings.append(
                    f"the group {group_id} holds groups deeper than {MAX_DEPTH}: those are left out"
                )
        return members

    def _direct(self, group_id: str, people: People, members: set[str], tally: Tally, head: str) -> list[str]:
        """Add the people who are in one group itself; returns the groups in it."""
        nested: list[str] = []
        identity, known, here = self.identity, people.people, self.all
        for member in here[group_id].members:
            value, is_group = member.value, member.is_group
            if not is_group and value in known:
                if is_group is None and (value in here or value in identity.groups_before):
                    tally.both.add(value)
                else:
                    members.add(known[value].id)
            elif value in here and is_group is not False:
                nested.append(value)
            elif (person := identity.person(member, here, people)) is not None:
                members.add(person)
            else:
                tally.nobody(member, people, head, not identity.is_id(member, here, people))
        return nested
