"""What needs two policy tables to be seen: dangling references, names taken twice, overlaps. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from daemon.config.faults import Fault
from daemon.config.lines import Path
from daemon.config.policy.tables import PolicyTables, check_days, check_week
from drivers.settings import did_you_mean

OUTSIDE = "outside"
"""The area that always exists: where people are not counted."""

BUILT_IN_SCHEDULES = ("always", "never")


def check_policy(tables: PolicyTables, doors: Collection[str]) -> Iterator[Fault]:
    """Yield every fault between policy tables; ``doors`` are those that the hardware has."""
    yield from _doors(tables, doors)
    yield from _schedules(tables)
    yield from _levels(tables, doors)
    yield from _door_times(tables, doors)


def _doors(tables: PolicyTables, doors: Collection[str]) -> Iterator[Fault]:
    for name, door in tables.door.items():
        if name not in doors:
            yield Fault(("door", name), f'there is no door "{name}"; {did_you_mean(name, doors)}')
        if door.area is not None:
            for key, area in (("from", door.area.from_), ("to", door.area.to)):
                yield from known_name(("door", name, "area", key), area, [*tables.area, OUTSIDE], "area")


def _schedules(tables: PolicyTables) -> Iterator[Fault]:
    for name, week in tables.schedule.items():
        if name in BUILT_IN_SCHEDULES:
            yield Fault(("schedule", name), f'"{name}" is built in and cannot be redefined')
        try:
            check_week(week)
        except ValueError as error:
            yield Fault(("schedule", name), str(error))
    for name, days in tables.special_days.items():
        try:
            check_days(days)
        except ValueError as error:
            yield Fault(("special_days", name), str(error))


def _levels(tables: PolicyTables, doors: Collection[str]) -> Iterator[Fault]:
    names: set[str] = set()
    for index, level in enumerate(tables.access_level):
        path: Path = ("access_level", index)
        if level.name in names:
            yield Fault((*path, "name"), f'another access level is called "{level.name}" already')
        names.add(level.name)
        yield from known_names((*path, "doors"), level.doors, doors, "door")
        yield from known_name((*path, "schedule"), level.schedule, _known_schedules(tables), "schedule")
        yield from known_names((*path, "special_days"), level.special_days, tables.special_days, "special_days")


def _door_times(tables: PolicyTables, doors: Collection[str]) -> Iterator[Fault]:
    for index, schedule in enumerate(tables.door_schedule):
        path: Path = ("door_schedule", index)
        yield from known_name((*path, "door"), schedule.door, doors, "door")
        yield from known_name((*path, "schedule"), schedule.schedule, _known_schedules(tables), "schedule")
        yield from known_names((*path, "special_days"), schedule.special_days, tables.special_days, "special_days")
    for index, exception in enumerate(tables.door_exception):
        yield from known_name(("door_exception", index, "door"), exception.door, doors, "door")


def _known_schedules(tables: PolicyTables) -> list[str]:
    return [*tables.schedule, *BUILT_IN_SCHEDULES]


def known_names(path: Path, names: Iterable[str], known: Collection[str], kind: str) -> Iterator[Fault]:
    """Yield a fault for each name that is not known."""
    for name in names:
        yield from known_name(path, name, known, kind)


def known_name(path: Path, name: str, known: Collection[str], kind: str) -> Iterator[Fault]:
    """Yield a fault, with the nearest that there is, if the name is not known."""
    if name not in known:
        yield Fault(path, f'there is no {kind} "{name}"; {did_you_mean(name, known)}')
