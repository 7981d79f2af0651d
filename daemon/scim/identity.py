"""Whom a member of a group means: an id is an id; a userName counts only where the directory writes them. Pure.

docs/scim.md, "Who is meant". Anyone may be able to choose their own userName; no one chooses their id. A userName
that happens to be an id, of today or of the past, therefore names no one.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace

from daemon.scim.memory import BY_ID, BY_NAME, Memory, digest
from daemon.scim.people import People
from daemon.scim.report import called
from daemon.scim.resource import GroupResource, MemberRef

_CHANGED = 2
"""People whom userNames have to name, and no member an id, before a directory that wrote ids has changed."""

_NAMED = 5
"""How many people or ids a warning names."""


@dataclass(slots=True)
class Identity:
    """The rule for one directory. ``setting`` is ``scim.members``; ``proven`` what its members were proven to be.

    ``doubtful`` are people, by group, whom a userName names that does not count: no one gets in by it, and who
    was in stays until an operator says what the directory writes.
    """

    setting: str = "auto"
    proven: str = ""
    former: Container[str] = frozenset()
    people_before: Container[str] = frozenset()
    groups_before: Container[str] = frozenset()
    names_count: bool = False
    doubtful: Mapping[str, set[str]] = field(default_factory=dict)
    _wrote: str = ""
    _taken: frozenset[str] = frozenset()
    """People whose userName is the id of someone else or of a group, in whatever case: it names no one."""

    @classmethod
    def of(cls, setting: str, memory: Memory) -> Identity:
        """Return the rule as the site file and the syncs before leave it."""
        return cls(setting, former=frozenset(memory.former), _wrote=memory.members)

    def decide(self, groups: Mapping[str, GroupResource], people: People) -> None:
        """Say whether userNames count, from every member of every group: one id of a person disproves it.

        Groups in groups prove nothing: they have no userName, and stand there by their id on any server.
        """
        if self.setting != "auto":
            self.names_count = self.setting == BY_NAME
            self._taken = frozenset(people.called_by_ids(groups) if self.names_count else ())
            return
        if self.proven == BY_ID:
            return
        named, unnamed = set[str](), 0
        for group in groups.values():
            for member in group.members:
                if member.is_group:
                    continue
                if member.value in people.people:
                    self.proven, self.names_count = BY_ID, False
                    return
                one = self._named(member, groups, people)
                if one is None:
                    unnamed += 1
                else:
                    named.add(one)
        self._taken = frozenset(people.called_by_ids(groups) if named else ())
        named.difference_update(self._taken)
        # A directory that wrote ids until now has to show more than one stray value.
        changed = self._wrote == BY_ID and (len(named) < _CHANGED or len(named) < unnamed)
        self.names_count = bool(named) and not changed
        self.proven = BY_NAME if self.names_count else ""

    def is_id(self, member: MemberRef, groups: Mapping[str, GroupResource], people: People) -> bool:
        """Whether a member's value is, or ever was, the id of a person or a group."""
        value = member.value
        if value in people.people or value in self.people_before:
            return True
        if member.is_group is None and (value in groups or value in self.groups_before):
            return True
        return bool(self.former) and digest(value) in self.former

    def person(self, member: MemberRef, groups: Mapping[str, GroupResource], people: People) -> str | None:
        """Return the id of the person whom a member means, or ``None``: a group, or no one."""
        value, is_group = member.value, member.is_group
        if is_group:
            return None
        if value in people.people:
            both = is_group is None and (value in groups or value in self.groups_before)
            return None if both else people.people[value].id
        if not self.names_count or value in groups or value in self.groups_before:
            return None
        named = self._named(member, groups, people)
        return None if named in self._taken else named

    def _named(self, member: MemberRef, groups: Mapping[str, GroupResource], people: People) -> str | None:
        """Return whose userName a value is, unless it is an id of another, as it stands or in the other case.

        A userName has no case, so that an id written in capitals would name whoever took it for a userName.
        """
        value, named = member.value, people.named(member.value)
        if named is None:
            return None
        for form in {value, value.casefold(), value.upper()} - {named}:
            if self.is_id(member if form == value else replace(member, value=form), groups, people):
                return None
        return named


@dataclass(slots=True)
class Tally:
    """Members of one reading that mean no one, by kind, for the warnings."""

    dangling: int = 0
    both: set[str] = field(default_factory=set)
    named: set[str] = field(default_factory=set)
    doubtful: dict[str, set[str]] = field(default_factory=dict)

    def nobody(self, member: MemberRef, people: People, group_id: str, never_an_id: bool) -> None:
        """Count a member that means no one, though it may be a userName; ``never_an_id``: as far as is known."""
        named = None if member.is_group else people.named(member.value)
        if named is None:
            self.dangling += 1
            return
        self.named.add(named)
        if never_an_id:
            self.doubtful.setdefault(group_id, set()).add(named)

    def words(self, people: People, groups: Iterable[str]) -> list[str]:
        """Return what is to be said, worst first."""
        found = []
        if self.named:
            found.append(
                f"members of groups are the userName of {_some(self.named, people)} and the id of no one: they "
                'are left out; if this directory writes userNames, say scim.members = "userName", else someone '
                "may have taken the id of a former member for a userName"
            )
        alike = people.called_by_ids(groups)
        if alike:
            found.append(
                f"the userName of {_some(alike, people)} is the id of someone else or of a group: "
                "it names no one; ask who chose it"
            )
        if self.both:
            ids = ", ".join(sorted(self.both)[:_NAMED])
            found.append(
                f"{len(self.both)} members are the id of a person and of a group ({ids}) and do not say which: "
                'they are left out; let the directory write "type" or "$ref"'
            )
        if self.dangling:
            found.append(f"{self.dangling} members of groups are nobody in the directory and were left out")
        return found


def _some(ids: set[str] | list[str], people: People) -> str:
    """A few people by what they are called, and how many more there are."""
    names = [called(people.people[id_]) for id_ in sorted(ids)[:_NAMED]]
    return ", ".join(names) + (f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else "")
