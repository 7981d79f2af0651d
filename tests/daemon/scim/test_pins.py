"""PINs come from side files; what cannot be used is named by its person's place, never by a digit."""

from __future__ import annotations

from typing import Any

import pytest

from cache.keys import pin_key
from cache.model import CredentialKind
from daemon.scim.card_file import parse_side_file
from daemon.scim.cards import CardMapper, Cards
from daemon.scim.settings import CredentialRule
from drivers.cards.formats import built_in_formats

KEY = bytes(range(32))

URN = "urn:ietf:params:scim:schemas:extension:latchd:2.0:User"


def read(content: str, length: int = 6, *, alone: bool = False, key: str = "userName", **user: Any) -> Cards:
    """What a mapper of a latchd rule and a side file makes of the user u1, called ada."""
    rules = (
        CredentialRule(preset="latchd"),
        CredentialRule(side_file="pins.csv", key=key, pin_alone=alone),  # type: ignore[arg-type]
    )
    files = {"pins.csv": parse_side_file(content, key)}
    mapper = CardMapper(rules, built_in_formats(), KEY, side_files=files, pin_length=length)
    return mapper.read("u1", {"id": "u1", "userName": "ada", **user})


def test_a_pin_is_kept_as_the_key_of_this_person() -> None:
    (pin,) = read("userName,pin\nAda,012345\n").credentials
    assert (pin.kind, pin.key, pin.person_id) == (CredentialKind.PIN, pin_key(KEY, "012345", "u1"), "u1")


def test_a_card_of_the_directory_and_a_pin_of_the_side_file_go_together() -> None:
    cards = read("userName,pin\nada,012345\n", **{URN: {"cards": "H10301:57:1234"}})
    assert [one.kind for one in cards.credentials] == [CredentialKind.CARD, CredentialKind.PIN]


def test_a_side_file_may_hold_cards_and_pins() -> None:
    cards = read("userName,cards,pin\nada,H10301:57:1234,012345\n")
    assert [one.kind for one in cards.credentials] == [CredentialKind.CARD, CredentialKind.PIN]


def test_a_pin_that_identifies_alone_is_also_the_pin_beside_the_card() -> None:
    keys = {one.key for one in read("userName,pin\nada,012345\n", alone=True).credentials}
    assert keys == {pin_key(KEY, "012345", "u1"), pin_key(KEY, "012345")}


def test_json_and_other_keys() -> None:
    assert read('{"e-7": {"pin": "012345"}}', key="externalId", externalId="E-7").credentials
    urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    assert read('{"7": [{"pin": 123456}]}', key="employeeNumber", **{urn: {"employeeNumber": "7"}}).credentials


@pytest.mark.parametrize("pin", ["123", "1234567", "12345a", "\u0661\u0662\u0663\u0664\u0665\u0666", "-12345"])
def test_an_unusable_pin_is_told_without_its_digits(pin: str) -> None:
    cards = read(f"userName,pin\nada,{pin}\n")
    assert cards.credentials == ()
    (why,) = cards.unusable
    assert why.startswith("side file pin: ")
    assert pin not in why


def test_a_number_of_json_that_lost_its_leading_zero_is_refused() -> None:
    (why,) = read('{"ada": {"pin": 12345}}').unusable
    assert why == "side file pin: a number has lost the zeros that it began with: write the PIN as text, in quotes"
    assert read('{"ada": {"pin": 123456}}').unusable == read('{"ada": {"pin": "12345"}}').unusable == ()


@pytest.mark.parametrize("pin", ["1234", "12345", "012345"])
def test_a_pin_may_be_shorter_than_the_length_and_is_ended_by_the_hash_key(pin: str) -> None:
    (one,) = read(f"userName,pin\nada,{pin}\n").credentials
    assert one.key == pin_key(KEY, pin, "u1")


def test_two_pins_of_one_person_are_none() -> None:
    cards = read("userName,pin\nada,012345\nada,543210\n")
    assert cards.credentials == ()
    assert len(cards.unusable) == 1
    assert len(read("userName,pin\nada,012345\nada,012345\n").credentials) == 1


def test_nobody_else_gets_it() -> None:
    assert read("userName,pin\ngrace,012345\n") == Cards()


def test_pin_alone_needs_a_side_file() -> None:
    with pytest.raises(ValueError, match="pin_alone goes with side_file"):
        CredentialRule(preset="latchd", pin_alone=True)
