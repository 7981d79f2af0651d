"""From the accepted site file to what the controller works with: one ``DoorSetup`` for each door. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.config.bounds import REX_TIME, Wiring
from daemon.config.policy.build import staleness_policy
from daemon.config.site import Site
from daemon.config.tables import ContactTable, DoorTable, RexTable
from daemon.decision.door_rules import DoorRules
from daemon.doors.door.lockout import LockoutRules
from daemon.doors.door.modes import ModePlan
from daemon.doors.door.session import SessionConfig
from daemon.doors.door.space import Interlock
from daemon.doors.door.state import DoorConfig
from drivers.events import Point


@dataclass(frozen=True, slots=True)
class InputSetup:
    """An input of a door: where it is, how it is wired, and its debounce time in seconds."""

    point: Point
    sense: Wiring
    debounce: float


@dataclass(frozen=True, slots=True)
class DoorSetup:
    """One door: its hardware by name, its timing, and its rules."""

    name: str
    entry: str
    exit: str | None
    lock: Point
    contact: InputSetup | None
    rex: InputSetup | None
    fire: InputSetup | None
    config: DoorConfig
    modes: ModePlan
    rules: DoorRules
    double_badge: float | None = None

    @property
    def readers(self) -> tuple[str, ...]:
        """The readers of the door, the entry first."""
        return (self.entry,) if self.exit is None else (self.entry, self.exit)


def door_setups(site: Site) -> dict[str, DoorSetup]:
    """Every door of the site, by name, in the order of the file."""
    return {name: _door(name, table, site) for name, table in site.tables.door.items()}


def session_config(site: Site) -> SessionConfig:
    """The site's PIN rules; two-person and double-badge times are a door's."""
    pin = site.tables.pin
    return SessionConfig(
        pin_length=pin.length,
        pin_timeout=pin.timeout,
    )


def lockout_rules(site: Site) -> LockoutRules:
    """When wrong PINs lead to a lockout, and of what length."""
    lockout = site.tables.pin.lockout
    return LockoutRules(after=lockout.after, within=lockout.within, seconds=lockout.for_)


def pins_alone(site: Site) -> bool:
    """Whether a PIN identifies its person without a card anywhere on this site."""
    scim = site.tables.scim
    return scim is None or any(rule.pin_alone for rule in scim.credential)


def interlocks(site: Site) -> tuple[Interlock, ...]:
    """The interlocks of the site."""
    return tuple(Interlock(table.doors, table.rule) for table in site.tables.interlock)


def _door(name: str, table: DoorTable, site: Site) -> DoorSetup:
    policy = site.policy.doors[name]
    double = policy.double_badge
    return DoorSetup(
        name=name,
        entry=table.entry,
        exit=table.exit,
        lock=table.lock,
        contact=_input(table.contact),
        rex=_input(table.rex),
        fire=_input(table.fire),
        config=_config(name, table),
        modes=ModePlan(
            site.zone,
            policy.plan,
            site.tables.clock.untrusted,
            double.groups if double is not None else frozenset(),
        ),
        rules=_rules(name, table, site),
        double_badge=double.within if double is not None else None,
    )


def _input(table: ContactTable | RexTable | None) -> InputSetup | None:
    return None if table is None else InputSetup(table.input, table.sense, table.debounce)


def _config(name: str, table: DoorTable) -> DoorConfig:
    return DoorConfig(
        name=name,
        strike_time=table.strike_time,
        extended_time=table.extended_time,
        held_open_time=table.held_open_time,
        held_open_warning=table.held_open_warning,
        relock=table.relock,
        has_contact=table.contact is not None,
        rex_release=table.rex is not None and table.rex.release,
        rex_time=table.rex.time if table.rex is not None else REX_TIME.default,
    )


def _rules(name: str, table: DoorTable, site: Site) -> DoorRules:
    policy = site.policy.doors[name]
    return DoorRules(
        door=name,
        zone=site.zone,
        levels=policy.levels,
        lockdown_exempt=policy.lockdown_exempt,
        two_person=policy.two_person,
        staleness=staleness_policy(table.staleness or site.tables.staleness),
        clock=site.tables.clock.untrusted,
        to_area=policy.to_area,
        from_area=policy.from_area,
    )
