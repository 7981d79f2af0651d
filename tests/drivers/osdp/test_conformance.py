"""The OSDP driver keeps what every driver keeps, with libosdp's reader side on a paced bus."""

from __future__ import annotations

import contextlib
import json
import os
import select
import time
from collections.abc import Iterator
from pathlib import Path

from drivers.driver import SecretReference
from drivers.events import Point
from drivers.osdp.driver import DRIVER
from drivers.osdp.settings import OsdpBus, OsdpReader
from tests.drivers.conformance import DriverConformance, Rig
from tests.peers.osdp_bench import LibosdpReader, Peers

BAUDRATE = 115200
KEY = bytes(range(16))
TEMPORARY_ON = 5
ON = {2, 4, TEMPORARY_ON}
"""OSDP table 17: the control codes that switch an output on; 5 for a time, in units of 100 ms."""


class OsdpRig(Rig):
    devices = frozenset({"r0"})
    reader = "r0"
    output = Point("r0", "out0")
    input = Point("r0", "in1")
    settle = 0.6

    def __init__(self, peers: Peers) -> None:
        super().__init__()
        self._peers = peers
        self._pd: LibosdpReader = peers.reader(0, KEY)
        assert self._pd._process.stdout is not None
        self._said = self._pd._process.stdout.fileno()
        self._unread = b""
        self._ends = 0.0
        settings = OsdpReader(address=0, key=SecretReference("env:KEY"), queued_limit="0.5s")  # type: ignore[arg-type]  # as the site file has it
        bus = OsdpBus(port=str(peers.folder / "cp"), baudrate=BAUDRATE)
        self.driver = DRIVER.create(bus, {"r0": settings}, self.context(lambda reference: KEY))

    def energised(self) -> bool:
        """Follow the output by the commands that reached the reader: libosdp leaves the relay to its user."""
        while select.select([self._said], [], [], 0)[0] and (chunk := os.read(self._said, 4096)):
            self._unread += chunk
        *lines, self._unread = self._unread.split(b"\n")
        for said in map(json.loads, lines):
            if said["event"] == "output":
                code = said["control_code"]
                span = said["timer_count"] / 10 if code == TEMPORARY_ON else float("inf")
                self._ends = said["t"] + span if code in ON else 0.0
        return time.monotonic() < self._ends

    def set_input(self, on: bool) -> None:
        self._pd.tell(f"input 1 {'on' if on else 'off'}")

    def badge(self, length: int, value: int) -> None:
        self._pd.tell(f"card {value:0{length}b}")

    def unplug(self) -> None:
        self._peers.wire("unplug cp")

    def replug(self) -> None:
        """libosdp's wheel cannot answer ISTAT, which the driver asks here: the reader says its inputs unasked."""
        self._peers.wire("replug cp")
        self.set_input(False)


class TestOsdp(DriverConformance):
    @contextlib.contextmanager
    def build(self, directory: Path) -> Iterator[Rig]:
        with contextlib.closing(Peers(directory, BAUDRATE, 1)) as peers:
            yield OsdpRig(peers)
