"""What else they have to show: the rules pin and two_person of ``daemon.decision.decide``."""

from __future__ import annotations

from cache.model import Mode, Reason
from daemon.decision.credential import judge, locked_out
from daemon.decision.evaluation import Evaluation
from daemon.decision.notation import describe_duration
from daemon.decision.request import PinResult


def pin_rule(case: Evaluation) -> Reason | None:
    """The second factor, where the door asks for it or one was typed."""
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
        return case.refused("pin", Reason.PIN_LOCKED_OUT, locked_out(case, until))
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
    return judge(case, "pin", pin.credential)


def _effective_mode(case: Evaluation) -> Mode:
    return case.rules.default_mode if case.state.mode is Mode.LOCKDOWN else case.state.mode


def two_person_rule(case: Evaluation) -> Reason | None:
    """A second, different person is there, where the door needs two."""
    rule = case.rules.two_person
    if rule is None or case.state.mode is Mode.UNLOCKED:
        return None
    if not case.may_pair():
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
