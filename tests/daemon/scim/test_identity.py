"""Whom a member means: ids are ids; userNames count only where the directory as a whole writes them."""

from __future__ import annotations

from typing import Any

import pytest

from cache.model import Directory
from daemon.scim.groups import Chooser, Groups
from daemon.scim.identity import Identity
from daemon.scim.memory import BY_ID, BY_NAME, Memory
from daemon.scim.people import People
from tests.daemon.scim.missing import Site
from tests.peers.scim_memory import MemoryScim
from tests.peers.scim_site import card_mapper, scim_settings


def people(**user_names: str) -> People:
    found = People(card_mapper(scim_settings()))
    for id_, name in user_names.items():
        found.take(id_, {"userName": name})
    return found


def groups(members: dict[str, list[Any]], setting: str = "auto", memory: Memory | None = None) -> Groups:
    made = Groups(Chooser(scim_settings()), identity=Identity.of(setting, memory or Memory()))
    for id_, listed in members.items():
        made.take(id_, {"id": id_, "displayName": id_.upper(), "members": listed})
    return made


def held(made: Groups, found: People, group: str = "g1") -> set[str]:
    return set(made.resolved(found)[group].members)


# ------------------------------------------------------------------ the takeover


def test_a_user_name_that_is_the_id_of_a_deleted_member_opens_nothing() -> None:
    made = groups({"g1": ["ada", "alice"]})
    assert held(made, people(ada="ada@example.com", mallory="alice")) == {"ada"}
    assert "userName of alice and the id of no one" in made.warnings[0]


def test_a_user_name_that_is_a_groups_id_opens_nothing_and_shuts_no_one_out() -> None:
    made = groups({"vault": ["g-in"], "g-in": ["bob"]})
    found = people(bob="bob@example.com", mallory="g-in")
    assert held(made, found, "vault") == {"bob"}
    assert "the userName of g-in is the id of someone else or of a group" in made.warnings[0]


def test_what_the_cache_knew_as_an_id_is_never_a_user_name() -> None:
    site = Site(MemoryScim())
    alice = site.server.create_user("alice")
    site.server.create_group("Staff", [alice])
    old = site.sync(Directory())
    assert site.snapshot is not None
    assert site.snapshot.remembered(Directory()).members == BY_ID
    site.server.delete(f"Users/{alice}")
    mallory = site.server.create_user(alice)
    cache = site.sync(old)
    assert mallory not in {one for group in cache.groups.values() for one in group.members}
    memory = site.snapshot.remembered(old)
    after = site.sync(cache, memory=memory)
    assert mallory not in {one for group in after.groups.values() for one in group.members}, "nor ever after"


@pytest.mark.parametrize("setting", ["auto", "userName", "id"])
def test_no_setting_makes_an_id_of_the_past_a_user_name(setting: str) -> None:
    memory = Memory().with_former({"alice"})
    made = groups({"g1": ["alice", "bob@example.com"]}, setting, memory)
    assert held(made, people(mallory="alice", bob="bob@example.com")) == (set() if setting == "id" else {"bob"})


@pytest.mark.parametrize("setting", ["auto", "userName"])
@pytest.mark.parametrize(("written", "id_"), [("A1-F", "a1-f"), ("a1-f", "A1-F"), ("A1-f", "a1-F")])
def test_an_id_in_the_other_case_is_no_user_name_either(setting: str, written: str, id_: str) -> None:
    found = people(**{id_: "alice", "m": id_.swapcase(), "b": "bob"})
    assert held(groups({"g1": [written, "bob"]}, setting), found) <= {id_, "b"}
    assert held(groups({"g1": [written, "bob"], id_: []}, setting), people(m=written, b="bob")) == {"b"}


@pytest.mark.parametrize(("written", "id_"), [("A1-F", "a1-f"), ("a1-f", "A1-F")])
def test_nor_is_an_id_of_the_past_in_the_other_case(written: str, id_: str) -> None:
    memory = Memory().with_former({id_})
    assert held(groups({"g1": [written, "bob"]}, "userName", memory), people(m=written, b="bob")) == {"b"}


def test_an_id_that_is_ones_own_user_name_in_the_other_case_names_them() -> None:
    assert held(groups({"g1": ["Ada", "BOB"]}), people(ada="Ada", bob="bob")) == {"ada", "bob"}


# ------------------------------------------------------------------ directories that write userNames


def test_user_names_count_where_every_member_is_one() -> None:
    found = people(u1="ada@example.com", u2="bob@example.com")
    made = groups({"g1": ["Ada@example.com", {"value": "g2", "type": "Group"}], "g2": ["bob@example.com", "left"]})
    assert held(made, found) == {"u1", "u2"}
    assert made.identity.proven == BY_NAME


def test_one_id_of_a_person_is_enough_to_end_that() -> None:
    found = people(u1="ada@example.com", u2="bob@example.com")
    assert held(groups({"g1": ["ada@example.com", "bob@example.com", "u1"]}), found) == {"u1"}
    assert held(groups({"g1": ["ada@example.com", "u2"]}, "userName"), found) == {"u1", "u2"}, (
        "an operator said so"
    )
    assert held(groups({"g1": ["ada@example.com"]}, "id"), found) == set()


def test_a_directory_that_wrote_ids_needs_more_than_one_stray_value_to_write_user_names() -> None:
    found, memory = people(u1="ada@example.com", u2="bob@example.com"), Memory(members=BY_ID)
    assert held(groups({"g1": ["ada@example.com"]}, memory=memory), found) == set()
    assert held(groups({"g1": ["ada@example.com", "bob@example.com"]}, memory=memory), found) == {"u1", "u2"}


def test_who_was_in_by_user_name_stays_when_an_id_turns_up() -> None:
    site = Site()
    ada, bob, eve = (site.server.create_user(name) for name in ("ada", "bob", "eve"))
    staff = site.server.create_group("Staff", ["ada", "bob"])
    old = site.sync(Directory())
    assert old.groups[staff].members == {ada, bob}
    assert site.snapshot is not None
    memory = site.snapshot.remembered(old)
    site.server.add_member(staff, eve)
    site.server.add_member(staff, "eve")
    site.server.remove_member(staff, "bob")
    assert site.sync(old, memory=memory).groups[staff].members == {ada, eve}
    assert "scim.members" in "\n".join(site.snapshot.groups.warnings)


# ------------------------------------------------------------------ ids unique per kind only


def test_an_id_of_a_person_and_of_a_group_is_no_one_unless_it_says_which() -> None:
    found = people(**{"1": "ada", "2": "bob"})
    members = {"1": ["2"], "7": ["1"], "8": [{"value": "1", "type": "User"}], "9": [{"$ref": "/Groups/1"}]}
    made = groups(members)
    assert [held(made, found, group) for group in ("7", "8", "9")] == [set(), {"1"}, {"2"}]
    assert "1 members are the id of a person and of a group (1)" in made.warnings[0]


def test_a_group_that_a_list_misses_is_no_person() -> None:
    site = Site()
    site.server.users["1"] = {"id": "1", "userName": "ada", "active": True}
    site.server.groups["1"] = {"id": "1", "displayName": "Inner", "members": []}
    site.server.groups["7"] = {"id": "7", "displayName": "Staff", "members": [{"value": "1"}]}
    old = site.sync(Directory())
    assert old.groups["7"].members == set()

    def change(path: str, query: Any, status: int, document: Any) -> tuple[int, Any]:
        if "Resources" in document and path == "Groups":
            document["Resources"] = [row for row in document["Resources"] if row["id"] != "1"]
            document["totalResults"] = len(document["Resources"])
        return status, document

    site.change = change
    assert site.sync(old).groups["7"].members == set()
