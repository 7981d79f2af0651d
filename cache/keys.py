"""The keys by which credentials are looked up: an HMAC under the site key, never the number itself."""

from __future__ import annotations

import hmac

MAX_CARD_BITS = 128
"""The longest raw read that is accepted, in bits; longer ones are read errors."""


def card_key(site_key: bytes, length: int, value: int) -> bytes:
    """The lookup key of a raw read of ``length`` bits (1..128), most significant bit first.

    HMAC-SHA-256 under the site key, cut to 16 bytes; one bit more or less is another card.
    """
    if not 1 <= length <= MAX_CARD_BITS or not 0 <= value < 1 << length:
        raise ValueError(f"a card has 1 to {MAX_CARD_BITS} bits, this read claims {length}")
    return hmac.digest(site_key, b"card\0" + bytes([length]) + value.to_bytes(16, "big"), "sha256")[:16]


def pin_key(site_key: bytes, digits: str, person_id: str = "") -> bytes:
    """The key of a PIN: a person's own beside a card, or without ``person_id`` one that identifies alone."""
    return hmac.digest(site_key, b"pin\0" + person_id.encode() + b"\0" + digits.encode(), "sha256")[:16]
