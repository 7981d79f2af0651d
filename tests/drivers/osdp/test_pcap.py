"""The file for Wireshark, read by the definition of pcapng; and what stands in it only when it may."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import recording as form
from drivers.osdp import messages
from drivers.osdp.frame import Frame, FrameReader, encode
from drivers.osdp.messages import Cmd, Reply
from drivers.osdp.pcap import BLANKED, LINK_TYPE, capture, packets
from drivers.osdp.trace import Passed, Tracer
from tests.drivers.osdp.test_trace import CARD, PIECES, RECORDINGS, heard, raw_card, reply


@dataclass(frozen=True)
class Packet:
    at: float
    raw: bytes
    comment: str
    outbound: bool


def options(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while True:
        code, length = struct.unpack_from("<HH", data)
        if code == 0:
            assert length == 0
            assert len(data) == 4, "nothing stands behind the end of the options"
            return found
        found[code] = data[4 : 4 + length]
        data = data[4 + length + (-length % 4) :]


def blocks(data: bytes) -> list[tuple[int, bytes]]:
    found = []
    while data:
        kind, length = struct.unpack_from("<II", data)
        assert length % 4 == 0
        assert struct.unpack_from("<I", data, length - 4) == (length,), "the length stands at both ends"
        found.append((kind, data[8 : length - 4]))
        data = data[length:]
    return found


def read(data: bytes) -> tuple[str, list[Packet]]:
    """The comment of the section, and the packets; asserts what Wireshark needs."""
    (section_kind, section), (interface_kind, interface), *rest = blocks(data)
    assert (section_kind, interface_kind) == (0x0A0D0D0A, 1)
    assert struct.unpack_from("<IHHq", section) == (0x1A2B3C4D, 1, 0, -1)
    link_type, _, snap_length = struct.unpack_from("<HHI", interface)
    assert (link_type, snap_length, options(interface[8:])[9]) == (162, 0, b"\x06")
    return options(section[16:])[1].decode(), [packet(kind, body) for kind, body in rest]


def packet(kind: int, body: bytes) -> Packet:
    interface, high, low, captured, original = struct.unpack_from("<IIIII", body)
    assert (kind, interface, captured) == (6, 0, original)
    more = options(body[20 + captured + (-captured % 4) :])
    (flags,) = struct.unpack("<I", more[2])
    assert flags in (1, 2)
    return Packet(((high << 32) + low) / 1e6, body[20 : 20 + captured], more[1].decode(), flags == 2)


def written(passed: list[Passed], *, cleartext: bool = False) -> list[Packet]:
    return read(b"".join(packets(passed, cleartext=cleartext)))[1]


SECRETS = {
    "RAW": reply(Reply.RAW, raw_card(CARD)),
    "RAW, MAC only": reply(Reply.RAW, raw_card(CARD), b"\x16"),
    "RAW, checksum": encode(5, 2, Reply.RAW, raw_card(CARD), reply=True, crc=False),
    "RAW, ciphertext": reply(Reply.RAW, b"0123456789abcdef", b"\x18"),
    "FMT": reply(Reply.FMT, b"\x00\x00\x0812345678"),
    "KEYPAD": reply(Reply.KEYPAD, b"\x00\x041234"),
    "KEYSET": encode(5, 2, Cmd.KEYSET, messages.keyset(bytes(range(1, 17)))),
    "a long security block": reply(Reply.ACK, b"", b"\x16a card"),
}


@pytest.mark.parametrize("raw", SECRETS.values(), ids=SECRETS.keys())
def test_a_secret_is_blanked_and_the_packet_says_so(raw: bytes) -> None:
    (found,) = written(heard(raw))
    assert len(found.raw) == len(raw)
    assert found.comment.endswith(f"; {BLANKED}")
    (was,), (now,) = FrameReader().feed(raw), FrameReader().feed(found.raw)
    assert isinstance(was, Frame)
    assert isinstance(now, Frame), "it is a frame still, with check characters that fit"
    assert now.data.strip(b"\0") == now.block[2:].strip(b"\0") == now.mac.strip(b"\0") == b""
    assert (now.address, now.sequence, now.code, len(now.data)) == (
        was.address,
        was.sequence,
        was.code,
        len(was.data),
    )
    (clear,) = written(heard(raw), cleartext=True)
    assert clear.raw == raw
    assert BLANKED not in clear.comment


def test_two_cards_leave_the_same_bytes() -> None:
    """So neither the data nor the check characters tell which it was."""
    one, other = (written(heard(reply(Reply.RAW, raw_card(value))))[0].raw for value in (CARD, CARD ^ 0x155555))
    assert one == other


def test_what_is_no_secret_stands_as_it_passed() -> None:
    tracer, poll, ack = Tracer(), encode(5, 2, Cmd.POLL), reply(Reply.ACK)
    found = written([*tracer.sent(poll, 90_000.25), *tracer.received(ack, 90_000.5)])
    assert found == [
        Packet(90_000.25, poll, "-> 5 seq 2 POLL", outbound=True),
        Packet(90_000.5, ack, "<- 5 seq 2 ACK", outbound=False),
    ]


def test_noise_is_zeros_because_it_may_be_a_damaged_card() -> None:
    raw = reply(Reply.RAW, raw_card(CARD))[:-1]
    (found,) = written(heard(raw))
    assert found.raw == bytes(len(raw))
    assert written(heard(raw), cleartext=True)[0].raw == raw


@pytest.mark.parametrize("cleartext", [False, True])
def test_a_recording_as_a_file(cleartext: bool) -> None:
    recording = form.parse([Path(RECORDINGS / "osdp-clear.rec").read_text()])
    data = b"".join(capture(recording, cleartext=cleartext))
    comment, found = read(data)
    assert ("may stand in this file" in comment) is cleartext
    assert (BLANKED in comment) is not cleartext
    assert (raw_card(CARD)[4:] in data) is cleartext
    assert len(found) > 50
    assert any(each.outbound for each in found)
    assert LINK_TYPE == 162


@given(PIECES, st.integers(1, 50), st.booleans(), st.floats(0, 1e9))
def test_any_bytes_make_a_file_that_can_be_read(
    pieces: list[bytes], step: int, cleartext: bool, start: float
) -> None:
    stream, tracer = b"".join(pieces), Tracer()
    passed = [
        each for at in range(0, len(stream), step) for each in tracer.received(stream[at : at + step], start)
    ]
    passed += tracer.end()
    found = written(passed, cleartext=cleartext)
    assert [len(each.raw) for each in found] == [len(each.raw) for each in passed]
    assert all(abs(each.at - start) < 1e-5 for each in found)
    if cleartext:
        assert [each.raw for each in found] == [each.raw for each in passed]
