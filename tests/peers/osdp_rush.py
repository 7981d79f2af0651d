"""Both panels on the same bus under the same cards: libosdp's own, and ours. Part of ``benchmarks.osdp``.

libosdp's readers in one process, its panel or latchd's driver in another, on a paced bus with secure channels.
Each card has a number; the clock starts when it is in its reader's queue and stops when the panel gives it to its
handler.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from drivers.driver import SecretReference
from drivers.events import CardRead, DeviceEvent, DeviceOnline, ReadError
from drivers.osdp.settings import OsdpReader
from tests.peers.osdp_bench import LibosdpReader, Panel, Peers, running

KEY = bytes(range(16))
READERS = (1, 4, 8, 16, 32)
SPEEDS = (9600, 38400)
STEADY = 2.0
"""Seconds between two cards at one reader, however many there are."""
SHARED = 0.4
"""Seconds between two cards on the whole bus."""
UP_BY = 120.0
"""Seconds that a panel may take until all readers have their channel."""
SETTLE = 5.0
LAST = 4.0
"""Seconds after the last card in which it may yet come."""


@dataclass(slots=True)
class Verdict:
    """What one panel made of the cards. Times in seconds."""

    presented: int = 0
    waits: list[float] = field(default_factory=list)
    refused: int = 0

    def line(self) -> str:
        if len(self.waits) < 2:
            return f"{len(self.waits):4d} of {self.presented:4d}"
        p99 = statistics.quantiles(self.waits, n=100, method="inclusive")[98]
        return (
            f"{len(self.waits):4d} of {self.presented:4d}, {self.refused} refused, p50 "
            f"{statistics.median(self.waits) * 1000:5.0f}  p99 {p99 * 1000:5.0f}  "
            f"oldest {max(self.waits) * 1000:5.0f} ms"
        )


def _presented(pds: LibosdpReader) -> dict[int, float]:
    return {said["value"]: said["t"] for said in pds.said() if said["event"] == "presented" and said["accepted"]}


async def _rush(pds: LibosdpReader, every: float, seconds: float, seed: int) -> dict[int, float]:
    cards: dict[int, float] = {}
    pds.tell(f"rush {every} {seconds} {seed}")
    end = time.monotonic() + seconds + LAST
    while time.monotonic() < end:
        await asyncio.sleep(0.2)
        cards |= _presented(pds)
    return cards


def _judge(cards: dict[int, float], arrived: dict[int, float], refused: int) -> Verdict:
    waits = [arrived[number] - at for number, at in cards.items() if number in arrived]
    return Verdict(len(cards), waits, refused)


async def ours(folder: Path, readers: int, baudrate: int, every: float, seconds: float) -> Verdict:
    """latchd's driver alone: no lights and no sounds."""
    peers = Peers(folder, baudrate, 1)
    try:
        pds = peers.readers(readers, KEY)
        settings = {f"r{n}": OsdpReader(address=n, key=SecretReference("env:K")) for n in range(readers)}
        panel = Panel(folder / "cp", baudrate, settings, KEY)
        arrived: dict[int, float] = {}
        refused: set[int] = set()

        def note(event: DeviceEvent) -> None:
            if isinstance(event, CardRead):
                arrived[event.value] = time.monotonic()
            elif isinstance(event, ReadError):
                refused.add(event.value)

        panel.on_event = note
        async with running(panel):
            async with asyncio.timeout(UP_BY):
                while sum(isinstance(event, DeviceOnline) for event in panel.events) < readers:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            await asyncio.sleep(SETTLE)
            cards = await _rush(pds, every, seconds, 1)
        return _judge(cards, arrived, len(refused))
    finally:
        peers.close()


async def theirs(folder: Path, readers: int, baudrate: int, every: float, seconds: float) -> Verdict:
    """libosdp's panel, in a process of its own."""
    peers = Peers(folder, baudrate, 1)
    try:
        pds = peers.readers(readers, KEY)
        panel = peers.libosdp_panel(readers, KEY)
        end = time.monotonic() + UP_BY
        while not any(said["event"] == "online" for said in panel.said()):
            if time.monotonic() > end:
                return Verdict()
            await asyncio.sleep(0.1)
        await asyncio.sleep(SETTLE)
        cards = await _rush(pds, every, seconds, 1)
        arrived = {said["value"]: said["t"] for said in panel.said() if said["event"] == "card"}
        return _judge(cards, arrived, 0)
    finally:
        peers.close()


async def compare(readers: int, baudrate: int, every: float, seconds: float) -> bool:
    """Run both and print a line of each; whether ours accepts as many and is as fast."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        his = await theirs(Path(one), readers, baudrate, every, seconds)
        mine = await ours(Path(other), readers, baudrate, every, seconds)
    title = f"{readers:2d} at {baudrate}, every {every:4.1f} s"
    print(f"{title}  libosdp {his.line()}\n{'':>{len(title)}}  latchd  {mine.line()}", flush=True)
    return len(mine.waits) / max(1, mine.presented) >= len(his.waits) / max(1, his.presented)
