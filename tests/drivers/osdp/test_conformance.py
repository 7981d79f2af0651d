"""The OSDP driver keeps what every driver keeps, with libosdp's reader side on a paced bus."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
        self._ends = 0.0
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()
        settings = OsdpReader(address=0, key=SecretReference("env:KEY"), queued_limit="0.5s")  # type: ignore[arg-type]  # as the site file has it
        bus = OsdpBus(port=str(peers.folder / "cp"), baudrate=BAUDRATE)
        self.driver = DRIVER.create(bus, {"r0": settings}, self.context(lambda reference: KEY))

    def close(self) -> None:
        """End the reader, and with it what listens to it."""
        self._pd.end()
        self._listener.join()

    def energised(self) -> bool:
        return time.monotonic() < self._ends

    def set_input(self, on: bool) -> None:
        self._pd.tell(f"input 1 {'on' if on else 'off'}")

    def badge(self, length: int, value: int) -> None:
        self._pd.tell(f"card {value:0{length}b}")

    def unplug(self) -> None:
        self._peers.wire("unplug cp")

    def replug(self) -> None:
        self._peers.wire("replug cp")

    def _listen(self) -> None:
        """Follow the reader's output by the commands that reached it: libosdp leaves the relay to its user."""
        assert self._pd._process.stdout is not None
        for line in self._pd._process.stdout:
            said: dict[str, Any] = json.loads(line)
            if said["event"] == "output":
                code = said["control_code"]
                span = said["timer_count"] / 10 if code == TEMPORARY_ON else float("inf")
                self._ends = said["t"] + span if code in ON else 0.0


class TestOsdp(DriverConformance):
    @contextlib.contextmanager
    def build(self, directory: Path) -> Iterator[Rig]:
        peers = Peers(directory, BAUDRATE, 1)
        rig = OsdpRig(peers)
        try:
            yield rig
        finally:
            rig.close()
            peers.close()
