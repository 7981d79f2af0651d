"""One whole fetch: capabilities, users, groups, and a road by which memberships can be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from daemon.scim.exchange import OutageError, OutageKind, Request, Response
from daemon.scim.fetch import directory_of, read_directory
from daemon.scim.resource import MalformedError
from daemon.scim.snapshot import NO_ROAD, Snapshot
from tests.daemon.scim.test_resource import anything
from tests.peers.scim_faults.engine import LIST, Change, Mode, answer
from tests.peers.scim_faults.members import (
    deny_filters,
    empty_members,
    groups_on_users,
    ignore_filters,
    members_by_filter,
    members_on_request,
)
from tests.peers.scim_memory import MemoryScim, converse
from tests.peers.scim_site import card_mapper, scim_settings


class Office:
    """Two people of Staff in a server in memory, with changes in front of it."""

    def __init__(self, *, cursor: bool = False) -> None:
        self.server = MemoryScim(cursor=cursor)
        self.ada, self.bob = self.server.create_user("ada"), self.server.create_user("bob")
        self.staff = self.server.create_group("Staff", [self.ada])
        self.asked: list[str] = []
        self.told: list[tuple[str, int]] = []

    def fetch(self, before: Change | None = None, after: Change | None = None, **keys: Any) -> Snapshot:
        mode = Mode("", "", before, after)
        settings = scim_settings(**keys)

        def get(request: Request) -> Response:
            self.asked.append(str(request))
            done = answer([mode], self.server.ask, {}, request.path, dict(request.parameters))
            return Response(done.status or 500, done.document)

        found: Snapshot = converse(
            read_directory(settings, card_mapper(settings), progress=lambda *told: self.told.append(told)), get
        )
        return found

    def members(self, snapshot: Snapshot) -> set[str]:
        return set(snapshot.directory().groups[self.staff].members)


@pytest.fixture
def office() -> Office:
    return Office()


def both(*changes: Change) -> Change:
    def change(exchange: Any) -> None:
        for one in changes:
            one(exchange)

    return change


@pytest.mark.parametrize(
    ("before", "after", "road"),
    [
        (None, None, "members"),
        (None, members_on_request, "attributes"),
        (None, both(groups_on_users, empty_members), "user_groups"),
        (members_by_filter, empty_members, "filter"),
    ],
)
def test_the_road_is_found(office: Office, before: Change | None, after: Change | None, road: str) -> None:
    snapshot = office.fetch(before, after)
    assert (snapshot.road, office.members(snapshot)) == (road, {office.ada})
    report = snapshot.report(snapshot.directory())
    assert (report.road, report.people, report.groups, report.memberships) == (road, 2, 1, 1)
    fixed = office.fetch(before, after, road=road)
    assert (fixed.road, office.members(fixed)) == (road, {office.ada})


@pytest.mark.parametrize(
    "before",
    [
        None,
        deny_filters,
        ignore_filters,
        lambda exchange: exchange.answer(501) if "filter" in exchange.query else None,
    ],
)
def test_no_road_at_all(office: Office, before: Change | None) -> None:
    snapshot = office.fetch(before, empty_members)
    assert (snapshot.road, office.members(snapshot)) == ("", set())
    assert snapshot.report(snapshot.directory()).road == NO_ROAD


def test_a_filter_that_finds_everybody_is_refused_when_it_was_chosen(office: Office) -> None:
    with pytest.raises(OutageError, match=r"does not understand a filter on groups\.value") as caught:
        office.fetch(ignore_filters, empty_members, road="filter")
    assert caught.value.kind is OutageKind.NOT_SCIM


def test_a_road_that_is_fixed_is_believed_also_when_it_shows_nobody(office: Office) -> None:
    for road in ("members", "attributes", "user_groups"):
        snapshot = office.fetch(None, empty_members, road=road)
        assert (snapshot.road, office.members(snapshot)) == (road, set())


@pytest.mark.parametrize(
    ("config", "paging"),
    [
        ({"pagination": {"cursor": True}}, "cursor"),
        ({"Pagination": {"CURSOR": "True"}}, "cursor"),
        ({"pagination": {"cursor": False}}, "index"),
        ({"pagination": {"cursor": "perhaps"}}, "index"),
        ({"pagination": []}, "index"),
        ({}, "index"),
        (None, "index"),
    ],
)
def test_cursors_are_used_where_the_server_announces_them(config: Any, paging: str) -> None:
    office = Office(cursor=True)

    def announce(exchange: Any) -> None:
        if exchange.kind == "ServiceProviderConfig":
            exchange.answer(200 if config is not None else 404, config)

    snapshot = office.fetch(announce)
    assert (snapshot.paging, office.members(snapshot)) == (paging, {office.ada})
    assert any("cursor" in asked or "startIndex" not in asked for asked in office.asked[1:] if "?" in asked) == (
        paging == "cursor"
    )


def test_groups_come_in_small_pages_and_progress_is_told(office: Office) -> None:
    for number in range(230):
        office.server.create_user(f"user{number}")
    office.fetch()
    assert "GET /Groups?startIndex=1&count=20" in office.asked
    assert ("Users", 200) in office.told
    assert ("Users", 232) in office.told
    assert ("Groups", 1) in office.told
    office.asked.clear()
    office.fetch(page_size=5)
    assert "GET /Groups?startIndex=1&count=5" in office.asked


def test_what_was_asked_for_is_shown_without_names(office: Office) -> None:
    request = Request("Users", (("filter", 'userName eq "ada"'), ("cursor", "opaque"), ("count", "1")))
    assert str(request) == "GET /Users?filter=…&count=1"


def test_a_directory_is_made_once_until_something_changes(office: Office) -> None:
    snapshot = office.fetch()
    first = snapshot.directory()
    assert snapshot.directory() is first
    snapshot.people.take("new", {"userName": "new"})
    snapshot.changed()
    assert "new" in snapshot.directory().people
    assert "new" not in first.people


def test_a_file_instead_of_a_server() -> None:
    settings = scim_settings()

    def of(document: Any) -> Snapshot:
        return directory_of(document, settings, card_mapper(settings))

    users = [{"id": "u1", "userName": "ada"}]
    groups = [{"id": "g1", "displayName": "Staff", "members": [{"value": "u1"}]}]
    assert of({"Users": users, "groups": groups}).directory().groups["g1"].members == {"u1"}
    assert of({}).directory().people == {}
    for wrong, words in (
        ({"Users": {}}, None),
        ({"Users": "u1"}, "Users is not a list"),
        ({"Users": [*users, "u2"]}, "Users, entry 2: it is not an object"),
        ({"Groups": [{"id": "g1"}]}, "Groups, entry 1: displayName is missing"),
    ):
        if words is None:
            assert of(wrong).directory().people == {}
            continue
        with pytest.raises(MalformedError, match=words):
            of(wrong)


answers: st.SearchStrategy[Callable[[Mapping[str, str]], Any]] = st.one_of(
    anything.map(lambda document: lambda query: document),
    st.lists(anything, max_size=6).map(
        lambda rows: lambda query: {"schemas": [LIST], "totalResults": len(rows), "Resources": rows}
    ),
    st.lists(
        st.fixed_dictionaries({"id": st.integers(0, 9)}, optional={"displayName": anything, "members": anything}),
        max_size=6,
    ).map(
        lambda rows: (
            lambda query: {
                "schemas": [LIST],
                "totalResults": len(rows),
                "Resources": rows if query.get("startIndex") == "1" else [],
            }
        )
    ),
)


@hypothesis_settings(max_examples=40, deadline=None)
@given(answers, answers, answers, st.sampled_from([200, 200, 200, 404, 500]))
def test_whatever_a_server_says_ends_as_a_directory_or_as_an_outage(
    config: Any, users: Any, groups: Any, status: int
) -> None:
    settings = scim_settings(page_size=5)
    by_kind = {"ServiceProviderConfig": config, "Users": users, "Groups": groups}

    def get(request: Request) -> Response:
        return Response(status, by_kind[request.path.partition("/")[0]](dict(request.parameters)))

    try:
        snapshot = converse(read_directory(settings, card_mapper(settings)), get)
    except OutageError:
        return
    directory = snapshot.directory()
    assert all(group.members <= directory.people.keys() for group in directory.groups.values())
