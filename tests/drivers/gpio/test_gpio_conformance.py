"""GPIO boards and Wiegand readers keep what every driver keeps (on a chip without a kernel)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from drivers.events import Point
from drivers.gpio.board import GpioDriver
from drivers.gpio.settings import GpioChip, GpioInput, GpioOutput, WiegandReader
from drivers.gpio.wiegand import WiegandDriver
from tests.drivers.conformance import DriverConformance, Rig
from tests.drivers.gpio.fake_chip import FakeChip


class ChipRig(Rig):
    def __init__(self) -> None:
        super().__init__()
        self.chip = FakeChip()

    def unplug(self) -> None:
        self.chip.unplug()

    def replug(self) -> None:
        self.chip.replug()

    def energised(self) -> bool:
        raise NotImplementedError

    def set_input(self, on: bool) -> None:
        raise NotImplementedError

    def badge(self, length: int, value: int) -> None:
        raise NotImplementedError


class BoardRig(ChipRig):
    """Output and input are both active low, so that a level taken for a state would show."""

    devices = frozenset({"cab"})
    output = Point("cab", "lock")
    input = Point("cab", "contact")

    def __init__(self) -> None:
        super().__init__()
        self.chip.levels[5] = True
        settings = GpioChip(
            chip=self.chip.path,
            outputs={"lock": GpioOutput(line=22, active_low=True)},
            inputs={"contact": GpioInput(line=5, active_low=True, bias="pull_up")},
        )
        self.driver = GpioDriver({"cab": settings}, self.context(), self.chip)

    def energised(self) -> bool:
        return not self.chip.levels.get(22, True)

    def set_input(self, on: bool) -> None:
        self.chip.drive(5, not on)


class ReaderRig(ChipRig):
    devices = frozenset({"yard-in"})
    reader = "yard-in"

    def __init__(self) -> None:
        super().__init__()
        self.chip.levels.update({17: True, 27: True})
        settings = WiegandReader(chip=self.chip.path, d0=17, d1=27, led=GpioOutput(line=22))
        self.driver = WiegandDriver({"yard-in": settings}, self.context(), self.chip)

    def badge(self, length: int, value: int) -> None:
        self.chip.pulse_bits(17, 27, f"{value:0{length}b}")


class TestGpioBoard(DriverConformance):
    has = frozenset({"output", "input"})

    @contextlib.contextmanager
    def build(self, directory: Path) -> Iterator[Rig]:
        yield BoardRig()


class TestWiegandReader(DriverConformance):
    has = frozenset({"reader"})

    @contextlib.contextmanager
    def build(self, directory: Path) -> Iterator[Rig]:
        yield ReaderRig()
