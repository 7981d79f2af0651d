"""daemon.decision.pin: the PIN beside a card, the PIN alone, and the duress form of both."""

from __future__ import annotations

import pytest

from cache.keys import card_key, pin_key
from cache.model import Credential, CredentialKind, Found, Freshness, Holder, Person
from daemon.decision.pin import compare_pin, find_pin
from daemon.decision.request import PinResult

KEY = bytes(32)
CARD = card_key(KEY, 26, 1234)


class Cache:
    """What a lookup would find, by key; every key that was asked for is kept."""

    def __init__(self, *credentials: Credential, inactive: frozenset[str] = frozenset()) -> None:
        self.credentials, self.inactive = credentials, inactive

    def find(self, key: bytes) -> Found:
        held = [c for c in self.credentials if c.key == key]
        people = [Person(c.person_id, c.person_id not in self.inactive) for c in held]
        return Found(tuple(Holder(p, c) for p, c in zip(people, held, strict=True)), Freshness(7))


def pin(digits: str, person: str, *, alone: bool = False) -> Credential:
    return Credential(pin_key(KEY, digits, "" if alone else person), person, CredentialKind.PIN)


@pytest.mark.parametrize(
    ("typed", "duress", "result"),
    [
        ("1234", True, PinResult.RIGHT),
        ("1235", True, PinResult.DURESS),
        ("1235", False, PinResult.WRONG),
        ("1233", True, PinResult.WRONG),
        ("123", True, PinResult.WRONG),
        ("12340", True, PinResult.WRONG),
        ("", True, PinResult.WRONG),
    ],
)
def test_the_pin_beside_a_card(typed: str, duress: bool, result: PinResult) -> None:
    cache = Cache(Credential(CARD, "u1"), pin("1234", "u1"), pin("9999", "u2"))
    entry = compare_pin(cache.find, KEY, typed, cache.find(CARD), duress=duress)
    assert entry.result is result
    assert (entry.credential is None) is (result is PinResult.WRONG)


def test_nine_becomes_zero_under_duress() -> None:
    cache = Cache(Credential(CARD, "u1"), pin("1239", "u1"))
    assert compare_pin(cache.find, KEY, "1230", cache.find(CARD), duress=True).result is PinResult.DURESS


def test_the_pin_of_somebody_else_or_of_nobody_beside_is_wrong() -> None:
    cache = Cache(Credential(CARD, "u1"), pin("1234", "u2"), pin("5678", "u1", alone=True))
    for typed in ("1234", "5678"):
        assert compare_pin(cache.find, KEY, typed, cache.find(CARD), duress=True).result is PinResult.WRONG


def test_of_two_holders_the_active_one_is_meant() -> None:
    cache = Cache(
        Credential(CARD, "u1"),
        Credential(CARD, "u2"),
        pin("1111", "u1"),
        pin("1111", "u2"),
        inactive=frozenset({"u1"}),
    )
    entry = compare_pin(cache.find, KEY, "1111", cache.find(CARD), duress=False)
    assert entry.credential is not None
    assert entry.credential.person_id == "u2"


def test_a_pin_alone_identifies() -> None:
    cache = Cache(pin("4711", "u1", alone=True), pin("4712", "u2", alone=True))
    found, entry = find_pin(cache.find, KEY, "4711", duress=True)
    assert ([h.person.id for h in found.holders], entry.result) == (["u1"], PinResult.RIGHT)
    found, entry = find_pin(cache.find, KEY, "4712", duress=True)
    assert ([h.person.id for h in found.holders], entry.result) == (["u2"], PinResult.RIGHT)  # not u1 under duress
    found, entry = find_pin(cache.find, KEY, "4713", duress=True)
    assert ([h.person.id for h in found.holders], entry.result) == (["u2"], PinResult.DURESS)
    found, entry = find_pin(cache.find, KEY, "4713", duress=False)
    assert (found.holders, found.freshness.generation, entry.result) == ((), 7, PinResult.WRONG)


def test_a_card_that_happens_to_have_the_key_is_no_pin() -> None:
    cache = Cache(Credential(pin_key(KEY, "4711"), "u1"))
    assert find_pin(cache.find, KEY, "4711", duress=False)[1].result is PinResult.WRONG


def test_what_has_the_key_of_a_pin_and_is_none_of_this_person_is_passed_over() -> None:
    """A card, or another person's PIN, that happens to have the key."""
    key = pin_key(KEY, "1234", "u1")
    others = (Credential(key, "u1"), Credential(key, "u2", CredentialKind.PIN))
    cache = Cache(Credential(CARD, "u1"), *others)
    assert compare_pin(cache.find, KEY, "1234", cache.find(CARD), duress=False).result is PinResult.WRONG
    own = Credential(key, "u1", CredentialKind.PIN)
    cache = Cache(Credential(CARD, "u1"), *others, own)
    entry = compare_pin(cache.find, KEY, "1234", cache.find(CARD), duress=False)
    assert (entry.result, entry.credential) == (PinResult.RIGHT, own)
