"""How soon a Modbus board is right again when a fault is over: its outputs, and what is known of its inputs."""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from drivers.events import Point, SwitchOff, SwitchOn
from tests.drivers.conformance import eventually, running
from tests.drivers.modbus.rigs import build_libmodbus_board
from tests.drivers.modbus.test_peers import C_FAULTS, RTU_FAULTS, TCP_FAULTS, Peer, open_peer

RUNS = 3
PEERS = {"libmodbus": C_FAULTS, "pymodbus-rtu": RTU_FAULTS, "pymodbus-tcp": TCP_FAULTS}


async def since(begin: float, what: Callable[[], object]) -> float:
    """Seconds from ``begin`` until something is so."""
    while not what():  # noqa: ASYNC110  # another process's word: there is nothing to wait for
        await asyncio.sleep(0.002)
    return time.monotonic() - begin


async def recovery(here: Peer, fault: str, chance: random.Random, turn: int) -> tuple[float, float]:
    """Seconds until the outputs are right, and until the board is reported with its inputs."""
    on, off = (8, 1) if turn % 2 else (1, 8)
    wanted = [number == on for number in range(1, 9)]
    here.begin(fault)
    await asyncio.sleep(chance.uniform(0.2, 2.5))
    here.rig.driver.send(SwitchOn(Point("main", f"out{on}")))
    here.rig.driver.send(SwitchOff(Point("main", f"out{off}")))
    if fault in ("power", "port"):
        await eventually(lambda: not here.rig.online())
    await asyncio.sleep(chance.uniform(0.0, 0.5))
    begin = time.monotonic()
    here.end(fault)
    right = await since(begin, lambda: here.outputs() == wanted)
    return right, await since(begin, lambda: here.rig.online() == here.rig.devices)


async def measure(peer: AbstractContextManager[Peer], name: str, faults: tuple[str, ...]) -> None:
    chance = random.Random(1)
    with peer as here:
        async with running(here.rig):
            for fault in faults:
                took = [await recovery(here, fault, chance, turn) for turn in range(RUNS)]
                right, online = ([each[n] * 1000 for each in took] for n in (0, 1))
                print(
                    f"{name:<13} {fault:<10} outputs right after {statistics.median(right):4.0f} ms (p50),"
                    f" {max(right):4.0f} ms (longest of {RUNS}); online after {max(online):4.0f} ms",
                    flush=True,
                )


def main() -> None:
    for name, faults in PEERS.items():
        with tempfile.TemporaryDirectory() as folder:
            directory = Path(folder)
            peer = open_peer(name, directory, partial(build_libmodbus_board, directory))
            asyncio.run(measure(peer, name, faults))


if __name__ == "__main__":
    main()
