"""Writes what passes on a bus into a file, in a thread of its own: a disk that is slow, full or gone never holds
it up.

The lines go through a bounded queue to a thread of their own. Files have mode 0600; one that is full becomes
``NAME.1`` and so on, and the oldest is deleted. A line that cannot be written is counted, and the next one that
can says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import queue
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from drivers.cards.formats import built_in_formats
from drivers.cards.tables import table_of
from drivers.driver import Context, DeviceStatus, Driver, DriverType, DriverUsageError
from drivers.events import Command, DeviceEvent
from drivers.recording import Filter, Kind, Line, command_words, event_words, header

log = logging.getLogger(__name__)

FILE_BYTES = 16 * 1024 * 1024
FILES = 4
"""64 MiB in all: about four hours of one OSDP reader polled at 9600 baud."""
QUEUE_LINES = 10_000
"""Lines that may wait for the disk, a megabyte or so; more are dropped and counted."""
CLOSE_TIME = 2.0
"""Seconds that the end of a driver waits for the last lines."""


class Recorder:
    """One recording; the ``Tap`` of drivers/driver.py. ``shown``: card numbers and keys may stand in it."""

    def __init__(self, path: Path, first_lines: str, hides: Filter, *, shown: bool) -> None:
        self._path = path
        self._header = first_lines
        self._filter = hides
        self._shown = shown
        self._lines: queue.Queue[Line | None] = queue.Queue(QUEUE_LINES)
        self._lost = 0
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Start writing."""
        self._thread = threading.Thread(target=self._write, name="recorder", daemon=True)
        self._thread.start()

    async def end(self) -> None:
        """Write what waits, and stop; a disk that takes longer is not waited for, and the loop never."""
        thread, self._thread = self._thread, None
        last = time.monotonic() + CLOSE_TIME
        asked = False
        while thread is not None and thread.is_alive() and time.monotonic() < last:
            if not asked:
                with contextlib.suppress(queue.Full):
                    self._lines.put_nowait(None)
                    asked = True
            await asyncio.sleep(0.005)

    # -------------------------------------------------------------- what a driver tells

    def opened(self) -> None:
        """The port or chip is open."""
        self.note(Kind.OPEN)

    def closed(self) -> None:
        """The port or chip is closed, or gone."""
        self.note(Kind.CLOSE)

    def sent(self, data: bytes) -> None:
        """Bytes went out."""
        self._bytes(data, sent=True)

    def received(self, data: bytes) -> None:
        """Bytes came."""
        self._bytes(data, sent=False)

    def edges(self, rows: Iterable[tuple[int, bool, int, int]]) -> None:
        """Edges that were read together: line, level, nanoseconds, number."""
        now = time.monotonic()
        for line, on, timestamp_ns, seqno in rows:
            self._put(Line(now, Kind.EDGE, f"{line} {on:d} {timestamp_ns} {seqno}"))

    def levels(self, levels: Mapping[int, bool]) -> None:
        """What lines say now."""
        now = time.monotonic()
        for line, on in levels.items():
            self._put(Line(now, Kind.LEVEL, f"{line} {on:d}"))

    def command(self, command: Command) -> None:
        """The doors loop wants something."""
        self.note(Kind.COMMAND, command_words(command))

    def event(self, event: DeviceEvent) -> None:
        """The driver reported an event to the doors loop."""
        self.note(Kind.EVENT, " ".join(event_words(event, shown=self._shown).split()))

    def note(self, kind: Kind, words: str = "") -> None:
        """A line of any kind, now."""
        self._put(Line(time.monotonic(), kind, words))

    def _bytes(self, data: bytes, *, sent: bool) -> None:
        if not data:
            return
        kind = Kind.SENT if sent else Kind.RECEIVED
        if self._filter.passes(data, sent=sent):
            self.note(kind, data.hex())
        else:
            self.note(Kind.HIDDEN, f"{kind} {len(data)}")

    def _put(self, line: Line) -> None:
        try:
            if self._lost:
                self._lines.put_nowait(Line(line.at, Kind.GAP, str(self._lost)))
                self._lost = 0
            self._lines.put_nowait(line)
        except queue.Full:
            self._lost += 1

    # -------------------------------------------------------------- the thread

    def _write(self) -> None:
        complained = False
        while True:
            lines, last = self._waiting()
            try:
                self._append("".join(line.text() + "\n" for line in lines))
                complained = False
            except OSError as error:
                self._lost += len(lines)
                if not complained:
                    log.warning("%s cannot be written (%s); the bus goes on unrecorded", self._path, error)
                complained = True
            if last:
                return

    def _waiting(self) -> tuple[Sequence[Line], bool]:
        """Wait for a line; all that are there then, and whether there will be no more."""
        found: list[Line] = []
        line = self._lines.get()
        while line is not None:
            found.append(line)
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                return found, False
        return found, True

    def _append(self, text: str) -> None:
        if not text:
            return
        with contextlib.suppress(FileNotFoundError):
            if self._path.stat().st_size >= FILE_BYTES:
                self._rotate()
        descriptor = os.open(
            self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        with os.fdopen(descriptor, "a", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o600)
            if os.fstat(descriptor).st_size == 0:
                file.write(self._header)
            file.write(text)

    def _rotate(self) -> None:
        for number in range(FILES - 1, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number}")
            newer = self._path if number == 1 else self._path.with_name(f"{self._path.name}.{number - 1}")
            with contextlib.suppress(FileNotFoundError):
                newer.replace(older)


class RecordedDriver:
    """A driver whose commands and events are written down with the bytes on its bus."""

    def __init__(self, driver: Driver, recorder: Recorder) -> None:
        self._driver = driver
        self._recorder = recorder

    def __getattr__(self, name: str) -> Any:
        """Pass on what a driver offers in addition to ``Driver``."""
        return getattr(self._driver, name)

    async def run(self) -> None:
        """Serve the bus until cancelled; its farewell is recorded too."""
        self._recorder.begin()
        serving = asyncio.ensure_future(self._driver.run())
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            self._recorder.note(Kind.STOP)
            serving.cancel()
            await serving
        finally:
            await self._recorder.end()

    def send(self, command: Command) -> None:
        """Write the command down and pass it on."""
        self._recorder.command(command)
        self._driver.send(command)

    def status(self) -> Sequence[DeviceStatus]:
        """As the driver says."""
        return self._driver.status()


def recordable(kind: DriverType) -> DriverType:
    """The driver type whose drivers are recorded where the settings say ``record``."""
    support = kind.recording
    if support is None:
        return kind

    def create(settings: Any, devices: Mapping[str, Any], context: Context) -> Driver:
        """Raises ``DriverUsageError`` where a recording would hold card numbers and that was not allowed."""
        wanted = settings if settings is not None else next(iter(devices.values()))
        if wanted.record is None:
            return kind.create(settings, devices, context)
        why = support.cleartext(settings, devices)
        if why and not wanted.record_cleartext:
            raise DriverUsageError(
                f"record = … would write card numbers and PINs into a file in clear, because {why};"
                " leave it out, or add record_cleartext = true and delete the file afterwards"
            )
        formats = _formats_of_its_own(devices, context)
        first_lines = header(kind.name, settings, devices, _boards(kind, devices), formats)
        recorder = Recorder(Path(wanted.record), first_lines, support.filter(), shown=bool(why))

        def emit(event: DeviceEvent) -> None:
            recorder.event(event)
            context.emit(event)

        driver = kind.create(settings, devices, dataclasses.replace(context, emit=emit, tap=recorder))
        return RecordedDriver(driver, recorder)

    return dataclasses.replace(kind, create=create)


def _boards(kind: DriverType, devices: Mapping[str, Any]) -> frozenset[str]:
    """Those of the devices that are boards; none where all are the same."""
    if kind.reader_settings is None or kind.board_settings is None:
        return frozenset()
    return frozenset(name for name, settings in devices.items() if isinstance(settings, kind.board_settings))


def _formats_of_its_own(devices: Mapping[str, Any], context: Context) -> dict[str, dict[str, Any]]:
    """The card formats that its readers use and that latchd does not bring with it: a replay needs them."""
    names = {name for settings in devices.values() for name in getattr(settings, "formats", ())}
    layouts = context.card_formats.select(sorted(names))
    return {layout.name: table_of(layout) for layout in layouts if layout.name not in built_in_formats()}
