"""latchd's own GPIO drivers on a gpiochip of the kernel: Wiegand readers, relays and inputs.

Process 1 of a guest with one processor. Nothing of latchd is replaced: settings, DriverType, event loop, libgpiod.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from chip import SimulatedChip
from report import attempt, check, power_off, say
from wire import HELD_UP, Group, Played, frame, held_up, judge, play

from drivers.cards.formats import built_in_formats
from drivers.driver import Context, Driver, DriverType
from drivers.events import (
    CardRead,
    DeviceEvent,
    DeviceOffline,
    DeviceOnline,
    InputChanged,
    InputState,
    Point,
    Pulse,
    ReadError,
    SwitchOff,
    SwitchOn,
)  # fmt: skip
from drivers.gpio.settings import GpioChip, GpioInput, GpioOutput, WiegandReader
from drivers.registry import load
from drivers.wiegand.health import ERRORS_TO_CUT

LINES = {"front": (0, 1), "yard": (2, 3)}
CONTACT, REX, LOCK, SIREN = 4, 5, 6, 7
FRAMES = 220
"""For each of the two readers."""

LEAST, ROUNDS = 400, 4
"""Frames that have to be judged, and how often those are sent again that a host short of time has spoilt."""

PAUSE = (40_000, 60_000)
"""Microseconds between two frames of a reader; 25 000 end a frame."""

NOISY_PARTS = 3
"""With 20 cards a reader, 15 of them spoilt, and 20 bursts each: fewer errors than cut a line off."""

PATIENCE = 10.0


@dataclass
class Running:
    """A driver at work, and what it reported."""

    driver: Driver
    events: list[DeviceEvent] = field(default_factory=list)

    async def until(self, holds: Callable[[], bool]) -> bool:
        """Wait until it holds, or ``PATIENCE`` is over."""
        deadline = time.monotonic() + PATIENCE
        while not holds() and time.monotonic() < deadline:  # noqa: ASYNC110 - the chip's levels tell nobody
            await asyncio.sleep(0.01)
        return holds()

    def inputs(self, line: str) -> list[InputState]:
        """The states that an input was reported to have."""
        changes = (event for event in self.events if isinstance(event, InputChanged))
        return [event.state for event in changes if event.point.line == line]


def create(kind: DriverType, devices: dict[str, object]) -> Running:
    """A driver, made as the doors process makes it."""
    events: list[DeviceEvent] = []
    context = Context(emit=events.append, clock=time.monotonic, secret=lambda _: b"")
    return Running(kind.create(None, devices, context), events)


@asynccontextmanager
async def started(kind: DriverType, devices: dict[str, object]) -> AsyncIterator[Running]:
    """A driver that runs, with all its devices online at first."""
    running = create(kind, devices)
    task = asyncio.create_task(running.driver.run())
    try:
        online = await running.until(lambda: all(status.online for status in running.driver.status()))
        if not online:
            raise TimeoutError(f"devices are not online: {running.driver.status()}")
        yield running
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# ------------------------------------------------------------------ Wiegand


def values_to_send(chance: random.Random) -> dict[str, list[str]]:
    """For each reader: all lengths from 1 to 128 bits, the lengths of all formats again, and more."""
    lengths = [*range(1, 129), *(layout.length for layout in built_in_formats().values())]
    found = {}
    for reader in LINES:
        wanted = (lengths + chance.choices(range(20, 49), k=FRAMES))[:FRAMES]
        chance.shuffle(wanted)
        found[reader] = [f"{chance.getrandbits(length):0{length}b}" for length in wanted]
    return found


def clean_frames(values: Mapping[str, Sequence[str]], chance: random.Random) -> list[Group]:
    """These bits as frames, both readers at once."""
    groups = []
    for reader, frames in values.items():
        at = chance.randint(0, 20_000)
        for bits in frames:
            groups.append(frame(reader, bits, at, chance))
            at = groups[-1].edges[-1][0] + chance.randint(*PAUSE)
    return groups


def noisy_frames(chance: random.Random) -> list[Group]:
    """Cards of 26 bits with ringing, crosstalk or a stray edge beside them, and noise in between."""
    kinds = (ringing, crosstalk, stray, None)
    groups = []
    for reader in LINES:
        at = chance.randint(0, 20_000)
        for kind in itertools.islice(itertools.cycle(kinds), 60 // NOISY_PARTS):
            length, value = built_in_formats().encode("H10301", chance.getrandbits(8), chance.getrandbits(16))
            card = frame(reader, f"{value:0{length}b}", at, chance)
            if kind is not None:
                card.edges.append(kind(card, chance))
                card.noise = True
            groups.append(card)
            at = max(edge[0] for edge in card.edges) + chance.randint(*PAUSE)
            burst = Group(reader, noise(at, chance), noise=True)
            groups.append(burst)
            at = burst.edges[-1][0] + chance.randint(*PAUSE)
    return groups


def ringing(card: Group, chance: random.Random) -> tuple[int, int, int]:
    """A line that falls again right after a pulse."""
    start, bit, _ = chance.choice(card.edges)
    card.edges[:] = [(at, line, 20 if at == start else width) for at, line, width in card.edges]
    return start + 40, bit, 20


def crosstalk(card: Group, chance: random.Random) -> tuple[int, int, int]:
    """The other line falls a little with the one that is meant."""
    start, bit, _ = chance.choice(card.edges)
    return start + chance.randint(5, 30), 1 - bit, 20


def stray(card: Group, chance: random.Random) -> tuple[int, int, int]:
    """An edge some milliseconds before or after the card: on the wire it looks like one more bit."""
    at = chance.choice((card.edges[0][0] - 3_000, card.edges[-1][0] + chance.randint(3_000, 15_000)))
    return max(at, 0), chance.getrandbits(1), 30


def noise(at: int, chance: random.Random) -> list[tuple[int, int, int]]:
    """One edge alone, or up to 150 of them close together on both lines."""
    edges = []
    for _ in range(chance.choice((1, 1, 2, 5, 30, 150))):
        edges.append((at, chance.getrandbits(1), 15))
        at += chance.randint(40, 90)
    return edges


async def on_the_wire(
    chip: SimulatedChip, groups: list[Group], **rules: object
) -> tuple[Played, list[DeviceEvent]]:
    """Play groups while latchd reads; the figures of the wire, and what latchd reported."""
    readers = {name: WiegandReader(chip=chip.path, d0=d0, d1=d1, **rules) for name, (d0, d1) in LINES.items()}  # type: ignore[arg-type]  # the rules are settings
    async with started(load("wiegand"), dict(readers)) as running:
        played = await asyncio.to_thread(play, chip, LINES, groups)
        await asyncio.sleep(0.2)
        return played, [event for event in running.events if isinstance(event, CardRead | ReadError)]


def tell(name: str, played: Played, counts: Counter[str], wrong: list[str]) -> None:
    """The figures of a run; what is wrong is told in full."""
    figures = ", ".join(f"{number} {what}" for what, number in sorted(counts.items()))
    edges = sum(len(group.made) for group in played.groups)
    pulses = f"pulses {played.shortest_pulse:.0f} to {played.longest_pulse:.0f} µs"
    for line in wrong[:5]:
        say("note", name, line)
    judged = len(played.groups) - counts[HELD_UP]
    check(name, not wrong, f"{len(played.groups)} sent ({edges} edges, {pulses}), {judged} judged: {figures}")


def wiegand_of_all_lengths(chip: SimulatedChip) -> None:
    """At least 400 frames, two readers at once; what a host short of time has spoilt is sent again."""
    chance = random.Random(5)
    values = values_to_send(chance)
    total: Counter[str] = Counter()
    for _ in range(ROUNDS):
        played, events = asyncio.run(on_the_wire(chip, clean_frames(values, chance), shortest_card=1))
        counts, wrong = judge(played, events)
        tell("Wiegand, 1 to 128 bits, two readers at once", played, counts, wrong)
        total += counts
        judged = total.total() - total[HELD_UP]
        if wrong or judged >= LEAST:
            break
        again = [group for group in played.groups if held_up(group)]
        values = {reader: [group.bits for group in again if group.reader == reader] for reader in LINES}
    text = f"{total['identical']} of {judged}, 97 % of at least {LEAST} demanded"
    holds = judged >= LEAST and total["identical"] >= 0.97 * judged
    check("Wiegand: nearly all clean frames are read", holds, text)


def wiegand_with_noise(chip: SimulatedChip) -> None:
    """Noise in frames and between them; a driver of its own for each part, so that none has the line cut off."""
    chance = random.Random(6)
    clean, judged = 0, 0
    for _ in range(NOISY_PARTS):
        groups = noisy_frames(chance)
        played, events = asyncio.run(on_the_wire(chip, groups, formats=("H10301",), shortest_card=9))
        counts, wrong = judge(played, events)
        tell("Wiegand with noise edges", played, counts, wrong)
        bare = [group for group in groups if not group.noise]
        found, _ = judge(Played(bare, 0, 0), [event for event in events if within(event, bare)])
        clean += found["identical"]
        judged += len(bare) - found[HELD_UP]
    text = f"{clean} of {judged}"
    check("Wiegand: clean cards between noise are read", clean >= max(1, 0.9 * judged), text)


async def noise_without_end(chip: SimulatedChip) -> None:
    """A line that errs too often is reported and ignored, until it was quiet; then a card is read again."""
    chance = random.Random(7)
    d0, d1 = LINES["front"]
    reader = WiegandReader(chip=chip.path, d0=d0, d1=d1, formats=("H10301",), shortest_card=9)
    bursts = [
        Group("front", [(at + gap, gap // 60 % 2, 15) for gap in range(0, 600, 60)])
        for at in range(0, (ERRORS_TO_CUT + 20) * 50_000, 50_000)
    ]
    length, value = built_in_formats().encode("H10301", 7, 1234)
    async with started(load("wiegand"), {"front": reader}) as running:
        await asyncio.to_thread(play, chip, LINES, bursts)
        cut = await running.until(lambda: any(isinstance(event, DeviceOffline) for event in running.events))
        errors = sum(isinstance(event, ReadError) for event in running.events)
        check("Wiegand: endless noise is cut off", cut and errors == ERRORS_TO_CUT, f"{errors} reported")
        before = len(running.events)
        for _ in range(3):  # the silence that is asked for is as long as the patience
            if await running.until(lambda: any(isinstance(e, DeviceOnline) for e in running.events[before:])):
                break
        for _ in range(ROUNDS):
            await asyncio.to_thread(play, chip, LINES, [frame("front", f"{value:0{length}b}", 0, chance)])
            if await running.until(lambda: any(isinstance(e, CardRead) for e in running.events[before:])):
                break
        cards = [(e.length, e.value) for e in running.events[before:] if isinstance(e, CardRead)]
        check("Wiegand: and believed again when it is quiet", cards == [(length, value)], f"{len(cards)} read")


def within(event: DeviceEvent, groups: list[Group]) -> bool:
    """Whether a read belongs to one of the groups."""
    return isinstance(event, CardRead | ReadError) and any(
        event.reader == group.reader and group.made[0][0] / 1e9 <= event.at <= group.made[-1][1] / 1e9 + 0.002
        for group in groups
    )


# ------------------------------------------------------------------ relays and inputs


def board(chip: SimulatedChip) -> dict[str, object]:
    """The settings of a board with a lock, a siren that is active low, a contact and a request to exit.

    The lines that nobody drives are drawn to what means off by the board's own resistors, as docs/wiring.md asks.
    """
    chip.pull(LOCK, False)
    chip.pull(SIREN, True)
    settings = GpioChip(
        chip=chip.name,
        outputs={"lock": GpioOutput(line=LOCK), "siren": GpioOutput(line=SIREN, active_low=True)},
        inputs={"contact": GpioInput(line=CONTACT), "rex": GpioInput(line=REX, active_low=True, bias="pull_up")},
    )
    return {"cab": settings}


async def outputs(chip: SimulatedChip) -> None:
    """On when ordered, off at the end of a pulse, at the end of the driver, and at the start of the next."""
    lock = Point("cab", "lock")
    async with started(load("gpio"), board(chip)) as running:
        levels = chip.level(LOCK), chip.level(SIREN)
        check("GPIO outputs begin off, active low ones high", levels == (False, True), str(levels))
        running.driver.send(Pulse(lock, 0.3))
        began = time.monotonic()
        on = chip.level(LOCK)
        off = await running.until(lambda: not chip.level(LOCK))
        took = time.monotonic() - began
        check("a pulse of 0.3 s ends by itself", on and off and 0.29 <= took < 2, f"{took:.3f} s")
        running.driver.send(SwitchOn(lock))
        running.driver.send(SwitchOn(Point("cab", "siren")))
        levels = chip.level(LOCK), chip.level(SIREN)
        check("GPIO outputs are held", levels == (True, False), str(levels))
    levels = chip.level(LOCK), chip.level(SIREN)
    check("a driver that ends leaves its outputs off", levels == (False, True), str(levels))


async def inputs(chip: SimulatedChip) -> None:
    """What an input does is reported; after a storm of edges, what it says."""
    chip.pull(CONTACT, False)
    chip.pull(REX, False)  # in the way of the bias that is asked for: it must win
    async with started(load("gpio"), board(chip)) as running:
        chip.pull(CONTACT, True)
        chip.pull(REX, False)
        await running.until(lambda: bool(running.inputs("rex")[1:]))
        chip.pull(CONTACT, False)
        await running.until(lambda: bool(running.inputs("contact")[2:]))
        seen = running.inputs("contact"), running.inputs("rex")
        expected = [InputState.OFF, InputState.ON, InputState.OFF], [InputState.OFF, InputState.ON]
        check("GPIO inputs are reported, first as they are", seen == expected, str(seen))
        for level in itertools.islice(itertools.cycle((True, False)), 3001):
            chip.pull(CONTACT, level)
        await running.until(lambda: running.inputs("contact")[-1] is InputState.ON)
        states = running.inputs("contact")
        turns = all(before is not after for before, after in itertools.pairwise(states))
        last = states[-1] is InputState.ON and turns
        check("after 3001 changes without a pause the state is right", last, f"{len(states)} reported")


async def killed(chip: SimulatedChip) -> None:
    """kill -9 while the lock is held; the next start begins with it off."""
    holder = await asyncio.create_subprocess_exec(sys.executable, __file__, "hold", stdout=asyncio.subprocess.PIPE)
    assert holder.stdout is not None
    await holder.stdout.readline()
    held = chip.level(LOCK)
    refused = create(load("gpio"), board(chip))
    task = asyncio.create_task(refused.driver.run())
    await refused.until(lambda: any(isinstance(event, DeviceOffline) for event in refused.events))
    why = next((event.why for event in refused.events if isinstance(event, DeviceOffline)), "")
    check("a line that is taken is reported with its holder", 'held by "latchd cab"' in why, why)
    holder.kill()
    await holder.wait()
    after = chip.level(LOCK)
    again = await refused.until(lambda: any(isinstance(event, DeviceOnline) for event in refused.events))
    text = f"held {held}, right after the kill {after}, then {chip.level(LOCK)}"
    check("after kill -9 the next driver begins with the lock off", held and again and not chip.level(LOCK), text)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def unplugged(chip: SimulatedChip) -> None:
    """The chip vanishes while the lock is held, and returns under its name: that is told, and the lock is off."""
    async with started(load("gpio"), board(chip)) as running:
        running.driver.send(SwitchOn(Point("cab", "lock")))
        held = chip.level(LOCK)
        chip.unplug()
        gone = await running.until(lambda: any(isinstance(event, DeviceOffline) for event in running.events))
        running.driver.send(SwitchOff(Point("cab", "lock")))
        chip.replug()
        back = await running.until(lambda: sum(isinstance(event, DeviceOnline) for event in running.events) == 2)
        text = f"held {held}, gone {gone}, back {back}, lock {chip.level(LOCK)}"
        check("a chip that vanishes and returns is told of", held and gone and back, text)
        check("and its lock is off", not chip.level(LOCK))


async def hold(chip: SimulatedChip) -> None:
    """SwitchOn the lock until killed."""
    async with started(load("gpio"), board(chip)) as running:
        running.driver.send(SwitchOn(Point("cab", "lock")))
        print("held", flush=True)
        await asyncio.Event().wait()


def main() -> None:
    """All of it, and off."""
    if sys.argv[1:] == ["hold"]:
        asyncio.run(hold(SimulatedChip("door", 8)))
        return
    say("note", "guest", f"Linux {os.uname().release}, up {Path('/proc/uptime').read_text().split()[0]} s")
    chip = SimulatedChip("door", 8)
    for line in itertools.chain(*LINES.values()):
        chip.pull(line, True)
    attempt("Wiegand on a gpiochip", lambda: wiegand_of_all_lengths(chip))
    attempt("Wiegand with noise edges", lambda: wiegand_with_noise(chip))
    for name, test in (
        ("noise without end", noise_without_end),
        ("outputs", outputs),
        ("inputs", inputs),
        ("kill -9", killed),
        ("unplug", unplugged),
    ):
        attempt(f"GPIO: {name}", lambda test=test: asyncio.run(test(chip)))  # type: ignore[misc]  # bound at once
    power_off()


if __name__ == "__main__":
    main()
