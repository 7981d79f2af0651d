"""Cards in SCIM: from the attributes of a user, by the mapping rules of the site file, to credentials. Pure.

Nothing here puts a card number into a message: a card that cannot be used is named by its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from typing import Any

from cache.keys import card_key
from cache.model import Credential, CredentialKind, CredentialState
from daemon.scim.card_bits import CardMappingError, instant_of, is_undecided, read_bits, state_of
from daemon.scim.card_file import SideFile
from daemon.scim.card_text import RAW, CardText, attribute_cards, single_cards
from daemon.scim.path import extension
from daemon.scim.pins import PinError, read_pins
from daemon.scim.resource import lookup
from daemon.scim.settings import ENTERPRISE_URN, LATCHD_URN, CredentialRule
from drivers.cards.formats import CardFormats

MAX_CARDS = 64
"""Cards of one person; more are reported and left out."""


@dataclass(frozen=True, slots=True)
class Cards:
    """What one person's attributes gave: credentials, and why others gave none.

    ``undecided`` are credentials of raw digits that may be decimal or hexadecimal, with the number of their rule
    and their place; ``hexadecimal`` are the rules of which this person shows that they are not decimal.
    """

    credentials: tuple[Credential, ...] = ()
    unusable: tuple[str, ...] = ()
    undecided: Mapping[bytes, tuple[int, str]] = field(default_factory=dict)
    hexadecimal: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class CardMapper:
    """The mapping rules of a site with what they need: card formats, site key, time zone, side files as read."""

    rules: tuple[CredentialRule, ...]
    formats: CardFormats
    site_key: bytes
    zone: tzinfo = UTC
    side_files: Mapping[str, SideFile] = field(default_factory=dict)
    pin_length: int = 6

    def read(self, person_id: str, user: Mapping[str, Any]) -> Cards:
        """Return the cards of ``user``, by the first rule that finds any and those that add to it; and the PIN."""
        cards, pins = self._cards(person_id, self.found(user)), self._read_pins(person_id, user)
        return replace(
            cards, credentials=cards.credentials + pins.credentials, unusable=cards.unusable + pins.unusable
        )

    def found(self, user: Mapping[str, Any]) -> list[tuple[int, CardText]]:
        """Return the cards as worded, each with the number of its rule; ``more`` does not end the search."""
        found: list[tuple[int, CardText]] = []
        for number, rule in enumerate(self.rules):
            cards = [(number, card) for card in self._completed(rule, user)]
            found += cards
            if cards and not rule.more:
                break
        return found

    def _read_pins(self, person_id: str, user: Mapping[str, Any]) -> Cards:
        for rule in self.rules:
            try:
                rows = self._rows(rule, user)
                pins = read_pins(rows, person_id, self.site_key, self.pin_length, alone=rule.pin_alone)
            except PinError as error:
                return Cards(unusable=(f"side file pin: {error}",))
            if pins:
                return Cards(pins)
        return Cards()

    def _completed(self, rule: CredentialRule, user: Mapping[str, Any]) -> Iterator[CardText]:
        """What the rule's source leaves out is what the rule says."""
        facility = None if rule.facility_code is None else str(rule.facility_code)
        for card in self._source(rule, user):
            if card.hexadecimal is not None and rule.format is not None and not RAW.fullmatch(rule.format):
                yield card
            else:
                yield replace(card, format=card.format or rule.format, facility=card.facility or facility)

    def _source(self, rule: CredentialRule, user: Mapping[str, Any]) -> Iterator[CardText]:
        if rule.side_file is not None:
            for row in self._rows(rule, user):
                yield from attribute_cards(row, "side file")
        elif rule.attribute is not None or rule.preset not in (None, "latchd"):
            yield from single_cards(user, rule, self.formats)
        else:
            attributes = extension(user, rule.urn or LATCHD_URN)
            if attributes is not None:
                yield from attribute_cards(attributes, "")

    def _rows(self, rule: CredentialRule, user: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """What the rule's side file says of ``user``."""
        if rule.side_file is None:
            return
        path = f"{ENTERPRISE_URN}:employeeNumber" if rule.key == "employeeNumber" else rule.key
        for owner in lookup(user, path):
            yield from self.side_files[rule.side_file].rows(owner)

    def _cards(self, person_id: str, found: Sequence[tuple[int, CardText]]) -> Cards:
        credentials: dict[bytes, Credential] = {}
        undecided: dict[bytes, tuple[int, str]] = {}
        hexadecimal: set[int] = set()
        unusable: list[str] = []
        for number, card in found[:MAX_CARDS]:
            try:
                credential = self._credential(person_id, card)
            except CardMappingError as error:
                unusable.append(f"{card.where}: {error}")
                continue
            if self._by_raw_rule(number, card):
                if is_undecided(card):
                    undecided[credential.key] = (number, card.where)
                else:
                    hexadecimal.add(number)
            other = credentials.get(credential.key)
            if other is None or other.state is CredentialState.ACTIVE:
                # The same card twice on one person: the stricter of the two states holds.
                credentials[credential.key] = credential
        if len(found) > MAX_CARDS:
            unusable.append(f"{len(found)} cards: only the first {MAX_CARDS} are read")
        return Cards(tuple(credentials.values()), tuple(unusable), undecided, frozenset(hexadecimal))

    def _by_raw_rule(self, number: int, card: CardText) -> bool:
        """Whether the card is bare digits that a rule with a RAW format says to be a raw read."""
        rule = self.rules[number]
        raw = rule.attribute is not None and rule.format is not None and RAW.fullmatch(rule.format) is not None
        return raw and rule.base is None and card.hexadecimal is None and card.format == rule.format

    def _credential(self, person_id: str, card: CardText) -> Credential:
        length, value, label = read_bits(card, self.formats)
        return Credential(
            key=card_key(self.site_key, length, value),
            person_id=person_id,
            kind=CredentialKind.CARD,
            state=state_of(card.status),
            valid_from=instant_of(card.valid_from, "validFrom", self.zone, end=False),
            valid_until=instant_of(card.valid_until, "validUntil", self.zone, end=True),
            label=label,
        )
