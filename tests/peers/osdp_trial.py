"""Cards at random moments on an OSDP bus on which something goes wrong, and what became of each.

libosdp's readers in processes of their own on a paced segment, secure channel on, latchd at the other end. Every
card has a number of its own, so that each is either read once, refused once because it waited too long, or lost;
and whatever was read was presented. An outage may cost the one card whose answer is on the wire at that moment.
``SEGMENTS`` are the trials by name; the soak test and the benchmark run them. The trial of the clock runs in a
process whose wall clock can be stepped:

    python -m tests.peers.osdp_trial clock FOLDER SECONDS
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import random
import re
import statistics
import struct
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from drivers.driver import SecretReference
from drivers.events import CardRead, DeviceEvent, ReadError, ReadFault
from drivers.osdp.settings import OsdpReader
from tests.peers.osdp_bench import LibosdpReader, Panel, Peers, running

KEY = bytes(range(16))
OTHER_KEY = bytes(range(16, 32))
BAUDRATE = 9600
LIMIT = 2.0
"""Seconds: what ``queued_limit`` is unless the site file says otherwise."""
CARD = 1
"""libosdp's event number of a card."""
BETWEEN_CARDS = (0.3, 0.8)
"""Seconds, at each reader."""
OTHERS = ("faults of the other reader", "the other reader unplugged", "clock stepped")
"""Phases in which something is wrong with one reader, or with none: noise is everybody's."""
CALM = 15.0
"""Seconds without any fault, to compare with."""


@dataclass(frozen=True, slots=True)
class Card:
    """A card that its reader took into its queue."""

    address: int
    at: float
    phase: str


@dataclass(slots=True)
class Verdict:
    """What a trial showed. Times in seconds."""

    name: str
    presented: int = 0
    read: int = 0
    refused: int = 0
    refused_young: int = 0
    """Refused within the limit of being presented."""
    invented: int = 0
    doubled: int = 0
    lost: int = 0
    let_go: int = 0
    """Lost, and their readers had answered with them already: the answer was on the wire when it was cut."""
    back: dict[str, float] = field(default_factory=dict)
    """How long each recovery took."""
    p50: dict[str, float] = field(default_factory=dict)
    p99: dict[str, float] = field(default_factory=dict)
    """Card to handler at the readers that were not meddled with, by phase."""

    def line(self) -> str:
        """For people."""
        back = ", ".join(f"{what} {took:.2f} s" for what, took in self.back.items())
        phases = ", ".join(
            f"{phase} {self.p50[phase] * 1000:.0f}/{self.p99[phase] * 1000:.0f}" for phase in self.p99
        )
        return (
            f"{self.name}: {self.presented} cards presented, {self.read} read, {self.refused} refused as too old"
            f" ({self.refused_young} of them younger than the limit), {self.lost} lost, {self.let_go} let go by"
            f" the reader, {self.doubled} doubled, {self.invented} invented; back after: {back or '-'};"
            f" p50/p99 of the other readers in ms: {phases}"
        )


class Trial:
    """One segment with its readers, presenters and panel."""

    def __init__(self, name: str, folder: Path, readers: int, spare: int = 0) -> None:
        self.name = name
        self.peers = Peers(folder, BAUDRATE, readers + spare, "--seed=5")
        self.phase = "settling"
        self._numbers = itertools.count(1)
        self._pds: dict[int, LibosdpReader] = {}
        self._cards: dict[int, Card] = {}
        self._reads: defaultdict[int, list[float]] = defaultdict(list)
        self._refusals: defaultdict[int, list[float]] = defaultdict(list)
        self._gone: set[int] = set()
        self._sent: set[int] = set()
        self._meddled: set[int] = set()
        self.back: dict[str, float] = {}
        settings = {f"r{n}": OsdpReader(address=n, key=SecretReference("env:K")) for n in range(readers)}
        self.panel = Panel(folder / "cp", BAUDRATE, settings, KEY)
        self.panel.on_event = self._note

    async def power_on(self, address: int, key: bytes = KEY) -> None:
        """Start the reader of an address; its cards count from now on."""
        pd = await asyncio.to_thread(self.peers.reader, address, key)
        asyncio.get_running_loop().add_reader(pd.fileno(), self._hear, address, pd)
        self._pds[address] = pd

    def power_off(self, address: int) -> None:
        """End it. What it still held is gone with it."""
        self.meddle(address)
        pd = self._pds.pop(address)
        asyncio.get_running_loop().remove_reader(pd.fileno())
        self._hear(address, pd)
        pd.end()
        self._gone.update(number for number in self._missing() if self._cards[number].address == address)

    def meddle(self, *addresses: int) -> None:
        """These are no measure of how the others fare."""
        self._meddled.update(addresses)

    def _hear(self, address: int, pd: LibosdpReader) -> None:
        for said in pd.said():
            if said["event"] == "presented" and said["kind"] == CARD and said["accepted"]:
                self._cards[said["value"]] = Card(address, said["t"], self.phase)
            elif said["event"] == "sent":
                self._sent.add(said["value"])

    def _note(self, event: DeviceEvent) -> None:
        match event:
            case CardRead(_, _, value):
                self._reads[value].append(time.monotonic())
            case ReadError(_, ReadFault.QUEUED, _, _, int(value)):
                self._refusals[value].append(time.monotonic())

    async def _present(self, address: int) -> None:
        while True:
            await asyncio.sleep(random.uniform(*BETWEEN_CARDS))
            if address in self._pds:
                self._pds[address].tell(f"card {next(self._numbers):026b}")

    def polls(self, address: int) -> int:
        """Polls of the reader so far if it is in service, otherwise -1."""
        found = re.match(r"secure channel, (\d+) polls", self.panel.driver.status()[address].text)
        return int(found[1]) if found else -1

    async def until_back(self, what: str, *addresses: int) -> None:
        """How long it takes from now on until the readers are in service and answer polls."""
        began = time.monotonic()
        wanted = {address: max(0, self.polls(address)) + 3 for address in addresses}
        async with asyncio.timeout(60.0):
            while any(self.polls(address) < count for address, count in wanted.items()):  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.01)
        self.back[what] = time.monotonic() - began

    async def span(self, phase: str, seconds: float) -> None:
        """Let cards be presented for a while, and judge them under this name."""
        self.phase = phase
        await asyncio.sleep(seconds)

    async def run(self, readers: int, script: Callable[[Trial], Awaitable[None]]) -> Verdict:
        """Play the script, wait until every card has come, and judge."""
        for address in range(readers):
            await self.power_on(address)
        async with running(self.panel):
            await self.panel.settled(readers)
            presenters = [asyncio.create_task(self._present(address)) for address in range(readers)]
            try:
                await self.span("calm", CALM)
                await script(self)
            finally:
                for task in presenters:
                    task.cancel()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LIMIT + 3.0):
                    while self._missing():  # noqa: ASYNC110 - what is missing makes no event
                        await asyncio.sleep(0.1)
            for pd in self._pds.values():
                asyncio.get_running_loop().remove_reader(pd.fileno())
        return self._verdict()

    def _missing(self) -> list[int]:
        """Cards of which nothing was heard, though their readers did not lose their power."""
        heard = self._reads.keys() | self._refusals.keys()
        return [number for number in self._cards if number not in heard and number not in self._gone]

    def _verdict(self) -> Verdict:
        came, refused = dict(self._reads), dict(self._refusals)
        verdict = Verdict(self.name, len(self._cards), len(came), len(refused), back=self.back)
        verdict.let_go = len(self._sent.intersection(self._missing()))
        verdict.lost = len(self._missing()) - verdict.let_go
        known = set(self._cards)
        verdict.invented = len((came.keys() | refused.keys()) - known)
        verdict.doubled = sum(
            len(came.get(number, ())) + len(refused.get(number, ())) > 1 for number in came | refused
        )
        verdict.refused_young = sum(
            times[0] - self._cards[number].at < LIMIT for number, times in refused.items() if number in known
        )
        for phase, waits in self._waits(came).items():
            if len(waits) > 1:
                verdict.p50[phase] = statistics.median(waits)
                verdict.p99[phase] = statistics.quantiles(waits, n=100, method="inclusive")[98]
        return verdict

    def _waits(self, came: Mapping[int, list[float]]) -> dict[str, list[float]]:
        waits: defaultdict[str, list[float]] = defaultdict(list)
        for number, times in came.items():
            card = self._cards.get(number)
            if card is not None and card.address not in self._meddled:
                waits[card.phase].append(times[0] - card.at)
        return waits


# ------------------------------------------------------------------ what goes wrong


def _noise(name: str, line: str) -> Segment:
    async def run(folder: Path, seconds: float) -> Verdict:
        async def script(trial: Trial) -> None:
            trial.peers.wire(line)
            await trial.span(name, seconds)
            trial.peers.wire(f"{line.split()[0]} 0")

        return await _run(name, folder, 2, script)

    return run


async def _reader_faults(folder: Path, seconds: float) -> Verdict:
    """One of two readers is cut off, restarted, of another key, and doubled; each in its own stretch."""

    async def script(trial: Trial) -> None:
        trial.meddle(1)
        trial.phase = OTHERS[0]
        pause = seconds / 10
        trial.peers.wire("cut pd1")
        await asyncio.sleep(3.0)
        trial.peers.wire("join pd1")
        await trial.until_back("a cut of 3 s", 1)
        await asyncio.sleep(pause)
        trial.power_off(1)
        await trial.power_on(1)
        await trial.until_back("a restart of the reader", 1)
        await asyncio.sleep(pause)
        trial.power_off(1)
        await trial.power_on(1, OTHER_KEY)
        await asyncio.sleep(2 * pause)
        if trial.polls(1) >= 0:
            raise AssertionError("a reader with a wrong key is in service")
        trial.power_off(1)
        await asyncio.sleep(1.0)  # nobody puts another reader there faster
        await trial.power_on(1)
        await trial.until_back("a wrong key", 1)
        await asyncio.sleep(pause)
        double = await asyncio.to_thread(trial.peers.reader, 2, KEY, "--address=1", "--serial=2")
        await asyncio.sleep(2 * pause)
        double.end()
        await trial.until_back("two readers on one address", 1)
        await asyncio.sleep(pause)

    return await _run("reader", folder, 2, script, spare=1)


async def _unplugged_reader(folder: Path, seconds: float) -> Verdict:
    """One of two readers is unplugged for half of the time."""

    async def script(trial: Trial) -> None:
        trial.meddle(1)
        trial.phase = OTHERS[1]
        trial.peers.wire("unplug pd1")
        await asyncio.sleep(seconds / 2)
        trial.peers.wire("replug pd1")
        await trial.until_back(f"unplugged for {seconds / 2:.0f} s", 1)
        await asyncio.sleep(seconds / 2)

    return await _run("unplugged reader", folder, 2, script)


async def _unplugged_adapter(folder: Path, seconds: float) -> Verdict:
    """The panel's own adapter is pulled for half of the time, and the wire cut for 3 s."""

    async def script(trial: Trial) -> None:
        trial.meddle(0, 1)
        trial.peers.wire("unplug cp")
        await asyncio.sleep(seconds / 2)
        trial.peers.wire("replug cp")
        await trial.until_back(f"adapter pulled for {seconds / 2:.0f} s", 0, 1)
        await asyncio.sleep(seconds / 4)
        trial.peers.wire("cut cp")
        await asyncio.sleep(3.0)
        trial.peers.wire("join cp")
        await trial.until_back("the wire cut for 3 s", 0, 1)
        await asyncio.sleep(seconds / 8)

    return await _run("unplugged adapter", folder, 2, script)


async def _stepped_clock(folder: Path, seconds: float) -> Verdict:
    """In a process whose wall clock is stepped by an hour forwards, two back, and one forwards."""
    here = Path(__file__).parent
    library, offset = folder / "stepped_clock.so", folder / "offset"
    compiling = ("cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(here / "stepped_clock.c"))
    subprocess.run(compiling, check=True)  # noqa: ASYNC221 - nothing else runs in the loop yet
    offset.write_bytes(bytes(8))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.peers.osdp_trial",
        "clock",
        str(folder),
        str(seconds),
        env={**os.environ, "LD_PRELOAD": str(library), "STEPPED_CLOCK": str(offset)},
        cwd=here.parents[1],
        stdout=subprocess.PIPE,
    )
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Verdict(**json.loads(out))


async def _in_stepped_process(folder: Path, seconds: float) -> Verdict:
    async def script(trial: Trial) -> None:
        for hours in (1, -1, 0):
            wall, steady = time.time(), time.monotonic()
            (folder / "offset").write_bytes(struct.pack("q", hours * 3600))
            stepped = (time.time() - wall) - (time.monotonic() - steady)
            if abs(stepped) < 3500:
                raise AssertionError(f"the wall clock was to step by an hour, not by {stepped:.1f} s")
            await trial.until_back(f"clock at {hours:+} h", 0)
            await trial.span(OTHERS[2], seconds / 4)

    return await _run("clock", folder, 1, script)


async def _run(
    name: str, folder: Path, readers: int, script: Callable[[Trial], Awaitable[None]], spare: int = 0
) -> Verdict:
    trial = Trial(name, folder, readers, spare)
    try:
        return await trial.run(readers, script)
    finally:
        trial.peers.close()


Segment = Callable[[Path, float], Awaitable[Verdict]]
SEGMENTS: dict[str, Segment] = {
    "flips 0.002": _noise("flips 0.002", "flip 0.002"),
    "flips 0.005": _noise("flips 0.005", "flip 0.005"),
    "loss 0.005": _noise("loss 0.005", "loss 0.005"),
    "reader": _reader_faults,
    "unplugged reader": _unplugged_reader,
    "unplugged adapter": _unplugged_adapter,
    "clock": _stepped_clock,
}


def complaints(verdict: Verdict, slack: float = 0.0) -> Iterator[str]:
    """What a trial showed that must not be. ``slack``: seconds that a machine with other work may add."""
    if verdict.invented or verdict.doubled or verdict.lost:
        yield f"{verdict.lost} lost, {verdict.doubled} doubled, {verdict.invented} invented"
    # A session made again within 2 s is not reported as an outage, and the peer loses its card with the session.
    unreported = verdict.presented // 100
    if verdict.let_go > len(verdict.back) + unreported:
        yield f"{verdict.let_go} cards let go by their readers, more than there were outages"
    for what, took in verdict.back.items():
        if took > 2.0 + slack:
            yield f"back only {took:.1f} s after {what}"
    for phase, p99 in verdict.p99.items():
        if phase in OTHERS and p99 > 2 * verdict.p99["calm"] + slack:
            yield f"{phase}: p99 {p99 * 1000:.0f} ms, {verdict.p99['calm'] * 1000:.0f} ms without"


if __name__ == "__main__":
    os.environ.pop("LD_PRELOAD", None)  # the readers and the wire have a clock of their own
    print(json.dumps(asdict(asyncio.run(_in_stepped_process(Path(sys.argv[2]), float(sys.argv[3]))))))
