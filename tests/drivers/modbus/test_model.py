"""Boards and wires at their worst, in virtual time.

The invariant: an input state that is reported was the board's state at some instant after its question was
sent; and once the wire is good again, outputs are as wanted within a second and inputs as they are soon after.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.events import (
    DeviceOnline,
    InputChanged,
    InputState,
    Point,
    Pulse,
    SwitchOff,
    SwitchOn,
)
from tests.drivers.modbus.simboard import SLOWEST, Faults, SimBoard, World, believed, crc, online, world


def was_true(here: World, event: InputChanged) -> bool:
    """Whether the board had this state at some instant since the question was sent that brought it."""
    board = next(one for one in here.boards if f"b{one.unit}" == event.point.device)
    questions = [at for at, frame in here.sent if frame[:2] == bytes([board.unit, 2]) and at < event.at]
    states = board.inputs_between(max(questions), event.at)
    return (event.state is InputState.ON) in {state[int(event.point.line[2:]) - 1] for state in states}


@pytest.mark.parametrize("late", [0.16, 0.2, 0.27, 0.33])
def test_a_board_that_is_always_later_than_the_time_out_is_never_believed_about_the_past(late: float) -> None:
    here = world(SimBoard(1))
    (board,) = here.boards
    here.start()
    here.run(1.0)
    here.faults = Faults(late=(late, late))
    for n in range(200):
        board.set_input(0, n % 2 == 0, here.now)
        here.run(0.061)
    here.faults = Faults()
    here.run(2.0 + SLOWEST)
    assert all(was_true(here, event) for event in here.events if isinstance(event, InputChanged))
    assert online(here.events) == {"b1"}
    assert believed(here.events, "b1") == board.inputs


def disturb(here: World, chance: random.Random, wanted: dict[tuple[int, int], bool]) -> None:
    """One thing of those that happen to doors, and what is wanted of the outputs in the end."""
    board, index = chance.choice(here.boards), chance.randrange(8)
    point = Point(f"b{board.unit}", f"out{index + 1}")
    match chance.randrange(8):
        case 0 | 5 | 6:
            board.set_input(index % 2, not board.inputs[index % 2], here.now)
        case 1:
            here.command(SwitchOn(point))
            wanted[board.unit, index] = True
        case 2:
            here.command(SwitchOff(point))
            wanted[board.unit, index] = False
        case 3:
            here.command(Pulse(point, chance.uniform(0.2, 3.0)))
            wanted[board.unit, index] = False
        case _ if chance.random() < 0.2:
            board.power(not board.alive)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    late=st.sampled_from([(0.002, 0.004), (0.002, 0.3), (0.13, 0.25), (0.2, 0.3), (0.1, 0.6)]),
    loss=st.sampled_from([0.0, 0.1, 0.3]),
    flip=st.sampled_from([0.0, 0.1]),
    noise=st.sampled_from([0.0, 0.1]),
    timed=st.booleans(),
)
def test_no_wrong_state_is_ever_believed_and_all_is_right_after_recovery(
    seed: int, late: tuple[float, float], loss: float, flip: float, noise: float, timed: bool
) -> None:
    here = world(SimBoard(1, timed=timed), SimBoard(2, timed=timed), seed=seed)
    chance = random.Random(seed)
    wanted: dict[tuple[int, int], bool] = {}
    here.start()
    here.run(1.0)
    here.faults = Faults(lose_request=loss, lose_reply=loss / 2, flip=flip, noise=noise, late=late)
    for _ in range(40):
        disturb(here, chance, wanted)
        here.run(chance.uniform(0.0, 0.4))
    for board in here.boards:
        board.alive = True
    here.faults = Faults()
    here.run(4.0 + SLOWEST)  # pulses are over, late replies are in
    assert all(was_true(here, event) for event in here.events if isinstance(event, InputChanged))
    assert online(here.events) == {"b1", "b2"}
    for board in here.boards:
        assert believed(here.events, f"b{board.unit}") == board.inputs
        assert board.outputs(here.now) == [wanted.get((board.unit, n), False) for n in range(8)]


TROUBLES = {
    "power": Faults(),
    "cut": Faults(lose_request=1.0),
    "deaf": Faults(lose_reply=1.0),
    "crc": Faults(flip=1.0),
    "late": Faults(late=(0.1, 0.6)),
    "mixed": Faults(lose_request=0.2, lose_reply=0.3, flip=0.3, noise=0.2, late=(0.0, 0.3)),
    "refusing": Faults(),
}


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("trouble", TROUBLES)
@settings(max_examples=8, deadline=None)
@given(seconds=st.floats(0.05, 8.0), phase=st.floats(0.0, 0.05), others=st.integers(0, 1))
def test_outputs_are_right_within_a_second_of_recovery(
    trouble: str, timed: bool, seconds: float, phase: float, others: int
) -> None:
    """At 9600 baud, whatever was asked of them meanwhile; late replies that still come are of the trouble."""
    here = world(*(SimBoard(unit, timed=timed) for unit in range(1, 2 + others)))
    board = here.boards[0]
    here.start()
    here.run(1.5 + phase)
    here.command(SwitchOn(Point("b1", "out1")))
    here.run(0.3)
    board.power(trouble != "power")
    board.refuses = trouble == "refusing"
    here.faults = TROUBLES[trouble]
    here.run(seconds / 2)
    here.command(SwitchOff(Point("b1", "out1")))
    here.command(SwitchOn(Point("b1", "out8")))
    here.command(Pulse(Point("b1", "out4"), 300.0))
    here.command(SwitchOff(Point("b1", "out4")))
    here.run(seconds / 2)
    board.alive, board.refuses = True, False
    here.faults = Faults()
    here.run(1.0 + max(0.0, *(one.busy_until - here.now for one in here.boards)))
    assert board.outputs(here.now) == [False] * 7 + [True]
    here.run(0.5)
    assert online(here.events) == {f"b{one.unit}" for one in here.boards}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=30), st.floats(0.0, 0.5)), max_size=60))
def test_anything_at_all_on_the_line_reports_nothing(chunks: list[tuple[bytes, float]]) -> None:
    here = world(absent=(1,))
    here.start()
    for data, pause in chunks:
        here.took(here.bus.receive(data, here.now))
        here.run(pause)
    assert not [e for e in here.events if isinstance(e, InputChanged | DeviceOnline)] or any(
        crc(data[:n]) == data[n : n + 2] for data, _ in chunks for n in range(3, len(data))
    )
