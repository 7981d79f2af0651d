"""A delta in words, naming people and groups, and the token by which an operator accepts it. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from itertools import islice

from cache.changes import Delta
from cache.directory.codec import canonical
from cache.model import Directory

SHOWN = 200
"""Lines of each kind; beyond them only the number is shown."""


def describe(old: Directory, delta: Delta, heirs: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """One line for each change, ``+`` added, ``-`` removed, ``~`` changed; ``old`` is what it is applied to.

    ``heirs`` are the new ids of people who are gone.
    """
    names = _Names(old, delta)
    again = {id_: f", who has the id {new} now, with the same card" for id_, new in (heirs or {}).items()}
    people, groups = sorted(delta.people_removed), sorted(delta.groups_removed)
    cards = sorted((person, key) for key, person in delta.credentials_removed)
    known = {(one.key, one.person_id) for one in old.credentials} if delta.credentials else set()
    lines: list[str] = []
    lines += _shown((f"- person {names.person(id_)}{again.get(id_, '')}" for id_ in people), len(people))
    lines += _shown(
        (f"- group {names.group(id_)}, {len(old.groups[id_].members)} members" for id_ in groups), len(groups)
    )
    lines += _shown(_members("-", names, delta.members_removed), _count(delta.members_removed))
    lines += _shown((f"- credential of {names.person(person)}" for person, _ in cards), len(cards))
    lines += _shown((names.new_person(person.id) for person in delta.people), len(delta.people))
    lines += _shown((names.new_group(head.id) for head in delta.groups), len(delta.groups))
    lines += _shown(_members("+", names, delta.members), _count(delta.members))
    lines += _shown(
        (
            f"{'~' if (one.key, one.person_id) in known else '+'} credential of {names.person(one.person_id)}: "
            f"{one.label or one.kind.value}, {one.state.value}"
            for one in delta.credentials
        ),
        len(delta.credentials),
    )
    return tuple(lines)


def token_of(delta: Delta) -> str:
    """Eight hexadecimal digits that stand for exactly this delta."""
    text = json.dumps(canonical(delta), separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


class _Names:
    """Names of people and groups, before and after a delta."""

    def __init__(self, old: Directory, delta: Delta) -> None:
        self._old = old
        self._people = {person.id: person for person in delta.people}
        self._groups = {head.id: head for head in delta.groups}

    def person(self, id_: str) -> str:
        person = self._people.get(id_) or self._old.people.get(id_)
        name = person and (person.name or person.user_name)
        return f"{name} ({id_})" if name else id_

    def group(self, id_: str) -> str:
        group = self._groups.get(id_) or self._old.groups.get(id_)
        return f'"{group.name}"' if group else id_

    def new_person(self, id_: str) -> str:
        before, after = self._old.people.get(id_), self._people[id_]
        if before is None:
            return f"+ person {self.person(id_)}" + ("" if after.active else ", not active")
        if before.active == after.active:
            return f"~ person {self.person(id_)}"
        return f"~ person {self.person(id_)}: {'activated' if after.active else 'deactivated'}"

    def new_group(self, id_: str) -> str:
        before = self._old.groups.get(id_)
        if before is None:
            return f"+ group {self.group(id_)}"
        return f'~ group {self.group(id_)}, until now "{before.name}"'


def _members(sign: str, names: _Names, members: Mapping[str, frozenset[str]]) -> Iterator[str]:
    for id_, people in sorted(members.items()):
        for one in sorted(people):
            yield f"{sign} member of {names.group(id_)}: {names.person(one)}"


def _count(members: Mapping[str, frozenset[str]]) -> int:
    return sum(map(len, members.values()))


def _shown(lines: Iterator[str], total: int) -> list[str]:
    shown = list(islice(lines, SHOWN))
    return [*shown, f"  and {total - len(shown)} more like these"] if total > len(shown) else shown
