"""What all fuzz harnesses share: mutation, the loop with its fixed seed, and noise counted against mathematics.

A harness is one codec or session with its invariant. ``feed`` takes any bytes whatever and raises when the
invariant does not hold; the same ``feed`` serves the loop here, the slice in ``make test``, and atheris.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

INTERESTING = (0x00, 0x01, 0x53, 0x7F, 0x80, 0xFE, 0xFF)
LONGEST = 2048
"""Bytes of an input: longer than any frame of any wire."""


@dataclass(slots=True)
class Odds:
    """How often noise with a right beginning passed a check, beside the chance that mathematics gives it."""

    chance: float
    tried: int = 0
    passed: int = 0

    def note(self, passed: bool) -> None:
        self.tried += 1
        self.passed += passed

    @property
    def expected(self) -> float:
        return self.tried * self.chance

    @property
    def plausible(self) -> bool:
        """Within five standard deviations, and one more where next to nothing is expected."""
        return abs(self.passed - self.expected) <= 5 * math.sqrt(self.expected * (1 - self.chance)) + 1


class Harness:
    """One codec or session under fire."""

    name = ""
    share = 0
    """Of each 100 frames in all, how many are for this one; 0: it is no wire, and has inputs of its own."""

    def __init__(self) -> None:
        self.odds: dict[str, Odds] = {}

    def corpus(self) -> Sequence[bytes]:
        """Good inputs to be mutated."""
        raise NotImplementedError

    def feed(self, data: bytes) -> int:
        """Use ``data``; how many frames that was. Raises when the invariant does not hold."""
        raise NotImplementedError

    def measure(self, chance: random.Random) -> int:
        """Noise that the harness makes itself, to be counted in ``odds``; how many frames that was."""
        return self.feed(chance.randbytes(chance.randrange(64)))


class FoundError(Exception):
    """An input breaks an invariant. The message has what repeats it."""


def mutated(data: bytes, corpus: Sequence[bytes], chance: random.Random) -> bytes:
    """One to four changes: bits, bytes, pieces left out, doubled, inserted, or taken from another input."""
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.randint(1, 8))
        match chance.randrange(7):
            case 0 | 1 if at < len(data):
                data = data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
            case 2 if at < len(data):
                data = data[:at] + bytes([chance.choice(INTERESTING)]) + data[at + 1 :]
            case 3:
                data = data[:at] + chance.randbytes(end - at or 1) + data[at:]
            case 4:
                data = data[:at] + data[end:]
            case 5:
                data = data[:end] + data[at:]
            case 6:
                other = chance.choice(corpus)
                data = data[:at] + other[chance.randrange(len(other) + 1) :]
    return data[:LONGEST]


def run(harness: Harness, frames: int, seed: int) -> int:
    """Feed at least ``frames``: a quarter noise, a quarter measured noise, half mutants; how many inputs that was.

    Raises ``FoundError`` for the first input that breaks the invariant.
    """
    chance = random.Random(f"{harness.name} {seed}")
    corpus = harness.corpus()
    for data in corpus:
        feed(harness, data, seed)
    done = inputs = 0
    while done < frames:
        inputs += 1
        match chance.randrange(4):
            case 0:
                done += feed(harness, chance.randbytes(chance.randrange(128)), seed)
            case 1:
                done += _measure(harness, chance, seed)
            case _:
                done += feed(harness, mutated(chance.choice(corpus), corpus, chance), seed)
    return inputs


def _measure(harness: Harness, chance: random.Random, seed: int) -> int:
    try:
        return harness.measure(chance)
    except Exception as error:
        raise FoundError(
            f"{harness.name}, seed {seed}, measured noise: {type(error).__name__}: {error}"
        ) from error


def feed(harness: Harness, data: bytes, seed: int) -> int:
    """One input. Raises ``FoundError``, which says how it is repeated, when the invariant does not hold."""
    try:
        return harness.feed(data)
    except Exception as error:
        how = f"python -m tests.fuzz --only {harness.name} --input {data.hex()}"
        raise FoundError(f"{harness.name}, seed {seed}: {type(error).__name__}: {error}\n{how}") from error
