"""For tests and benchmarks of the OSDP driver: a paced bus, libosdp readers in their processes, and a driver."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from drivers.driver import Context
from drivers.events import DeviceEvent, DeviceOnline
from drivers.osdp.driver import DRIVER
from drivers.osdp.settings import OsdpBus, OsdpReader

PEERS = Path(__file__).parent
T = TypeVar("T")
PATIENCE = 15.0
"""Seconds that a test waits for what must come; generous, for the machine may be busy."""


class Peers:
    """The processes of one test: the segment with node ``cp`` and ``pd0`` …, and the readers on it."""

    def __init__(self, folder: Path, baudrate: int, readers: int, *more: str) -> None:
        """``more`` are arguments of rs485bus.py."""
        self.folder = folder
        self.baudrate = baudrate
        self._processes: list[subprocess.Popen[str]] = []
        links = [f"--link={folder / name}" for name in ("cp", *(f"pd{number}" for number in range(readers)))]
        self.tap = folder / "tap"
        own = (f"--baud={baudrate}", f"--ctl={folder / 'ctl'}", f"--tap={self.tap}")
        self._bus = self._start("rs485bus.py", *own, *links, *more)
        assert self._bus.stdout is not None
        assert self._bus.stdout.readline() == "ready\n"

    def _start(self, script: str, *arguments: str, python: str = sys.executable) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [python, str(PEERS / script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=PEERS.parents[1],
        )
        self._processes.append(process)
        return process

    def reader(self, number: int, key: bytes | None, *more: str) -> LibosdpReader:
        """Start a reader at address ``number``; ``more`` are arguments of osdp_reader.py."""
        arguments = [
            f"--port={self.folder / f'pd{number}'}",
            f"--address={number}",
            f"--baud={self.baudrate}",
            *more,
        ]
        if key is not None:
            arguments.append(f"--key={key.hex()}")
        return LibosdpReader(self._start("osdp_reader.py", *arguments))

    def readers(self, count: int, key: bytes) -> LibosdpReader:
        """Start libosdp's readers 0, 1 … in one process on the first tap (osdp_readers.py)."""
        return self._many("osdp_readers.py", "pd0", count, key)

    def libosdp_panel(self, count: int, key: bytes) -> LibosdpReader:
        """Start libosdp's own panel in place of ours (osdp_panel.py)."""
        return self._many("osdp_panel.py", "cp", count, key)

    def _many(self, script: str, tap: str, count: int, key: bytes) -> LibosdpReader:
        port = f"--port={self.folder / tap}"
        more = (f"--count={count}", f"--baud={self.baudrate}", f"--key={key.hex()}")
        return LibosdpReader(self._start(script, port, *more))

    def second_opinion(self, python: Path, address: int, *more: str) -> LibosdpReader:
        """Start a reader of the package ``osdp`` on the first tap; ``more`` are arguments of osdp_second.py."""
        arguments = (f"--port={self.folder / 'pd0'}", f"--address={address}", *more)
        return LibosdpReader(self._start("osdp_second.py", *arguments, python=str(python)))

    def wire(self, line: str) -> None:
        """A control line for the segment."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as control:
            control.sendto(line.encode(), str(self.folder / "ctl"))

    def close(self) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with contextlib.suppress(BrokenPipeError):
                        stream.close()


class LibosdpReader:
    """A reader's process: control lines in, JSON lines out."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert process.stdout is not None
        self._out = process.stdout.fileno()
        self._unread = b""
        self.expect("ready")

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def fileno(self) -> int:
        """Readable when there is something that it ``said``."""
        return self._out

    def said(self) -> Iterator[dict[str, Any]]:
        """All lines that have come and that nobody has read; never blocks."""
        while select.select([self._out], [], [], 0)[0] and (chunk := os.read(self._out, 4096)):
            self._unread += chunk
        *lines, self._unread = self._unread.split(b"\n")
        yield from map(json.loads, lines)

    def expect(self, event: str) -> dict[str, Any]:
        """The next line about ``event``; others are skipped. Blocks for ``PATIENCE`` at most."""
        deadline = time.monotonic() + PATIENCE
        while True:
            while b"\n" in self._unread:
                line, self._unread = self._unread.split(b"\n", 1)
                said: dict[str, Any] = json.loads(line)
                if said["event"] == event:
                    return said
            readable, _, _ = select.select([self._out], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(self._out, 4096) if readable else b""
            if not chunk:
                raise AssertionError(f"the reader said nothing about {event!r}")
            self._unread += chunk

    async def hear(self, event: str) -> dict[str, Any]:
        """``expect`` while the loop goes on."""
        return await asyncio.to_thread(self.expect, event)

    def end(self) -> None:
        """Power off."""
        self._process.kill()
        self._process.wait()


class Panel:
    """The driver under test, and the events that it emitted."""

    def __init__(
        self, link: Path, baudrate: int, readers: Mapping[str, OsdpReader], key: bytes, **bus: object
    ) -> None:
        self.events: list[DeviceEvent] = []
        self.on_event: Callable[[DeviceEvent], None] | None = None
        self._news = asyncio.Event()
        context = Context(self._emit, time.monotonic, lambda _: key)
        self.driver = DRIVER.create(OsdpBus(port=str(link), baudrate=baudrate, **bus), readers, context)

    def _emit(self, event: DeviceEvent) -> None:
        self.events.append(event)
        if self.on_event is not None:
            self.on_event(event)
        self._news.set()

    async def settled(self, readers: int = 1) -> None:
        """Wait until all readers are online and were polled so often that nothing old waits in them."""
        for _ in range(readers):
            await self.expect(DeviceOnline)
        await self.polled()

    async def polled(self, times: int = 10) -> None:
        """Wait until every reader was polled so often, which empties what it held."""

        def polls() -> list[int]:
            return [int(re.findall(r"(\d+) polls", each.text)[0]) for each in self.driver.status()]

        async with asyncio.timeout(PATIENCE):
            before = polls()
            # A poll is no event that the driver tells, so there is nothing to wait for but the count.
            while any(now - then < times for then, now in zip(before, polls(), strict=True)):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def expect(self, kind: type[T], wanted: Callable[[T], bool] = lambda event: True) -> T:
        """Take out the first event of this kind that is ``wanted``; wait for it if it has not come yet."""
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    for event in self.events:
                        if isinstance(event, kind) and wanted(event):
                            self.events.remove(event)
                            return event
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"no such {kind.__name__} in {self.events}") from None


@contextlib.asynccontextmanager
async def running(panel: Panel) -> AsyncIterator[Panel]:
    """The driver's task for as long as the block lasts."""
    task = asyncio.create_task(panel.driver.run())
    try:
        yield panel
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
