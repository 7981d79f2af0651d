"""The simulated driver's own shell: the control socket and standing in for other drivers' devices."""

from __future__ import annotations

import asyncio
import socket
import stat
import time
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from drivers.driver import Context, PortError
from drivers.events import CardRead, DeviceEvent, DeviceOnline, Point, SwitchOn
from drivers.sim.driver import DRIVER, SimBoard, SimBus, SimDriver, SimReader
from tests.drivers.conformance import eventually


def make(events: list[DeviceEvent], control: Path | None = None) -> SimDriver:
    context = Context(events.append, time.monotonic, lambda reference: b"")
    bus = SimBus(control=str(control) if control else None)
    driver = DRIVER.create(bus, {"main": SimBoard(outputs=2, inputs=1), "lobby-in": SimReader()}, context)
    assert isinstance(driver, SimDriver)
    return driver


def test_lines_are_named_as_boards_and_readers_name_them() -> None:
    assert DRIVER.lines(SimBoard(outputs=2, inputs=1)) == ({"out1", "out2"}, {"in1"})
    assert DRIVER.lines(SimReader()) == ({"out0"}, {"in0"})
    assert DRIVER.simulated


def test_it_stands_in_for_devices_with_lines_of_any_name() -> None:
    chip, context = "gpio:/dev/gpiochip0", Context(lambda event: None, time.monotonic, lambda reference: b"")
    settings = TypeAdapter(SimBoard).validate_json('{"outputs": ["22"], "inputs": ["5", "6"]}')
    assert DRIVER.lines(settings) == ({"22"}, {"5", "6"})
    driver = DRIVER.create(SimBus(), {chip: settings}, context)
    assert isinstance(driver, SimDriver)
    driver.send(SwitchOn(Point(chip, "22")))
    assert driver.bench.output(Point(chip, "22"))


def test_a_person_plays_through_the_control_socket(tmp_path: Path) -> None:
    path, events = tmp_path / "sim.sock", list[DeviceEvent]()
    leftover = socket.socket(socket.AF_UNIX)
    leftover.bind(str(path))
    leftover.close()

    async def body() -> None:
        driver = make(events, path)
        task = asyncio.create_task(driver.run())
        await eventually(lambda: any(isinstance(event, DeviceOnline) for event in events))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"badge lobby-in bits:0110\n\xff\noutputs\n")
        assert await reader.readline() == b"ok\n"
        assert (await reader.readline()).startswith(b"error: expected")
        assert await reader.readline() == b"main.out1 off main.out2 off lobby-in.out0 off\n"
        writer.write(b"x" * 5000 + b"\n")
        assert await reader.read() == b""
        writer.close()
        answers, idle = await asyncio.open_unix_connection(path)
        idle.write(b"online main\n")
        assert await answers.readline() == b"ok\n"
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        idle.close()
        await idle.wait_closed()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(body())
    assert not path.exists()
    assert [(event.length, event.value) for event in events if isinstance(event, CardRead)] == [(4, 6)]


def test_a_control_socket_that_cannot_be_made_is_a_port_error(tmp_path: Path) -> None:
    path = tmp_path / "sim.sock"
    path.write_text("not a socket")
    with pytest.raises(PortError, match=r"sim\.sock cannot be made: Address already in use"):
        asyncio.run(make([], path).run())
    assert path.read_text() == "not a socket"
