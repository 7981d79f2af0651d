"""One question and its answer: sequence numbers, the channel, and what is no answer."""

from __future__ import annotations

import pytest

from drivers.osdp.exchange import Exchange
from drivers.osdp.frame import Frame, FrameReader, encode
from drivers.osdp.messages import Cmd, NakCode, Reply
from drivers.osdp.secure import SecureChannel, SecureError, SessionKeys

POLL_CYCLE = [
    ("5300080004 60 ebaa", "53800a0004 48 0001 0fa1"),
    ("5300080005 60 da99", "5380080005 40 689f"),
    ("5300080006 60 89cc", "5380080006 40 3bca"),
    ("5300080007 60 b8ff", "5380080007 40 0af9"),
    ("5300080005 60 da99", "5380080005 40 689f"),
    ("5300080006 60 89cc", "5380080006 40 3bca"),
    ("5300080007 60 b8ff", "5380080007 40 0af9"),
    ("5300080005 60 da99", "5380080005 40 689f"),
]
"""A real panel and reader, without the marks (libosdp-conformance, 1-poll-cycle.osdpcap)."""


def frame_of(raw: bytes) -> Frame:
    (frame,) = FrameReader().feed(raw)
    assert isinstance(frame, Frame)
    return frame


def asked(code: int = Cmd.POLL, address: int = 0) -> Exchange:
    exchange = Exchange(address, crc=True)
    exchange.put(code, b"", b"", None, 100.0)
    return exchange


def test_a_recorded_poll_cycle_is_said_again_byte_for_byte() -> None:
    exchange = Exchange(0, crc=True)
    for command, reply in POLL_CYCLE:
        exchange.put(Cmd.POLL, b"", b"", None, 100.0)
        assert exchange.flight is not None
        assert exchange.flight.frame == bytes.fromhex(command)
        answer = frame_of(bytes.fromhex(reply))
        assert exchange.accepts(answer)
        assert exchange.open(answer, None) == answer.data
        exchange.done()


def test_a_new_session_begins_with_sequence_zero() -> None:
    exchange = asked()
    exchange.done()
    exchange.restart()
    assert exchange.flight is None
    exchange.put(Cmd.ID, b"\0", b"", None, 100.0)
    assert exchange.flight.sequence == 0  # type: ignore[attr-defined]  # put set it


@pytest.mark.parametrize(
    ("reply", "is_one"),
    [
        (encode(0, 0, Reply.ACK, reply=True), True),
        (encode(0, 0, Reply.ACK), False),
        (encode(1, 0, Reply.ACK, reply=True), False),
        (encode(0, 2, Reply.ACK, reply=True), False),
        (encode(0, 2, Reply.NAK, bytes([NakCode.SEQUENCE]), reply=True), True),
        (encode(0, 0, Reply.BUSY, reply=True), True),
        (encode(0, 2, Reply.BUSY, reply=True), True),
        (encode(0, 2, Reply.NAK, b"\4", reply=True, block=b"\x14\x01"), False),
    ],
)
def test_what_is_an_answer(reply: bytes, is_one: bool) -> None:
    assert asked().accepts(frame_of(reply)) is is_one


def test_nothing_is_an_answer_when_nothing_was_asked() -> None:
    exchange = Exchange(0, crc=True)
    assert not exchange.accepts(frame_of(encode(0, 0, Reply.ACK, reply=True)))


def channels() -> tuple[SecureChannel, SecureChannel]:
    keys = SessionKeys(bytes(range(16)), bytes(8))
    return SecureChannel(keys, bytes(16)), SecureChannel(keys, bytes(16))


def test_under_a_channel_only_its_answers_are_believed_and_a_refusal_in_clear() -> None:
    exchange = asked()
    exchange.done()
    exchange.channel, reader = channels()
    exchange.put(Cmd.POLL, b"", b"", None, 100.0)
    assert exchange.flight is not None
    reader.open(frame_of(exchange.flight.frame))
    sequence = exchange.flight.sequence
    with pytest.raises(SecureError):
        exchange.open(frame_of(encode(0, sequence, Reply.RAW, bytes(8), reply=True)), None)
    refusal = frame_of(encode(0, sequence, Reply.NAK, bytes([NakCode.SECURITY_NOT_MET]), reply=True))
    assert exchange.open(refusal, None) == bytes([NakCode.SECURITY_NOT_MET])
    honest = frame_of(reader.seal(0, sequence, Reply.RAW, b"card", reply=True))
    assert exchange.open(honest, None) == b"card"


def test_in_the_handshake_the_block_must_be_that_of_the_step() -> None:
    exchange = asked(Cmd.CHLNG)
    answer = frame_of(encode(0, 0, Reply.CCRYPT, bytes(32), reply=True, block=b"\x12\x01"))
    assert exchange.open(answer, 0x12) == bytes(32)
    for block in (None, 0x14):
        with pytest.raises(SecureError, match="not the security block"):
            exchange.open(answer, block)
