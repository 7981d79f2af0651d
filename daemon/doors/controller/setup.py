"""From the accepted site file to what the controller works with: one ``DoorSetup`` for each door. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from cache.model import Mode
from daemon.config.bounds import REX_TIME, Wiring
from daemon.config.site import Site, special_days, staleness_policy
from daemon.config.tables import (
    AreaTable,
    ContactTable,
    DoorExceptionTable,
    DoorScheduleTable,
    DoorTable,
    RexTable,
)
from daemon.decision.door_rules import (
    Area,
    DoorException,
    DoorPlan,
    DoorRules,
    DoorSchedule,
    ModeWindow,
    TwoPersonRule,
)
from daemon.decision.recurrence import parse_recurrence
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
    areas = site_areas(site)
    return {name: _door(name, table, site, areas) for name, table in site.tables.door.items()}


def site_areas(site: Site) -> dict[str, Area]:
    """Every area with rules, by name."""
    return {name: _area(name, table) for name, table in site.tables.area.items()}


def session_config(site: Site) -> SessionConfig:
    """The site's PIN rules; two-person and double-badge times are a door's."""
    pin = site.tables.pin
    return SessionConfig(
        pin_length=pin.length,
        pin_timeout=pin.timeout,
        lockout_after=pin.lockout.after,
        lockout_within=pin.lockout.within,
        lockout_for=pin.lockout.for_,
    )


def interlocks(site: Site) -> tuple[Interlock, ...]:
    """The interlocks of the site."""
    return tuple(Interlock(table.doors, table.rule) for table in site.tables.interlock)


def _door(name: str, table: DoorTable, site: Site, areas: Mapping[str, Area]) -> DoorSetup:
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
            _plan(name, table, site),
            site.tables.clock.untrusted,
            frozenset(table.double_badge.groups) if table.double_badge is not None else frozenset(),
        ),
        rules=_rules(name, table, site, areas),
        double_badge=table.double_badge.within if table.double_badge is not None else None,
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


def _plan(name: str, table: DoorTable, site: Site) -> DoorPlan:
    return DoorPlan(
        default=Mode(table.mode),
        schedules=tuple(_schedule(s, site) for s in site.tables.door_schedule if s.door == name),
        exceptions=tuple(_exception(e) for e in site.tables.door_exception if e.door == name),
    )


def _schedule(table: DoorScheduleTable, site: Site) -> DoorSchedule:
    return DoorSchedule(
        schedule=site.schedules[table.schedule],
        mode=Mode(table.mode),
        special_days=special_days(table.special_days, site.tables.special_days),
        first_person_in=frozenset(table.first_person_in),
        grace=table.grace,
    )


def _exception(table: DoorExceptionTable) -> DoorException:
    dates: frozenset[date] = frozenset(table.dates)
    return DoorException(
        windows=tuple(ModeWindow(window.at, Mode(window.mode)) for window in table.windows),
        dates=dates,
        first=table.from_,
        last=table.until,
        recurrence=parse_recurrence(table.recurrence, table.from_) if table.recurrence is not None else None,
    )


def _rules(name: str, table: DoorTable, site: Site, areas: Mapping[str, Area]) -> DoorRules:
    two = table.two_person
    return DoorRules(
        door=name,
        zone=site.zone,
        levels=tuple(level for level in site.levels if name in level.doors),
        default_mode=Mode(table.mode),
        lockdown_exempt=frozenset(table.lockdown_exempt),
        two_person=TwoPersonRule(frozenset(two.groups), two.within) if two is not None else None,
        staleness=staleness_policy(table.staleness or site.tables.staleness),
        clock=site.tables.clock.untrusted,
        to_area=areas.get(table.area.to) if table.area is not None else None,
        from_area=areas.get(table.area.from_) if table.area is not None else None,
    )


def _area(name: str, table: AreaTable) -> Area:
    return Area(name, table.anti_passback, table.timed, table.reset, table.occupancy)
