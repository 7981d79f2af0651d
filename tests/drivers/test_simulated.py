"""The simulated devices: what they report, how pulses end, and what an outage loses."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.driver import DriverUsageError
from drivers.events import (
    Buzz,
    CardRead,
    Colour,
    Command,
    DeviceOffline,
    DeviceOnline,
    InputChanged,
    InputState,
    KeyPress,
    Led,
    Point,
    Pulse,
    SwitchOff,
    SwitchOn,
    TamperChanged,
)
from drivers.sim.control import obey
from drivers.simulated import OutputChange, SimDevice, SimulatedDevices

OUT1, OUT2, IN1 = Point("main", "out1"), Point("main", "out2"), Point("main", "in1")
DEVICES = {
    "main": SimDevice(frozenset({"out1", "out2"}), frozenset({"in1"})),
    "lobby-in": SimDevice(reader=True),
}


@pytest.fixture
def changes() -> list[OutputChange]:
    return []


@pytest.fixture
def bench(changes: list[OutputChange]) -> SimulatedDevices:
    return SimulatedDevices(DEVICES, changes.append)


def test_at_start_everything_is_reported_once(bench: SimulatedDevices) -> None:
    assert bench.start(1.0) == (
        DeviceOnline("main", 1.0, "simulated"),
        InputChanged(IN1, InputState.OFF, 1.0),
        DeviceOnline("lobby-in", 1.0, "simulated"),
    )


def test_what_happens_at_a_device_comes_back_as_events(bench: SimulatedDevices) -> None:
    assert bench.badge("lobby-in", 4, 9, 2.0) == (CardRead("lobby-in", 4, 9, 2.0),)
    assert bench.keys("lobby-in", "12#", 2.0) == (KeyPress("lobby-in", "12#", 2.0),)
    assert bench.set_input(IN1, InputState.SHORT, 3.0) == (InputChanged(IN1, InputState.SHORT, 3.0),)
    assert bench.set_input(IN1, InputState.SHORT, 4.0) == ()
    assert bench.input(IN1) is InputState.SHORT
    assert bench.tamper("lobby-in", True, 5.0) == (TamperChanged("lobby-in", True, 5.0),)
    assert bench.tamper("lobby-in", True, 5.0) == ()


def test_a_pulse_ends_at_its_own_instant_however_late_it_is_handled(
    bench: SimulatedDevices, changes: list[OutputChange]
) -> None:
    bench.command(Pulse(OUT1, 10.0), 1.0)
    bench.command(Pulse(OUT2, 3.0), 2.0)
    assert bench.deadline() == 5.0
    bench.handle_deadline(4.9)
    assert bench.output(OUT2)
    bench.handle_deadline(60.0)
    assert bench.deadline() is None
    assert changes == [
        OutputChange(OUT1, True, 1.0),
        OutputChange(OUT2, True, 2.0),
        OutputChange(OUT2, False, 5.0),
        OutputChange(OUT1, False, 11.0),
    ]


def test_a_second_pulse_restarts_the_first(bench: SimulatedDevices, changes: list[OutputChange]) -> None:
    bench.command(Pulse(OUT1, 10.0), 0.0)
    bench.command(Pulse(OUT1, 10.0), 8.0)
    assert bench.deadline() == 18.0
    bench.command(SwitchOff(OUT1), 9.0)
    assert bench.deadline() is None
    assert changes == [OutputChange(OUT1, True, 0.0), OutputChange(OUT1, False, 9.0)]


def test_an_offline_device_says_nothing_and_reports_afresh(bench: SimulatedDevices) -> None:
    assert bench.offline("main", 1.0, "cut") == (DeviceOffline("main", 1.0, "cut"),)
    assert bench.offline("main", 1.0) == ()
    assert bench.set_input(IN1, InputState.ON, 2.0) == ()
    assert [(s.device, s.online, s.text) for s in bench.status()] == [
        ("main", False, "cut"),
        ("lobby-in", True, "simulated"),
    ]
    assert bench.online("main", 3.0) == (
        DeviceOnline("main", 3.0, "simulated"),
        InputChanged(IN1, InputState.ON, 3.0),
    )
    assert bench.online("main", 3.0) == ()
    bench.offline("lobby-in", 4.0)
    assert bench.badge("lobby-in", 26, 1, 5.0) == ()
    assert bench.keys("lobby-in", "1", 5.0) == ()
    bench.tamper("lobby-in", True, 5.0)
    assert bench.online("lobby-in", 6.0)[1:] == (TamperChanged("lobby-in", True, 6.0),)


def test_a_hardware_pulse_ends_although_its_board_is_offline(bench: SimulatedDevices) -> None:
    bench.command(Pulse(OUT1, 10.0), 0.0)
    bench.offline("main", 1.0)
    assert bench.output(OUT1)
    bench.handle_deadline(10.0)
    assert not bench.output(OUT1)


def test_after_an_outage_holds_and_releases_are_put_right_but_no_pulse_is(bench: SimulatedDevices) -> None:
    bench.command(SwitchOn(OUT1), 0.0)
    bench.offline("main", 1.0)
    bench.command(SwitchOff(OUT1), 2.0)
    bench.command(Pulse(OUT2, 60.0), 2.0)
    assert bench.output(OUT1)
    bench.online("main", 3.0)
    assert not bench.output(OUT1)
    assert not bench.output(OUT2)


def test_feedback_is_kept(bench: SimulatedDevices) -> None:
    bench.command(Led("lobby-in", Colour.RED), 0.0)
    bench.command(Led("lobby-in", Colour.GREEN, 2.0), 1.0)
    assert bench.resting_colour("lobby-in") is Colour.RED
    assert bench.feedback("lobby-in") == Led("lobby-in", Colour.GREEN, 2.0)
    bench.offline("lobby-in", 2.0)
    bench.command(Buzz("lobby-in"), 3.0)
    assert bench.feedback("lobby-in") == Led("lobby-in", Colour.GREEN, 2.0)


@pytest.mark.parametrize(
    "command",
    [
        SwitchOn(Point("attic", "out1")),
        SwitchOn(Point("main", "out9")),
        Pulse(OUT1, 0.0),
        Pulse(OUT1, -1.0),
        Led("main", Colour.RED),
        Buzz("attic"),
    ],
)
def test_what_does_not_exist_is_refused_and_changes_nothing(bench: SimulatedDevices, command: Command) -> None:
    with pytest.raises(DriverUsageError):
        bench.command(command, 0.0)
    assert not any(bench.outputs().values())
    assert bench.deadline() is None


def test_playing_with_what_does_not_exist_is_refused_too(bench: SimulatedDevices) -> None:
    with pytest.raises(DriverUsageError, match='no simulated device "attic"; there are main, lobby-in'):
        bench.tamper("attic", True, 0.0)
    with pytest.raises(DriverUsageError, match='"main" has no input "in9"; it has in1'):
        bench.set_input(Point("main", "in9"), InputState.ON, 0.0)
    with pytest.raises(DriverUsageError, match="keys are digits"):
        bench.keys("lobby-in", "A", 0.0)


@pytest.mark.parametrize(("length", "value"), [(0, 0), (129, 0), (4, 16), (4, -1)])
def test_a_read_is_a_whole_frame(bench: SimulatedDevices, length: int, value: int) -> None:
    with pytest.raises(DriverUsageError):
        bench.badge("lobby-in", length, value, 0.0)


commands = st.one_of(
    st.builds(Pulse, st.sampled_from([OUT1, OUT2]), st.integers(1, 20).map(float)),
    st.builds(SwitchOn, st.sampled_from([OUT1, OUT2])),
    st.builds(SwitchOff, st.sampled_from([OUT1, OUT2])),
    st.sampled_from(["offline", "online"]),
)


@settings(max_examples=100, deadline=None)
@given(steps=st.lists(st.tuples(st.integers(0, 10), commands), max_size=30))
def test_no_output_is_on_longer_than_its_last_command_allows(
    steps: list[tuple[int, Command | str]],
) -> None:
    bench, now, ends = SimulatedDevices(DEVICES), 0.0, {OUT1: 0.0, OUT2: 0.0}
    online = True
    for pause, step in steps:
        now += pause
        bench.handle_deadline(now)
        match step:
            case "offline":
                bench.offline("main", now)
                online = False
            case "online":
                bench.online("main", now)
                online = True
            case Pulse(point, seconds) if online:
                ends[point] = now + seconds
            case SwitchOn(point):
                ends[point] = float("inf")
            case SwitchOff(point) if online:
                ends[point] = now
        if not isinstance(step, str):
            bench.command(step, now)
        for point, on in bench.outputs().items():
            assert not on or now < ends[point]


# ------------------------------------------------------------------ the words of the control socket


def test_the_words_do_what_the_object_does(bench: SimulatedDevices) -> None:
    assert obey(bench, "badge lobby-in bits:0110\n", 1.0) == ((CardRead("lobby-in", 4, 6, 1.0),), "ok")
    assert obey(bench, "keys lobby-in 1234#", 1.0) == ((KeyPress("lobby-in", "1234#", 1.0),), "ok")
    assert obey(bench, "input main.in1 on", 1.0) == ((InputChanged(IN1, InputState.ON, 1.0),), "ok")
    assert obey(bench, "tamper main on", 1.0) == ((TamperChanged("main", True, 1.0),), "ok")
    bench.command(SwitchOn(OUT1), 1.0)
    assert obey(bench, "outputs", 1.0) == ((), "main.out1 on main.out2 off")
    assert obey(bench, "offline main cable cut", 1.0) == ((DeviceOffline("main", 1.0, "cable cut"),), "ok")
    assert obey(bench, "online main", 1.0)[1] == "ok"


@pytest.mark.parametrize("card", ["0110", "bits:", "bits:012", "H10301:57:1234"])
def test_a_simulated_reader_sees_bits_and_no_formats(bench: SimulatedDevices, card: str) -> None:
    events, answer = obey(bench, f"badge lobby-in {card}", 0.0)
    assert events == ()
    assert answer == "error: expected the card as bits: and then its bits as 0 and 1, first bit first"


@settings(max_examples=100, deadline=None)
@given(
    line=st.text(max_size=60)
    | st.lists(
        st.sampled_from(["badge", "keys", "input", "main", "main.in1", "lobby-in", "on", "bits:", "bits:2", "12"])
    ).map(" ".join)
)
def test_any_other_line_is_answered_with_an_error(line: str) -> None:
    events, answer = obey(SimulatedDevices(DEVICES), line, 0.0)
    assert events or answer.startswith("error: ") or answer in ("ok", "main.out1 off main.out2 off")
    assert "\n" not in answer
