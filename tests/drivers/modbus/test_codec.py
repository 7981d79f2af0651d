"""Requests, replies and frames: the published examples, an independent decoder, and anything at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU

from drivers.modbus.codec import (
    Answer,
    Function,
    Request,
    RtuFraming,
    TcpFraming,
    decode_reply,
    encode_pdu,
    reply_length,
)
from tests.drivers.modbus.simboard import bits, crc

READS = st.builds(
    Request,
    unit=st.integers(1, 247),
    function=st.sampled_from([f for f in Function if f <= 4]),
    address=st.integers(0, 0xFF00),
    count=st.integers(1, 64),
)
WRITES = st.one_of(
    st.builds(
        Request,
        unit=st.integers(1, 247),
        function=st.sampled_from([Function.WRITE_COIL, Function.WRITE_REGISTER]),
        address=st.integers(0, 0xFF00),
        values=st.tuples(st.integers(0, 0xFFFF)),
    ),
    st.builds(
        Request,
        unit=st.integers(1, 247),
        function=st.just(Function.WRITE_REGISTERS),
        address=st.integers(0, 0xFF00),
        values=st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=16).map(tuple),
    ),
    st.builds(
        Request,
        unit=st.integers(1, 247),
        function=st.just(Function.WRITE_COILS),
        address=st.integers(0, 0xFF00),
        values=st.lists(st.integers(0, 1), min_size=1, max_size=64).map(tuple),
    ),
)
REQUESTS = READS | WRITES


def good_reply(request: Request) -> bytes:
    """A reply PDU made by hand, each bit or register different from its neighbour."""
    if request.function in (1, 2):
        data = bits([n % 2 == 0 for n in range(request.count)])
        return bytes([request.function, len(data)]) + data
    if request.function in (3, 4):
        data = b"".join((n * 257 % 65536).to_bytes(2, "big") for n in range(request.count))
        return bytes([request.function, len(data)]) + data
    return encode_pdu(request)[:5]


def rtu(request: Request, pdu: bytes) -> bytes:
    frame = bytes([request.unit]) + pdu
    return frame + crc(frame)


@pytest.mark.parametrize(
    ("request_", "frame"),
    [
        # The maker's example of the timed pulse: relay 1 on for 700 ms.
        (Request(1, Function.WRITE_COIL, 0x0200, values=(7,)), "01 05 02 00 00 07 8D B0"),
        (Request(1, Function.WRITE_COIL, 0, values=(0xFF00,)), "01 05 00 00 FF 00 8C 3A"),
        (Request(1, Function.READ_COILS, 0, 8), "01 01 00 00 00 08 3D CC"),
        (Request(255, Function.READ_DISCRETE_INPUTS, 0, 8), "FF 02 00 00 00 08 6C 12"),
        (Request(1, Function.WRITE_REGISTER, 0, values=(1,)), "01 06 00 00 00 01 48 0A"),
        # Modbus Application Protocol V1.1b3, 6.11: write multiple coils.
        (
            Request(1, Function.WRITE_COILS, 0x13, values=(1, 0, 1, 1, 0, 0, 1, 1, 1, 0)),
            "01 0F 00 13 00 0A 02 CD 01 72 CB",
        ),
    ],
)
def test_published_frames(request_: Request, frame: str) -> None:
    assert RtuFraming().encode(request_) == bytes.fromhex(frame)


@given(REQUESTS)
def test_a_server_understands_what_is_encoded(request_: Request) -> None:
    framing = RtuFraming()
    frame = framing.encode(request_)
    assert frame == rtu(request_, encode_pdu(request_))
    _, message = FramerRTU(DecodePDU(True)).handleFrame(frame, 0, 0)
    assert message is not None
    assert (message.dev_id, message.function_code, message.address) == (
        request_.unit,
        request_.function,
        request_.address,
    )
    tcp = TcpFraming().encode(request_)
    _, message = FramerSocket(DecodePDU(True)).handleFrame(tcp, 0, 0)
    assert message is not None
    assert (message.dev_id, message.transaction_id) == (request_.unit, 1)


@given(REQUESTS)
def test_the_reply_is_read_and_its_length_known(request_: Request) -> None:
    pdu = good_reply(request_)
    assert reply_length(request_) == len(pdu)
    answer = decode_reply(request_, pdu)
    assert answer is not None
    if request_.function in (1, 2):
        assert answer.values == tuple(int(n % 2 == 0) for n in range(request_.count))
    elif request_.function in (3, 4):
        assert answer.values == tuple(n * 257 % 65536 for n in range(request_.count))


@given(REQUESTS, st.integers(1, 255))
def test_an_exception_is_an_answer(request_: Request, code: int) -> None:
    pdu = bytes([request_.function | 0x80, code])
    assert decode_reply(request_, pdu) == Answer(exception=code)
    found = RtuFraming().extract(rtu(request_, pdu), request_)
    assert (found.used, found.answer) == (5, Answer(exception=code))


@given(REQUESTS, st.integers(0, 2))
def test_a_frame_is_found_whole_byte_by_byte_and_with_bytes_after_it(request_: Request, glitches: int) -> None:
    framing = RtuFraming()
    frame = b"\x00" * glitches + rtu(request_, good_reply(request_))
    for size in range(len(frame)):
        found = framing.extract(frame[:size], request_)
        assert (found.used, found.answer, found.lost) == (0, None, False)
    found = framing.extract(frame + b"\xaa", request_)
    assert found.used == len(frame)
    assert found.answer == decode_reply(request_, good_reply(request_))


@given(REQUESTS, st.data())
def test_one_damaged_stretch_is_never_believed(request_: Request, data: st.DataObject) -> None:
    """A CRC-16 detects every burst of up to 16 bits."""
    frame = bytearray(rtu(request_, good_reply(request_)))
    spot = data.draw(st.integers(0, len(frame) - 2))
    burst = data.draw(st.integers(1, 0xFFFF))
    frame[spot] ^= burst >> 8
    frame[spot + 1] ^= burst & 0xFF
    assert RtuFraming().extract(bytes(frame), request_).answer is None


@given(REQUESTS, REQUESTS)
def test_another_requests_reply_is_no_answer(mine: Request, other: Request) -> None:
    found = RtuFraming().extract(rtu(other, good_reply(other)), mine)
    if found.answer is not None:
        assert mine.unit == other.unit
        assert mine.function is other.function
        assert good_reply(mine) == good_reply(other)


@given(REQUESTS, st.binary(max_size=300))
def test_anything_at_all_raises_nothing_and_uses_no_more_than_came(request_: Request, data: bytes) -> None:
    for framing in (RtuFraming(), TcpFraming()):
        framing.encode(request_)
        found = framing.extract(data, request_)
        assert 0 <= found.used <= len(data)
    decode_reply(request_, data)


@given(REQUESTS)
def test_tcp_believes_only_the_newest_transaction(request_: Request) -> None:
    framing = TcpFraming()

    def reply(sent: bytes) -> bytes:
        pdu = good_reply(request_)
        return sent[:4] + (len(pdu) + 1).to_bytes(2, "big") + sent[6:7] + pdu

    late = reply(framing.encode(request_))
    newest = reply(framing.encode(request_))
    found = framing.extract(late + newest, request_)
    assert (found.used, found.answer) == (len(late), None)
    found = framing.extract(newest, request_)
    assert found.answer == decode_reply(request_, good_reply(request_))
    assert framing.extract(b"\x00\x01\x00\x01" + newest[4:], request_).lost
