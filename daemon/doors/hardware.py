"""All drivers of a site: created from the site file, run as tasks, and commands sent to the one they concern."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence

from daemon.config.devices import Bus
from daemon.errors import DriverError
from drivers.driver import Context, DeviceStatus, Driver, PortError, ReaderService, ServesReaders
from drivers.events import Buzz, Command, DeviceOffline, Led
from drivers.recorder import recordable

log = logging.getLogger(__name__)

RESTART_DELAY = 2.0
"""Seconds until a driver that ended, against its contract, is started again."""


class Hardware:
    """Owns the drivers. ``send`` never raises and never blocks; a driver that ends is started again."""

    def __init__(self, buses: Sequence[Bus], context: Context) -> None:
        """Create every driver; no device is opened before ``run``. Raises ``DriverError``."""
        self._context = context
        self._buses = {bus.name: bus for bus in buses}
        self._drivers = {bus.name: _create(bus, context) for bus in buses}
        self._away: dict[str, str] = {}
        self._bus_of = {device: bus.name for bus in buses for device in bus.devices}

    async def run(self) -> None:
        """Run all drivers until cancelled; each then switches its outputs off and closes its port."""
        tasks = [asyncio.create_task(self._keep(name), name=f"bus {name}") for name in self._drivers]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def send(self, command: Command) -> None:
        """Pass a command to the driver of its device. A failure is logged: the next door must still open.

        While a driver is away its commands are forgotten: the controller orders each output again when it is back.
        """
        device = command.reader if isinstance(command, Led | Buzz) else command.point.device
        bus = self._bus_of.get(device)
        try:
            if bus is not None and bus not in self._away:
                self._drivers[bus].send(command)
        except Exception:
            log.exception("the driver of %s failed to take %s", device, type(command).__name__)

    def status(self) -> Iterator[tuple[str, DeviceStatus]]:
        """Every device with the name of its bus."""
        for name, bus in self._buses.items():
            if name in self._away:
                yield from ((name, DeviceStatus(device, False, self._away[name])) for device in bus.devices)
            else:
                yield from ((name, status) for status in self._drivers[name].status())

    def bus_of(self, device: str) -> Bus | None:
        """The bus that a device is on."""
        name = self._bus_of.get(device)
        return None if name is None else self._buses[name]

    def readers(self, bus: str) -> ReaderService:
        """What the driver of a bus can do for a technician. ``DriverError``: nothing."""
        driver = self._drivers.get(bus)
        if driver is None:
            raise DriverError(f'there is no bus "{bus}"; there are: {", ".join(self._drivers)}')
        if not isinstance(driver, ServesReaders):
            raise DriverError(f'the driver "{self._buses[bus].type.name}" of bus {bus} has no such command')
        return driver.readers

    async def _keep(self, name: str) -> None:
        """A driver reconnects by itself; should it end all the same, its devices are offline until it is back."""
        said = ""
        while True:
            why, fault = await self._serve(name)
            self._away[name] = why
            for device in self._buses[name].devices:
                self._context.emit(DeviceOffline(device, self._context.clock(), why))
            if why != said:
                log.error("bus %s: %s; starting it again every %g s", name, why, RESTART_DELAY, exc_info=fault)
                said = why
            await asyncio.sleep(RESTART_DELAY)

    async def _serve(self, name: str) -> tuple[str, Exception | None]:
        """Run the driver of a bus, made again if it was away, until it ends; why it did."""
        try:
            if name in self._away:
                self._drivers[name] = _create(self._buses[name], self._context)
                del self._away[name]
            await self._drivers[name].run()
        except (PortError, DriverError) as error:
            return str(error), None
        except Exception as error:  # noqa: BLE001 - whatever a driver does, the other buses go on
            return f"the driver failed: {type(error).__name__}", error
        return "the driver ended", None


def _create(bus: Bus, context: Context) -> Driver:
    try:
        return recordable(bus.type).create(bus.settings, bus.devices, context)
    except (ValueError, OSError) as error:
        raise DriverError(f'the driver "{bus.type.name}" of bus {bus.name} cannot be made: {error}') from error
