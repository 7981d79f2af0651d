"""How a value of the directory became a card, or why it did not: ``latchctl sync cards --explain``. Pure.

A number is never shown: of a value only its shape (``99999-AA``), of a card its format and its length.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from daemon.scim.card_bits import CardMappingError, is_undecided, read_bits, state_of
from daemon.scim.card_text import RAW, CardText
from daemon.scim.cards import CardMapper
from daemon.scim.path import values_at, word
from daemon.scim.settings import ENTERPRISE_URN, CredentialRule

MAX_SHAPE = 40
"""Characters of a value's shape; what is longer is cut, and how long it is is said."""


@dataclass(frozen=True, slots=True)
class CardStep:
    """One rule asked about one person: its ``source``, the shapes of the values there, and what each became."""

    rule: int
    source: str
    values: tuple[str, ...]
    cards: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class CardExplanation:
    """One person's cards; ``found`` is false if the directory has no such person."""

    person_id: str
    found: bool
    steps: tuple[CardStep, ...]


def explain_cards(mapper: CardMapper, user: Mapping[str, Any]) -> Iterator[CardStep]:
    """Yield a step for each rule, in their order, up to the one that ends the search."""
    found = mapper.found(user)
    last = max((number for number, _ in found), default=None)
    for number, rule in enumerate(mapper.rules):
        cards = [card for of_rule, card in found if of_rule == number]
        if last is not None and number > last and not mapper.rules[last].more:
            yield CardStep(number + 1, _source(rule), (), (), "not asked: an earlier rule found a card")
            continue
        said = tuple(_meaning(mapper, rule, card) for card in cards)
        yield CardStep(number + 1, _source(rule), _shapes(rule, user), said, "" if cards else "no card here")


def shape(value: object) -> str:
    """Return what a value looks like: digits as 9, letters as A, the rest as it stands."""
    said = word(value)
    if said is None:
        return type(value).__name__
    drawn = "".join("9" if one.isdigit() else "A" if one.isalpha() else one for one in said)
    return drawn if len(drawn) <= MAX_SHAPE else f"{drawn[:MAX_SHAPE]}… ({len(drawn)} characters)"


def _source(rule: CredentialRule) -> str:
    if rule.side_file is not None:
        return f"card file {rule.side_file}, by {rule.key}"
    if rule.path is not None:
        return f"attribute {rule.path}"
    return f"preset {rule.preset}" if rule.preset is not None else f"extension {rule.urn}"


def _shapes(rule: CredentialRule, user: Mapping[str, Any]) -> tuple[str, ...]:
    path = rule.path
    if path is None and rule.preset is not None and rule.preset != "latchd":
        path = f"{ENTERPRISE_URN}:{rule.preset.partition('.')[2]}"
    return () if path is None else tuple(shape(value) for value in values_at(user, path))


def _meaning(mapper: CardMapper, rule: CredentialRule, card: CardText) -> str:
    try:
        length, _, label = read_bits(card, mapper.formats)
    except CardMappingError as error:
        return f"{card.where}: not a card: {error}"
    parts = [f"{card.where}: {label}, {length} bits"]
    if card.facility is not None:
        parts.append(f"facility code of {len(card.facility)} digits")
    if rule.format is not None and RAW.fullmatch(rule.format):
        parts.append("read as decimal digits" if card.base == 10 else "read as hexadecimal digits")
        if is_undecided(card):
            parts.append("all of them decimal: set base if every value of the directory is like this one")
    if card.reverse:
        parts.append("bytes reversed")
    parts.append(state_of(card.status).value)
    if card.valid_from is not None or card.valid_until is not None:
        parts.append(f"valid from {card.valid_from or 'ever'} until {card.valid_until or 'ever'}")
    return ", ".join(parts)
