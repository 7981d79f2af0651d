"""keys: one key for each card and PIN, under the site key."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.keys import card_key, pin_key

SITE, OTHER = b"s" * 32, b"o" * 32

cards = st.integers(1, 128).flatmap(lambda length: st.tuples(st.just(length), st.integers(0, (1 << length) - 1)))


@given(cards, cards)
def test_cards_have_one_key_each(one: tuple[int, int], other: tuple[int, int]) -> None:
    assert (card_key(SITE, *one) == card_key(SITE, *other)) == (one == other)
    assert len(card_key(SITE, *one)) == 16


@given(cards)
def test_keys_of_another_site_and_of_one_bit_more_differ(one: tuple[int, int]) -> None:
    length, value = one
    assert card_key(SITE, length, value) != card_key(OTHER, length, value)
    if length < 128:
        assert card_key(SITE, length, value) != card_key(SITE, length + 1, value)


def test_the_key_is_the_documented_hmac() -> None:
    message = b"card\0" + bytes([26]) + (0x2AAAAAA).to_bytes(16, "big")
    assert card_key(SITE, 26, 0x2AAAAAA) == hmac.new(SITE, message, hashlib.sha256).digest()[:16]


@pytest.mark.parametrize(("length", "value"), [(0, 0), (129, 1), (26, 1 << 26), (26, -1)])
def test_what_is_no_card_has_no_key(length: int, value: int) -> None:
    with pytest.raises(ValueError, match="1 to 128 bits"):
        card_key(SITE, length, value)


@given(st.text("0123456789", min_size=1, max_size=8), st.text("0123456789", min_size=1, max_size=8))
def test_pins_are_bound_to_their_person(one: str, other: str) -> None:
    assert (pin_key(SITE, one, "u1") == pin_key(SITE, other, "u1")) == (one == other)
    assert pin_key(SITE, one, "u1") != pin_key(SITE, one, "u2")
    assert pin_key(SITE, one) != pin_key(SITE, one, "u1")
