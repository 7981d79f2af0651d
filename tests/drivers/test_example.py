"""The worked example of docs/drivers.md, found through an entry point and held to the conformance suite."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers import registry
from drivers.driver import Context, DriverType
from drivers.events import InputChanged, InputState, Point, SwitchOn
from tests.drivers.conformance import DriverConformance, Rig, eventually
from tests.peers.ascii_box import AsciiBox

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example as a distribution, as the pyproject.toml in docs/drivers.md makes it."""
    info = tmp_path / "latchd_ascii_relay-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: latchd-ascii-relay\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[latchd.drivers]\nascii-relay = ascii_relay:DRIVER\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.delitem(sys.modules, "ascii_relay", raising=False)


def load() -> DriverType:
    driver = registry.load("ascii-relay")
    module = sys.modules["ascii_relay"]
    module.ASK_EVERY, module.SILENCE = 0.05, 0.5  # type: ignore[attr-defined]  # seconds are for the field
    return driver


class BoxRig(Rig):
    devices = frozenset({"box"})
    output = Point("box", "out2")
    input = Point("box", "in3")

    def __init__(self, box: AsciiBox) -> None:
        super().__init__()
        self.box = box
        driver = load()
        assert driver.bus_settings is not None
        assert driver.board_settings is not None
        bus = driver.bus_settings(port=box.path)
        self.driver = driver.create(bus, {"box": driver.board_settings()}, self.context())

    def energised(self) -> bool:
        return self.box.relays[2]

    def set_input(self, on: bool) -> None:
        self.box.set_input(3, on)

    def badge(self, length: int, value: int) -> None:
        raise NotImplementedError

    def unplug(self) -> None:
        self.box.silent = True

    def replug(self) -> None:
        self.box.silent = False


class TestAsciiRelay(DriverConformance):
    has = frozenset({"output", "input"})

    @contextlib.contextmanager
    def build(self, directory: Path) -> Iterator[Rig]:
        with AsciiBox() as box:
            yield BoxRig(box)


def test_it_is_listed_with_its_origin() -> None:
    (check,) = [check for check in registry.check_drivers() if check.entry.name == "ascii-relay"]
    assert (check.entry.origin, check.problem) == ("latchd-ascii-relay 1.0", "")
    assert load().lines(None) == ({"out1", "out2"}, {"in1", "in2", "in3", "in4"})


@pytest.mark.parametrize("piece", [1, 3, 100])
def test_its_protocol_takes_bytes_in_any_pieces_and_noise(piece: int) -> None:
    load()
    box = sys.modules["ascii_relay"].Box("box", 0.0)
    data = b"\xff" * 200 + b"\nIN 0x10\nIN 01\nIN 0110\nOK\n"
    told = [event for i in range(0, len(data), piece) for event in box.receive(data[i : i + piece], 1.0)]
    states = {event.point.line: event.state for event in told if isinstance(event, InputChanged)}
    on = {line for line, state in states.items() if state is InputState.ON}
    assert (set(states), on) == ({"in1", "in2", "in3", "in4"}, {"in2", "in3"})


def test_what_is_held_outlasts_a_port_that_vanishes() -> None:
    load()
    box = sys.modules["ascii_relay"].Box("box", 0.0)
    box.receive(b"IN 0000\n", 1.0)
    box.command(SwitchOn(Point("box", "out2")))
    assert box.bytes_to_send(1.0) == b"OFF 1\nOFF 2\nON 2\nIN?\n"
    assert len(box.lost(2.0, "unplugged")) == 1
    box.receive(b"IN 0000\n", 3.0)
    assert box.bytes_to_send(3.0) == b"OFF 1\nON 2\nIN?\n"


def test_a_port_that_is_not_there_is_said_in_words(tmp_path: Path) -> None:
    driver = load()
    assert driver.bus_settings is not None
    bus = driver.bus_settings(port=str(tmp_path / "ttyNONE"))

    async def body() -> None:
        shell = driver.create(bus, {"box": None}, Context(lambda event: None, time.monotonic, lambda name: b""))
        task = asyncio.create_task(shell.run())
        await eventually(lambda: "ttyNONE" in shell.status()[0].text)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(body())
