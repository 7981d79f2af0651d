"""Which drivers there are, and the only place that names them.

The built-in ones stand in ``BUILT_IN``; others come from the entry-point group ``latchd.drivers`` of
installed distributions. A driver's module is imported when a site file names the driver, not before, so a
driver whose library is missing or broken harms only the site that asks for it. A built-in name cannot be
taken over by an entry point, and a name that two distributions claim is refused: deny by default.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module, metadata
from types import MappingProxyType

from drivers.driver import DriverType
from drivers.settings import did_you_mean

ENTRY_POINT_GROUP = "latchd.drivers"

BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "gpio": "drivers.gpio.board:DRIVER",
        "modbus-rtu": "drivers.modbus.driver:RTU",
        "modbus-tcp": "drivers.modbus.driver:TCP",
        "osdp": "drivers.osdp.driver:DRIVER",
        "sim": "drivers.sim.driver:DRIVER",
        "wiegand": "drivers.gpio.wiegand:DRIVER",
    }
)

_HERE = "latchd"


class UnknownDriverError(LookupError):
    """No driver has this name; the message gives the nearest one that exists."""


class BrokenDriverError(ImportError):
    """The driver exists but cannot be used; the message says why and where it comes from."""


@dataclass(frozen=True, slots=True)
class DriverEntry:
    """A driver that can be chosen: its name, ``module:attribute``, and the distribution it comes from.

    ``conflict`` says in words why the entry is refused although it is installed; empty for a good one.
    """

    name: str
    target: str
    origin: str
    conflict: str = ""


@dataclass(frozen=True, slots=True)
class DriverCheck:
    """One line of ``latchctl drivers``: an entry, and what is wrong with it (``""``: it can be used)."""

    entry: DriverEntry
    problem: str
    simulated: bool = False


def driver_types() -> Mapping[str, DriverEntry]:
    """Every driver that can be chosen, by name, in order of name. Nothing is imported."""
    found = {name: DriverEntry(name, target, _HERE) for name, target in BUILT_IN.items()}
    for entry in _installed():
        found.setdefault(entry.name, entry)
    return dict(sorted(found.items()))


def load(name: str) -> DriverType:
    """Import the driver called ``name``.

    Raises ``UnknownDriverError`` when there is none, ``BrokenDriverError`` when it cannot be imported or
    is no ``DriverType`` of that name.
    """
    entry = _built_in(name) or driver_types().get(name)
    if entry is None:
        raise UnknownDriverError(_unknown(name))
    return _import(entry)


def check_drivers() -> tuple[DriverCheck, ...]:
    """Import every driver and say which can be used; also lists entry points that are refused."""
    entries = [DriverEntry(name, target, _HERE) for name, target in BUILT_IN.items()]
    entries += _installed()
    return tuple(_check(entry) for entry in sorted(entries, key=lambda entry: (entry.name, entry.origin)))


def _built_in(name: str) -> DriverEntry | None:
    target = BUILT_IN.get(name)
    return None if target is None else DriverEntry(name, target, _HERE)


def _installed() -> list[DriverEntry]:
    """The entry points of other distributions; every name that is claimed twice bears its conflict."""
    by_name: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for point in metadata.entry_points(group=ENTRY_POINT_GROUP):
        origin = f"{point.dist.name} {point.dist.version}" if point.dist else "unknown distribution"
        by_name[point.name][point.value].add(origin)
    return [
        DriverEntry(name, target, ", ".join(sorted(origins)), _conflict(name, targets))
        for name, targets in by_name.items()
        for target, origins in targets.items()
    ]


def _conflict(name: str, targets: Mapping[str, set[str]]) -> str:
    if name in BUILT_IN:
        return f'"{name}" is a built-in driver and cannot be replaced; the distribution must choose another name'
    if len(targets) > 1:
        claimants = sorted(origin for origins in targets.values() for origin in origins)
        return f'"{name}" is claimed by {" and ".join(claimants)}; uninstall all but one'
    return ""


def _import(entry: DriverEntry) -> DriverType:
    where = f'driver "{entry.name}" ({entry.target}, from {entry.origin})'
    if entry.conflict:
        raise BrokenDriverError(f"{where} is refused: {entry.conflict}")
    module_name, _, attribute = entry.target.partition(":")
    try:
        driver = getattr(import_module(module_name), attribute)
    except Exception as error:  # a third party's module may raise anything while it is imported
        raise BrokenDriverError(f"{where} cannot be imported: {type(error).__name__}: {error}") from error
    if not isinstance(driver, DriverType):
        raise BrokenDriverError(f"{where} is a {type(driver).__name__}, not a drivers.driver.DriverType")
    if driver.name != entry.name:
        raise BrokenDriverError(f'{where} calls itself "{driver.name}"; the two names must be the same')
    return driver


def _check(entry: DriverEntry) -> DriverCheck:
    try:
        driver = _import(entry)
    except BrokenDriverError as error:
        return DriverCheck(entry, str(error))
    return DriverCheck(entry, "", driver.simulated)


def _unknown(name: str) -> str:
    known = driver_types()
    return f'there is no driver "{name}"; {did_you_mean(name, known)}'
