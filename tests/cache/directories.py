"""Directories for tests: small ones that Hypothesis varies, and large ones made from a number."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from cache.keys import card_key
from cache.model import Credential, CredentialState, Directory, Group, Person

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
SITE_KEY = bytes(range(32))

_IDS = st.sampled_from([f"u{number}" for number in range(8)])
_GROUP_IDS = st.sampled_from([f"g{number}" for number in range(5)])
_NAMES = st.one_of(st.none(), st.sampled_from(["Ada", "Grace", "Ünal", "O'Neil %_"]))
_INSTANTS = st.one_of(st.none(), st.integers(0, 10_000).map(lambda minutes: NOW + timedelta(minutes=minutes)))

people = st.builds(Person, _IDS, st.booleans(), _NAMES, _NAMES, _NAMES, st.booleans())


@st.composite
def directories(draw: st.DrawFn) -> Directory:
    """A directory whose members and card holders exist, with duplicate cards and group names."""
    persons = {person.id: person for person in draw(st.lists(people, max_size=8))}
    if not persons:
        return Directory()
    ids = st.sampled_from(sorted(persons))
    groups = {
        id_: Group(
            id_, draw(st.sampled_from(["Staff", "Vault", "Cleaning", id_])), draw(_NAMES), frozenset(members)
        )
        for id_, members in draw(st.dictionaries(_GROUP_IDS, st.sets(ids), max_size=5)).items()
    }
    cards = {
        (card_key(SITE_KEY, 26, number), holder): Credential(
            card_key(SITE_KEY, 26, number),
            holder,
            state=draw(st.sampled_from(CredentialState)),
            valid_from=draw(_INSTANTS),
            valid_until=draw(_INSTANTS),
            label="H10301",
        )
        for number, holder in draw(st.sets(st.tuples(st.integers(0, 5), ids), max_size=8))
    }
    return Directory(persons, groups, tuple(cards.values()))


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
