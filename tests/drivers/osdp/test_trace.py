"""The decoder: the frames that ``FrameReader`` finds, in words, whatever a wire brings, and no secret in them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import recording as form
from drivers.events import Colour
from drivers.osdp import messages
from drivers.osdp.frame import MAX_FRAME, Frame, FrameReader, encode
from drivers.osdp.messages import Cmd, OutputControl, Reply
from drivers.osdp.trace import Passed, Tracer, decoded, is_secret, words
from drivers.recording import Kind, Line

RECORDINGS = Path(__file__).parents[2] / "recordings"
CARD = 0b10110011100011110000111110
PIECES = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.builds(
            lambda code, data, reply, crc: encode(1, 2, code, data, reply=reply, crc=crc),
            st.integers(0, 255),
            st.binary(max_size=30),
            st.booleans(),
            st.booleans(),
        ),
        st.sampled_from([b"\x53", b"\x53\x80\x40\x00\x04", b"\xff", b"\x53\x00\xff\xff\x04"]),
    ),
    max_size=8,
)


def raw_card(value: int, length: int = 26) -> bytes:
    packed = (value << (-length % 8)).to_bytes((length + 7) // 8, "big")
    return bytes([0, 1]) + length.to_bytes(2, "little") + packed


def heard(raw: bytes, *, sent: bool = False) -> list[Passed]:
    tracer = Tracer()
    return [*(tracer.sent(raw, 1.0) if sent else tracer.received(raw, 1.0)), *tracer.end()]


def said(raw: bytes, *, sent: bool = False) -> list[str]:
    return [words(each) for each in heard(raw, sent=sent)]


def reply(code: int, data: bytes = b"", block: bytes = b"") -> bytes:
    return encode(
        5, 2, code, data, reply=True, block=block, mac=(lambda _: b"abcd") if block[:1] > b"\x14" else None
    )


# ------------------------------------------------------------------ in words


@pytest.mark.parametrize(
    ("code", "data", "expected"),
    [
        (Cmd.POLL, b"", "POLL"),
        (Cmd.ID, b"\x00", "ID"),
        (Cmd.OUT, messages.output(1, OutputControl.PULSE_ON, 5.0), "OUT output 1 pulse on 5.0 s"),
        (Cmd.OUT, messages.output(0, OutputControl.OFF), "OUT output 0 off"),
        (Cmd.LED, messages.led(Colour.GREEN, 2.0, blink=False), "LED LED 0 green/green for 2.0 s"),
        (Cmd.LED, messages.led(Colour.RED, None, blink=True), "LED LED 0 red/off for good"),
        (Cmd.BUZ, messages.buzz(2, 0.2), "BUZ default tone, 2 times 0.2 s on 0.2 s off"),
        (Cmd.COMSET, messages.comset(7, 38400), "COMSET address 7 at 38400 baud"),
        (Cmd.TEXT, messages.text("Ada Lovelace"), "TEXT 18 bytes not shown"),
        (Cmd.KEYSET, messages.keyset(bytes(16)), "KEYSET 18 bytes not shown"),
        (0x80, b"\x01", "MFG 1 bytes not shown"),
        (0x12, b"", "unknown code 0x12"),
        (Cmd.POLL, b"\x01\x02", "POLL 2 bytes not shown"),
    ],
)
def test_a_command_in_words(code: int, data: bytes, expected: str) -> None:
    assert said(encode(5, 2, code, data), sent=True) == [f"-> 5 seq 2 {expected}"]


@pytest.mark.parametrize(
    ("code", "data", "expected"),
    [
        (Reply.ACK, b"", "ACK"),
        (Reply.NAK, b"\x04", "NAK sequence"),
        (Reply.NAK, b"\x63", "NAK error 99"),
        (Reply.NAK, b"\x04\x05", "NAK 2 bytes not shown"),
        (Reply.PDCAP, bytes([1, 1, 2, 16, 2, 0]), "PDCAP contacts 1/2, function 16 2/0"),
        (Reply.PDCAP, b"\x01", "PDCAP 1 bytes not shown"),
        (Reply.LSTATR, b"\x01\x00", "LSTATR case open, power good"),
        (Reply.ISTATR, b"\x00\x01", "ISTATR 0=0 1=1"),
        (Reply.ISTATR, b"\x00\x77", "ISTATR 2 bytes not shown"),
        (Reply.COM, messages.comset(7, 9600), "COM address 7 at 9600 baud"),
        (Reply.RAW, raw_card(CARD), "RAW 8 bytes not shown"),
        (Reply.KEYPAD, b"\x00\x041234", "KEYPAD 6 bytes not shown"),
        (Reply.FMT, b"\x00\x00\x0412345678", "FMT 11 bytes not shown"),
    ],
)
def test_a_reply_in_words(code: int, data: bytes, expected: str) -> None:
    assert said(reply(code, data)) == [f"<- 5 seq 2 {expected}"]


@pytest.mark.parametrize(
    ("code", "data", "block", "expected"),
    [
        (Reply.CCRYPT, bytes(32), b"\x12\x00", "CCRYPT 32 bytes not shown [SCS_12, default key]"),
        (Reply.RMAC_I, bytes(16), b"\x14\x01", "RMAC_I 16 bytes not shown [SCS_14]"),
        (Reply.ACK, b"", b"\x16", "ACK [SCS_16]"),
        (Reply.RAW, bytes(16), b"\x18", "RAW 16 bytes encrypted [SCS_18]"),
        (Reply.RAW, raw_card(CARD), b"\x16", "RAW 8 bytes not shown [SCS_16]"),
        (Reply.LSTATR, bytes(2), b"\x18", "LSTATR 2 bytes encrypted [SCS_18]"),
    ],
)
def test_what_the_secure_channel_carries(code: int, data: bytes, block: bytes, expected: str) -> None:
    assert said(reply(code, data, block)) == [f"<- 5 seq 2 {expected}"]


def test_who_should_not_speak_like_that_is_named() -> None:
    assert said(encode(5, 2, Cmd.POLL)) == ["<- 5 seq 2 POLL (a command that came: an echo?)"]
    assert said(reply(Reply.ACK), sent=True) == ["-> 5 seq 2 ACK (a reply that latchd sent)"]


# ------------------------------------------------------------------ from bytes to frames


def test_damage_noise_and_what_does_not_end_are_told_by_their_length() -> None:
    good = reply(Reply.RAW, raw_card(CARD))
    damaged = good[:-1] + bytes([good[-1] ^ 1])
    assert said(damaged + reply(Reply.ACK)) == [
        f"<- noise, {len(good)} bytes: check characters do not fit",
        "<- 5 seq 2 ACK",
    ]
    assert said(b"\x00\x80\xff") == ["<- noise, 3 bytes: no start of a frame"]
    assert said(b"\x53\x80\xff\xff\x04") == ["<- noise, 5 bytes: a length of 65535 is impossible"]
    assert said(good[:-3]) == [f"<- noise, {len(good) - 3} bytes: a frame that did not end"]
    assert said(b"\xff" + reply(Reply.ACK)) == ["<- 5 seq 2 ACK"], "the mark belongs to the frame"


def test_a_frame_has_the_time_of_its_first_byte() -> None:
    tracer, raw = Tracer(), reply(Reply.ACK)
    assert tracer.received(b"\x00" + raw[:2], 7.0) == []
    noise, frame = tracer.received(raw[2:], 8.0)
    assert (noise.at, noise.raw, frame.at, frame.raw) == (7.0, b"\x00", 7.0, raw)


def test_who_speaks_ends_what_the_other_had_begun() -> None:
    tracer, ack, poll = Tracer(), reply(Reply.ACK), encode(5, 3, Cmd.POLL)
    tracer.received(ack[:4], 1.0)
    cut, sent = tracer.sent(poll, 2.0)
    assert (cut.at, cut.sent, cut.raw, sent.raw) == (1.0, False, ack[:4], poll)
    (late,) = tracer.received(ack, 3.0)
    assert late.frame is not None


def test_a_frame_behind_a_false_start_is_found_when_the_bus_turns() -> None:
    assert said(b"\x53\x80\x40\x00\x04" + reply(Reply.ACK)) == [
        "<- noise, 5 bytes: a frame that did not end",
        "<- 5 seq 2 ACK",
    ]


@given(PIECES, st.integers(1, 50))
def test_the_frames_are_those_that_the_driver_finds(pieces: list[bytes], step: int) -> None:
    stream = b"".join(pieces)
    chunks = [stream[at : at + step] for at in range(0, len(stream), step)]
    reader, tracer = FrameReader(), Tracer()
    ours = [each for n, chunk in enumerate(chunks) for each in tracer.received(chunk, float(n))]
    theirs = [each for chunk in chunks for each in reader.feed(chunk) if isinstance(each, Frame)]
    assert [each.frame for each in ours if each.frame is not None] == theirs


@given(PIECES, st.integers(1, 50))
def test_no_byte_is_lost_but_the_marks(pieces: list[bytes], step: int) -> None:
    stream = b"".join(pieces)
    tracer = Tracer()
    found = [
        each for at in range(0, len(stream), step) for each in tracer.received(stream[at : at + step], float(at))
    ]
    found += tracer.end()
    assert b"".join(each.raw for each in found).replace(b"\xff", b"") == stream.replace(b"\xff", b"")
    assert all(words(each).isprintable() for each in found)
    assert [each.at for each in found] == sorted(each.at for each in found)


def test_noise_without_end_needs_no_memory() -> None:
    tracer = Tracer()
    found = tracer.received(b"\x53\x00\x01\x00\x04" * MAX_FRAME, 1.0)
    assert len(found) >= 5
    assert max(len(each.raw) for each in found) <= MAX_FRAME + 4


# ------------------------------------------------------------------ no secret


@given(
    st.integers(1 << 25, (1 << 26) - 1),
    st.sampled_from([b"", b"\x16"]),
    st.integers(-1, 200),
    st.lists(st.integers(1, 30), max_size=4),
)
def test_the_words_never_hold_a_card(value: int, block: bytes, flipped: int, cuts: list[int]) -> None:
    """Whole, cut, or with one bit wrong: a line is one of a few forms, into which no card fits."""
    raw = bytearray(reply(Reply.RAW, raw_card(value), block))
    if 0 <= flipped < 8 * len(raw):
        raw[flipped // 8] ^= 1 << flipped % 8
    tracer, found = Tracer(), list[Passed]()
    rest = bytes(raw)
    for cut in cuts:
        found += tracer.received(rest[:cut], 1.0)
        rest = rest[cut:]
    found += [*tracer.received(rest, 1.0), *tracer.end()]
    assert all(is_secret(each) for each in found)
    text = "\n".join([*map(words, found), *map(repr, found)])
    packed = raw_card(value)[4:].hex()
    assert not any(secret in text for secret in (str(value), f"{value:b}", f"{value:x}", f"{value:X}", packed))
    assert all("raw" not in repr(each) for each in found)


@pytest.mark.parametrize("name", ["osdp-clear", "osdp-secure"])
def test_a_recording_is_decoded_to_its_end_without_its_card(name: str) -> None:
    recording = form.parse([(RECORDINGS / f"{name}.rec").read_text()])
    found = list(decoded(recording))
    text = "\n".join(said for _, said in found)
    assert found[0] == (recording.lines[0].at, "the port was opened")
    assert sum("PDID" in said for _, said in found) >= 1
    assert text.count(" RAW ") >= 2
    assert "case closed, power good" in text if name == "osdp-clear" else "[SCS_17]" in text
    assert not any(secret in text for secret in (f"{CARD:b}", str(CARD), (CARD << 6).to_bytes(4, "big").hex()))


def test_what_is_left_out_and_what_is_missing_is_told() -> None:
    lines = (
        Line(1.0, Kind.OPEN),
        Line(2.0, Kind.HIDDEN, "tx 20"),
        Line(3.0, Kind.HIDDEN, "rx many"),
        Line(4.0, Kind.GAP, "3"),
        Line(5.0, Kind.EVENT, "card lobby 26 bits 10110011100011110000111110"),
        Line(6.0, Kind.STOP),
        Line(7.0, Kind.CLOSE),
    )
    assert list(decoded(form.Recording("osdp", "null", {}, lines))) == [
        (1.0, "the port was opened"),
        (2.0, "-> 20 bytes under the default key, not recorded"),
        (3.0, "<- some bytes under the default key, not recorded"),
        (4.0, "3 lines of the recording are missing"),
        (6.0, "latchd ends"),
        (7.0, "the port was closed"),
    ]
