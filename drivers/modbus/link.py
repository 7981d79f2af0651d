"""The thin shell: a port, a timer and the bus machine. It opens, reads, writes, opens again; decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol

from drivers.driver import Context, DeviceStatus, PortError
from drivers.events import Command, DeviceEvent
from drivers.modbus.bus import Bus

_FIRST_RETRY = 0.1
_LONGEST_RETRY = 0.5
"""Seconds between attempts to open a port: doubled each time; outputs are right within 1 s of its return."""
_FAREWELL = 1.5
"""Seconds that switching everything off may take when the driver is stopped."""


class OpenPort(Protocol):
    """What a serial port and a connection have in common."""

    def fileno(self) -> int:
        """The descriptor."""

    def read(self) -> bytes:
        """What has arrived."""

    def write(self, data: bytes) -> int:
        """Hand over bytes."""

    def close(self) -> None:
        """Close at once."""


class ModbusDriver:
    """One Modbus bus: the ``Driver`` of drivers/driver.py."""

    def __init__(self, bus: Bus, opener: Callable[[], Awaitable[OpenPort]], context: Context) -> None:
        """``opener`` opens the port or raises ``PortError``."""
        self._bus = bus
        self._opener = opener
        self._emit = context.emit
        self._clock = context.clock
        self._port: OpenPort | None = None
        self._gone: asyncio.Future[str] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = 0.0

    async def run(self) -> None:
        """Serve the bus until cancelled, then leave every output off, and close the port."""
        retry = _FIRST_RETRY
        try:
            while True:
                try:
                    self._port = await self._opener()
                except PortError as error:
                    why = str(error.strerror or error)
                else:
                    retry = _FIRST_RETRY
                    why = await self._serve()
                self._tell(self._bus.disconnected(self._clock(), why))
                await asyncio.sleep(retry)
                retry = min(2 * retry, _LONGEST_RETRY)
        finally:
            await self._farewell()

    def send(self, command: Command) -> None:
        """Put a relay command on its way: on an idle line its frame is handed over before this returns."""
        self._then(self._bus.command(command, self._clock()))

    def status(self) -> Sequence[DeviceStatus]:
        """How each board is now."""
        now = self._clock()
        return [DeviceStatus(board.name, board.online, board.text(now)) for board in self._bus.boards]

    async def _serve(self) -> str:
        """Run the bus on an open port until it is gone, and say why it is."""
        assert self._port is not None
        loop = asyncio.get_running_loop()
        self._gone = loop.create_future()
        loop.add_reader(self._port.fileno(), self._readable)
        self._then(self._bus.connected(self._clock()))
        why = await asyncio.shield(self._gone)
        self._close()
        return why

    def _readable(self) -> None:
        if self._port is None:
            return
        try:
            data = self._port.read()
        except PortError as error:
            self._lose(error)
        else:
            self._step(lambda: self._bus.receive(data, self._clock()))

    def _wake(self) -> None:
        self._timer = None
        self._step(lambda: self._bus.handle_deadline(self._clock()))

    def _step(self, step: Callable[[], Sequence[DeviceEvent]]) -> None:
        """A step of the machine from a callback: what it raises is an error in it, and must end ``run``."""
        try:
            self._then(step())
        except Exception as error:
            if self._gone is None or self._gone.done():
                raise
            self._gone.set_exception(error)

    def _then(self, events: Sequence[DeviceEvent]) -> None:
        """After every step of the machine: write, arm the timer, tell."""
        data = self._bus.bytes_to_send()
        if data and self._port is not None:
            self._write(self._port, data)
        self._arm()
        self._tell(events)
        if self._bus.ended:
            self._over("stopped")
        elif self._bus.broken:
            self._over(self._bus.broken)

    def _arm(self) -> None:
        """See that the machine is woken by its deadline; a timer that rings too early does no harm."""
        deadline = self._bus.deadline()
        if deadline is None or self._port is None or (self._timer is not None and self._rings_at <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at = deadline
        delay = max(0.0, deadline - self._clock())
        self._timer = asyncio.get_running_loop().call_later(delay, self._wake)

    def _write(self, port: OpenPort, data: bytes) -> None:
        try:
            taken = port.write(data)
        except PortError as error:
            self._lose(error)
        else:
            if taken < len(data):  # one short frame at a time: a port that has no room for it is stuck
                self._over("the port takes no more bytes")

    def _tell(self, events: Sequence[DeviceEvent]) -> None:
        for event in events:
            self._emit(event)

    def _lose(self, error: PortError) -> None:
        if self._port is not None:
            asyncio.get_running_loop().remove_reader(self._port.fileno())
        self._over(str(error.strerror or error))

    def _over(self, why: str) -> None:
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(why)

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._port is not None:
            asyncio.get_running_loop().remove_reader(self._port.fileno())
            self._port.close()
            self._port = self._gone = None

    async def _farewell(self) -> None:
        """Every output off and read back as off, as long as a board answers."""
        try:
            if self._gone is not None and not self._gone.done():
                self._then(self._bus.end(self._clock()))
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._gone, _FAREWELL)
        finally:
            self._close()
