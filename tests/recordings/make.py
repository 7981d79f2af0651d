"""Makes recordings in this folder anew, from real drivers and real peers.

python -m tests.recordings.make [NAME …]        all of them without names
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from drivers.cards.formats import built_in_formats
from drivers.driver import Context, Driver, DriverType, SecretReference
from drivers.events import (
    Buzz,
    CardRead,
    Colour,
    DeviceEvent,
    DeviceOffline,
    DeviceOnline,
    InputChanged,
    InputState,
    KeyPress,
    Led,
    Point,
    Pulse,
    ReadError,
    SwitchOn,
)
from drivers.gpio.board import DRIVER as GPIO
from drivers.gpio.board import GpioDriver
from drivers.gpio.settings import GpioChip, GpioInput, GpioOutput, WiegandReader
from drivers.gpio.wiegand import DRIVER as WIEGAND
from drivers.gpio.wiegand import WiegandDriver
from drivers.modbus.driver import RTU, TCP, ModbusBoard, ModbusBus, ModbusTcpBus
from drivers.osdp.driver import DRIVER as OSDP
from drivers.osdp.settings import OsdpBus, OsdpReader
from drivers.recorder import recordable
from drivers.sim.driver import DRIVER as SIM
from drivers.sim.driver import SimBoard, SimBus, SimReader
from tests.drivers.gpio.fake_chip import FakeChip
from tests.drivers.modbus.rigs import BoardProcess, Wire
from tests.peers.osdp_bench import Peers

HERE = Path(__file__).parent
KEY = bytes(range(16))
CARD = "10110011100011110000111110"
OUT = Point("lobby", "out0")


class Stage:
    """A recorded driver, and what it told."""

    def __init__(self, kind: DriverType, settings: Any, devices: Mapping[str, Any]) -> None:
        self.events: list[DeviceEvent] = []
        context = Context(self.events.append, time.monotonic, lambda reference: KEY)
        self.driver: Driver = recordable(kind).create(settings, devices, context)

    async def wait(self, kind: type[DeviceEvent], count: int = 1) -> None:
        async with asyncio.timeout(20):
            while sum(isinstance(event, kind) for event in self.events) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def play(self, body: Callable[[], Awaitable[None]]) -> None:
        async def main() -> None:
            task = asyncio.create_task(self.driver.run())
            try:
                await body()
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

        asyncio.run(main())


def osdp(path: Path, folder: Path, clear: bool) -> None:
    """A card, keys, commands; a cut wire, with a card that waits in the reader meanwhile."""
    peers = Peers(folder, 115200, 1)
    try:
        reader = peers.reader(0, None if clear else KEY, *(["--clear"] if clear else []))
        secure = (
            {"secure_channel": "off", "allow_cleartext": True} if clear else {"key": SecretReference("env:KEY")}
        )
        stage = Stage(
            OSDP,
            OsdpBus(port=str(folder / "cp"), baudrate=115200, record=str(path), record_cleartext=clear),
            {"lobby": OsdpReader(address=0, queued_limit="1s", **secure)},  # type: ignore[arg-type]  # one of two sets
        )

        async def body() -> None:
            await stage.wait(DeviceOnline)
            await asyncio.sleep(0.5)
            reader.tell(f"card {CARD}")
            await stage.wait(CardRead)
            for command in (Pulse(OUT, 3.0), Led("lobby", Colour.GREEN, 2.0), Buzz("lobby")):
                stage.driver.send(command)
            reader.tell("keys 12*#")
            await stage.wait(KeyPress)
            peers.wire("flip 0.003")
            await asyncio.sleep(0.5)
            peers.wire("flip 0")
            stage.driver.send(SwitchOn(OUT))
            peers.wire("cut pd0")
            reader.tell(f"card {CARD}")
            await asyncio.sleep(1.3)
            peers.wire("join pd0")
            await stage.wait(ReadError)

        stage.play(body)
    finally:
        peers.close()


def modbus(path: Path, folder: Path) -> None:
    """A pulse and inputs with wrong CRCs and late replies; the port gone and back."""
    wire = Wire(folder, "cp", "board")
    board = BoardProcess("--port", str(folder / "board"), "--kind", "waveshare-8ch")
    try:
        bus = ModbusBus(port=str(folder / "cp"), baudrate=115200, poll="50ms", record=str(path))  # type: ignore[arg-type]  # as the site file has it
        stage = Stage(RTU, bus, {"main": ModbusBoard(profile="waveshare-8ch")})

        async def body() -> None:
            await stage.wait(InputChanged, 8)
            stage.driver.send(Pulse(Point("main", "out1"), 0.5))
            board.say("crc 0.2")
            board.say("delay 0 0.2")
            for count, state in enumerate(("on", "off", "on"), 9):  # after the eight of the beginning
                board.say(f"input 2 {state}")
                await stage.wait(InputChanged, count)
            board.say("crc 0")
            board.say("delay 0")
            wire.order("unplug cp")
            await stage.wait(DeviceOffline)
            wire.order("replug cp")
            await stage.wait(DeviceOnline, 2)

        stage.play(body)
    finally:
        board.close()
        wire.close()


def modbus_tcp(path: Path, folder: Path) -> None:
    """A pulse and an input with requests that are not heard and late replies; the board's power gone and back."""
    board = BoardProcess("--tcp", "0", "--kind", "waveshare-8ch")
    try:
        bus = ModbusTcpBus(host="127.0.0.1", port=board.tcp_port, poll="100ms", record=str(path))  # type: ignore[arg-type]  # as the site file has it
        stage = Stage(TCP, bus, {"main": ModbusBoard(profile="waveshare-8ch")})

        async def body() -> None:
            await stage.wait(InputChanged, 8)
            stage.driver.send(Pulse(Point("main", "out1"), 0.5))
            board.say("deaf 0.3")
            board.say("delay 0 0.4")
            for count, state in enumerate(("on", "off", "on"), 9):  # after the eight of the beginning
                board.say(f"input 2 {state}")
                await stage.wait(InputChanged, count)
            board.say("deaf 0")
            board.say("delay 0")
            board.say("power off")
            await stage.wait(DeviceOffline)
            board.say("power on")
            await stage.wait(DeviceOnline, 2)

        stage.play(body)
    finally:
        board.close()


def gpio(path: Path) -> None:
    """A contact that chatters, a relay, and the chip gone and back; on a chip that is a stand-in for gpiod's."""
    chip = FakeChip()
    chip.levels[6] = True
    settings = GpioChip(
        chip=chip.path,
        outputs={"lock": GpioOutput(line=22)},
        inputs={"contact": GpioInput(line=5), "rex": GpioInput(line=6, bias="pull_up", active_low=True)},
        record=str(path),
    )

    def create(bus: None, devices: Mapping[str, GpioChip], context: Context) -> GpioDriver:
        return GpioDriver(devices, context, chip)

    stage = Stage(replace(GPIO, create=create), None, {"cabinet": settings})

    async def body() -> None:
        await stage.wait(InputChanged, 2)
        stage.driver.send(Pulse(Point("cabinet", "lock"), 0.1))
        for level in (True, False, True):
            chip.drive(5, level)
        chip.drive(6, False)
        await stage.wait(InputChanged, 6)
        chip.unplug()
        await stage.wait(DeviceOffline)
        chip.replug()
        await stage.wait(DeviceOnline, 2)

    stage.play(body)


def sim(path: Path) -> None:
    """A day at simulated devices."""
    bus = SimBus(record=str(path), record_cleartext=True)
    board = SimBoard(outputs=("lock",), inputs=("contact",))
    stage = Stage(SIM, bus, {"lobby": SimReader(), "main": board})

    async def body() -> None:
        await stage.wait(DeviceOnline, 2)
        bench = stage.driver
        bench.badge("lobby", len(CARD), int(CARD, 2))  # type: ignore[attr-defined]  # a SimDriver in a recorder
        bench.send(Pulse(Point("main", "lock"), 0.1))
        bench.keys("lobby", "12*#")  # type: ignore[attr-defined]
        for state in (InputState.ON, InputState.SHORT, InputState.OFF):
            bench.set_input(Point("main", "contact"), state)  # type: ignore[attr-defined]
        bench.tamper("lobby", active=True)  # type: ignore[attr-defined]
        bench.offline("main", "cable cut")  # type: ignore[attr-defined]
        bench.online("main")  # type: ignore[attr-defined]

    stage.play(body)


def wiegand(path: Path) -> None:
    """A card, one with a merged edge, one with wrong parity, keys; on a chip that is a stand-in for gpiod's."""
    chip = FakeChip()
    chip.levels.update({17: True, 27: True})
    settings = WiegandReader(
        chip=chip.path, d0=17, d1=27, formats=("H10301",), keypad="4-bit", record=str(path), record_cleartext=True
    )

    def create(bus: None, devices: Mapping[str, WiegandReader], context: Context) -> WiegandDriver:
        return WiegandDriver(devices, context, chip)

    stage = Stage(replace(WIEGAND, create=create), None, {"yard": settings})

    async def body() -> None:
        length, value = built_in_formats().parse_card("H10301:118:1603")
        good = f"{value:0{length}b}"
        await stage.wait(DeviceOnline)
        for number, bits in enumerate((good, good, good[:-1] + ("0" if good[-1] == "1" else "1"), "0101"), 1):
            chip.pulse_bits(17, 27, bits)
            if number == 2:
                del chip.requests[0].events[7]
            await asyncio.sleep(0.2)

    stage.play(body)


def main() -> None:
    for name, make in (
        ("osdp-clear", lambda path, folder: osdp(path, folder, clear=True)),
        ("osdp-secure", lambda path, folder: osdp(path, folder, clear=False)),
        ("modbus-rtu-noise", modbus),
        ("modbus-tcp-noise", modbus_tcp),
        ("gpio", lambda path, folder: gpio(path)),
        ("sim", lambda path, folder: sim(path)),
        ("wiegand", lambda path, folder: wiegand(path)),
    ):
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        path = HERE / f"{name}.rec"
        path.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            make(path, Path(folder))
            path.write_text(path.read_text().replace(folder, "/dev/bus").replace(f"{HERE}/", ""))
        print(name, path.stat().st_size)


if __name__ == "__main__":
    main()
