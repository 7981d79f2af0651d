"""What a reader says of its outputs, against what it was told."""

from __future__ import annotations

import pytest

from drivers.events import Command, DeviceAlarm, Point, Pulse, SwitchOff, SwitchOn
from drivers.osdp import messages
from drivers.osdp.messages import Cmd, NakCode, OutputControl, Reply
from drivers.osdp.outputs import EDGE, Mismatch, Outputs
from tests.drivers.osdp.panel import KEY, of, settled
from tests.peers.osdp_model import ModelReader

OUT = Point("r0", "out0")
OFF, ON = b"\x00", b"\x01"


def told(control: OutputControl, seconds: float = 0.0, at: float = 100.0) -> Outputs:
    outputs = Outputs()
    outputs.confirmed(messages.output(0, control, seconds), at)
    return outputs


@pytest.mark.parametrize(
    ("outputs", "says", "at", "wrong"),
    [
        (told(OutputControl.OFF), OFF, 200.0, []),
        (told(OutputControl.OFF), ON, 200.0, [Mismatch("out0", True, True)]),
        (told(OutputControl.ON), ON, 200.0, []),
        (told(OutputControl.ON), OFF, 200.0, [Mismatch("out0", False, True)]),
        (told(OutputControl.PULSE_ON, 5.0), ON, 100.0, []),
        (told(OutputControl.PULSE_ON, 5.0), OFF, 103.0, [Mismatch("out0", False, False)]),
        (told(OutputControl.PULSE_ON, 5.0), OFF, 104.5, []),
        (told(OutputControl.PULSE_ON, 5.0), ON, 105.5, []),
        (told(OutputControl.PULSE_ON, 5.0), ON, 106.5, [Mismatch("out0", True, True)]),
        (told(OutputControl.PULSE_ON, 5.0), OFF, 106.5, []),
        (told(OutputControl.OFF), b"", 200.0, []),
        (Outputs(), ON, 200.0, []),
    ],
)
def test_only_what_is_certain_is_compared(outputs: Outputs, says: bytes, at: float, wrong: list[Mismatch]) -> None:
    assert list(outputs.compare(says, at - 0.05, at)) == wrong


def test_the_next_look_is_behind_the_end_of_a_pulse() -> None:
    outputs = told(OutputControl.PULSE_ON, 5.0, at=100.0)
    assert outputs.next_look(101.0) == 105.0 + 2 * EDGE
    assert outputs.next_look(108.0) == float("inf")
    outputs.forget()
    assert outputs.next_look(101.0) == float("inf")


# ------------------------------------------------------------------ on the bus


@pytest.mark.parametrize("command", [Pulse(OUT, 3.0), SwitchOn(OUT), SwitchOff(OUT)])
def test_a_reader_that_obeys_is_no_alarm(command: Command) -> None:
    bench = settled(ModelReader(key=KEY))
    bench.bus.send("r0", command, bench.now)
    assert not of(DeviceAlarm, bench.run(40.0))


def test_a_relay_that_stays_on_is_an_alarm_and_told_again() -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    model.answers[Cmd.OSTAT] = (Reply.OSTATR, ON)
    bench.bus.send("r0", Pulse(OUT, 2.0), bench.now)
    (alarm,) = of(DeviceAlarm, bench.run(6.0))
    assert alarm.what == "out0 is on, expected off"
    assert [data[1] for _, data in model.done] == [OutputControl.PULSE_ON, OutputControl.OFF]
    bench.run(60.0)
    assert len(model.done) == 4, "and not without end"


def test_a_held_relay_that_lost_its_power_for_a_moment_is_an_alarm_and_told_again() -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    bench.bus.send("r0", SwitchOn(OUT), bench.now)
    bench.run(1.0)
    model.on_until.clear()
    (alarm,) = of(DeviceAlarm, bench.run(31.0))
    assert alarm.what == "out0 is off, expected on"
    assert [data[1] for _, data in model.done] == [OutputControl.ON, OutputControl.ON]


def test_a_pulse_that_did_not_come_is_an_alarm_and_not_sent_late() -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    model.answers[Cmd.OSTAT] = (Reply.OSTATR, OFF)
    bench.bus.send("r0", Pulse(OUT, 5.0), bench.now)
    assert "expected on" in of(DeviceAlarm, bench.run(5.0))[0].what
    assert len(model.done) == 1


def test_a_reader_that_does_not_know_the_question_is_asked_once() -> None:
    model = ModelReader(key=KEY)
    model.answers[Cmd.OSTAT] = (Reply.NAK, bytes([NakCode.UNKNOWN_COMMAND]))
    bench = settled(model)
    asked = bench.bus.sessions[0].service.polls
    bench.bus.send("r0", SwitchOn(OUT), bench.now)
    assert not of(DeviceAlarm, bench.run(5.0))
    assert bench.bus.sessions[0].service.polls > asked
