"""The technician's commands for readers: their keys, and what else is on their bus (``latchctl reader …``)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from cache.model import DetailValue, Event, EventName
from daemon.control.arguments import text_of
from daemon.control.conversation import Call, Command, answers
from daemon.control.permissions import Role
from daemon.doors.controller.effects import Effects
from daemon.doors.loop import Doors
from daemon.doors.reader_keys import fingerprint
from daemon.errors import DriverError, RequestError
from drivers.driver import SEALED, DriverUsageError, FoundReader, ReaderService, ScanPlan
from drivers.settings import did_you_mean

MOST_SPEEDS = 16
"""Speeds in one request for a scan."""


@dataclass(frozen=True, slots=True)
class KeyReport:
    """Where a reader's key comes from, and which it is by its fingerprint; no part of the key itself.

    ``state`` is ``sealed``, ``in doubt`` (a change of key is not confirmed yet), ``none`` (not enrolled),
    ``site file`` or ``clear text``; ``not in the site file`` is a key that no reader uses.
    """

    reader: str
    state: str
    since: str | None = None
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class KeysReport:
    """Every reader that has, had or needs a key. ``trouble``: why the sealed keys cannot be used at all."""

    readers: tuple[KeyReport, ...]
    trouble: str | None


@dataclass(frozen=True, slots=True)
class ReaderReport:
    """What an order led to."""

    reader: str
    text: str
    fingerprint: str | None = None


class ReaderCommands:
    """Answers the commands. One change of keys at a time; each order is on record with its outcome."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._keys = doors.reader_keys
        self._changing = asyncio.Lock()

    def commands(self) -> Mapping[str, Command]:
        """Every command with who may give it."""
        return {
            "reader keys": Command(Role.VIEWER, answers(self._report)),
            "reader scan": Command(Role.OPERATOR, self._scan),
            "reader enrol": Command(Role.OPERATOR, answers(self._enrol)),
            "reader rotate": Command(Role.OPERATOR, answers(self._rotate)),
            "reader revoke": Command(Role.OPERATOR, answers(self._revoke)),
            "reader move": Command(Role.OPERATOR, answers(self._move)),
            "reader text": Command(Role.OPERATOR, answers(self._text)),
        }

    # -------------------------------------------------------------- keys

    async def _report(self, _: Call) -> KeysReport:
        return KeysReport(tuple(self._key_reports()), self._keys.trouble)

    def _key_reports(self) -> Iterator[KeyReport]:
        entries, settings = self._keys.entries, dict(self._settings())
        for reader, setting in sorted(settings.items()):
            reference = getattr(setting, "key", None)
            if reference == SEALED:
                yield self._sealed(reader)
            elif hasattr(setting, "key"):
                yield KeyReport(reader, "site file" if reference is not None else "clear text")
        for reader in sorted(set(entries) - {name for name, _ in self._sealed_readers()}):
            yield KeyReport(reader, "not in the site file")

    def _sealed(self, reader: str) -> KeyReport:
        entry = self._keys.entries.get(reader)
        if entry is None:
            return KeyReport(reader, "none")
        if entry.pending is not None:
            return KeyReport(reader, "in doubt", None, fingerprint(entry.pending))
        since = entry.since.isoformat() if entry.since is not None else None
        return KeyReport(reader, "sealed", since, fingerprint(entry.key) if entry.key is not None else None)

    async def _enrol(self, call: Call) -> ReaderReport:
        """From the default key to a key of its own."""
        reader, service = self._sealed_reader(call)
        async with self._recorded(call, reader, "reader.enrol"):
            entry = self._keys.entries.get(reader)
            if entry is not None and entry.key is not None:
                raise RequestError(
                    f"{reader} has a key of its own already: rotate changes it, and revoke forgets it first"
                )
            return await self._give_key(reader, service.enrol)

    async def _rotate(self, call: Call) -> ReaderReport:
        """From its key to another one."""
        reader, service = self._sealed_reader(call)
        async with self._recorded(call, reader, "reader.rotate"):
            if not self._keys.keys(reader):
                raise RequestError(f"{reader} has no key of its own yet: latchctl reader enrol {reader}")
            service.check_in_service(reader)  # before there is a new key, which would be in doubt from then on
            return await self._give_key(reader, service.rotate)

    async def _give_key(self, reader: str, bring: Callable[[str], Awaitable[None]]) -> ReaderReport:
        if self._changing.locked():
            raise RequestError("another key is being changed; wait until that has ended")
        async with self._changing:
            await self._keys.propose(reader)
            await bring(reader)
        (key,) = self._keys.keys(reader)
        return ReaderReport(reader, "the reader has proved its new key", fingerprint(key))

    async def _revoke(self, call: Call) -> ReaderReport:
        """Forget the key. The reader is offline until it was reset and enrolled again."""
        reader = text_of(call.request.arguments, "reader") or ""
        if reader not in self._keys.entries:
            raise RequestError(f'no key is stored for "{reader}"; {did_you_mean(reader, self._keys.entries)}')
        service = self._service(reader) if reader in dict(self._sealed_readers()) else None
        async with self._recorded(call, reader, "reader.revoke"), self._changing:
            await self._keys.forget(reader)
            if service is not None:
                service.forget_keys(reader)
        return ReaderReport(reader, "the key is forgotten; the reader is offline until it is enrolled again")

    # -------------------------------------------------------------- the bus

    async def _scan(self, call: Call) -> AsyncGenerator[FoundReader, None]:
        """Each reader that the site file does not name, as it is found."""
        arguments = call.request.arguments
        bus = text_of(arguments, "bus") or ""
        service = self._doors.hardware.readers(bus)
        try:
            plan = ScanPlan(_numbers(arguments, "addresses")[:256], _numbers(arguments, "baudrates")[:MOST_SPEEDS])
            async with self._recorded(call, None, "reader.scan", bus=bus), aclosing(service.scan(plan)) as found:
                async for one in found:
                    yield one
        except DriverUsageError as error:
            raise DriverError(str(error)) from None

    async def _move(self, call: Call) -> ReaderReport:
        """Another address and speed for a reader in service."""
        reader, service = self._known_reader(call)
        address, baudrate = (_number(call.request.arguments, name) for name in ("address", "baudrate"))
        async with self._recorded(call, reader, "reader.move", address=address, baudrate=baudrate):
            await service.move(reader, address, baudrate)
        return ReaderReport(
            reader, f"it has address {address} at {baudrate} baud now; change the site file before it is missed"
        )

    async def _text(self, call: Call) -> ReaderReport:
        """A text on a reader that can show one."""
        reader, service = self._known_reader(call)
        text, seconds = text_of(call.request.arguments, "text") or "", call.request.arguments.get("seconds")
        async with self._recorded(call, reader, "reader.text"):
            service.show_text(reader, text, None if seconds is None else float(str(seconds)))
        return ReaderReport(reader, "the text is on its way")

    # -------------------------------------------------------------- which reader, and on record

    def _settings(self) -> Iterator[tuple[str, object]]:
        for bus in self._doors.site.devices.buses:
            yield from bus.devices.items()

    def _sealed_readers(self) -> Iterator[tuple[str, object]]:
        return ((name, one) for name, one in self._settings() if getattr(one, "key", None) == SEALED)

    def _known_reader(self, call: Call) -> tuple[str, ReaderService]:
        reader, known = text_of(call.request.arguments, "reader") or "", self._doors.site.devices.readers
        if reader not in known:
            raise RequestError(f'there is no reader "{reader}"; {did_you_mean(reader, known)}')
        return reader, self._service(reader)

    def _sealed_reader(self, call: Call) -> tuple[str, ReaderService]:
        reader, service = self._known_reader(call)
        if reader not in dict(self._sealed_readers()):
            raise RequestError(f'the key of {reader} is not latchd\'s to change: it needs key = "sealed"')
        return reader, service

    def _service(self, reader: str) -> ReaderService:
        bus = self._doors.hardware.bus_of(reader)
        assert bus is not None  # every reader of an accepted site file is on a bus
        return self._doors.hardware.readers(bus.name)

    @asynccontextmanager
    async def _recorded(
        self, call: Call, reader: str | None, action: str, **detail: DetailValue
    ) -> AsyncIterator[None]:
        """Put an order on record when it has ended, with who gave it and what became of it."""
        outcome = "broken off"
        try:
            yield
            outcome = "done"
        except DriverUsageError as error:
            outcome = str(error)
            raise DriverError(outcome) from None
        except Exception as error:
            outcome = str(error)
            raise
        finally:
            words = (("name", call.peer.user), ("action", action), *detail.items(), ("outcome", outcome))
            event = Event(EventName.OPERATOR, reader=reader, detail=words)
            self._doors.act(Effects(events=(event,)), self._doors.now())


def _number(arguments: Mapping[str, object], name: str) -> int:
    value = arguments.get(name)
    if not isinstance(value, int):
        raise RequestError(f"{name} is a whole number")
    return value


def _numbers(arguments: Mapping[str, object], name: str) -> list[int]:
    values = arguments.get(name)
    if not isinstance(values, list) or not all(isinstance(value, int) for value in values):
        raise RequestError(f"{name} is a list of whole numbers")
    return values
