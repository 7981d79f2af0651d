"""Who is it: the rules credential, validity and person of ``daemon.decision.decide``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from cache.model import ClockPolicy, Credential, CredentialState, Holder, Reason
from daemon.decision.evaluation import Evaluation
from daemon.decision.notation import describe_duration
from daemon.decision.request import PinResult


def credential_rule(case: Evaluation) -> Reason | None:
    """Known, and one person's; for a PIN alone also: right, in time, and not locked out."""
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


def locked_out(case: Evaluation, until: datetime) -> str:
    """The words of a lockout."""
    return f"the reader takes no PINs for another {describe_duration((until - case.now.utc).total_seconds())}"


def _pin_alone(case: Evaluation) -> Reason | None:
    pin, until = case.request.pin, case.state.pin_locked_until
    if until is not None and case.now.utc < until:
        return case.refused("credential", Reason.PIN_LOCKED_OUT, locked_out(case, until))
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


def _fault(credential: Credential, case: Evaluation) -> Reason | None:
    """Why a credential may not be used now, or None."""
    if credential.state is CredentialState.EXPIRED:
        return Reason.CREDENTIAL_EXPIRED
    if credential.state is not CredentialState.ACTIVE:
        return Reason.CREDENTIAL_INACTIVE
    if credential.valid_from is None and credential.valid_until is None:
        return None
    if case.time_is_unknown:
        return Reason.CLOCK_UNTRUSTED if case.rules.clock is ClockPolicy.DENY_TIME_BOUND else None
    if credential.valid_from is not None and case.now.utc < credential.valid_from:
        return Reason.CREDENTIAL_NOT_YET_VALID
    if credential.valid_until is not None and case.now.utc >= credential.valid_until:
        return Reason.CREDENTIAL_EXPIRED
    return None


def validity_rule(case: Evaluation) -> Reason | None:
    """The credential may be used now."""
    assert case.holder is not None
    return judge(case, "validity", case.holder.credential)


def judge(case: Evaluation, rule: str, credential: Credential) -> Reason | None:
    """State and validity of a card or a PIN, for the rule that asks."""
    reason = _fault(credential, case)
    if reason is None:
        case.passed(rule, f"{credential.kind} is active and valid")
        return None
    return case.refused(rule, reason, _FAULT_TEXT[reason](credential, case.rules.zone))


def _local(at: datetime | None, zone: ZoneInfo) -> str:
    assert at is not None, "a bound that was passed is there"
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M} ({zone.key})"


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


def person_rule(case: Evaluation) -> Reason | None:
    """The person is active in the directory."""
    assert case.holder is not None
    person = case.holder.person
    if not person.active:
        return case.refused("person", Reason.PERSON_INACTIVE, f"person {person.id} is not active in the directory")
    case.passed("person", f"person {person.id} is active")
    return None
