"""Doors of one interlock that the site file itself would hold released at the same time. Pure.

Default mode, door schedules and door exceptions are asked the way the doors ask them, at every edge of every kind
of day: the regular week, each special day, each date of an exception, and the day after each of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cache.model import Mode, ModeCause
from daemon.config.faults import Fault
from daemon.config.policy.build import build_policy
from daemon.config.tables import SiteTables
from daemon.decision.door_rules import DoorException, DoorPlan
from daemon.decision.schedule import exception_applies, instant_of, plan_edges, scheduled_mode

FOLLOWED = timedelta(days=28 * 365 + 7)
"""How long a recurrence is followed: in 28 years every date has fallen on every weekday."""

_DAY = timedelta(days=1)
_ANY_MONDAY = date(2024, 1, 1)


@dataclass(frozen=True, slots=True)
class Meeting:
    """When two doors first are held released, and what holds each; ``dated``: not in the regular week."""

    at: datetime
    causes: tuple[str, str]
    dated: bool


def check_interlocks(tables: SiteTables) -> Iterator[Fault]:
    """Yield a fault for each two doors of a set that would be held released together.

    The names, the schedules and the zone of ``tables`` have been checked.
    """
    if not tables.interlock:
        return
    zone = ZoneInfo(tables.site.timezone)
    names = {name for interlock in tables.interlock for name in interlock.doors}
    doors = build_policy(tables, sorted(names), zone).doors
    for index, interlock in enumerate(tables.interlock):
        unlocking = [name for name in dict.fromkeys(interlock.doors) if _may_unlock(doors[name].plan)]
        for one, other in itertools.combinations(unlocking, 2):
            met = first_meeting((doors[one].plan, doors[other].plan), zone)
            if met is not None:
                yield Fault(("interlock", index, "doors"), _words(one, other, met))


def first_meeting(plans: tuple[DoorPlan, DoorPlan], zone: ZoneInfo) -> Meeting | None:
    """Return when the clock first holds both doors released: in the regular week, else on a date; ``None``: never.

    A door that waits for the first person counts as released, as it will be once they came.
    """
    dates = sorted({day for plan in plans for day in _own_dates(plan)})
    monday = _monday_before(dates[0]) if dates else _ANY_MONDAY
    week = [monday + number * _DAY for number in range(7)]
    seen: set[object] = set()
    for day in [*week, *sorted({*dates, *(day + _DAY for day in dates)})]:
        kind = _kind(plans, zone, day)
        if kind in seen:
            continue
        seen.add(kind)
        if (met := _meeting_on(plans, zone, day, day not in week)) is not None:
            return met
    return None


def _meeting_on(plans: tuple[DoorPlan, DoorPlan], zone: ZoneInfo, day: date, dated: bool) -> Meeting | None:
    minutes = plan_edges(plans[0], day) | plan_edges(plans[1], day)
    for minute in sorted(minute for minute in minutes if minute < 1440):
        wall = datetime.combine(day, time(minute // 60, minute % 60))
        at = instant_of(wall, zone)  # of a time that does not exist: the end of the gap
        one, other = (_holds(plan, zone, at) for plan in plans)
        if one is not None and other is not None:
            return Meeting(at.astimezone(zone), (one, other), dated)
    return None


def _holds(plan: DoorPlan, zone: ZoneInfo, at: datetime) -> str | None:
    """What holds the door released at ``at``, in words; ``None``: the clock does not."""
    found = scheduled_mode(plan, zone, at)
    if found.mode is Mode.UNLOCKED and found.cause is not ModeCause.DEFAULT:
        return "a door exception" if found.cause is ModeCause.EXCEPTION else f'schedule "{found.name}"'
    waits_in_default = found.cause is ModeCause.DEFAULT or found.first_person_in
    return "its default mode" if waits_in_default and plan.default is Mode.UNLOCKED else None


def _may_unlock(plan: DoorPlan) -> bool:
    modes = [plan.default, *(schedule.mode for schedule in plan.schedules)]
    modes += [window.mode for exception in plan.exceptions for window in exception.windows]
    return Mode.UNLOCKED in modes


def _own_dates(plan: DoorPlan) -> Iterator[date]:
    """Every date on which the door does not do what it does in the regular week."""
    for schedule in plan.schedules:
        yield from schedule.special_days
    for exception in plan.exceptions:
        yield from exception.dates
        yield from _dates_of(exception)


def _dates_of(exception: DoorException) -> Iterable[date]:
    if exception.first is None:
        return ()
    last = min(exception.last or date.max, exception.first + min(FOLLOWED, date.max - _DAY - exception.first))
    days = (exception.first + number * _DAY for number in range((last - exception.first).days + 1))
    return (day for day in days if exception_applies(exception, day))


def _monday_before(day: date) -> date:
    """The Monday of a whole week that ends before ``day``."""
    return day - (day.weekday() + 7) * _DAY


def _kind(plans: Iterable[DoorPlan], zone: ZoneInfo, day: date) -> object:
    """What the modes of a day depend on: of two days of one kind, asking about one is enough."""
    special = any(
        near in schedule.special_days
        for plan in plans
        for schedule in plan.schedules
        for near in (day, day - _DAY)
    )
    midnights = [datetime.combine(near, time(), zone).utcoffset() for near in (day, day + _DAY)]
    if special or midnights[0] != midnights[1]:
        return day
    exceptions = [exception for plan in plans for exception in plan.exceptions]
    return day.weekday(), *(
        exception_applies(exception, near) for exception in exceptions for near in (day, day - _DAY)
    )


def _words(one: str, other: str, met: Meeting) -> str:
    when = f"{met.at:%Y-%m-%d} at {met.at:%H:%M}" if met.dated else f"a {met.at:%A} at {met.at:%H:%M}"
    return (
        f'door "{one}" ({met.causes[0]}) and door "{other}" ({met.causes[1]}) would be held released at the same '
        f"time, first on {when}; in an interlock only one door may be: change the times, or keep one locked"
    )
