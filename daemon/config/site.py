"""An accepted site file as the pure parts need it: tables turned into the domain. Pure.

``daemon.config.load`` reads and checks the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from cache.model import AccessLevel
from cache.reconcile.limits import Brake
from daemon.config.brake import brake_of
from daemon.config.devices import Devices
from daemon.config.policy.build import Policy, build_policy
from daemon.config.tables import SiteTables
from drivers.cards.formats import CardFormats, built_in_formats


@dataclass(frozen=True, slots=True)
class Site:
    """An accepted site file: its tables, its hardware, and what the pure parts need of it."""

    tables: SiteTables
    devices: Devices
    zone: ZoneInfo
    policy: Policy
    formats: CardFormats

    @property
    def brake(self) -> Brake:
        """How much may be lost at the doors without an operator."""
        scim = self.tables.scim
        return brake_of(self.tables.brake, None if scim is None else scim.limits)

    @property
    def doors_by_reference(self) -> Mapping[str, frozenset[str]] | None:
        """The doors that each word for a group opens, at whatever hour; ``None``: there is no access level."""
        if not self.levels:
            return None
        doors: dict[str, frozenset[str]] = {}
        for level in self.levels:
            for reference in level.groups:
                doors[reference] = doors.get(reference, frozenset()) | level.doors
        return doors

    @property
    def name(self) -> str:
        """The site's name."""
        return self.tables.site.name

    @property
    def levels(self) -> tuple[AccessLevel, ...]:
        """The access levels, in the order of the file."""
        return self.policy.levels

    @property
    def references(self) -> frozenset[str]:
        """Every word by which the policy means an access group."""
        return self.policy.references


def unattended_locks(site: Site) -> Iterator[tuple[str, str]]:
    """Each door whose lock may stay released when the daemon is killed during a strike, and why in words."""
    types = {
        device: (bus.type, settings) for bus in site.devices.buses for device, settings in bus.devices.items()
    }
    for door, table in site.tables.door.items():
        kind, settings = types[table.lock.device]
        if why := kind.unattended(settings):
            yield door, f"{table.lock}: {why}"


def build_site(tables: SiteTables, devices: Devices) -> Site:
    """The domain values of tables that have been checked."""
    zone = ZoneInfo(tables.site.timezone)
    policy = build_policy(tables, tables.door, zone)
    return Site(tables, devices, zone, policy, built_in_formats().extended(tables.card_format))
