"""What is held back over several syncs: whole and still, under one token, and never the reason for a denial."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from cache.changes import Binding, Delta, Plan, Quarantine, patched, plus
from cache.model import Credential, CredentialState, Directory, Group, Person
from cache.reconcile.held import Held, held_before, spoken_of, successors, undone
from cache.reconcile.limits import Brake
from cache.reconcile.reconcile import Evidence, Policy, missing, plan
from tests.cache.directories import NOW
from tests.cache.numbered import card


def staff(*numbers: int, new_ids: bool = False, active: bool = True) -> Directory:
    """One group of these people, each with a card."""
    ids = {number: f"{'n' if new_ids else 'u'}{number:03}" for number in numbers}
    people = {id_: Person(id_, active, f"Person {n}", f"person{n}", f"e{n}") for n, id_ in ids.items()}
    groups = {"g": Group("g", "Staff", None, frozenset(people))}
    return Directory(people, groups, tuple(Credential(card(n), id_) for n, id_ in ids.items()))


@dataclass
class Cache:
    """A cache that one sync after another changes."""

    there: Directory
    policy: Policy = field(default_factory=Policy)
    held: Quarantine | None = None

    def sync(self, new: Directory, evidence: Evidence | None = None) -> Plan:
        """One sync; all that is missing is confirmed unless ``evidence`` says otherwise."""
        claims = missing(self.there, new)
        proven = evidence or Evidence(claims.people, claims.groups, claims.members)
        made = plan(self.there, new, proven, self.policy, NOW, waiting=self.held)
        self.there, self.held = patched(self.there, made.delta), made.quarantine
        return made

    def reject(self) -> None:
        """What ``Store.reject`` does."""
        assert self.held is not None
        self.held = replace(self.held, rejected=True, refused=plus(self.held.refused, self.held.delta))

    def accept(self) -> None:
        """What ``Store.accept`` does."""
        assert self.held is not None
        self.there, self.held = patched(self.there, self.held.delta), spoken_of(self.held)

    def holders(self, number: int) -> list[str]:
        """Who has a card."""
        return [one.person_id for one in self.there.credentials if one.key == card(number)]


# ------------------------------------------------------------------ until an operator speaks


def test_what_is_held_stays_so_when_it_would_pass_later() -> None:
    cache = Cache(staff(*range(12)))
    cache.sync(staff(*range(3, 12)))
    first = cache.held
    assert first is not None
    assert len(first.delta.people_removed) == 3
    cache.sync(staff(*range(3, 200)))
    assert cache.held is first, "3 of 200 would pass; they were held when they were 3 of 12"


def test_nothing_is_asked_or_written_again_while_it_waits() -> None:
    cache = Cache(staff(*range(60)))
    cache.sync(staff(*range(10)))
    first = cache.held
    for _ in range(3):
        made = cache.sync(staff(*range(10)), Evidence())
        assert (made.delta, cache.held) == (Delta(), first)


def test_what_comes_back_is_no_longer_held_and_the_token_stays() -> None:
    cache = Cache(staff(*range(60)))
    cache.sync(staff(*range(10)))
    assert cache.held is not None
    token = cache.held.token
    cache.sync(staff(*range(30)))
    assert cache.held is not None
    assert (cache.held.token, len(cache.held.delta.people_removed)) == (token, 30)
    cache.sync(staff(*range(60)))
    assert cache.held is None


def test_when_most_of_it_comes_back_the_rest_is_judged_again() -> None:
    cache = Cache(staff(*range(60)))
    cache.sync(staff(*range(10)))
    cache.sync(staff(*range(58)), Evidence())
    assert cache.held is not None
    assert len(cache.held.delta.people_removed) == 2, "it is not proven now"
    cache.sync(staff(*range(58)))
    assert cache.held is None
    assert len(cache.there.people) == 58
    cache.sync(staff(*range(10)))
    token = cache.held and cache.held.token
    cache.sync(staff(*range(40)))
    assert cache.held is not None
    assert (cache.held.token, len(cache.held.delta.people_removed)) == (token, 18), "too many still"
    cache.sync(staff(*range(40)), Evidence())
    assert cache.held.token == token


def test_what_waits_or_was_refused_needs_no_evidence() -> None:
    there = staff(*range(60))
    cache = Cache(there)
    cache.sync(staff(*range(10)))
    assert len(held_before(cache.held, there, staff(*range(10))).settled.people_removed) == 50
    assert held_before(cache.held, there, staff(*range(58))).settled == Delta()
    cache.reject()
    assert len(held_before(cache.held, there, staff(*range(58))).settled.people_removed) == 2


def test_more_that_is_held_has_another_token_and_one_leaver_passes_meanwhile() -> None:
    cache = Cache(staff(*range(100)))
    cache.sync(staff(*range(60)))
    first = cache.held
    assert first is not None
    cache.sync(staff(*range(59)))
    assert cache.held is first
    assert "u059" not in cache.there.people
    cache.sync(staff(*range(40)))
    assert cache.held is not None
    assert cache.held.token != first.token
    assert len(cache.held.delta.people_removed) == 40 + 19
    assert len(cache.held.reasons) > len(first.reasons)


def test_a_member_of_a_held_group_who_leaves_goes_at_once() -> None:
    cache = Cache(staff(*range(60)))
    there = staff(*range(60))
    cache.sync(replace(there, groups={}))
    assert cache.held is not None
    assert cache.held.delta.groups_removed == {"g"}
    cache.sync(replace(staff(*range(59)), groups={}))
    assert "u059" not in cache.there.people


def test_a_rejection_is_remembered_also_when_something_else_waits() -> None:
    cache = Cache(staff(*range(100)))
    cache.sync(staff(*range(70)))
    cache.reject()
    for _ in range(2):
        cache.sync(staff(*range(70)), Evidence())
        assert cache.held is not None
        assert cache.held.rejected
    assert cache.held is not None
    refused = cache.held.delta
    cache.sync(staff(*range(40)))
    assert cache.held is not None
    assert not cache.held.rejected
    assert (cache.held.refused, len(cache.held.delta.people_removed)) == (refused, 30)
    cache.accept()
    assert len(cache.there.people) == 70
    assert cache.held is not None
    assert (cache.held.rejected, cache.held.delta) == (True, refused)
    token = cache.held.token
    cache.sync(staff(*range(40)))
    assert cache.held.token == token
    assert len(cache.there.people) == 70
    cache.sync(staff(*range(40), *range(80, 100)))
    assert len(cache.held.delta.people_removed) == 10, "who is there again is no longer refused"
    assert cache.held.token == token
    cache.accept()
    assert cache.held is None


def test_what_waits_and_comes_back_leaves_what_was_refused() -> None:
    cache = Cache(staff(*range(100)))
    cache.sync(staff(*range(70)))
    cache.reject()
    cache.sync(staff(*range(40)))
    assert cache.held is not None
    assert not cache.held.rejected
    cache.sync(staff(*range(70)))
    assert cache.held.rejected
    assert len(cache.held.delta.people_removed) == 30


def test_memberships_cards_and_groups_are_held_as_still_as_people() -> None:
    there = staff(*range(60))
    for less in (
        replace(there, groups={}),
        replace(there, groups={"g": replace(there.groups["g"], members=frozenset())}),
        replace(there, credentials=()),
    ):
        cache = Cache(there)
        cache.sync(less)
        first = cache.held
        assert first is not None
        assert cache.sync(less, Evidence()).delta == Delta()
        assert cache.held is first
        cache.sync(there)
        assert cache.held is None
    cache = Cache(there)
    cache.sync(replace(there, groups={"g": replace(there.groups["g"], members=frozenset())}))
    first = cache.held
    cache.sync(replace(there, groups={}), Evidence())
    assert cache.held is first, "a group that is missing now shows no one either"
    cache.there = replace(there, groups={})
    cache.sync(replace(there, groups={}))
    assert cache.held is None, "what is no longer there cannot be removed"


def test_nothing_was_held() -> None:
    assert Held().shrunk(Directory(), Delta()) is None
    assert Held().settled == Delta()
    assert Held().only_refused(Directory()) is None


# ------------------------------------------------------------------ new ids and cards that move


def test_everyone_under_a_new_id_loses_nothing_and_waits_for_nothing() -> None:
    cache = Cache(staff(*range(60)))
    made = cache.sync(staff(*range(60), new_ids=True))
    assert cache.held is None
    assert cache.holders(7) == ["n007"]
    assert "- person Person 7 (u007), who has the id n007 now, with the same card" in made.diff


def test_a_held_removal_denies_no_one() -> None:
    """Everyone has a new id, and the groups do not list it yet: the old ones wait, and their cards do not."""
    cache = Cache(staff(*range(60)))
    new = staff(*range(60), new_ids=True)
    bare = replace(new, groups={"g": Group("g", "Staff")})
    cache.sync(bare)
    assert cache.held is not None
    assert len(cache.held.delta.people_removed) == 60
    assert cache.holders(7) == ["n007"], "one holder: no duplicate"
    assert "who has the id n007 now" in "\n".join(cache.held.diff)
    cache.sync(new)
    assert cache.there.groups["g"].members >= new.people.keys()
    cache.accept()
    assert cache.there.people.keys() == new.people.keys()


def test_an_absence_that_is_not_proven_leaves_the_card_to_the_same_person_only() -> None:
    cache = Cache(staff(1, 2))
    again, other = staff(1, new_ids=True), Person("x", True, "Other")
    cache.sync(again, Evidence())
    assert cache.holders(1) == ["n001"]
    stranger = Directory({"x": other}, {}, (Credential(card(2), "x"),))
    cache.sync(stranger, Evidence())
    assert set(cache.holders(2)) == {"u002", "x"}, "someone else with the same card is a duplicate"


def test_two_new_ids_for_one_person_are_no_successor() -> None:
    old, new = staff(1), staff(1, new_ids=True)
    twin = replace(new.people["n001"], id="m001")
    both = Directory({**new.people, "m001": twin}, {}, (*new.credentials, Credential(card(1), "m001")))
    assert successors(old, both) == {}
    assert successors(old, replace(new, credentials=())) == {}, "a name without the card proves nothing"
    assert successors(old, Directory({"z": Person("z")})) == {}


def test_visitor_badges_that_are_handed_on_move_at_once() -> None:
    there = staff(*range(24))
    there = replace(there, credentials=there.credentials[:12])
    cache = Cache(there)
    handed = tuple(replace(one, person_id=f"u{n + 12:03}") for n, one in enumerate(there.credentials))
    cache.sync(replace(there, credentials=handed))
    assert cache.held is None
    assert [cache.holders(n) for n in range(12)] == [[f"u{n + 12:03}"] for n in range(12)]


def test_lost_cards_that_are_replaced_stop_at_once() -> None:
    there = staff(*range(12))
    cache = Cache(there)
    fresh = tuple(replace(one, key=card(100 + n)) for n, one in enumerate(there.credentials))
    cache.sync(replace(there, credentials=fresh))
    assert cache.held is None
    assert set(cache.there.credentials) == set(fresh)


# ------------------------------------------------------------------ deactivations


def test_deactivations_that_are_held_stay_so_and_activation_ends_it() -> None:
    cache = Cache(staff(*range(60)), Policy(Brake(deactivations="hold")))
    for _ in range(3):
        cache.sync(staff(*range(60), active=False))
        assert cache.held is not None
        assert len(cache.held.delta.people) == 60
        assert all(one.active for one in cache.there.people.values())
    assert cache.held is not None
    token = cache.held.token
    some = staff(*range(60), active=False)
    people = {**some.people, "u000": replace(some.people["u000"], active=True, name="Ada")}
    cache.sync(replace(some, people=people))
    assert cache.held is not None
    assert (len(cache.held.delta.people), cache.held.token) == (59, token)
    assert cache.there.people["u000"].name == "Ada"
    cache.accept()
    assert sum(one.active for one in cache.there.people.values()) == 1


def test_suspended_cards_that_are_held_stay_so() -> None:
    there = staff(*range(60))
    lost = tuple(replace(one, state=CredentialState.LOST) for one in there.credentials)
    cache = Cache(there, Policy(Brake(deactivations="hold")))
    cache.sync(replace(there, credentials=lost))
    first = cache.held
    cache.sync(replace(there, credentials=lost))
    assert cache.held is first
    assert set(cache.there.credentials) == set(there.credentials)
    cache.sync(there)
    assert cache.held is None


def test_a_mass_deactivation_is_undone_by_one_command_and_stays_undone() -> None:
    cache = Cache(staff(*range(60)))
    gone = staff(*range(60), active=False)
    alarm = cache.sync(gone).alarm
    assert alarm is not None
    one_back = {**gone.people, "u000": replace(gone.people["u000"], active=True)}
    cache.sync(replace(gone, people=one_back))
    back, cache.held = undone(alarm, cache.there, cache.held, NOW)
    assert len(back.people) == 59, "who is active again has nothing to be undone"
    cache.there = patched(cache.there, back)
    cache.sync(replace(gone, people=one_back))
    assert cache.held is not None
    assert cache.held.rejected
    assert all(one.active for one in cache.there.people.values())
    cache.accept()
    assert sum(one.active for one in cache.there.people.values()) == 1


def test_an_undo_keeps_what_waits_and_what_was_refused() -> None:
    there = staff(*range(60))
    lost = tuple(replace(one, state=CredentialState.LOST) for one in there.credentials[30:])
    cache = Cache(there)
    new = replace(there, people={k: v for k, v in there.people.items() if int(k[1:]) >= 20}, credentials=lost)
    new = replace(new, groups={"g": replace(there.groups["g"], members=frozenset(new.people))})
    alarm = cache.sync(replace(new, credentials=(*there.credentials[20:30], *lost))).alarm
    assert alarm is not None
    waiting = cache.held
    assert waiting is not None
    back, held = undone(alarm, cache.there, waiting, NOW)
    assert held is not None
    assert (len(back.credentials), held.token, held.delta) == (30, waiting.token, waiting.delta)
    assert len(held.refused.credentials) == 30
    cache.reject()
    back, held = undone(alarm, cache.there, cache.held, NOW)
    assert held is not None
    assert (held.rejected, len(held.delta.people_removed), len(held.delta.credentials)) == (True, 20, 30)
    cache.there = patched(cache.there, back)
    assert undone(alarm, cache.there, None, NOW) == (Delta(), None)


# ------------------------------------------------------------------ doors by the words of the site file


@pytest.mark.parametrize(("doors", "held"), [({"Staff": frozenset({"lobby"})}, True), ({}, False), (None, True)])
def test_a_group_is_worth_the_doors_of_the_words_it_is_bound_to(
    doors: dict[str, frozenset[str]] | None, held: bool
) -> None:
    there = staff(*range(60))
    policy = Policy(references=frozenset({"Staff"}), doors=doors)
    bindings = {"Staff": Binding("Staff", "g", None, "Staff")}
    made = plan(there, replace(there, groups={}), Evidence(groups=frozenset("g")), policy, NOW, bindings=bindings)
    assert (made.quarantine is not None) == held


def test_a_group_that_is_made_again_waits_for_the_word_of_an_operator_and_its_people_keep_their_doors() -> None:
    there = staff(*range(60))
    again = replace(there, groups={"g2": replace(there.groups["g"], id="g2")})
    policy = Policy(references=frozenset({"Staff"}), doors={"Staff": frozenset({"lobby"})})
    bindings = {"Staff": Binding("Staff", "g", None, "Staff")}
    made = plan(there, again, Evidence(groups=frozenset("g")), policy, NOW, bindings=bindings)
    assert made.quarantine is not None
    assert made.quarantine.delta == Delta(groups_removed=frozenset("g"))
    assert "g2" in patched(there, made.delta).groups


def test_a_first_sync_that_waits_is_written_once() -> None:
    policy = Policy(require_first_approval=True)
    first = plan(Directory(), staff(1, 2), Evidence(), policy, NOW).quarantine
    again = plan(Directory(), staff(1, 2), Evidence(), policy, NOW, waiting=first).quarantine
    assert again is first
    assert plan(Directory(), staff(1, 2, 3), Evidence(), policy, NOW, waiting=first).quarantine != first
