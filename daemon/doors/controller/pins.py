"""The lockouts of PINs on a controller: by reader, and by credential over all readers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cache.model import Moment
from daemon.doors.controller.effects import Collected
from daemon.doors.door import lockout
from daemon.doors.door.durable import Durable
from daemon.doors.door.elapsed import Restart
from daemon.doors.door.lockout import Lockout, LockoutRules

LOCKOUT = Durable(Lockout)

PREFIX = "lockout."
"""Prefix of the names under which the journal keeps lockouts, followed by the reader or the credential."""

CREDENTIAL = "card:"
"""What comes before a credential's key: no reader has a colon in its name."""


@dataclass(frozen=True, slots=True)
class Locked:
    """PINs are refused until then, after so many wrong ones: by reader, by credential, or by both at once."""

    until: datetime
    wrong: int
    by: str


class PinGuard:
    """Counts wrong PINs and says whether PINs are taken. Belongs to one thread."""

    def __init__(self, rules: LockoutRules, out: Collected) -> None:
        self._rules = rules
        self._out = out
        self._lockouts: dict[str, Lockout] = {}

    def start(self, kept: Mapping[str, str], restart: Restart) -> list[str]:
        """Take up what survived; the names of what cannot be read, for which PINs are refused for a while."""
        damaged = []
        for name, text in sorted(kept.items()):
            if not name.startswith(PREFIX):
                continue
            try:
                known = lockout.restarted(LOCKOUT.load(text), restart)
            except ValueError:
                damaged.append(name)
                known = lockout.unreadable(self._rules, restart.now)
            self._keep(name.removeprefix(PREFIX), known, restart.now)
        return damaged

    def refused_until(self, reader: str, card: bytes | None, now: Moment) -> datetime | None:
        """When PINs are taken again, at this reader and after this card; ``None``: they are taken now."""
        known = [self._lockouts[name] for name in _names(reader, card) if name in self._lockouts]
        seconds = max((lockout.left(one, now) for one in known), default=0.0)
        return now.utc + timedelta(seconds=seconds) if seconds > 0 else None

    def missed(self, reader: str, card: bytes | None, now: Moment) -> Locked | None:
        """Count a wrong PIN for the reader and, after a card, for the credential."""
        locked: list[tuple[str, int]] = []
        for name in _names(reader, card):
            known, wrong = lockout.missed(self._lockouts.get(name, Lockout()), self._rules, now)
            self._keep(name, known, now)
            if wrong:
                locked.append(("credential" if name.startswith(CREDENTIAL) else "reader", wrong))
        until = self.refused_until(reader, card, now)
        if not locked or until is None:
            return None
        return Locked(until, max(wrong for _, wrong in locked), " and ".join(by for by, _ in locked))

    def expire(self, now: Moment) -> None:
        """Forget what counts no more."""
        for name in [name for name, known in self._lockouts.items() if lockout.forgotten(known, now)]:
            del self._lockouts[name]
            self._out.state[PREFIX + name] = None

    def _keep(self, name: str, known: Lockout, now: Moment) -> None:
        if lockout.forgotten(known, now):
            self._out.state[PREFIX + name] = None
            return
        self._lockouts[name] = known
        self._out.state[PREFIX + name] = LOCKOUT.dump(known)


def _names(reader: str, card: bytes | None) -> Iterator[str]:
    yield reader
    if card is not None:
        yield CREDENTIAL + card.hex()
