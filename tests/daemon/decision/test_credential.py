"""Who is it: the rules credential, validity and person, with the words they leave."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cache.model import (
    CredentialState,
    Holder,
    Outcome,
    Person,
    Reason,
)
from tests.daemon.decision.asking import HOLDER, LOBBY, NOW, ask, holder, level, never_set, said


def test_an_unknown_card() -> None:
    decision = ask(())
    assert said(decision) == (Outcome.DENY, Reason.UNKNOWN_CREDENTIAL, "nobody in the cache holds this card")
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
