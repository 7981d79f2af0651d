"""Rules in the words of a technician: schedules, levels, ages, and who may pass a door when. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from cache.model import AccessLevel, Freshness, Membership, ModeCause
from daemon.decision.notation import describe_duration, describe_instant, describe_intervals, describe_schedule
from daemon.decision.schedule import LevelTime
from daemon.decision.staleness import age


@dataclass(frozen=True, slots=True)
class AccessPath:
    """One way by which people may pass a door: access group, access level, and when, in words."""

    door: str
    group: str
    level: str
    when: str

    def __str__(self) -> str:
        return f"{self.group}, {self.when}, through {self.level}"


def access_paths(
    door: str, levels: Iterable[AccessLevel], memberships: Iterable[Membership]
) -> tuple[AccessPath, ...]:
    """Every way by which these access groups may pass the door, levels in their order."""
    groups = tuple(memberships)
    return tuple(
        AccessPath(door, group.group_name, level.name, describe_level(level))
        for level in levels
        if door in level.doors
        for group in groups
        if not group.references.isdisjoint(level.groups)
    )


def describe_level(level: AccessLevel) -> str:
    """When a level grants: ``08:00-18:00 Mon-Fri, but 2 special days and 1 exception``."""
    bounds = [
        f"{count} {noun}" + "s" * (count != 1)
        for count, noun in ((len(level.special_days), "special day"), (len(level.exceptions), "exception"))
        if count
    ]
    return describe_schedule(level.schedule) + (f", but {' and '.join(bounds)}" if bounds else "")


def describe_time(level: AccessLevel, week: str, found: LevelTime, zone: ZoneInfo) -> str:
    """Why a level is open or closed by the clock, naming the exception, special day or schedule that ruled.

    ``week`` is ``describe_schedule`` of the level's schedule, which a caller in a hurry has at hand.
    """
    if found.exception is not None:
        start, end = (describe_instant(at, zone) for at in (found.exception.start, found.exception.end))
        return f"exception {start} to {end} {'gives' if found.open else 'takes'} access ({zone.key})"
    side = "inside" if found.open else "outside"
    if found.cause is ModeCause.SPECIAL_DAY and found.day is not None:
        words = describe_intervals(level.special_days[found.day])
        return f"{side} special day {found.day}: {words} ({zone.key})"
    return f"{side} {week} ({zone.key})"


def describe_freshness(freshness: Freshness, now: datetime) -> str:
    """Which generation and how old: ``generation 12, last complete sync 3 h ago``."""
    seconds = age(freshness, now)
    back = "; it went back: a later one was here before" if freshness.went_back else ""
    if seconds is None:
        return f"generation {freshness.generation}, never synced{back}"
    return f"generation {freshness.generation}, last complete sync {describe_duration(seconds)} ago{back}"


def describe_age(freshness: Freshness, now: datetime) -> str:
    """How old the cache is: ``the cache is 3 h old``."""
    seconds = age(freshness, now)
    if freshness.went_back and seconds is not None:
        return f"the cache went back to a generation {describe_duration(seconds)} old"
    return "the cache was never synced" if seconds is None else f"the cache is {describe_duration(seconds)} old"
