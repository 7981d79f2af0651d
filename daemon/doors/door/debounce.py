"""Debounce of one input, and what a settled level means at a door.

A new level counts once it has been stable for the period (default 30 ms); a shorter one never happened.
Because the period is below 100 ms, a pulse of 100 ms is always seen, also when the caller was busy meanwhile:
a level that had settled before the next change is reported then, with the time at which it had.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from daemon.config.bounds import DEBOUNCE, Wiring
from daemon.doors.door.state import Contact, Signal
from drivers.events import InputState


@dataclass(frozen=True, slots=True)
class Input:
    """One input under way: what it settled on (``None``: nothing yet) and what it may settle on next."""

    period: float = DEBOUNCE.default
    settled: InputState | None = None
    candidate: InputState | None = None
    since: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a period that could miss a pulse of 100 ms."""
        try:
            DEBOUNCE.checked(self.period)
        except ValueError as error:
            raise ValueError(f"debounce: {error}") from None


@dataclass(frozen=True, slots=True)
class Settled:
    """The input has been ``state`` for the whole period, which ended at ``at``."""

    state: InputState
    at: float


def step(state: Input, raw: InputState | None, now: float) -> tuple[Input, tuple[Settled, ...]]:
    """Take a raw level, or with ``None`` only the time; at most two levels settle in one step."""
    state, earlier = _settle(state, now)
    if raw is None:
        return state, earlier
    if raw is state.settled:
        state = replace(state, candidate=None)
    elif raw is not state.candidate:
        state = replace(state, candidate=raw, since=now)
    state, later = _settle(state, now)
    return state, earlier + later


def deadline(state: Input) -> float | None:
    """When the candidate settles if nothing changes; ``None``: nothing is under way."""
    return None if state.candidate is None else state.since + state.period


def lost(state: Input) -> Input:
    """The device stopped answering: what the input is must be learnt again."""
    return replace(state, settled=None, candidate=None)


def _settle(state: Input, now: float) -> tuple[Input, tuple[Settled, ...]]:
    due = deadline(state)
    if state.candidate is None or due is None or due > now:
        return state, ()
    return replace(state, settled=state.candidate, candidate=None), (Settled(state.candidate, due),)


def contact_of(state: InputState, sense: Wiring) -> Contact:
    """The door contact; ``on`` is a closed circuit, which an NC contact has while the door is closed."""
    match state:
        case InputState.SHORT:
            return Contact.SHORT
        case InputState.OPEN:
            return Contact.LINE_OPEN
        case InputState.ON:
            return Contact.CLOSED if sense is Wiring.NC else Contact.OPEN
        case InputState.OFF:
            return Contact.OPEN if sense is Wiring.NC else Contact.CLOSED


def signal_of(state: InputState, sense: Wiring) -> Signal:
    """A REX, fire or tamper line; ``on`` is a closed circuit, which an NC line has while it is idle."""
    match state:
        case InputState.SHORT:
            return Signal.SHORT
        case InputState.OPEN:
            return Signal.LINE_OPEN
        case InputState.ON:
            return Signal.OFF if sense is Wiring.NC else Signal.ON
        case InputState.OFF:
            return Signal.ON if sense is Wiring.NC else Signal.OFF
