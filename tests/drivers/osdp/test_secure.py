"""The secure channel against Annex E of the standard and the message tests of OSDP.Net, and against itself."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.osdp.frame import Frame, FrameReader
from drivers.osdp.secure import SCBK_D, Challenge, SecureChannel, SecureError, SessionKeys, _Aes

PANEL_RANDOM = bytes(range(0xB0, 0xB8))
READER_RANDOM = bytes(range(0xA0, 0xA8))
PANEL_CRYPTOGRAM = bytes.fromhex("26D3356E07762D262801FC8E6665A891")
READER_CRYPTOGRAM = bytes.fromhex("FDE5D2F428EC16312471EA3C02BD7796")


def test_annex_e() -> None:
    keys = SessionKeys(SCBK_D, PANEL_RANDOM)
    assert keys.panel_cryptogram(PANEL_RANDOM, READER_RANDOM) == PANEL_CRYPTOGRAM
    assert keys.reader_cryptogram(PANEL_RANDOM, READER_RANDOM) == READER_CRYPTOGRAM
    assert keys.first_mac(PANEL_CRYPTOGRAM) == bytes.fromhex("B2A30057EB98BA2229EC1F875662B524")


def test_annex_e_session_keys() -> None:
    """The three keys themselves, seen by what they make of one block."""
    keys = SessionKeys(SCBK_D, PANEL_RANDOM)
    for key, value in (
        (keys.mac1, "5E86C676603BDEE2D8BEAFE178637332"),
        (keys.mac2, "6FDA86E857777E81132035758239172E"),
        (keys.enc, "BF8DC2A8329ACB8C67C6D0CD9A451682"),
    ):
        assert key.encrypt(bytes(16)) == _Aes(bytes.fromhex(value)).encrypt(bytes(16))


def all_zero() -> SecureChannel:
    """The session of OSDP.Net's message tests: every key and the last MAC are zero."""
    keys = SessionKeys(bytes(16), bytes(8))
    keys.enc = keys.mac1 = keys.mac2 = _Aes(bytes(16))
    return SecureChannel(keys, bytes(16))


@pytest.mark.parametrize(
    ("code", "data", "frame"),
    [
        (0x60, "", "53000E000E0215604B32767773B6"),
        (0x66, "", "53000E000E02156662DE0516124B"),
        (0x6E, "0180250000", "53001E000E02176EACA3C2FFE4D9E599CD771B8EF3D13F23FAAB634E0895"),
        (0x62, "00", "53001E000E021762D14EB7AD982CC5F9AA25318A7EAED6260F6A2AA73870"),
        (
            0x75,
            "011000010203040506070001020304050607",
            "53002E000E021775F0DDEC9A0ED8CE4C80BAF5D55C18436F9189FD66C9F223DC041486D83357DF986C1D4BC2B2F2",
        ),
    ],
)
def test_sealed_frames(code: int, data: str, frame: str) -> None:
    sealed = bytes.fromhex(frame)
    assert all_zero().seal(0, 2, code, bytes.fromhex(data)) == sealed
    (found,) = FrameReader().feed(sealed)
    assert isinstance(found, Frame)
    assert all_zero().open(found) == bytes.fromhex(data)


def test_a_reader_is_proved_by_its_key_only() -> None:
    answer = bytes(8) + READER_RANDOM + READER_CRYPTOGRAM
    assert Challenge(SCBK_D, PANEL_RANDOM).proved_by(answer)
    assert not Challenge(bytes(16), PANEL_RANDOM).proved_by(answer)
    assert not Challenge(SCBK_D, READER_RANDOM).proved_by(answer)
    assert not Challenge(SCBK_D, PANEL_RANDOM).proved_by(answer[:-1])
    assert Challenge(SCBK_D, PANEL_RANDOM).block == b"\0"
    assert Challenge(bytes(16), PANEL_RANDOM).block == b"\1"
    assert SCBK_D.hex() not in repr(Challenge(SCBK_D, PANEL_RANDOM))


def pair() -> tuple[SecureChannel, SecureChannel]:
    keys = SessionKeys(bytes(range(16)), PANEL_RANDOM)
    first = keys.first_mac(PANEL_CRYPTOGRAM)
    return SecureChannel(keys, first), SecureChannel(keys, first)


def frame_of(raw: bytes) -> Frame:
    (frame,) = FrameReader().feed(raw)
    assert isinstance(frame, Frame)
    return frame


messages = st.lists(st.tuples(st.binary(max_size=50), st.binary(max_size=50)), max_size=8)


@given(messages, st.booleans())
@settings(max_examples=40, deadline=None)
def test_what_one_end_seals_the_other_opens(talk: list[tuple[bytes, bytes]], crc: bool) -> None:
    panel, reader = pair()
    for command, reply in talk:
        assert reader.open(frame_of(panel.seal(5, 1, 0x60, command, crc=crc))) == command
        assert panel.open(frame_of(reader.seal(5, 1, 0x40, reply, reply=True, crc=crc))) == reply


@given(st.binary(max_size=40), st.integers(0), st.integers(0, 7))
@settings(max_examples=60, deadline=None)
def test_a_forged_frame_is_refused_and_changes_nothing(data: bytes, at: int, bit: int) -> None:
    panel, reader = pair()
    honest = frame_of(panel.seal(5, 1, 0x60, data))
    signed = bytearray(honest.signed)
    signed[at % len(signed)] ^= 1 << bit
    forged = Frame(5, False, 1, 0x60, honest.data, block=honest.block, mac=honest.mac, signed=bytes(signed))
    with pytest.raises(SecureError):
        reader.open(forged)
    assert reader.open(honest) == data


def test_replayed_turned_round_and_bare_frames_are_refused() -> None:
    panel, reader = pair()
    command = frame_of(panel.seal(5, 1, 0x60))
    reader.open(command)
    answer = frame_of(reader.seal(5, 1, 0x40, reply=True))
    panel.open(answer)
    panel.seal(5, 2, 0x60)
    with pytest.raises(SecureError, match="does not fit"):
        panel.open(answer)
    with pytest.raises(SecureError, match="without a MAC"):
        panel.open(Frame(5, True, 1, 0x40))
    with pytest.raises(SecureError, match="without a MAC"):
        panel.open(Frame(5, True, 1, 0x40, block=b"\x15", mac=bytes(4)))


def test_encrypted_data_must_be_whole_and_ended() -> None:
    panel, _ = pair()
    with pytest.raises(SecureError, match="whole blocks"):
        panel._decrypt(bytes(16), bytes(15))
    with pytest.raises(SecureError, match="end mark"):
        panel._decrypt(bytes(16), bytes(16))


def test_keys_of_a_wrong_length_are_refused() -> None:
    for key, number in ((bytes(15), bytes(8)), (bytes(16), bytes(7))):
        with pytest.raises(ValueError, match="16 bytes"):
            SessionKeys(key, number)
