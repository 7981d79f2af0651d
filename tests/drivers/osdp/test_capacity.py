"""What a bus can serve, in numbers, before it is built and while it runs."""

from __future__ import annotations

import pytest

from drivers.events import DeviceAlarm
from drivers.osdp.capacity import refusals, round_time
from drivers.osdp.frame import encode
from drivers.osdp.messages import Reply
from drivers.osdp.settings import OsdpBus, OsdpReader
from tests.drivers.osdp.hostile import line_of, up
from tests.drivers.osdp.panel import KEY, SECRET, of
from tests.peers.osdp_model import ModelReader


def readers(count: int, **more: object) -> dict[str, OsdpReader]:
    return {f"r{n}": OsdpReader(address=n, key=SECRET, **more) for n in range(count)}


def refused(count: int, baudrate: int, **more: object) -> list[str]:
    return list(refusals(OsdpBus(port="/dev/null", baudrate=baudrate), readers(count, **more)))


@pytest.mark.parametrize(("count", "baudrate"), [(0, 9600), (48, 9600), (126, 38400), (126, 115200)])
def test_what_a_bus_can_serve_is_accepted(count: int, baudrate: int) -> None:
    assert refused(count, baudrate) == []


def test_a_bus_that_is_too_long_is_refused_with_its_numbers_and_a_way_out() -> None:
    (why,) = refused(126, 9600)
    assert "a round of 126 readers at 9600 baud takes 4.57 s" in why
    assert "refused after 2 s" in why
    assert "about 55 readers fit; set all to 38400 baud" in why
    assert refused(55, 9600) == []
    assert refused(56, 9600) != []


def test_readers_that_drop_their_channel_early_bound_the_round() -> None:
    assert refused(16, 9600, profile="libosdp-3.0.0") == []
    (why,) = refused(20, 9600, profile="libosdp-3.0.0")
    assert "drops its secure channel after 0.8 s without a poll" in why
    assert "set all to 19200 baud" in why


def test_slow_readers_count_with_their_time() -> None:
    assert round_time(9600, readers(8, profile="slow")) > 8 * 0.4
    assert "second bus" in refused(8, 9600, profile="slow")[0]


@pytest.mark.parametrize(("count", "baudrate"), [(8, 9600), (24, 38400)])
def test_the_numbers_are_those_that_are_measured(count: int, baudrate: int) -> None:
    models = [ModelReader(address=address, key=KEY, delay=0.005) for address in range(count)]
    line = up(line_of(models, baudrate=baudrate), count, 15.0)
    line.run(20.0)
    expected = round_time(baudrate, readers(count))
    assert expected * 0.9 < line.bus.pace.round < expected * 1.35


def test_a_bus_that_becomes_too_long_in_service_is_one_alarm_with_its_numbers() -> None:
    models = [ModelReader(address=address, key=KEY, delay=0.19) for address in range(12)]
    line = line_of(models)
    alarms = [event.what for event in of(DeviceAlarm, line.run(60.0))]
    (what,) = [what for what in alarms if "too long" in what]
    assert "a round of 12 readers at 9600 baud takes" in what
    assert "slowest answer" in what
    assert "190 ms" in what


def test_the_bus_is_told_in_numbers() -> None:
    models = [ModelReader(address=address, key=KEY, delay=0.01 * (address + 1)) for address in range(3)]
    line = up(line_of(models), 3, 10.0)
    line.run(10.0)
    calm = [session.numbers() for session in sorted(line.bus.sessions, key=lambda each: each.address)]
    assert [round(numbers.slowest, 2) for numbers in calm] == [0.01, 0.02, 0.03]
    assert {numbers.round for numbers in calm} == {line.bus.pace.round}
    assert all(
        numbers.answers > 50 and numbers.retries == numbers.late == numbers.garbled == 0 for numbers in calm
    )
    idle = next(session for session in line.bus.sessions if session is not line.bus._active)
    line.bus.receive(encode(idle.address, 1, Reply.ACK, reply=True), line.now)  # nobody waits for it
    assert {session.name for session in line.bus.sessions if session.numbers().late} == {idle.name}
    models[2].alive = False
    line.run(3.0)
    assert {session.name: session.numbers() for session in line.bus.sessions}["r2"].retries > 0
    line.loss = 0.02
    line.run(5.0)
    assert {session.name: session.numbers() for session in line.bus.sessions}["r0"].garbled > 0
