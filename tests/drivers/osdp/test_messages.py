"""Data of commands and replies, against bytes that others publish: the tests of OSDP.Net, and one real keypad."""

from __future__ import annotations

import pytest

from drivers.events import Colour
from drivers.osdp import messages
from drivers.osdp.messages import Capability, Card, MessageError, OutputControl

KEYPAD_CAPABILITIES = "030101 040401 050201 060000 070000 080100 090101 0AC201 0E0000 0F0000 100100"
"""PDCAP of a keypad in the field (OSDP.Net, DeviceCapabilitiesTest)."""


@pytest.mark.parametrize(
    ("data", "published"),
    [
        (messages.comset(2, 9600), "0280250000"),
        (
            messages.keyset(bytes.fromhex("0F0E0D0C0B0A09080706050503020100")),
            "0110 0F0E0D0C0B0A09080706050503020100",
        ),
        (messages.buzz(1, 0.2), "0002020201"),
        (messages.STANDARD_REPORT, "00"),
    ],
)
def test_commands_are_as_published(data: bytes, published: str) -> None:
    assert data == bytes.fromhex(published)


def test_a_text_is_as_published() -> None:
    """OSDP.Net's example wraps (2), ours does not (1): the rest is the same."""
    published = bytes.fromhex("000200010118" + "2A" * 24)
    ours = messages.text("*" * 24)
    assert (ours[:1], ours[1], ours[2:]) == (published[:1], 1, published[2:])
    assert messages.text("x" * 40, 7.4) == bytes([0, 3, 7, 1, 1, 32]) + b"x" * 32
    assert messages.text("Grüße")[6:] == b"Gr??e", "only ASCII can be shown"


@pytest.mark.parametrize(
    ("seconds", "ticks"), [(0.0, 1), (0.04, 1), (0.1, 1), (5.0, 50), (1000.0, 10000), (9999.0, 65535)]
)
def test_a_pulse_lasts_what_can_be_said(seconds: float, ticks: int) -> None:
    data = messages.output(5, OutputControl.PULSE_ON, seconds)
    assert data == bytes([5, 5]) + ticks.to_bytes(2, "little")
    assert messages.output(5, OutputControl.OFF, seconds) == bytes([5, 1, 0, 0])


def test_a_light_for_a_time_leaves_the_resting_one_alone() -> None:
    """Layout of OSDP.Net's ReaderLedControlsTest: temporary mode, times, colours, timer; the same for good."""
    assert messages.led(Colour.BLUE, 0.4, blink=True) == bytes.fromhex("0000 02 0303 0400 0400 00 00000000")
    assert messages.led(Colour.AMBER, None, blink=False) == bytes.fromhex("0000 00 0000 0000 0000 01 0A00 0303")
    assert messages.led(Colour.OFF, None, blink=False)[-2:] == bytes(2)


# ------------------------------------------------------------------ replies


def test_an_identity_is_as_published() -> None:
    """Vendor and serial as OSDP.Net shows them: the OUI 5C-26-23, whose first octet is sent first (7.4)."""
    identity = messages.parse_identity(bytes.fromhex("5C2623 19 02 0000E92A 030000"))
    assert identity.unique == "vendor 5C2623 model 25 serial 2AE90000"
    assert str(identity) == "vendor 5C2623 model 25.2 serial 2AE90000 firmware 3.0.0"


def test_capabilities_of_a_keypad_in_the_field() -> None:
    found = messages.parse_capabilities(bytes.fromhex(KEYPAD_CAPABILITIES))
    assert found[Capability.LEDS] == (4, 1)
    assert found[Capability.BUZZER] == (2, 1)
    assert found[Capability.SECURITY] == (1, 1)
    assert Capability.CONTACTS not in found


def test_a_card_is_as_published() -> None:
    assert messages.parse_card(bytes.fromhex("0500100012AB")) == Card(5, 16, 0b0001001010101011)


@pytest.mark.parametrize(
    ("data", "card"),
    [
        ("00 00 1A00 B38F0F80", Card(0, 26, 0b10110011100011110000111110)),
        ("00 01 0100 80", Card(0, 1, 1)),
        ("00 00 0002" + "FF" * 64, Card(0, 512, 2**512 - 1)),
    ],
)
def test_cards_of_any_length(data: str, card: Card) -> None:
    assert messages.parse_card(bytes.fromhex(data)) == card
    assert "value" not in repr(card)


@pytest.mark.parametrize(
    "data", ["", "000000", "00000000", "00001A00B38F0F", "00001A00B38F0F8000", "00000102" + "FF" * 65]
)
def test_a_card_that_does_not_agree_with_itself_is_refused(data: str) -> None:
    with pytest.raises(MessageError, match="RAW"):
        messages.parse_card(bytes.fromhex(data))


def test_keys() -> None:
    assert messages.parse_keys(b"\x01\x05" + b"190" + b"\x7f\x0d") == (1, "190*#")
    for wrong in (b"", b"\0", b"\0\2" + b"1", b"\0\1A", b"\0\1\x00"):
        with pytest.raises(MessageError, match="KEYPAD"):
            messages.parse_keys(wrong)


def test_where_a_reader_moved() -> None:
    assert messages.parse_com(bytes.fromhex("0100C20100")) == (1, 115200)
    with pytest.raises(MessageError, match="COM"):
        messages.parse_com(bytes(4))


@pytest.mark.parametrize(
    "parse", [messages.parse_identity, messages.parse_capabilities, messages.parse_local_status]
)
def test_a_wrong_length_is_said(parse: object) -> None:
    with pytest.raises(MessageError, match="4 bytes"):
        parse(bytes(4))  # type: ignore[operator]  # one of three functions
