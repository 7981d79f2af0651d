"""An accepted site file as the pure parts need it: tables turned into the domain. Pure.

``daemon.config.load`` reads and checks the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from cache.model import (
    ALWAYS,
    NEVER,
    AccessException,
    AccessLevel,
    Interval,
    Schedule,
    StalenessPolicy,
)
from daemon.config.devices import Devices
from daemon.config.tables import (
    AccessExceptionTable,
    AccessLevelTable,
    Days,
    SiteTables,
    StalenessTable,
    Week,
)
from daemon.config.values import parse_date, parse_weekdays
from daemon.decision.schedule import instant_of
from drivers.cards.formats import CardFormats, built_in_formats


@dataclass(frozen=True, slots=True)
class Site:
    """An accepted site file: its tables, its hardware, and what the pure parts need of it."""

    tables: SiteTables
    devices: Devices
    zone: ZoneInfo
    schedules: Mapping[str, Schedule]
    levels: tuple[AccessLevel, ...]
    references: frozenset[str]
    formats: CardFormats

    @property
    def name(self) -> str:
        """The site's name."""
        return self.tables.site.name


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
    schedules = {name: build_schedule(name, week) for name, week in tables.schedule.items()}
    schedules |= {"always": ALWAYS, "never": NEVER}
    levels = tuple(_level(table, tables, schedules, zone) for table in tables.access_level)
    formats = built_in_formats().extended(tables.card_format)
    return Site(tables, devices, zone, schedules, levels, frozenset(_group_references(tables)), formats)


def build_schedule(name: str, week: Week) -> Schedule:
    """``mon-fri = ["08:00-18:00"]`` as seven tuples of intervals."""
    days: list[tuple[Interval, ...]] = [()] * 7
    for key, intervals in week.items():
        for day in parse_weekdays(key):
            days[day] = tuple(intervals)
    return Schedule(name, tuple(days))


def special_days(names: Iterable[str], tables: Mapping[str, Days]) -> dict[Any, tuple[Interval, ...]]:
    """Several lists of special days as one: on a date that stands in two of them, the union."""
    merged: dict[Any, tuple[Interval, ...]] = {}
    for name in names:
        for key, intervals in tables[name].items():
            day = parse_date(key)
            merged[day] = (*merged.get(day, ()), *intervals)
    return merged


def staleness_policy(table: StalenessTable) -> StalenessPolicy:
    """A staleness table as the domain has it."""
    return StalenessPolicy(table.degrade_after, table.deny_after)


def _level(
    table: AccessLevelTable, tables: SiteTables, schedules: Mapping[str, Schedule], zone: ZoneInfo
) -> AccessLevel:
    return AccessLevel(
        name=table.name,
        groups=frozenset(table.groups),
        doors=frozenset(table.doors),
        schedule=schedules[table.schedule],
        special_days=special_days(table.special_days, tables.special_days),
        exceptions=tuple(_exception(exception, zone) for exception in table.exception),
        essential=table.essential,
        staleness=staleness_policy(table.staleness) if table.staleness is not None else None,
    )


def _exception(table: AccessExceptionTable, zone: ZoneInfo) -> AccessException:
    return AccessException(
        _instant(table.from_, zone, end=False), _instant(table.until, zone, end=True), table.access
    )


def _instant(value: datetime, zone: ZoneInfo, end: bool) -> datetime:
    """An instant in UTC; a local time is meant in the site's zone, and both of two at the end of DST count."""
    return instant_of(value, zone, end=end) if value.tzinfo is None else value.astimezone(UTC)


def _group_references(tables: SiteTables) -> Iterator[str]:
    """Every word by which the file means an access group."""
    for level in tables.access_level:
        yield from level.groups
    for schedule in tables.door_schedule:
        yield from schedule.first_person_in
    for door in tables.door.values():
        yield from door.lockdown_exempt
        for rule in (door.two_person, door.double_badge):
            if rule is not None:
                yield from rule.groups
