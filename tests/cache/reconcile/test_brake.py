"""The brake: what counts, what never waits, and several groups that are emptied at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.changes import Delta, Removal, Scope
from cache.model import Directory, Group, Person
from cache.reconcile.brake import brake
from cache.reconcile.limits import CountLimit, Limits, MemberLimit
from tests.cache.directories import directories

T = TypeVar("T")

NONE = CountLimit(percent=0, count=0)
STRICT = Limits(people=NONE, groups=NONE, members=MemberLimit(percent=0, above=0), credentials=NONE)
OPEN = CountLimit(percent=100, count=10**6)
LOOSE = Limits(people=OPEN, groups=OPEN, members=MemberLimit(percent=100, above=0), credentials=OPEN)


def site(*sizes: int) -> Directory:
    """Groups of so many people, each person in one group."""
    groups, people = {}, {}
    for number, size in enumerate(sizes):
        members = {f"u{number}-{one}" for one in range(size)}
        people.update((id_, Person(id_)) for id_ in members)
        groups[f"g{number}"] = Group(f"g{number}", f"Group {number}", None, frozenset(members))
    return Directory(people, groups)


def emptied(old: Directory, *numbers: int, **more: object) -> Delta:
    gone = {f"g{number}": old.groups[f"g{number}"].members for number in numbers}
    return Delta(members_removed=gone, **more)  # type: ignore[arg-type]


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


@settings(deadline=None, max_examples=60)
@given(removals(), st.sampled_from([STRICT, LOOSE, Limits()]))
def test_every_removal_either_applies_or_waits(made: tuple[Directory, Delta], limits: Limits) -> None:
    old, whole = made
    parts = brake(old, whole, limits, ())
    for name in ("people_removed", "groups_removed", "credentials_removed"):
        applied, held = getattr(parts.applied, name), getattr(parts.held, name)
        assert applied | held == getattr(whole, name)
        assert not applied & held
    assert {**parts.applied.members_removed, **parts.held.members_removed} == whole.members_removed
    assert bool(parts.held) == bool(parts.reasons)


@settings(deadline=None, max_examples=60)
@given(removals())
def test_one_person_never_waits_whatever_the_limits(made: tuple[Directory, Delta]) -> None:
    old, whole = made
    for one in sorted(old.people)[:2]:
        members = {id_: gone & {one} for id_, gone in whole.members_removed.items() if one in gone}
        cards = frozenset(card for card in whole.credentials_removed if card[1] == one)
        delta = Delta(people_removed=frozenset({one}), members_removed=members, credentials_removed=cards)
        recent = tuple(Removal(scope, 10**6) for scope in Scope)
        assert brake(old, delta, STRICT, recent).applied == delta


@pytest.mark.parametrize(
    ("sizes", "numbers", "held"),
    [
        ((5, 5, 5, 5), (0,), False),  # one group that is emptied is meant
        ((5, 5, 5, 5), (0, 1), True),
        ((1, 1, 5, 5), (0, 1), True),
        ((5,) * 60, (0, 1), False),  # within the limit of groups: 2, and 5 %
        ((5,) * 60, (0, 1, 2), True),
    ],
)
def test_several_emptied_groups_count_as_removed_ones(
    sizes: tuple[int, ...], numbers: tuple[int, ...], held: bool
) -> None:
    old = site(*sizes)
    whole = emptied(old, *numbers)
    parts = brake(old, whole, Limits(), ())
    assert parts.held.members_removed == (whole.members_removed if held else {})
    if held:
        assert parts.reasons == (f"{len(numbers)} of {len(sizes)} groups would lose all their members",)


def test_a_group_whose_people_are_exchanged_or_gone_is_not_emptied_by_its_list() -> None:
    old = site(5, 5, 5)
    exchanged = emptied(old, 0, 1, members={"g0": frozenset({"u2-0"})})
    assert not brake(old, exchanged, Limits(), ()).held
    both = {"g0": frozenset({"u0-0"}), "g1": frozenset({"u1-0"})}
    others = frozenset(old.people) - {"u0-0", "u1-0", "u2-0"}
    gone = Delta(members_removed=both, people_removed=others)
    assert brake(old, gone, LOOSE, ()).applied == gone, "loose limits let everything through"
    assert "groups would lose all their members" in " ".join(brake(old, gone, Limits(), ()).reasons)


def test_one_person_in_several_groups_of_their_own_is_one_person() -> None:
    old = Directory({"u": Person("u")}, {f"g{n}": Group(f"g{n}", "G", None, frozenset("u")) for n in range(4)})
    whole = Delta(members_removed={id_: frozenset("u") for id_ in old.groups})
    assert brake(old, whole, STRICT, ()).applied == whole


def test_one_person_never_waits_behind_others() -> None:
    old = site(30, 30)
    crowd = frozenset(old.groups["g0"].members)
    late = crowd | {"u1-0"}
    waiting = brake(old, Delta(people_removed=crowd), Limits(), ()).held
    parts = brake(old, Delta(people_removed=late), Limits(), (), waiting)
    assert (parts.applied.people_removed, parts.held.people_removed) == ({"u1-0"}, crowd)
    assert parts.passed == (Removal(Scope.PEOPLE, 1),)
    two = brake(old, Delta(people_removed=late | {"u1-1"}), Limits(), (), waiting)
    assert two.held.people_removed == late | {"u1-1"}, "two are counted with those who wait"

    most = Delta(members_removed={"g0": crowd - {"u0-0", "u0-1"}})
    waiting = brake(old, most, Limits(), ()).held
    parts = brake(old, Delta(members_removed={"g0": crowd - {"u0-1"}}), Limits(), (), waiting)
    assert (parts.applied.members_removed, parts.held) == ({"g0": {"u0-0"}}, waiting)


def test_one_person_never_waits_behind_emptied_groups() -> None:
    old = site(3, 3, 3)
    first = Delta(members_removed={"g0": old.groups["g0"].members, "g1": frozenset({"u1-0", "u1-1", "u1-2"})})
    waiting = brake(old, first, Limits(), ()).held
    assert waiting.members_removed == first.members_removed
    later = Delta(members_removed={**first.members_removed, "g2": frozenset({"u2-0"})})
    parts = brake(old, later, Limits(), (), waiting)
    assert (parts.applied.members_removed, parts.held) == ({"g2": {"u2-0"}}, waiting)


def test_what_waits_is_judged_anew_each_time() -> None:
    old = site(30, 30)
    few = Delta(people_removed=frozenset({"u0-0", "u0-1", "u0-2"}))
    lately = (Removal(Scope.PEOPLE, 9),)
    waiting = brake(old, few, Limits(), lately).held
    assert waiting.people_removed == few.people_removed
    assert brake(old, few, Limits(), (), waiting).applied == few, "the day is over"


def test_what_passes_is_remembered_and_what_waits_is_not() -> None:
    old = site(30, 30)
    few = Delta(people_removed=frozenset({"u0-0", "u0-1"}))
    assert brake(old, few, Limits(), ()).passed == (Removal(Scope.PEOPLE, 2),)
    many = Delta(people_removed=frozenset(old.groups["g0"].members))
    assert brake(old, many, Limits(), ()).passed == ()
