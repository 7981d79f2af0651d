"""The keys by which credentials are looked up: an HMAC under the site key, never the number itself."""

from __future__ import annotations

import hmac
from functools import lru_cache

MAX_CARD_BITS = 128
"""The longest raw read that is accepted, in bits; longer ones are read errors."""


def card_key(site_key: bytes, length: int, value: int) -> bytes:
    """The lookup key of a raw read of ``length`` bits (1..128), most significant bit first.

    HMAC-SHA-256 under the site key, cut to 16 bytes; one bit more or less is another card.
    """
    if not 1 <= length <= MAX_CARD_BITS or not 0 <= value < 1 << length:
        raise ValueError(f"a card has 1 to {MAX_CARD_BITS} bits, this read claims {length}")
    return _hmac(site_key, b"card\0" + bytes([length]) + value.to_bytes(16, "big"))[:16]


def pin_key(site_key: bytes, digits: str, person_id: str = "") -> bytes:
    """The key of a PIN: a person's own with a card, or without ``person_id`` one that identifies alone."""
    return _hmac(site_key, b"pin\0" + person_id.encode() + b"\0" + digits.encode())[:16]


def key_mark(site_key: bytes) -> bytes:
    """What a cache says of the site key it was made with: an HMAC of a constant."""
    return _hmac(site_key, b"mark\0latchd cache")[:16]


def _hmac(site_key: bytes, message: bytes) -> bytes:
    mac = _keyed(site_key).copy()
    mac.update(message)
    return mac.digest()


@lru_cache(maxsize=4)
def _keyed(site_key: bytes) -> hmac.HMAC:
    """Return the HMAC with the key taken in and nothing else: half of the work, done once for each key."""
    return hmac.new(site_key, digestmod="sha256")
