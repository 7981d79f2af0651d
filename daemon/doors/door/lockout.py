"""Lockouts: so many wrong PINs within a time refuse PINs for a time that grows. Pure.

One for each reader, and one for each credential over all readers. All of it is durations: while the process runs
only the monotonic clock counts, and over a restart the reading that keeps PINs refused for longer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cache.model import Moment
from daemon.config import bounds
from daemon.doors.door.elapsed import Restart, Since, since

LONGEST_LOCKOUT = 3600.0
"""Seconds; the time doubles with each lockout up to this, or to the configured time if that is longer."""

FORGET_LOCKOUT = 86400.0
"""Seconds after the last wrong PIN, after which the next lockout starts with the configured time again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockoutRules:
    """``after`` so many wrong PINs ``within`` seconds none is taken for ``seconds``; next time twice as long."""

    after: int = bounds.LOCKOUT_AFTER.default
    within: float = bounds.LOCKOUT_WITHIN.default
    seconds: float = bounds.LOCKOUT_FOR.default


@dataclass(frozen=True, slots=True)
class Lockout:
    """Wrong PINs at one reader, or of one credential. Durable: see daemon/doors/door/durable.py.

    ``misses`` are those that count still, ``times`` the lockouts of the last day, ``latest`` the last wrong PIN.
    From ``began`` on PINs are refused for ``seconds``.
    """

    misses: tuple[Since, ...] = ()
    times: int = 0
    latest: Since | None = None
    began: Since | None = None
    seconds: float = 0.0


def left(lockout: Lockout, now: Moment) -> float:
    """Seconds for which PINs are refused still; 0: they are taken."""
    return 0.0 if lockout.began is None else max(0.0, lockout.seconds - lockout.began.elapsed(now))


def missed(lockout: Lockout, rules: LockoutRules, now: Moment) -> tuple[Lockout, int]:
    """A wrong PIN. Also how many there were, where this one refuses all further ones; else 0."""
    misses = (*(one for one in lockout.misses if one.elapsed(now) < rules.within), since(now))
    recent = lockout.latest is not None and lockout.latest.elapsed(now) < FORGET_LOCKOUT
    times = lockout.times if recent else 0
    if len(misses) < rules.after:
        return Lockout(misses, times, since(now)), 0
    seconds = min(rules.seconds * 2.0 ** min(times, 32), max(rules.seconds, LONGEST_LOCKOUT))
    return Lockout((), times + 1, since(now), since(now), seconds), len(misses)


def unreadable(rules: LockoutRules, now: Moment) -> Lockout:
    """What stands for a lockout that cannot be read: the shortest one, from now."""
    return Lockout((), 1, since(now), since(now), rules.seconds)


def restarted(lockout: Lockout, restart: Restart) -> Lockout:
    """The same after a restart: nothing of it is older than what is certain."""
    return replace(
        lockout,
        misses=tuple(restart.at_least(one) for one in lockout.misses),
        latest=None if lockout.latest is None else restart.at_least(lockout.latest),
        began=None if lockout.began is None else restart.at_least(lockout.began),
    )


def forgotten(lockout: Lockout, now: Moment) -> bool:
    """Whether nothing of it counts any more."""
    return lockout.latest is None or lockout.latest.elapsed(now) >= max(FORGET_LOCKOUT, lockout.seconds)
