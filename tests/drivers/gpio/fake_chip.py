"""A gpiochip without a kernel: what ``gpiod.request_lines`` would return, and the wires behind it.

It stands in for the line-request object only; settings, events and values are libgpiod's own types. What it
cannot show (interrupts, drive, bias) is shown on a real chip by the tests in the guest.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import gpiod
from gpiod.line import Direction, Edge, Value

RISING, FALLING = gpiod.EdgeEvent.Type.RISING_EDGE, gpiod.EdgeEvent.Type.FALLING_EDGE


@dataclass
class FakeRequest:
    """One request: its events wait in a list, and a byte in a pipe makes its descriptor readable."""

    chip: FakeChip
    config: Mapping[int, Any]
    consumer: str
    events: list[gpiod.EdgeEvent] = field(default_factory=list)
    seqno: int = 0

    def __post_init__(self) -> None:
        self.fd, self._writer = os.pipe()

    def wait_edge_events(self, timeout: float | None = None) -> bool:
        assert timeout == 0, "a driver never waits here"
        return bool(self.events) or self.chip.gone

    def read_edge_events(self, max_events: int | None = None) -> list[gpiod.EdgeEvent]:
        self.chip.check()
        os.read(self.fd, 4096)
        events, self.events = self.events, []
        return events

    def get_values(self, lines: list[int]) -> list[Value]:
        self.chip.check()
        return [Value(int(self.chip.levels.get(line, 0) ^ self.config[line].active_low)) for line in lines]

    def set_value(self, line: int, value: Value) -> None:
        self.chip.check()
        settings = self.config[line]
        assert settings.direction is Direction.OUTPUT
        self.chip.levels[line] = (value is Value.ACTIVE) ^ settings.active_low

    def release(self) -> None:
        os.close(self.fd)
        os.close(self._writer)
        self.chip.requests.remove(self)

    def push(self, *events: gpiod.EdgeEvent) -> None:
        """Let events wait in the kernel's buffer."""
        self.events += events
        self.wake()

    def wake(self) -> None:
        os.write(self._writer, b"!")


class FakeChip:
    """One chip at ``path``; physical levels are booleans, ``levels`` holds them by line."""

    def __init__(self, path: str = "/dev/gpiochip9") -> None:
        self.path = path
        self.levels: dict[int, bool] = {}
        self.requests: list[FakeRequest] = []
        self.gone = False
        self.error: OSError | None = None

    # ------------------------------------------------------------------ what the gpiod module offers

    def request_lines(
        self, path: str, config: Mapping[int, Any], consumer: str, event_buffer_size: int | None
    ) -> FakeRequest:
        if self.error is not None:
            raise self.error
        if self.gone or path != self.path:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if any(line in request.config for request in self.requests for line in config):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        assert len(consumer) < 32, "the kernel cuts longer names"
        request = FakeRequest(self, config, consumer)
        self.requests.append(request)
        for line, settings in config.items():
            if settings.direction is Direction.OUTPUT:
                request.set_value(line, settings.output_value)
        return request

    @contextlib.contextmanager
    def Chip(self, path: str) -> Iterator[FakeChip]:  # noqa: N802 - the name of the class in gpiod
        assert path == self.path
        yield self

    def get_line_info(self, offset: int) -> Any:
        holder = next((request for request in self.requests if offset in request.config), None)

        @dataclass
        class Info:
            offset: int
            used: bool
            consumer: str

        return Info(offset, holder is not None, holder.consumer if holder else "")

    # ------------------------------------------------------------------ the wires

    def check(self) -> None:
        if self.gone:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    def drive(self, line: int, level: bool, at_ns: int | None = None) -> None:
        """Put a wire to a level; whoever watches its edges is told, as the kernel would."""
        if self.levels.get(line, False) == level:
            return
        self.levels[line] = level
        for request in self.requests:
            settings = request.config.get(line)
            if settings is None or settings.direction is not Direction.INPUT:
                continue
            rising = level ^ settings.active_low
            if settings.edge_detection in (Edge.BOTH, Edge.RISING if rising else Edge.FALLING):
                request.seqno += 1
                stamp = time.monotonic_ns() if at_ns is None else at_ns
                kind = RISING if rising else FALLING
                request.push(gpiod.EdgeEvent(kind.value, stamp, line, request.seqno, request.seqno))

    def pulse_bits(self, d0: int, d1: int, bits: str, gap_ns: int = 2_000_000) -> None:
        """A Wiegand frame on two lines that idle high; its last edge is now, so that its silence begins."""
        start = time.monotonic_ns() - gap_ns * (len(bits) - 1)
        for index, bit in enumerate(bits):
            line = d1 if bit == "1" else d0
            self.drive(line, False, start + index * gap_ns)
            self.drive(line, True, start + index * gap_ns + 50_000)

    def unplug(self) -> None:
        self.gone = True
        for request in self.requests:
            request.wake()

    def replug(self) -> None:
        self.gone = False
