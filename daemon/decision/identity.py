"""Who is it, and is that enough: the rules credential, validity, person, pin and two_person of ``decide``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

from cache.model import ClockPolicy, Credential, CredentialState, Holder, Mode, Person, Reason
from daemon.decision.evaluation import Evaluation
from daemon.decision.notation import describe_duration, describe_instant
from daemon.decision.request import PinEntry, PinResult

# ------------------------------------------------------------------ credential


def credential_rule(evaluation: Evaluation) -> Reason | None:
    """Known, and one person's; for a PIN alone also: right, in time, and not locked out."""
    if not evaluation.request.card:
        reason = _pin_alone(evaluation)
        if reason is not None:
            return reason
    holders = evaluation.found.holders
    if not holders:
        return evaluation.refused("credential", Reason.UNKNOWN_CREDENTIAL, "no one in the cache holds this card")
    holder = holders[0]
    if len(holders) > 1:
        people = _one_per_person(holders)
        possible = [one for one in people if one.person.active and _may_be_used(one.credential, evaluation)]
        if len(possible) > 1:
            text = f"{len(possible)} active people hold this credential; it opens for none of them"
            return evaluation.refused("credential", Reason.DUPLICATE_CREDENTIAL, text)
        # Of several who may not use it, the active person is the one worth naming.
        holder = (possible or sorted(people, key=lambda one: not one.person.active))[0]
    evaluation.holder = holder
    evaluation.paths = evaluation.rules.paths(holder.memberships)
    evaluation.passed("credential", partial(_whose, holder))
    return None


def _whose(holder: Holder) -> str:
    return f"{holder.credential.label or holder.credential.kind} of person {holder.person.id}"


def _pin_alone(evaluation: Evaluation) -> Reason | None:
    pin, until = evaluation.request.pin, evaluation.state.pin_locked_until
    if until is not None and evaluation.now.utc < until:
        return evaluation.refused("credential", Reason.PIN_LOCKED_OUT, _locked_out(evaluation, until))
    if pin is None or pin.result is PinResult.LATE:
        return evaluation.refused("credential", Reason.PIN_TIMEOUT, "the PIN was not finished in time")
    if pin.result is PinResult.WRONG or not evaluation.found.holders:
        return evaluation.refused("credential", Reason.PIN_WRONG, "no one in the cache has this PIN alone")
    evaluation.duress = pin.result is PinResult.DURESS
    return None


def _locked_out(evaluation: Evaluation, until: datetime) -> str:
    left = describe_duration((until - evaluation.now.utc).total_seconds())
    return f"the reader takes no PINs for another {left}"


def _one_per_person(holders: tuple[Holder, ...]) -> list[Holder]:
    """Return each person once; of several credentials with one key, an active one first."""
    ordered = sorted(holders, key=lambda one: one.credential.state is not CredentialState.ACTIVE)
    return list({holder.person.id: holder for holder in reversed(ordered)}.values())[::-1]


# ------------------------------------------------------------------ validity


def validity_rule(evaluation: Evaluation) -> Reason | None:
    """The credential may be used now."""
    assert evaluation.holder is not None
    return _judge(evaluation, "validity", evaluation.holder.credential)


def _judge(evaluation: Evaluation, rule: str, credential: Credential) -> Reason | None:
    """Judge state and validity of a card or a PIN, for the rule that asks."""
    reason = _fault(credential, evaluation)
    if reason is None:
        evaluation.passed(rule, partial(_valid, credential))
        return None
    return evaluation.refused(rule, reason, partial(_FAULT_TEXT[reason], credential, evaluation.rules.zone))


def _fault(credential: Credential, evaluation: Evaluation) -> Reason | None:
    """Return why a credential may not be used now, or None."""
    if credential.state is CredentialState.EXPIRED:
        return Reason.CREDENTIAL_EXPIRED
    if credential.state is not CredentialState.ACTIVE:
        return Reason.CREDENTIAL_INACTIVE
    if credential.valid_from is None and credential.valid_until is None:
        return None
    if evaluation.time_is_unknown:
        return Reason.CLOCK_UNTRUSTED if evaluation.rules.clock is ClockPolicy.DENY_TIME_BOUND else None
    if credential.valid_from is not None and evaluation.now.utc < credential.valid_from:
        return Reason.CREDENTIAL_NOT_YET_VALID
    if credential.valid_until is not None and evaluation.now.utc >= credential.valid_until:
        return Reason.CREDENTIAL_EXPIRED
    return None


def _may_be_used(credential: Credential, evaluation: Evaluation) -> bool:
    """Return whether it is valid, or would be if the clock could be believed."""
    return _fault(credential, evaluation) in (None, Reason.CLOCK_UNTRUSTED)


def _valid(credential: Credential) -> str:
    return f"{credential.kind} is active and valid"


def _expired(credential: Credential, zone: ZoneInfo) -> str:
    if credential.state is CredentialState.EXPIRED:
        return f"{credential.kind} is expired"
    return f"{credential.kind} was valid until {describe_instant(credential.valid_until, zone)} ({zone.key})"


_FAULT_TEXT: Mapping[Reason, Callable[[Credential, ZoneInfo], str]] = {
    Reason.CREDENTIAL_INACTIVE: lambda one, _: f"{one.kind} is {one.state}",
    Reason.CREDENTIAL_NOT_YET_VALID: lambda one, zone: (
        f"{one.kind} is valid from {describe_instant(one.valid_from, zone)} ({zone.key})"
    ),
    Reason.CREDENTIAL_EXPIRED: _expired,
    Reason.CLOCK_UNTRUSTED: lambda one, _: f"{one.kind} has a validity, and the clock was never set",
}


# ------------------------------------------------------------------ person


def person_rule(evaluation: Evaluation) -> Reason | None:
    """The person is active in the directory."""
    assert evaluation.holder is not None
    person = evaluation.holder.person
    if not person.active:
        text = f"person {person.id} is not active in the directory"
        return evaluation.refused("person", Reason.PERSON_INACTIVE, text)
    evaluation.passed("person", partial(_active, person))
    return None


def _active(person: Person) -> str:
    return f"person {person.id} is active"


# ------------------------------------------------------------------ pin


def pin_rule(evaluation: Evaluation) -> Reason | None:
    """The second factor, where the door asks for it or one was typed."""
    pin, needed = evaluation.request.pin, evaluation.state.factors is Mode.CARD_AND_PIN
    if not evaluation.request.card:
        if needed:
            text = "a PIN alone is not enough here: card first, then PIN"
            return evaluation.refused("pin", Reason.PIN_REQUIRED, text)
        return None
    if pin is None and not needed:
        return None
    until = evaluation.state.pin_locked_until
    if until is not None and evaluation.now.utc < until:
        return evaluation.refused("pin", Reason.PIN_LOCKED_OUT, _locked_out(evaluation, until))
    if pin is None:
        return evaluation.refused("pin", Reason.PIN_REQUIRED, "the door asks for a PIN after the card")
    return _second_factor(evaluation, pin)


def _second_factor(evaluation: Evaluation, pin: PinEntry) -> Reason | None:
    assert evaluation.holder is not None
    if pin.result is PinResult.LATE:
        return evaluation.refused("pin", Reason.PIN_TIMEOUT, "the PIN was not finished in time")
    credential = pin.credential
    theirs = credential is not None and credential.person_id == evaluation.holder.person.id
    if pin.result is PinResult.WRONG or credential is None or not theirs:
        return evaluation.refused("pin", Reason.PIN_WRONG, "the PIN is not this person's")
    evaluation.duress = pin.result is PinResult.DURESS
    return _judge(evaluation, "pin", credential)


# ------------------------------------------------------------------ two_person


def two_person_rule(evaluation: Evaluation) -> Reason | None:
    """A second, different person is there, where the door needs two."""
    rule = evaluation.rules.two_person
    if rule is None or evaluation.state.mode is Mode.UNLOCKED:
        return None
    if not evaluation.may_pair():
        text = "the door needs two people, and no access group of this person may be one of them"
        return evaluation.refused("two_person", Reason.SECOND_PERSON_REQUIRED, text)
    assert evaluation.holder is not None
    first = evaluation.state.first_person
    within = describe_duration(rule.within)
    if first is None or not 0 <= evaluation.now.monotonic - first.at <= rule.within:
        text = f"first of two people; the second has {within}"
        return evaluation.refused("two_person", Reason.SECOND_PERSON_REQUIRED, text)
    if first.person_id == evaluation.holder.person.id:
        text = f"the same person again; a second, different one has {within}"
        return evaluation.refused("two_person", Reason.SECOND_PERSON_REQUIRED, text)
    evaluation.second = True
    evaluation.passed("two_person", f"second person, after {first.person_id}")
    return None
