"""A half-duplex line to the byte, as pure values under a fake clock: who talks at once garbles each other.

Panel and readers share one pair. A command takes its time on the wire before a reader hears it; an answer starts
``delay`` seconds later, whether or not the panel still listens, and reaches the panel in pieces. Bytes that are on
the wire at the same time are mixed (exclusive or), in both directions; with ``echo`` the panel's adapter hears
what it sends, as a half-duplex adapter without echo suppression does.

Readers are anything with ``address``, ``speed``, ``delay``, ``now`` and ``hear``; ``tests.peers.osdp_model`` has
one.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from drivers.events import DeviceEvent
from drivers.osdp.bus import Bus


class Speaker(Protocol):
    """A reader on the line."""

    address: int
    delay: float
    speed: int | None
    now: float

    def hear(self, data: bytes) -> bytes:
        """Bytes that passed on the line; what the reader says to them."""


@dataclass(frozen=True, slots=True)
class _Talk:
    """Somebody's bytes on the wire; the first begins at ``start``, one each ``character`` seconds."""

    who: int
    start: float
    data: bytes
    character: float

    def mixed_with(self, others: Sequence[_Talk]) -> bytes:
        """These bytes as a listener gets them."""
        out = bytearray(self.data)
        for other in others:
            if other is self or other.who == self.who:
                continue
            for at in range(len(out)):
                offset = (self.start + at * self.character - other.start) / other.character
                if -0.9 < offset < len(other.data) - 0.1:
                    out[at] ^= other.data[min(len(other.data) - 1, max(0, round(offset)))] or 0xA5
        return bytes(out)


PANEL = -1
PIECE = 7
"""Bytes that reach the panel at once."""


class Line:
    """Runs a bus against readers. ``sent`` and ``turns`` are what the panel said and when."""

    def __init__(
        self, bus: Bus, readers: Sequence[Speaker], baudrate: int = 9600, *, seed: int = 0, echo: bool = False
    ) -> None:
        self.bus = bus
        self.readers = list(readers)
        self.now = 1000.0
        self.echo = echo
        self.cut = False
        self.loss = 0.0
        self.sent: list[tuple[float, bytes]] = []
        self._character = 10 / baudrate
        self._random = random.Random(seed)
        self._talks: deque[_Talk] = deque(maxlen=64)
        self._todo: list[tuple[float, int, Callable[[], list[DeviceEvent]]]] = []
        self._count = 0

    def at(self, when: float, what: Callable[[], object]) -> None:
        """Do something at an instant of the run."""

        def act() -> list[DeviceEvent]:
            what()
            return []

        self._later(when, act)

    def run(self, seconds: float) -> list[DeviceEvent]:
        """Let time pass; what the panel reports meanwhile."""
        events: list[DeviceEvent] = []
        end = self.now + seconds
        while True:
            frame = self.bus.bytes_to_send(self.now)
            if frame:
                self._panel_says(frame)
            arrival = self._todo[0][0] if self._todo else float("inf")
            wake = max(self.now, min(arrival, self.bus.deadline()))
            if wake > end:
                self.now = end
                return events
            self.now = wake
            if arrival <= self.now:
                events += heapq.heappop(self._todo)[2]()
            else:
                events += self.bus.handle_deadline(self.now)

    def _later(self, when: float, what: Callable[[], list[DeviceEvent]]) -> None:
        self._count += 1
        heapq.heappush(self._todo, (when, self._count, what))

    def _panel_says(self, frame: bytes) -> None:
        self.sent.append((self.now, frame))
        character = 10 / self.bus.speed
        talk = _Talk(PANEL, self.now, frame, character)
        self._talks.append(talk)
        end = self.now + len(frame) * character
        speed = self.bus.speed
        if self.echo:
            self._deliver(talk)
        self._later(end, lambda: self._heard(talk, speed))

    def _heard(self, talk: _Talk, speed: int) -> list[DeviceEvent]:
        if self.cut:
            return []
        data = self._noisy(talk.mixed_with(list(self._talks)))
        for number, reader in enumerate(self.readers):
            if speed != (reader.speed or self.bus.baudrate):
                continue
            reader.now = self.now
            reply = reader.hear(data)
            if reply:
                self.say(number, reply, reader.delay)
        return []

    def say(self, number: int, data: bytes, delay: float = 0.0) -> None:
        """Let a reader say something on the line, ``delay`` seconds from now."""
        talk = _Talk(number, self.now + delay, data, self._character)
        self._talks.append(talk)
        self._deliver(talk)

    def _deliver(self, talk: _Talk) -> None:
        for first in range(0, len(talk.data), PIECE):
            last = min(len(talk.data), first + PIECE)

            def arrive(first: int = first, last: int = last) -> list[DeviceEvent]:
                if self.cut and talk.who != PANEL:
                    return []
                piece = self._noisy(talk.mixed_with(list(self._talks))[first:last])
                return self.bus.receive(piece, self.now) if piece else []

            self._later(talk.start + last * talk.character, arrive)

    def _noisy(self, data: bytes) -> bytes:
        if not self.loss:
            return data
        return bytes(byte for byte in data if self._random.random() >= self.loss)
