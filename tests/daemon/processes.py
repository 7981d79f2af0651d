"""``latchd`` in a process of its own, on a bench of simulated hardware."""

from __future__ import annotations

import os
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
