"""The driver in clear text against the pure-Python package ``osdp``, which knows neither libosdp nor latchd."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.driver import ServesReaders
from drivers.events import (
    Buzz,
    CardRead,
    Colour,
    DeviceAlarm,
    DeviceOnline,
    KeyPress,
    Led,
    Point,
    Pulse,
    SwitchOff,
    SwitchOn,
)
from drivers.osdp.settings import OsdpReader
from tests.peers.osdp_bench import Panel, Peers, running

ROOT = Path(__file__).parents[3]
ADDRESS = 3
CARD = "10110011100011110000111110"
OUT = Point("r0", "out0")


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter of the environment that has the package, and neither libosdp nor latchd."""
    subprocess.run(["make", "-s", "osdp-peer"], cwd=ROOT, check=True)
    return ROOT / ".venv-osdp" / "bin" / "python"


@pytest.fixture
def peers(tmp_path: Path) -> Iterator[Peers]:
    with contextlib.closing(Peers(tmp_path, 115200, 1)) as peers:
        yield peers


@pytest.mark.parametrize("check", ["crc", "checksum"])
def test_both_say_and_understand_the_same(python: Path, peers: Peers, check: str) -> None:
    more = ("--checksum",) if check == "checksum" else ()
    pd = peers.second_opinion(python, ADDRESS, *more)
    settings = OsdpReader(address=ADDRESS, secure_channel="off", allow_cleartext=True)

    async def talk() -> None:
        async with running(Panel(peers.folder / "cp", 115200, {"r0": settings}, b"", check=check)) as panel:
            online = await panel.expect(DeviceOnline)
            assert online.identity == "vendor 5C2623 model 25.2 serial 072AE900 firmware 3.2.1"
            await panel.polled()
            for command in (Pulse(OUT, 5.0), Led("r0", Colour.GREEN, 2.0), Led("r0", Colour.RED), Buzz("r0")):
                panel.driver.send(command)
            pd.tell(f"card {CARD}")
            card = await panel.expect(CardRead)
            assert (card.length, card.value) == (26, int(CARD, 2))
            pd.tell("keys 31397F0D")
            assert (await panel.expect(KeyPress)).keys == "19*#"
            for command in (SwitchOn(OUT), SwitchOff(OUT)):
                panel.driver.send(command)
                await panel.polled(4)
            assert isinstance(panel.driver, ServesReaders)
            panel.driver.readers.show_text("r0", "Good morning", None)
            await panel.polled(4)
            assert not [event for event in panel.events if isinstance(event, DeviceAlarm)]

    asyncio.run(talk())
    heard = list(pd.said())
    assert [line["event"] for line in heard if not line["same"]] == []
    assert {line["event"] for line in heard} == EVERY_COMMAND


EVERY_COMMAND = {
    "PollCommand",
    "IdReportCommand",
    "DeviceCapabilitiesCommand",
    "LocalStatusReportCommand",
    "InputStatusReportCommand",
    "OutputStatusReportCommand",
    "ReaderStatusReportCommand",
    "OutputControlCommand",
    "ReaderLedControlCommand",
    "ReaderBuzzerControlCommand",
    "ReaderTextOutputCommand",
}
