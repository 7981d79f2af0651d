"""From a card read to the relay: inside the doors process, and between the wires of a cabinet.

Prints, in the process: microseconds from the driver's event to the relay command in the driver's hands, through
the real lookup, rules, door and journal, on simulated hardware; compared with the bare SELECT of the credential.
On the wires, with an OSDP reader (9600 baud, secure channel) and a Modbus relay board (19200 baud) in processes of
their own on paced buses: milliseconds from the end of the reader's report to the start of the relay's frame, and
from the card in the reader to the relay, which waits for the reader's turn to be polled. Compared with what the
wire alone may take: the transaction that is on its way on the board's bus when the card comes.

    python benchmarks/read_to_relay.py
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from cache.keys import card_key
from drivers.events import Command, Pulse
from tests.daemon.simulated import Bench, card, running
from tests.demo.cabinet import Cabinet
from tests.demo.wire import BOARD_BAUD, read_to_relay

PEOPLE = 1_000
READS = 1_000
BADGES = 20
ADA = 1001
POLL = 8 + 6
"""Characters of a poll of the inputs and its answer."""
TURNAROUND = 0.004
POLL_INTERVAL = 0.02


async def in_process(bench: Bench) -> tuple[list[float], list[float]]:
    """Microseconds of each read, and of a bare SELECT."""
    took: list[float] = []
    plain: list[float] = []
    chance = random.Random(1)
    bare = sqlite3.connect(f"{(bench.state / 'cache.db').as_uri()}?mode=ro", uri=True, isolation_level=None)
    async with running(bench) as now:
        sent: list[float] = []
        send = now.sim.send

        def timed(command: Command) -> None:
            if isinstance(command, Pulse):
                sent.append(time.perf_counter())
            send(command)

        setattr(now.sim, "send", timed)  # noqa: B010 - one object's method, for the measurement
        for _ in range(READS):
            number = chance.randrange(1, PEOPLE)
            begin = time.perf_counter()
            now.sim.badge("lobby-in", *card(number))
            took.append((sent.pop() - begin) * 1e6)
            key = card_key(bench.key, *card(number))
            begin = time.perf_counter()
            bare.execute("SELECT * FROM credential WHERE key = ?", (key,)).fetchall()
            plain.append((time.perf_counter() - begin) * 1e6)
            await asyncio.sleep(0.005)
    bare.close()
    return took, plain


def on_the_wires(cabinet: Cabinet) -> tuple[list[float], list[float]]:
    """Milliseconds from report to relay frame, and from card to relay frame, of each badge."""
    wire: list[float] = []
    whole: list[float] = []
    chance = random.Random(1)
    moves = cabinet.peers["board"].lines
    for _ in range(BADGES):
        time.sleep(chance.uniform(0.1, 0.3))  # a card comes at any moment of the polling
        seen = len(moves)
        at = cabinet.badge(ADA)
        cabinet.peers["board"].wait_for("the relay on", switched(on=True), seen)
        found = None
        while found is None:
            assert time.monotonic() < at + 10, "the relay's frame was not seen on the wire"
            found = read_to_relay(cabinet.directory, at)
        wire.append(found * 1000)
        on = next(line for line in moves[seen:] if switched(on=True)(line))
        whole.append((on["t"] - at) * 1000)
        cabinet.peers["board"].wait_for("the relay off", switched(on=False), seen)
    return wire, whole


def switched(on: bool) -> Any:
    """Whether a line of the board tells that the lock's relay went on or off."""
    return lambda line: line.get("event") == "output" and line["output"] == 1 and bool(line["on"]) is on


def show(what: str, values: list[float], unit: str) -> tuple[float, float]:
    """One line; returns p50 and p99."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    print(f"  {what:<62}{cuts[49]:>9.1f} {unit}{cuts[98]:>9.1f} {unit}{max(values):>9.1f} {unit}")
    return cuts[49], cuts[98]


def main() -> None:
    """Measure both."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder, "bench"))
        bench.fill({f"p{number}": number for number in range(1, PEOPLE)})
        took, plain = asyncio.run(in_process(bench))
        print(f"{READS} reads, {PEOPLE} people{'p50':>50}{'p99':>12}{'worst':>12}")
        mine = show("event of the driver to relay command in the driver", took, "µs")
        select = show("for comparison: bare SELECT by key", plain, "µs")
        print(f"  {'ratio':<62}{mine[0] / select[0]:>9.1f}   {mine[1] / select[1]:>9.1f}")
        with Cabinet(Path(folder, "cabinet"), strike_time=1.0) as cabinet:
            cabinet.provision({"Staff": {"Ada": ADA}})
            cabinet.start_latchd()
            cabinet.wait_until("people", lambda: cabinet.status()["cache"]["people"] == 1)
            cabinet.wait_for_devices()
            wire, whole = on_the_wires(cabinet)
    print(f"\n{BADGES} badges on the wires")
    mine = show("end of the reader's report to start of the relay's frame", wire, "ms")
    show("card in the reader to relay on, as the board tells", whole, "ms")
    half, most = wire_alone(0.5) * 1000, wire_alone(0.99) * 1000
    alone = "the wire alone: what is left of a poll on its way, if any"
    print(f"  {alone:<62}{half:>9.1f} ms{most:>9.1f} ms")
    print(f"  {'ratio':<62}{mine[0] / half:>9.1f}   {mine[1] / most:>9.1f}")


def wire_alone(share: float) -> float:
    """Seconds that this share of all commands waits at most for the end of a poll, however fast latchd is."""
    poll = POLL * 10 / BOARD_BAUD + TURNAROUND + 3.5 * 11 / BOARD_BAUD
    busy = min(1.0, poll / POLL_INTERVAL)
    return max(0.0, share - (1 - busy)) / busy * poll


if __name__ == "__main__":
    main()
