"""The tolerant reader: what a resource says in whatever case and type, and nothing that ends in another error."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.scim.resource import (
    MAX_TEXT,
    GroupResource,
    MalformedError,
    MemberRef,
    boolean,
    display_name,
    get,
    identifier,
    lookup,
    read_group,
    text,
    user_groups,
)

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
names = st.sampled_from(
    ["id", "ID", "displayName", "members", "Members", "value", "$ref", "type", "groups", "meta"]
)
resources = st.dictionaries(names, anything, max_size=6)
URN = "urn:ietf:params:scim:schemas:extension:latchd:2.0:User"


@settings(deadline=None)
@given(resources)
def test_any_resource_is_read_or_malformed(resource: dict[str, Any]) -> None:
    display_name(resource)
    user_groups(resource)
    said = set()
    for read in (identifier, read_group):
        try:
            read(resource)
        except MalformedError as error:
            said.add(str(error))
    assert said <= {"the resource has no usable id", "displayName is missing"}


@settings(deadline=None)
@given(anything)
def test_text_is_short_and_can_be_kept(value: Any) -> None:
    found = text(value)
    if found is not None:
        assert 0 < len(found) <= MAX_TEXT
        assert found == found.strip()
        found.encode()


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (" Ada ", "Ada"),
        (17, "17"),
        ("", None),
        ("  ", None),
        (True, None),
        (1.5, None),
        (10**100, None),
        ("x" * (MAX_TEXT + 1), None),
        ("half \ud800 pair", None),
        ("whole \U0001f6aa", "whole \U0001f6aa"),
        ([], None),
    ],
)
def test_text(value: Any, found: str | None) -> None:
    assert text(value) == found


def test_names_are_found_in_any_case_and_the_exact_one_first() -> None:
    assert get({"USERNAME": "a", "userName": "b"}, "userName") == "b"
    assert get({"USERNAME": "a"}, "userName") == "a"
    assert get({"userName": None, "USERNAME": "a"}, "userName") == "a"
    assert get({"other": 1}, "userName") is None
    many = {f"attribute{number}": number for number in range(100)}
    assert get({**many, "USERNAME": "a"}, "userName") == "a"
    assert get(many, "userName") is None


@pytest.mark.parametrize("value", [True, "True", "TRUE", " true ", "yes", 1, "1"])
def test_what_is_true(value: Any) -> None:
    assert boolean(value, "active") is True


@pytest.mark.parametrize("value", [False, "False", "false", "no", 0, "0"])
def test_what_is_false(value: Any) -> None:
    assert boolean(value, "active") is False


@pytest.mark.parametrize("value", [None, "", "perhaps", 2, 1.0, [], {}, [True]])
def test_what_is_neither_is_malformed_and_not_shown(value: Any) -> None:
    with pytest.raises(MalformedError, match=r"^active is neither true nor false$"):
        boolean(value, "active")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("userName", ["ada"]),
        ("name.familyName", ["Lovelace"]),
        ("emails.value", ["a@example.com", "b@example.com"]),
        (f"{URN}:cards", ["H10301:1:2"]),
        (f"{URN.upper()}:CARDS", ["H10301:1:2"]),
        ("urn:ietf:params:scim:schemas:core:2.0:User:userName", ["ada"]),
        ("absent.sub", []),
        ("userName.sub", []),
    ],
)
def test_paths(path: str, found: list[Any]) -> None:
    user = {
        "userName": "ada",
        "name": {"familyName": "Lovelace"},
        "emails": [{"value": "a@example.com"}, {"value": "b@example.com"}, None, "junk"],
        URN: {"cards": "H10301:1:2"},
    }
    assert lookup(user, path) == found


@pytest.mark.parametrize(
    ("user", "name"),
    [
        ({"displayName": "Ada", "userName": "al"}, "Ada"),
        ({"name": {"formatted": "Ada L."}, "userName": "al"}, "Ada L."),
        ({"name": {"givenName": "Ada", "familyName": "Lovelace"}}, "Ada Lovelace"),
        ({"name": {"familyName": "Lovelace"}}, "Lovelace"),
        ({"name": "Ada", "userName": "al"}, "al"),
        ({}, None),
    ],
)
def test_a_name_for_people(user: dict[str, Any], name: str | None) -> None:
    assert display_name(user) == name


@pytest.mark.parametrize(
    ("groups", "found"),
    [
        ([{"value": "g1"}, {"VALUE": 2}, "g3"], ("g1", "2", "g3")),
        ([], None),
        (None, None),
        ("g1", None),
        ([{}, None, 1.5], None),
    ],
)
def test_the_groups_of_a_user_are_said_or_not_said(groups: Any, found: Any) -> None:
    assert user_groups({"groups": groups}) == found


@pytest.mark.parametrize(
    ("member", "found"),
    [
        ({"value": "u1"}, MemberRef("u1")),
        ({"VALUE": 17, "Type": "User"}, MemberRef("17", False)),
        ({"value": "g1", "type": "group"}, MemberRef("g1", True)),
        ({"$ref": "https://x/v2/Users/u1"}, MemberRef("u1", False)),
        ({"$ref": "https://x/v2/Groups/g1/"}, MemberRef("g1", True)),
        ({"value": "u1", "$ref": "../Groups/u1"}, MemberRef("u1", True)),
        ({"value": "d", "type": "Device"}, MemberRef("d")),
        ("u1", MemberRef("u1")),
        (17, MemberRef("17")),
    ],
)
def test_members_in_every_form(member: Any, found: MemberRef) -> None:
    for members in ([member], [None, member, {}, {"value": ""}, 1.5]):
        assert read_group({"id": "g", "displayName": "G", "members": members}).members == (found,)


def test_members_that_are_no_list() -> None:
    group = {"id": "g", "displayName": "G"}
    for absent in (None, []):
        assert read_group({**group, "members": absent}).members == ()
    assert read_group({**group, "members": {"value": "u1"}}).members == (MemberRef("u1"),)
    strange = read_group({**group, "members": "u1"})
    assert (strange.members, strange.members_readable) == ((), False)


def test_a_group_that_lost_its_name_is_still_known_by_it() -> None:
    assert read_group({"id": "g", "displayName": None}, "Staff").name == "Staff"
    assert read_group({"id": "g", "displayName": "Personnel"}, "Staff").name == "Personnel"
    with pytest.raises(MalformedError, match="displayName is missing"):
        read_group({"id": "g", "displayName": " "})


@pytest.mark.parametrize(
    ("meta", "modified"),
    [
        ({"lastModified": "2026-03-02T08:00:00Z"}, datetime(2026, 3, 2, 8, 0, tzinfo=UTC)),
        ({"LASTMODIFIED": "2026-03-02T09:00:00.5+01:00"}, datetime(2026, 3, 2, 8, 0, 0, 500_000, tzinfo=UTC)),
        ({"lastModified": "2026-03-02T08:00:00"}, None),  # without a zone it is no instant
        ({"lastModified": "yesterday"}, None),
        ({"lastModified": 17}, None),
        ([], None),
        (None, None),
    ],
)
def test_when_a_group_was_changed(meta: Any, modified: datetime | None) -> None:
    assert read_group({"id": 5, "displayName": "G", "meta": meta}) == GroupResource("5", "G", None, (), modified)
