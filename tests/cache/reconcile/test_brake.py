"""The brake: what is judged by its effect, what never waits, and what is counted by itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.changes import Delta, Loss, Scope, patched, plus
from cache.model import Credential, CredentialState, Directory, Group, Person
from cache.reconcile.brake import Known, brake
from cache.reconcile.effect import effect
from cache.reconcile.limits import Bound, Brake
from tests.cache.directories import directories
from tests.cache.numbered import card, same

T = TypeVar("T")

NONE, OPEN = Bound(percent=0, count=0), Bound(percent=100, count=10**6)
STRICT = Brake(people=NONE, last_door=NONE, doors_without_anybody=0)
LOOSE = Brake(people=OPEN, last_door=OPEN, doors_without_anybody=10**6)
HOLD = Brake(deactivations="hold")


def site(*sizes: int, cards: bool = False) -> Directory:
    """Groups of so many people, each person in one group."""
    groups, people = {}, {}
    for number, size in enumerate(sizes):
        members = {f"u{number}-{one}" for one in range(size)}
        people.update((id_, Person(id_)) for id_ in sorted(members))
        groups[f"g{number}"] = Group(f"g{number}", f"Group {number}", None, frozenset(members))
    held = tuple(Credential(card(number), id_) for number, id_ in enumerate(people)) if cards else ()
    return Directory(people, groups, held)


def emptied(old: Directory, *numbers: int) -> Delta:
    return Delta(members_removed={f"g{number}": old.groups[f"g{number}"].members for number in numbers})


def one_door(groups: frozenset[str]) -> frozenset[str]:
    """Every group opens the same door."""
    return frozenset({"lobby"}) if groups else frozenset()


@st.composite
def removals(draw: st.DrawFn) -> tuple[Directory, Delta]:
    """A directory, and any removals of what is in it."""
    old = draw(directories())

    def some(found: Iterable[T]) -> frozenset[T]:
        return frozenset(one for one in found if draw(st.booleans()))

    members = {id_: some(sorted(group.members)) for id_, group in old.groups.items()}
    return old, Delta(
        people_removed=some(sorted(old.people)),
        groups_removed=some(sorted(old.groups)),
        members_removed={id_: gone for id_, gone in members.items() if gone},
        credentials_removed=some((one.key, one.person_id) for one in old.credentials),
    )


# ------------------------------------------------------------------ properties


@settings(deadline=None, max_examples=60)
@given(removals(), st.sampled_from([STRICT, LOOSE, Brake()]))
def test_every_removal_either_applies_or_waits(made: tuple[Directory, Delta], bounds: Brake) -> None:
    old, whole = made
    parts = brake(old, whole, bounds)
    for name in ("people_removed", "groups_removed", "credentials_removed"):
        applied, held = getattr(parts.applied, name), getattr(parts.held, name)
        assert applied | held == getattr(whole, name)
        assert not applied & held
    assert plus(parts.applied, parts.held) == whole
    assert bool(parts.held) == bool(parts.reasons)


@settings(deadline=None, max_examples=60)
@given(removals())
def test_who_would_lose_a_door_in_a_crowd_loses_none(made: tuple[Directory, Delta]) -> None:
    old, whole = made
    parts = brake(old, whole, STRICT)
    lost = effect(old, patched(old, parts.applied)).lost
    assert len(lost) <= 3, "only the single one of each kind"
    assert same(patched(patched(old, parts.applied), parts.held), patched(old, whole))


@settings(deadline=None, max_examples=60)
@given(removals())
def test_one_person_never_waits_whatever_the_bounds(made: tuple[Directory, Delta]) -> None:
    old, whole = made
    for one in sorted(old.people)[:2]:
        members = {id_: gone & {one} for id_, gone in whole.members_removed.items() if one in gone}
        cards = frozenset(found for found in whole.credentials_removed if found[1] == one)
        delta = Delta(people_removed=frozenset({one}), members_removed=members, credentials_removed=cards)
        recent = tuple(Loss(scope, 10**6) for scope in Scope)
        assert brake(old, delta, STRICT, known=Known(recent)).applied == delta


# ------------------------------------------------------------------ by effect


@pytest.mark.parametrize(
    ("sizes", "numbers", "held"),
    [
        ((5, 5, 5, 5), (0,), True),  # five of twenty lose their last door
        ((5,) * 60, (0,), False),
        ((5,) * 60, (0, 1), True),  # two doors would have no one left
        ((1, 1, 5, 5), (0,), False),
        ((1900, 100), (0,), True),
        ((20,) * 100, (0, 1), True),  # 40 people of two groups of a hundred
    ],
)
def test_groups_that_are_emptied_count_by_their_people(
    sizes: tuple[int, ...], numbers: tuple[int, ...], held: bool
) -> None:
    old = site(*sizes)
    whole = emptied(old, *numbers)
    gone = Delta(groups_removed=frozenset(whole.members_removed))
    assert bool(brake(old, whole, Brake()).held) == held
    assert bool(brake(old, gone, Brake()).held) == held, "to everyone in it, it is the same"


def test_a_group_that_opens_nothing_goes_at_once_and_so_does_one_whose_people_keep_their_doors() -> None:
    old = site(30, 30)
    both = {**old.groups, "g2": Group("g2", "All", None, frozenset(old.people))}
    old = replace(old, groups=both)
    gone = Delta(groups_removed=frozenset({"g0", "g1"}))
    assert brake(old, gone, Brake(), one_door).applied == gone
    assert brake(old, gone, Brake(), lambda groups: groups - {"g0", "g1"}).applied == gone
    assert brake(old, gone, Brake()).held == gone


def test_one_of_ten_groups_is_judged_by_what_it_opens() -> None:
    old = site(*(20,) * 10)
    gone = Delta(groups_removed=frozenset({"g3"}))
    elsewhere = frozenset(old.groups["g3"].members)
    moved = replace(gone, members={"g4": elsewhere})
    assert brake(old, gone, Brake(), one_door).held == gone, "20 of 200 lose their last door"
    assert brake(old, moved, Brake(), one_door).applied == moved, "they come in by another group"


def test_a_door_that_is_lost_counts_though_another_is_left() -> None:
    old = site(100)
    people = frozenset(old.people)
    old = replace(old, groups={**old.groups, "vault": Group("vault", "Vault", None, people)})
    whole = Delta(members_removed={"vault": frozenset(sorted(people)[:20])})
    (reason,) = brake(old, whole, Brake()).reasons
    assert reason == "20 of 100 people with a door would lose a door (limit: 14)"
    fewer = Delta(members_removed={"vault": frozenset(sorted(people)[:14])})
    assert brake(old, fewer, Brake()).applied == fewer


def test_cards_that_vanish_from_many_wait_unless_another_card_is_left() -> None:
    old = site(20, cards=True)
    gone = frozenset((one.key, one.person_id) for one in old.credentials)
    assert brake(old, Delta(credentials_removed=gone), Brake()).held.credentials_removed == gone
    second = tuple(Credential(card(100 + number), id_) for number, id_ in enumerate(old.people))
    two = replace(old, credentials=(*old.credentials, *second))
    assert not brake(two, Delta(credentials_removed=gone), Brake()).held
    assert not brake(old, Delta(credentials_removed=gone), Brake(), known=Known(positive=gone)).held


def test_people_under_a_new_id_have_lost_nothing() -> None:
    old = site(20)
    whole = Delta(
        people=tuple(Person(f"new-{id_}") for id_ in old.people),
        members={"g0": frozenset(f"new-{id_}" for id_ in old.people)},
        people_removed=frozenset(old.people),
    )
    heirs = {id_: f"new-{id_}" for id_ in old.people}
    assert brake(old, whole, Brake(), known=Known(successors=heirs)).applied == whole
    assert brake(old, whole, Brake()).held == Delta(people_removed=frozenset(old.people))


# ------------------------------------------------------------------ who never waits, and what is remembered


def test_the_only_one_of_a_kind_never_waits_behind_a_crowd() -> None:
    old = site(30, 30, 30, cards=True)
    crowd = old.groups["g0"].members
    cards = {one.person_id: (one.key, one.person_id) for one in old.credentials}
    whole = Delta(
        people_removed=frozenset({"u1-0"}),
        members_removed={"g0": crowd},
        credentials_removed=frozenset({cards["u2-0"]}),
    )
    parts = brake(old, whole, Brake())
    assert parts.held == Delta(members_removed={"g0": crowd})
    assert parts.passed == (Loss(Scope.PEOPLE, 2), Loss(Scope.LAST_DOOR, 2))


def test_what_passes_is_remembered_and_what_waits_is_not() -> None:
    old = site(30, 30)
    few = Delta(people_removed=frozenset({"u0-0", "u0-1"}))
    assert brake(old, few, Brake()).passed == (Loss(Scope.PEOPLE, 2), Loss(Scope.LAST_DOOR, 2))
    many = Delta(people_removed=old.groups["g0"].members)
    assert brake(old, many, Brake()).passed == ()
    lately = Known((Loss(Scope.LAST_DOOR, 5),))
    assert brake(old, few, Brake(), known=lately).held == few
    assert "after 5 lately" in brake(old, few, Brake(), known=lately).reasons[0]
    doors = Known((Loss(Scope.DOORS, 1),))
    two = site(2, 30, 30, 30)
    empty = emptied(two, 0)
    assert brake(two, empty, Brake()).passed[-1] == Loss(Scope.DOORS, 1)
    assert brake(two, empty, Brake(), known=doors).held == empty


def test_who_is_only_presumed_to_be_gone_never_goes_by_itself() -> None:
    old = site(30, 30)
    for count in (1, 2, 30):
        absent = frozenset(sorted(old.groups["g0"].members)[:count])
        parts = brake(old, Delta(people_removed=absent), Brake(), known=Known(presumed=absent))
        assert not parts.applied.people_removed
        assert parts.held.people_removed == (absent if count == 30 else frozenset())
        assert not parts.passed


# ------------------------------------------------------------------ deactivations


def deactivating(old: Directory, count: int) -> Delta:
    chosen = sorted(old.people)[:count]
    return Delta(people=tuple(replace(old.people[one], active=False, name="Renamed") for one in chosen))


@pytest.mark.parametrize("bounds", [Brake(), HOLD, STRICT])
def test_one_deactivation_is_nothing_special(bounds: Brake) -> None:
    old = site(20)
    one = deactivating(old, 1)
    parts = brake(old, one, bounds)
    assert (parts.applied, parts.alarm) == (one, None)
    assert parts.passed == (Loss(Scope.DEACTIVATED, 1),)


def test_many_deactivations_apply_with_an_alarm_that_leads_back() -> None:
    old = site(20)
    many = deactivating(old, 10)
    parts = brake(old, many, Brake())
    assert (parts.applied, parts.held) == (many, Delta())
    assert parts.alarm is not None
    assert parts.alarm.text.startswith("10 of 20 people with a door are deactivated, and lose a door (limit: 4)")
    assert patched(patched(old, many), parts.alarm.back) == old
    assert not parts.passed, "what was reported is not counted again"


def test_many_deactivations_wait_where_the_site_says_so_and_their_other_changes_do_not() -> None:
    old = site(20)
    many = deactivating(old, 10)
    parts = brake(old, many, HOLD)
    assert parts.held == many
    assert parts.alarm is None
    assert {(one.active, one.name) for one in parts.applied.people} == {(True, "Renamed")}


def test_lost_cards_count_as_deactivations_unless_another_card_is_left() -> None:
    old = site(20, cards=True)
    lost = Delta(credentials=tuple(replace(one, state=CredentialState.LOST) for one in old.credentials))
    parts = brake(old, lost, HOLD)
    assert (parts.held, parts.applied) == (lost, Delta())
    alarm = brake(old, lost, Brake()).alarm
    assert alarm is not None
    assert same(patched(patched(old, lost), alarm.back), old)
    fresh = tuple(Credential(card(100 + number), id_) for number, id_ in enumerate(old.people))
    replaced = replace(lost, credentials=lost.credentials + fresh)
    assert (brake(old, replaced, HOLD).applied, brake(old, replaced, Brake()).alarm) == (replaced, None)


def test_deactivated_and_absent_people_are_counted_apart() -> None:
    old = site(20, 20)
    whole = replace(deactivating(old, 2), people_removed=frozenset({"u1-0", "u1-1"}))
    assert brake(old, whole, Brake()).applied == whole
    both = replace(deactivating(old, 10), people_removed=frozenset(f"u1-{number}" for number in range(10)))
    parts = brake(old, both, HOLD)
    assert (len(parts.held.people), len(parts.held.people_removed)) == (10, 10)
    assert len(parts.reasons) >= 3
