"""Who is it: the rules credential, validity, person, pin and two_person, with the words they leave."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cache.model import (
    CredentialState,
    Holder,
    Mode,
    Outcome,
    Person,
    Reason,
)
from daemon.decision.door_rules import TwoPersonRule
from daemon.decision.request import AccessState, FirstPerson, PinEntry, PinResult
from tests.daemon.decision.asking import (
    HOLDER,
    LOBBY,
    NOW,
    PIN,
    PIN_DOOR,
    RIGHT,
    STAFF,
    ask,
    holder,
    level,
    never_set,
    said,
)

LOCKED_OUT = replace(PIN_DOOR, pin_locked_until=NOW.utc + timedelta(seconds=90))


def test_an_unknown_card() -> None:
    decision = ask(())
    assert said(decision) == (Outcome.DENY, Reason.UNKNOWN_CREDENTIAL, "no one in the cache holds this card")
    assert decision.person is None
    assert [rule.rule for rule in decision.trace] == ["cache", "credential"]


@pytest.mark.parametrize(
    ("changed", "reason", "words"),
    [
        ({"state": CredentialState.SUSPENDED}, Reason.CREDENTIAL_INACTIVE, "card is suspended"),
        ({"state": CredentialState.LOST}, Reason.CREDENTIAL_INACTIVE, "card is lost"),
        ({"state": CredentialState.EXPIRED}, Reason.CREDENTIAL_EXPIRED, "card is expired"),
        (
            {"valid_from": NOW.utc + timedelta(seconds=1)},
            Reason.CREDENTIAL_NOT_YET_VALID,
            "card is valid from 2026-03-02 10:00 (Europe/Berlin)",
        ),
        (
            {"valid_from": datetime(9999, 12, 31, 23, tzinfo=UTC)},
            Reason.CREDENTIAL_NOT_YET_VALID,
            "card is valid from 9999-12-31 23:00 UTC (Europe/Berlin)",
        ),
        (
            {"valid_until": NOW.utc},
            Reason.CREDENTIAL_EXPIRED,
            "card was valid until 2026-03-02 10:00 (Europe/Berlin)",
        ),
        ({"valid_from": NOW.utc, "valid_until": NOW.utc + timedelta(seconds=1)}, None, ""),
    ],
)
def test_validity_of_the_credential(changed: dict[str, Any], reason: Reason | None, words: str) -> None:
    decision = ask((holder(**changed),))
    if reason is None:
        assert decision.outcome is Outcome.GRANT
    else:
        assert said(decision) == (Outcome.DENY, reason, words)
        assert decision.person == Person("u1")


def test_an_inactive_person() -> None:
    words = "person u1 is not active in the directory"
    assert said(ask((holder(active=False),))) == (Outcome.DENY, Reason.PERSON_INACTIVE, words)


def test_a_card_of_two_active_people_opens_for_neither() -> None:
    decision = ask((holder("u1"), holder("u2")))
    words = "2 active people hold this credential; it opens for none of them"
    assert said(decision) == (Outcome.DENY, Reason.DUPLICATE_CREDENTIAL, words)
    assert decision.person is None


@pytest.mark.parametrize(
    "other",
    [
        holder("u2", active=False),
        holder("u2", state=CredentialState.LOST),
        holder("u2", valid_until=NOW.utc),
        holder("u2", valid_from=NOW.utc + timedelta(days=1)),
    ],
)
def test_a_second_holder_who_may_not_use_it_makes_no_duplicate(other: Holder) -> None:
    for holders in ((HOLDER, other), (other, HOLDER)):
        decision = ask(holders)
        assert (decision.outcome, decision.person) == (Outcome.GRANT, HOLDER.person)


def test_of_two_who_may_not_use_it_the_active_person_is_named() -> None:
    decision = ask((holder("u2", active=False), holder("u1", state=CredentialState.LOST)))
    assert (decision.reason, decision.person) == (Reason.CREDENTIAL_INACTIVE, Person("u1"))


def test_one_person_with_the_same_card_twice_is_one_holder() -> None:
    assert ask((holder(state=CredentialState.LOST), HOLDER)).outcome is Outcome.GRANT
    assert ask((HOLDER, holder(state=CredentialState.LOST))).outcome is Outcome.GRANT
    assert ask((HOLDER, HOLDER)).outcome is Outcome.GRANT


def test_a_holder_whose_time_cannot_be_judged_counts_as_one() -> None:
    holders = (HOLDER, holder("u2", valid_until=NOW.utc + timedelta(days=1)))
    rules = replace(LOBBY, levels=(level(),))
    assert ask(holders, rules, now=never_set()).reason is Reason.DUPLICATE_CREDENTIAL


# ------------------------------------------------------------------ pin and two_person


@pytest.mark.parametrize(
    ("state", "entry", "expected"),
    [
        (PIN_DOOR, None, (Outcome.NEED_PIN, Reason.PIN_REQUIRED, "the door asks for a PIN after the card")),
        (PIN_DOOR, RIGHT, (Outcome.GRANT, Reason.GRANTED, "pin is active and valid")),
        (
            PIN_DOOR,
            PinEntry(PinResult.DURESS, PIN),
            (Outcome.GRANT, Reason.GRANTED_DURESS, "pin is active and valid"),
        ),
        (PIN_DOOR, PinEntry(PinResult.WRONG), (Outcome.DENY, Reason.PIN_WRONG, "the PIN is not this person's")),
        (PIN_DOOR, PinEntry(PinResult.RIGHT), (Outcome.DENY, Reason.PIN_WRONG, "the PIN is not this person's")),
        (
            PIN_DOOR,
            PinEntry(PinResult.RIGHT, replace(PIN, person_id="u2")),
            (Outcome.DENY, Reason.PIN_WRONG, "the PIN is not this person's"),
        ),
        (
            PIN_DOOR,
            PinEntry(PinResult.LATE),
            (Outcome.DENY, Reason.PIN_TIMEOUT, "the PIN was not finished in time"),
        ),
        (
            PIN_DOOR,
            PinEntry(PinResult.RIGHT, replace(PIN, state=CredentialState.SUSPENDED)),
            (Outcome.DENY, Reason.CREDENTIAL_INACTIVE, "pin is suspended"),
        ),
        (
            LOCKED_OUT,
            RIGHT,
            (Outcome.DENY, Reason.PIN_LOCKED_OUT, "the reader takes no PINs for another 1 min 30 s"),
        ),
        (
            LOCKED_OUT,
            None,
            (Outcome.DENY, Reason.PIN_LOCKED_OUT, "the reader takes no PINs for another 1 min 30 s"),
        ),
        (
            AccessState(),
            PinEntry(PinResult.WRONG),
            (Outcome.DENY, Reason.PIN_WRONG, "the PIN is not this person's"),
        ),
    ],
)
def test_card_and_pin(state: AccessState, entry: PinEntry | None, expected: tuple[Outcome, Reason, str]) -> None:
    decision = ask(state=state, pin=entry)
    assert said(decision) == expected
    assert decision.trace[-1].rule == "pin"
    assert decision.duress is (entry is not None and entry.result is PinResult.DURESS)


def test_a_lockout_ends_at_its_instant_and_does_not_touch_cards_alone() -> None:
    over = replace(PIN_DOOR, pin_locked_until=NOW.utc)
    assert ask(state=over, pin=RIGHT).outcome is Outcome.GRANT
    assert ask(state=replace(LOCKED_OUT, mode=Mode.LOCKED)).outcome is Outcome.GRANT


PIN_HOLDER = Holder(Person("u1"), PIN, (STAFF,))
ALONE = PinEntry(PinResult.RIGHT)


@pytest.mark.parametrize(
    ("holders", "state", "entry", "expected"),
    [
        ((PIN_HOLDER,), AccessState(), ALONE, (Outcome.GRANT, Reason.GRANTED)),
        ((PIN_HOLDER,), AccessState(), PinEntry(PinResult.DURESS), (Outcome.GRANT, Reason.GRANTED_DURESS)),
        ((), AccessState(), ALONE, (Outcome.DENY, Reason.PIN_WRONG)),
        ((PIN_HOLDER,), AccessState(), PinEntry(PinResult.WRONG), (Outcome.DENY, Reason.PIN_WRONG)),
        ((), AccessState(), PinEntry(PinResult.LATE), (Outcome.DENY, Reason.PIN_TIMEOUT)),
        ((), AccessState(), None, (Outcome.DENY, Reason.PIN_TIMEOUT)),
        ((PIN_HOLDER,), LOCKED_OUT, ALONE, (Outcome.DENY, Reason.PIN_LOCKED_OUT)),
        ((PIN_HOLDER,), PIN_DOOR, ALONE, (Outcome.DENY, Reason.PIN_REQUIRED)),
        (
            (PIN_HOLDER, replace(PIN_HOLDER, person=Person("u2"))),
            AccessState(),
            ALONE,
            (Outcome.DENY, Reason.DUPLICATE_CREDENTIAL),
        ),
    ],
)
def test_a_pin_alone(
    holders: tuple[Holder, ...], state: AccessState, entry: PinEntry | None, expected: tuple[Outcome, Reason]
) -> None:
    decision = ask(holders, state=state, card=False, pin=entry)
    assert (decision.outcome, decision.reason) == expected
    if decision.reason is Reason.PIN_LOCKED_OUT:
        assert decision.person is None, "a locked-out reader must not tell whose PIN it was"
        assert decision.trace[-1].text == "the reader takes no PINs for another 1 min 30 s"


def test_a_pin_alone_leaves_words_too() -> None:
    assert ask((), card=False, pin=ALONE).trace[-1].text == "no one in the cache has this PIN alone"
    assert ask((), card=False, pin=None).trace[-1].text == "the PIN was not finished in time"
    text = ask((PIN_HOLDER,), state=PIN_DOOR, card=False, pin=ALONE).trace[-1].text
    assert text == "a PIN alone is not enough here: card first, then PIN"


def test_duress_is_told_also_where_access_is_denied() -> None:
    decision = ask((PIN_HOLDER,), state=AccessState(interlock="b"), card=False, pin=PinEntry(PinResult.DURESS))
    assert (decision.outcome, decision.duress) == (Outcome.DENY, True)


PAIR = replace(LOBBY, two_person=TwoPersonRule(frozenset({"Staff"}), 10.0))


@pytest.mark.parametrize(
    ("first", "outcome", "words"),
    [
        (None, Outcome.NEED_SECOND_PERSON, "first of two people; the second has 10 s"),
        (FirstPerson("u2", 990.0), Outcome.GRANT, "second person, after u2"),
        (FirstPerson("u2", 1000.0), Outcome.GRANT, "second person, after u2"),
        (FirstPerson("u2", 989.9), Outcome.NEED_SECOND_PERSON, "first of two people; the second has 10 s"),
        (FirstPerson("u2", 1000.1), Outcome.NEED_SECOND_PERSON, "first of two people; the second has 10 s"),
        (
            FirstPerson("u1", 995.0),
            Outcome.NEED_SECOND_PERSON,
            "the same person again; a second, different one has 10 s",
        ),
    ],
)
def test_two_people(first: FirstPerson | None, outcome: Outcome, words: str) -> None:
    decision = ask(rules=PAIR, state=AccessState(first_person=first))
    assert (decision.outcome, decision.trace[-1].text) == (outcome, words)
    assert decision.trace[-1].rule == "two_person"
    assert decision.reason is (Reason.GRANTED if outcome is Outcome.GRANT else Reason.SECOND_PERSON_REQUIRED)


def test_somebody_outside_the_groups_is_none_of_the_two() -> None:
    vault = replace(PAIR, two_person=TwoPersonRule(frozenset({"Vault"}), 10.0))
    words = "the door needs two people, and no access group of this person may be one of them"
    for first in (None, FirstPerson("u2", 995.0)):
        expected = (Outcome.DENY, Reason.SECOND_PERSON_REQUIRED, words)
        assert said(ask(rules=vault, state=AccessState(first_person=first))) == expected
    anybody = replace(PAIR, two_person=TwoPersonRule(frozenset(), 10.0))
    assert ask(rules=anybody).outcome is Outcome.NEED_SECOND_PERSON


@pytest.mark.parametrize("entry", [None, PinEntry(PinResult.LATE), PinEntry(PinResult.WRONG)])
@pytest.mark.parametrize("state", [AccessState(), LOCKED_OUT])
def test_a_pin_alone_is_refused_by_the_rule_of_credentials(entry: PinEntry | None, state: AccessState) -> None:
    decision = ask((), state=replace(state, mode=Mode.LOCKED), card=False, pin=entry)
    assert (decision.outcome, decision.trace[-1].rule) == (Outcome.DENY, "credential")


def test_a_lockout_of_pins_alone_ends_at_its_instant() -> None:
    over = AccessState(pin_locked_until=NOW.utc)
    assert ask((PIN_HOLDER,), state=over, card=False, pin=ALONE).outcome is Outcome.GRANT


def test_a_factor_that_is_missing_is_asked_for_by_its_rule() -> None:
    alone = ask((PIN_HOLDER,), state=PIN_DOOR, card=False, pin=ALONE)
    assert (alone.reason, alone.trace[-1].rule) == (Reason.PIN_REQUIRED, "pin")
    others = replace(LOBBY, two_person=TwoPersonRule(frozenset({"Vault"}), 10.0))
    assert (ask(rules=others).reason, ask(rules=others).trace[-1].rule) == (
        Reason.SECOND_PERSON_REQUIRED,
        "two_person",
    )
