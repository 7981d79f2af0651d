"""daemon.scim.card_explain: how each rule read a person's cards, without a number in it."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.scim.card_explain import CardStep, explain_cards, shape
from daemon.scim.cards import CardMapper
from daemon.scim.settings import CredentialRule
from drivers.cards.formats import built_in_formats
from tests.peers.scim_site import SITE_KEY


def explain(user: dict[str, Any], *rules: CredentialRule) -> list[CardStep]:
    return list(explain_cards(CardMapper(rules, built_in_formats(), SITE_KEY), user))


def test_a_value_becomes_a_card() -> None:
    (step,) = explain({"badge": "123-45678"}, CredentialRule(attribute="badge", format="H10301"))
    assert step == CardStep(
        1, "attribute badge", ("999-99999",), ("badge: H10301, 26 bits, facility code of 3 digits, active",)
    )


def test_what_is_not_a_card_says_why() -> None:
    (step,) = explain({"badge": "111,45678"}, CredentialRule(attribute="badge", format="H10301"))
    assert step.values == ("999,99999",)
    assert step.cards == (
        "badge: not a card: a comma may part two cards, or facility code and number: set pattern",
    )


def test_each_rule_has_its_step() -> None:
    rules = [
        CredentialRule(attribute="badge1", format="H10301", facility_code=1, more=True),
        CredentialRule(attribute="badge2", format="H10301", facility_code=1),
        CredentialRule(attribute="badge3", format="H10301", facility_code=1),
    ]
    user = {"badge1": "7", "badge2": "8", "badge3": "9"}
    assert [step.note for step in explain(user, *rules)] == ["", "", "not asked: an earlier rule found a card"]
    assert [step.note for step in explain({"badge3": "9"}, *rules)] == ["no card here", "no card here", ""]


def test_raw_digits_in_doubt_are_named() -> None:
    (step,) = explain({"badge": "77740828"}, CredentialRule(attribute="badge", format="RAW32"))
    assert "set base" in step.cards[0]
    assert "read as hexadecimal digits" in step.cards[0]


@settings(max_examples=200)
@given(st.text(alphabet="0123456789-:/,; EFx", min_size=4, max_size=60))
def test_no_number_is_shown(value: str) -> None:
    for rule in (
        CredentialRule(attribute="badge", format="H10301"),
        CredentialRule(attribute="badge", format="RAW32"),
    ):
        (step,) = explain({"badge": value}, rule)
        shown = " ".join((*step.values, *step.cards))
        runs = [run for run in "".join(c if c.isdigit() else " " for c in value).split() if len(run) > 3]
        assert not [run for run in runs if run in shown and set(run) != {"9"}]


def test_a_shape_is_short() -> None:
    assert shape("A" * 100) == "A" * 40 + "… (100 characters)"
    assert shape(45678.0) == "99999"
    assert shape({"a": 1}) == "dict"
