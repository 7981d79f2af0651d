"""A process that tells what it does in JSON lines: the peers of the cabinet, and ``latchctl events --follow``."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

PATIENCE = 60.0
"""Seconds to wait for what takes milliseconds: a loaded machine is no failure."""


class UnexpectedError(AssertionError):
    """Something did not happen as it should."""


@dataclass
class Peer:
    """A process that prints JSON lines; ``lines`` grows as they come."""

    process: subprocess.Popen[str]
    lines: list[dict[str, Any]] = field(default_factory=list)
    grew: threading.Condition = field(default_factory=threading.Condition)
    thread: threading.Thread | None = None

    @classmethod
    def start(cls, *command: str | Path, **options: Any) -> Self:
        """Start it and read along."""
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            **options,
        )
        peer = cls(process)
        peer.thread = threading.Thread(target=peer._read, daemon=True)
        peer.thread.start()
        return peer

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with suppress(ValueError):
                found = json.loads(line) if line.startswith("{") else {"event": line.strip()}
                with self.grew:
                    self.lines.append(found)
                    self.grew.notify_all()

    def tell(self, line: str) -> None:
        """A control line."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def wait_for(
        self, what: str, match: Callable[[dict[str, Any]], bool], start: int = 0, patience: float = PATIENCE
    ) -> dict[str, Any]:
        """The first line from ``start`` on that matches. ``UnexpectedError`` when none comes."""
        deadline = time.monotonic() + patience
        with self.grew:
            while True:
                for line in self.lines[start:]:
                    if match(line):
                        return line
                start = max(start, len(self.lines))
                if not self.grew.wait(deadline - time.monotonic()):
                    raise UnexpectedError(f"{what} did not come within {patience:.0f} s")

    def stop(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        if self.thread is not None:
            self.thread.join(5)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
