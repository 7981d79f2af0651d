"""Wiegand frames as changes of level, played on a simulated chip, and what a reader made of them judged.

Judged against the wire as it really was: the player notes when each change was made. A group is all falling edges
between two silences: a frame, with or without noise, or noise alone.
"""

from __future__ import annotations

import itertools
import random
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chip import SimulatedChip

from drivers.events import CardRead, DeviceEvent, ReadError

PLAYER = Path(__file__).with_name("edges")
LONGEST_GAP_NS = 19_000_000
"""A pause in a group that is longer was the host's, which gave the guest no time: no reader sends so."""

HELD_UP = "held up by the host"

CLOSE_NS = 90_000
"""Edges surely this close (a reader leaves at least 200 µs) must be refused."""

MARGIN = 0.002
"""Seconds by which an event may be later than the last edge of its group."""


@dataclass(slots=True)
class Group:
    """Falling edges of one reader, by microseconds from the start and bit, and how long each pulse lasts."""

    reader: str
    edges: list[tuple[int, int, int]]
    noise: bool = False
    bits: str = ""
    made: list[tuple[int, int, int]] = field(default_factory=list)
    """Of each falling edge: nanoseconds before and after it was made, and its bit; in order of time."""


@dataclass(slots=True)
class Played:
    """The figures of a run on the wire."""

    groups: list[Group]
    shortest_pulse: float
    longest_pulse: float


def frame(reader: str, bits: str, start: int, chance: random.Random) -> Group:
    """A frame as a reader sends it: pulses of 20 to 200 µs, 1 to 2 ms from one to the next."""
    pulse, gap = chance.randint(20, 200), chance.randint(1000, 2000)
    return Group(reader, [(start + gap * i, int(bit), pulse) for i, bit in enumerate(bits)], bits=bits)


def play(chip: SimulatedChip, lines: dict[str, tuple[int, int]], groups: Sequence[Group]) -> Played:
    """Play the groups, each on the lines (D0, D1) of its reader, and note in them what was made."""
    offsets = sorted(line for pair in lines.values() for line in pair)
    changes = []
    for group in groups:
        for start, bit, pulse in group.edges:
            line = offsets.index(lines[group.reader][bit])
            changes += [(start, line, 0, group, bit), (start + pulse, line, 1, group, bit)]
    changes.sort(key=lambda change: change[:2])
    plan = "".join(f"{at} {line} {level}\n" for at, line, level, *_ in changes)
    done = subprocess.run(
        [PLAYER, *(chip.pull_file(line) for line in offsets)], input=plan, text=True, capture_output=True
    )
    if done.returncode:
        raise OSError(f"the player of edges failed: {done.stderr}")
    times = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    pulses, fallen = [], {}
    for (_, line, level, group, bit), (before, after) in zip(changes, times, strict=True):
        if level:
            pulses.append(before - fallen[line])
        else:
            fallen[line] = before
            group.made.append((before, after, bit))
    for group in groups:
        group.made.sort()
    return Played(list(groups), min(pulses) / 1000, max(pulses) / 1000)


def judge(played: Played, events: Iterable[DeviceEvent]) -> tuple[Counter[str], list[str]]:
    """Count what became of the groups; the second part says what is wrong, in words."""
    reads = [event for event in events if isinstance(event, CardRead | ReadError)]
    counts: Counter[str] = Counter()
    wrong = []
    for group in played.groups:
        first, last = group.made[0][0] / 1e9, group.made[-1][1] / 1e9
        mine = [e for e in reads if e.reader == group.reader and first <= e.at <= last + MARGIN]
        reads = [event for event in reads if event not in mine]
        if held_up(group):
            counts[HELD_UP] += 1
            continue
        verdict = verdict_on(group, mine)
        counts[verdict] += 1
        if verdict.startswith("WRONG"):
            wrong.append(f"{verdict}: {len(group.made)} edges, {mine}")
    if reads:
        counts["WRONG: read from nothing"] += len(reads)
        wrong.append(f"read from nothing: {reads[:3]}")
    return counts, wrong


def verdict_on(group: Group, reads: Sequence[CardRead | ReadError]) -> str:
    """What a reader made of one group."""
    wire = "".join(str(bit) for *_, bit in group.made)
    cards = [read for read in reads if isinstance(read, CardRead)]
    if not reads:
        return "WRONG: lost"
    if not cards:
        return "rejected"
    if len(reads) > 1 or f"{cards[0].value:0{cards[0].length}b}" != wire:
        return "WRONG: another card"
    if surely_close(group):
        return "WRONG: accepted though edges were too close"
    return "identical" if wire == group.bits else "read with the noise as a bit"


def held_up(group: Group) -> bool:
    """Whether the host has torn a group apart."""
    return any(after[1] - before[0] > LONGEST_GAP_NS for before, after in itertools.pairwise(group.made))


def surely_close(group: Group) -> bool:
    """Whether two edges were surely closer than any reader sends them."""
    return any(after[1] - before[0] < CLOSE_NS for before, after in itertools.pairwise(group.made))
