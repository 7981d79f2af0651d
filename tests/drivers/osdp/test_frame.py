"""Frames: published vectors whole, byte by byte and with bytes around them; and whatever else a wire may bring."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.osdp.frame import MAX_FRAME, Damage, Frame, FrameError, FrameReader, checksum, crc16, encode

# SIA OSDP Annex E; the captures of libosdp-conformance; the message tests of OSDP.Net.
VECTORS = {
    "annex E, COMSET, CRC": ("53 7F 0D 00 04 6E 00 80 25 00 00 6E 38", 0x7F, False, 0, 0x6E, "0080250000"),
    "annex E, ID, CRC": ("53 00 09 00 04 61 00 C0 66", 0, False, 0, 0x61, "00"),
    "annex E, COMSET, checksum": ("53 7F 0C 00 00 6E 00 80 25 00 00 0F", 0x7F, False, 0, 0x6E, "0080250000"),
    "annex E, ID, checksum": ("53 00 08 00 00 61 00 44", 0, False, 0, 0x61, "00"),
    "capture, POLL": ("53 00 08 00 04 60 eb aa", 0, False, 0, 0x60, ""),
    "capture, LSTATR with power failure": ("53 80 0a 00 04 48 00 01 0f a1", 0, True, 0, 0x48, "0001"),
    "capture, ACK": ("53 80 08 00 05 40 68 9f", 0, True, 1, 0x40, ""),
    "OSDP.Net, BUZ": ("53 00 0D 00 06 6A 00 02 02 02 01 59 92", 0, False, 2, 0x6A, "0002020201"),
    "OSDP.Net, PDID": (
        "53 80 14 00 06 45 00 0E E3 10 10 00 00 74 97 23 06 06 1B 88",
        0,
        True,
        2,
        0x45,
        "000EE3101000007497230606",
    ),
    "libosdp, NAK": ("53 e5 09 00 05 41 01 0e 8f", 0x65, True, 1, 0x41, "01"),
    "libosdp, ACK, checksum": ("53 e5 07 00 01 40 80", 0x65, True, 1, 0x40, ""),
}


@pytest.fixture(params=VECTORS.values(), ids=VECTORS.keys())
def vector(request: pytest.FixtureRequest) -> tuple[bytes, Frame]:
    raw, address, reply, sequence, code, data = request.param
    frame = bytes.fromhex(raw)
    crc = bool(frame[4] & 4)
    return frame, Frame(address, reply, sequence, code, bytes.fromhex(data), crc)


def test_a_vector_whole(vector: tuple[bytes, Frame]) -> None:
    raw, frame = vector
    assert FrameReader().feed(raw) == [frame]


def test_a_vector_byte_by_byte(vector: tuple[bytes, Frame]) -> None:
    raw, frame = vector
    reader = FrameReader()
    assert [found for byte in raw for found in reader.feed(bytes([byte]))] == [frame]
    assert reader.pending == 0


@pytest.mark.parametrize("noise", [b"\xff", b"\x00\x80", b"\x53\x00", b"\x53\x00\xff\xff\x04"])
def test_a_vector_among_other_bytes(vector: tuple[bytes, Frame], noise: bytes) -> None:
    raw, frame = vector
    reader = FrameReader()
    # Noise may look like the start of a longer frame, which is only over when as many bytes have passed.
    assert reader.feed(noise + raw + noise + raw + bytes(MAX_FRAME)).count(frame) == 2


def test_a_vector_is_built_again(vector: tuple[bytes, Frame]) -> None:
    raw, frame = vector
    built = encode(frame.address, frame.sequence, frame.code, frame.data, reply=frame.reply, crc=frame.crc)
    assert built == raw


def test_check_characters() -> None:
    assert crc16(bytes.fromhex("53000900046100")) == 0x66C0
    assert checksum(bytes.fromhex("5300080000 6100")) == 0x44


def test_a_security_block_and_mac_are_taken_apart() -> None:
    raw = encode(3, 2, 0x60, b"\x01\x02", block=b"\x17", mac=lambda message: bytes(range(16)))
    (frame,) = FrameReader().feed(raw)
    assert isinstance(frame, Frame)
    assert (frame.block, frame.mac, frame.data) == (b"\x17", bytes(range(4)), b"\x01\x02")
    assert frame.signed == raw[:-6]


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (bytes([0x53, 0, 9, 0, 0x08, 9, 0x60, 0]), "impossible length"),
        (bytes([0x53, 0, 9, 0, 0x08, 2, 0x15, 0x60]), "no room"),
    ],
)
def test_an_impossible_structure_is_damage(raw: bytes, why: str) -> None:
    whole = raw + bytes([checksum(raw)])
    (found,) = (each for each in FrameReader().feed(whole) if isinstance(each, Damage))
    assert why in found.why


def test_a_frame_that_cannot_be_is_refused() -> None:
    for arguments in ((0x80, 0, 0x60), (0, 4, 0x60), (0, 0, 0x60, bytes(MAX_FRAME))):
        with pytest.raises(FrameError):
            encode(*arguments)  # type: ignore[arg-type]  # the tuples differ in length on purpose


def test_a_frame_shows_no_card_number() -> None:
    assert "c0ffee" not in repr(Frame(0, True, 1, 0x50, bytes.fromhex("c0ffee")))


frames = st.builds(
    encode,
    st.integers(0, 0x7F),
    st.integers(0, 3),
    st.integers(0, 0xFF),
    st.binary(max_size=40),
    reply=st.booleans(),
    crc=st.booleans(),
    block=st.sampled_from([b"", b"\x11\x01", b"\x12\x00", b"\x14\x01"]),
)


@given(st.lists(frames, max_size=5), st.data())
@settings(max_examples=60, deadline=None)
def test_frames_come_out_as_they_went_in_however_they_are_cut(wire: list[bytes], data: st.DataObject) -> None:
    stream, whole, pieces = b"".join(wire), FrameReader(), FrameReader()
    expected = whole.feed(stream)
    assert len(expected) == len(wire)
    found: list[Frame | Damage] = []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        found += pieces.feed(stream[:cut])
        stream = stream[cut:]
    assert found == expected


@given(st.lists(st.one_of(st.binary(max_size=64), frames, st.just(b"\x53" * 30)), max_size=30))
@settings(max_examples=100, deadline=None)
def test_no_bytes_raise_or_fill_the_memory(wire: list[bytes]) -> None:
    reader = FrameReader()
    for data in wire:
        for found in reader.feed(data):
            assert isinstance(found, Frame | Damage)
        assert reader.pending < MAX_FRAME


@given(frames, st.integers(0), st.integers(0, 7))
@settings(max_examples=100, deadline=None)
def test_a_flipped_bit_is_never_another_frame(frame: bytes, at: int, bit: int) -> None:
    """One inverted bit: CRC and checksum both see it, unless it makes the reader look for the check elsewhere."""
    damaged = bytearray(frame)
    damaged[at % len(frame)] ^= 1 << bit
    intact = FrameReader().feed(frame)
    found = [each for each in FrameReader().feed(bytes(damaged)) if isinstance(each, Frame)]
    assert found != intact
    # The length says where the check stands, the control byte which one: there another byte may fit by chance.
    if at % len(frame) not in (2, 3, 4):
        assert found == []
