"""The decision: may this person pass this door now, and why. One pure function.

``decide`` evaluates the rules of ``RULES`` in their order; the first that refuses, or asks for another factor,
ends it, and if none does the answer is a grant:

 1. cache          which generation the answer rests on, and how old it is (information; never refuses)
 2. credential     known, and one person's: unknown_credential, pin_wrong, pin_timeout, pin_locked_out (PIN alone),
                   duplicate_credential
 3. validity       credential_inactive, credential_not_yet_valid, credential_expired, clock_untrusted
 4. person         person_inactive
 5. mode           door_blocked, lockdown (groups on the exempt list go on)
 6. access         the union of the access levels for this door: no_access_here, outside_schedule,
                   clock_untrusted, stale_cache
 7. pin            pin_locked_out, pin_required (ask for it), pin_timeout, pin_wrong
 8. anti_passback  apb_violation (hard), or reported and let pass (soft)
 9. occupancy      occupancy_full
10. interlock      interlock
11. two_person     second_person_required (ask for them)

then granted, granted_duress or granted_apb_soft; duress before soft anti-passback where both hold.
docs/access-rules.md says what each reason means and what to do about it; a test keeps the two alike.

Everything is named by reference: a level, an exempt list or a two-person rule names groups by the words of the
site file, and a membership carries every word that means its group.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from cache.area import Passage, passage
from cache.explain import describe_freshness, describe_time
from cache.model import (
    AccessLevel,
    ClockPolicy,
    ClockQuality,
    Credential,
    CredentialState,
    Decision,
    Found,
    Freshness,
    Holder,
    Membership,
    Mode,
    Moment,
    Outcome,
    Reason,
    RuleResult,
)
from cache.notation import describe_duration
from cache.request import AccessRequest, AccessState, PinResult, Position
from cache.rules import AntiPassback, Area, DoorRules
from cache.schedule import constant, level_time_on
from cache.staleness import Staleness, age, staleness

# ------------------------------------------------------------------ the decision


@dataclass(slots=True)
class _Case:
    """One request on its way through the rules: what is given, and what the rules found so far."""

    request: AccessRequest
    found: Found
    rules: DoorRules
    state: AccessState
    now: Moment
    trace: list[RuleResult] = field(default_factory=list)
    holder: Holder | None = None
    references: frozenset[str] = frozenset()
    group: str | None = None
    level: str | None = None
    duress: bool = False
    apb_violation: bool = False

    def passed(self, rule: str, text: str) -> None:
        self.trace.append(RuleResult(rule, True, text))

    def refused(self, rule: str, reason: Reason, text: str) -> Reason:
        self.trace.append(RuleResult(rule, False, text))
        return reason


def decide(request: AccessRequest, found: Found, rules: DoorRules, state: AccessState, now: Moment) -> Decision:
    """Answer one request; the module's docstring is the evaluation order. Never raises for any data.

    ``found`` is what the lookup of the card returned, or of the PIN where there is no card.
    """
    case = _Case(request, found, rules, state, now)
    reason: Reason | None = None
    for rule in RULES:
        reason = rule(case)
        if reason is not None:
            break
    outcome = _outcome(case, reason)
    if outcome is Outcome.GRANT:
        reason = _grant_reason(case)
    assert reason is not None
    person = case.holder.person if case.holder is not None else None
    return Decision(
        outcome=outcome,
        reason=reason,
        trace=tuple(case.trace),
        person=person,
        group=case.group,
        level=case.level,
        freshness=found.freshness,
        extended=outcome is Outcome.GRANT and person is not None and person.extended_time,
        duress=case.duress,
        apb_violation=case.apb_violation,
        references=case.references,
    )


def refusal(reason: Reason, text: str, freshness: Freshness = Freshness()) -> Decision:  # noqa: B008 - frozen
    """A denial before any rule was asked: bad_frame, parity_error, internal_error."""
    return Decision(Outcome.DENY, reason, (RuleResult("read", False, text),), freshness=freshness)


def _outcome(case: _Case, reason: Reason | None) -> Outcome:
    if reason is None:
        return Outcome.GRANT
    if reason is Reason.PIN_REQUIRED and case.request.card:
        return Outcome.NEED_PIN
    if reason is Reason.SECOND_PERSON_REQUIRED and _may_pair(case):
        return Outcome.NEED_SECOND_PERSON
    return Outcome.DENY


def _grant_reason(case: _Case) -> Reason:
    if case.duress:
        return Reason.GRANTED_DURESS
    return Reason.GRANTED_APB_SOFT if case.apb_violation else Reason.GRANTED


# ------------------------------------------------------------------ who is it


def _cache(case: _Case) -> Reason | None:
    case.passed("cache", describe_freshness(case.found.freshness, case.now.utc))
    return None


def _credential(case: _Case) -> Reason | None:
    if not case.request.card:
        reason = _pin_alone(case)
        if reason is not None:
            return reason
    holders = _one_per_person(case.found.holders)
    if not holders:
        return case.refused("credential", Reason.UNKNOWN_CREDENTIAL, "nobody in the cache holds this card")
    usable = [holder for holder in holders if holder.person.active and _fault(holder.credential, case) is None]
    possible = usable + [
        h for h in holders if h.person.active and _fault(h.credential, case) is Reason.CLOCK_UNTRUSTED
    ]
    if len(possible) > 1:
        text = f"{len(possible)} active people hold this credential; it opens for none of them"
        return case.refused("credential", Reason.DUPLICATE_CREDENTIAL, text)
    # Of several who may not use it, the active person is the one worth naming.
    holder = (possible or sorted(holders, key=lambda h: not h.person.active))[0]
    case.holder = holder
    case.references = frozenset().union(*(membership.references for membership in holder.memberships))
    label = holder.credential.label or holder.credential.kind
    case.passed("credential", f"{label} of person {holder.person.id}")
    return None


def _pin_alone(case: _Case) -> Reason | None:
    pin, until = case.request.pin, case.state.pin_locked_until
    if until is not None and case.now.utc < until:
        return case.refused("credential", Reason.PIN_LOCKED_OUT, _locked_out(case, until))
    if pin is None or pin.result is PinResult.LATE:
        return case.refused("credential", Reason.PIN_TIMEOUT, "the PIN was not finished in time")
    if pin.result is PinResult.WRONG or not case.found.holders:
        return case.refused("credential", Reason.PIN_WRONG, "nobody in the cache has this PIN alone")
    case.duress = pin.result is PinResult.DURESS
    return None


def _one_per_person(holders: tuple[Holder, ...]) -> list[Holder]:
    """Each person once; of several credentials with one key, an active one first."""
    if len(holders) < 2:
        return list(holders)
    ordered = sorted(holders, key=lambda h: h.credential.state is not CredentialState.ACTIVE)
    return list({holder.person.id: holder for holder in reversed(ordered)}.values())[::-1]


def _fault(credential: Credential, case: _Case) -> Reason | None:
    """Why a credential may not be used now, or None."""
    if credential.state is CredentialState.EXPIRED:
        return Reason.CREDENTIAL_EXPIRED
    if credential.state is not CredentialState.ACTIVE:
        return Reason.CREDENTIAL_INACTIVE
    if credential.valid_from is None and credential.valid_until is None:
        return None
    if _time_is_unknown(case):
        return Reason.CLOCK_UNTRUSTED if case.rules.clock is ClockPolicy.DENY_TIME_BOUND else None
    if credential.valid_from is not None and case.now.utc < credential.valid_from:
        return Reason.CREDENTIAL_NOT_YET_VALID
    if credential.valid_until is not None and case.now.utc >= credential.valid_until:
        return Reason.CREDENTIAL_EXPIRED
    return None


def _validity(case: _Case) -> Reason | None:
    assert case.holder is not None
    return _usable(case, "validity", case.holder.credential)


def _usable(case: _Case, rule: str, credential: Credential) -> Reason | None:
    reason = _fault(credential, case)
    if reason is None:
        case.passed(rule, f"{credential.kind} is active and valid")
        return None
    return case.refused(rule, reason, _FAULT_TEXT[reason](credential, case.rules.zone))


def _local(at: datetime | None, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M} ({zone.key})" if at is not None else "its end"


_FAULT_TEXT: Mapping[Reason, Callable[[Credential, ZoneInfo], str]] = {
    Reason.CREDENTIAL_INACTIVE: lambda c, _: f"{c.kind} is {c.state}",
    Reason.CREDENTIAL_NOT_YET_VALID: lambda c, zone: f"{c.kind} is valid from {_local(c.valid_from, zone)}",
    Reason.CREDENTIAL_EXPIRED: lambda c, zone: (
        f"{c.kind} is expired"
        if c.state is CredentialState.EXPIRED
        else f"{c.kind} was valid until {_local(c.valid_until, zone)}"
    ),
    Reason.CLOCK_UNTRUSTED: lambda c, _: f"{c.kind} has a validity, and the clock was never set",
}


def _person(case: _Case) -> Reason | None:
    assert case.holder is not None
    person = case.holder.person
    if not person.active:
        return case.refused("person", Reason.PERSON_INACTIVE, f"person {person.id} is not active in the directory")
    case.passed("person", f"person {person.id} is active")
    return None


# ------------------------------------------------------------------ may they pass


def _mode(case: _Case) -> Reason | None:
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


def _access(case: _Case) -> Reason | None:
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


def _level(level: AccessLevel, week: str, case: _Case, wall: datetime) -> tuple[Reason | None, str]:
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


def _stale(case: _Case) -> str:
    seconds = age(case.found.freshness, case.now.utc)
    return "the cache was never synced" if seconds is None else f"the cache is {describe_duration(seconds)} old"


def _level_time(level: AccessLevel, week: str, case: _Case, wall: datetime) -> tuple[Reason | None, str]:
    if _time_is_unknown(case) and _time_bound(level):
        if case.rules.clock is ClockPolicy.IGNORE_TIME and constant(level.schedule) is not False:
            return None, f"{week}, but the clock was never set and time is ignored"
        return Reason.CLOCK_UNTRUSTED, f"{week}, but the clock was never set"
    found = level_time_on(level, case.now.utc, wall)
    words = describe_time(level, week, found, case.rules.zone)
    return (None if found.open else Reason.OUTSIDE_SCHEDULE), words


def _time_is_unknown(case: _Case) -> bool:
    return case.now.quality is ClockQuality.NEVER_SET and case.rules.clock is not ClockPolicy.USE_LAST_KNOWN


def _time_bound(level: AccessLevel) -> bool:
    return bool(level.special_days or level.exceptions) or constant(level.schedule) is None


# ------------------------------------------------------------------ factors


def _pin(case: _Case) -> Reason | None:
    pin = case.request.pin
    needed = _effective_mode(case) is Mode.CARD_AND_PIN
    if not case.request.card:
        if needed:
            return case.refused("pin", Reason.PIN_REQUIRED, "a PIN alone is not enough here: card first, then PIN")
        return None
    if pin is None and not needed:
        return None
    until = case.state.pin_locked_until
    if until is not None and case.now.utc < until:
        return case.refused("pin", Reason.PIN_LOCKED_OUT, _locked_out(case, until))
    if pin is None:
        return case.refused("pin", Reason.PIN_REQUIRED, "the door asks for a PIN after the card")
    if pin.result is PinResult.LATE:
        return case.refused("pin", Reason.PIN_TIMEOUT, "the PIN was not finished in time")
    assert case.holder is not None
    if (
        pin.result is PinResult.WRONG
        or pin.credential is None
        or pin.credential.person_id != case.holder.person.id
    ):
        return case.refused("pin", Reason.PIN_WRONG, "the PIN is not this person's")
    case.duress = pin.result is PinResult.DURESS
    return _usable(case, "pin", pin.credential)


def _effective_mode(case: _Case) -> Mode:
    return case.rules.default_mode if case.state.mode is Mode.LOCKDOWN else case.state.mode


def _locked_out(case: _Case, until: datetime) -> str:
    return f"the reader takes no PINs for another {describe_duration((until - case.now.utc).total_seconds())}"


# ------------------------------------------------------------------ rules over space


def _anti_passback(case: _Case) -> Reason | None:
    area = _target(case)
    if area is None:
        return None
    position = _position(case)
    verdict = passage(area, position, case.rules.zone, case.now.utc)
    if verdict is Passage.FREE:
        return None
    if position is None or verdict is Passage.ELSEWHERE:
        case.passed("anti_passback", f"the person is not known to be in {area.name}")
        return None
    ago = describe_duration((case.now.utc - position.since).total_seconds())
    if verdict is Passage.FORGIVEN:
        case.passed("anti_passback", f"the entry into {area.name} {ago} ago is forgiven")
        return None
    text = f"the person entered {area.name} {ago} ago and has not left"
    case.apb_violation = True
    if area.anti_passback is AntiPassback.SOFT:
        case.passed("anti_passback", f"{text}; reported, not refused")
        return None
    return case.refused("anti_passback", Reason.APB_VIOLATION, text)


def _target(case: _Case) -> Area | None:
    return case.rules.from_area if case.request.exit else case.rules.to_area


def _position(case: _Case) -> Position | None:
    assert case.holder is not None
    return case.state.positions.get(case.holder.person.id)


def _occupancy(case: _Case) -> Reason | None:
    area = _target(case)
    if area is None or area.occupancy <= 0:
        return None
    position = _position(case)
    inside = position is not None and position.area == area.name
    text = f"{case.state.occupancy} of {area.occupancy} people are in {area.name}"
    if case.state.occupancy >= area.occupancy and not inside:
        return case.refused("occupancy", Reason.OCCUPANCY_FULL, text)
    case.passed("occupancy", text)
    return None


def _interlock(case: _Case) -> Reason | None:
    if case.state.interlock is None:
        return None
    return case.refused(
        "interlock", Reason.INTERLOCK, f"door {case.state.interlock} of the same interlock is in use"
    )


def _two_person(case: _Case) -> Reason | None:
    rule = case.rules.two_person
    if rule is None or case.state.mode is Mode.UNLOCKED:
        return None
    if not _may_pair(case):
        text = "the door needs two people, and no access group of this person may be one of them"
        return case.refused("two_person", Reason.SECOND_PERSON_REQUIRED, text)
    assert case.holder is not None
    first = case.state.first_person
    within = describe_duration(rule.within)
    if first is None or not 0 <= case.now.monotonic - first.at <= rule.within:
        text = f"first of two people; the second has {within}"
        return case.refused("two_person", Reason.SECOND_PERSON_REQUIRED, text)
    if first.person_id == case.holder.person.id:
        text = f"the same person again; a second, different one has {within}"
        return case.refused("two_person", Reason.SECOND_PERSON_REQUIRED, text)
    case.passed("two_person", f"second person, after {first.person_id}")
    return None


def _may_pair(case: _Case) -> bool:
    rule = case.rules.two_person
    return rule is not None and (not rule.groups or not case.references.isdisjoint(rule.groups))


RULES: tuple[Callable[[_Case], Reason | None], ...] = (
    _cache,
    _credential,
    _validity,
    _person,
    _mode,
    _access,
    _pin,
    _anti_passback,
    _occupancy,
    _interlock,
    _two_person,
)
"""The evaluation order."""
