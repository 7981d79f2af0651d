"""The bus, board and reader tables: each read with the settings class of the driver it names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from daemon.config.faults import Fault, parse
from daemon.config.lines import Path
from drivers.driver import DriverType
from drivers.events import Point
from drivers.registry import BrokenDriverError, UnknownDriverError, load

Table = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bus:
    """One driver to be started: its type, its own settings, and the settings of each device on it by name.

    ``name`` is the bus's name in the site file; of a reader or chip that is its own bus, the device's.
    """

    name: str
    type: DriverType
    settings: Any
    devices: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Devices:
    """All hardware of the site file: buses, which reader and output and input exists."""

    buses: tuple[Bus, ...] = ()
    readers: frozenset[str] = frozenset()
    outputs: frozenset[Point] = frozenset()
    inputs: frozenset[Point] = frozenset()


@dataclass(slots=True)
class _Reading:
    """What has been read so far; becomes ``Devices`` at the end."""

    types: dict[str, DriverType] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    members: dict[str, dict[str, Any]] = field(default_factory=dict)
    readers: set[str] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)

    def fault(self, path: Path, text: str) -> None:
        self.faults.append(Fault(path, text))


def read_devices(buses: Table, boards: Table, readers: Table) -> tuple[Devices, tuple[Fault, ...]]:
    """Read the three kinds of tables; every fault of every table is reported."""
    reading = _Reading()
    for name, table in buses.items():
        _read_bus(reading, name, table)
    for kind, tables in (("board", boards), ("reader", readers)):
        for name, table in tables.items():
            if not isinstance(table, Mapping):
                reading.fault((kind, name), "expected a table")
            elif name in boards and name in readers and kind == "reader":
                reading.fault((kind, name), "a board has this name already; names of devices are unique")
            else:
                _read_device(reading, kind, name, table)
    return _devices(reading), tuple(reading.faults)


def _read_bus(reading: _Reading, name: str, table: Any) -> None:
    path = ("bus", name)
    if not isinstance(table, Mapping):
        reading.fault(path, "expected a table")
        return
    kind = _driver(reading, path, table)
    if kind is None:
        return
    if kind.bus_settings is None:
        reading.fault((*path, "driver"), f'the driver "{kind.name}" has no bus: name it in [reader.NAME]')
        return
    reading.types[name] = kind
    reading.members.setdefault(name, {})
    rest = {key: value for key, value in table.items() if key != "driver"}
    _settings(reading, kind.bus_settings, rest, path, name)


def _read_device(reading: _Reading, section: str, name: str, table: Table) -> None:
    path = (section, name)
    if section == "reader":
        reading.readers.add(name)
    if "driver" in table and "bus" not in table:
        kind = _driver(reading, path, table)
        if kind is not None and kind.bus_settings is not None:
            reading.fault((*path, "driver"), f'the driver "{kind.name}" serves a bus: write bus = "NAME"')
            return
        bus = name
        if kind is not None:
            reading.types[bus] = kind
    else:
        bus = str(table.get("bus", ""))
        if "bus" not in table:
            reading.fault((*path, "bus"), "this key is missing: the bus that the device is on")
            return
        if bus not in reading.members:
            reading.fault((*path, "bus"), f"there is no [bus.{bus}]; {_known(list(reading.members))}")
            return
        kind = reading.types.get(bus)
    if kind is None:
        return
    wanted = kind.reader_settings if section == "reader" else kind.board_settings
    if wanted is None:
        reading.fault(path, f'the driver "{kind.name}" has no {section}s')
        return
    rest = {key: value for key, value in table.items() if key not in ("driver", "bus")}
    parsed = parse(wanted, rest, path)
    reading.faults.extend(parsed.faults)
    if parsed.value is not None:
        reading.members.setdefault(bus, {})[name] = parsed.value


def _driver(reading: _Reading, path: Path, table: Table) -> DriverType | None:
    name = table.get("driver")
    if not isinstance(name, str):
        reading.fault((*path, "driver"), "this key is missing: the name of a driver (see latchctl drivers)")
        return None
    try:
        return load(name)
    except (UnknownDriverError, BrokenDriverError) as error:
        reading.fault((*path, "driver"), str(error))
        return None


def _settings(reading: _Reading, kind: type[Any], rest: Table, path: Path, bus: str) -> None:
    parsed = parse(kind, rest, path)
    reading.faults.extend(parsed.faults)
    reading.settings[bus] = parsed.value


def _known(names: list[str]) -> str:
    return f"buses here: {', '.join(sorted(names))}" if names else "the file has no bus at all"


def _devices(reading: _Reading) -> Devices:
    outputs: set[Point] = set()
    inputs: set[Point] = set()
    buses = []
    for bus, members in reading.members.items():
        kind = reading.types[bus]
        for name, settings in members.items():
            out, into = kind.lines(settings)
            outputs.update(Point(name, line) for line in out)
            inputs.update(Point(name, line) for line in into)
        buses.append(Bus(bus, kind, reading.settings.get(bus), members))
    return Devices(tuple(buses), frozenset(reading.readers), frozenset(outputs), frozenset(inputs))
