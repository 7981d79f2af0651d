"""How late the loop of the doors was: what holds it up holds up every badge. Pure."""

from __future__ import annotations

SLOW = 0.05
"""Seconds that one turn of the loop may take before it is reported: whatever did it delays every badge."""

RECENT = 60.0
"""Seconds that count as recent; also from one report in the log to the next."""


class Lag:
    """The worst delay since the start and the worst of late; ``now`` is monotonic seconds."""

    def __init__(self) -> None:
        """Nothing was late yet."""
        self.worst = 0.0
        self._minute = [0.0, 0.0]
        self._turned = 0.0
        self._said = float("-inf")

    def note(self, seconds: float, now: float) -> bool:
        """A turn took, or a timer was late by, ``seconds``; whether that is to be logged."""
        self.worst = max(self.worst, seconds)
        self._turn(now)
        self._minute[0] = max(self._minute[0], seconds)
        if seconds <= SLOW or now - self._said < RECENT:
            return False
        self._said = now
        return True

    def recent(self, now: float) -> float:
        """The worst of the last one to two minutes."""
        self._turn(now)
        return max(self._minute)

    def _turn(self, now: float) -> None:
        if now - self._turned >= 2 * RECENT:
            self._minute, self._turned = [0.0, 0.0], now
        elif now - self._turned >= RECENT:
            self._minute, self._turned = [0.0, self._minute[0]], self._turned + RECENT
