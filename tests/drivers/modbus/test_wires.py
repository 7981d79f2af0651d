"""The driver against board processes: RTU on a paced bus, and TCP on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Coroutine
from pathlib import Path

import pytest

from drivers.driver import Context, Driver
from drivers.events import (
    DeviceAlarm,
    DeviceEvent,
    DeviceOffline,
    DeviceOnline,
    InputState,
    Point,
    Pulse,
    SwitchOff,
    SwitchOn,
)
from drivers.modbus.driver import TCP, ModbusBoard, ModbusTcpBus
from tests.drivers.conformance import eventually, play, running, states
from tests.drivers.modbus.rigs import BoardProcess, ModbusRig, Wire, create_rtu, last_state, rtu_rig

OUT = Point("main", "out1")


def alarms(rig: ModbusRig) -> list[str]:
    return [event.what for event in rig.events if isinstance(event, DeviceAlarm)]


async def settle(driver: Driver, body: Coroutine[None, None, None]) -> None:
    """Run a body beside a driver whose devices need not all come online."""
    task = asyncio.get_running_loop().create_task(driver.run())
    try:
        await body
        assert not task.done(), task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def test_the_strike_ends_on_the_board_when_the_driver_is_gone(tmp_path: Path) -> None:
    """Here the port is taken from the driver in the middle of a pulse: nothing more can be sent."""

    async def body() -> None:
        with rtu_rig(tmp_path) as (rig, wire):
            async with running(rig):
                rig.driver.send(Pulse(OUT, 1.0))
                await eventually(rig.energised)
                wire.order("unplug cp")
                await eventually(lambda: not rig.energised())
                (off,) = [e for e in rig.board.events("output") if not e["on"]]
                assert off["cause"] == "timer"

    play(body())


def test_a_port_that_vanishes_and_returns(tmp_path: Path) -> None:
    async def body() -> None:
        with rtu_rig(tmp_path) as (rig, wire):
            async with running(rig):
                rig.driver.send(SwitchOn(OUT))
                await eventually(rig.energised)
                wire.order("unplug cp")
                await eventually(lambda: not rig.online())
                (offline,) = rig.of(DeviceOffline)
                assert isinstance(offline, DeviceOffline)
                assert str(tmp_path / "cp") in offline.why
                rig.set_input(True)
                rig.driver.send(SwitchOff(OUT))
                wire.order("replug cp")
                await eventually(lambda: rig.online() == rig.devices)
                await eventually(lambda: not rig.energised())
                await eventually(lambda: last_state(rig, "in1") is InputState.ON)

    play(body())


def test_a_port_that_is_not_there_at_first(tmp_path: Path) -> None:
    async def body() -> None:
        with rtu_rig(tmp_path) as (rig, wire):
            wire.order("unplug cp")
            wire.wait_for(lambda: not os.path.lexists(tmp_path / "cp"))

            async def play_it() -> None:
                await eventually(lambda: rig.of(DeviceOffline))
                wire.order("replug cp")
                await eventually(lambda: rig.of(DeviceOnline))

            await settle(rig.driver, play_it())

    play(body())


def test_an_adapter_that_hears_itself(tmp_path: Path) -> None:
    async def body() -> None:
        with rtu_rig(tmp_path, echo=True) as (rig, _):
            async with running(rig):
                rig.driver.send(Pulse(OUT, 0.5))
                await eventually(rig.energised)
                await eventually(lambda: not rig.energised())
                rig.set_input(True)
                await eventually(lambda: states(rig)[-1] is InputState.ON)

    play(body())


def test_an_adapter_that_hears_itself_and_nobody_said_so(tmp_path: Path) -> None:
    async def body() -> None:
        with rtu_rig(tmp_path) as (rig, wire):
            wire.order("echo 1")

            async def play_it() -> None:
                await eventually(lambda: rig.of(DeviceOffline))
                (offline,) = rig.of(DeviceOffline)
                assert isinstance(offline, DeviceOffline)
                assert "echo = true" in offline.why

            await settle(rig.driver, play_it())
            assert not rig.of(DeviceOnline)

    play(body())


def test_two_boards_and_a_third_that_is_absent(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        wire = Wire(tmp_path, "cp", "one", "two")
        stack.callback(wire.close)
        one = BoardProcess("--port", str(tmp_path / "one"), "--unit", "1")
        stack.callback(one.close)
        two = BoardProcess("--port", str(tmp_path / "two"), "--unit", "2", "--kind", "relay-4-input-4")
        stack.callback(two.close)
        rig = ModbusRig(one)
        boards = {
            "main": ModbusBoard(profile="waveshare-8ch", unit=1),
            "side": ModbusBoard(profile="relay-4-input-4", unit=2),
            "gone": ModbusBoard(profile="generic-coil", unit=3),
        }
        rig.driver = create_rtu(tmp_path / "cp", rig, boards, baudrate=115200)

        async def play_it() -> None:
            await eventually(lambda: rig.online() == {"main", "side"})
            await eventually(lambda: [e for e in rig.of(DeviceOffline) if e.device == "gone"])
            rig.driver.send(Pulse(OUT, 0.3))
            rig.driver.send(SwitchOn(Point("side", "out4")))
            rig.driver.send(SwitchOn(Point("gone", "out1")))
            await eventually(lambda: two.is_on(4))
            await eventually(lambda: not one.is_on(1) and one.events("output"))
            two.say("input 3 on")
            await eventually(lambda: last_state(rig, "in3") is InputState.ON)
            assert rig.online() == {"main", "side"}

        async def body() -> None:
            await settle(rig.driver, play_it())
            await eventually(lambda: not two.is_on(4))

        play(body())


def test_what_is_no_modbus_at_all_is_left_and_tried_again() -> None:
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        with contextlib.suppress(OSError):
            while await reader.read(100):
                writer.write(b"Protocol mismatch.\r\n")
        writer.close()

    async def body() -> None:
        async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
            bus = ModbusTcpBus(host="127.0.0.1", port=server.sockets[0].getsockname()[1])
            events: list[DeviceEvent] = []
            context = Context(events.append, time.monotonic, lambda reference: b"")
            driver = TCP.create(bus, {"main": ModbusBoard(profile="input-16")}, context)
            await settle(driver, eventually(lambda: connections >= 3))
        (offline,) = events
        assert isinstance(offline, DeviceOffline)
        assert "not Modbus/TCP" in offline.why

    play(body())


def test_an_error_in_the_machine_ends_the_driver_and_is_not_swallowed(tmp_path: Path) -> None:
    async def body() -> None:
        with rtu_rig(tmp_path) as (rig, _):
            task = asyncio.get_running_loop().create_task(rig.driver.run())
            await eventually(lambda: rig.online() == rig.devices)
            rig.events = Refusing()
            rig.driver._emit = rig.events.append  # type: ignore[attr-defined]  # a listener that fails
            rig.set_input(True)
            with pytest.raises(RuntimeError, match="refused"):
                await asyncio.wait_for(task, 20)

    play(body())


class Refusing(list[DeviceEvent]):
    def append(self, event: DeviceEvent) -> None:
        raise RuntimeError("refused")


def test_a_relay_that_sticks_is_an_alarm(tmp_path: Path) -> None:
    async def body() -> None:
        with rtu_rig(tmp_path) as (rig, _):
            async with running(rig):
                rig.board.say("stuck 1 on")
                await eventually(lambda: any("out1 reads on" in what for what in alarms(rig)))
                rig.board.say("stuck 1 no")
                await eventually(lambda: not rig.energised())

    play(body())


def test_supervised_inputs_from_a_profile_of_the_site(tmp_path: Path) -> None:
    profile = tmp_path / "mine.toml"
    profile.write_text(
        'name = "mine"\n[outputs]\ncount = 2\n[inputs]\ncount = 4\narea = "input-register"\n'
        'level = [{state = "short", below = 100}, {state = "off", below = 500}, {state = "on", below = 900},'
        ' {state = "open"}]\n'
    )

    async def body() -> None:
        with rtu_rig(tmp_path, str(profile), kind="supervised-4") as (rig, _):
            async with running(rig):
                assert last_state(rig, "in1") is InputState.SHORT
                for value, state in ((300, InputState.OFF), (899, InputState.ON), (900, InputState.OPEN)):
                    rig.board.say(f"level 1 {value}")
                    await eventually(lambda state=state: last_state(rig, "in1") is state)
                assert last_state(rig, "in2") is InputState.SHORT

    play(body())


@pytest.mark.parametrize("profile", ["r421a08", "input-16"])
def test_boards_of_other_shapes(tmp_path: Path, profile: str) -> None:
    async def body() -> None:
        with rtu_rig(tmp_path, profile) as (rig, _):
            async with running(rig):
                if profile == "input-16":
                    rig.board.say("input 16 on")
                    await eventually(lambda: last_state(rig, "in16") is InputState.ON)
                else:
                    rig.driver.send(Pulse(OUT, 0.5))
                    await eventually(rig.energised)
                    await eventually(lambda: not rig.energised())
            assert not alarms(rig)

    play(body())
