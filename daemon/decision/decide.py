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
from functools import partial

from cache.model import Decision, Found, Freshness, Moment, Outcome, Reason, RuleResult
from daemon.decision.access import access_rule, anti_passback_rule, interlock_rule, mode_rule, occupancy_rule
from daemon.decision.door_rules import DoorRules
from daemon.decision.evaluation import Evaluation, Trace
from daemon.decision.identity import credential_rule, person_rule, pin_rule, two_person_rule, validity_rule
from daemon.decision.request import AccessRequest, AccessState
from daemon.decision.wording import describe_freshness


def decide(request: AccessRequest, found: Found, rules: DoorRules, state: AccessState, now: Moment) -> Decision:
    """Answer one request; the module's docstring is the evaluation order. Never raises for any data.

    ``found`` is what the lookup of the card returned, or of the PIN where there is no card.
    """
    evaluation = Evaluation(request, found, rules, state, now)
    reason: Reason | None = None
    for rule in _ORDER:
        reason = rule(evaluation)
        if reason is not None:
            break
    person = evaluation.holder.person if evaluation.holder is not None else None
    if reason is None:
        outcome, reason = Outcome.GRANT, _grant_reason(evaluation)
    else:
        outcome = _refused_outcome(evaluation, reason)
    return Decision(
        outcome,
        reason,
        Trace(evaluation.steps),
        person,
        evaluation.group,
        evaluation.level,
        found.freshness,
        outcome is Outcome.GRANT and person is not None and person.extended_time,
        evaluation.duress,
        evaluation.apb_violation,
        evaluation.paths.references,
        evaluation.second,
    )


def refusal(reason: Reason, text: str, freshness: Freshness = Freshness()) -> Decision:  # noqa: B008 - frozen
    """Return a denial before any rule was asked: bad_frame, parity_error, internal_error."""
    return Decision(Outcome.DENY, reason, (RuleResult("read", False, text),), freshness=freshness)


def _refused_outcome(evaluation: Evaluation, reason: Reason) -> Outcome:
    """Return whether the reason is a denial, or asks for one more factor."""
    if reason is Reason.PIN_REQUIRED and evaluation.request.card:
        return Outcome.NEED_PIN
    if reason is Reason.SECOND_PERSON_REQUIRED and evaluation.may_pair():
        return Outcome.NEED_SECOND_PERSON
    return Outcome.DENY


def _grant_reason(evaluation: Evaluation) -> Reason:
    if evaluation.duress:
        return Reason.GRANTED_DURESS
    return Reason.GRANTED_APB_SOFT if evaluation.apb_violation else Reason.GRANTED


def _cache_rule(evaluation: Evaluation) -> Reason | None:
    evaluation.passed("cache", partial(describe_freshness, evaluation.found.freshness, evaluation.now.utc))
    return None


RULES: Mapping[str, Callable[[Evaluation], Reason | None]] = {
    "cache": _cache_rule,
    "credential": credential_rule,
    "validity": validity_rule,
    "person": person_rule,
    "mode": mode_rule,
    "access": access_rule,
    "pin": pin_rule,
    "anti_passback": anti_passback_rule,
    "occupancy": occupancy_rule,
    "interlock": interlock_rule,
    "two_person": two_person_rule,
}
"""The evaluation order. A rule answers None to let the request go on."""

_ORDER = tuple(RULES.values())
