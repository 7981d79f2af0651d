"""Boards that hear but are not heard, loops that answer like boards, gateways that stand in for them."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drivers.events import DeviceAlarm, DeviceOffline, Point, Pulse, SwitchOff, SwitchOn
from tests.drivers.modbus.simboard import Faults, SimBoard, World, crc, online, tcp_world, world


def alarms(here: World) -> list[str]:
    """The texts of all alarms so far."""
    return [event.what for event in here.events if isinstance(event, DeviceAlarm)]


def served(*boards: SimBoard, **kind: bool) -> World:
    """A bus that has been in service for a second."""
    here = world(*boards, **kind)
    here.start()
    here.run(1.0)
    assert online(here.events) == {f"b{board.unit}" for board in boards}
    return here


# ------------------------------------------------------------------ what must go off


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("lines", [(1,), (5,), (8,), (4, 5, 6), (1, 2, 3, 4, 5, 6, 7, 8)], ids=str)
def test_a_board_that_hears_and_is_not_heard_switches_every_held_output_off(
    lines: tuple[int, ...], timed: bool
) -> None:
    board = SimBoard(1, timed=timed)
    here = served(board)
    for line in lines:
        here.command(SwitchOn(Point("b1", f"out{line}")))
    here.run(1.0)
    assert sum(board.outputs(here.now)) == len(lines)
    here.faults = Faults(lose_reply=1.0)
    here.run(3.0)
    for line in lines:
        here.command(SwitchOff(Point("b1", f"out{line}")))
    here.run(1.5)
    assert not any(board.outputs(here.now))


def test_answers_that_all_come_too_late_keep_no_output_on() -> None:
    board = SimBoard(1)
    here = served(board)
    for line in range(1, 9):
        here.command(SwitchOn(Point("b1", f"out{line}")))
    here.run(1.0)
    here.faults = Faults(late=(0.3, 0.3))
    here.run(3.0)
    for line in range(1, 9):
        here.command(SwitchOff(Point("b1", f"out{line}")))
    here.run(2.0)
    assert not any(board.outputs(here.now))


@pytest.mark.parametrize("outputs", [1, 3, 8])
def test_off_is_carried_out_within_a_second_of_the_first_request_that_is_heard(outputs: int) -> None:
    for phase in (n * 0.043 for n in range(25)):
        board = SimBoard(1, timed=False)
        here = served(board)
        for line in range(1, outputs + 1):
            here.command(SwitchOn(Point("b1", f"out{line}")))
        here.run(1.0)
        here.faults = Faults(lose_request=1.0)
        here.run(3.0)
        for line in range(1, outputs + 1):
            here.command(SwitchOff(Point("b1", f"out{line}")))
        here.run(2.0 + phase)
        here.faults = Faults(lose_reply=1.0)
        count = len(here.sent)
        while len(here.sent) == count:
            here.run(0.005)
        here.run(1.0)
        assert not any(board.outputs(here.now)), phase


def test_at_the_end_of_the_program_a_board_that_is_not_heard_is_told_once_more() -> None:
    board = SimBoard(1)
    here = served(board)
    here.command(SwitchOn(Point("b1", "out3")))
    here.run(1.0)
    here.faults = Faults(lose_reply=1.0)
    here.run(3.0)
    here.bus.end(here.now)
    here.run(1.0)
    assert here.bus.ended
    assert not any(board.outputs(here.now))


def test_a_board_that_lost_its_power_with_an_output_held_costs_the_others_little() -> None:
    one, two = SimBoard(1), SimBoard(2)
    here = served(one, two)
    here.command(SwitchOn(Point("b2", "out1")))
    here.run(1.0)
    two.alive = False
    here.run(1.0)
    here.command(SwitchOff(Point("b2", "out1")))
    begin = len(here.sent)
    here.run(10.0)
    looks = [at for at, frame in here.sent[begin:] if frame[:2] == b"\x01\x02"]
    assert max(b - a for a, b in itertools.pairwise(looks)) < 0.4


# ------------------------------------------------------------------ proof of life


def loop_plug(board: SimBoard) -> Callable[[bytes, float], bytes | None]:
    """What the wire does when the board was cut off and a loop is left: every frame comes back."""
    return lambda frame, now: frame


@pytest.mark.parametrize("timed", [True, False])
def test_a_loop_is_no_board(timed: bool) -> None:
    board = SimBoard(1, timed=timed)
    here = served(board)
    board.handle = loop_plug(board)  # type: ignore[method-assign]  # the wire is exchanged under a running driver
    here.run(2.0)
    assert online(here.events) == set()
    here.run(60.0)
    assert online(here.events) == set(), "the echo of a write is no proof of life"


@pytest.mark.parametrize("code", [0x0A, 0x0B])
def test_a_gateway_that_finds_no_board_is_silence_of_the_board(code: int) -> None:
    board = SimBoard(1)
    here = served(board)

    def gateway(frame: bytes, now: float) -> bytes:
        reply = bytes([frame[0], frame[1] | 0x80, code])
        return reply + crc(reply)

    board.handle = gateway  # type: ignore[method-assign]  # the gateway answers for the board
    here.run(2.0)
    assert online(here.events) == set()
    last = next(event for event in reversed(here.events) if isinstance(event, DeviceOffline))
    assert f"exception {code}" in last.why
    here.run(20.0)
    assert online(here.events) == set()
    assert alarms(here) == []


def test_a_board_that_answers_too_late_is_named_so() -> None:
    here = world(SimBoard(1))
    here.faults = Faults(late=(0.2, 0.2))
    here.start()
    here.run(10.0)
    offline = [event.why for event in here.events if isinstance(event, DeviceOffline)]
    text = here.bus.boards[0].text(here.now)
    assert "reply_timeout" in f"{offline} {text}"
    assert "0.2" in text


# ------------------------------------------------------------------ pulses that do not happen


@pytest.mark.parametrize("code", [5, 6])
def test_a_pulse_that_a_busy_board_never_takes_is_an_alarm_and_never_late(code: int) -> None:
    board = SimBoard(1)
    here = served(board)
    handle = board.handle

    def busy(frame: bytes, now: float) -> bytes | None:
        reply = bytes([frame[0], frame[1] | 0x80, code])
        return reply + crc(reply) if frame[1] == 5 else handle(frame, now)

    board.handle = busy  # type: ignore[method-assign]  # a board that is busy with something else
    here.command(Pulse(Point("b1", "out1"), 5.0))
    here.run(1.5)
    (alarm,) = alarms(here)
    assert "out1" in alarm
    assert "pulse" in alarm
    board.handle = handle  # type: ignore[method-assign]
    here.run(3.0)
    assert not any(board.outputs(here.now)), "the pulse is over, late is never"


def test_a_pulse_for_a_board_that_is_away_is_an_alarm() -> None:
    board = SimBoard(1)
    here = served(board)
    board.alive = False
    here.run(2.0)
    here.command(Pulse(Point("b1", "out1"), 5.0))
    (alarm,) = alarms(here)
    assert "out1" in alarm


def test_a_pulse_whose_board_goes_away_before_it_was_taken_is_an_alarm() -> None:
    board = SimBoard(1)
    here = served(board)
    board.alive = False
    here.command(Pulse(Point("b1", "out1"), 5.0))
    here.run(3.0)
    assert len([one for one in alarms(here) if "out1" in one]) == 1


# ------------------------------------------------------------------ relays that move by themselves


def test_a_relay_that_moves_by_itself_is_reported_at_the_first_read_back() -> None:
    board = SimBoard(1)
    here = served(board)
    board.on[4] = True
    here.run(1.0)
    assert not any(board.outputs(here.now))
    (alarm,) = alarms(here)
    assert "out5 reads on, expected off" in alarm


def test_two_outputs_that_are_one_relay_are_not_switched_for_ever() -> None:
    board = SimBoard(1, timed=False)
    here = served(board)
    outputs = board.outputs
    switched: list[bool] = []

    def wrapped(now: float) -> list[bool]:
        states = outputs(now)
        return states[:4] + states[:4]

    body = board._body

    def four(function: int, address: int, word: int, frame: bytes, now: float) -> bytes | None:
        if function == 5:
            switched.append(word != 0)
            body(function, address % 4, word, frame, now)
            return frame[2:6]
        return body(function, address, word, frame, now)

    board.outputs = wrapped  # type: ignore[method-assign]  # a four-relay board that takes eight addresses
    board._body = four  # type: ignore[method-assign]
    here.command(Pulse(Point("b1", "out1"), 10.0))
    here.run(10.0)
    assert len(switched) < 40
    assert any("out5" in one and "count" in one for one in alarms(here))


# ------------------------------------------------------------------ Modbus/TCP


def test_a_gateway_that_is_stuck_is_left_after_three_requests_and_no_pulse_waits_in_its_buffer() -> None:
    board = SimBoard(1)
    here = tcp_world(board)
    here.start()
    here.run(1.0)
    assert online(here.events) == {"b1"}
    here.freeze = True
    here.run(0.35)
    here.command(Pulse(Point("b1", "out1"), 3.0))
    here.run(2.0)
    assert here.bus.broken
    assert not [frame for frame in here.stuck if frame[7] == 5], "no pulse is handed to a gateway that is stuck"
    assert len(here.stuck) <= 3


def test_one_unit_that_is_away_behind_a_gateway_does_not_reset_the_others() -> None:
    here = tcp_world(SimBoard(1), absent=(2,))
    here.start()
    here.run(20.0)
    assert not here.bus.broken
    assert online(here.events) == {"b1"}


# ------------------------------------------------------------------ when a pulse ends


@settings(max_examples=30, deadline=None)
@example(seed=1, seconds=60.0, lead=0.1, trouble=Faults(late=(0.16, 0.6)), lasting=61.0)
@given(
    seed=st.integers(0, 2**32),
    seconds=st.floats(1.0, 6.0),
    lead=st.floats(0.0, 0.3),
    trouble=st.sampled_from(
        [
            Faults(lose_request=1.0),
            Faults(lose_reply=1.0),
            Faults(lose_request=0.4, lose_reply=0.4),
            Faults(late=(0.16, 0.6)),
            Faults(flip=0.5, noise=0.3),
        ]
    ),
    lasting=st.floats(0.1, 8.0),
)
def test_a_timed_pulse_ends_at_its_time_whatever_the_line_does(
    seed: int, seconds: float, lead: float, trouble: Faults, lasting: float
) -> None:
    board = SimBoard(1)
    here = world(board, seed=seed)
    here.start()
    here.run(1.0 + lead)
    asked = here.now
    here.command(Pulse(Point("b1", "out2"), seconds))
    here.run(lead / 10)
    here.faults = trouble
    here.run(lasting)
    here.faults = Faults()
    here.run(max(0.0, asked + seconds - here.now))
    wire = 0.02
    here.run(0.1 + wire)
    assert not any(board.outputs(here.now))
    here.run(3.0)
    assert not any(board.outputs(here.now)), "and it is not begun again"


def test_a_gateway_that_wakes_up_switches_nothing_on() -> None:
    """All that it took while it was stuck is carried out at once, in order, when it wakes up."""
    for delay in (0.31, 0.5, 1.0, 3.0, 20.0):
        board = SimBoard(1)
        here = tcp_world(board)
        here.start()
        here.run(1.0)
        here.freeze = True
        here.run(0.35)
        here.command(Pulse(Point("b1", "out1"), 3.0))
        here.run(delay)
        for frame in here.stuck:
            board.handle(frame[6:] + crc(frame[6:]), here.now)
            assert not any(board.outputs(here.now))
