"""reconcile: who is still there loses nothing, who was deactivated loses it, and the brake forgets nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.changes import Binding, Delta, Loss, Plan, Scope, patched
from cache.model import Credential, CredentialState, Directory, Group, Person
from cache.reconcile.held import moved_cards, successors
from cache.reconcile.limits import Bound, Brake
from cache.reconcile.reconcile import Evidence, Policy, changes, disconnect, missing, normalised, plan
from tests.cache.directories import NOW, directories
from tests.cache.numbered import card, large, person_id, same

FEW = Brake(people=Bound(percent=20, count=1), last_door=Bound(percent=20, count=1), doors_without_anybody=1)
EASY = Policy()


def confirmed(old: Directory, new: Directory) -> Evidence:
    """Everything that is missing is confirmed to be gone."""
    claims = missing(old, new)
    return Evidence(claims.people, claims.groups, claims.members)


@st.composite
def evidence_for(draw: st.DrawFn, old: Directory, new: Directory) -> Evidence:
    """Some of what is missing is confirmed to be gone, and some things that are not missing at all."""
    claims = missing(old, new)
    everyone = [*old.people, *new.people]
    some_people = st.frozensets(st.sampled_from(everyone)) if everyone else st.just(frozenset[str]())
    return Evidence(
        frozenset(one for one in claims.people if draw(st.booleans())) | draw(some_people) - claims.people,
        frozenset(one for one in claims.groups if draw(st.booleans())),
        {id_: frozenset(one for one in gone if draw(st.booleans())) for id_, gone in claims.members.items()},
    )


def without(directory: Directory, *numbers: int) -> Directory:
    """A large directory in which some people are missing, everywhere."""
    gone = {person_id(number) for number in numbers}
    return patched(directory, Delta(people_removed=frozenset(gone)))


# ------------------------------------------------------------------ properties


@settings(deadline=None, max_examples=50)
@given(st.data(), directories(), directories())
def test_only_what_is_confirmed_gone_is_ever_lost(data: st.DataObject, old: Directory, new: Directory) -> None:
    evidence = data.draw(evidence_for(old, new))
    result = plan(old, new, evidence, Policy(FEW), NOW)
    after = patched(old, result.delta)
    for id_ in old.people:
        assert id_ in after.people or (id_ in evidence.people and id_ not in new.people)
    for id_, group in old.groups.items():
        assert id_ in after.groups or (id_ in evidence.groups and id_ not in new.groups)
        if id_ not in after.groups:
            continue
        lost = group.members - after.groups[id_].members
        shown = new.groups[id_].members if id_ in new.groups else frozenset()
        assert not lost & shown - evidence.people
        assert lost <= evidence.members.get(id_, frozenset()) | evidence.people


@settings(deadline=None, max_examples=50)
@given(st.data(), directories(), directories())
def test_additions_and_deactivations_apply_whatever_is_held_back(
    data: st.DataObject, old: Directory, new: Directory
) -> None:
    result = plan(old, new, data.draw(evidence_for(old, new)), Policy(FEW), NOW)
    after = patched(old, result.delta)
    for id_, person in new.people.items():
        assert after.people[id_] == person
    for id_, group in new.groups.items():
        assert after.groups[id_].members >= group.members
        assert after.groups[id_].name == group.name
    kept = {(one.key, one.person_id): one for one in after.credentials}
    for one in new.credentials:
        assert kept[one.key, one.person_id] == one


@settings(deadline=None, max_examples=50)
@given(st.data(), directories(), directories())
def test_what_applies_and_what_is_held_make_up_the_whole(
    data: st.DataObject, old: Directory, new: Directory
) -> None:
    evidence = data.draw(evidence_for(old, new))
    whole = changes(old, new, evidence)
    result = plan(old, new, evidence, Policy(FEW), NOW)
    now = patched(old, result.delta)
    later = patched(now, result.quarantine.delta) if result.quarantine else now
    moved = moved_cards(old, new, frozenset(successors(old, new)))
    assert same(later, patched(patched(old, Delta(credentials_removed=moved)), whole))
    if result.quarantine:
        assert result.quarantine.delta.added == 0
        assert result.quarantine.reasons


@settings(deadline=None, max_examples=50)
@given(directories(), directories())
def test_full_evidence_leads_to_the_new_directory(old: Directory, new: Directory) -> None:
    assert same(patched(old, changes(old, new, confirmed(old, new))), new)
    assert not changes(new, new, confirmed(new, new))


@settings(deadline=None, max_examples=50)
@given(directories(), directories())
def test_without_evidence_nothing_is_removed_but_cards_of_people_who_are_there(
    old: Directory, new: Directory
) -> None:
    delta = changes(old, new, Evidence())
    assert not delta.people_removed
    assert not delta.groups_removed
    assert not delta.members_removed
    assert {person for _, person in delta.credentials_removed} <= set(new.people)


@settings(deadline=None, max_examples=30)
@given(directories(), directories())
def test_the_token_stands_for_the_content(old: Directory, new: Directory) -> None:
    policy = Policy(require_first_approval=True)
    one = plan(Directory(), old, Evidence(), policy, NOW).quarantine
    again = plan(Directory(), old, Evidence(), policy, NOW + timedelta(hours=1)).quarantine
    other = plan(Directory(), new, Evidence(), policy, NOW).quarantine
    assert (one and one.token) == (again and again.token)
    if one and other:
        assert (one.token == other.token) == same(old, new)


# ------------------------------------------------------------------ the brake


def test_one_person_is_never_delayed() -> None:
    old = large(3)
    new = without(old, 0)
    recent = (Loss(Scope.PEOPLE, 500), Loss(Scope.LAST_DOOR, 500), Loss(Scope.DOORS, 500))
    result = plan(old, new, confirmed(old, new), EASY, NOW, recent)
    assert result.quarantine is None
    assert result.delta.people_removed == {person_id(0)}
    assert set(result.losses) >= {Loss(Scope.PEOPLE, 1), Loss(Scope.LAST_DOOR, 1)}


@pytest.mark.parametrize(
    ("people", "gone", "lately", "held"),
    [
        (3, 1, 0, False),
        (3, 2, 0, True),
        (12, 3, 0, True),
        (100, 7, 0, False),
        (100, 8, 0, True),
        (100, 3, 4, False),
        (100, 3, 5, True),  # with those of the window
        (10_000, 11, 0, False),
        (10_000, 71, 0, True),
    ],
)
def test_people_are_held_beyond_what_their_number_allows(people: int, gone: int, lately: int, held: bool) -> None:
    old = large(people, groups=3, each=1)
    new = without(old, *range(gone))
    recent = (Loss(Scope.LAST_DOOR, lately),) if lately else ()
    result = plan(old, new, confirmed(old, new), EASY, NOW, recent)
    assert (result.quarantine is not None) == held
    assert len(result.delta.people_removed) == (0 if held else gone)
    if result.quarantine:
        assert len(result.quarantine.delta.people_removed) == gone
        after = f" after {lately} lately" if lately else ""
        assert f"{gone} of {people} people with a door would lose their last door{after}" in "; ".join(
            result.quarantine.reasons
        )
        assert f"- person Person 0 ({person_id(0)})" in result.quarantine.diff
        assert not result.losses


def test_the_rest_applies_while_removals_wait() -> None:
    old = large(100)
    kept = without(old, *range(50))
    leaver = replace(kept.people[person_id(60)], active=False)
    lost = Credential(card(61), person_id(61), state=CredentialState.LOST)
    new = Directory(
        {**kept.people, leaver.id: leaver, "new": Person("new")},
        kept.groups,
        (*(one for one in kept.credentials if one.person_id != lost.person_id), lost),
    )
    result = plan(old, new, confirmed(old, new), EASY, NOW)
    assert result.quarantine
    assert {person.id for person in result.delta.people} == {leaver.id, "new"}
    assert result.delta.credentials == (lost,)
    assert f"~ person Person 60 ({leaver.id}): deactivated" in result.diff


def test_cards_of_one_person_are_never_held_and_cards_of_many_are() -> None:
    old = large(12)
    for gone, held in ((1, False), (2, True), (11, True)):
        new = replace(old, credentials=old.credentials[gone:])
        result = plan(old, new, confirmed(old, new), EASY, NOW)
        assert (result.quarantine is not None) == held
    many = Directory(
        {"u": Person("u")},
        {"g": Group("g", "G", None, frozenset("u"))},
        tuple(Credential(card(number), "u") for number in range(30)),
    )
    result = plan(many, Directory(many.people, many.groups), Evidence(), EASY, NOW)
    assert len(result.delta.credentials_removed) == 30


def test_the_first_sync_needs_approval_only_if_asked_for() -> None:
    new = large(50)
    assert plan(Directory(), new, Evidence(), EASY, NOW).quarantine is None
    waiting = plan(Directory(), new, Evidence(), Policy(require_first_approval=True), NOW)
    assert not waiting.delta
    assert waiting.quarantine
    assert same(patched(Directory(), waiting.quarantine.delta), new)


def test_limits_of_nothing_hold_everything_but_one_person() -> None:
    zero = Bound(percent=0, count=0)
    old = large(10)
    policy = Policy(Brake(people=zero, last_door=zero))
    assert plan(old, without(old, 1, 2), confirmed(old, without(old, 1, 2)), policy, NOW).quarantine
    assert not plan(old, without(old, 1), confirmed(old, without(old, 1)), policy, NOW).quarantine


# ------------------------------------------------------------------ disconnecting and bindings


def test_a_disconnect_takes_every_group_and_no_person() -> None:
    old = large(30)
    done = disconnect(old, NOW, approved=True)
    after = patched(old, done.delta)
    assert not after.groups
    assert after.people == old.people
    waiting = disconnect(old, NOW, approved=False)
    assert not waiting.delta
    assert waiting.quarantine
    assert waiting.quarantine.delta == done.delta
    assert disconnect(Directory(), NOW, approved=False).quarantine is None


def bound(groups: list[Group], known: dict[str, Binding], *references: str) -> tuple[dict[str, str], Plan]:
    """What each reference is bound to after a sync that finds these groups, and the plan."""
    new = Directory({}, {group.id: group for group in groups})
    result = plan(new, new, Evidence(), Policy(references=frozenset(references)), NOW, bindings=known)
    after = {**known, **{one.reference: one for one in result.rebinding.bound}}
    return {key: one.group_id for key, one in after.items() if key not in result.rebinding.dropped}, result


STAFF = Binding("Staff", "g1", "e1", "Staff")


def test_a_name_binds_at_first_sight_and_an_id_that_is_written_as_one() -> None:
    groups = [Group("g1", "Staff", "e1"), Group("g2", "Vault")]
    after, result = bound(groups, {}, "Staff", "id:g2", "Absent", "g1")
    assert after == {"Staff": "g1", "id:g2": "g2"}
    no_one = "it gives access to no one"
    assert result.warnings == (
        f'no access group is called "Absent": {no_one}',
        f'no access group is called "g1": {no_one}; it is the id of "Staff": to mean that group, write "id:g1"',
    )


def test_a_group_that_is_called_like_an_id_is_not_meant_by_it() -> None:
    assert bound([Group("g1", "id:g2")], {}, "id:g2")[0] == {}
    assert bound([Group("g1", "g2"), Group("g2", "Vault")], {}, "g2")[0] == {"g2": "g1"}
    assert bound([Group("g1", "id:g2"), Group("g2", "Vault")], {}, "id:g2")[0] == {"id:g2": "g2"}


def test_an_id_that_was_bound_without_its_mark_stays_bound() -> None:
    known = {"g1": Binding("g1", "g1", None, "Staff")}
    assert bound([Group("g1", "Staff"), Group("g2", "g1")], known, "g1")[0] == {"g1": "g1"}


def test_a_renamed_group_keeps_its_doors_also_when_another_takes_its_name() -> None:
    after, result = bound([Group("g1", "Employees", "e1"), Group("g2", "Staff")], {"Staff": STAFF}, "Staff")
    assert after == {"Staff": "g1"}
    assert not result.warnings


def test_a_group_that_went_leaves_a_tombstone_and_comes_back_by_its_id_alone() -> None:
    after, result = bound([Group("other", "Staff", "e9")], {"Staff": STAFF}, "Staff")
    assert after == {"Staff": "g1"}
    assert not result.rebinding
    assert "is gone" in result.warnings[0]
    assert "other" in result.warnings[0]
    assert bound([Group("g1", "Staff again")], {"Staff": STAFF}, "Staff")[0] == {"Staff": "g1"}
    after, result = bound([Group("new", "Personnel", "e1")], {"Staff": STAFF}, "Staff")
    assert after == {"Staff": "g1"}, "whoever makes a group chooses its externalId"
    assert '"Personnel" has its externalId: to mean that one, write its id, "id:new"' in result.warnings[0]


def test_two_groups_of_one_name_are_reported_and_bind_to_neither_unless_bound() -> None:
    twins = [Group("g1", "Staff", "e1"), Group("g2", "Staff")]
    after, result = bound(twins, {}, "Staff")
    assert after == {}
    assert result.warnings[0].startswith('2 groups are named "Staff" ("id:g1", "id:g2")')
    assert bound(twins, {"Staff": STAFF}, "Staff")[0] == {"Staff": "g1"}


def test_a_reference_that_the_site_file_no_longer_has_is_forgotten() -> None:
    assert bound([Group("g1", "Staff", "e1")], {"Staff": STAFF}, "id:g1")[0] == {"id:g1": "g1"}


# ------------------------------------------------------------------ details


def test_a_member_who_is_nobody_is_left_out() -> None:
    new = Directory({"u": Person("u")}, {"g": Group("g", "Staff", None, frozenset({"u", "ghost"}))})
    delta = changes(Directory(), new, Evidence())
    assert delta.members == {"g": frozenset({"u"})}
    assert not changes(patched(Directory(), delta), new, Evidence())


def test_someone_confirmed_gone_does_not_join_a_group_that_still_lists_them() -> None:
    old = Directory({"u": Person("u")}, {"g": Group("g", "Staff")})
    new = Directory({}, {"g": Group("g", "Staff", None, frozenset({"u"}))})
    delta = changes(old, new, Evidence(people=frozenset({"u"})))
    assert delta == Delta(people_removed=frozenset({"u"}))


def test_of_two_entries_for_one_card_the_inactive_one_counts_and_seconds_are_whole() -> None:
    half = timedelta(microseconds=500_000)
    active = Credential(b"k", "u", valid_from=NOW + half, valid_until=NOW + half)
    lost = replace(active, state=CredentialState.LOST)
    for order in ((active, lost), (lost, active)):
        (only,) = normalised(order).values()
        assert only.state is CredentialState.LOST
        assert only.valid_from == NOW + timedelta(seconds=1)
        assert only.valid_until == NOW


def test_a_long_diff_is_cut_and_says_so() -> None:
    old = large(300)
    result = plan(old, Directory(), confirmed(old, Directory()), EASY, NOW)
    assert result.quarantine
    lines = result.quarantine.diff
    assert sum(line.startswith("- person") for line in lines) == 200
    assert "  and 100 more like these" in lines
