"""The tty and the timer of an OSDP bus, and nothing that the pure parts can decide.

The badge path runs in the read callback without an await: bytes, frame,
event, ``emit``, the command that ``emit`` brought, bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

from drivers.driver import Context, DeviceStatus, DriverUsageError, PortError
from drivers.events import Buzz, Command, DeviceAlarm, DeviceEvent, Led
from drivers.osdp.bus import Bus
from drivers.osdp.commissioning import Commissioning
from drivers.osdp.settings import OsdpBus
from drivers.serialport import BusPort, open_beside

log = logging.getLogger(__name__)

REOPEN_PAUSE = (0.1, 0.5)
"""Seconds between attempts to open a port that is gone: short, for an adapter is plugged in again by hand."""
FAULT_PAUSE = 0.1
"""Seconds until the bus goes on after an exception: not a loop that takes the whole processor."""
SWITCH_OFF_TIME = 0.5
"""Seconds that the end of the driver may take to switch outputs off."""


class OsdpLink:
    """One bus and its readers."""

    def __init__(self, settings: OsdpBus, bus: Bus, context: Context) -> None:
        self._settings = settings
        self._context = context
        self._bus = bus
        self._port: BusPort | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._wake = 0.0
        self._lost: asyncio.Future[str] | None = None
        self._news = asyncio.Event()
        self.readers = Commissioning(settings, bus, context, self._news, self._pump)

    async def run(self) -> None:
        """Serve the bus until cancelled; open the port again whenever it is lost."""
        pause = REOPEN_PAUSE[0]
        try:
            while True:
                try:
                    port = await open_beside(
                        self._settings.port,
                        self._settings.baudrate,
                        rs485=self._settings.rs485,
                        tap=self._context.tap,
                    )
                except PortError as error:
                    self._emit(self._bus.port_lost(self._context.clock(), str(error.strerror or error)))
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, REOPEN_PAUSE[1])
                    continue
                pause = REOPEN_PAUSE[0]
                why = await self._serve(port)
                self._emit(self._bus.port_lost(self._context.clock(), why))
        finally:
            self._stop()

    async def _serve(self, port: BusPort) -> str:
        """Run the bus on an open port; why it was lost."""
        loop = asyncio.get_running_loop()
        self._port = port
        self._lost = loop.create_future()
        loop.add_reader(port.fileno(), self._readable)
        try:
            self._pump()
            return await self._lost
        except asyncio.CancelledError:
            await self._switch_off()
            raise
        finally:
            self._stop()

    async def _switch_off(self) -> None:
        """Before the end: every output that was switched on goes off, as far as its reader still answers."""
        now = self._context.clock()
        self._bus.end_scan("the driver ends")
        for session in self._bus.sessions:
            session.outbox.switch_off(now)
        self._pump()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SWITCH_OFF_TIME):
                while self._port is not None and self._bus.unconfirmed_relay:
                    self._news.clear()
                    await self._news.wait()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        port, self._port = self._port, None
        if port is not None:
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().remove_reader(port.fileno())
            port.close()

    def send(self, command: Command) -> None:
        """Queue a command for its reader. Raises ``DriverUsageError`` for a reader or output not there."""
        name = command.reader if isinstance(command, Led | Buzz) else command.point.device
        try:
            self._bus.send(name, command, self._context.clock())
        except KeyError:
            raise DriverUsageError(f'no reader "{name}" on the bus at {self._settings.port}') from None
        if self._port is not None:
            # Not at once: of all commands that one event brings, the relay's goes first.
            asyncio.get_running_loop().call_soon(self._pump)

    def status(self) -> Sequence[DeviceStatus]:
        """A line for each reader."""
        return [
            DeviceStatus(session.name, session.online is True, session.status_text(), session.numbers())
            for session in sorted(self._bus.sessions, key=lambda session: session.address)
        ]

    def _readable(self) -> None:
        if self._port is None:
            return
        try:
            data = self._port.read()
        except PortError as error:
            self._lose(error)
            return
        self._guarded(lambda: self._emit(self._bus.receive(data, self._context.clock())))
        self._news.set()
        self._pump()

    def _deadline(self) -> None:
        self._timer = None
        self._guarded(lambda: self._emit(self._bus.handle_deadline(self._context.clock())))
        self._news.set()
        self._pump()

    def _guarded(self, step: Callable[[], None]) -> None:
        """Do one step of the bus. A fault in it must not silence the readers: it is logged, and all begin
        again."""
        try:
            step()
        except Exception as error:
            # A bug of ours, whatever it is: a bus that says nothing any more is the worst of all answers to it.
            log.exception("a fault in the bus at %s; its sessions begin again", self._settings.port)
            now = self._context.clock()
            self._emit(self._bus.recover(now, now + FAULT_PAUSE))
            what = f"internal fault, the bus was begun again: {type(error).__name__}"
            self._emit([DeviceAlarm(session.name, now, what) for session in self._bus.sessions])

    def _pump(self) -> None:
        """Send what is due, and set the timer for what comes next."""
        self._guarded(self._send_next)
        if self._port is not None and self._timer is None:  # a fault: go on all the same
            self._set_timer(self._context.clock() + FAULT_PAUSE)

    def _send_next(self) -> None:
        if self._port is None:
            return
        data = self._bus.bytes_to_send(self._context.clock())
        if data:
            try:
                self._port.set_baudrate(self._bus.speed)
                # The line was idle, so the kernel's buffer is empty and takes a frame whole.
                self._port.write(data)
            except PortError as error:
                self._lose(error)
                return
        wake = self._bus.deadline()
        if self._timer is not None:
            if self._wake <= wake:
                return  # it wakes too early and is set again then: cheaper than once for each byte
            self._timer.cancel()
        self._set_timer(wake)

    def _set_timer(self, wake: float) -> None:
        self._wake = wake
        delay = max(0.0, wake - self._context.clock())
        self._timer = asyncio.get_running_loop().call_later(delay, self._deadline)

    def _lose(self, error: PortError) -> None:
        """Stop using the port at once; ``run`` opens it again."""
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(str(error.strerror or error))
        self._stop()
        self._news.set()

    def _emit(self, events: Sequence[DeviceEvent]) -> None:
        for event in events:
            try:
                self._context.emit(event)
            except Exception:
                # Whoever listens: what one event does to them must not cost the others, nor the bus its next turn.
                log.exception("the listener failed at %s of %s", type(event).__name__, self._settings.port)
