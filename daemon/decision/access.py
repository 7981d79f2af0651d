"""May they pass here and now: the rules mode and access of ``daemon.decision.decide``."""

from __future__ import annotations

from datetime import datetime

from cache.model import AccessLevel, ClockPolicy, Membership, Mode, Reason
from daemon.decision.evaluation import Evaluation
from daemon.decision.notation import describe_duration
from daemon.decision.schedule import constant, level_time_on
from daemon.decision.staleness import Staleness, age, staleness
from daemon.decision.wording import describe_time


def mode_rule(case: Evaluation) -> Reason | None:
    """The door listens to anybody at all: it is not blocked, and lockdown exempts the person."""
    mode, cause = case.state.mode, case.state.mode_cause
    if mode is Mode.BLOCKED:
        return case.refused("mode", Reason.DOOR_BLOCKED, f"the door is blocked for everybody (by {cause})")
    if mode is Mode.LOCKDOWN:
        if case.references.isdisjoint(case.rules.lockdown_exempt):
            return case.refused("mode", Reason.LOCKDOWN, "lockdown; no access group of the person is exempt")
        case.passed("mode", "lockdown; an access group of the person is exempt")
        return None
    case.passed("mode", f"the door is {mode} (by {cause})")
    return None


_NEARNESS = (Reason.NO_ACCESS_HERE, Reason.OUTSIDE_SCHEDULE, Reason.CLOCK_UNTRUSTED, Reason.STALE_CACHE)
"""Refusals of levels, the nearest to a grant last: the nearest is what a person should be told."""


def access_rule(case: Evaluation) -> Reason | None:
    """One of the access levels for this door grants; if none does, the nearest to a grant is told."""
    assert case.holder is not None
    wall = case.now.utc.astimezone(case.rules.zone)
    nearest: tuple[int, AccessLevel, str] | None = None
    misses = 0
    for level, week in case.rules.weeks:
        if case.references.isdisjoint(level.groups):
            continue
        group = _group_of(level, case.holder.memberships)
        reason, text = _level(level, week, case, wall)
        text = f"{level.name}: {text}; through group {group}"
        if reason is None:
            case.group, case.level = group, level.name
            case.passed("access", text)
            return None
        case.refused("access", reason, text)
        misses += 1
        if nearest is None or _NEARNESS.index(reason) > nearest[0]:
            nearest = (_NEARNESS.index(reason), level, group)
    if nearest is None:
        names = ", ".join(membership.group_name for membership in case.holder.memberships) or "none"
        text = f"no access level for {case.rules.door} names an access group of the person (in: {names})"
        return case.refused("access", Reason.NO_ACCESS_HERE, text)
    rank, level, case.group = nearest
    case.level = level.name
    if misses > 1:
        case.refused(
            "access", _NEARNESS[rank], f"none of {misses} access levels grants; the nearest is {level.name}"
        )
    return _NEARNESS[rank]


def _group_of(level: AccessLevel, memberships: tuple[Membership, ...]) -> str:
    return next(m.group_name for m in memberships if not m.references.isdisjoint(level.groups))


def _level(level: AccessLevel, week: str, case: Evaluation, wall: datetime) -> tuple[Reason | None, str]:
    """Why a level does not grant now, or None, with the words for it."""
    reason, text = _level_time(level, week, case, wall)
    if reason is not None:
        return reason, text
    policy = level.staleness if level.staleness is not None else case.rules.staleness
    state = staleness(policy, case.found.freshness, case.now.utc)
    if state is Staleness.DENIED:
        return (
            Reason.STALE_CACHE,
            f"{_stale(case)}, and access ends after {describe_duration(policy.deny_after or 0)}",
        )
    if state is Staleness.DEGRADED and not level.essential:
        limit = describe_duration(policy.degrade_after or 0)
        return Reason.STALE_CACHE, f"{_stale(case)}, and after {limit} only essential levels grant"
    return None, text


def _stale(case: Evaluation) -> str:
    seconds = age(case.found.freshness, case.now.utc)
    return "the cache was never synced" if seconds is None else f"the cache is {describe_duration(seconds)} old"


def _level_time(level: AccessLevel, week: str, case: Evaluation, wall: datetime) -> tuple[Reason | None, str]:
    if case.time_is_unknown and _time_bound(level):
        if case.rules.clock is ClockPolicy.IGNORE_TIME and constant(level.schedule) is not False:
            return None, f"{week}, but the clock was never set and time is ignored"
        return Reason.CLOCK_UNTRUSTED, f"{week}, but the clock was never set"
    found = level_time_on(level, case.now.utc, wall)
    words = describe_time(level, week, found, case.rules.zone)
    return (None if found.open else Reason.OUTSIDE_SCHEDULE), words


def _time_bound(level: AccessLevel) -> bool:
    return bool(level.special_days or level.exceptions) or constant(level.schedule) is None
