"""``latchd`` in a process of its own, on a bench of simulated hardware."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.daemon.simulated import Bench

PATIENCE = 60.0
"""Seconds to wait for what takes one: a loaded machine is no failure."""

ROOT = Path(__file__).parents[2]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "LATCHD_DEBUG": ""}


def until(what: str, holds: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := holds()):
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE:g} s"
        time.sleep(0.02)
    return found


@contextmanager
def latchd(bench: Bench, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """``latchd COMMAND`` on this bench; killed at the end if it still runs."""
    with (bench.directory / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "daemon.cli.latchd", *command, "--config", bench.file],
            stdout=log,
            stderr=log,
            env=environment(),
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def log_of(bench: Bench) -> str:
    """What the processes of this bench have written."""
    return (bench.directory / "log").read_text(encoding="utf-8")


def play(bench: Bench, line: str) -> str:
    """A line to the simulated hardware of a running process, as soon as it listens, and its answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        until("the hardware", lambda: connection.connect_ex(str(bench.directory / "sim.sock")) == 0)
        connection.sendall(line.encode() + b"\n")
        with connection.makefile() as answer:
            return answer.readline().strip()
