"""What the guest tells the host: one line for each fact that holds or does not, and the end."""

from __future__ import annotations

import ctypes
import os
import time
import traceback
from collections.abc import Callable
from pathlib import Path

POWER_OFF = 0x4321FEDC
"""LINUX_REBOOT_CMD_POWER_OFF of reboot(2)."""


def say(kind: str, name: str, text: str = "") -> None:
    """A line on the console; ``kind`` is passed, failed, note, durable or end. One write: no other breaks it."""
    line = f"\n@@ {kind} | {name} | {' '.join(text.split())}\n"
    with Path("/dev/console").open("wb", buffering=0) as console:
        console.write(line.encode())


def check(name: str, holds: bool, text: str = "") -> None:
    """A fact, and the figures that go with it."""
    say("passed" if holds else "failed", name, text)


def attempt(name: str, test: Callable[[], None]) -> bool:
    """Run a test; one that breaks is a fact that does not hold. Whether it came to its end."""
    try:
        test()
    except Exception as fault:  # noqa: BLE001 - whatever broke it
        where = traceback.extract_tb(fault.__traceback__)[-1]
        say("failed", name, f"{type(fault).__name__}: {fault} ({where.filename}:{where.lineno})")
        return False
    return True


def wait_until(holds: Callable[[], bool], patience: float) -> bool:
    """Ask until it holds or ``patience`` (seconds) is over."""
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def power_off() -> None:
    """The end of the guest, for a program that is process 1."""
    say("end", "")
    os.sync()
    ctypes.CDLL(None).reboot(POWER_OFF)
