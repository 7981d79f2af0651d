"""What a technician asks of the readers of a bus while it serves its doors: keys, texts, addresses, a scan.

``ReaderService`` of drivers/driver.py, for OSDP. It only puts things on their way and waits; what is sent and
what counts as an answer is decided by the session and the scan.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, Callable

from drivers.driver import Context, DriverUsageError, FoundReader, ScanPlan
from drivers.osdp import messages
from drivers.osdp.bus import Bus
from drivers.osdp.frame import HIGHEST_ADDRESS
from drivers.osdp.handshake import KeyChange
from drivers.osdp.messages import Cmd
from drivers.osdp.scan import Scan
from drivers.osdp.session import Session
from drivers.osdp.settings import BAUDRATES, OsdpBus

KEY_CHANGE_TIME = 20.0
"""Seconds that a reader may take to prove its new key: longer than the longest pause between two attempts."""
MOVE_TIME = 5.0
"""Seconds that a reader may take to answer COMSET."""
SCAN_STEP_TIME = 5.0
"""Seconds after which a scan looks whether it still goes on."""


class Commissioning:
    """Raises ``DriverUsageError`` in words wherever ``ReaderService`` says so."""

    def __init__(
        self, settings: OsdpBus, bus: Bus, context: Context, news: asyncio.Event, pump: Callable[[], None]
    ) -> None:
        """``news`` is set after each exchange of the bus, ``pump`` sends what is due."""
        self._settings = settings
        self._bus = bus
        self._context = context
        self._news = news
        self._pump = pump

    def check_in_service(self, reader: str) -> None:
        """Nothing but the error that says why a reader cannot be given orders now: it is offline."""
        self._in_service(reader)

    async def enrol(self, reader: str) -> None:
        """Bring a reader that answers to the default key the newest of its keys in the key ring."""
        session, key = self._session(reader), self._newest_key(reader)
        session.enrol(key, self._context.clock())
        await self._key_changed(session)

    async def rotate(self, reader: str) -> None:
        """Bring a reader in service the newest of its keys in the key ring."""
        session, key = self._session(reader), self._newest_key(reader)
        session.change_key(key)
        await self._key_changed(session)

    async def _key_changed(self, session: Session) -> None:
        """Wait until the reader has proved its new key and is in service under it."""
        await self._until(lambda: _is_over(session), KEY_CHANGE_TIME)
        if session.key_change is not KeyChange.DONE:
            session.give_up_change()
            raise DriverUsageError(f"{session.name} did not take its new key: {session.status_text()}")

    def forget_keys(self, reader: str) -> None:
        """Use the key ring as it is now: without a key there the reader goes offline at once."""
        keys = self._context.keys.keys(reader)
        for event in self._session(reader).use_keys(keys, self._context.clock()):
            self._context.emit(event)

    def show_text(self, reader: str, text: str, seconds: float | None) -> None:
        """Show up to 32 ASCII characters on a reader in service, for whole seconds or until something else."""
        self._in_service(reader).outbox.put_service(Cmd.TEXT, messages.text(text, seconds))
        self._pump()

    async def move(self, reader: str, address: int, baudrate: int) -> None:
        """Give a reader in service another address and speed, which it takes on after its answer."""
        if not 0 <= address <= HIGHEST_ADDRESS or baudrate not in BAUDRATES:
            raise DriverUsageError(f"an address is 0 to {HIGHEST_ADDRESS}, a speed one of {BAUDRATES}")
        session = self._in_service(reader)
        service = session.service
        service.moved.clear()
        session.outbox.put_service(Cmd.COMSET, messages.comset(address, baudrate))
        await self._until(lambda: bool(service.moved), MOVE_TIME)
        if (address, baudrate) not in service.moved:
            raise DriverUsageError(f"{reader} did not move: it answers {service.moved or 'nothing'}")

    async def scan(self, plan: ScanPlan) -> AsyncGenerator[FoundReader, None]:
        """Look for readers that the site file does not name, each given as soon as it is found."""
        known = [session.address for session in self._bus.sessions]
        crc = self._settings.check == "crc"
        scan = Scan(plan, self._settings.baudrate, known, secrets.token_bytes, crc=crc)
        self._bus.begin_scan(scan)
        try:
            while not scan.over:
                await self._until(lambda: scan.over or bool(scan.found), SCAN_STEP_TIME)
                while scan.found:
                    yield scan.found.popleft()
        finally:
            self._bus.end_scan()
        if scan.broken:
            raise DriverUsageError(f"the scan broke off: {scan.broken}")

    async def _until(self, happened: Callable[[], bool], seconds: float) -> None:
        """Wait for news of the bus until it has ``happened``, for ``seconds`` at most."""
        self._pump()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not happened():
                    self._news.clear()
                    await self._news.wait()

    def _session(self, reader: str) -> Session:
        for session in self._bus.sessions:
            if session.name == reader:
                return session
        raise DriverUsageError(f'no reader "{reader}" on the bus at {self._settings.port}')

    def _in_service(self, reader: str) -> Session:
        session = self._session(reader)
        if session.online is not True:
            raise DriverUsageError(f"{reader} is offline: {session.status_text()}")
        return session

    def _newest_key(self, reader: str) -> bytes:
        keys = self._context.keys.keys(reader)
        if not keys:
            raise DriverUsageError(f"{reader}: there is no key to give it")
        return keys[0]


def _is_over(session: Session) -> bool:
    return session.secure if session.key_change is KeyChange.DONE else session.key_change is not KeyChange.WAITING
