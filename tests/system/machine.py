"""A guest in QEMU without KVM: a console that is read line by line, ended by its process id."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue

from build import Machine

MEMORY = "768"
MARK = "@@ "
"""What a line for the host begins with (guest/report.py)."""


@dataclass(frozen=True, slots=True)
class Line:
    """What the guest said."""

    kind: str
    name: str
    text: str


@dataclass
class Guest:
    """A running guest; everything it printed goes to ``log``."""

    process: subprocess.Popen[bytes]
    log: Path
    _lines: Queue[Line | None] = field(default_factory=Queue)

    def read(self) -> None:
        """Copy the console to the log and pick the lines that are for the host."""
        assert self.process.stdout is not None
        with self.log.open("wb") as log:
            for raw in self.process.stdout:
                log.write(raw)
                log.flush()
                text = raw.decode(errors="replace").rstrip("\r\n")
                if text.startswith(MARK) and text.count(" | ") >= 2 and raw.endswith(b"\n"):
                    self._lines.put(Line(*text.removeprefix(MARK).split(" | ", 2)))
        self._lines.put(None)

    def lines(self, seconds: float) -> Iterator[Line]:
        """What it says until it ends, for so long at most; ``TimeoutError`` then."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                raise TimeoutError(
                    f"the guest took longer than {seconds:.0f} s; {self.log} has its console"
                ) from None
            if line is None:
                return
            yield line

    def kill(self) -> None:
        """Cut its power."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def booted(
    machine: Machine,
    log: Path,
    *words: str,
    disks: Sequence[Path] = (),
    port: Path | None = None,
    processors: int = 1,
    reboots: bool = False,
) -> Iterator[Guest]:
    """A guest, with ``words`` on the kernel's command line. Its own disk is thrown away, ``disks`` keep.

    ``port`` is the tty behind its second serial port. It ends when it reboots, unless ``reboots``.
    """
    command = [
        "nice", "-n", "5", "qemu-system-x86_64", "-accel", "tcg,tb-size=256", "-cpu", "max,la57=off",
        "-smp", str(processors), "-m", MEMORY,
        "-nodefaults", "-display", "none", "-serial", "stdio",
        "-kernel", machine.kernel, "-initrd", machine.initrd,
        "-append", " ".join(("console=ttyS0 quiet loglevel=3 panic=-1 mitigations=off tsc=reliable", *words)),
        "-drive", f"file={machine.image},if=virtio,format=raw,snapshot=on",
    ]  # fmt: skip
    for disk in disks:
        command += ["-drive", f"file={disk},if=virtio,format=raw,cache=writeback"]
    if port is not None:
        command += ["-chardev", f"serial,id=bus,path={port}", "-serial", "chardev:bus"]
    if not reboots:
        command.append("-no-reboot")
    process = subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    guest = Guest(process, log)
    reader = threading.Thread(target=guest.read, daemon=True)
    reader.start()
    try:
        yield guest
    finally:
        guest.kill()
        reader.join()
