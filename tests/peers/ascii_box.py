"""The relay box of docs/examples/ascii_relay.py on a pty, in a thread of its own: the peer of its test."""

from __future__ import annotations

import os
import select
import threading
import time
import tty
from types import TracebackType
from typing import Self

INPUTS = 4


class AsciiBox:
    """Relays 1 and 2, inputs 1 to 4; ``path`` is its port. ``silent``: it neither hears nor answers."""

    def __init__(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self.relays = {1: False, 2: False}
        self.silent = False
        self._inputs = "0" * INPUTS
        self._ends: dict[int, float] = {}
        self._alarm, self._bell = os.pipe()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._bell)
        self._thread.join()
        for fd in (self._master, self._slave, self._alarm):
            os.close(fd)

    def set_input(self, number: int, on: bool) -> None:
        """Set an input; the box tells of it at once."""
        self._inputs = self._inputs[: number - 1] + ("1" if on else "0") + self._inputs[number:]
        os.write(self._bell, b"!")

    def _serve(self) -> None:
        pending = b""
        while True:
            readable, _, _ = select.select([self._master, self._alarm], [], [], self._wait())
            self._end_pulses()
            if self._alarm in readable:
                if not os.read(self._alarm, 1):
                    return
                self._say(f"IN {self._inputs}")
            if self._master in readable:
                *lines, pending = (pending + os.read(self._master, 4096)).split(b"\n")
                for line in lines:
                    if not self.silent:
                        self._obey(line.decode().split())

    def _wait(self) -> float | None:
        return max(0.0, min(self._ends.values()) - time.monotonic()) if self._ends else None

    def _end_pulses(self) -> None:
        for relay, end in tuple(self._ends.items()):
            if end <= time.monotonic():
                del self._ends[relay]
                self.relays[relay] = False

    def _obey(self, words: list[str]) -> None:
        match words:
            case ["IN?"]:
                self._say(f"IN {self._inputs}")
            case ["ON" | "OFF" as what, relay]:
                self._ends.pop(int(relay), None)
                self.relays[int(relay)] = what == "ON"
                self._say("OK")
            case ["PULSE", relay, milliseconds]:
                self._ends[int(relay)] = time.monotonic() + int(milliseconds) / 1000
                self.relays[int(relay)] = True
                self._say("OK")

    def _say(self, line: str) -> None:
        if not self.silent:
            os.write(self._master, line.encode() + b"\n")
