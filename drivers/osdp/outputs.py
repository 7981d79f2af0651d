"""A reader's outputs: what was ordered, and whether the reader says that they are (SIA OSDP 2.2, 7.8).

A reader may confirm OUT and then lose power for a moment, or have a relay that another wire switches. So what it
says is compared with what it has confirmed, but only where both are certain: not around the edges of a pulse.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from drivers.osdp.messages import TICK, OutputControl

EDGE = 1.0
"""Seconds around the end of a pulse in which either state is right: a reader's clock is no better than a percent,
and its answer was on the wire meanwhile."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """An output that is not in the state that was ordered."""

    line: str
    on: bool
    """What the reader says that it is."""
    lasting: bool
    """Whether it is wrong for good; a pulse that did not come is over before it could be sent again."""


@dataclass(frozen=True, slots=True)
class _Told:
    """The last command that the reader confirmed for one output; a pulse ends at ``until``."""

    on: bool
    until: float = float("inf")

    def expected(self, asked: float, answered: float) -> bool | None:
        """Whether it is on in an answer that left between these instants; ``None``: it may be either."""
        if not self.on or answered < self.until - EDGE:
            return self.on
        return False if asked > self.until + EDGE else None


class Outputs:
    """What one reader confirmed. All times are seconds of the monotonic clock."""

    def __init__(self) -> None:
        self._ordered: dict[int, _Told] = {}

    def confirmed(self, data: bytes, now: float) -> None:
        """The reader confirmed the OUT command of these ``data`` (``messages.output``)."""
        number, control, ticks = data[0], data[1], int.from_bytes(data[2:4], "little")
        until = now + ticks * TICK if control == OutputControl.PULSE_ON else float("inf")
        self._ordered[number] = _Told(control != OutputControl.OFF, until)

    def forget(self) -> None:
        """It may be another device."""
        self._ordered.clear()

    def next_look(self, now: float) -> float:
        """When the reader's answer can next tell something new; infinity while no pulse is under way."""
        ends = (one.until + 2 * EDGE for one in self._ordered.values())
        return min((end for end in ends if now < end), default=float("inf"))

    def compare(self, states: bytes, asked: float, answered: float) -> Iterator[Mismatch]:
        """What differs in OSTATR's ``states``, one byte for each output, 0 for off (7.8)."""
        for number, order in self._ordered.items():
            if number < len(states):
                expected, on = order.expected(asked, answered), states[number] != 0
                if expected is not None and expected is not on:
                    yield Mismatch(f"out{number}", on, on or order.until == float("inf"))
