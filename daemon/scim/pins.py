"""PINs from side files: a directory never sees one in the clear. Pure.

A row of a side file may have ``pin``. It becomes the key of this person's PIN (``cache.keys.pin_key``), and with
``pin_alone`` also the key of a PIN that identifies without a card. No message holds a digit of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cache.keys import pin_key
from cache.model import Credential, CredentialKind
from daemon.scim.resource import get, text

LABEL = "PIN"

SHORTEST = 4
"""Digits. A PIN that is shorter than ``[pin] length`` is ended by ``#``."""


class PinError(ValueError):
    """A PIN cannot be used; the message says why, without a digit of it."""


def read_pins(
    rows: Iterable[Mapping[str, Any]], person_id: str, site_key: bytes, length: int, *, alone: bool
) -> tuple[Credential, ...]:
    """The PIN of one person, who may have several rows but one PIN. ``PinError``: it cannot be used."""
    rows = tuple(rows)
    pins = {pin for row in rows if (pin := text(get(row, "pin"))) is not None}
    if not pins:
        return ()
    if len(pins) > 1:
        raise PinError("one person has one PIN, here are several: none is used")
    digits = pins.pop()
    if not (digits.isascii() and digits.isdigit()):
        raise PinError("a PIN is digits only")
    if len(digits) < length and any(isinstance(get(row, "pin"), int) for row in rows):
        raise PinError("a number has lost the zeros that it began with: write the PIN as text, in quotes")
    if not SHORTEST <= len(digits) <= length:
        raise PinError(f"the PIN has {len(digits)} digits, expected {SHORTEST} to {length} ([pin] length)")
    keys = [pin_key(site_key, digits, person_id), *([pin_key(site_key, digits)] if alone else [])]
    return tuple(Credential(key, person_id, CredentialKind.PIN, label=LABEL) for key in keys)
