"""How long each driver holds up the loop at most, and what it costs while its devices are away.

Every driver with its peer on loopback, as in the conformance suite: cards, inputs, commands, then the port or the
devices gone for a second, and back; three rounds. Each callback of the loop is timed but the benchmark's own; the
limit is 5 ms. On a machine that has other work, the first figure is also how long the driver had to wait for
the processor; the second is what it used of it. The share is that of the whole process while everything is away.

    python benchmarks/holdups.py
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from daemon.processes.doors import settle_memory
from drivers.events import Buzz, Colour, Command, Led, Pulse, SwitchOff
from tests.drivers.conformance import DriverConformance, Rig, eventually, running
from tests.drivers.gpio.test_gpio_conformance import TestGpioBoard, TestWiegandReader
from tests.drivers.modbus.test_conformance import TestRtu, TestTcp
from tests.drivers.osdp.test_conformance import TestOsdp
from tests.drivers.sim.test_sim_conformance import TestSimulatedDriver

ROUNDS = 3
AWAY = 1.0
SUITES: dict[str, type[DriverConformance]] = {
    "osdp": TestOsdp,
    "modbus-rtu": TestRtu,
    "modbus-tcp": TestTcp,
    "wiegand": TestWiegandReader,
    "gpio": TestGpioBoard,
    "sim": TestSimulatedDriver,
}


@contextlib.contextmanager
def timed() -> Iterator[list[tuple[float, float]]]:
    """Seconds, and those of the processor, of each callback of the loop but the steps of the task that asks."""
    took: list[tuple[float, float]] = []
    run: Callable[[asyncio.Handle], None] = asyncio.Handle._run
    mine = asyncio.current_task()

    def run_timed(handle: asyncio.Handle) -> None:
        begin, used = time.perf_counter(), time.thread_time()
        run(handle)
        if getattr(handle._callback, "__self__", None) is not mine:  # type: ignore[attr-defined]  # as asyncio has it
            took.append((time.perf_counter() - begin, time.thread_time() - used))

    asyncio.Handle._run = run_timed  # type: ignore[assignment, method-assign]
    try:
        yield took
    finally:
        asyncio.Handle._run = run  # type: ignore[assignment, method-assign]


async def use(rig: Rig) -> None:
    """A little of everything."""
    commands: list[Command] = [Led(rig.reader, Colour.GREEN, 0.1), Buzz(rig.reader)] if rig.reader else []
    commands += [Pulse(rig.output, 0.05), SwitchOff(rig.output)] if rig.output else []
    for number in range(20):
        for command in commands:
            rig.driver.send(command)
        if rig.input:
            rig.set_input(number % 2 == 0)
        if rig.reader:
            rig.badge(26, number)
        await asyncio.sleep(0.02)


async def measure(rig: Rig) -> tuple[list[tuple[float, float]], float]:
    """What the callbacks took, and the processor's share while everything is away."""
    busy = 0.0
    with timed() as took:
        async with running(rig):
            for _ in range(ROUNDS):
                await use(rig)
                rig.unplug()
                await eventually(lambda: not rig.online())
                before = time.process_time()
                await asyncio.sleep(AWAY)
                busy += time.process_time() - before
                rig.replug()
                await eventually(lambda: rig.online() == rig.devices)
    return took, busy / (ROUNDS * AWAY)


def main() -> None:
    settle_memory()  # as the doors process does when it has started
    for name, suite in SUITES.items():
        with tempfile.TemporaryDirectory() as directory, suite().build(Path(directory)) as rig:
            took, share = asyncio.run(measure(rig))
        longest, used = (max(each[n] for each in took) * 1000 for n in (0, 1))
        print(
            f"{name:<11} longest of {len(took):>5,} callbacks {longest:6.2f} ms, of the processor {used:5.2f} ms;"
            f" while away {share:5.2%} of a processor"
        )


if __name__ == "__main__":
    main()
