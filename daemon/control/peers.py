"""Whose connection it is, asked of the machine's user database outside the loop, and remembered for a while."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from daemon.control.permissions import Peer, Permissions, Role, is_own
from daemon.errors import ControlError

FRESH = 5.0
"""Seconds for which an answer of the user database holds: so soon does a change of a user's groups count."""

KNOWN = 600.0
"""Seconds for which who had a right keeps it while the user database does not answer."""

WAIT = 2.0
"""Seconds to wait for the user database on behalf of an unknown user."""

WAIT_KNOWN = 0.3
"""Seconds to wait on behalf of one whose rights are known: an order must not wait for a slow server."""

REMEMBERED = 256
"""Users; more are forgotten, those without a right first."""

LOOKUPS = 2
"""Threads that ask the user database."""


@dataclass(frozen=True, slots=True)
class _Seen:
    peer: Peer
    at: float


class Peers:
    """The users of a control socket. Belongs to the loop; threads ask."""

    def __init__(self, permissions: Permissions) -> None:
        self.permissions = permissions
        self._threads = ThreadPoolExecutor(LOOKUPS, "users")
        self._seen: OrderedDict[tuple[int, int], _Seen] = OrderedDict()
        self._asked: dict[tuple[int, int], asyncio.Future[Peer]] = {}

    def close(self) -> None:
        """Ask no more. A question that hangs is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def fresh(self, uid: int, gid: int) -> Peer | None:
        """Who this is, if it was found out a short while ago."""
        seen = self._seen.get((uid, gid))
        return seen.peer if seen is not None and time.monotonic() - seen.at < FRESH else None

    def trusted(self, uid: int, gid: int) -> Peer | None:
        """Who this is, if a right of theirs is known: such a user waits for no one."""
        seen = self._seen.get((uid, gid))
        if seen is not None and seen.peer.role > Role.NONE and time.monotonic() - seen.at < KNOWN:
            return seen.peer
        return Peer(str(uid) if uid else "root", Role.OPERATOR, uid) if is_own(uid) else None

    async def find(self, uid: int, gid: int) -> Peer:
        """Who this is. ``ControlError`` if the user database does not answer and nothing is known."""
        fresh = self.fresh(uid, gid)
        if fresh is not None:
            return fresh
        trusted = self.trusted(uid, gid)
        try:
            question = asyncio.shield(self._ask(uid, gid))
            return await asyncio.wait_for(question, WAIT if trusted is None else WAIT_KNOWN)
        except TimeoutError:
            why = f"did not answer within {WAIT:g} s"
        except OSError as error:
            why = f"cannot be asked: {error.strerror}"
        if trusted is None:
            raise ControlError(f"the user database of this machine {why} (getent passwd {uid}); root may act")
        return trusted

    def _ask(self, uid: int, gid: int) -> asyncio.Future[Peer]:
        """One question for each user at a time, however often they connect."""
        key = (uid, gid)
        asked = self._asked.get(key)
        if asked is None:
            loop = asyncio.get_running_loop()
            asked = loop.run_in_executor(self._threads, self.permissions.peer, uid, gid)
            self._asked[key] = asked
            asked.add_done_callback(lambda done: self._answered(key, done))
        return asked

    def _answered(self, key: tuple[int, int], done: asyncio.Future[Peer]) -> None:
        self._asked.pop(key, None)
        if done.cancelled() or done.exception() is not None:
            return
        self._seen.pop(key, None)
        self._seen[key] = _Seen(done.result(), time.monotonic())
        while len(self._seen) > REMEMBERED:
            without = (key for key, seen in self._seen.items() if seen.peer.role is Role.NONE)
            self._seen.pop(next(without, next(iter(self._seen))))
