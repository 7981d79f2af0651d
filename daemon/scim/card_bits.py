"""What the words of a card mean: the bits of its raw read, its state and its validity. Pure.

Nothing here puts a card number into a message.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from cache.keys import MAX_CARD_BITS
from cache.model import CredentialState
from daemon.scim.card_text import RAW, CardText
from drivers.cards import layout
from drivers.cards.formats import CardFormats

_HEX = re.compile(r"(?:0x)?([0-9A-Fa-f]{1,32})")
_SEPARATORS = str.maketrans("", "", " :-.")
"""Between the bytes of a serial number: ``04:A2:3B:1C``."""

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


def read_bits(card: CardText, formats: CardFormats) -> tuple[int, int, str]:
    """Return the raw read of a card: bits, value and a label. Raise ``CardMappingError`` if it has none."""
    if card.fault is not None:
        raise CardMappingError(card.fault)
    raw = RAW.fullmatch(card.format or "")
    if raw is not None:
        length = int(raw[1])
        return length, _raw(card.hexadecimal or card.number, length, card), f"RAW{length}"
    if card.hexadecimal is not None:
        if card.bits is None:
            raise CardMappingError("a card in hexadecimal needs cardBits, its length in bits")
        length = _number(card.bits, "cardBits")
        return length, _raw(card.hexadecimal, length, card), f"RAW{length}"
    if card.format is None or card.number is None:
        raise CardMappingError("expected a format and a number such as FORMAT:FACILITY:NUMBER, or RAW26:HEX")
    facility = None if card.facility is None else _number(card.facility, "facilityCode")
    issue = None if card.issue is None else _number(card.issue, "issueLevel")
    number = _hex_number(card) if card.base == 16 else _number(card.number, "cardNumber")
    try:
        found = formats.get_format(card.format)
        value = found.encode(facility, number, issue)
    except layout.CardError as error:
        raise CardMappingError(str(error)) from None
    return found.length, value, found.name


def is_undecided(card: CardText) -> bool:
    """Whether raw digits of a rule without ``base`` could be decimal as well as hexadecimal."""
    digits = (card.number or "").translate(_SEPARATORS)
    return card.base is None and digits.isascii() and digits.isdigit()


def state_of(word: str | None) -> CredentialState:
    """Return the state that a status means; an unknown one is no permission."""
    if word is None:
        return CredentialState.ACTIVE
    return _STATES.get(word.casefold(), CredentialState.SUSPENDED)


def instant_of(value: str | None, name: str, zone: tzinfo, *, end: bool) -> datetime | None:
    """Return an instant: local without an offset, and for a date its first instant, or its last as an ``end``.

    Raise ``CardMappingError`` if it is neither a date nor a time.
    """
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
        raise CardMappingError(
            f"{name} is not a date or time such as 2026-12-31 or 2026-12-31T18:00:00Z"
        ) from None


def _raw(digits: str | None, length: int, card: CardText) -> int:
    if not 1 <= length <= MAX_CARD_BITS:
        raise CardMappingError(f"a card has 1 to {MAX_CARD_BITS} bits")
    plain = (digits or "").translate(_SEPARATORS)
    if card.base == 10:
        value = _number(plain, "the raw read")
    else:
        match = _HEX.fullmatch(plain)
        if match is None:
            raise CardMappingError("expected up to 32 hexadecimal digits")
        value = int(match[1], 16)
    if value >> length:
        raise CardMappingError(f"the digits hold more than {length} bits")
    if not card.reverse:
        return value
    if length % 8:
        raise CardMappingError(f"byte_order needs whole bytes, and {length} bits are none")
    return int.from_bytes(value.to_bytes(length // 8, "big"), "little")


def _hex_number(card: CardText) -> int:
    match = _HEX.fullmatch((card.number or "").translate(_SEPARATORS))
    if match is None:
        raise CardMappingError("expected up to 32 hexadecimal digits")
    digits = match[1]
    if not card.reverse:
        return int(digits, 16)
    return int.from_bytes(bytes.fromhex(digits.zfill(len(digits) + len(digits) % 2)), "little")


def _number(digits: str, name: str) -> int:
    """Leading zeros mean nothing in a number; anything but decimal digits is refused."""
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 40):
        raise CardMappingError(f"{name} is not a number of decimal digits")
    return int(digits)
