"""The line: no answer is ever believed that belongs to another request, however late devices are."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.modbus.codec import Function, Request, RtuFraming, TcpFraming
from drivers.modbus.transactions import Done, Fault, Line, Timing
from tests.drivers.modbus.simboard import CHAR, crc

TIMING = Timing(char_time=CHAR, reply_timeout=0.15, slowest_reply=60.0, gap=0.004)
READS = (Function.READ_DISCRETE_INPUTS, Function.READ_COILS, Function.READ_HOLDING_REGISTERS)


def read(function: Function, unit: int = 1) -> Request:
    """A read whose reply has room for a number of 16 bits."""
    return Request(unit, function, 0, 1 if function is Function.READ_HOLDING_REGISTERS else 16)


def reply(request: Request, number: int) -> bytes:
    """A good reply that carries the number."""
    order = "big" if request.function is Function.READ_HOLDING_REGISTERS else "little"
    frame = bytes([request.unit, request.function, 2]) + number.to_bytes(2, order)  # type: ignore[arg-type]
    return frame + crc(frame)


def number_in(done: Done) -> int:
    assert done.answer is not None
    values = done.answer.values
    return values[0] if len(values) == 1 else sum(bit << n for n, bit in enumerate(values))


def line(*, echo: bool = False, timing: Timing = TIMING) -> Line:
    return Line(RtuFraming(), timing, echo=echo)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    longest=st.sampled_from([0.05, 0.2, 0.5, 2.0]),
    loss=st.sampled_from([0.0, 0.1, 0.4]),
    noise=st.sampled_from([0.0, 0.2]),
)
def test_an_answer_always_belongs_to_the_request_it_is_given_for(
    seed: int, longest: float, loss: float, noise: float
) -> None:
    """Two devices answer in order, as late as they like; each reply carries the number of its request."""
    chance = random.Random(seed)
    one = line()
    now, free_at = 0.0, {1: 0.0, 2: 0.0}
    flying: list[tuple[float, int, bytes]] = []
    numbers = itertools.count(1)
    number = 0
    believed = 0
    for _ in range(200):
        if one.request is None and now >= one.ready_at:
            wishes = [read(function, unit) for unit in (1, 2) for function in READS]
            allowed = [wish for wish in wishes if one.may_send(wish, now)]
            if allowed:
                request = chance.choice(allowed)
                one.send(request, now)
                assert one.bytes_to_send()
                number = next(numbers)
                if chance.random() >= loss:
                    arrival = now + 8 * CHAR
                    free_at[request.unit] = max(arrival, free_at[request.unit]) + chance.uniform(0.001, longest)
                    if chance.random() >= loss:
                        flying.append((free_at[request.unit], number, reply(request, number)))
                if chance.random() < noise:
                    flying.append((now + chance.uniform(0, 0.2), 0, chance.randbytes(chance.randint(1, 12))))
                flying.sort()
        times = [time for time in (one.deadline(), flying[0][0] if flying else None) if time is not None]
        now = max(now, min(times)) if times else now + 0.1
        if one.request is None:
            now = max(now, min(one.ready_at, now + 0.01))
        done = one.receive(flying.pop(0)[2], now) if flying and flying[0][0] <= now else one.handle_deadline(now)
        if done is not None and done.answer is not None:
            assert number_in(done) == number
            believed += 1
    if longest < 0.1 and not loss and not noise:
        assert believed > 50


def test_after_silence_the_same_function_waits_for_the_answer_to_another() -> None:
    one = line()
    one.send(read(READS[0]), 0.0)
    assert one.handle_deadline(0.1) is None
    deadline = one.deadline()
    assert deadline is not None
    done = one.handle_deadline(deadline)
    assert done is not None
    assert done.fault is Fault.SILENT
    assert not one.may_send(read(READS[0]), 1.0)
    assert one.may_send(read(READS[0], unit=2), 1.0)
    with pytest.raises(RuntimeError):
        one.send(read(READS[0]), 1.0)
    one.send(read(READS[1]), 1.0)
    # The late reply comes after all, and then the right one.
    assert one.receive(reply(read(READS[0]), 7), 1.02) is None
    done = one.receive(reply(read(READS[1]), 8), 1.03)
    assert done is not None
    assert number_in(done) == 8
    assert one.may_send(read(READS[0]), 1.1)


def test_when_no_function_is_answered_ghosts_end_by_age() -> None:
    one = line(timing=Timing(CHAR, 0.15, 2.0, 0.004))
    for n, function in enumerate(READS):
        one.send(read(function), n * 0.5)
        one.handle_deadline(n * 0.5 + 0.4)
    assert not any(one.may_send(read(function), 1.9) for function in READS)
    assert one.may_send(read(READS[0]), 2.1)
    assert not one.may_send(read(READS[1]), 2.1)


def test_a_write_is_always_allowed() -> None:
    one = line()
    write = Request(1, Function.WRITE_COIL, 0, values=(0xFF00,))
    for n in range(3):
        assert one.may_send(write, n)
        one.send(write, float(n))
        one.handle_deadline(n + 0.5)
    assert one.may_send(write, 3.0)


def test_the_late_echo_of_a_write_lays_no_ghost_of_its_own_kind() -> None:
    one = line()
    write = Request(1, Function.WRITE_COIL, 0, values=(0xFF00,))
    one.send(read(READS[0]), 0.0)
    one.handle_deadline(0.5)
    one.send(write, 1.0)
    one.handle_deadline(1.5)
    one.send(write, 2.0)
    assert one.receive(RtuFraming().encode(write), 2.02) is not None  # whose answer this is cannot be told
    assert not one.may_send(read(READS[0]), 2.1)


def test_an_adapter_that_hears_itself() -> None:
    one = line(echo=True)
    write = Request(1, Function.WRITE_COIL, 0, values=(0xFF00,))
    frame = RtuFraming().encode(write)
    one.send(write, 0.0)
    for byte in frame[:-1]:
        assert one.receive(bytes([byte]), 0.01) is None
    assert one.receive(frame[-1:] + frame[:3], 0.01) is None
    done = one.receive(frame[3:], 0.02)
    assert done is not None
    assert done.answer is not None


def test_an_echo_nobody_told_of_is_named() -> None:
    one = line()
    request = read(READS[1])
    one.send(request, 0.0)
    for byte in RtuFraming().encode(request):
        assert one.receive(bytes([byte]), 0.01) is None
    done = one.handle_deadline(0.1)
    assert done is not None
    assert done.fault is Fault.ECHO


def test_a_stream_that_lost_its_beat_is_broken_until_it_is_opened_anew() -> None:
    one = Line(TcpFraming(), Timing(0.0, 0.15, 2.0, 0.0))
    one.send(read(READS[0]), 0.0)
    done = one.receive(b"HTTP/1.1 400 Bad Request", 0.01)
    assert done is not None
    assert done.fault is Fault.BROKEN
    assert one.broken
    one.reset(0.1)
    assert not one.broken


def test_a_reply_that_breaks_off_is_over_before_its_time() -> None:
    one = line()
    request = read(READS[0])
    one.send(request, 0.0)
    assert one.receive(reply(request, 5)[:4], 0.02) is None
    assert one.deadline() == pytest.approx(0.07)
    done = one.handle_deadline(0.071)
    assert done is not None
    assert done.fault is Fault.GARBLED


def test_a_line_that_never_falls_silent_is_asked_all_the_same_and_keeps_nothing() -> None:
    one = line()
    now = 0.0
    one.send(read(READS[0]), now)
    for _ in range(3000):
        now += 0.001
        one.receive(b"\x55\xaa" * 8, now)
        one.handle_deadline(now)
    assert one.request is None
    assert one.ready_at < now
    assert len(one._buffer) == 0


def test_giving_up_is_for_requests_of_which_nothing_has_come() -> None:
    one = line()
    request = read(READS[0])
    one.send(request, 0.0)
    assert one.abandon(0.001) is None, "the frame is still on the wire"
    one.receive(reply(request, 3)[:2], 0.015)
    assert one.abandon(0.02) is None
    one.reset(0.03)
    one.send(read(READS[1]), 0.1)
    assert one.abandon(0.12) is not None
    assert one.request is None


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=40), st.floats(0.0, 0.3)), max_size=40), st.booleans())
def test_anything_at_all_ends_every_request(chunks: list[tuple[bytes, float]], echo: bool) -> None:
    one = line(echo=echo, timing=Timing(CHAR, 0.15, 0.2, 0.004))
    now = 0.0
    for data, pause in chunks:
        if one.request is None:
            one.send(Request(1, Function.WRITE_COIL, 0, values=(0,)), now)
        one.receive(data, now)
        now += pause
        deadline = one.deadline()
        if deadline is not None and deadline <= now:
            assert one.handle_deadline(now) is not None
        assert len(one._buffer) < 700
