"""Outputs that follow a small programme in time: pulses, blinking, beeps. Timed by the loop, as GPIO cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator

Step = tuple[bool, float]
"""On or off, and for how many seconds."""


class OutputSequencer:
    """The outputs of one device. Each has a state of rest, to which it returns when its programme is over."""

    def __init__(self, write: Callable[[int, bool], None], lines: Iterable[int]) -> None:
        """``write`` switches a line; every line rests off at first."""
        self._write = write
        self._rest = dict.fromkeys(lines, False)
        self._timers: dict[int, asyncio.TimerHandle] = {}

    def play(self, line: int, steps: Iterable[Step], rest: bool) -> None:
        """Let ``line`` do ``steps`` from now on and then rest; what it did before ends."""
        self._stop(line)
        self._rest[line] = rest
        self._step(line, iter(steps))

    def note(self, line: int, rest: bool) -> None:
        """Only remember the state of rest: the line cannot be switched now."""
        self._rest[line] = rest

    def stop(self) -> None:
        """End all programmes where they are."""
        for line in tuple(self._timers):
            self._stop(line)

    def restore(self) -> None:
        """Put every line into its state of rest, as after an outage: no programme is made up for."""
        self.stop()
        for line, rest in self._rest.items():
            self._write(line, rest)

    def _step(self, line: int, steps: Iterator[Step]) -> None:
        self._timers.pop(line, None)
        on, seconds = next(steps, (self._rest[line], None))
        if seconds is not None:
            self._timers[line] = asyncio.get_running_loop().call_later(seconds, self._step, line, steps)
        self._write(line, on)

    def _stop(self, line: int) -> None:
        timer = self._timers.pop(line, None)
        if timer is not None:
            timer.cancel()
