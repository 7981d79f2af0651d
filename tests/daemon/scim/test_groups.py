"""Groups: which are chosen, and whom they hold once nested ones are opened."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.scim.groups import MAX_DEPTH, Chooser, Groups
from daemon.scim.people import People
from tests.peers.scim_site import card_mapper, scim_settings

PEOPLE = [f"u{number}" for number in range(6)]
GROUPS = [f"g{number}" for number in range(6)]


def people() -> People:
    found = People(card_mapper(scim_settings()))
    for number, id_ in enumerate(PEOPLE):
        found.take(id_, {"userName": f"User.{number}@example.com"})
    return found


def groups(members: dict[str, list[Any]], **keys: Any) -> Groups:
    made = Groups(Chooser(scim_settings(**keys)))
    for id_, listed in members.items():
        made.take(id_, {"id": id_, "displayName": id_.upper(), "members": listed})
    return made


def held(members: dict[str, list[Any]], group: str = "g0", **keys: Any) -> set[str]:
    return set(groups(members, **keys).resolved(people())[group].members)


# ------------------------------------------------------------------ choosing


@pytest.mark.parametrize(
    ("keys", "chosen"),
    [
        ({"groups": ["Staff"]}, {"1", "3"}),
        ({"groups": ["staff*"]}, {"1", "2", "3"}),
        ({"groups": ["Staff [EU?]"]}, {"2"}),
        ({"groups": ["Vault", "Staff [*"]}, {"2", "4"}),
        ({"groups": []}, set()),
        ({"ids": ["4", "9"]}, {"4"}),
        ({"filter": 'displayName sw "staff" and externalId pr'}, {"3"}),
    ],
)
def test_groups_are_chosen_by_name_id_or_filter(keys: dict[str, Any], chosen: set[str]) -> None:
    named = {"1": "Staff", "2": "Staff [EU1]", "3": "STAFF", "4": "Vault"}
    chooser = Chooser(scim_settings(**keys))
    found = {
        id_
        for id_, name in named.items()
        if chooser.chooses(id_, {"displayName": name, "externalId": id_ if id_ == "3" else None})
    }
    assert found == chosen


def test_a_renamed_group_is_chosen_by_the_words_that_the_site_file_knows_it_by() -> None:
    for keys in ({"groups": ["Staff"]}, {"filter": 'displayName eq "Staff"'}):
        chooser = Chooser(scim_settings(**keys), {"g1": frozenset({"Staff"}), "g2": frozenset({"Other"})})
        assert chooser.chooses("g1", {"displayName": "Personnel"})
        assert not chooser.chooses("g2", {"displayName": "Personnel"})
        assert not chooser.chooses("g3", {"displayName": "Personnel"})
    assert Chooser(scim_settings(ids=["g9"]), {"g9": frozenset()}).chooses("g9", {})
    assert Chooser(scim_settings(ids=["g9"]), {"g5": frozenset({"g5"})}).chooses("g5", {})


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"groups": ["G0", "g?", "Staf"]}, ['scim.groups: no group is called "Staf"']),
        ({"groups": ["*"]}, []),
        ({"ids": ["g0", "gone"]}, ['scim.ids: no group has the id "gone"']),
        ({"filter": 'displayName sw "g"'}, []),
        ({"filter": 'displayName eq "X"'}, ['scim.filter: no group fits displayName eq "X"']),
    ],
)
def test_what_the_site_file_chooses_by_and_nothing_fits_is_told(keys: dict[str, Any], told: list[str]) -> None:
    made = groups({"g0": [], "g1": []}, **keys)
    made.resolved(people())
    assert made.warnings == told


def test_a_renamed_group_still_uses_the_words_of_the_site_file() -> None:
    made = Groups(Chooser(scim_settings(groups=["Staff"]), {"g0": frozenset({"Staff"})}))
    made.take("g0", {"id": "g0", "displayName": "Personnel"})
    made.resolved(people())
    assert made.warnings == []


# ------------------------------------------------------------------ members


def test_members_are_people_by_id_or_all_of_them_by_user_name() -> None:
    assert held({"g0": ["u1", {"value": "user.2@EXAMPLE.com"}]}) == {"u1"}
    assert held({"g0": ["User.1@example.com", {"value": "user.2@EXAMPLE.com"}]}) == {"u1", "u2"}
    two = people()
    two.take("twin", {"userName": "user.2@example.com"})
    assert groups({"g0": [{"value": "User.2@example.com"}]}).resolved(two)["g0"].members == set(), (
        "it names nobody"
    )


def test_who_is_nobody_is_counted_and_left_out() -> None:
    made = groups(
        {"g0": ["u1", "ghost", {"value": "u2", "type": "Group"}, {"value": "g1", "type": "User"}], "g1": ["u3"]}
    )
    assert made.resolved(people())["g0"].members == {"u1"}
    assert made.warnings == ["3 members of groups are nobody in the directory and were left out"]
    made.resolved(people())
    assert len(made.warnings) == 1, "told once, however often it is asked"


def test_nested_groups_are_opened_also_those_not_chosen() -> None:
    members = {"g0": ["u0", "g1"], "g1": ["u1", {"value": "g2", "type": "Group"}], "g2": ["u2", "g0", "g2"]}
    assert held(members, groups=["G0"]) == {"u0", "u1", "u2"}


def test_deeper_than_eight_is_left_out_and_told() -> None:
    members: dict[str, list[Any]] = {f"d{depth}": [f"d{depth + 1}"] for depth in range(12)}
    members[f"d{MAX_DEPTH}"].append("u1")
    members[f"d{MAX_DEPTH + 1}"].append("u2")
    made = groups(members, groups=["D0"])
    assert made.resolved(people())["d0"].members == {"u1"}
    assert "deeper than 8" in made.warnings[0]


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(GROUPS), st.lists(st.sampled_from([*GROUPS, *PEOPLE, "ghost"]), max_size=6))
)
def test_any_graph_is_opened_like_a_naive_walk(members: dict[str, list[Any]]) -> None:
    found = groups(members).resolved(people())
    for group in members:
        reached, todo = {group}, [group]
        while todo:
            inner = {one for one in members[todo.pop()] if one in members} - reached
            reached |= inner
            todo += inner
        assert found[group].members == {one for g in reached for one in members[g] if one in PEOPLE}


def test_what_a_group_holds_that_may_be_a_group() -> None:
    made = groups({"g0": ["u1", "unread", {"value": "g1", "type": "Group"}, {"value": "nobody", "type": "User"}]})
    assert made.inner("g0", people()) == ["unread", "g1"]
    assert made.inner("absent", people()) == []


def test_a_road_is_open_when_a_group_shows_somebody() -> None:
    assert groups({"g0": [], "g1": ["u1"]}).readable(people())
    assert not groups({"g0": ["ghost", "g0"], "g1": []}).readable(people())


def test_members_that_come_by_another_reading() -> None:
    made = groups({"g0": ["u1"]})
    made.take_members("g0", {"id": "g0", "members": [{"value": "u2"}]})
    made.take_members("g0", {"id": "g0", "members": []})
    made.take_members("unknown", {"id": "unknown", "members": [{"value": "u2"}]})
    assert made.resolved(people())["g0"].members == {"u2"}
    made.add_members("g0", made.all["g0"].members)
    assert len(made.all["g0"].members) == 1
    made.forget("g0")
    assert made.resolved(people()) == {}
