"""Directories for tests: small ones that Hypothesis varies. Those made from a number are in numbered.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from cache.keys import card_key
from cache.model import Credential, CredentialState, Directory, Group, Person
from tests.cache.numbered import SITE_KEY

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)

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
