"""Mapping rules for bare values: what is refused and why, what is in doubt, and which rules cannot be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.keys import card_key
from daemon.scim.cards import CardMapper, Cards
from daemon.scim.path import check_path, values_at
from daemon.scim.people import People
from daemon.scim.settings import CredentialRule
from drivers.cards.formats import UnknownFormatError, built_in_formats
from tests.daemon.scim.test_resource import anything
from tests.peers.scim_site import SITE_KEY, card

RAW32 = CredentialRule(attribute="badge", format="RAW32")


def read(value: object, **rule: Any) -> Cards:
    return CardMapper((CredentialRule(attribute="badge", **rule),), built_in_formats(), SITE_KEY).read(
        "u1", {"badge": value}
    )


@pytest.mark.parametrize(
    ("value", "rule", "why"),
    [
        ("111,45678", {"format": "H10301"}, "set pattern"),
        (45678.5, {"format": "H10301", "facility_code": 1}, "a number with a fraction"),
        ({"a": 1}, {"format": "H10301", "facility_code": 1}, "an object"),
        ("x7", {"format": "H10301", "pattern": r"(?P<facility>\d)-(?P<number>\d)"}, "does not match the pattern"),
        ("123-45678-1", {"format": "H10301"}, "not a number of decimal digits"),
        ("04A23B", {"format": "RAW25", "byte_order": "reversed"}, "whole bytes"),
        ("99999999999", {"format": "RAW32", "base": 10}, "more than 32 bits"),
        ("04A2", {"format": "RAW32", "base": 10}, "not a number of decimal digits"),
        ("45678", {"format": "HID 37-bit", "facility_code": 1}, "there is no card format"),
    ],
)
def test_what_cannot_be_a_card_is_reported_without_its_number(value: object, rule: Any, why: str) -> None:
    found = read(value, **rule)
    assert found.credentials == ()
    (text,) = found.unusable
    assert why in text
    assert "45678" not in text
    assert "04A2" not in text


def test_a_comma_parts_cards_where_the_facility_code_is_known() -> None:
    found = read("45678,45679; 45680", format="H10301", facility_code=123)
    assert [one.key for one in found.credentials] == [card(123, number) for number in (45678, 45679, 45680)]


def test_a_facility_code_in_the_value_stands_before_that_of_the_rule_only_where_it_has_none() -> None:
    assert read("7-45678", format="H10301", facility_code=123).credentials == ()
    assert [one.key for one in read("7-45678", format="H10301").credentials] == [card(7, 45678)]


@pytest.mark.parametrize("words", ["HID 26-bit", "hid 26 BIT", "H10301", "Wiegand 26"])
def test_words_of_the_trade_are_formats(words: str) -> None:
    assert [one.key for one in read("45678", format=words, facility_code=123).credentials] == [card(123, 45678)]


def test_corporate_1000_by_its_number() -> None:
    formats = built_in_formats()
    assert formats.get_format("C1000-35") is formats.get_format("C1k35s")
    assert formats.find("HID 37-bit") is None, "it may be H10302 or H10304"
    with pytest.raises(UnknownFormatError):
        formats.get_format("nothing of the kind")


# ------------------------------------------------------------------ decimal or hexadecimal


def people(*badges: str, rule: CredentialRule = RAW32) -> People:
    found = People(CardMapper((rule,), built_in_formats(), SITE_KEY))
    for number, badge in enumerate(badges):
        found.take(f"u{number}", {"userName": f"user{number}", "badge": badge})
    return found


def test_raw_digits_that_are_all_decimal_open_nothing_and_ask_for_the_base() -> None:
    found = people("77740828", "12345678")
    assert found.credentials() == ()
    assert {one.person_id for one in found.unusable_cards()} == {"u0", "u1"}
    assert all("base = 10 or base = 16" in one.text for one in found.unusable_cards())


def test_one_hexadecimal_value_says_that_the_others_are_too() -> None:
    found = people("04123456", "04A23B1C")
    assert {one.key for one in found.credentials()} == {
        card_key(SITE_KEY, 32, n) for n in (0x04123456, 0x04A23B1C)
    }
    assert found.unusable_cards() == []


def test_a_base_is_believed() -> None:
    decimal = people("77740828", rule=CredentialRule(attribute="badge", format="RAW32", base=10))
    hexadecimal = people("77740828", rule=CredentialRule(attribute="badge", format="RAW32", base=16))
    assert [one.key for one in decimal.credentials()] == [card_key(SITE_KEY, 32, 77740828)]
    assert [one.key for one in hexadecimal.credentials()] == [card_key(SITE_KEY, 32, 0x77740828)]


def test_a_person_who_is_read_again_is_in_doubt_no_longer() -> None:
    found = people("77740828")
    found.take("u0", {"userName": "user0", "badge": "04A23B1C"})
    assert [one.key for one in found.credentials()] == [card_key(SITE_KEY, 32, 0x04A23B1C)]
    assert found.unusable_cards() == []


# ------------------------------------------------------------------ rules that cannot be


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ({"attribute": "badge", "pattern": "("}, "not a regular expression"),
        ({"attribute": "badge", "pattern": "(?P<facility>1)"}, "expected the group"),
        ({"attribute": "badge", "pattern": "(?P<number>1)(?P<colour>2)"}, "expected the group"),
        ({"attribute": "entitlements[type eq].value"}, "the filter in"),
        ({"attribute": "two words"}, "expected a path"),
        ({"attribute": "badge", "status_attribute": "a b"}, "status_attribute"),
        ({"side_file": "/cards.csv", "base": 10}, "go with attribute"),
        ({"preset": "latchd", "byte_order": "reversed"}, "go with attribute"),
    ],
)
def test_a_rule_that_cannot_work_is_refused(rule: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        CredentialRule(**rule)


@given(anything, st.sampled_from(["a", "a.b", "urn:x:User:a", 'a[type eq "b"].c', "a[b pr]"]))
@settings(max_examples=100)
def test_any_document_can_be_looked_into(document: object, path: str) -> None:
    if isinstance(document, dict):
        assert isinstance(values_at(document, check_path(path)), list)


@given(st.text(max_size=30))
@settings(max_examples=200)
def test_any_value_gives_a_card_or_a_reason(value: str) -> None:
    for rule in (
        {"format": "H10301"},
        {"format": "RAW32"},
        {"format": "H10301", "base": 16, "byte_order": "reversed"},
    ):
        found = read(value, **rule)
        assert found.credentials or found.unusable or not value.strip(" ;:,\t\n\r\v\f") or value.isspace()
