"""A relay command is never late, and a state is never lost: under a fake clock, to the byte."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from drivers.events import DeviceAlarm, DeviceOffline, Point, Pulse, SwitchOff, SwitchOn
from drivers.osdp.messages import Cmd
from tests.drivers.osdp.hostile import line_of, up
from tests.drivers.osdp.panel import KEY, of
from tests.peers.osdp_line import Line
from tests.peers.osdp_model import ModelReader

OUT = Point("r0", "out0")


def served() -> tuple[Line, ModelReader]:
    model = ModelReader(key=KEY)
    return up(line_of([model]), 1, 5.0), model


def busy(line: Line, model: ModelReader, seconds: float) -> None:
    model.busy = 1_000_000
    line.at(line.now + seconds, lambda: setattr(model, "busy", 0))


def cut(line: Line, model: ModelReader, seconds: float) -> None:
    model.alive = False
    line.at(line.now + seconds, lambda: setattr(model, "alive", True))


def deaf_to_us(line: Line, model: ModelReader, seconds: float) -> None:
    """It hears and obeys; its answers are lost, and it keeps none to repeat."""
    hear = model.hear

    def half(data: bytes) -> bytes:
        model._last = None
        hear(data)
        return b""

    model.hear = half  # type: ignore[method-assign]
    line.at(line.now + seconds, lambda: setattr(model, "hear", hear))


TROUBLES = [busy, cut, deaf_to_us]


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("seconds", [0.3, 1.1, 1.9, 4.0, 7.0])
@pytest.mark.parametrize("sent_before", [0.0, 0.02])
def test_a_pulse_comes_within_its_second_or_never(
    trouble: Callable[[Line, ModelReader, float], None], seconds: float, sent_before: float
) -> None:
    line, model = served()
    began: list[float] = []
    serve = model._serve
    started = line.now

    def note(frame: object, data: bytes) -> bytes:
        if getattr(frame, "code", None) == Cmd.OUT and data[1] == 5:
            began.append(model.now - started)
            assert model.now - started + int.from_bytes(data[2:4], "little") / 10 < 5.0 + 1.0 + 0.1
        return serve(frame, data)  # type: ignore[arg-type]

    model._serve = note  # type: ignore[method-assign, assignment]
    line.bus.send("r0", Pulse(OUT, 5.0), line.now)
    line.run(sent_before)
    trouble(line, model, seconds)
    events = line.run(12.0)
    assert all(at <= 1.3 for at in began)
    confirmed = not [alarm for alarm in of(DeviceAlarm, events) if "command for out0" in alarm.what]
    assert confirmed or seconds > 0.9
    assert not confirmed or began


def test_a_pulse_that_is_sent_again_in_a_new_session_ends_when_it_was_to_end() -> None:
    line, model = served()
    ends: list[float] = []
    serve = model._serve

    def note(frame: object, data: bytes) -> bytes:
        if getattr(frame, "code", None) == Cmd.OUT:
            ends.append(model.now + int.from_bytes(data[2:4], "little") / 10)
        return serve(frame, data)  # type: ignore[arg-type]

    model._serve = note  # type: ignore[method-assign, assignment]
    started = line.now
    line.bus.send("r0", Pulse(OUT, 5.0), line.now)
    line.at(line.now + 0.03, model.restart)
    deaf_to_us(line, model, 0.6)
    line.run(4.0)
    assert ends
    assert all(abs(end - started - 5.0) < 0.35 for end in itertools.islice(ends, 1, None))


@pytest.mark.parametrize("seconds", [0.5, 1.5, 1.9])
@pytest.mark.parametrize("trouble", TROUBLES)
def test_on_and_off_are_states_and_put_right_after_a_hiccup(
    trouble: Callable[[Line, ModelReader, float], None], seconds: float
) -> None:
    line, model = served()
    trouble(line, model, seconds)
    line.run(0.05)
    line.bus.send("r0", SwitchOn(OUT), line.now)
    events = line.run(6.0)
    if not of(DeviceOffline, events):  # else the door says it again when the reader is back
        assert model.on_until[0] > line.now
    line.bus.send("r0", SwitchOn(OUT), line.now)
    line.run(2.0)
    trouble(line, model, seconds)
    line.run(0.05)
    line.bus.send("r0", SwitchOff(OUT), line.now)
    events = line.run(6.0)
    if not of(DeviceOffline, events):
        assert model.on_until[0] <= line.now


def test_a_pulse_for_a_reader_that_is_rejected_is_an_alarm() -> None:
    line, model = served()
    model.key = bytes(16)
    model.restart()
    line.bus.send("r0", Pulse(OUT, 5.0), line.now)
    events = line.run(3.0)
    assert of(DeviceOffline, events)
    assert [alarm for alarm in of(DeviceAlarm, events) if "out0" in alarm.what]
    assert model.on_until == {}
