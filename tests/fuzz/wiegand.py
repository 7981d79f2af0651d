"""Wiegand: edges into frames, frames into cards.

The invariant of the edges: a frame is told only for 1 to 128 edges in an unbroken row of kernel numbers, each 0.1
to 20 ms from the next, and its bits are those of the edges in order of time. The invariant of the formats: bits
become a card of a format only if each of its parity and fixed bits is right, counted one by one.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from importlib import resources
from itertools import pairwise

from drivers.cards.formats import built_in_formats
from drivers.events import CardRead, KeyPress, ReadError
from drivers.wiegand.decode import Keypad, ReaderRules, interpret
from drivers.wiegand.frame import MAX_PENDING, Edge, Frame, FrameDecoder
from tests.fuzz.engine import Harness, Odds

GAPS = (2_000_000, 1_000_000, 300_000, 100_000, 99_999, 20_000_000, 20_000_001, 30_000_000, 5_000, 500_000)
"""Nanoseconds."""


class WiegandEdges(Harness):
    """Each byte is an edge: its bit, the gap before it, whether numbers jump, whether it is read too late."""

    name = "wiegand-edges"
    share = 3

    def corpus(self) -> Sequence[bytes]:
        card = bytes(n % 3 & 1 for n in range(26))
        return [
            card,
            card + bytes([7 << 1]) + card,
            bytes([0x20, 0x01, 0x40, 0x03]) + card,
            bytes(1 for _ in range(128)),
            bytes(2 for _ in range(200)),
            bytes([0x23] * 600),
        ]

    def feed(self, data: bytes) -> int:
        edges: list[Edge] = []
        now, seqno = 10**9, 2**32 - 20
        for byte in data:
            now += GAPS[(byte >> 1 & 15) % len(GAPS)]
            seqno += 1 + (byte & 0xE0 == 0xE0)
            edges.append(Edge(now, byte & 1, seqno % 2**32))
        order = sorted(range(len(edges)), key=lambda n: (n - 2 * (data[n] & 0x60 == 0x40), n))
        decoder = FrameDecoder()
        told = list(decoder.edges(edges[n] for n in order))
        assert len(decoder._pending) <= MAX_PENDING
        told += decoder.handle_deadline(now + 10**9)
        frames = [each for each in told if isinstance(each, Frame)]
        self._check(frames, edges)
        for each in told:
            interpret("r", each, ReaderRules(keypad=Keypad.BITS_8))
        return max(1, len(told))

    @staticmethod
    def _check(frames: list[Frame], edges: list[Edge]) -> None:
        by_end = {edge.timestamp_ns: at for at, edge in enumerate(edges)}
        for frame in frames:
            end = by_end[frame.at_ns]
            row = edges[end - frame.length + 1 : end + 1]
            assert 1 <= frame.length == len(row) <= 128
            assert frame.value == int("".join(str(edge.bit) for edge in row), 2)
            for before, after in pairwise(row):
                assert 100_000 <= after.timestamp_ns - before.timestamp_ns <= 20_000_000
                assert after.seqno == (before.seqno + 1) % 2**32
            for outer in edges[max(0, end - frame.length) : end - frame.length + 1] if end >= frame.length else []:
                assert row[0].timestamp_ns - outer.timestamp_ns >= 25_000_000
                assert row[0].seqno == (outer.seqno + 1) % 2**32


class WiegandFormats(Harness):
    """Two bytes of length, then the bits."""

    name = "wiegand-formats"
    share = 4

    def __init__(self) -> None:
        super().__init__()
        self._formats = built_in_formats()
        self._tables = json.loads(resources.files("drivers.cards").joinpath("formats.json").read_bytes())
        self._rules = [
            ReaderRules(),
            ReaderRules(formats=tuple(self._formats.values())),
            ReaderRules(keypad=Keypad.BITS_4),
            ReaderRules(keypad=Keypad.BITS_26, keypad_facility=7),
        ]
        self._chosen = [self._formats[name] for name in self._tables if self._formats[name].evidence]
        self.odds = {
            f"{layout.name}, {layout.evidence} bits": Odds(2.0**-layout.evidence) for layout in self._chosen
        }

    def corpus(self) -> Sequence[bytes]:
        found = []
        for layout in self._formats.values():
            value = layout.encode(1 if layout.facility else None, 3)
            found.append(layout.length.to_bytes(2, "big") + value.to_bytes(16, "big"))
        return found

    def feed(self, data: bytes) -> int:
        length = int.from_bytes(data[:2], "big") % 130
        value = int.from_bytes(data[2:18], "big") & ((1 << length) - 1)
        if not 1 <= length <= 128:
            return 1
        bits = f"{value:0{length}b}"
        found = {candidate.card.format for candidate in self._formats.candidates(length, value)}
        for layout in self._formats.values():
            if layout.length == length:
                assert (layout.name in found) == self._right(self._tables[layout.name], bits), layout.name
        rules = self._rules[data[0] % len(self._rules)]
        event = interpret("r", Frame(length, value, 0), rules)
        if isinstance(event, CardRead | ReadError):
            assert (event.length, event.value) == (length, value)
        else:
            assert isinstance(event, KeyPress)
            assert rules.keypad is not None
        return 1

    def measure(self, chance: random.Random) -> int:
        layout = chance.choice(self._chosen)
        value = chance.getrandbits(layout.length)
        self.odds[f"{layout.name}, {layout.evidence} bits"].note(layout.decode(value) is not None)
        return self.feed(layout.length.to_bytes(2, "big") + value.to_bytes(16, "big"))

    @staticmethod
    def _right(table: dict[str, object], bits: str) -> bool:
        """The checks of formats.json, read here by hand."""
        for check in table.get("checks", ()):  # type: ignore[attr-defined]  # plain JSON
            ones = int(bits[check["bit"]])
            for part in check["over"].split(","):
                first, _, last = part.partition("-")
                ones += bits[int(first) : int(last or first) + 1].count("1")
            if ones % 2 != (check["parity"] == "odd"):
                return False
        fixed = table.get("fixed", {})
        return all(bits[int(bit)] == str(one) for bit, one in fixed.items())  # type: ignore[attr-defined]  # plain JSON
