"""How soon a controller opens doors after its process is started, compared with ``python -c pass`` on the same
machine.

Starts ``latchd doors`` again and again and prints the time from its start to an answering control socket, to
every device online, and to the first badge that releases the lock: on simulated hardware with 100 people in the
cache, and then on the cabinet of the demo, with an OSDP reader (secure channel) and a relay board in processes of
their own.

    python benchmarks/start.py
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from daemon.control.client import ask_one, is_running
from daemon.errors import ControlError
from tests.daemon.simulated import ADA, Bench, card
from tests.demo.cabinet import Cabinet

RUNS = 7
CABINET_RUNS = 3
PATIENCE = 60.0
ROOT = Path(__file__).parent.parent


def python_alone() -> float:
    """Seconds that an interpreter takes to start and to end."""
    begin = time.monotonic()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.monotonic() - begin


def until(holds: Callable[[], bool]) -> float:
    """When it first holds, in seconds of the monotonic clock."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if holds():
                return time.monotonic()
        except (OSError, ControlError):
            pass  # not there yet
        assert time.monotonic() < deadline, "not within a minute"
        time.sleep(0.002)


def online(path: Path) -> bool:
    """Whether the daemon answers and has all its devices."""
    return is_running(path) and all(device["online"] for device in ask_one(path, "status")["devices"])


def play(path: Path, line: str) -> str:
    """One line to the simulated hardware, and its answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(line.encode() + b"\n")
        return connection.makefile().readline()


def opens(sim: Path, bits: str) -> bool:
    """Present a card; whether the lock is released."""
    play(sim, f"badge lobby-in bits:{bits}")
    return "main.out1 on" in play(sim, "outputs")


def on_the_bench(directory: Path) -> tuple[float, float, float]:
    """Seconds to the socket, to the devices, to the first grant."""
    bench = Bench(directory)
    bench.fill({f"p{number}": number for number in range(1, 100)} | {"ada": ADA})
    length, value = card(ADA)
    begin = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "daemon.cli.latchd", "doors", "--config", bench.file],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        control = directory / "control.sock"
        answers = until(lambda: is_running(control)) - begin
        ready = until(lambda: online(control)) - begin
        granted = until(lambda: opens(directory / "sim.sock", f"{value:0{length}b}")) - begin
    finally:
        process.terminate()
        process.wait()
    return answers, ready, granted


def in_the_cabinet(cabinet: Cabinet) -> tuple[float, float, float]:
    """The same on a real OSDP and a real Modbus bus; the card is presented as soon as the reader is online."""
    begin = time.monotonic()
    cabinet.start_latchd("doors")
    control = cabinet.directory / "control.sock"
    answers = until(lambda: is_running(control)) - begin
    ready = until(lambda: online(control)) - begin
    moves = len(cabinet.peers["board"].lines)
    granted = 0.0
    while not granted:
        cabinet.badge(ADA)
        waited = time.monotonic() + 0.25
        while time.monotonic() < waited and not granted:
            lines = [line for line in cabinet.peers["board"].lines[moves:] if line.get("event") == "output"]
            granted = next((line["t"] - begin for line in lines if line["on"]), 0.0)
            time.sleep(0.005)
        assert time.monotonic() - begin < PATIENCE, "no badge opened within a minute"
    cabinet.stop_latchd()
    return answers, ready, granted


def show(what: str, runs: list[tuple[float, float, float]], python: float) -> None:
    """Median and worst of each figure, and the median's ratio to the interpreter alone."""
    names = ("control socket answers", "all devices online", "first badge releases the lock")
    print(f"\n{what:<52}{'median':>9}{'worst':>9}{'ratio':>8}")
    for name, values in zip(names, zip(*runs, strict=True), strict=True):
        median = statistics.median(values)
        print(f"  {name:<50}{median:>7.2f} s{max(values):>7.2f} s{median / python:>8.1f}")


def main() -> None:
    """Measure both, with interpreters alone in between."""
    alone, runs = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(RUNS):
            alone.append(python_alone())
            runs.append(on_the_bench(Path(folder, str(number))))
        python = statistics.median(alone)
        print(f"python -c pass: median {python:.3f} s, worst {max(alone):.3f} s")
        show(f"latchd doors, simulated hardware, {RUNS} starts", runs, python)
        with Cabinet(Path(folder, "cabinet"), strike_time=1.0) as cabinet:
            cabinet.provision({"Staff": {"Ada": ADA}})
            subprocess.run(
                [sys.executable, "-m", "daemon.cli.latchd", "sync", "--once", "--config", cabinet.site_file],
                check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
            real = [in_the_cabinet(cabinet) for _ in range(CABINET_RUNS)]
        show(f"latchd doors, OSDP reader and relay board, {CABINET_RUNS} starts", real, python)


if __name__ == "__main__":
    main()
