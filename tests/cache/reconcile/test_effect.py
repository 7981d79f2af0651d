"""The effect of a change at the doors, on three people and on a hundred thousand."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings

from cache.model import Credential, CredentialState, Directory, Group, Person
from cache.reconcile.effect import Effect, effect
from tests.cache.directories import directories

A, B = Person("a"), Person("b")
OLD = Directory(
    {"a": A, "b": B},
    {
        "staff": Group("staff", "Staff", None, frozenset("ab")),
        "vault": Group("vault", "Vault", None, frozenset("a")),
    },
    (Credential(b"1", "a"), Credential(b"2", "b")),
)
DOORS = {"staff": frozenset({"lobby"}), "vault": frozenset({"lobby", "safe"})}


def doors_of(groups: frozenset[str]) -> frozenset[str]:
    return frozenset().union(*(DOORS.get(one, frozenset()) for one in groups))


def test_no_change_has_no_effect() -> None:
    assert effect(OLD, OLD, doors_of) == Effect()


def test_a_door_the_last_door_and_a_door_without_anyone() -> None:
    new = replace(OLD, groups={"staff": OLD.groups["staff"]})
    found = effect(OLD, new, doors_of)
    assert (found.people, dict(found.lost), found.last) == (2, {"a": {"safe"}}, frozenset())
    assert found.emptied == {"safe"}
    found = effect(OLD, replace(OLD, groups={}), doors_of)
    assert found.last == {"a", "b"}
    assert found.emptied == {"lobby", "safe"}


def test_who_is_deactivated_gone_or_without_an_active_card_has_no_door() -> None:
    lost = replace(OLD.credentials[0], state=CredentialState.LOST)
    for new in (
        replace(OLD, people={"a": replace(A, active=False), "b": B}),
        replace(OLD, people={"b": B}),
        replace(OLD, credentials=(lost, OLD.credentials[1])),
        replace(OLD, credentials=OLD.credentials[1:]),
    ):
        found = effect(OLD, new, doors_of)
        assert dict(found.lost) == {"a": {"lobby", "safe"}}
        assert (found.last, found.emptied) == ({"a"}, {"safe"})


def test_who_never_had_a_card_counts_by_the_groups() -> None:
    bare = replace(OLD, credentials=())
    assert effect(bare, replace(bare, groups={}), doors_of).last == {"a", "b"}


def test_a_new_id_of_the_same_person_keeps_their_doors() -> None:
    again = Person("c")
    new = Directory(
        {"b": B, "c": again},
        {
            "staff": Group("staff", "Staff", None, frozenset("bc")),
            "vault": replace(OLD.groups["vault"], members=frozenset("c")),
        },
        (Credential(b"1", "c"), Credential(b"2", "b")),
    )
    assert effect(OLD, new, doors_of).last == {"a"}
    assert effect(OLD, new, doors_of, successors={"a": "c"}) == Effect()
    assert effect(OLD, new, doors_of, frozenset("b")) == Effect(), "only who is touched is looked at"


@settings(deadline=None, max_examples=60)
@given(directories(), directories())
def test_the_last_door_is_a_door_and_an_emptied_one_was_lost(old: Directory, new: Directory) -> None:
    found = effect(old, new)
    assert found.last <= found.lost.keys()
    assert found.emptied <= frozenset().union(*found.lost.values())
    assert len(found.lost) <= found.people or not found.lost
    for door in found.emptied:
        members = new.groups[door].members if door in new.groups else frozenset()
        assert all(one not in new.people or not new.people[one].active or one in found.lost for one in members)
