"""The bus machine in virtual time against simulated boards: start, commands, outages, and the end."""

from __future__ import annotations

import itertools

import pytest

from drivers.driver import DriverUsageError
from drivers.events import (
    Buzz,
    DeviceAlarm,
    DeviceOnline,
    InputChanged,
    InputState,
    Point,
    Pulse,
    SwitchOff,
    SwitchOn,
)
from drivers.modbus.board import Board
from drivers.modbus.profile import OnLoss
from drivers.modbus.store import load_profile
from tests.drivers.modbus.simboard import (
    CHAR,
    PLAIN,
    POLL,
    TIMED,
    SimBoard,
    believed,
    crc,
    frames,
    online,
    without_settings,
    world,
)


def test_at_start_every_output_is_switched_off_and_verified_before_the_board_is_reported() -> None:
    board = SimBoard(1)
    board.on = [True] * 8
    here = world(board)
    here.start()
    here.run(2.0)
    assert online(here.events) == {"b1"}
    assert not any(board.outputs(here.now))
    written = [n for n, (_, frame) in enumerate(here.sent) if frame[1] in (5, 15)]
    read_back = [n for n, (_, frame) in enumerate(here.sent) if frame[1] == 1]
    assert written
    assert any(n > max(written) for n in read_back)
    first = here.events[0]
    assert isinstance(first, DeviceOnline)
    assert first.identity == "waveshare-8ch"
    assert [e.point.line for e in here.events[1:] if isinstance(e, InputChanged)] == [
        f"in{n + 1}" for n in range(8)
    ]


def test_a_pulse_is_one_frame_and_the_board_ends_it() -> None:
    board = SimBoard(1)
    here = world(board)
    here.start()
    here.run(1.0)
    before = len(here.sent)
    here.command(Pulse(Point("b1", "out3"), 3.0))
    here.run(0.2)
    assert board.outputs(here.now) == [n == 2 for n in range(8)]
    pulse = next(frame for _, frame in here.sent[before:] if frame[1] == 5)
    assert pulse[:6] == bytes([1, 5, 0x02, 0x02, 0, 30])
    sent = len(frames(here, 5))
    here.run(4.0)
    assert not any(board.outputs(here.now))
    assert len(frames(here, 5)) == sent, "the board ended it by itself"
    assert not [e for e in here.events if isinstance(e, DeviceAlarm)]


def test_the_write_leaves_at_once_on_an_idle_line_and_next_on_a_busy_one() -> None:
    board = SimBoard(1)
    here = world(board)
    here.start()
    here.run(1.0)
    waits = []
    for n in range(50):
        here.run(0.0137 + n * 0.001)
        free = here.bus._line.request is None and here.now >= here.bus._line.ready_at
        asked, count = here.now, len(here.sent)
        here.command(Pulse(Point("b1", "out1"), 1.0))
        here.run(0.1)
        sent_at, frame = here.sent[count]
        assert frame[1] == 5, "nothing goes before a relay command"
        waits.append(sent_at - asked)
        if free:
            assert sent_at == asked
    assert max(waits) < 0.03, "at most one poll, its reply and the gap"


def test_a_pulse_longer_than_the_board_can_time_is_renewed() -> None:
    profile = load_profile("r421a08")
    assert profile.outputs is not None
    board = Board("r", 1, profile, POLL)
    bank = board.outputs
    assert bank is not None
    for write in iter(lambda: bank.next_write(0.0), None):
        bank.wrote(write, 0.0)
    bank.command(Pulse(Point("r", "out1"), 400.0), 0.0)
    write = bank.next_write(0.0)
    assert write is not None
    assert write.request.values == (0x0600 + 255,)
    bank.wrote(write, 0.0)
    again = bank.deadline()
    assert again is not None
    assert again < 255
    bank.handle_deadline(again)
    write = bank.next_write(again)
    assert write is not None
    assert write.request.values == (0x0600 + 196,)


def test_a_pulse_shorter_than_the_boards_unit_is_ended_by_the_driver() -> None:
    bank = Board("r", 1, load_profile("r421a08"), POLL).outputs
    assert bank is not None
    for write in iter(lambda: bank.next_write(0.0), None):
        bank.wrote(write, 0.0)
    bank.command(Pulse(Point("r", "out1"), 0.3), 1.0)
    write = bank.next_write(1.0)
    assert write is not None
    assert write.request.values == (0x0601,)
    bank.wrote(write, 1.05)
    assert bank.deadline() == pytest.approx(1.3)
    bank.handle_deadline(1.3)
    write = bank.next_write(1.3)
    assert write is not None
    assert write.request.values == (0x0200,)


def test_without_a_timed_pulse_the_driver_ends_it() -> None:
    board = SimBoard(1, timed=False)
    here = world(board)
    here.start()
    here.run(1.0)
    here.command(Pulse(Point("b1", "out1"), 1.0))
    here.run(0.9)
    assert board.outputs(here.now)[0]
    here.run(0.2)
    assert not any(board.outputs(here.now))


def test_a_board_that_refuses_its_timed_pulse_opens_all_the_same_and_an_alarm_says_so() -> None:
    board = SimBoard(1, timed=False)
    here = world(board, profile=without_settings(TIMED))
    here.start()
    here.run(1.0)
    here.command(Pulse(Point("b1", "out1"), 1.0))
    here.run(0.2)
    assert board.outputs(here.now)[0]
    here.run(1.0)
    assert not any(board.outputs(here.now))
    (alarm,) = [e for e in here.events if isinstance(e, DeviceAlarm)]
    assert "timed pulse" in alarm.what


def test_a_board_in_trouble_keeps_its_timed_pulse() -> None:
    """Exception 4 says nothing of what the board has: the pulse is asked for again, as a pulse."""
    board = SimBoard(1)
    here = world(board)
    here.start()
    here.run(1.0)
    handle = board.handle
    board.handle = (
        lambda frame, now: (  # type: ignore[method-assign]  # a board that fails for a while
            frame[:1] + b"\x85\x04" + crc(frame[:1] + b"\x85\x04") if frame[1] == 5 else handle(frame, now)
        )
    )
    here.command(Pulse(Point("b1", "out1"), 4.0))
    here.run(0.5)
    assert any("exception 4" in e.what for e in here.events if isinstance(e, DeviceAlarm))
    board.handle = handle  # type: ignore[method-assign]
    here.run(1.0)
    assert board.outputs(here.now)[0]
    assert frames(here, 5)[-1][:4] == b"\x01\x05\x02\x00"
    here.run(4.0)
    assert not any(board.outputs(here.now))


def test_a_relay_that_does_not_obey_is_written_twice_and_then_an_alarm() -> None:
    board = SimBoard(1)
    here = world(board)
    here.start()
    here.run(1.0)
    here.boards[0].outputs = lambda now: [False] * 8  # type: ignore[method-assign]  # a dead relay
    count = len(frames(here, 5))
    here.command(SwitchOn(Point("b1", "out1")))
    here.run(0.5)
    assert len(frames(here, 5)) == count + 2
    (alarm,) = [e for e in here.events if isinstance(e, DeviceAlarm)]
    assert "out1 reads off" in alarm.what
    here.run(10.0)
    assert len([e for e in here.events if isinstance(e, DeviceAlarm)]) == 1
    assert len(frames(here, 5)) <= count + 22


def test_an_output_switched_by_hand_is_put_right() -> None:
    board = SimBoard(1)
    here = world(board)
    here.start()
    here.run(1.0)
    board.on[4] = True
    here.run(1.0)
    assert not any(board.outputs(here.now))


def test_a_board_that_lost_power_for_a_moment_gets_back_what_is_held() -> None:
    board = SimBoard(1)
    here = world(board)
    here.start()
    here.run(1.0)
    here.command(SwitchOn(Point("b1", "out2")))
    here.command(Pulse(Point("b1", "out1"), 300.0))
    here.run(0.5)
    board.power(False)
    here.run(3.0)
    assert online(here.events) == set()
    board.power(True)
    here.run(1.5)
    assert online(here.events) == {"b1"}
    assert board.outputs(here.now) == [n == 1 for n in range(8)], (
        "the hold is wanted, the pulse is not begun again"
    )
    assert not [e for e in here.events if isinstance(e, DeviceAlarm)]


def test_a_pulse_goes_on_when_only_the_line_was_away() -> None:
    board = SimBoard(1)
    here = world(board)
    here.start()
    here.run(1.0)
    here.command(Pulse(Point("b1", "out1"), 10.0))
    here.run(0.2)
    here.events += here.bus.disconnected(here.now, "gone")
    here.run(2.0)
    assert online(here.events) == set()
    here.start()
    here.run(1.0)
    assert online(here.events) == {"b1"}
    assert board.outputs(here.now)[0]
    here.run(8.0)
    assert not board.outputs(here.now)[0]
    assert online(here.events) == {"b1"}


def test_a_pulse_for_a_board_that_is_away_is_forgotten() -> None:
    board = SimBoard(1)
    board.alive = False
    here = world(board)
    here.start()
    here.run(2.0)
    here.command(Pulse(Point("b1", "out1"), 300.0))
    board.power(True)
    here.run(4.0)
    assert online(here.events) == {"b1"}
    assert not any(board.outputs(here.now))


def test_inputs_are_told_again_after_the_board_was_away() -> None:
    board = SimBoard(1)
    here = world(board)
    here.start()
    here.run(1.0)
    board.alive = False
    here.run(2.0)
    before = len(here.events)
    board.set_input(0, True, here.now)
    board.alive = True
    here.run(2.0)
    told = [e for e in here.events[before:] if isinstance(e, InputChanged)]
    assert len(told) == 8
    assert told[0].state is InputState.ON


def test_an_absent_board_costs_the_others_little() -> None:
    def polls(absent: tuple[int, ...]) -> tuple[int, float]:
        here = world(SimBoard(1), absent=absent)
        here.start()
        here.run(5.0)
        begin = len(here.sent)
        here.run(10.0)
        mine = [at for at, frame in here.sent[begin:] if frame[0] == 1 and frame[1] == 2]
        return len(mine), max(b - a for a, b in itertools.pairwise(mine))

    alone, _ = polls(())
    together, longest = polls((2,))
    assert together > 0.85 * alone
    assert longest < 0.3


def test_a_relay_command_does_not_wait_for_a_board_that_is_not_there() -> None:
    here = world(SimBoard(1), absent=(2,))
    here.start()
    here.run(5.0)
    waits = []
    for _ in range(40):
        while here.bus._line.request is None or here.bus._line.request.unit != 2:
            here.run(0.003)
        count, asked = len(here.sent), here.now
        here.command(Pulse(Point("b1", "out1"), 1.0))
        here.run(0.05)
        waits.append(next(at for at, frame in here.sent[count:] if frame[1] == 5) - asked)
    assert max(waits) < 8 * CHAR + 0.005, "the frame that is on the wire, and the gap"


def test_settings_of_a_board_are_put_right_or_an_alarm() -> None:
    here = world(SimBoard(1), profile=TIMED)  # this board refuses its settings: it has none
    here.start()
    here.run(3.0)
    assert online(here.events) == {"b1"}
    (alarm,) = [e for e in here.events if isinstance(e, DeviceAlarm)]
    assert "control mode" in alarm.what


def test_ending_switches_everything_off_and_says_when_it_is_done() -> None:
    board = SimBoard(1)
    here = world(board, absent=(2,))
    here.start()
    here.run(3.0)
    here.command(SwitchOn(Point("b1", "out1")))
    here.command(Pulse(Point("b1", "out2"), 60.0))
    here.run(0.3)
    here.bus.end(here.now)
    assert not here.bus.ended
    here.run(0.3)
    assert here.bus.ended
    assert not any(board.outputs(here.now))
    here.command(SwitchOn(Point("b1", "out1")))
    here.run(0.3)
    assert not any(board.outputs(here.now))


def test_what_is_not_on_the_bus_is_a_usage_error() -> None:
    here = world(SimBoard(1))
    for command in (SwitchOn(Point("b1", "out9")), SwitchOff(Point("b9", "out1")), Buzz("b1")):
        with pytest.raises(DriverUsageError):
            here.bus.command(command, 0.0)


def test_bits_of_another_board_are_never_this_boards() -> None:
    one, two = SimBoard(1), SimBoard(2)
    here = world(one, two)
    here.start()
    here.run(1.0)
    two.set_input(0, True, here.now)
    here.run(0.5)
    assert believed(here.events, "b1") == [False] * 8
    assert believed(here.events, "b2") == [True] + [False] * 7


def test_profiles_say_what_happens_without_the_daemon() -> None:
    for profile in (TIMED, PLAIN):
        assert profile.safe_state.on_loss is OnLoss.UNCHANGED
        assert profile.safe_state.note
