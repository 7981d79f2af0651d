"""How well a Wiegand line works: noise that is cut off before it can pass for a card, and exchanged lines. Pure.

A line picks up what couples into it. Edges at random become frames, and a frame of 26 random bits passes the
parity of H10301 once in four: a line that errs ``ERRORS_TO_CUT`` times within ``WINDOW`` is therefore not believed
at all, until it was quiet for ``QUIET``.
"""

from __future__ import annotations

from collections.abc import Sequence

from drivers.cards.layout import CardFormat
from drivers.events import (
    CardRead,
    DeviceAlarm,
    DeviceEvent,
    DeviceOffline,
    DeviceOnline,
    KeyPress,
    ReadError,
    ReadFault,
)

WINDOW = 60.0
ERRORS_TO_CUT = 50
"""Read errors within ``WINDOW`` seconds; no person badges so fast, and no honest reader errs so often."""
QUIET = 10.0
"""Seconds without a frame after which the line is believed again."""
SWAPPED = 3
"""Cards in a row that fail their parity and would pass it with D0 and D1 exchanged."""


class LineHealth:
    """One reader's line. Times are monotonic seconds."""

    def __init__(self, reader: str, formats: Sequence[CardFormat]) -> None:
        """``formats`` are those whose parity is checked; without them exchanged lines cannot be recognised."""
        self._reader = reader
        self._formats = formats
        self._errors: list[float] = []
        self._frame_at = 0.0
        self._swapped = 0
        self.cut = False

    def judge(self, event: CardRead | KeyPress | ReadError, now: float) -> list[DeviceEvent]:
        """Return what becomes of a frame: the event itself, what else is to be said, or nothing while cut off."""
        self._frame_at = now
        if self.cut:
            return []
        self._errors = [at for at in self._errors if now - at < WINDOW]
        if not isinstance(event, ReadError):
            self._swapped = 0
            return [event]
        self._errors.append(now)
        if len(self._errors) >= ERRORS_TO_CUT:
            self.cut = True
            why = (
                f"{ERRORS_TO_CUT} read errors within {WINDOW:g} s: the line is ignored until it is quiet for"
                f" {QUIET:g} s; check shield, ground and length of the D0 and D1 wires"
            )
            return [event, DeviceOffline(self._reader, now, why)]
        return [event, *self._exchanged(event, now)]

    def deadline(self) -> float | None:
        """When ``handle_deadline`` is to be called."""
        return self._frame_at + QUIET if self.cut else None

    def handle_deadline(self, now: float) -> list[DeviceEvent]:
        """Believe the line again if it was quiet."""
        deadline = self.deadline()
        if deadline is None or now < deadline:
            return []
        self.cut = False
        self._errors.clear()
        return [DeviceOnline(self._reader, now)]

    def _exchanged(self, error: ReadError, now: float) -> list[DeviceEvent]:
        if error.fault is not ReadFault.PARITY_ERROR:
            return []
        inverted = error.value ^ ((1 << error.length) - 1)
        fits = any(one.length == error.length and one.decode(inverted) is not None for one in self._formats)
        self._swapped = self._swapped + 1 if fits else 0
        if self._swapped != SWAPPED:
            return []
        what = (
            f"{SWAPPED} cards in a row fail their parity and would pass it with every bit inverted:"
            " D0 and D1 may be swapped, exchange the two wires"
        )
        return [DeviceAlarm(self._reader, now, what)]
