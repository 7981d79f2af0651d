"""Whatever a server is like from the first day, the directory that is read is the one that is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from cache.model import Directory
from daemon.scim.attributes import user_attributes
from daemon.scim.settings import ENTERPRISE_URN, LATCHD_URN
from tests.daemon.scim.missing import Site
from tests.daemon.scim.test_faults import SETTINGS, Story
from tests.peers.scim_faults.engine import Exchange, Mode, answer
from tests.peers.scim_faults.modes import MODES
from tests.peers.scim_faults.reports import everything
from tests.peers.scim_memory import sync_in_memory
from tests.peers.scim_site import scim_settings

ALWAYS = (
    "members_on_request",
    "members_by_user_name",
    "members_by_filter",
    "groups_on_users",
    "members_only_in_single_group",
    "nested_only_in_single_group",
    "user_groups_only_on_request",
    "extension_only_in_single_user",
    "extension_never_in_lists",
    "pages_shuffled",
    "start_index_zero_based",
    "start_index_echoed_from_zero",
    "aws_cursor_announced",
    "aws_cursor_not_announced",
    "page_with_big_group_500",
    "page_with_big_group_400",
    "total_results_is_a_float",
    "total_doubled",
    "total_capped",
    "size_400",
    "count_fails",
    "integer_ids",
    "capitals",
)


@pytest.mark.parametrize("name", ALWAYS)
def test_a_first_sync_reads_all_of_it(name: str) -> None:
    (mode,) = (mode for mode in MODES if mode.name == name)
    story = Story()
    healthy = story.begin()
    result = sync_in_memory(story.server, [mode], SETTINGS, Directory())
    assert result.state == "complete"
    assert result.road == (mode.road or "members")
    assert same(result.cache, healthy)


def same(one: Directory, other: Directory) -> bool:
    """Whether two directories are the same, in whatever order their cards were read."""
    cards = set(one.credentials) == set(other.credentials)
    return cards and (one.people, one.groups) == (other.people, other.groups)


@pytest.mark.parametrize(
    ("mode", "trust"),
    [
        ("total_counts_the_hidden", ["echo", "schemas"]),
        ("no_schemas", ["total", "echo"]),
        ("wrong_echo", ["total", "schemas"]),
    ],
)
def test_what_a_server_gets_wrong_of_its_own_pages_can_be_left_out(mode: str, trust: list[str]) -> None:
    story = Story()
    healthy = story.begin()
    modes = [one for one in MODES if one.name == mode]
    settings = scim_settings(page_size=8, trust=trust)
    assert same(sync_in_memory(story.server, modes, settings, Directory()).cache, healthy)


def test_a_single_group_that_cannot_be_read_keeps_its_members_and_no_other_does() -> None:
    story = Story()
    before = story.begin()
    story.server.remove_member(story.guests, story.people[4])
    board = next(id_ for id_, group in story.server.groups.items() if group["displayName"] == "Board")
    story.server.remove_member(board, story.people[3])

    def change(exchange: Exchange) -> None:
        if exchange.kind == "Groups" and exchange.listing:
            for row in exchange.resources:
                row["members"] = []
        elif exchange.path == f"Groups/{board}":
            exchange.answer(500)

    site = Site(story.server, keys={"page_size": 8})
    site.change = lambda path, query, status, document: _changed(site, change, path, query)
    after = site.sync(before)
    assert story.people[4] not in after.groups[story.guests].members
    assert after.groups[board].members == before.groups[board].members
    assert site.snapshot is not None
    assert site.snapshot.road == "single"
    assert site.confirm(before).unproven


def _changed(site: Site, change: Any, path: str, query: Mapping[str, str]) -> tuple[int, Any]:
    done = answer([Mode("", "", after=change)], site.server.ask, {}, path, query)
    return done.status or 500, done.document


def test_a_list_of_one_page_only_is_found_out_by_its_members() -> None:
    (mode,) = (mode for mode in MODES if mode.name == "ignores_start_total_is_page")
    story = Story()
    story.begin()
    assert sync_in_memory(story.server, [mode], SETTINGS, Directory()).state == "incomplete"


def test_people_whom_the_list_lacks_are_found_by_the_groups_they_are_in() -> None:
    site = Site()
    ada, bob = site.server.create_user("ada"), site.server.create_user("bob")
    staff = site.server.create_group("Staff", [ada, bob])

    def change(path: str, query: Mapping[str, str], status: int, document: Any) -> tuple[int, Any]:
        if path == "Users":
            document["Resources"] = [row for row in document["Resources"] if row["id"] != bob]
            document["totalResults"] = 1
        return status, document

    site.change = change
    assert site.sync(Directory()).groups[staff].members == {ada, bob}
    assert "1 of 1 members that the list of users lacks are there" in site.warnings


def test_page_sizes_are_remembered_and_asked_for_at_once() -> None:
    (mode,) = (mode for mode in MODES if mode.name == "count_fails")
    story = Story()
    story.begin()
    asked: list[dict[str, str]] = []

    def get(path: str, query: Mapping[str, str], status: int, document: Any) -> tuple[int, Any]:
        asked.append(dict(query))
        done = answer([mode], story.server.ask, {}, path, query)
        return done.status or 500, done.document

    site = Site(story.server, keys={"page_size": 8})
    site.change = get
    old = site.sync(Directory())
    assert site.snapshot is not None
    memory = site.snapshot.remembered(old)
    assert memory.sizes == {"Users": 0, "Groups": 0}
    asked.clear()
    site.sync(old, memory=memory)
    assert not any("count" in query for query in asked)
    assert len(everything(Exchange("Users", {}, story.server.ask, {}))) == 20


def test_the_attributes_that_are_used_are_those_that_are_asked_for() -> None:
    assert user_attributes(scim_settings())[-1] == LATCHD_URN
    rules = [
        {"preset": "enterprise.employeeNumber", "format": "H10301"},
        {"attribute": 'entitlements[type eq "badge"].value', "facility_attribute": "site"},
        {"side_file": "cards.csv", "key": "employeeNumber"},
        {"urn": "urn:example:card"},
    ]
    assert user_attributes(scim_settings(credential=rules))[6:] == [
        f"{ENTERPRISE_URN}:employeeNumber",
        "entitlements",
        "site",
        "urn:example:card",
    ]


def test_a_road_that_shows_no_one_in_any_way_is_none() -> None:
    (mode,) = (mode for mode in MODES if mode.name == "members_empty")
    story = Story()
    story.begin()
    result = sync_in_memory(story.server, [mode], SETTINGS, Directory())
    assert (result.state, result.road) == ("unproven", "none")


@pytest.mark.parametrize(
    ("names", "road", "doubted"),
    [
        (("user_groups_stale", "members_by_filter"), "user_groups", True),
        (("groups_on_users", "members_by_filter"), "user_groups", False),
        (("groups_on_users", "filters_find_all"), "user_groups", False),
        (("groups_on_users", "filters_find_nothing"), "user_groups", False),
        (("members_by_filter",), "filter", False),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else None,
)
def test_groups_of_users_that_a_filter_contradicts_are_doubted_aloud(
    names: tuple[str, ...], road: str, doubted: bool
) -> None:
    story = Story()
    story.begin()
    modes = [mode for name in names for mode in MODES if mode.name == name]
    site = Site(story.server, keys={"page_size": 8})

    def get(path: str, query: Mapping[str, str], status: int, document: Any) -> tuple[int, Any]:
        done = answer(modes, story.server.ask, {}, path, query)
        return done.status or 500, done.document

    site.change = get
    site.sync(Directory())
    assert site.snapshot is not None
    assert site.snapshot.road == road
    assert ('set scim.road = "filter"' in site.warnings) == doubted
    if doubted:
        site.keys["road"] = "filter"
        assert len(site.sync(Directory()).groups[story.guests].members) == 10, (
            "the filter has only those who are in it"
        )
