"""Memberships: one has ended only when two readings by the road that was taken miss it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

import daemon.scim.probe as probe_module
from cache.changes import Delta, patched
from cache.model import Directory
from cache.reconcile.reconcile import Policy, plan
from daemon.scim.evidence_members import PATIENCE
from daemon.scim.memory import Memory
from tests.daemon.scim.missing import Site, hide, refuse_single, whole
from tests.peers.scim_memory import NOW


@pytest.fixture
def site() -> Site:
    return Site()


def test_a_member_is_gone_when_the_group_says_so_twice(site: Site) -> None:
    ada, bob = site.server.create_user("ada"), site.server.create_user("bob")
    staff = site.server.create_group("Staff", [ada, bob])
    old = site.sync(Directory())
    site.server.remove_member(staff, bob)
    assert site.confirm(old).members == {staff: {bob}}
    site.change = refuse_single(whole, 500, "Groups")
    assert site.confirm(old).members == {}


def test_a_member_whom_one_of_two_readings_shows_stays(site: Site) -> None:
    ada, bob = site.server.create_user("ada"), site.server.create_user("bob")
    staff = site.server.create_group("Staff", [ada, bob])
    old = site.sync(Directory())

    def change(path: str, query: Mapping[str, str], status: int, document: Any) -> tuple[int, Any]:
        for row in document.get("Resources", [] if "/" in path else [document]):
            if "members" in row:
                row["members"] = row["members"][:1]
        return status, document

    site.change = change
    assert site.sync(old).groups[staff].members == {ada, bob}


def test_members_of_a_nested_group_that_a_list_misses_stay(site: Site) -> None:
    ada, bob, eve = (site.server.create_user(name) for name in ("ada", "bob", "eve"))
    deepest = site.server.create_group("Deepest", [eve])
    inner = site.server.create_group("Inner", [bob, deepest])
    staff = site.server.create_group("Staff", [ada, inner])
    site.keys = {"groups": ["Staff"]}
    old = site.sync(Directory())
    assert old.groups[staff].members == {ada, bob, eve}
    for hidden in ((inner,), (deepest,), (inner, deepest)):
        site.change = hide(*hidden)
        assert site.sync(old) == old, hidden
        site.change = refuse_single(hide(*hidden), 500, f"Groups/{inner}")
        assert site.sync(old).groups[staff].members >= {ada, bob}, hidden
    site.change = None
    site.server.delete(f"Groups/{deepest}")
    assert site.sync(old).groups[staff].members == {ada, bob}


def test_years_of_leavers_in_a_group_do_not_keep_anybody_in_it(site: Site) -> None:
    ada, bob = site.server.create_user("ada"), site.server.create_user("bob")
    staff = site.server.create_group("Staff", [ada, bob, *(f"leaver-{number}" for number in range(1500))])
    old = site.sync(Directory())
    site.server.remove_member(staff, bob)
    assert site.confirm(old).members == {staff: {bob}}
    assert len(site.asked) < 20
    assert "next time" not in site.warnings


def test_a_nested_group_that_a_list_misses_is_found_among_many_who_are_nobody(site: Site) -> None:
    ada, bob = site.server.create_user("ada"), site.server.create_user("bob")
    inner = site.server.create_group("Inner", [bob])
    staff = site.server.create_group("Staff", [ada, inner, *(f"leaver-{number}" for number in range(100))])
    site.keys = {"groups": ["Staff"]}
    old = site.sync(Directory())
    hidden, lists = hide(inner), 0

    def first_list_only(path: str, query: Mapping[str, str], status: int, document: Any) -> tuple[int, Any]:
        nonlocal lists
        lists += path == "Groups" and query.get("startIndex") == "1"
        return hidden(path, query, status, document) if lists == 1 else (status, document)

    site.change = first_list_only
    assert site.sync(old).groups[staff].members == {ada, bob}
    assert lists == 2


def test_members_whom_no_road_shows_are_kept(site: Site) -> None:
    ada, bob = site.server.create_user("ada"), site.server.create_user("bob")
    site.server.create_group("Staff", [ada, bob])
    old = site.sync(Directory())

    def change(path: str, query: Mapping[str, str], status: int, document: Any) -> tuple[int, Any]:
        for row in document.get("Resources", [document]):
            row.pop("members", None)
        return status, document

    site.change = change
    assert site.sync(old) == old
    assert "2 memberships stay as they are" in site.warnings
    assert site.confirm(old).unproven
    site.keys = {"road": "members"}
    assert not any(group.members for group in site.sync(old).groups.values()), "the site file says so"


def test_the_last_two_of_all_may_leave_at_once_and_three_may_not(site: Site) -> None:
    people = [site.server.create_user(name) for name in ("ada", "bob", "eve")]
    staff = site.server.create_group("Staff", people)
    old = site.sync(Directory())
    site.server.groups[staff]["meta"] = {"lastModified": (NOW + timedelta(minutes=1)).isoformat()}
    for one in people:
        site.server.remove_member(staff, one)
    assert site.sync(old, seen_at=NOW).groups[staff].members == set(people)
    two = patched(old, Delta(members_removed={staff: frozenset(people[:1])}))
    assert site.sync(two, seen_at=NOW).groups[staff].members == set()


@pytest.mark.parametrize(("changed", "believed"), [(1, True), (-1, False), (None, False)])
def test_the_last_member_of_all_goes_if_the_group_was_changed_since(
    site: Site, changed: int | None, believed: bool
) -> None:
    ada = site.server.create_user("ada")
    staff = site.server.create_group("Staff", [ada])
    old = site.sync(Directory())
    site.server.remove_member(staff, ada)
    if changed is not None:
        moment = NOW + timedelta(minutes=changed)
        site.server.groups[staff]["meta"] = {"lastModified": moment.isoformat()}
    assert (site.sync(old, seen_at=NOW).groups[staff].members == set()) is believed
    assert site.sync(old).groups[staff].members == {ada}, "nobody knows when it was seen last"


def test_a_person_whose_own_document_names_the_group_stays(site: Site) -> None:
    ada, bob, eve = (site.server.create_user(name) for name in ("ada", "bob", "eve"))
    staff = site.server.create_group("Staff", [ada, bob, eve])
    old = site.sync(Directory())
    site.server.remove_member(staff, bob)
    site.server.remove_member(staff, eve)
    site.server.users[bob]["groups"] = [{"value": staff}]
    site.server.users[ada]["groups"] = [{"value": staff}]
    assert site.sync(old).groups[staff].members == {ada, bob}
    assert "1 people say themselves that they are in a group that no longer lists them" in site.warnings
    assert site.snapshot is not None
    assert not site.confirm(old).unproven, "it is only delayed"


def test_a_contradiction_delays_for_a_few_syncs_and_not_for_ever(site: Site) -> None:
    ada, bob = site.server.create_user("ada"), site.server.create_user("bob")
    staff = site.server.create_group("Staff", [ada, bob])
    cache, memory = site.sync(Directory()), Memory()
    site.server.remove_member(staff, bob)
    site.server.users[bob]["groups"] = [{"value": staff}]
    held = []
    for _ in range(PATIENCE + 2):
        cache = site.sync(cache, memory=memory)
        assert site.snapshot is not None
        memory = site.snapshot.remembered(cache)
        held.append(bob in cache.groups[staff].members)
    assert held == [True] * PATIENCE + [False] * 2
    assert memory.contradicted == {}, "nothing is remembered of what has ended"


@pytest.mark.parametrize("road", ["members", "attributes"])
def test_a_road_that_is_fixed_is_the_only_word(site: Site, road: str) -> None:
    ada, bob = site.server.create_user("ada"), site.server.create_user("bob")
    staff = site.server.create_group("Staff", [ada, bob])
    site.keys = {"road": road}
    old = site.sync(Directory())
    site.server.remove_member(staff, bob)
    site.server.users[bob]["groups"] = [{"value": staff}]
    assert site.sync(old).groups[staff].members == {ada}


# ------------------------------------------------------------------ groups that are listed and gone


def listed_and_gone(site: Site, *, other: bool) -> tuple[str, Directory]:
    """A group that was deleted, and that the list still shows, without members."""
    ada = site.server.create_user("ada")
    gone = site.server.create_group("Gone", [ada])
    site.server.create_group("Rest", [ada] if other else [])
    old = site.sync(Directory())
    row = {**site.server.groups[gone], "members": []}
    site.server.delete(f"Groups/{gone}")

    def change(path: str, query: Mapping[str, str], status: int, document: Any) -> tuple[int, Any]:
        if path == "Groups" and int(query.get("startIndex", 1)) == 1 and "Resources" in document:
            document["Resources"].insert(0, dict(row))
            document["totalResults"] += 1
        return status, document

    site.change = change
    return gone, old


def test_a_listed_group_that_is_404_when_asked_for_has_ended(site: Site) -> None:
    gone, old = listed_and_gone(site, other=True)
    evidence = site.confirm(old)
    assert (evidence.groups, evidence.unproven) == ({gone}, ())
    assert gone not in site.sync(old).groups


def test_it_has_not_where_the_server_does_not_answer_for_single_groups(site: Site) -> None:
    gone, old = listed_and_gone(site, other=True)
    site.change = refuse_single(site.change or whole, 404, "Groups")
    evidence = site.confirm(old)
    assert evidence.groups == set()
    assert evidence.unproven
    assert gone in site.sync(old).groups


# ------------------------------------------------------------------ attributes that cannot be read


def test_members_that_cannot_be_read_keep_who_is_in_and_nothing_else(site: Site) -> None:
    ada = site.server.create_user("ada")
    staff, rest = site.server.create_group("Staff", [ada]), site.server.create_group("Rest", [ada])
    old = site.sync(Directory())
    site.server.groups[staff].update(displayName="Personnel", members="many")
    site.server.remove_member(rest, ada)
    site.server.add_member(rest, site.server.create_user("bob"))
    cache = site.sync(old)
    assert (cache.groups[staff].name, cache.groups[staff].members) == ("Personnel", {ada})
    assert ada not in cache.groups[rest].members
    assert site.confirm(old).unproven


def test_a_group_that_lost_its_name_still_loses_members(site: Site) -> None:
    ada, bob = site.server.create_user("ada"), site.server.create_user("bob")
    staff = site.server.create_group("Staff", [ada, bob])
    site.keys = {"groups": ["Staff"]}
    old = site.sync(Directory())
    site.server.groups[staff]["displayName"] = None
    site.server.remove_member(staff, bob)
    after = site.sync(old)
    assert (after.groups[staff].name, after.groups[staff].members) == ("Staff", {ada})


def on_users(site: Site) -> tuple[str, str, str, Directory]:
    """Two people of whom a group is known by what they say themselves."""
    ada, bob = site.server.create_user("ada"), site.server.create_user("bob")
    staff = site.server.create_group("Staff")
    for person in (ada, bob):
        site.server.users[person]["groups"] = [{"value": staff}]
    old = site.sync(Directory())
    assert site.snapshot is not None
    assert (site.snapshot.road, old.groups[staff].members) == ("user_groups", {ada, bob})
    return ada, bob, staff, old


def test_people_are_asked_again_for_the_groups_they_are_in(site: Site) -> None:
    ada, bob, staff, old = on_users(site)
    del site.server.users[bob]["groups"]
    assert site.confirm(old).members == {staff: {bob}}
    site.change = refuse_single(whole, 500)
    assert site.confirm(old).members == {}, "nobody said so twice"
    assert site.sync(old).groups[staff].members == {ada, bob}


def test_only_who_was_asked_again_is_believed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    _, bob, staff, old = on_users(site)
    del site.server.users[bob]["groups"]
    monkeypatch.setattr(probe_module, "MAX_PROBES", 0)
    assert site.confirm(old).members == {}
    assert staff in old.groups


def by_filter(site: Site) -> tuple[str, str, Directory]:
    """A group whose members only a filter on Users shows."""
    ada, bob = site.server.create_user("ada"), site.server.create_user("bob")
    staff = site.server.create_group("Staff")
    inside = {ada, bob}

    def change(path: str, query: Mapping[str, str], status: int, document: Any) -> tuple[int, Any]:
        if staff in query.get("filter", ""):
            rows = [site.server.users[one] for one in sorted(inside)]
            return 200, {
                **document,
                "totalResults": len(rows),
                "Resources": rows if query["startIndex"] == "1" else [],
            }
        return status, document

    site.change = change
    old = site.sync(Directory())
    assert site.snapshot is not None
    assert (site.snapshot.road, old.groups[staff].members) == ("filter", {ada, bob})
    inside.remove(bob)
    return bob, staff, old


def test_a_filter_is_asked_again(site: Site) -> None:
    bob, staff, old = by_filter(site)
    assert site.confirm(old).members == {staff: {bob}}


def test_a_group_that_could_not_be_asked_for_again_keeps_everybody(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, old = by_filter(site)
    monkeypatch.setattr(probe_module, "MAX_PROBES", 0)
    assert site.confirm(old).members == {}


def test_several_groups_that_show_nobody_at_once_wait_for_an_operator(site: Site) -> None:
    people = [site.server.create_user(f"user{number}") for number in range(9)]
    groups = [site.server.create_group(f"Group {number}", people[number : number + 2]) for number in range(6)]
    old = site.sync(Directory())
    for group in groups[1:]:
        site.server.groups[group]["members"] = []
    evidence = site.confirm(old)
    assert site.snapshot is not None
    wanted = plan(old, site.snapshot.directory(), evidence, Policy(), NOW)
    assert wanted.quarantine
    assert "6 of 7 people with a door would lose a door (limit: 1)" in wanted.quarantine.reasons[0]
    assert patched(old, wanted.delta) == old
