"""What needs two tables to be seen: dangling references, things claimed twice, contradictions. Pure.

What is between policy tables alone is in ``daemon.config.policy.checks``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from daemon.config.devices import Devices
from daemon.config.faults import Fault
from daemon.config.interlocks import check_interlocks
from daemon.config.lines import Path
from daemon.config.policy.checks import check_policy, known_name, known_names
from daemon.config.tables import DoorTable, SiteTables
from drivers.cards.formats import built_in_formats
from drivers.cards.layout import CardError, LayoutError
from drivers.events import Point
from drivers.settings import did_you_mean


def check(tables: SiteTables, devices: Devices, *, whole: bool) -> Iterator[Fault]:
    """Every fault between tables. The devices are checked only as far as they could be read.

    ``whole``: the tables are all that the file says; without some of it the times of doors cannot be compared.
    """
    times = [*_zone(tables), *check_policy(tables, tables.door), *_interlocks(tables)]
    yield from times
    if whole and not times:
        yield from check_interlocks(tables)
    yield from _brake(tables)
    yield from _sockets(tables)
    yield from _simulation(tables, devices)
    yield from _doors(tables, devices)
    yield from _claims(tables)
    yield from _buses(devices)
    yield from _card_formats(tables, devices)


def _interlocks(tables: SiteTables) -> Iterator[Fault]:
    for index, interlock in enumerate(tables.interlock):
        yield from known_names(("interlock", index, "doors"), interlock.doors, tables.door, "door")


def _card_formats(tables: SiteTables, devices: Devices) -> Iterator[Fault]:
    formats = built_in_formats()
    for name, table in tables.card_format.items():
        try:
            formats = formats.extended({name: table})
        except LayoutError as error:
            yield Fault(("card_format", name), str(error))
    for bus in devices.buses:
        for reader in bus.devices.keys() & devices.readers:
            try:
                formats.select(getattr(bus.devices[reader], "formats", ()))
            except CardError as error:
                yield Fault(("reader", reader, "formats"), str(error))


def _zone(tables: SiteTables) -> Iterator[Fault]:
    try:
        ZoneInfo(tables.site.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield Fault(("site", "timezone"), 'expected an IANA time zone such as "Europe/Berlin"')


def _brake(tables: SiteTables) -> Iterator[Fault]:
    if tables.brake is not None and tables.scim is not None and tables.scim.limits is not None:
        yield Fault(("scim", "limits"), "[brake] is in the file, too, and says the same: keep [brake]")


def _sockets(tables: SiteTables) -> Iterator[Fault]:
    if tables.control.socket == tables.control.sync_socket:
        yield Fault(("control", "sync_socket"), "must differ from socket: each process has its own")


def _simulation(tables: SiteTables, devices: Devices) -> Iterator[Fault]:
    for bus in devices.buses:
        if bus.type.simulated and not tables.allow_simulation:
            yield Fault(("bus", bus.name, "driver"), "a simulated driver; refused unless allow_simulation = true")


def _doors(tables: SiteTables, devices: Devices) -> Iterator[Fault]:
    for name, door in tables.door.items():
        path: Path = ("door", name)
        for key, reader in (("entry", door.entry), ("exit", door.exit)):
            if reader is not None:
                yield from known_name((*path, key), reader, devices.readers, "reader")
        yield from _point((*path, "lock"), door.lock, devices.outputs, "output")
        for key, point in inputs_of(door):
            yield from _point((*path, key, "input"), point, devices.inputs, "input")


def inputs_of(door: DoorTable) -> Iterator[tuple[str, Point]]:
    """The inputs of a door with the key that names each."""
    for key, table in (("contact", door.contact), ("rex", door.rex), ("fire", door.fire)):
        if table is not None:
            yield key, table.input


def points_in_use(tables: SiteTables) -> frozenset[Point]:
    """The inputs and outputs that doors name."""
    doors = tables.door.values()
    return frozenset(door.lock for door in doors) | {point for door in doors for _, point in inputs_of(door)}


def _buses(devices: Devices) -> Iterator[Fault]:
    """What a bus cannot serve, in its driver's own words and numbers."""
    for bus in devices.buses:
        for why in bus.type.refuses(bus.settings, bus.devices):
            yield Fault(("bus", bus.name), why)


def _claims(tables: SiteTables) -> Iterator[Fault]:
    """A reader, an output or an input that two doors (or two keys) claim."""
    claimed: dict[object, str] = {}
    for name, door in tables.door.items():
        claims: list[tuple[Path, object, str]] = [
            (("door", name, "entry"), door.entry, f"the reader {door.entry}")
        ]
        if door.exit is not None:
            claims.append((("door", name, "exit"), door.exit, f"the reader {door.exit}"))
        claims.append((("door", name, "lock"), ("out", door.lock), f"the output {door.lock}"))
        for key, point in inputs_of(door):
            if key != "fire":  # one fire input commonly serves many doors
                claims.append((("door", name, key, "input"), ("in", point), f"the input {point}"))
        for path, what, words in claims:
            if what in claimed:
                yield Fault(path, f"{words} is used by {claimed[what]} already")
            claimed.setdefault(what, f"door.{name}")


def _point(path: Path, point: Point, known: Collection[Point], kind: str) -> Iterator[Fault]:
    if point not in known:
        yield Fault(path, f'there is no {kind} "{point}"; {did_you_mean(str(point), map(str, known))}')
