"""Whose turn it is on a bus, fair by time (SIA OSDP 2.2, 5.1: the panel alone decides who speaks).

Readers that answer as they should take *light* turns, all alike and in order. Everything else is a *heavy* turn:
a look for a reader that is missed, a step of a handshake, a frame sent again, a poll of a reader that takes long
to answer, and a question with the poll that follows it. Between two heavy turns each light reader has one of its
own, so that no card waits for more than a round and one heavy turn, whatever the others do. Who took long rests in
proportion before the next turn.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from drivers.osdp.member import Member
from drivers.osdp.states import SessionState
from drivers.osdp.timing import Pace

PROBE_PAUSE = 0.2
"""Least seconds between two looks for absent readers, whichever they are."""
HEAVY_SHARE, FRESH_SHARE = 4.0, 1.5
"""A step of a handshake may come before the round is over once the readers in service had this many times its
time: a long bus must come up, and the readers in service must keep the interval of their polls. The second is for
readers that were not tried yet."""
FRESH_PER_QUESTION = 4
"""Heavy turns for each question while there are such readers, or slow ones in service; else they alternate."""
LONGEST_STEP = 0.5
"""Seconds by which an interval may exceed twice the round that is known: a machine that slept makes no long
bus."""
BUSY_QUESTIONS = 3.0
"""Seconds between two questions on the whole bus while reads fill it: a question costs as much time as two
cards."""
HEAVY_WAIT = 0.5
"""Seconds, or two rounds, after which a slow reader in service goes before those that come up."""
FRESH_WAIT = 0.5
"""While no reader in service waits for longer than this, those that were never in service may have every other
turn: so a bus starts quickly."""
SLOW = 0.05
"""Seconds beyond what an ordinary exchange takes from which a turn is heavy."""
ORDINARY_CHARACTERS = 64
"""Characters of an ordinary answer: a card, a status or an identity under the secure channel, and the
turn-rounds."""
SLOW_FADES = 0.5
"""What one quick turn leaves of it: a machine that was busy for a moment makes no slow reader."""
REST = 2.0
LONG_REST = 4.0
"""Rests of who took long, in times of what it took beyond the ordinary: a slow answer, and one longer than any
that the standard allows."""
LONG = 0.25
MAX_REST = 1.5
PROBES_AFTER = 6
"""Steps of handshakes in a row after which a reader that was not found yet is looked for: a reader that is stuck
in its handshake hides no other."""


@dataclass(slots=True)
class Record:
    """What is known of one reader's turns."""

    began: float = float("-inf")
    regular: float = float("-inf")
    """When its last turn began that was none out of order."""
    rests_until: float = float("-inf")
    slow: float = 0.0
    """Seconds that its turns lately took beyond the ordinary; fades with each turn."""
    good: bool = False
    """Whether its last turn in service brought a good answer."""


M = TypeVar("M", bound=Member)


@dataclass(slots=True)
class Turns(Generic[M]):
    """The order of turns. All times are seconds of the monotonic clock."""

    sessions: list[M]
    """In the order of their next light turns."""
    pace: Pace = field(default_factory=Pace)
    _records: dict[str, Record] = field(default_factory=dict)
    _lights: int = 0
    """Light turns since the last heavy one."""
    _heavy_ready: float = float("-inf")
    _next_look: float = float("-inf")
    _setups: int = 0
    _last_setup: bool = False
    _asked_at: float = float("-inf")
    _unasked: int = 0
    """Heavy turns since the last question."""

    def record(self, session: M) -> Record:
        """What is known of a reader's turns."""
        return self._records.setdefault(session.name, Record())

    def forget(self) -> None:
        """The bus itself was away."""
        self._records.clear()
        self._lights, self._setups, self._last_setup = 0, 0, False
        self._next_look = self._heavy_ready = float("-inf")

    def due(self, session: M) -> float:
        """When the reader's next turn is wanted."""
        if session.patience.absent:
            return max(session.patience.due, self._next_look)
        return session.patience.due

    @property
    def round_over(self) -> bool:
        """Whether each reader that answers as it should had its turn since the last heavy one."""
        return self._lights >= sum(1 for session in self.sessions if self._light(session))

    def heavy_turn_over(self) -> None:
        """Another user of the line had it: a round begins."""
        self._lights = 0

    def choose(self, now: float) -> M | None:
        """Whose turn it is; it is on record as begun."""
        due = [session for session in self.sessions if self.due(session) <= now]
        if not due:
            return None
        chosen = _first(session for session in due if session.wants_relay)
        if chosen is None:
            chosen = _first(session for session in due if session.goes_on and self.record(session).slow < SLOW)
        self.pace.may_ask = False
        if chosen is not None:
            self.record(chosen).began = now
            if not chosen.answers:
                self._lights = 0
            return chosen
        chosen = self._choose(due, now)
        self._begin(chosen, now)
        return chosen

    def _choose(self, due: Sequence[M], now: float) -> M:
        light = [session for session in due if self._light(session)]
        heavy = [session for session in due if not self._light(session)]
        if not light:
            return self._heaviest(heavy, now) or min(heavy, key=lambda each: self.record(each).rests_until)
        ready = self._lights >= len(light) or now >= self._heavy_ready
        wants, self.pace.wants_to_ask = self.pace.wants_to_ask, False
        patient = FRESH_PER_QUESTION if any(self._matters(session) for session in heavy) else 1
        may_ask = ready and (not self.pace.busy or now >= self._asked_at + BUSY_QUESTIONS)
        asks = may_ask and wants and self._unasked >= patient
        if heavy and not asks and self._may_be_heavy(light, heavy, now):
            chosen = self._heaviest(heavy, now)
            if chosen is not None:
                self._unasked += 1
                return chosen
        self.pace.may_ask = may_ask
        return light[0]

    @staticmethod
    def _matters(session: Member) -> bool:
        """Whether its heavy turn is worth more than a question: it is in service, or comes up for the first
        time."""
        return session.fresh or session.step is SessionState.SERVE

    def _light(self, session: M) -> bool:
        return session.answers and self.record(session).slow < SLOW

    def _may_be_heavy(self, light: Sequence[M], heavy: Sequence[M], now: float) -> bool:
        if self._lights >= len(light) or now >= self._heavy_ready:
            return True
        waited = now - min(self.record(session).began for session in light)
        return not self._last_setup and waited < FRESH_WAIT and any(session.fresh for session in heavy)

    def _heaviest(self, heavy: Sequence[M], now: float) -> M | None:
        """Readers in service and those that come up in turn; a handshake that has begun goes on first."""
        rested = [session for session in heavy if self.record(session).rests_until <= now]
        serving = [session for session in rested if session.step is SessionState.SERVE]
        coming = [session for session in rested if session.step is not SessionState.SERVE]
        longest = min(serving, key=lambda session: self.record(session).began, default=None)
        if longest is not None:
            overdue = now - self.record(longest).began > max(HEAVY_WAIT, 2 * self.pace.round)
            if overdue or self._last_setup or not coming:
                return longest
        if not coming:
            return None
        if self._setups < PROBES_AFTER:
            begun = _first(session for session in coming if session.handshaking)
            if begun is not None:
                return begun
        fresh = _first(session for session in coming if session.fresh and not session.handshaking)
        return fresh or min(coming, key=lambda session: self.record(session).began)

    def _begin(self, chosen: M, now: float) -> None:
        record = self.record(chosen)
        serving = chosen.step is SessionState.SERVE
        if serving and record.good:
            self._measure(now - record.regular)
        record.began = record.regular = now
        self.sessions.remove(chosen)
        self.sessions.append(chosen)
        if chosen.patience.absent:
            self._next_look = now + PROBE_PAUSE
        if self._light(chosen):
            self._lights += 1
        else:
            self._lights = 0
        self._last_setup = not serving
        self._setups = self._setups + 1 if chosen.handshaking else 0 if not serving else self._setups

    def _measure(self, interval: float) -> None:
        interval = min(interval, 2 * self.pace.round + LONGEST_STEP)
        weight = 1 / (2 * len(self.sessions) + 2)
        self.pace.round += weight * (interval - self.pace.round)

    def ended(self, session: M, now: float, wire: float, character: float, *, good: bool) -> None:
        """A turn is over. ``wire``: seconds that its command took to send; ``good``: a good answer came."""
        record = self.record(session)
        took = max(0.0, now - record.began)  # in a recording that was changed, time may go back
        beyond = max(0.0, took - wire - ORDINARY_CHARACTERS * character)
        record.slow = max(beyond, SLOW_FADES * record.slow)
        record.good = good and session.step is SessionState.SERVE
        asked, self.pace.asked = self.pace.asked, False
        if asked:
            self._lights, self._unasked, self._asked_at = 0, 0, now
            self._heavy_ready = now + HEAVY_SHARE * 2 * took
        if beyond >= SLOW:
            rest = REST if beyond <= LONG else LONG_REST
            record.rests_until = now + min(MAX_REST, rest * beyond)
        if not session.answers or beyond >= SLOW:
            self._heavy_ready = now + (FRESH_SHARE if session.fresh else HEAVY_SHARE) * took
        fades = math.exp(-took / 2.0)
        self.pace.load = fades * self.pace.load + (0.0 if session.idle else 1.0 - fades)


def _first(sessions: Iterable[M]) -> M | None:
    return next(iter(sessions), None)
