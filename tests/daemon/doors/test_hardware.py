"""A driver that breaks its contract harms its own bus only: its devices are offline until it is back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from daemon.config.devices import Bus
from daemon.doors import hardware
from daemon.doors.hardware import Hardware
from daemon.errors import DriverError
from drivers.driver import Context, DeviceStatus, DriverType, DriverUsageError, PortError
from drivers.events import Command, DeviceEvent, DeviceOffline, DeviceOnline, Led, Point, SwitchOff, SwitchOn
from drivers.registry import load
from tests.daemon.simulated import until

LOCK = Point("main", "out1")
Run = Callable[["Acting"], Coroutine[Any, Any, None]]


@dataclass
class Acting:
    """A driver whose ``run`` does what a test says."""

    context: Context
    act: Run
    sent: list[Command] = field(default_factory=list)
    ended: bool = False

    async def run(self) -> None:
        try:
            self.context.emit(DeviceOnline("main", self.context.clock()))
            await self.act(self)
        finally:
            self.ended = True

    def send(self, command: Command) -> None:
        if isinstance(command, SwitchOff):
            raise DriverUsageError("there is no such line")
        self.sent.append(command)

    def status(self) -> Sequence[DeviceStatus]:
        return (DeviceStatus("main", True, "all is well"),)


@dataclass
class Rig:
    """One bus whose drivers act in turn, the last of them for ever, beside one that is sound."""

    acts: list[Run | Exception]
    made: list[Acting] = field(default_factory=list)
    events: list[DeviceEvent] = field(default_factory=list)

    def create(self, bus: Any, devices: Mapping[str, Any], context: Context) -> Acting:
        del bus, devices
        act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
        if isinstance(act, Exception):
            raise act
        self.made.append(Acting(context, act))
        return self.made[-1]

    def hardware(self) -> Hardware:
        sim = load("sim")
        kind: DriverType = replace(sim, create=self.create, recording=None)
        assert sim.board_settings is not None
        sound = Bus("sound", sim, None, {})
        return Hardware((Bus("io", kind, None, {"main": object()}), sound_bus(sound)), self.context())

    def context(self) -> Context:
        return Context(self.events.append, lambda: 1.0, lambda _: b"")

    def offline(self) -> list[str]:
        return [event.why for event in self.events if isinstance(event, DeviceOffline)]


def sound_bus(bus: Bus) -> Bus:
    sim = load("sim")
    assert sim.bus_settings is not None
    assert sim.board_settings is not None
    return replace(bus, settings=sim.bus_settings(), devices={"siren": sim.board_settings()})


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "RESTART_DELAY", 0.01)


async def for_ever(_: Acting) -> None:
    await asyncio.get_running_loop().create_future()


async def ends(_: Acting) -> None:
    return


async def fails(_: Acting) -> None:
    raise ZeroDivisionError


async def without_port(_: Acting) -> None:
    raise PortError("/dev/ttyS9 is held by another process")


def play(rig: Rig, story: Callable[[Hardware], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        devices = rig.hardware()
        task = asyncio.create_task(devices.run())
        try:
            await story(devices)
            assert not task.done()
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    asyncio.run(whole())


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (ends, "the driver ended"),
        (fails, "the driver failed: ZeroDivisionError"),
        (without_port, "/dev/ttyS9 is held by another process"),
    ],
)
def test_a_driver_that_ends_is_started_again_and_its_devices_are_offline_meanwhile(act: Run, why: str) -> None:
    rig = Rig([act, for_ever])

    async def story(devices: Hardware) -> None:
        del devices
        await until("started again", lambda: len(rig.made) == 2 and isinstance(rig.events[-1], DeviceOnline))

    play(rig, story)
    assert rig.offline() == [why]
    assert all(driver.ended for driver in rig.made)


def test_a_driver_that_cannot_be_made_again_is_tried_again_and_the_other_buses_go_on() -> None:
    rig = Rig([fails, ValueError("the key is gone"), PortError("the port is gone"), for_ever])

    async def story(devices: Hardware) -> None:
        await until("made at last", lambda: len(rig.made) == 2 and isinstance(rig.events[-1], DeviceOnline))
        assert {status.device: status.online for _, status in devices.status()} == {"main": True, "siren": True}

    play(rig, story)
    assert len(rig.offline()) == 3
    assert "the key is gone" in rig.offline()[1]


def test_while_a_driver_is_away_its_devices_are_offline_and_commands_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The controller tells every output anew when a device is back; a pulse is never made up for."""
    monkeypatch.setattr(hardware, "RESTART_DELAY", 3600.0)
    rig = Rig([without_port])

    async def story(devices: Hardware) -> None:
        await until("away", rig.offline)
        devices.send(SwitchOn(LOCK))
        assert [(bus, status) for bus, status in devices.status() if bus == "io"] == [
            ("io", DeviceStatus("main", False, "/dev/ttyS9 is held by another process"))
        ]

    play(rig, story)
    assert rig.made[0].sent == []


def test_the_same_failure_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig([fails, fails, fails, without_port, for_ever])

    async def story(devices: Hardware) -> None:
        del devices
        await until("started again", lambda: len(rig.made) == 5)

    with caplog.at_level(logging.ERROR, "daemon.doors.hardware"):
        play(rig, story)
    said = [record.getMessage() for record in caplog.records]
    assert [text.split(";")[0] for text in said] == [
        "bus io: the driver failed: ZeroDivisionError",
        "bus io: /dev/ttyS9 is held by another process",
    ]
    assert [bool(record.exc_info) for record in caplog.records] == [True, False]


def test_a_command_that_a_driver_does_not_take_is_logged_and_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig([for_ever])

    async def story(devices: Hardware) -> None:
        await until("running", lambda: rig.events)
        devices.send(SwitchOff(LOCK))
        devices.send(Led("nowhere", None, 1.0))  # type: ignore[arg-type]  # no driver has it: never looked at
        devices.send(SwitchOn(LOCK))

    play(rig, story)
    assert rig.made[0].sent == [SwitchOn(LOCK)]
    assert "failed to take SwitchOff" in caplog.text


def test_a_driver_that_cannot_be_made_at_the_start_refuses_the_start() -> None:
    with pytest.raises(DriverError, match='driver "sim" of bus io cannot be made: the key is short'):
        Rig([ValueError("the key is short")]).hardware()
