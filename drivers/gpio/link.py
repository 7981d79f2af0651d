"""Keeps the lines of one device requested: opens them, reports outages, tries again for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from drivers.driver import Context, DeviceStatus
from drivers.events import DeviceOffline, DeviceOnline
from drivers.gpio.lines import LineChange, LinePlan, Lines

RETRY = 1.0
"""Seconds between attempts to request lines again: a chip behind USB returns by itself."""

LOOK = 1.0
"""Seconds between looks whether the chip is there: older kernels, Debian 12's too, do not wake who waits for edges
when it vanishes."""


class LineLink:
    """The lines of one device. ``on_open`` is called when they are there, ``on_changes`` with their edges."""

    def __init__(
        self,
        device: str,
        plan: LinePlan,
        context: Context,
        on_open: Callable[[], None],
        on_changes: Callable[[Sequence[LineChange]], None],
        backend: Any = None,
    ) -> None:
        """``backend`` stands in for the ``gpiod`` module in tests."""
        self.device = device
        self._plan = plan
        self._context = context
        self._on_open = on_open
        self._on_changes = on_changes
        self._backend = backend
        self._lines: Lines | None = None
        self._lost: asyncio.Future[str] | None = None
        self._why = "not started"

    async def run(self) -> None:
        """Keep the lines until cancelled; then outputs are off and the lines given back."""
        try:
            while True:
                try:
                    why = await self._serve()
                except OSError as error:
                    why = str(error)
                self._close()
                self._report(why)
                await asyncio.sleep(RETRY)
        finally:
            self._close()
            self._why = "stopped"

    @property
    def online(self) -> bool:
        """Whether the lines are there."""
        return self._lines is not None

    def status(self) -> DeviceStatus:
        """How the device is now."""
        return DeviceStatus(self.device, self.online, self._plan.chip if self.online else self._why)

    def switch(self, line: int, on: bool) -> None:
        """Switch an output; without lines nothing happens."""
        if self._lines is not None:
            try:
                self._lines.switch(line, on)
            except OSError as error:
                self._lose(error)

    def levels(self) -> dict[int, bool]:
        """Whether each input is on; empty without lines."""
        try:
            levels = self._lines.levels() if self._lines is not None else {}
        except OSError as error:
            self._lose(error)
            return {}
        self._context.tap.levels(levels)
        return levels

    def poll(self) -> None:
        """Take what the kernel has queued, now; the loop does it by itself when there is something."""
        if self._lines is None:
            return
        try:
            changes = self._lines.changes()
        except OSError as error:
            self._lose(error)
            return
        if changes:
            self._context.tap.edges((each.line, each.on, each.timestamp_ns, each.seqno) for each in changes)
            self._on_changes(changes)

    async def _serve(self) -> str:
        """One life of the lines; returns why it ended."""
        loop = asyncio.get_running_loop()
        self._lines = Lines(self._plan, self._backend)
        self._context.tap.opened()
        self._lost = loop.create_future()
        self._why = ""
        loop.add_reader(self._lines.fd, self.poll)
        self._context.emit(DeviceOnline(self.device, self._context.clock(), self._plan.chip))
        self._on_open()
        while not (await asyncio.wait((self._lost,), timeout=LOOK))[0]:
            self.poll()
        return self._lost.result()

    def _lose(self, error: OSError) -> None:
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(f"{self._plan.chip}: {error.strerror or error}")
            if self._lines is not None:  # a chip that is gone stays readable: no busy loop until _close
                asyncio.get_running_loop().remove_reader(self._lines.fd)

    def _report(self, why: str) -> None:
        """Say once why the lines are not there, and again only when the reason changes."""
        if why != self._why:
            self._why = why
            self._context.emit(DeviceOffline(self.device, self._context.clock(), why))

    def _close(self) -> None:
        if self._lines is not None:
            asyncio.get_running_loop().remove_reader(self._lines.fd)
            self._lines.release()
            self._lines = None
            self._context.tap.closed()
