"""Edges of two lines become frames of bits. Pure and sans-I/O; times are kernel timestamps in nanoseconds.

A reader pulls D0 low for a 0 and D1 low for a 1, so a falling edge is a bit. Two lines' events may be read
out of order, and a value put together in that order can pass its parity: the edges of a frame are therefore
sorted by kernel timestamp, and only when the frame is over. When the kernel merges or drops edges its
sequence numbers jump; a frame next to such a jump is refused.

Timing follows SIA AC-01 (Wiegand): pulses of 20 to 100 µs, 200 µs to 20 ms from one to the next.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from drivers.events import MAX_CARD_BITS

SILENCE_NS = 25_000_000
"""A frame is over when no edge came for this long: the longest pulse interval of AC-01 and a quarter more."""

LONGEST_GAP_NS = 20_000_000
"""AC-01: the longest pulse interval."""

SHORTEST_GAP_NS = 100_000
"""Half of AC-01's shortest pulse interval, as interrupt latency moves a timestamp; ringing is far below."""

MAX_PENDING = 4 * MAX_CARD_BITS
"""Edges stored of a frame that does not end: a bound, well beyond what the longest frame needs."""

_SEQUENCE = 1 << 32
"""The kernel's sequence numbers are 32 bits wide and wrap round."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A falling edge: when, which bit it stands for (D0: 0, D1: 1), and the kernel's number of it."""

    timestamp_ns: int
    bit: int
    seqno: int


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole frame of 1 to ``MAX_CARD_BITS`` bits, first bit most significant; ``at_ns`` is its last edge."""

    length: int
    value: int
    at_ns: int

    def __repr__(self) -> str:
        """The bits are a card number: they never reach a log by accident."""
        return f"Frame(length={self.length})"


@dataclass(frozen=True, slots=True)
class BadFrame:
    """Edges that make no frame, why in words, and their first ``MAX_CARD_BITS`` bits."""

    length: int
    value: int
    at_ns: int
    why: str

    def __repr__(self) -> str:
        """The bits may be a card number: they never reach a log by accident."""
        return f"BadFrame(length={self.length}, why={self.why!r})"


class FrameDecoder:
    """The frames of one reader. Feed edges as they are read, in any order, and call at the deadline.

    Before ``handle_deadline`` is called, edges that wait in the kernel must have been fed: a loop that was
    held up would otherwise cut a frame in two.
    """

    def __init__(self) -> None:
        self._pending: list[Edge] = []  # in order of time, without a silence inside
        self._expected: int | None = None
        self._flooded = False

    def edges(self, edges: Iterable[Edge]) -> tuple[Frame | BadFrame, ...]:
        """Take edges; frames come back that are over because a later edge shows it, or that never end."""
        groups = _split([*self._pending, *edges])
        if not groups:
            return ()
        *over, self._pending = groups
        done = [self._finish(group, after[0]) for group, after in zip(over, groups[1:], strict=True)]
        if len(self._pending) > MAX_PENDING:
            if not self._flooded:
                done.append(_bad(self._pending, "edges without end: noise, or a line that is no reader's"))
            self._flooded = True
            self._pending = self._pending[-1:]
        return tuple(frame for frame in done if frame is not None)

    def deadline(self) -> int | None:
        """When the frame that is under way is over, if no edge comes; ``None`` when there is none."""
        return self._pending[-1].timestamp_ns + SILENCE_NS if self._pending else None

    def handle_deadline(self, now_ns: int) -> tuple[Frame | BadFrame, ...]:
        """End the frame that is under way if its silence has lasted; ``now_ns`` is on the kernel's clock."""
        deadline = self.deadline()
        if deadline is None or now_ns < deadline:
            return ()
        group, self._pending = self._pending, []
        frame = self._finish(group, None)
        return () if frame is None else (frame,)

    def _finish(self, group: list[Edge], after: Edge | None) -> Frame | BadFrame | None:
        """Judge a group, knowing the edge after it if there is one; ``None`` for the rest of a reported flood."""
        expected = self._expected
        following = _after(group[-1])
        if expected is None or (following - expected) % _SEQUENCE < _SEQUENCE // 2:
            self._expected = following  # else a straggler of a frame that is over: it does not turn back
        if self._flooded:
            self._flooded = False
            return None
        why = _fault(group, expected)
        if not why and after is not None and after.seqno != following:
            why = "edges were lost or merged behind this frame"
        if why:
            return _bad(group, why)
        length, value = _bits(group)
        return Frame(length, value, group[-1].timestamp_ns)


def _split(edges: list[Edge]) -> list[list[Edge]]:
    """Sort edges by time and part them where the silence of a frame's end lies between two."""
    groups: list[list[Edge]] = []
    for edge in sorted(edges, key=lambda edge: edge.timestamp_ns):
        if not groups or edge.timestamp_ns - groups[-1][-1].timestamp_ns >= SILENCE_NS:
            groups.append([])
        groups[-1].append(edge)
    return groups


def _fault(group: list[Edge], expected: int | None) -> str:
    """What is wrong with a group of edges sorted by time, in words; empty when nothing is."""
    if expected is not None and group[0].seqno != expected:
        return "edges were lost or merged before this frame"
    for before, after in itertools.pairwise(group):
        gap = after.timestamp_ns - before.timestamp_ns
        if after.seqno != _after(before):
            return "edges were lost or merged in this frame"
        if gap < SHORTEST_GAP_NS:
            return f"two edges {gap // 1000} µs apart; a reader leaves at least 200 µs"
        if gap > LONGEST_GAP_NS:
            return f"two edges {gap // 1000} µs apart; a reader leaves at most 20000 µs"
    if len(group) > MAX_CARD_BITS:
        return f"{len(group)} bits; a card has at most {MAX_CARD_BITS}"
    return ""


def _after(edge: Edge) -> int:
    return (edge.seqno + 1) % _SEQUENCE


def _bits(group: list[Edge]) -> tuple[int, int]:
    """Length and value of the first ``MAX_CARD_BITS`` bits."""
    value = 0
    for edge in group[:MAX_CARD_BITS]:
        value = value << 1 | edge.bit
    return min(len(group), MAX_CARD_BITS), value


def _bad(group: list[Edge], why: str) -> BadFrame:
    length, value = _bits(group)
    return BadFrame(length, value, group[-1].timestamp_ns, why)
