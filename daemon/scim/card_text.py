"""Where cards are worded: latchd's own attributes, compact strings, and single attributes of any vendor. Pure.

Nothing is believed here: a ``CardText`` is what the directory says, ``daemon.scim.card_bits`` says what it means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from daemon.scim.path import values_at, word
from daemon.scim.resource import get, lookup
from daemon.scim.settings import ENTERPRISE_URN, CredentialRule
from drivers.cards.formats import CardFormats

SUFFIXES = ("", "2", "3", "4")

RAW = re.compile(r"RAW(\d{1,3})", re.IGNORECASE)
_PAIR = re.compile(r"(\d+)\s*[-/:]\s*(\d+)")
_LIST = re.compile(r"[;,]")


@dataclass(frozen=True, slots=True)
class CardText:
    """A card as the directory words it. ``where`` names its place for people; ``fault`` is why it is none.

    ``base`` and ``reverse`` say how digits are read (``None``: as the format does).
    """

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
    base: int | None = None
    reverse: bool = False
    fault: str | None = None


# ------------------------------------------------------------------ latchd's own attributes


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
    entries = (compact if isinstance(compact, str) else word(compact) or "").split(";")
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
    """One of ``cardNumber``, ``cardNumber2`` …; format, facility code and bits without a suffix count for all."""

    def own(name: str) -> str | None:
        return word(get(attributes, name + suffix))

    number, hexadecimal = own("cardNumber"), own("cardNumberHex")
    if number is None and hexadecimal is None and _is_said(get(attributes, "cardNumber" + suffix)):
        number = "?"  # there is something, and it is not a number: it is reported, not passed over
    if number is None and hexadecimal is None:
        return None
    if number is not None and ":" in number:
        compact = next(compact_cards(number, f"{place}cardNumber{suffix}"))
        return replace(
            compact, status=own("cardStatus"), valid_from=own("validFrom"), valid_until=own("validUntil")
        )
    return CardText(
        where=f"{place}cardNumber{suffix}" if number is not None else f"{place}cardNumberHex{suffix}",
        format=own("cardFormat") or word(get(attributes, "cardFormat")),
        facility=own("facilityCode") or word(get(attributes, "facilityCode")),
        number=number,
        hexadecimal=hexadecimal,
        bits=own("cardBits") or word(get(attributes, "cardBits")),
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
        return next((value for value in (word(get(entry, name)) for name in names) if value is not None), None)

    return CardText(
        where=where,
        format=either("format", "cardFormat", "type"),
        facility=either("facilityCode"),
        number=either("number", "cardNumber", "value"),
        hexadecimal=either("numberHex", "cardNumberHex"),
        bits=either("bits", "cardBits"),
        issue=either("issueLevel"),
        status=either("status", "cardStatus"),
        valid_from=either("validFrom"),
        valid_until=either("validUntil"),
    )


# ------------------------------------------------------------------ one attribute of any vendor


def single_cards(user: Mapping[str, Any], rule: CredentialRule, formats: CardFormats) -> Iterator[CardText]:
    """Cards of an attribute that holds numbers or compact strings, as ``rule`` says that they are to be read."""
    path = rule.path or f"{ENTERPRISE_URN}:{(rule.preset or '').partition('.')[2]}"
    where = path.rpartition(":")[2]
    values = values_at(user, path)
    facilities = _beside(user, rule.facility_attribute, len(values))
    states = _beside(user, rule.status_attribute, len(values))
    for value, facility, status in zip(values, facilities, states, strict=True):
        said = word(value)
        if said is None:
            if _is_said(value):
                yield CardText(where, fault=f"expected text or a whole number, found {_kind(value)}")
            continue
        for card in _worded(_stripped(said, rule.strip), where, rule, formats):
            yield replace(
                card,
                facility=card.facility or facility,
                status=card.status or status,
                base=rule.base,
                reverse=rule.byte_order == "reversed",
            )


def _worded(said: str, where: str, rule: CredentialRule, formats: CardFormats) -> Iterator[CardText]:
    if rule.pattern is not None:
        yield _by_pattern(said, where, rule.pattern)
        return
    head = said.partition(":")[0].strip()
    if ":" in said and (formats.find(head) is not None or RAW.fullmatch(head) or head.casefold() == "bits"):
        yield from compact_cards(said, where)
    elif rule.format is not None and RAW.fullmatch(rule.format):
        yield from (CardText(where, number=part.strip()) for part in said.split(";") if part.strip())
    elif ":" in said and rule.format is None:
        yield from compact_cards(said, where)
    else:
        yield from _numbers(said, where, has_facility=rule.has_facility)


def _numbers(said: str, where: str, *, has_facility: bool) -> Iterator[CardText]:
    """``45678``, ``45678;45679``, ``123-45678``; a comma parts cards only where the facility code is known."""
    for part in (one.strip() for one in (_LIST if has_facility else re.compile(";")).split(said)):
        pair = None if has_facility else _PAIR.fullmatch(part)
        if pair is not None:
            yield CardText(where, facility=pair[1], number=pair[2])
        elif "," in part:
            yield CardText(where, fault="a comma may part two cards, or facility code and number: set pattern")
        elif part:
            yield CardText(where, number=part)


def _by_pattern(said: str, where: str, pattern: str) -> CardText:
    found = re.fullmatch(pattern, said)
    if found is None:
        return CardText(where, fault="the value does not match the pattern of its rule")
    groups = {name: value.strip() or None for name, value in found.groupdict().items() if value is not None}
    return CardText(
        where,
        format=groups.get("format"),
        facility=groups.get("facility"),
        number=groups.get("number"),
        hexadecimal=groups.get("hex"),
        issue=groups.get("issue"),
        status=groups.get("status"),
    )


def _stripped(said: str, prefix: str | None) -> str:
    if prefix and said.casefold().startswith(prefix.casefold()):
        return said[len(prefix) :].strip()
    return said


def _beside(user: Mapping[str, Any], path: str | None, count: int) -> list[str | None]:
    """What another attribute says of each value: one for each where there are as many, else the first for all."""
    words = [word(value) for value in values_at(user, path)] if path is not None else []
    if len(words) == count:
        return words
    return [words[0] if words else None] * count


def _kind(value: object) -> str:
    names = {bool: "true or false", float: "a number with a fraction", dict: "an object", list: "a list"}
    return names.get(type(value), "something else")
