"""A recording of lines through the pure parts that make cards and inputs of them. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping

from drivers.events import DeviceEvent, DeviceOffline, DeviceOnline, InputChanged, InputState, Point
from drivers.recording import Kind, Line, Recording, RecordingError, Replayed
from drivers.wiegand.frame import BadFrame, Edge, Frame, FrameDecoder

_NS = 1_000_000_000


def replay_reader(
    recording: Recording,
    name: str,
    chip: str,
    bits: Mapping[int, int],
    interpret: Callable[[Frame | BadFrame], DeviceEvent],
) -> Iterator[Replayed]:
    """What a Wiegand reader's edges mean. ``bits``: which line stands for which bit."""
    decoder = FrameDecoder()
    for _, group in itertools.groupby(recording.lines, key=lambda line: (line.at, line.kind)):
        lines = list(group)
        now = int(lines[0].at * _NS)
        if (link := _link_event(lines[0], name, chip)) is not None:
            decoder = FrameDecoder()
            yield Replayed(lines[0], link)
        if lines[0].kind is Kind.STOP:
            return
        frames = decoder.edges(_bit(line, bits) for line in lines if line.kind is Kind.EDGE)
        # An edge is written down when it is read; the frame before it was over by then, unless it belongs to it.
        frames += decoder.handle_deadline(now)
        for frame in frames:
            yield Replayed(lines[0], interpret(frame))


def replay_board(recording: Recording, name: str, chip: str, points: Mapping[int, Point]) -> Iterator[Replayed]:
    """What a chip's inputs said."""
    known: dict[int, bool] = {}
    for line in recording.lines:
        reported: tuple[int, bool] | None = None
        if (link := _link_event(line, name, chip)) is not None:
            known.clear()
            yield Replayed(line, link)
        match line.kind:
            case Kind.STOP:
                return
            case Kind.EDGE:
                number, on, _, _ = _edge(line)
                reported = number, on
            case Kind.LEVEL:
                reported = _numbers(line, 2)[0], bool(_numbers(line, 2)[1])
        if reported is not None and known.get(reported[0]) is not reported[1] and reported[0] in points:
            known[reported[0]] = reported[1]
            state = InputState.ON if reported[1] else InputState.OFF
            yield Replayed(line, InputChanged(points[reported[0]], state, line.at))


def _link_event(line: Line, name: str, chip: str) -> DeviceEvent | None:
    if line.kind is Kind.OPEN:
        return DeviceOnline(name, line.at, chip)
    return DeviceOffline(name, line.at, "the lines are gone") if line.kind is Kind.CLOSE else None


def _edge(line: Line) -> tuple[int, bool, int, int]:
    number, level, timestamp_ns, seqno = _numbers(line, 4)
    return number, bool(level), timestamp_ns, seqno


def _bit(line: Line, bits: Mapping[int, int]) -> Edge:
    number, _, timestamp_ns, seqno = _edge(line)
    if number not in bits:
        raise RecordingError(f"line {line.number}: an edge of line {number}, which is none of the reader's")
    return Edge(timestamp_ns, bits[number], seqno)


def _numbers(line: Line, count: int) -> list[int]:
    words = line.words.split()
    if len(words) != count or not all(word.isascii() and word.isdigit() for word in words):
        raise RecordingError(f"line {line.number}: expected {count} numbers")
    return [int(word) for word in words]
