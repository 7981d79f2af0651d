"""May they pass here and now: the rules mode, access, anti_passback, occupancy and interlock of ``decide``."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from cache.model import AccessLevel, ClockPolicy, Membership, Mode, ModeCause, Reason
from daemon.decision.anti_passback import EntryVerdict, passage
from daemon.decision.door_rules import AntiPassback, Area
from daemon.decision.evaluation import Evaluation, Words
from daemon.decision.notation import describe_duration
from daemon.decision.request import Position
from daemon.decision.schedule import constant, level_time_on
from daemon.decision.staleness import Staleness, staleness
from daemon.decision.wording import describe_age, describe_time

# ------------------------------------------------------------------ mode


def mode_rule(evaluation: Evaluation) -> Reason | None:
    """The door listens to anybody at all: it is not blocked, and lockdown exempts the person."""
    mode, cause = evaluation.state.mode, evaluation.state.mode_cause
    if mode is Mode.BLOCKED:
        text = f"the door is blocked for everybody (by {cause})"
        return evaluation.refused("mode", Reason.DOOR_BLOCKED, text)
    if mode is Mode.LOCKDOWN:
        if evaluation.paths.references.isdisjoint(evaluation.rules.lockdown_exempt):
            text = "lockdown; no access group of the person is exempt"
            return evaluation.refused("mode", Reason.LOCKDOWN, text)
        if evaluation.state.beneath is Mode.BLOCKED:
            text = "lockdown; an access group of the person is exempt, but beneath it the door is blocked"
            return evaluation.refused("mode", Reason.DOOR_BLOCKED, text)
        evaluation.passed("mode", "lockdown; an access group of the person is exempt")
        return None
    evaluation.passed("mode", partial(_mode, mode, cause))
    return None


def _mode(mode: Mode, cause: ModeCause) -> str:
    return f"the door is {mode} (by {cause})"


# ------------------------------------------------------------------ access

_NEARNESS = (Reason.NO_ACCESS_HERE, Reason.OUTSIDE_SCHEDULE, Reason.CLOCK_UNTRUSTED, Reason.STALE_CACHE)
"""Refusals of levels, the nearest to a grant last: the nearest is the one to report."""


def access_rule(evaluation: Evaluation) -> Reason | None:
    """One of the access levels for this door grants; if none does, the nearest to a grant is the answer."""
    assert evaluation.holder is not None
    wall = evaluation.now.utc.astimezone(evaluation.rules.zone)
    nearest: tuple[int, AccessLevel, str] | None = None
    misses = 0
    for level, week, group in evaluation.paths.levels:
        reason, when = _judge(level, week, evaluation, wall)
        words = partial(_through, level, when, group)
        if reason is None:
            evaluation.group, evaluation.level = group, level.name
            evaluation.passed("access", words)
            return None
        evaluation.refused("access", reason, words)
        misses += 1
        if nearest is None or _NEARNESS.index(reason) > nearest[0]:
            nearest = (_NEARNESS.index(reason), level, group)
    if nearest is None:
        unnamed = partial(_no_level, evaluation.rules.door, evaluation.holder.memberships)
        return evaluation.refused("access", Reason.NO_ACCESS_HERE, unnamed)
    rank, level, evaluation.group = nearest
    evaluation.level = level.name
    if misses > 1:
        text = f"none of {misses} access levels grants; the nearest is {level.name}"
        evaluation.refused("access", _NEARNESS[rank], text)
    return _NEARNESS[rank]


def _through(level: AccessLevel, when: Words, group: str) -> str:
    return f"{level.name}: {when if isinstance(when, str) else when()}; through group {group}"


def _no_level(door: str, memberships: tuple[Membership, ...]) -> str:
    names = ", ".join(membership.group_name for membership in memberships) or "none"
    return f"no access level for {door} names an access group of the person (in: {names})"


def _judge(level: AccessLevel, week: str, evaluation: Evaluation, wall: datetime) -> tuple[Reason | None, Words]:
    """Return why a level does not grant now, or None, with the words for it."""
    reason, words = _judge_time(level, week, evaluation, wall)
    policy = level.staleness if level.staleness is not None else evaluation.rules.staleness
    if reason is not None or (policy.degrade_after is None and policy.deny_after is None):
        return reason, words
    freshness, now = evaluation.found.freshness, evaluation.state.judged_at or evaluation.now.utc
    state = staleness(policy, freshness, now)
    if state is Staleness.DENIED:
        limit = describe_duration(policy.deny_after or 0)
        return Reason.STALE_CACHE, f"{describe_age(freshness, now)}, and access ends after {limit}"
    if state is Staleness.DEGRADED and not level.essential:
        limit = describe_duration(policy.degrade_after or 0)
        return Reason.STALE_CACHE, f"{describe_age(freshness, now)}, and after {limit} only essential levels grant"
    return None, words


def _judge_time(
    level: AccessLevel, week: str, evaluation: Evaluation, wall: datetime
) -> tuple[Reason | None, Words]:
    if evaluation.time_is_unknown and _time_bound(level):
        if evaluation.rules.clock is ClockPolicy.IGNORE_TIME and constant(level.schedule) is not False:
            return None, f"{week}, but the clock was never set and time is ignored"
        return Reason.CLOCK_UNTRUSTED, f"{week}, but the clock was never set"
    found = level_time_on(level, evaluation.now.utc, wall)
    words = partial(describe_time, level, week, found, evaluation.rules.zone)
    return (None if found.open else Reason.OUTSIDE_SCHEDULE), words


def _time_bound(level: AccessLevel) -> bool:
    return bool(level.special_days or level.exceptions) or constant(level.schedule) is None


# ------------------------------------------------------------------ anti_passback and occupancy


def anti_passback_rule(evaluation: Evaluation) -> Reason | None:
    """The person is not in the area already; a soft rule reports it and lets them pass."""
    area = _target(evaluation)
    if area is None:
        return None
    position, leaving = _position(evaluation), evaluation.request.exit
    verdict = passage(area, position, evaluation.rules.zone, evaluation.now, leaving=leaving)
    if verdict is EntryVerdict.FREE:
        return None
    stay = None if position is None else position.stay(area.name)
    if stay is None or verdict is EntryVerdict.ELSEWHERE:
        evaluation.passed("anti_passback", f"the person is not known to be in {area.name}")
        return None
    ago = describe_duration(stay.lasted(evaluation.now))
    if verdict is EntryVerdict.FORGIVEN:
        evaluation.passed("anti_passback", f"the entry into {area.name} {ago} ago is forgiven")
        return None
    text = f"the person entered {area.name} {ago} ago and has not left"
    evaluation.apb_violation = True
    if area.anti_passback is AntiPassback.SOFT or leaving:
        evaluation.passed("anti_passback", f"{text}; reported, not refused")
        return None
    return evaluation.refused("anti_passback", Reason.APB_VIOLATION, text)


def _target(evaluation: Evaluation) -> Area | None:
    """Return the area that the way of this reader leads to."""
    return evaluation.rules.from_area if evaluation.request.exit else evaluation.rules.to_area


def _position(evaluation: Evaluation) -> Position | None:
    assert evaluation.holder is not None
    return evaluation.state.positions.get(evaluation.holder.person.id)


def occupancy_rule(evaluation: Evaluation) -> Reason | None:
    """There is room in the area."""
    area = _target(evaluation)
    if area is None or area.occupancy <= 0:
        return None
    assert evaluation.holder is not None
    position, state = _position(evaluation), evaluation.state
    inside = position is not None and position.stay(area.name) is not None
    coming = len(state.coming - {evaluation.holder.person.id})
    text = f"{state.occupancy} of {area.occupancy} people are in {area.name}"
    text += f", {coming} more on the way" if coming else ""
    if state.occupancy + coming >= area.occupancy and not inside:
        return evaluation.refused("occupancy", Reason.OCCUPANCY_FULL, text)
    evaluation.passed("occupancy", text)
    return None


# ------------------------------------------------------------------ interlock


def interlock_rule(evaluation: Evaluation) -> Reason | None:
    """No other door of the set is in use."""
    other = evaluation.state.interlock
    if other is None:
        return None
    return evaluation.refused("interlock", Reason.INTERLOCK, f"door {other} of the same interlock is in use")
