"""The devices of a site file, simulated: the lines that it names, its readers, and their parity checks. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from daemon.config.site import Site
from drivers.events import CardRead, DeviceEvent, InputState
from drivers.simulated import SimDevice, SimulatedDevices
from drivers.wiegand.decode import ReaderRules, interpret
from drivers.wiegand.frame import Frame


def site_devices(site: Site, now: float) -> SimulatedDevices:
    """Return every device of the site file, with every door closed and every button at rest."""
    bench = SimulatedDevices(_devices(site))
    for table in site.tables.door.values():
        for line in (table.contact, table.rex, table.fire):
            if line is not None:
                bench.set_input(line.input, InputState.ON if line.sense == "nc" else InputState.OFF, now)
    return bench


class Readers:
    """Cards at the readers of a site: one whose driver checks parity refuses a read that fails it."""

    def __init__(self, site: Site, bench: SimulatedDevices) -> None:
        self._bench = bench
        self._checks = _parity_checks(site)

    def badge(self, reader: str, length: int, value: int, now: float) -> Iterator[DeviceEvent]:
        """Yield what the reader reports when a card of ``length`` bits is presented."""
        for event in self._bench.badge(reader, length, value, now):
            if isinstance(event, CardRead) and reader in self._checks:
                yield interpret(reader, Frame(length, value, round(event.at * 1e9)), self._checks[reader])
            else:
                yield event


def _parity_checks(site: Site) -> dict[str, ReaderRules]:
    """Readers whose driver reads bare bits and was given the formats that they must satisfy."""
    checks = {}
    for bus in site.devices.buses:
        for name, settings in bus.devices.items():
            formats = getattr(settings, "formats", ())
            if name in site.devices.readers and formats and getattr(settings, "check_parity", False):
                checks[name] = ReaderRules(formats=site.formats.select(formats))
    return checks


def _devices(site: Site) -> dict[str, SimDevice]:
    """Every device of the site file as a simulated one, with the lines that it has there."""
    lines: dict[str, tuple[set[str], set[str]]] = {}
    for index, points in enumerate((site.devices.outputs, site.devices.inputs)):
        for point in points:
            lines.setdefault(point.device, (set(), set()))[index].add(point.line)
    names = [*lines, *(reader for reader in site.devices.readers if reader not in lines)]
    return {
        name: SimDevice(
            frozenset(lines.get(name, (set(), set()))[0]),
            frozenset(lines.get(name, (set(), set()))[1]),
            name in site.devices.readers,
        )
        for name in sorted(names)
    }
