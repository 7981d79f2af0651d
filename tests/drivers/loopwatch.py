"""What a driver does to the loop that it runs in: calls that may block, turns, and what it keeps."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import tracemalloc
from collections.abc import Iterator, Sequence
from typing import ClassVar

from drivers.driver import Driver
from drivers.events import Command

BLOCKING = frozenset(
    {
        "open",
        "os.listdir",
        "os.scandir",
        "os.system",
        "os.posix_spawn",
        "subprocess.Popen",
        "socket.getaddrinfo",
        "socket.gethostbyname",
        "time.sleep",
    }
)
"""Audit events of what may take long: opening a device, looking through /proc, asking a name server, waiting."""


class _Watch:
    """Hears of every audited call of this process, which cannot be undone, and keeps those that matter."""

    thread = 0
    calls: ClassVar[list[str]] = []

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.thread and event in BLOCKING and threading.get_ident() == self.thread:
            self.calls.append(f"{event} {arguments[:1]}")


_watch = _Watch()
sys.addaudithook(_watch)


@contextlib.contextmanager
def held_up() -> Iterator[list[str]]:
    """What was called in this thread meanwhile that may hold up the loop."""
    _watch.calls.clear()
    _watch.thread = threading.get_ident()
    try:
        yield _watch.calls
    finally:
        _watch.thread = 0


class CountingLoop(asyncio.SelectorEventLoop):
    """An event loop that counts how often it woke up."""

    turns = 0

    def _run_once(self) -> None:
        self.turns += 1
        super()._run_once()  # type: ignore[misc]  # there is no public place to count


def kept(driver: Driver, commands: Sequence[Command]) -> int:
    """Bytes that a driver keeps of thousands of commands more than of hundreds."""
    tracemalloc.start()
    try:
        for count in (300, 3000):
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(count):
                for command in commands:
                    driver.send(command)
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
