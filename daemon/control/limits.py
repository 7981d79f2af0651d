"""How much of a control socket each user may have at once, and how often. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

MAX_CONNECTIONS = 64
"""At once; ``events --follow`` keeps one each."""

FOR_OPERATORS = 40
"""Of these, how many are for operators only."""

OF_ONE_VIEWER = 8
OF_ONE_OPERATOR = 24
"""At once, of one user. Two operators' scripts that went astray leave room for a third's order."""


@dataclass
class Slots:
    """The connections that are served now, by user and by whether they are an operator."""

    _taken: Counter[tuple[bool, int]] = field(default_factory=Counter)

    def take(self, uid: int, operator: bool) -> str | None:
        """Take one for this user; or say why there is none."""
        own, most = self._taken[operator, uid], OF_ONE_OPERATOR if operator else OF_ONE_VIEWER
        if own >= most:
            return f"{own} of your connections are open already, as many as one user may have; end one"
        total, operators = self._taken.total(), sum(n for (acts, _), n in self._taken.items() if acts)
        if total >= MAX_CONNECTIONS or (not operator and total - operators >= MAX_CONNECTIONS - FOR_OPERATORS):
            return f"{total} are connected already, as many as there may be; end one (`latchctl events --follow`)"
        self._taken[operator, uid] += 1
        return None

    def release(self, uid: int, operator: bool) -> None:
        """Give back the one that was taken."""
        self._taken[operator, uid] -= 1
        if self._taken[operator, uid] <= 0:
            del self._taken[operator, uid]


@dataclass
class Pace:
    """So many acts a second for each user, ``burst`` of them at once; ``now`` is monotonic seconds."""

    every: float
    """Seconds from one act to the next, in the long run."""

    burst: int = 1
    _due: dict[int | str, float] = field(default_factory=dict)

    def wait(self, who: int | str, now: float) -> float:
        """Seconds until the next turn of ``who``."""
        return max(0.0, self._due.get(who, now) - (self.burst - 1) * self.every - now)

    def turn(self, who: int | str, now: float) -> float:
        """Take the next turn of ``who``, and say in how many seconds it comes."""
        wait = self.wait(who, now)
        due = max(self._due.get(who, now), now)
        self._due = {other: when for other, when in self._due.items() if when > now}
        self._due[who] = due + self.every
        return wait

    def now(self, who: int | str, now: float) -> bool:
        """Whether it is the turn of ``who`` now, which is then taken."""
        return self.wait(who, now) <= 0 and self.turn(who, now) <= 0
