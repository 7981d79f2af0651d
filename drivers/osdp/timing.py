"""When to try again: how long to wait for a reader, and how often to look for one that is not there."""

from __future__ import annotations

from dataclasses import dataclass

REPLY_DELAY = 0.2
"""Seconds a reader may take to begin its answer, 5.7; the time of the bytes on the wire comes on top."""
QUICK_DELAY = 0.04
"""The most for a reader that is missed or absent, so that looking for it costs the others little."""
SHORTEST_DELAY = 0.01
"""The least for it: twice what the reader has lately needed, and not less than this."""
FULL_LOOK = 30.0
"""Seconds until it has its full time again: another one, that is slow, may stand in its place."""
FADING = 0.99
"""What one answer leaves of how slow the reader was before: half is forgotten after 69 answers."""
OFFLINE_AFTER = 2.0
"""Seconds without a good answer until a reader is offline, or two rounds of the bus where they take longer. The
standard's 8 s (5.7) are when a reader may forget its session; who stands at the door knows earlier."""
ROUNDS_OFFLINE = 2.0
ROUNDS_MISSED, ROUNDS_QUEUED = 2.5, 4.0
"""Rounds in which a reader may not have been polled, and that a read may have waited in a reader that was, where
the bus is so long that ``queued_limit`` is shorter."""
BUSIEST_LOAD = 0.5
"""Share of the time for cards and commands above which lights, sounds and texts are left out: reads come first."""
QUESTION_ROUND = 0.3
"""Seconds: where a round takes longer, questions come less often in proportion, or they would fill the bus."""
QUICK_INTERVAL = 0.4
"""Seconds between looks for an absent reader: with the handshake it is back within a second of its return."""
REFUSED_INTERVAL = 0.5
"""Seconds between questions who is there while a reader is refused: one that was away may be another one now."""
RETRY_PAUSE = 0.3
"""Seconds between attempts once a reader has missed several."""
BUSY_PAUSE = 0.05
"""Seconds until a reader that was busy is asked again, 7.19."""
BACK_OFF = (1.0, 10.0)
"""First and longest pause between full-length looks for a reader that was never heard."""
SLOW_LOOK = 1.5
"""Seconds between full-length looks for an absent reader that needs them: it was heard, and was slow."""
REFUSED_PAUSE = 1.2
"""Seconds until the key of a reader that was refused is tried again."""
ATTEMPTS = 8
"""How often a frame is sent until the session is begun again: the reader may have lost it and keep silent. So its
answer, with a card in it, can be had again for nearly two seconds, and such a reader is back within two."""
IMMEDIATE_ATTEMPTS = 4
"""How many of them follow each other without a pause: noise is short, an unplugged reader is not."""
RESTART_AFTER = 1.6
"""Seconds after which the session is begun again though fewer attempts were made: turns are rare on a long bus."""


@dataclass(slots=True)
class Pace:
    """How fast the bus goes, as lately measured; all its readers share it."""

    round: float = 0.0
    """Seconds between two turns of a reader in service."""
    load: float = 0.0
    """Share of the time that goes to anything but polls without news, 0 to 1."""
    may_ask: bool = True
    """Whether the reader whose turn it is may be asked a question: they have a share of the time like
    handshakes."""
    wants_to_ask: bool = False
    """Whether one was not allowed to."""
    asked: bool = False
    """Whether one was asked in the turn that was begun last."""

    @property
    def offline_after(self) -> float:
        """Seconds without a good answer until a reader is offline."""
        return max(OFFLINE_AFTER, ROUNDS_OFFLINE * self.round)

    def read_limit(self, configured: float, *, polled: bool) -> float:
        """Seconds that a read may have waited in its reader; ``polled``: one that was polled all the while."""
        return max(configured, (ROUNDS_QUEUED if polled else ROUNDS_MISSED) * self.round)

    @property
    def busy(self) -> bool:
        """Whether lights, sounds and texts are to be left out."""
        return self.load > BUSIEST_LOAD

    def stretched(self, interval: float) -> float:
        """An interval between questions, longer where the bus is long."""
        return interval * max(1.0, self.round / QUESTION_ROUND)


class RetryTimer:
    """The pauses of one reader. ``due`` is when its next turn is wanted, in seconds of the monotonic clock.

    A reader that is waited for holds up the whole bus. So one that has always answered quickly is waited for in
    full length only once when it is missed, and then every half a minute; its other turns are short looks.
    """

    def __init__(self, reply_time: float = REPLY_DELAY) -> None:
        self._reply_time = reply_time
        self.answers = 0
        self.due = float("-inf")
        self.absent = False
        """Offline and silent: its turns are only looks for it, short ones with a full-length one now and then."""
        self._full_at = float("-inf")
        self._back_off = BACK_OFF[0]
        self._looks = 0
        self._slowest: float | None = None
        self._short = False
        """Whether its last turn was a short look: that it found nothing says nothing of the full length."""
        self._refused_until = float("-inf")

    def reply_delay(self, now: float) -> float:
        """Seconds that the answer may take to begin."""
        self._short = now < self._full_at
        if not self._short:
            return self._reply_time
        return QUICK_DELAY if self._slowest is None else min(QUICK_DELAY, max(SHORTEST_DELAY, 2 * self._slowest))

    def answered(self, delay: float) -> None:
        """A good answer began ``delay`` seconds after the question: the next one may take its full time again."""
        self.answers += 1
        self._slowest = max(delay, FADING * (self._slowest or 0.0))
        self._full_at = float("-inf")
        self._short = False

    def missed(self, attempts: int, now: float, *, silent: bool = True) -> None:
        """A frame got no good answer for the ``attempts``-th time: at once again, then with pauses."""
        if not silent:
            self._full_at = float("-inf")  # who answers, if only garbled, is there and gets its full time
        elif self._quick and now >= self._full_at and not self._short:
            self._full_at = now + FULL_LOOK
        self.due = now if attempts < IMMEDIATE_ATTEMPTS else now + RETRY_PAUSE

    def not_found(self, now: float, *, offline: bool, silent: bool = True) -> None:
        """A look for the reader found nothing, or nothing that could be understood."""
        self._refused_until = float("-inf")
        if not offline:
            self._looks += 1
            self.missed(self._looks, now, silent=silent)
            return
        if not silent:
            self._full_at = float("-inf")
        elif now >= self._full_at and not self._short:
            self._full_at = now + self._full_look()
        self.absent = True
        self.due = now + QUICK_INTERVAL

    def found(self) -> None:
        """The reader answers."""
        self.absent = False
        self._looks = 0

    def refused(self, now: float) -> None:
        """The reader is there and must not be used: tried again after a pause."""
        self._refused_until = now + REFUSED_PAUSE
        self.due = now + REFUSED_INTERVAL

    def still_refused(self, now: float) -> bool:
        """Whether it was refused just now and has been there ever since: it is only looked at."""
        if now >= self._refused_until:
            return False
        self.due = min(now + REFUSED_INTERVAL, self._refused_until)
        return True

    def stranger(self) -> None:
        """Another device answers: reset the back-off."""
        self._refused_until = float("-inf")

    def in_service(self, now: float, *, proved: bool = True) -> None:
        """All is well: ready for its turn, and once it is ``proved`` the pauses begin small the next time."""
        self.due = now
        if proved:
            self._back_off = BACK_OFF[0]

    def look_now(self, now: float) -> None:
        """It was heard after its time: there and slow, so it gets its full time."""
        self._full_at, self._slowest = float("-inf"), None
        if self.absent:
            self.due = now

    def forget(self) -> None:
        """Everything starts again at once: the bus itself was away."""
        self.absent = False
        self._full_at = self._refused_until = self.due = float("-inf")
        self._back_off = BACK_OFF[0]

    @property
    def slowest(self) -> float:
        """Seconds of its slowest answer lately."""
        return self._slowest or 0.0

    @property
    def _quick(self) -> bool:
        """Whether a short look is enough for it."""
        return self._slowest is not None and 2 * self._slowest <= QUICK_DELAY

    def _full_look(self) -> float:
        """Seconds until the next full-length look for it."""
        if self._slowest is None:
            return self._next_back_off()
        return FULL_LOOK if self._quick else SLOW_LOOK

    def _next_back_off(self) -> float:
        pause, self._back_off = self._back_off, min(2 * self._back_off, BACK_OFF[1])
        return pause
