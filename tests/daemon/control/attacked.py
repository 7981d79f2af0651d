"""A doors process of its own, attacked over its control socket by another user, while badges and orders go on."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daemon.control.client import ask_one, is_running
from daemon.errors import ControlError
from tests.daemon.simulated import ADA, SITE, Bench, card

ROOT = Path(__file__).parent.parent.parent.parent

NO_ONE, VIEWERS, OPERATORS = 54_321, 1, 2
"""A user who has no name, and two groups of every Debian (daemon, bin) as those that may look and act."""


@dataclass
class Figures:
    """Seconds that each badge and each order took, and the orders that were not carried out."""

    badges: list[float] = field(default_factory=list)
    orders: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def badge(self, part: float) -> float:
        """The time within which this ``part`` of all badges was answered."""
        return sorted(self.badges)[int((len(self.badges) - 1) * part)]


@dataclass(frozen=True, slots=True)
class Attacked:
    """The running doors."""

    bench: Bench
    control: Path

    def measure(self, seconds: float) -> Figures:
        """Badge fifty times a second and give five orders a second."""
        figures, end, turn = Figures(), time.monotonic() + seconds, 0
        length, value = card(ADA)
        line = f"badge lobby-in bits:{value:0{length}b}\n".encode()
        with socket.socket(socket.AF_UNIX) as reader:
            reader.connect(str(self.bench.directory / "sim.sock"))
            while time.monotonic() < end:
                begin = time.monotonic()
                reader.sendall(line)
                assert reader.recv(64) == b"ok\n"
                figures.badges.append(time.monotonic() - begin)
                if turn % 10 == 0:
                    self._order(figures)
                turn += 1
                time.sleep(0.02)
        return figures

    def _order(self, figures: Figures) -> None:
        begin = time.monotonic()
        try:
            ask_one(self.control, "door", 10.0, door="lobby", action="lock", because="under attack")
        except ControlError as error:
            figures.failed.append(str(error))
        figures.orders.append(time.monotonic() - begin)

    @contextmanager
    def attack(self, kind: str, seconds: float, gid: int = 65_534) -> Iterator[dict[str, int]]:
        """Attack as user ``NO_ONE``; the answer has, after the block, what became of it."""
        peer = [sys.executable, "-m", "tests.peers.control_flooder", self.control, str(NO_ONE), str(gid)]
        seen: dict[str, int] = {}
        with subprocess.Popen([*peer, kind, str(seconds)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as flooder:
            assert flooder.stdout
            assert flooder.stdout.readline() == "attacking\n"
            try:
                yield seen
                seen.update(json.loads(flooder.stdout.readline()))
            finally:
                flooder.kill()


AS_USER = """
import os, socket, sys
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[3]))
with socket.socket(socket.AF_UNIX) as connection:
    connection.settimeout(20)
    connection.connect(sys.argv[1])
    connection.sendall(sys.argv[4].encode() + b"\\n")
    sys.stdout.buffer.write(connection.makefile("rb").read())
"""


def answer_to(doors: Attacked, gid: int, command: str, **arguments: object) -> list[dict[str, Any]]:
    """The lines of the answer that a user of this group gets."""
    request = json.dumps({"command": command, "arguments": arguments})
    child = [sys.executable, "-c", AS_USER, doors.control, str(gid), str(NO_ONE + gid), request]
    done = subprocess.run(child, capture_output=True, check=True, timeout=30)
    return [json.loads(line) for line in done.stdout.splitlines()]


@contextmanager
def attacked() -> Iterator[Attacked]:
    """Doors with one door, where every user can reach its socket; ended at the end of the block."""
    place = Path(tempfile.mkdtemp(prefix="latchd-attacked-"))
    place.chmod(0o755)
    text = SITE.replace("sync_socket", 'viewers = ["daemon"]\noperators = ["bin"]\nsync_socket')
    bench = Bench(place, text)
    bench.fill()
    command = [sys.executable, "-m", "daemon.cli.latchd", "doors", "--config", bench.file]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as doors:
        try:
            running = Attacked(bench, place / "control.sock")
            deadline = time.monotonic() + 30
            while not (is_running(running.control) and (place / "sim.sock").exists()):
                assert doors.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield running
        finally:
            doors.terminate()
            doors.wait(20)
            shutil.rmtree(place)
