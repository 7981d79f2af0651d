"""Edges to frames: the right bits or no bits, whatever the kernel does to the events."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.wiegand.frame import MAX_PENDING, SILENCE_NS, BadFrame, Edge, Frame, FrameDecoder

MS = 1_000_000
START = 5_000 * MS
CARD = "00111010111011000000110010000110"[-26:]


def record(bits: str, start: int = START, seqno: int = 1, gap: int = 2 * MS) -> list[Edge]:
    """What a clean reader leaves in the kernel's buffer."""
    return [Edge(start + index * gap, int(bit), seqno + index) for index, bit in enumerate(bits)]


def play(edges: Sequence[Edge], chunk: int = 1 << 30) -> list[Frame | BadFrame]:
    """All frames of a recording that is read ``chunk`` edges at a time, and whose silence is over at the end."""
    decoder = FrameDecoder()
    done: list[Frame | BadFrame] = []
    for index in range(0, len(edges), chunk):
        done += decoder.edges(edges[index : index + chunk])
    deadline = decoder.deadline()
    if deadline is not None:
        done += decoder.handle_deadline(deadline)
    assert decoder.deadline() is None
    return done


def test_a_clean_frame() -> None:
    assert play(record(CARD)) == [Frame(26, int(CARD, 2), START + 25 * 2 * MS)]


def test_a_frame_is_over_only_after_its_silence() -> None:
    decoder = FrameDecoder()
    assert decoder.deadline() is None
    assert decoder.edges(record("101")) == ()
    last = START + 2 * 2 * MS
    assert decoder.deadline() == last + SILENCE_NS
    assert decoder.handle_deadline(last + SILENCE_NS - 1) == ()
    assert decoder.handle_deadline(last + SILENCE_NS) == (Frame(3, 5, last),)
    assert decoder.handle_deadline(last + 2 * SILENCE_NS) == ()


# A recording from two interrupt threads: D1's thread ran late, so its events stand behind D0's in the buffer.
# Read in that order the bits would be 0000 1111 0…; by time they are 0101 0110 …
OUT_OF_ORDER = [
    (9_000_000_000, 0, 41),
    (9_004_000_112, 0, 43),
    (9_008_000_090, 0, 45),
    (9_014_000_201, 0, 48),
    (9_002_000_031, 1, 42),
    (9_006_000_077, 1, 44),
    (9_010_000_120, 1, 46),
    (9_012_000_044, 1, 47),
]


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_edges_are_put_in_order_by_kernel_timestamp(chunk: int) -> None:
    edges = [Edge(*edge) for edge in OUT_OF_ORDER]
    assert play(edges, chunk) == [Frame(8, 0b01010110, 9_014_000_201)]


def test_merged_edges_are_refused_and_keep_their_bits() -> None:
    edges = record(CARD)
    del edges[12]  # two interrupts before the thread ran: the kernel reports one event, its number jumps by two
    (bad,) = play(edges)
    assert isinstance(bad, BadFrame)
    assert "lost or merged in this frame" in bad.why
    assert bad.length == 25
    assert bad.value == int(CARD[:12] + CARD[13:], 2)


def test_an_edge_lost_before_a_frame_refuses_it_and_the_next_is_good() -> None:
    decoder = FrameDecoder()
    done: list[Frame | BadFrame] = []
    for n, lost in enumerate((0, 1, 0)):
        decoder.edges(record(CARD, START + n * 500 * MS, 1 + n * 26)[lost:])
        done += decoder.handle_deadline(START + n * 500 * MS + 499 * MS)
    assert [type(frame) for frame in done] == [Frame, BadFrame, Frame]


def test_an_edge_missing_behind_a_frame_refuses_both_that_it_may_belong_to() -> None:
    first, second = record(CARD), record(CARD, START + 100 * MS, 27)
    frames = play([*first[:-1], *second])
    assert [type(frame) for frame in frames] == [BadFrame, BadFrame]


def test_a_straggler_of_a_finished_frame_is_refused_alone() -> None:
    decoder = FrameDecoder()
    first, second = record(CARD), record(CARD, START + 400 * MS, 27)
    decoder.edges(first[:-1])
    (cut,) = decoder.handle_deadline(START + 100 * MS)
    assert cut.length == 25  # a loop that was held up and did not feed what waited: the length tells
    decoder.edges(first[-1:])
    (straggler,) = decoder.handle_deadline(START + 200 * MS)
    assert straggler.length == 1
    decoder.edges(second)
    assert decoder.handle_deadline(START + 999 * MS) == (Frame(26, int(CARD, 2), second[-1].timestamp_ns),)


def test_sequence_numbers_wrap_round() -> None:
    edges = [
        Edge(edge.timestamp_ns, edge.bit, edge.seqno % (1 << 32)) for edge in record(CARD, seqno=(1 << 32) - 9)
    ]
    more = record(CARD, START + 200 * MS, 17)
    assert [type(frame) for frame in play([*edges, *more])] == [Frame, Frame]


@pytest.mark.parametrize(
    ("gap_ns", "why"),
    [(2_000, "2 µs apart"), (99_999, "at least 200 µs"), (20_000_001, "at most 20000 µs")],
)
def test_impossible_timing_is_refused(gap_ns: int, why: str) -> None:
    edges = record(CARD[:13]) + record(CARD[13:], START + 12 * 2 * MS + gap_ns, 14)
    (bad,) = play(edges)
    assert isinstance(bad, BadFrame)
    assert why in bad.why
    assert (bad.length, bad.value) == (26, int(CARD, 2))


def test_129_bits_are_no_card_and_128_are() -> None:
    assert play(record("1" * 128)) == [Frame(128, (1 << 128) - 1, START + 127 * 2 * MS)]
    (bad,) = play(record("1" * 129))
    assert isinstance(bad, BadFrame)
    assert (bad.length, bad.value) == (128, (1 << 128) - 1)


def test_noise_without_end_is_reported_once_and_bounded() -> None:
    decoder = FrameDecoder()
    done: list[Frame | BadFrame] = []
    edges = record("01" * 5000, gap=MS)
    for index in range(0, len(edges), 16):
        done += decoder.edges(edges[index : index + 16])
        assert len(decoder._pending) <= MAX_PENDING + 16
    assert len(done) == 1
    assert isinstance(done[0], BadFrame)
    end = edges[-1].timestamp_ns
    assert decoder.handle_deadline(end + SILENCE_NS) == ()
    decoder.edges(record(CARD, end + 100 * MS, 10_001))
    assert decoder.handle_deadline(end + 999 * MS) == (Frame(26, int(CARD, 2), end + 150 * MS),)


@settings(max_examples=150, deadline=None)
@given(
    bits=st.lists(st.text("01", min_size=1, max_size=128), min_size=1, max_size=4),
    gap=st.integers(200_000, 20 * MS),
    chunk=st.integers(1, 64),
    seed=st.integers(0, 1 << 32),
    first=st.integers(0, (1 << 32) - 1),
)
def test_any_frames_come_through_in_any_reading_order(
    bits: list[str], gap: int, chunk: int, seed: int, first: int
) -> None:
    decoder, seqno, now, done = FrameDecoder(), first, START, []
    for frame in bits:
        edges = [Edge(e.timestamp_ns, e.bit, e.seqno % (1 << 32)) for e in record(frame, now, seqno, gap)]
        random.Random(seed).shuffle(edges)
        # A short frame's events may be read in any order; of a long one a part must not look like silence.
        step = chunk if gap * len(frame) < SILENCE_NS else len(edges)
        for index in range(0, len(edges), step):
            done += decoder.edges(edges[index : index + step])
        now += gap * len(frame) + SILENCE_NS
        done += decoder.handle_deadline(now)
        seqno += len(frame)
    assert [f"{frame.value:0{frame.length}b}" for frame in done if isinstance(frame, Frame)] == bits
    assert len(done) == len(bits)


@settings(max_examples=200, deadline=None)
@given(
    bits=st.text("01", min_size=2, max_size=64),
    lost=st.sets(st.integers(1, 62), max_size=3),
    gaps=st.lists(st.integers(200_000, 2 * MS), min_size=64, max_size=64),
)
def test_a_frame_is_identical_or_refused_whatever_is_lost_inside(
    bits: str, lost: set[int], gaps: list[int]
) -> None:
    now, edges = START, []
    for index, bit in enumerate(bits):
        now += gaps[index]
        edges.append(Edge(now, int(bit), index))
    kept = [edge for index, edge in enumerate(edges) if index not in lost or index >= len(bits) - 1]
    (frame,) = play(kept)
    if len(kept) == len(bits):
        assert frame == Frame(len(bits), int(bits, 2), now)
    else:
        assert isinstance(frame, BadFrame)


edge = st.builds(Edge, st.integers(0, 1 << 34), st.integers(0, 1), st.integers(0, (1 << 32) - 1))


@settings(max_examples=100, deadline=None)
@given(batches=st.lists(st.lists(edge, max_size=80), max_size=10))
def test_no_edges_whatever_raise_or_grow(batches: list[list[Edge]]) -> None:
    decoder = FrameDecoder()
    for batch in batches:
        for frame in decoder.edges(batch):
            assert 1 <= frame.length <= 128
            assert 0 <= frame.value < 1 << frame.length
        assert len(decoder._pending) <= MAX_PENDING
    decoder.handle_deadline(1 << 40)
    assert decoder.deadline() is None


def test_bits_do_not_show_by_accident() -> None:
    assert "4711" not in repr(Frame(26, 4711, 0))
    assert "4711" not in repr(BadFrame(26, 4711, 0, "noise"))
