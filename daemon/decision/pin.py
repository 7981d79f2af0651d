"""PINs compared by their keys, with the duress form. Pure: the lookup is a callable that is handed in.

The duress PIN is the PIN with its last digit one higher, 9 becoming 0 (``last_digit_plus_one``). A PIN that is
a person's ordinary one is never read as another's duress PIN.
"""

from __future__ import annotations

from collections.abc import Callable

from cache.keys import pin_key
from cache.model import Credential, CredentialKind, Found
from daemon.decision.request import PinEntry, PinResult

Find = Callable[[bytes], Found]
"""From a credential's key to who holds it, as ``cache.directory.lookup.Lookup.find`` answers."""


def compare_pin(find: Find, site_key: bytes, digits: str, card: Found, *, duress: bool) -> PinEntry:
    """Compare the digits typed after a card with the PINs of the people who hold the card."""
    people = sorted((holder.person for holder in card.holders), key=lambda person: not person.active)
    for result, typed in _readings(digits, duress):
        for person in people:
            found = find(pin_key(site_key, typed, person.id))
            credential = _pin_of(found, person.id)
            if credential is not None:
                return PinEntry(result, credential)
    return PinEntry(PinResult.WRONG)


def find_pin(find: Find, site_key: bytes, digits: str, *, duress: bool) -> tuple[Found, PinEntry]:
    """Look up the digits typed without a card among the PINs that identify alone."""
    answers = []
    for result, typed in _readings(digits, duress):
        found = find(pin_key(site_key, typed))
        answers.append(found)
        if any(holder.credential.kind is CredentialKind.PIN for holder in found.holders):
            return found, PinEntry(result)
    return answers[0], PinEntry(PinResult.WRONG)


def _readings(digits: str, duress: bool) -> list[tuple[PinResult, str]]:
    """What the digits may be: the PIN itself, or the duress form of another."""
    readings = [(PinResult.RIGHT, digits)]
    if duress and digits:
        readings.append((PinResult.DURESS, f"{digits[:-1]}{(int(digits[-1]) - 1) % 10}"))
    return readings


def _pin_of(found: Found, person_id: str) -> Credential | None:
    for holder in found.holders:
        if holder.person.id == person_id and holder.credential.kind is CredentialKind.PIN:
            return holder.credential
    return None
