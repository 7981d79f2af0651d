"""A Modbus bus for tests: the paced wire and boards as processes, and the driver that is to master them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drivers.driver import Context, Driver, NoObserver
from drivers.events import DeviceEvent, InputChanged, InputState, Point
from drivers.modbus.driver import RTU, TCP, ModbusBoard, ModbusBus, ModbusTcpBus
from tests.drivers.conformance import Rig

PEERS = Path(__file__).resolve().parents[2] / "peers"
PATIENCE = 20.0


class Process:
    """A peer process; its lines are kept as they come."""

    def __init__(self, *command: str) -> None:
        self.lines: list[str] = []
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.strip())

    def say(self, line: str) -> None:
        """Give it a control line."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def wait_for(self, what: Callable[[], object]) -> None:
        """Wait in a thread of its own loop: only before and after a driver runs."""
        deadline = time.monotonic() + PATIENCE
        while not what():
            assert time.monotonic() < deadline, f"it did not happen; the peer said {self.lines[-10:]}"
            assert self._process.poll() is None or what(), f"the peer ended: {self.lines}"
            time.sleep(0.005)

    def close(self) -> None:
        """End it, and what waits for it."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()


class Wire(Process):
    """The paced RS-485 segment, with the nodes named."""

    def __init__(self, directory: Path, *nodes: str, baud: int = 115200) -> None:
        links = [word for node in nodes for word in ("--link", str(directory / node))]
        self.control = directory / "ctl"
        self.tap = directory / "tap"
        super().__init__(
            sys.executable, str(PEERS / "rs485bus.py"), "--baud", str(baud), *links,
            "--ctl", str(self.control), "--tap", str(self.tap), "--seed", "7",
        )  # fmt: skip
        self.wait_for(lambda: "ready" in self.lines)

    def order(self, line: str) -> None:
        """A control line of the bus."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(line.encode(), str(self.control))


class BoardProcess(Process):
    """A simulated board."""

    def __init__(self, *options: str) -> None:
        super().__init__(sys.executable, str(PEERS / "modbus_board.py"), *options)
        self.wait_for(lambda: self.events("ready"))

    def events(self, kind: str) -> list[dict[str, Any]]:
        """What it has told of one kind."""
        found = [json.loads(line) for line in list(self.lines)]
        return [event for event in found if event["event"] == kind]

    def is_on(self, output: int) -> bool:
        """The relay as the board has it."""
        moves = [event["on"] for event in self.events("output") if event["output"] == output]
        return bool(moves and moves[-1])

    @property
    def tcp_port(self) -> int:
        """Where it listens."""
        port: int = self.events("ready")[0]["tcp"]
        return port


class Questions(NoObserver):
    """When inputs were asked for."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    def sent(self, data: bytes) -> None:
        """Function 02, over RTU or TCP."""
        if data[1:2] == b"\x02" or (data[2:4] == b"\0\0" and data[7:8] == b"\x02"):
            self.asked.append(time.monotonic())

    def before(self, at: float) -> float:
        """The last question before an answer."""
        return max(asked for asked in self.asked if asked < at)


class ModbusRig(Rig):
    """A driver with one board called ``main``, and the handles of the conformance suite."""

    output = Point("main", "out1")
    input = Point("main", "in1")
    devices = frozenset({"main"})

    def __init__(self, board: BoardProcess) -> None:
        super().__init__()
        self.board = board
        self.tap = Questions()

    def context(self, secrets: Callable[..., bytes] | None = None) -> Context:
        """With the times of the questions kept."""
        return replace(super().context(secrets), tap=self.tap)

    def energised(self) -> bool:
        return self.board.is_on(1)

    def set_input(self, on: bool) -> None:
        self.board.say(f"input 1 {'on' if on else 'off'}")

    def badge(self, length: int, value: int) -> None:
        raise NotImplementedError("a board reads no cards")

    def unplug(self) -> None:
        self.board.say("power off")

    def replug(self) -> None:
        self.board.say("power on")


class LibmodbusRig(ModbusRig):
    """The board is a libmodbus device in C, which shares no line of code with the driver's codec."""

    def __init__(self, device: Process) -> None:
        super(ModbusRig, self).__init__()
        self.device = device
        self.tap = Questions()

    def coils(self) -> str:
        """Its relays as it told them last."""
        told = [line.split()[1] for line in list(self.device.lines) if line.startswith("coils ")]
        return told[-1] if told else ""

    def energised(self) -> bool:
        return self.coils()[:1] == "1"

    def set_input(self, on: bool) -> None:
        self.device.say(f"input 1 {'on' if on else 'off'}")

    def unplug(self) -> None:
        self.device.say("power off")

    def replug(self) -> None:
        self.device.say("power on")


def last_state(rig: ModbusRig, line: str) -> InputState | None:
    """What was said last of an input."""
    said = [e.state for e in rig.events if isinstance(e, InputChanged) and e.point.line == line]
    return said[-1] if said else None


def events_of(events: list[DeviceEvent], kind: type[DeviceEvent]) -> list[Any]:
    """The events of one kind."""
    return [event for event in events if isinstance(event, kind)]


@contextlib.contextmanager
def rtu_rig(
    directory: Path, profile: str = "waveshare-8ch", *, baud: int = 115200, echo: bool = False, kind: str = ""
) -> Iterator[tuple[ModbusRig, Wire]]:
    """One board on a paced bus."""
    with contextlib.ExitStack() as stack:
        wire = Wire(directory, "cp", "board", baud=baud)
        stack.callback(wire.close)
        if echo:
            wire.order("echo 1")
        options = ["--port", str(directory / "board"), "--kind", kind or profile, *(["--echo"] if echo else [])]
        board = BoardProcess(*options)
        stack.callback(board.close)
        rig = ModbusRig(board)
        bus = ModbusBus(port=str(directory / "cp"), baudrate=baud, echo=echo)
        rig.driver = RTU.create(bus, {"main": ModbusBoard(profile=profile, unit=1)}, rig.context())
        yield rig, wire


class DeviceServer(Process):
    """A serial line behind TCP: pyserial's own server side of RFC 2217, or bytes as they are."""

    def __init__(self, line: Path, scheme: str) -> None:
        super().__init__(sys.executable, str(PEERS / "device_server.py"), "--line", str(line), "--scheme", scheme)
        self.wait_for(lambda: self.lines)
        self.url = f"{scheme}://127.0.0.1:{self.lines[0].split()[1]}"


@contextlib.contextmanager
def device_server_rig(directory: Path, scheme: str) -> Iterator[tuple[ModbusRig, DeviceServer]]:
    """One board on a paced bus that ends at a device server."""
    with contextlib.ExitStack() as stack:
        wire = Wire(directory, "cp", "board")
        stack.callback(wire.close)
        board = BoardProcess("--port", str(directory / "board"), "--kind", "waveshare-8ch")
        stack.callback(board.close)
        server = DeviceServer(directory / "cp", scheme)
        stack.callback(server.close)
        rig = ModbusRig(board)
        bus = ModbusBus(port=server.url, baudrate=115200)
        rig.driver = RTU.create(bus, {"main": ModbusBoard(profile="waveshare-8ch", unit=1)}, rig.context())
        yield rig, server


def build_libmodbus_board(directory: Path) -> Path:
    """Compile it. Needs Debian's gcc, pkg-config and libmodbus-dev."""
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libmodbus"], capture_output=True, text=True)
    compiler = shutil.which("cc")
    if flags.returncode or compiler is None:
        pytest.skip("needs a C compiler and libmodbus (Debian: gcc, pkg-config, libmodbus-dev)")
    program = directory / "libmodbus_board"
    source = str(PEERS / "libmodbus_board.c")
    subprocess.run([compiler, "-O1", "-Wall", "-o", str(program), source, *flags.stdout.split()], check=True)
    return program


@contextlib.contextmanager
def libmodbus_rig(directory: Path, program: Path) -> Iterator[tuple[LibmodbusRig, Wire]]:
    """The board in C on a paced bus."""
    with contextlib.ExitStack() as stack:
        wire = Wire(directory, "cp", "board", baud=115200)
        stack.callback(wire.close)
        device = Process(str(program), str(directory / "board"), "115200", "1")
        stack.callback(device.close)
        device.wait_for(lambda: "ready" in device.lines)
        rig = LibmodbusRig(device)
        boards = {"main": ModbusBoard(profile="generic-coil", unit=1)}
        rig.driver = create_rtu(directory / "cp", rig, boards, baudrate=115200)
        yield rig, wire


@contextlib.contextmanager
def tcp_rig(profile: str = "waveshare-8ch") -> Iterator[ModbusRig]:
    """One board on loopback."""
    board = BoardProcess("--tcp", "0", "--kind", profile)
    try:
        rig = ModbusRig(board)
        bus = ModbusTcpBus(host="127.0.0.1", port=board.tcp_port)
        rig.driver = TCP.create(bus, {"main": ModbusBoard(profile=profile, unit=1)}, rig.context())
        yield rig
    finally:
        board.close()


def create_rtu(port: str | os.PathLike[str], rig: Rig, boards: dict[str, ModbusBoard], **settings: Any) -> Driver:
    """A driver for several boards."""
    return RTU.create(ModbusBus(port=str(port), **settings), boards, rig.context())
