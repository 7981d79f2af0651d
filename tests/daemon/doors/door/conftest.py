"""A bench for one door: feed it events in time, read off what it did in words."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cache.model import Mode, ModeCause
from daemon.doors.door.machine import deadline, start, step
from daemon.doors.door.state import (
    Contact,
    ContactRead,
    CountEntry,
    DoorConfig,
    DoorEvent,
    DoorState,
    Effect,
    Granted,
    Lock,
    ModeChanged,
    RecordEvent,
    RexRead,
    Signal,
    Timer,
    Unlock,
)


def word(effect: Effect) -> str:
    """One effect as a word: commands in capitals, events by name."""
    match effect:
        case Unlock(None):
            return "HOLD"
        case Unlock(seconds):
            return f"RELEASE {seconds:g}"
        case Lock():
            return "LOCK"
        case CountEntry(person):
            return f"COUNT {person}"
        case RecordEvent(event):
            return event.name.value


class Bench:
    """One door on a virtual clock. Every method answers with the words of what happened meanwhile."""

    def __init__(self, config: DoorConfig, held: bool = False) -> None:
        self.now = 1000.0
        self.state: DoorState = start(config, held=held)
        self.effects: list[Effect] = []

    def send(self, event: DoorEvent) -> list[str]:
        self.state, effects = step(self.state, event, self.now)
        due = deadline(self.state)
        assert due is None or due > self.now
        self.effects += effects
        return [word(effect) for effect in effects]

    def wait(self, seconds: float) -> list[str]:
        """Let time pass, serving every timer at its deadline."""
        end, words = self.now + seconds, []
        while (due := deadline(self.state)) is not None and due <= end:
            self.now = due
            words += self.send(Timer())
        self.now = end
        return words

    def grant(self, *people: str, extended: bool = False) -> list[str]:
        return self.send(Granted(people or ("ann",), "in", extended))

    def contact(self, state: str) -> list[str]:
        return self.send(ContactRead(Contact(state)))

    def rex(self, state: str = "on") -> list[str]:
        return self.send(RexRead(Signal(state)))

    def mode(self, mode: str, cause: str = "schedule") -> list[str]:
        return self.send(ModeChanged(Mode(mode), ModeCause(cause)))


@pytest.fixture
def bench() -> Callable[..., Bench]:
    """A door whose lines have been read: closed, REX idle. ``fresh``: not read; ``held``: after an alarm."""

    def make(fresh: bool = False, held: bool = False, **keys: object) -> Bench:
        door = Bench(DoorConfig(**({"name": "lobby", "rex_release": True} | keys)), held)  # type: ignore[arg-type]
        if not fresh and not held:
            assert door.contact("closed") == door.rex("off") == []
        return door

    return make
