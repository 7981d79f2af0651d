"""Card to handler over OSDP, compared with the floor that the wire sets.

    python -m benchmarks.osdp [--cards N] [--only NAME]
    python -m benchmarks.osdp --part rush [--seconds 25] [--readers N …] [--baudrate B …] [--every S …]

libosdp's reader side in processes of its own on a paced bus, secure channel on, latchd's driver on the other end.
The clock starts when the card is in the reader's queue, as the reader's process says, and stops when the event
reaches the handler; both are CLOCK_MONOTONIC.

The second part is a rush: libosdp's own panel and ours are compared in one run, with cards at all readers every 2
s, and so that one comes every 0.4 s on the whole bus.

The floor is what the fastest panel could reach: a card that comes at a random moment waits on average half a cycle
for its poll to be heard, then for the reader's turn-round and for its answer. A cycle is, for each reader, POLL,
the reader's turn-round, ACK and the panel's (two idle characters, SIA OSDP 2.2, 5.7). The readers' turn-round is
no doing of the panel's and is taken from the wire: median and 99th percentile between a command and its answer.
The floor's 99th percentile waits 99 % of a cycle. Both turn-rounds are printed.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from drivers.driver import SecretReference
from drivers.events import CardRead
from drivers.osdp.settings import OsdpReader
from tests.peers.osdp_bench import LibosdpReader, Panel, Peers, running
from tests.peers.osdp_rush import READERS, SHARED, SPEEDS, STEADY, compare

KEY = bytes(range(16))
SHORT_FRAME = 14  # POLL and ACK under the secure channel: header 5, block 2, code 1, MAC 4, CRC 2
CARD_FRAME = 30  # RAW with 26 bits: the same and one encrypted block
TURN_ROUND = 2
LIBOSDP_PANEL = {"1 at 9600": (78, 118), "8 at 9600": (183, 354), "1 at 115200": (36, 65)}
"""p50 and highest of libosdp's own panel on the same bus, in ms, as it was measured once for TESTBED.md."""


@dataclass(frozen=True, slots=True)
class Case:
    readers: int
    baudrate: int
    cards: int

    @property
    def name(self) -> str:
        return f"{self.readers} at {self.baudrate}"

    @property
    def character(self) -> float:
        """Milliseconds."""
        return 10_000 / self.baudrate

    def floor(self, share: float, reader_turn: float) -> float:
        """Milliseconds when ``share`` of a cycle passes until the poll is heard."""
        exchange = (2 * SHORT_FRAME + TURN_ROUND) * self.character + reader_turn
        return share * self.readers * exchange + reader_turn + CARD_FRAME * self.character


def turn_rounds(tap: Path, character: float) -> tuple[list[float], list[float]]:
    """Milliseconds of silence on the wire before the readers' answers and before the panel's commands."""
    readers: list[float] = []
    panel: list[float] = []
    last: tuple[float, str] | None = None
    for line in tap.read_text().splitlines():
        at, sender, _ = line.split()
        if last is not None and last[1] != sender:
            silence = (float(at) - last[0]) * 1000 - character
            (panel if sender == "cp" else readers).append(silence)
        last = float(at), sender
    return readers, panel


async def measure(case: Case, folder: Path) -> tuple[list[float], list[float], list[float]]:
    """Present cards one at a time at random moments; milliseconds of each, and the turn-rounds meanwhile."""
    peers = Peers(folder, case.baudrate, case.readers)
    try:
        pds = [peers.reader(number, KEY) for number in range(case.readers)]
        settings = {f"r{n}": OsdpReader(address=n, key=SecretReference("env:K")) for n in range(case.readers)}
        async with running(Panel(folder / "cp", case.baudrate, settings, KEY)) as panel:
            await panel.settled(case.readers)
            times = [await one_card(panel, pds, number) for number in range(case.cards)]
        return times, *turn_rounds(peers.tap, case.character)
    finally:
        peers.close()


def present(pd: LibosdpReader, number: int) -> None:
    """At a random moment, by a thread: the loop's own timers fire together with what arrives from the wire."""
    time.sleep(random.uniform(0.05, 0.15))
    pd.tell(f"card {number:026b}")


async def one_card(panel: Panel, pds: list[LibosdpReader], number: int) -> float:
    chosen = random.randrange(len(pds))
    arrived = 0.0

    def note(event: object) -> None:
        nonlocal arrived
        if isinstance(event, CardRead):
            arrived = time.monotonic()

    panel.on_event = note
    await asyncio.to_thread(present, pds[chosen], number)
    card = await panel.expect(CardRead)
    if (card.reader, card.value) != (f"r{chosen}", number):
        raise SystemExit(f"presented {number} at r{chosen}, got {card.value} at {card.reader}")
    while (presented := await pds[chosen].hear("presented"))["kind"] != 1:
        pass  # the status that the reader reports when its channel comes up
    at: float = presented["t"]
    return (arrived - at) * 1000


def percentiles(times: list[float]) -> tuple[float, float]:
    """p50 and p99."""
    return statistics.median(times), statistics.quantiles(times, n=100)[98]


def report(case: Case, times: list[float], reader_turns: list[float], panel_turns: list[float]) -> None:
    half, nearly = percentiles(times)
    turn, slow_turn = percentiles(reader_turns)
    floor_half, floor_nearly = case.floor(0.5, turn), case.floor(0.99, slow_turn if case.readers == 1 else turn)
    theirs = LIBOSDP_PANEL.get(case.name, (0, 0))
    print(
        f"{case.name:>12}  p50 {half:6.1f} ms  floor {floor_half:6.1f}  ratio {half / floor_half:4.2f}   "
        f"p99 {nearly:6.1f} ms  floor {floor_nearly:6.1f}  ratio {nearly / floor_nearly:4.2f}   "
        f"({len(times)} cards; libosdp's panel {theirs[0]}/{theirs[1]} ms)\n"
        f"{'':>12}  turn-round of reader {turn:.1f}/{slow_turn:.1f} ms, of panel "
        f"{percentiles(panel_turns)[0]:.1f}/{percentiles(panel_turns)[1]:.1f} ms",
        flush=True,
    )


def rush(options: argparse.Namespace) -> int:
    """Both panels in one run; 1 when ours accepted fewer cards than libosdp's delivered."""
    print("OSDP, secure channel, cards at all readers of a paced bus: libosdp's panel and latchd's driver in turn")
    good = True
    for baudrate in options.baudrate:
        for readers in options.readers:
            for every in options.every or (STEADY, SHARED * readers):
                good = asyncio.run(compare(readers, baudrate, every, options.seconds)) and good
    return not good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--cards", type=int, default=100, help="cards in each case (default 100: a minute; 300 to judge by)"
    )
    parser.add_argument("--only", help='one case, such as "8 at 9600"')
    parser.add_argument("--part", choices=("floor", "rush"), help="one alone; both take 25 minutes")
    parser.add_argument("--seconds", type=float, default=25.0, help="of cards in each run of a rush")
    parser.add_argument("--readers", type=int, nargs="*", default=READERS)
    parser.add_argument("--baudrate", type=int, nargs="*", default=SPEEDS)
    parser.add_argument("--every", type=float, nargs="*", help="seconds between two cards at one reader")
    options = parser.parse_args()
    if options.part != "rush":
        floor(options)
    return 0 if options.part == "floor" else rush(options)


def floor(options: argparse.Namespace) -> None:
    """Our panel beside what the wire allows."""
    print("OSDP, secure channel, card to handler on a paced bus")
    for readers, baudrate in ((1, 9600), (8, 9600), (1, 115200)):
        case = Case(readers, baudrate, options.cards)
        if options.only in (None, case.name):
            with tempfile.TemporaryDirectory() as folder:
                report(case, *asyncio.run(measure(case, Path(folder))))


if __name__ == "__main__":
    sys.exit(main())
