"""A conversation of the pure part with the server, carried to its end or given up at its deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from daemon.scim.exchange import Fetch, OutageError, OutageKind
from daemon.sync.connections import Connections
from daemon.sync.http import Deadline, ScimHttp

T = TypeVar("T")

LOOK = 0.25
"""Seconds between two looks at the deadlines."""

GRACE = 10.0
"""Seconds beyond the deadline after which a conversation is given up that even a cut connection does not end: one
that reckons, or waits for a name server. ``timeout`` + 30 s is promised."""


def drive(fetch: Fetch[T], http: ScimHttp, deadline: Deadline) -> T:
    """Carry a conversation of the pure part to its end: requests out, answers or outages in."""
    try:
        request = next(fetch)
        while True:
            try:
                response = http.get(request, deadline)
            except OutageError as error:
                request = fetch.throw(error)
            else:
                request = fetch.send(response)
            deadline.left()  # reckoning counts, too
    except StopIteration as end:
        result: T = end.value
        return result


@dataclass(slots=True)
class _Answer(Generic[T]):
    """What a thread found out, or why it did not."""

    done: threading.Event = field(default_factory=threading.Event)
    found: list[T] = field(default_factory=list)
    failed: BaseException | None = None

    def run(self, work: Callable[[], T]) -> None:
        try:
            self.found.append(work())
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
            self.failed = error
        finally:
            self.done.set()


def within(work: Callable[[], T], deadline: Deadline, connections: Connections, stopped: Callable[[], bool]) -> T:
    """Return what ``work`` returns or raises, but wait no longer than ``GRACE`` beyond the deadline.

    ``work`` runs in a thread of its own. Its connections are cut when an answer takes too long, at the deadline,
    and when the program ends (``stopped``). A thread that goes on all the same is left to itself: it has nothing
    that others use, and ends at its next request. Raises ``OutageError`` then.
    """
    answer: _Answer[T] = _Answer()
    threading.Thread(target=answer.run, args=(work,), name="fetch", daemon=True).start()
    while not answer.done.wait(LOOK):
        now = time.monotonic()
        if now > deadline.at or stopped():
            connections.cut()
        connections.cut_if_late()
        if now > deadline.at + GRACE:
            raise OutageError(
                OutageKind.TIMEOUT, "the sync took longer than scim.timeout allows, and was given up"
            )
    if answer.failed is not None:
        try:
            raise answer.failed
        finally:
            answer.failed = None  # else the two hold each other, and an open connection with them
    return answer.found[0]
