"""The simulated driver keeps what every driver keeps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from drivers.events import InputState, Point
from drivers.sim.driver import DRIVER, SimBoard, SimBus, SimDriver, SimReader
from tests.drivers.conformance import DriverConformance, Rig


class SimRig(Rig):
    driver: SimDriver
    devices = frozenset({"main", "lobby-in"})
    reader = "lobby-in"
    output = Point("main", "out1")
    input = Point("main", "in1")

    def __init__(self) -> None:
        super().__init__()
        settings = {"main": SimBoard(), "lobby-in": SimReader()}
        driver = DRIVER.create(SimBus(), settings, self.context())
        assert isinstance(driver, SimDriver)
        self.driver = driver

    def energised(self) -> bool:
        return self.driver.bench.output(self.output)

    def set_input(self, on: bool) -> None:
        self.driver.set_input(self.input, InputState.ON if on else InputState.OFF)

    def badge(self, length: int, value: int) -> None:
        self.driver.badge(self.reader, length, value)

    def unplug(self) -> None:
        for device in self.devices:
            self.driver.offline(device)

    def replug(self) -> None:
        for device in self.devices:
            self.driver.online(device)


class TestSimulatedDriver(DriverConformance):
    @contextlib.contextmanager
    def build(self, directory: Path) -> Iterator[Rig]:
        yield SimRig()
