"""Every test must leave the process as it found it: see ``leaves_nothing_behind``."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import hypothesis
import psutil
import pytest

# `make test` draws the same examples on every machine, so that a red run is the fault of the change. `make soak`
# asks for new ones by HYPOTHESIS_PROFILE; what they find becomes a fixed case.
hypothesis.settings.register_profile("fixed", derandomize=True, database=None)
hypothesis.settings.register_profile("new")
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

# For `make mutation`: the same examples for every mutant, and no time spent on making a failure small.
hypothesis.settings.register_profile(
    "mutation", derandomize=True, database=None, phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate)
)

MUTANT = "MUTANT_UNDER_TEST"
"""Set by mutmut in the process that runs the tests against one mutant."""

GRACE = 2.0
"""Seconds in which what a test stopped may still end: a joined pool's last thread, a killed child's entry."""

_connections: list[sqlite3.Connection] = []
_abandoned_tasks: list[str] = []


def _remember_connections(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "sqlite3.connect/handle":
        _connections.append(arguments[0])


def _is_open(connection: sqlite3.Connection) -> bool:
    try:
        _ = connection.total_changes
    except sqlite3.ProgrammingError:
        return False
    return True


def _remember_abandoned_tasks() -> None:
    """``asyncio.run`` cancels in silence what its main task left running; here that is kept for the report."""
    cancel_all = asyncio.runners._cancel_all_tasks  # type: ignore[attr-defined]  # there is no public hook

    def cancel_and_remember(loop: asyncio.AbstractEventLoop) -> None:
        _abandoned_tasks.extend(f"asyncio {task!r}" for task in asyncio.all_tasks(loop))
        cancel_all(loop)

    asyncio.runners._cancel_all_tasks = cancel_and_remember  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Footprint:
    """What this process holds at one instant, cheap enough to be looked at twice in every test."""

    descriptors: dict[int, str]
    threads: frozenset[threading.Thread]
    children: frozenset[int]

    @classmethod
    def now(cls) -> Footprint:
        """Read from /proc: open descriptors and what they point at, live threads, child processes."""
        return cls(dict(_descriptors()), frozenset(threading.enumerate()), frozenset(_children()))

    def left_since(self, before: Footprint) -> list[str]:
        """Say in words what this footprint has that ``before`` had not."""
        left = [
            f"descriptor {number} -> {target}"
            for number, target in self.descriptors.items()
            if before.descriptors.get(number) != target
        ]
        left += [f"thread {thread.name}" for thread in self.threads - before.threads]
        left += [f"child process {_command(pid)}" for pid in self.children - before.children]
        return left


def _descriptors() -> Iterator[tuple[int, str]]:
    for entry in os.listdir("/proc/self/fd"):
        try:
            yield int(entry), os.readlink(f"/proc/self/fd/{entry}")
        except FileNotFoundError:
            continue  # the descriptor of the listing itself, or one that another thread closed meanwhile


def _children() -> list[int]:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return []  # the usual case, told by one system call
    return [child.pid for child in psutil.Process().children()]


def _command(pid: int) -> str:
    try:
        return f"{pid} {' '.join(psutil.Process(pid).cmdline()) or '(not waited for)'}"
    except psutil.Error:
        return f"{pid} (ended)"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of a mutant only the first failure is of interest: tests that draw examples come last."""
    if os.environ.get(MUTANT):
        items.sort(key=lambda item: hasattr(getattr(item, "obj", None), "hypothesis") or "invariants" in item.name)


@pytest.fixture(autouse=True)
def leaves_nothing_behind() -> Iterator[None]:
    """Fail a test that leaves a descriptor, thread, child process, asyncio task or SQLite handle behind.

    It is set up before every other fixture of the test, so that it looks again after they are torn down;
    what fixtures of a wider scope hold was there before. A mutant may leave what it likes: the look at /proc costs
    more than most of its tests.
    """
    if os.environ.get(MUTANT):
        yield
        return
    _connections.clear()
    _abandoned_tasks.clear()
    before = Footprint.now()
    yield
    deadline = time.monotonic() + GRACE
    while (left := Footprint.now().left_since(before)) and time.monotonic() < deadline:
        time.sleep(0.01)
    left += [f"SQLite handle {connection!r}" for connection in _connections if _is_open(connection)]
    left += _abandoned_tasks
    _connections.clear()
    if left:
        pytest.fail("left behind: " + "; ".join(sorted(left)), pytrace=False)


sys.addaudithook(_remember_connections)
_remember_abandoned_tasks()
