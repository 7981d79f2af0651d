"""What frames mean: cards, keys in three modes, and read errors that never reach a lookup."""

from __future__ import annotations

import pytest

from drivers.cards.formats import built_in_formats
from drivers.events import CardRead, KeyPress, ReadError, ReadFault
from drivers.wiegand.decode import Keypad, ReaderRules, interpret
from drivers.wiegand.frame import BadFrame, Frame

FORMATS = built_in_formats()
AT = 7_500_000_000


def see(length: int, value: int, **rules: object) -> CardRead | KeyPress | ReadError:
    return interpret("yard-in", Frame(length, value, AT), ReaderRules(**rules))  # type: ignore[arg-type]  # a test's brevity


def card(text: str) -> tuple[int, int]:
    return FORMATS.parse_card(text)


def test_a_card_without_formats_is_its_raw_bits() -> None:
    assert see(26, 0x123) == CardRead("yard-in", 26, 0x123, 7.5)


def test_a_card_of_a_configured_format() -> None:
    length, value = card("H10301:57:1234")
    assert see(length, value, formats=FORMATS.select(["H10301"])) == CardRead("yard-in", length, value, 7.5)


def test_wrong_parity_is_a_read_error_that_keeps_the_bits() -> None:
    length, value = card("H10301:57:1234")
    error = see(length, value ^ 4, formats=FORMATS.select(["H10301", "ind26"]))
    assert isinstance(error, ReadError)
    assert (error.fault, error.length, error.value) == (ReadFault.PARITY_ERROR, length, value ^ 4)
    assert "H10301, ind26" in error.note


def test_one_accepting_format_of_the_length_is_enough() -> None:
    formats = FORMATS.select(["H10306", "Optus34"])
    length, value = card("Optus34:5:77")
    assert not formats[0].matches(value)
    assert isinstance(see(length, value, formats=formats), CardRead)


def test_a_length_that_no_configured_format_has_is_left_to_the_lookup() -> None:
    assert isinstance(see(35, 5, formats=FORMATS.select(["H10301"])), CardRead)


def test_a_bad_frame_is_a_read_error_that_keeps_the_bits() -> None:
    error = interpret("yard-in", BadFrame(25, 77, AT, "edges were lost"), ReaderRules())
    assert error == ReadError("yard-in", ReadFault.BAD_FRAME, 7.5, 25, 77, "edges were lost")


@pytest.mark.parametrize("length", range(1, 9))
def test_frames_too_short_for_a_card_are_noise_unless_allowed(length: int) -> None:
    assert isinstance(see(length, 1), ReadError)
    assert isinstance(see(length, 1, shortest_card=1), CardRead)


@pytest.mark.parametrize(("code", "key"), list(enumerate("0123456789*#")))
def test_keys_of_4_and_8_bits(code: int, key: str) -> None:
    assert see(4, code, keypad=Keypad.BITS_4) == KeyPress("yard-in", key, 7.5)
    assert see(8, (~code & 0xF) << 4 | code, keypad=Keypad.BITS_8) == KeyPress("yard-in", key, 7.5)


@pytest.mark.parametrize("code", range(12, 16))
def test_a_code_that_is_no_key_is_a_read_error(code: int) -> None:
    assert isinstance(see(4, code, keypad=Keypad.BITS_4), ReadError)
    assert isinstance(see(8, (~code & 0xF) << 4 | code, keypad=Keypad.BITS_8), ReadError)


def test_an_8_bit_key_without_its_complement_is_a_parity_error() -> None:
    error = see(8, 0x55, keypad=Keypad.BITS_8)
    assert isinstance(error, ReadError)
    assert error.fault is ReadFault.PARITY_ERROR


def test_cards_still_read_beside_a_keypad() -> None:
    assert isinstance(see(26, 1, keypad=Keypad.BITS_4), CardRead)
    assert isinstance(see(4, 1, keypad=Keypad.BITS_8), ReadError)


def test_a_26_bit_entry_is_keys_under_its_facility_code_only() -> None:
    rules = {"keypad": Keypad.BITS_26, "keypad_facility": 200, "keypad_digits": 4}
    assert see(*card("H10301:200:42"), **rules) == KeyPress("yard-in", "0042#", 7.5)
    assert isinstance(see(*card("H10301:201:42"), **rules), CardRead)
    length, value = card("H10301:200:42")
    assert isinstance(see(length, value ^ 1, **rules), CardRead)
    assert isinstance(see(length, value ^ 1, formats=FORMATS.select(["H10301"]), **rules), ReadError)
