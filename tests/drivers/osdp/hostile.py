"""Buses to the byte under a fake clock, cards at honest readers, and how long each took: for tests of fairness."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from drivers.events import CardRead, DeviceEvent, DeviceOnline, ReadError
from drivers.osdp.bus import Bus
from drivers.osdp.messages import Reply
from drivers.osdp.session import Session
from drivers.osdp.settings import OsdpReader
from tests.drivers.osdp.panel import KEY, REQUIRED, entropy
from tests.peers.osdp_line import Line
from tests.peers.osdp_model import ModelReader, raw_card


@dataclass
class Cards:
    """Cards presented at readers of a line; ``waits`` are the seconds until each was accepted."""

    presented: dict[int, float] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
    refused: int = 0
    taken: set[int] = field(default_factory=set)

    def judge(self, events: Sequence[DeviceEvent]) -> None:
        for event in events:
            if isinstance(event, CardRead) and event.value in self.presented:
                self.taken.add(event.value)
                self.waits.append(event.at - self.presented[event.value])
            elif isinstance(event, ReadError):
                self.refused += 1

    @property
    def p50(self) -> float:
        return statistics.median(self.waits)

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.waits, n=100, method="inclusive")[98]


def line_of(
    models: Sequence[ModelReader],
    *,
    reader: OsdpReader = REQUIRED,
    baudrate: int = 9600,
    echo: bool = False,
    seed: int = 0,
    special: Callable[[int], OsdpReader | None] = lambda address: None,
) -> Line:
    """Readers r0, r1 … and the panel on a line that is accurate to the byte."""
    sessions = []
    for model in models:
        kind = special(model.address) or reader
        settings = OsdpReader(
            address=model.address,
            secure_channel=kind.secure_channel,
            key=kind.key,
            allow_cleartext=kind.allow_cleartext,
        )
        sessions.append(Session(f"r{model.address}", settings, [KEY], entropy()))
    return Line(Bus(sessions, baudrate), models, baudrate, seed=seed, echo=echo)


def up(line: Line, readers: int, seconds: float) -> Line:
    """The line once that many readers are online; they must be within ``seconds``."""
    events = line.run(seconds)
    online = {event.device for event in events if isinstance(event, DeviceOnline)}
    assert len(online) == readers, f"{len(online)} of {readers} readers are online"
    return line


_numbers = iter(range(1, 1 << 25))


def play(line: Line, models: Sequence[ModelReader], seconds: float, every: float, seed: int = 1) -> Cards:
    """A card at each of these readers every so many seconds, at moments of its own; and 3 s until all have
    come."""
    cards, chance = Cards(), random.Random(seed)
    for model in models:
        when = line.now + chance.uniform(0, every)
        while when < line.now + seconds:
            line.at(when, lambda model=model: _present(line, cards, model))
            when += every * chance.uniform(0.9, 1.1)
    cards.judge(line.run(seconds))
    cards.judge(line.run(3.0))
    return cards


def _present(line: Line, cards: Cards, model: ModelReader) -> None:
    number = next(_numbers)
    cards.presented[number] = line.now
    model.queue.append((Reply.RAW, raw_card(f"{number:026b}")))
