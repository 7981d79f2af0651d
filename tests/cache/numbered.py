"""Directories made from a number, as large as it says. No test library is needed, so a guest can use it too."""

from __future__ import annotations

from cache.keys import card_key
from cache.model import Credential, Directory, Group, Person

SITE_KEY = bytes(range(32))


def large(count: int, groups: int = 200, each: int = 5, spare: str = "") -> Directory:
    """``count`` people with a card each, and ``each`` memberships; ``spare`` goes into every name."""
    persons = {
        id_: Person(id_, True, f"Person {number}{spare}", f"person{number}@example.com", f"{number:08}")
        for number in range(count)
        for id_ in [person_id(number)]
    }
    members: dict[str, set[str]] = {f"group-{number:04}": set() for number in range(groups)}
    names = sorted(members)
    for number, id_ in enumerate(persons):
        for step in range(each):
            members[names[(number * 7 + step * 31) % groups]].add(id_)
    return Directory(
        persons,
        {id_: Group(id_, f"Group {id_}", f"external {id_}", frozenset(ids)) for id_, ids in members.items()},
        tuple(Credential(card(number), person_id(number), label="H10301") for number in range(count)),
    )


def person_id(number: int) -> str:
    """An id that looks like those of real servers."""
    return f"{number:08x}-5f3a-4c1d-9e2b-{number:012x}"


def card(number: int) -> bytes:
    """The key of one person's card."""
    return card_key(SITE_KEY, 35, number)


def same(one: Directory, other: Directory) -> bool:
    """Whether two directories say the same; credentials have no order."""
    return (
        one.people == other.people
        and one.groups == other.groups
        and len(one.credentials) == len(other.credentials)
        and set(one.credentials) == set(other.credentials)
    )
