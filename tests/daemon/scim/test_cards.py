"""Cards in SCIM: every form in which a directory words one, and why others cannot be used."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.keys import card_key
from cache.model import CredentialState
from daemon.scim.card_file import parse_side_file
from daemon.scim.cards import MAX_CARDS, CardMapper, Cards
from daemon.scim.settings import CredentialRule
from drivers.cards.formats import built_in_formats
from tests.daemon.scim.test_resource import anything
from tests.peers.scim_site import SITE_KEY, card

URN = "urn:ietf:params:scim:schemas:extension:latchd:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
BERLIN = ZoneInfo("Europe/Berlin")


def read(user: dict[str, Any], *rules: CredentialRule, files: dict[str, str] | None = None) -> Cards:
    given = rules or (CredentialRule(preset="latchd"),)
    side = {
        rule.side_file: parse_side_file((files or {})[rule.side_file], rule.key)
        for rule in given
        if rule.side_file
    }
    return CardMapper(given, built_in_formats(), SITE_KEY, BERLIN, side).read("u1", user)


def own(**attributes: Any) -> Cards:
    """What latchd's own extension gives."""
    return read({URN: attributes})


def raw(length: int, value: int) -> bytes:
    return card_key(SITE_KEY, length, value)


def keys(cards: Cards) -> list[bytes]:
    assert cards.unusable == ()
    return [one.key for one in cards.credentials]


def why(cards: Cards) -> str:
    assert cards.credentials == ()
    (text,) = cards.unusable
    return text


# ------------------------------------------------------------------ the extension


def test_the_compact_string() -> None:
    assert keys(own(cards="H10301:123:45678;RAW26:1A2B3C")) == [card(123, 45678), raw(26, 0x1A2B3C)]
    assert keys(own(cards=" h10301 : 0123 : 00045678 ; ; ")) == [card(123, 45678)]
    assert keys(own(cards=["H10301:1:2", "H10301:1:3"])) == [card(1, 2), card(1, 3)]


def test_numbered_suffixes_with_a_format_for_all() -> None:
    cards = own(
        cardFormat="H10301",
        facilityCode="57",
        cardNumber="7",
        cardNumber2=8,
        cardNumber4="0009",
        facilityCode4="58",
    )
    assert keys(cards) == [card(57, 7), card(57, 8), card(58, 9)]


def test_hexadecimal_with_its_length() -> None:
    assert keys(own(cardNumberHex="0x1A 2b3C", cardBits="26")) == [raw(26, 0x1A2B3C)]
    assert keys(own(cardNumberHex2="ff", cardBits=8)) == [raw(8, 0xFF)]


def test_the_structured_list() -> None:
    entries = [
        {"format": "H10301", "facilityCode": 57, "number": "7", "status": "lost"},
        {"cardFormat": "H10301", "facilityCode": "57", "value": 8, "validUntil": "2026-12-31"},
        {"numberHex": "1A", "bits": 26},
        "junk",
    ]
    cards = own(credentials=entries)
    assert keys(cards) == [card(57, 7), card(57, 8), raw(26, 0x1A)]
    assert [one.state for one in cards.credentials] == [
        CredentialState.LOST,
        CredentialState.ACTIVE,
        CredentialState.ACTIVE,
    ]


def test_a_compact_string_as_a_number_has_the_status_beside_it() -> None:
    (one,) = own(cardNumber="H10301:57:7", cardStatus="suspended", validFrom="2026-03-01").credentials
    assert (one.key, one.state) == (card(57, 7), CredentialState.SUSPENDED)
    assert one.valid_from == datetime(2026, 2, 28, 23, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        (None, CredentialState.ACTIVE),
        ("Active", CredentialState.ACTIVE),
        ("stolen", CredentialState.LOST),
        ("expired", CredentialState.EXPIRED),
        ("disabled", CredentialState.SUSPENDED),
        ("whatever", CredentialState.SUSPENDED),
    ],
)
def test_a_status_that_is_not_known_is_no_permission(word: str | None, state: CredentialState) -> None:
    (one,) = own(cardFormat="H10301", facilityCode="1", cardNumber="2", cardStatus=word).credentials
    assert one.state is state


@pytest.mark.parametrize(
    ("value", "start", "end"),
    [
        ("2026-12-31", datetime(2026, 12, 30, 23, tzinfo=UTC), datetime(2026, 12, 31, 23, tzinfo=UTC)),
        ("2026-12-31T18:00:00Z", *[datetime(2026, 12, 31, 18, tzinfo=UTC)] * 2),
        ("2026-07-01T18:00:00", *[datetime(2026, 7, 1, 16, tzinfo=UTC)] * 2),
        ("2026-07-01T18:00:00-05:00", *[datetime(2026, 7, 1, 23, tzinfo=UTC)] * 2),
    ],
)
def test_validity_in_the_sites_zone_and_a_last_day_counts_whole(
    value: str, start: datetime, end: datetime
) -> None:
    number = {"cardFormat": "H10301", "facilityCode": "1", "cardNumber": "2"}
    (one,) = own(**number, validFrom=value, validUntil=value).credentials
    assert (one.valid_from, one.valid_until) == (start, end)


def test_the_same_card_twice_is_one_and_the_stricter_state_holds() -> None:
    entries = [
        {"format": "H10301", "facilityCode": 1, "number": 2},
        {"format": "H10301", "facilityCode": 1, "number": 2, "status": "lost"},
    ]
    for order in (entries, entries[::-1]):
        (one,) = own(credentials=order).credentials
        assert one.state is CredentialState.LOST


# ------------------------------------------------------------------ what cannot be used


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"cards": "NOSUCH:1:4711"}, "cards, entry 1: "),
        ({"cards": "H10301:1:70000"}, "cards, entry 1: "),
        ({"cards": "H10301:256:4711"}, "cards, entry 1: "),
        ({"cards": "H10301:4711"}, "cards, entry 1: "),
        ({"cards": "4711"}, "expected a format and a number such as FORMAT:FACILITY:NUMBER"),
        ({"cards": "a:b:c:d:4711"}, "expected a format and a number such as FORMAT:FACILITY:NUMBER"),
        ({"cards": "H10301:x:4711"}, "facilityCode is not a number of decimal digits"),
        ({"cards": "H10301:1:47.11"}, "cardNumber is not a number of decimal digits"),
        ({"cards": "H10301:1:-4711"}, "cardNumber is not a number of decimal digits"),
        ({"cards": "RAW26:4711F"}, None),
        ({"cards": "RAW26:G4711"}, "expected up to 32 hexadecimal digits"),
        ({"cards": "RAW12:4711F"}, "the digits hold more than 12 bits"),
        ({"cards": "RAW0:0"}, "a card has 1 to"),
        ({"cards": "RAW999:1"}, "a card has 1 to"),
        ({"cardNumber": "4711"}, "cardNumber: expected a format"),
        ({"cardNumber3": "4711", "cardFormat": "H10301", "facilityCode": "٣"}, "facilityCode is not a number"),
        (
            {"cardNumber": 47.11, "cardFormat": "H10301", "facilityCode": "1"},
            "cardNumber: cardNumber is not a number",
        ),
        ({"cardNumber": {"x": "4711"}, "cardFormat": "H10301"}, "cardNumber: cardNumber is not a number"),
        ({"cardNumberHex": "4711"}, "cardNumberHex: a card in hexadecimal needs cardBits"),
        ({"cards": "H10301:1:4711", "validFrom": "x"}, None),
        ({"cardNumber": "H10301:1:4711", "validUntil": "4711-13-01"}, "validUntil is not a date or time"),
        (
            {"cardNumber": "H10301:1:4711", "validFrom": "9999-12-31T23:59:59-23:00"},
            "validFrom is not a date or time",
        ),
    ],
)
def test_why_a_card_cannot_be_used_without_its_number(attributes: dict[str, Any], words: str | None) -> None:
    cards = own(**attributes)
    if words is None:
        assert len(cards.credentials) == 1
        return
    assert words in why(cards)
    assert "4711" not in why(cards)


def test_what_says_nothing_is_no_card() -> None:
    for nothing in (None, "", "  ", []):
        assert own(cardNumber=nothing, cards=nothing, credentials=nothing) == Cards()


def test_more_cards_than_a_person_can_carry() -> None:
    cards = own(cards=";".join(f"H10301:1:{number}" for number in range(MAX_CARDS + 5)))
    assert len(cards.credentials) == MAX_CARDS
    assert cards.unusable == (f"{MAX_CARDS + 5} cards: only the first {MAX_CARDS} are read",)


def test_one_bad_card_does_not_spoil_the_others() -> None:
    cards = own(cards="H10301:1:2;NOSUCH:1:2;H10301:1:3")
    assert [one.key for one in cards.credentials] == [card(1, 2), card(1, 3)]
    assert cards.unusable[0].startswith("cards, entry 2: ")


NUMBERED = ("cardNumber", "cardNumberHex", "cardFormat", "facilityCode", "cardBits", "cardStatus", "validUntil")
names = st.sampled_from([*NUMBERED, *(f"{name}2" for name in NUMBERED), "issueLevel", "cards", "credentials"])
words = st.text(alphabet="H10301:;RAW26x ", max_size=24)


@settings(deadline=None)
@given(st.dictionaries(names, anything | words, max_size=8))
def test_any_extension_gives_cards_or_reasons(attributes: dict[str, Any]) -> None:
    cards = own(**attributes)
    assert all(len(one.key) == len(card(1, 1)) and one.person_id == "u1" for one in cards.credentials)
    assert all(len(text) < 300 for text in cards.unusable)


# ------------------------------------------------------------------ rules


def test_the_first_rule_that_finds_a_card_is_used() -> None:
    rules = (
        CredentialRule(preset="latchd"),
        CredentialRule(preset="enterprise.employeeNumber", format="H10301", facility_code=57),
    )
    user: dict[str, Any] = {ENTERPRISE: {"employeeNumber": "0007"}}
    assert keys(read(user, *rules)) == [card(57, 7)]
    assert keys(read({**user, URN: {"cards": "H10301:1:2"}}, *rules)) == [card(1, 2)]
    assert "NOSUCH" in why(read({**user, URN: {"cards": "NOSUCH:1:2"}}, *rules)), "a bad one was found, too"


@pytest.mark.parametrize(
    ("rule", "user"),
    [
        (CredentialRule(urn="urn:x:User"), {"urn:x:User": {"cards": "H10301:57:7"}}),
        (CredentialRule(attribute="badge"), {"badge": "H10301:57:7"}),
        (CredentialRule(attribute="badge", format="H10301", facility_code=57), {"BADGE": 7}),
        (
            CredentialRule(attribute="badges.value", format="H10301", facility_code=57),
            {"badges": [{"value": "7"}]},
        ),
        (
            CredentialRule(urn="urn:x:User", attribute="badge", format="H10301", facility_code=57),
            {"urn:x:User": {"badge": "7"}},
        ),
        (
            CredentialRule(preset="enterprise.cardNumber", format="H10301", facility_code=57),
            {ENTERPRISE: {"cardNumber": "7"}},
        ),
        (CredentialRule(preset="latchd", format="H10301", facility_code=57), {URN: {"cardNumber": "7"}}),
    ],
)
def test_every_source(rule: CredentialRule, user: dict[str, Any]) -> None:
    assert keys(read(user, rule)) == [card(57, 7)]


def test_several_numbers_in_one_attribute() -> None:
    rule = CredentialRule(attribute="badge", format="H10301", facility_code=57)
    assert keys(read({"badge": "7; 8;"}, rule)) == [card(57, 7), card(57, 8)]


@pytest.mark.parametrize(
    ("key", "user"),
    [
        ("externalId", {"externalId": "E1"}),
        ("userName", {"userName": "e1"}),
        ("employeeNumber", {ENTERPRISE: {"employeeNumber": "e1"}}),
    ],
)
def test_a_side_file_by_each_key(key: Any, user: dict[str, Any]) -> None:
    rule = CredentialRule(side_file="cards.csv", key=key)
    assert keys(read(user, rule, files={"cards.csv": f"{key},cards\ne1,H10301:57:7\n"})) == [card(57, 7)]
    assert read({}, rule, files={"cards.csv": f"{key},cards\ne1,H10301:57:7\n"}) == Cards()


def test_a_bad_card_of_a_side_file_says_where_it_is() -> None:
    rule = CredentialRule(side_file="cards.csv")
    cards = read({"externalId": "e1"}, rule, files={"cards.csv": "externalId,cards\ne1,NOSUCH:57:4711\n"})
    assert why(cards).startswith("side file cards, entry 1: ")
