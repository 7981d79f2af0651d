"""How fast a relay command leaves and how often inputs are polled, compared with what the wire allows.

On a paced RS-485 bus with a simulated board in its own process, at 9600 and 115200 baud, prints:

- command to the last byte of the write frame on the wire (p50, p99), with inputs hardly polled and with inputs
  polled all the time, and the ratio to the wire's floor for the same commands: the rest of the transaction that
  was on its way, as the bus saw it, the silence after it, and the 8 characters of the frame;
- polls of the inputs in a second, and the ratio to the limit: the characters of request and reply, the board's
  turnaround and the silence between frames, or the poll interval if that is longer.

    python benchmarks/modbus.py
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from pydantic import TypeAdapter

from drivers.driver import Context, Driver
from drivers.events import DeviceEvent, DeviceOnline, Point, Pulse
from drivers.modbus.driver import RTU, ModbusBoard, ModbusBus

PEERS = Path(__file__).parent.parent / "tests" / "peers"
COMMANDS = 100
TURNAROUND = 0.004
FRAME = 8
POLL_BYTES = FRAME + 6

RECENT = 400
"""Bytes of the bus's record that are looked at: more than pass between two commands."""


class Tap:
    """The bus's own record: every byte with its time and sender."""

    def __init__(self, path: Path) -> None:
        self._file = path.open(encoding="ascii")
        self._begun = ""

    def since_last(self) -> list[tuple[float, str, int]]:
        """What passed since the last call: time of its end, sender, byte."""
        *whole, self._begun = (self._begun + self._file.read()).split("\n")
        return [(float(at), who, int(byte, 16)) for at, who, byte in map(str.split, whole)]

    def close(self) -> None:
        self._file.close()


def write_ends(passed: list[tuple[float, str, int]], wire: float, gap: float) -> list[tuple[float, float]]:
    """For each timed-pulse frame, 01 05 02 00 …: when it had left, and the earliest that its start could be."""
    mine = [(at, byte) for at, who, byte in passed if who == "cp"]
    theirs = [at for at, who, _ in passed if who == "board"]
    values = bytes(byte for _, byte in mine)
    found, start = [], values.find(b"\x01\x05\x02\x00")
    while start >= 0 and start + FRAME <= len(values):
        end = mine[start + FRAME - 1][0]
        heard = bisect.bisect(theirs, end - wire)
        found.append((end, theirs[heard - 1] + gap if heard else 0.0))
        start = values.find(b"\x01\x05\x02\x00", start + FRAME)
    return found


async def commands(driver: Driver, tap: Tap, baud: int) -> list[tuple[float, float]]:
    """For each command: seconds to the end of its frame on the wire, and the least that the wire allowed."""
    wire, gap = FRAME * 10 / baud, gap_of(baud)
    passed, took = tap.since_last(), []
    chance = random.Random(1)
    for _ in range(COMMANDS):
        await asyncio.sleep(0.08 + chance.random() * 0.05)
        passed = [*passed, *tap.since_last()][-RECENT:]
        known = len(write_ends(passed, wire, gap))
        at = time.monotonic()
        driver.send(Pulse(Point("main", "out1"), 5.0))
        while len(ends := write_ends(passed, wire, gap)) == known:  # on a loaded machine it may take long
            await asyncio.sleep(0.005)
            passed += tap.since_last()
        end, free = ends[known]
        took.append((end - at, max(at, free) + wire - at))
    return took


async def polls(tap: Tap) -> float:
    """Input polls in a second."""
    tap.since_last()
    begin = time.monotonic()
    await asyncio.sleep(4.0)
    took = time.monotonic() - begin
    values = bytes(byte for _, who, byte in tap.since_last() if who == "cp")
    return values.count(b"\x01\x02\x00\x00\x00\x08") / took


async def measure(baud: int, poll: str, directory: Path) -> tuple[list[tuple[float, float]], float]:
    """One driver on the bus, with inputs polled at this interval."""
    online = asyncio.Event()

    def emit(event: DeviceEvent) -> None:
        if isinstance(event, DeviceOnline):
            online.set()

    context = Context(emit, time.monotonic, lambda reference: b"")
    settings = {"port": str(directory / "cp"), "baudrate": baud, "poll": poll}
    bus = TypeAdapter(ModbusBus).validate_json(json.dumps(settings))
    driver = RTU.create(bus, {"main": ModbusBoard(profile="waveshare-8ch", unit=1)}, context)
    task = asyncio.get_running_loop().create_task(driver.run())
    tap = Tap(directory / "tap")
    try:
        await online.wait()
        took = await commands(driver, tap, baud)
        return took, await polls(tap)
    finally:
        tap.close()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def show(name: str, baud: int, took: list[tuple[float, float]]) -> None:
    """The times, the wire's floor for the same commands, and the ratio of the two."""
    p50, p99 = (statistics.quantiles([one for one, _ in took], n=100)[n - 1] * 1000 for n in (50, 99))
    floor = statistics.median(least for _, least in took) * 1000
    print(
        f"{baud:>6} baud, {name:<13} command to last byte: p50 {p50:5.2f} ms, p99 {p99:5.2f} ms;"
        f" the wire's floor p50 {floor:5.2f} ms; ratio {p50 / floor:.2f}"
    )


def gap_of(baud: int) -> float:
    """The silence between frames."""
    return 3.5 * 11 / baud if baud <= 19200 else 0.00175


def start(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """A peer that has said it is ready."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stdin=subprocess.DEVNULL)
    while b"ready" not in log.read_bytes():
        assert process.poll() is None, f"{command[1]} ended"
        time.sleep(0.01)
    return process


def stop(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def main() -> None:
    for baud in (9600, 115200):
        with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
            directory = Path(name)
            links = ["--link", str(directory / "cp"), "--link", str(directory / "board")]
            wire = ["--baud", str(baud), *links, "--tap", str(directory / "tap")]
            board = ["--port", str(directory / "board"), "--baud", str(baud), "--turnaround", str(TURNAROUND)]
            for script, options in (("rs485bus.py", wire), ("modbus_board.py", board)):
                stack.callback(stop, start([sys.executable, str(PEERS / script), *options], directory / script))
            idle, _ = asyncio.run(measure(baud, "10s", directory))
            show("hardly polled", baud, idle)
            busy, rate = asyncio.run(measure(baud, "20ms", directory))
            show("polled", baud, busy)
            limit = 1 / max(0.02, POLL_BYTES * 10 / baud + TURNAROUND + gap_of(baud))
            print(f"{baud:>6} baud, inputs polled {rate:.1f} times a second, of {limit:.1f}: {rate / limit:.2f}")


if __name__ == "__main__":
    main()
