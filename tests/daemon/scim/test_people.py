"""Users as they come in: a person, their cards, what they say of their groups, and whom a member's value means."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.scim.people import People
from daemon.scim.settings import LATCHD_URN
from tests.daemon.scim.test_resource import anything
from tests.peers.scim_site import card, card_mapper, scim_settings


def people(*, store_names: bool = True) -> People:
    return People(card_mapper(scim_settings()), store_names)


def user(**attributes: Any) -> dict[str, Any]:
    return {"userName": "ada@example.com", "displayName": "Ada", "externalId": "e1", **attributes}


attributes = st.sampled_from(["active", "ACTIVE", "userName", "displayName", "groups", "emails", LATCHD_URN])
cards = st.dictionaries(
    st.sampled_from(
        ["cards", "cardNumber", "cardNumber2", "cardNumberHex", "cardBits", "credentials", "validUntil"]
    ),
    anything,
)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(attributes, anything | cards, max_size=6))
def test_any_user_is_read(resource: dict[str, Any]) -> None:
    found = people()
    found.take("u1", resource)
    assert found.settled().keys() == {"u1"}


def test_a_person_and_their_card() -> None:
    found = people()
    found.take("u1", user(**{LATCHD_URN: {"cards": "H10301:1:7;NOSUCH:1:1", "extendedTime": "true"}}))
    person = found.people["u1"]
    assert (person.active, person.name, person.user_name) == (True, "Ada", "ada@example.com")
    assert (person.external_id, person.extended_time) == ("e1", True)
    assert [one.key for one in found.cards["u1"]] == [card(1, 7)]
    (unusable,) = found.unusable["u1"]
    assert (unusable.person_id, unusable.person) == ("u1", "Ada")


@pytest.mark.parametrize(
    ("active", "means"), [(None, True), ("True", True), ("False", False), (False, False), (0, False)]
)
def test_active_in_every_form(active: Any, means: bool) -> None:
    found = people()
    found.take("u1", user(active=active))
    assert found.people["u1"].active is means


@pytest.mark.parametrize("word", [{"value": True}, "inactive", 7, []])
def test_someone_whose_active_cannot_be_read_is_not_active_and_all_else_is_read(word: Any) -> None:
    found = people()
    found.take("u1", user(active=word, displayName="Ada Lovelace"))
    person = found.settled()["u1"]
    assert (person.active, person.name) == (False, "Ada Lovelace")
    assert found.warnings() == ["active of Ada Lovelace is neither true nor false: not active"]


def test_a_flag_that_cannot_be_read_is_false_and_stops_nothing_else() -> None:
    found = people()
    found.take("u1", user(active=False, **{LATCHD_URN: {"extendedTime": "maybe"}}))
    person = found.settled()["u1"]
    assert (person.active, person.extended_time) == (False, False)
    assert found.warnings() == ["extendedTime of 1 people is neither true nor false: it counts as false"]


def test_names_are_kept_only_if_the_site_wants_them() -> None:
    found = people(store_names=False)
    found.take("u1", user(**{LATCHD_URN: {"cards": "NOSUCH:1:1"}}))
    assert (found.people["u1"].name, found.people["u1"].user_name) == (None, None)
    assert found.unusable["u1"][0].person == "u1"
    assert found.named("ADA@example.com") == "u1", "members may still be named by it"


def test_somebody_who_is_read_again_is_replaced() -> None:
    found = people()
    found.take("u1", user(groups=[{"value": "g1"}], **{LATCHD_URN: {"cards": "H10301:1:7;NOSUCH:1:1"}}))
    assert found.groups_of == {"u1": ("g1",)}
    found.take("u1", user(active=False))
    assert not found.people["u1"].active
    assert (found.cards, found.unusable, found.groups_of) == ({}, {}, {})


def test_whom_a_value_means() -> None:
    found = people()
    found.take("u1", user())
    found.take("u2", user(userName="u1"))
    assert found.named("Ada@Example.COM") == "u1"
    assert found.named("nobody") is None
    assert found.called_by_ids(()) == ["u2"]
    assert found.called_by_ids(("ada@example.com",)) == ["u1", "u2"]
    found.take("u3", user())
    assert found.named("ada@example.com") is None, "two people of one userName: it names no one"
