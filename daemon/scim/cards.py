"""Cards in SCIM: from the attributes of a user, by the mapping rules of the site file, to credentials. Pure.

Nothing here puts a card number into a message: a card that cannot be used is named by its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from cache.keys import MAX_CARD_BITS, card_key
from cache.model import Credential, CredentialKind, CredentialState
from daemon.scim.card_file import SideFile
from daemon.scim.pins import PinError, read_pins
from daemon.scim.resource import get, lookup, text
from daemon.scim.settings import ENTERPRISE_URN, LATCHD_URN, CredentialRule
from drivers.cards import layout
from drivers.cards.formats import CardFormats

MAX_CARDS = 64
"""Cards of one person; more are reported and left out."""

SUFFIXES = ("", "2", "3", "4")

_RAW = re.compile(r"RAW(\d{1,3})", re.IGNORECASE)
_HEX = re.compile(r"(?:0x)?([0-9A-Fa-f]{1,32})")

_STATES = {
    "active": CredentialState.ACTIVE,
    "enabled": CredentialState.ACTIVE,
    "suspended": CredentialState.SUSPENDED,
    "inactive": CredentialState.SUSPENDED,
    "disabled": CredentialState.SUSPENDED,
    "revoked": CredentialState.SUSPENDED,
    "lost": CredentialState.LOST,
    "stolen": CredentialState.LOST,
    "expired": CredentialState.EXPIRED,
}


class CardMappingError(ValueError):
    """A card cannot be used; the message says why, without its number."""


@dataclass(frozen=True, slots=True)
class CardText:
    """A card as the directory words it, before anything is believed. ``where`` names its place for people."""

    where: str
    format: str | None = None
    facility: str | None = None
    number: str | None = None
    hexadecimal: str | None = None
    bits: str | None = None
    issue: str | None = None
    status: str | None = None
    valid_from: str | None = None
    valid_until: str | None = None


@dataclass(frozen=True, slots=True)
class Cards:
    """What one person's attributes gave: credentials, and why others gave none."""

    credentials: tuple[Credential, ...] = ()
    unusable: tuple[str, ...] = ()


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
        """The cards of ``user``, by the first rule that finds any; the PIN, by the first side file with one."""
        cards, pins = self._read_cards(person_id, user), self._read_pins(person_id, user)
        return Cards(cards.credentials + pins.credentials, cards.unusable + pins.unusable)

    def _read_cards(self, person_id: str, user: Mapping[str, Any]) -> Cards:
        for rule in self.rules:
            found = list(self._found(rule, user))
            if found:
                return self._cards(person_id, found)
        return Cards()

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

    def _found(self, rule: CredentialRule, user: Mapping[str, Any]) -> Iterator[CardText]:
        if rule.format is None and rule.facility_code is None:
            yield from self._source(rule, user)
            return
        for card in self._source(rule, user):
            completed = replace(
                card,
                format=card.format or rule.format,
                facility=card.facility or (None if rule.facility_code is None else str(rule.facility_code)),
            )
            yield completed if card.hexadecimal is None or rule.format is None else card

    def _source(self, rule: CredentialRule, user: Mapping[str, Any]) -> Iterator[CardText]:
        if rule.side_file is not None:
            for row in self._rows(rule, user):
                yield from attribute_cards(row, "side file")
        elif rule.attribute is not None:
            yield from _single(user, f"{rule.urn}:{rule.attribute}" if rule.urn else rule.attribute)
        elif rule.preset in (None, "latchd"):
            extension = get(user, rule.urn or LATCHD_URN)
            if isinstance(extension, Mapping):
                yield from attribute_cards(extension, "")
        else:
            yield from _single(user, f"{ENTERPRISE_URN}:{rule.preset.partition('.')[2]}")

    def _rows(self, rule: CredentialRule, user: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """What the rule's side file says of ``user``."""
        if rule.side_file is None:
            return
        path = f"{ENTERPRISE_URN}:employeeNumber" if rule.key == "employeeNumber" else rule.key
        for owner in lookup(user, path):
            yield from self.side_files[rule.side_file].rows(owner)

    def _cards(self, person_id: str, found: Sequence[CardText]) -> Cards:
        credentials: dict[bytes, Credential] = {}
        unusable: list[str] = []
        for card in found[:MAX_CARDS]:
            try:
                credential = self._credential(person_id, card)
            except CardMappingError as error:
                unusable.append(f"{card.where}: {error}")
                continue
            other = credentials.get(credential.key)
            if other is None or other.state is CredentialState.ACTIVE:
                # The same card twice on one person: the stricter of the two states holds.
                credentials[credential.key] = credential
        if len(found) > MAX_CARDS:
            unusable.append(f"{len(found)} cards: only the first {MAX_CARDS} are read")
        return Cards(tuple(credentials.values()), tuple(unusable))

    def _credential(self, person_id: str, card: CardText) -> Credential:
        length, value, label = read_bits(card, self.formats)
        return Credential(
            key=card_key(self.site_key, length, value),
            person_id=person_id,
            kind=CredentialKind.CARD,
            state=_state(card.status),
            valid_from=_instant(card.valid_from, "validFrom", self.zone, end=False),
            valid_until=_instant(card.valid_until, "validUntil", self.zone, end=True),
            label=label,
        )


# ------------------------------------------------------------------ where cards are worded


def attribute_cards(attributes: Mapping[str, Any], prefix: str) -> Iterator[CardText]:
    """Cards in latchd's own attributes: single and numbered, the compact string, the structured list."""
    place = f"{prefix} " if prefix else ""
    for suffix in SUFFIXES:
        card = _numbered(attributes, suffix, place)
        if card is not None:
            yield card
    for compact in lookup(attributes, "cards"):
        yield from compact_cards(compact, f"{place}cards")
    for position, entry in enumerate(lookup(attributes, "credentials"), start=1):
        if isinstance(entry, Mapping):
            yield _structured(entry, f"{place}credentials, entry {position}")


def compact_cards(compact: object, where: str) -> Iterator[CardText]:
    """``H10301:123:45678;RAW26:1A2B3C``: FORMAT:FACILITY:NUMBER[:ISSUE], FORMAT:NUMBER, or RAWn:HEX."""
    entries = (compact if isinstance(compact, str) else text(compact) or "").split(";")
    for position, entry in enumerate((e.strip() for e in entries if e.strip()), start=1):
        parts = [part.strip() or None for part in entry.split(":")]
        here = f"{where}, entry {position}"
        if len(parts) == 2:
            yield CardText(here, format=parts[0], number=parts[1])
        elif len(parts) in (3, 4):
            yield CardText(here, format=parts[0], facility=parts[1], number=parts[2], issue=(*parts, None)[3])
        else:
            yield CardText(here)


def _numbered(attributes: Mapping[str, Any], suffix: str, place: str) -> CardText | None:
    """One of ``cardNumber``, ``cardNumber2`` …; format and facility code without a suffix count for all."""

    def own(name: str) -> str | None:
        return text(get(attributes, name + suffix))

    number, hexadecimal = own("cardNumber"), own("cardNumberHex")
    if number is None and hexadecimal is None and _is_said(get(attributes, "cardNumber" + suffix)):
        number = "?"  # there is something, and it is no number: it is told, not passed over
    if number is None and hexadecimal is None:
        return None
    if number is not None and ":" in number:
        compact = next(compact_cards(number, f"{place}cardNumber{suffix}"))
        return replace(
            compact, status=own("cardStatus"), valid_from=own("validFrom"), valid_until=own("validUntil")
        )
    return CardText(
        where=f"{place}cardNumber{suffix}" if number is not None else f"{place}cardNumberHex{suffix}",
        format=own("cardFormat") or text(get(attributes, "cardFormat")),
        facility=own("facilityCode") or text(get(attributes, "facilityCode")),
        number=number,
        hexadecimal=hexadecimal,
        bits=own("cardBits") or text(get(attributes, "cardBits")),
        issue=own("issueLevel"),
        status=own("cardStatus"),
        valid_from=own("validFrom"),
        valid_until=own("validUntil"),
    )


def _is_said(value: object) -> bool:
    """Absent, ``null`` and ``[]`` are one state (RFC 7643 §2.5), and a blank says no more."""
    return value is not None and value != [] and not (isinstance(value, str) and not value.strip())


def _structured(entry: Mapping[str, Any], where: str) -> CardText:
    def either(*names: str) -> str | None:
        return next((value for value in (text(get(entry, name)) for name in names) if value is not None), None)

    return CardText(
        where=where,
        format=either("format", "cardFormat"),
        facility=either("facilityCode"),
        number=either("number", "cardNumber", "value"),
        hexadecimal=either("numberHex", "cardNumberHex"),
        bits=either("bits", "cardBits"),
        issue=either("issueLevel"),
        status=either("status", "cardStatus"),
        valid_from=either("validFrom"),
        valid_until=either("validUntil"),
    )


def _single(user: Mapping[str, Any], path: str) -> Iterator[CardText]:
    """An attribute that holds card numbers, or compact strings, and nothing else."""
    where = path.rpartition(":")[2]
    for value in lookup(user, path):
        word = text(value)
        if word is None:
            continue
        if ":" in word:
            yield from compact_cards(word, where)
        else:
            yield from (CardText(where, number=part.strip()) for part in word.split(";") if part.strip())


# ------------------------------------------------------------------ what they mean


def read_bits(card: CardText, formats: CardFormats) -> tuple[int, int, str]:
    """Return the raw read of a card: bits, value and a label. Raise ``CardMappingError`` if it has none."""
    raw = _RAW.fullmatch(card.format or "")
    if raw is not None:
        length = int(raw[1])
        return length, _hexadecimal(card.hexadecimal or card.number, length), f"RAW{length}"
    if card.hexadecimal is not None:
        if card.bits is None:
            raise CardMappingError("a card in hexadecimal needs cardBits, its length in bits")
        length = _number(card.bits, "cardBits")
        return length, _hexadecimal(card.hexadecimal, length), f"RAW{length}"
    if card.format is None or card.number is None:
        raise CardMappingError("expected a format and a number such as FORMAT:FACILITY:NUMBER, or RAW26:HEX")
    facility = None if card.facility is None else _number(card.facility, "facilityCode")
    issue = None if card.issue is None else _number(card.issue, "issueLevel")
    number = _number(card.number, "cardNumber")
    try:
        length, value = formats.encode(card.format, facility, number, issue)
    except layout.CardError as error:
        raise CardMappingError(str(error)) from None
    return length, value, formats[card.format].name


def _hexadecimal(digits: str | None, length: int) -> int:
    match = _HEX.fullmatch((digits or "").replace(" ", ""))
    if match is None:
        raise CardMappingError("expected up to 32 hexadecimal digits")
    if not 1 <= length <= MAX_CARD_BITS:
        raise CardMappingError(f"a card has 1 to {MAX_CARD_BITS} bits")
    value = int(match[1], 16)
    if value >> length:
        raise CardMappingError(f"the digits hold more than {length} bits")
    return value


def _number(digits: str, name: str) -> int:
    """Leading zeros mean nothing in a number; anything but decimal digits is refused."""
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 40):
        raise CardMappingError(f"{name} is not a number of decimal digits")
    return int(digits)


def _state(word: str | None) -> CredentialState:
    """An unknown status is no permission."""
    if word is None:
        return CredentialState.ACTIVE
    return _STATES.get(word.casefold(), CredentialState.SUSPENDED)


def _instant(value: str | None, name: str, zone: tzinfo, *, end: bool) -> datetime | None:
    """An instant; local time without an offset; a date alone is its first instant, or as an ``end`` its last."""
    if value is None:
        return None
    try:
        if len(value) <= 10:
            day = date.fromisoformat(value)
            moment = datetime.combine(day + timedelta(days=1) if end else day, time())
        else:
            moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise CardMappingError(f"{name} is no date or time such as 2026-12-31 or 2026-12-31T18:00:00Z") from None
