"""How old the cache is: the greater of two readings, so that setting the clock back never makes it younger. Pure.

The wall clock says how long ago the last complete sync ended; the monotonic clock says how long this process has
known of it, added to what was known when it began. A clock that was never set is no reading: then the monotonic
one counts, added to the age that the journal proves. Where the two disagree, the age survives a restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cache.model import ClockQuality, Freshness, Moment
from daemon.doors.controller.effects import Collected
from daemon.doors.door.durable import Durable
from daemon.doors.door.elapsed import Restart, Since, since

NAME = "cache.age"
"""Under which name the journal keeps the age, where the clocks disagree about it."""

AGREE = 2.0
"""Seconds by which two readings of one age may differ: the time until a sync is noticed, and what NTP slews."""


@dataclass(frozen=True, slots=True)
class LastSync:
    """The end of the last complete sync by its own word, and as old as it was when it was noticed. Durable."""

    synced_at: datetime
    generation: int
    began: Since


LAST_SYNC = Durable(LastSync)


class CacheAge:
    """The age of one cache while a process runs. Belongs to one thread."""

    def __init__(self, out: Collected) -> None:
        self._out = out
        self._last: LastSync | None = None
        self._stored: LastSync | None = None
        self._restart: Restart | None = None
        self._newest: datetime | None = None

    def start(self, stored: Mapping[str, str], restart: Restart, newest: datetime | None) -> None:
        """Take up what was known before; ``newest`` is the last instant known to have passed."""
        self._restart, self._newest = restart, newest
        try:
            self._stored = LAST_SYNC.load(stored[NAME]) if NAME in stored else None
        except ValueError:
            self._out.state[NAME] = None

    def note(self, freshness: Freshness, now: Moment) -> None:
        """Take note of a sync, and keep its age where the clocks have come to disagree about it."""
        synced_at, last = freshness.synced_at, self._last
        if synced_at is None:
            return
        if last is None or freshness.generation < last.generation or synced_at > last.synced_at:
            self._last = last = LastSync(
                synced_at, freshness.generation, since(now, self._age_then(synced_at, now))
            )
            self._restart = None
            if self._stored is not None:
                same = self._stored.synced_at == synced_at
                self._stored = last if same else None
                self._out.state[NAME] = LAST_SYNC.dump(last) if same else None
        wall = (now.utc - last.synced_at).total_seconds()
        if self._stored is None and abs(wall - last.began.elapsed(now)) > AGREE and _set(now):
            self._stored = last
            self._out.state[NAME] = LAST_SYNC.dump(last)

    def _age_then(self, synced_at: datetime, now: Moment) -> float:
        """How old a sync is that is noticed now: at a start also by what the journal proves."""
        ages = [0.0]
        if _set(now):
            ages.append((now.utc - synced_at).total_seconds())
        if self._restart is not None:
            if self._newest is not None:
                ages.append((self._newest - synced_at).total_seconds())
            if self._stored is not None and self._stored.synced_at == synced_at:
                ages.append(self._restart.at_most(self._stored.began).elapsed(now))
        return max(ages)

    def judged_at(self, freshness: Freshness, now: Moment) -> datetime:
        """The instant at which a cache of this freshness is as old as it is: what a policy is to be asked with."""
        synced_at, last = freshness.synced_at, self._last
        if synced_at is None:
            return now.utc
        wall = (now.utc - synced_at).total_seconds() if _set(now) else 0.0
        if last is None or freshness.generation < last.generation or synced_at > last.synced_at:
            return synced_at + timedelta(seconds=max(0.0, wall))
        wall = (now.utc - last.synced_at).total_seconds() if _set(now) else 0.0
        return synced_at + timedelta(seconds=max(wall, last.began.elapsed(now)))


def _set(now: Moment) -> bool:
    return now.quality is not ClockQuality.NEVER_SET
