"""Which key a reader must prove, and the proof of both sides, up to an established channel (Annex D.4).

Owns the reader's keys. A change of key is uncertain until the new key is proved: the answer to KEYSET may have
been lost on the wire, so after it the new key is tried first and then the old one.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from drivers.osdp import messages
from drivers.osdp.messages import Reply
from drivers.osdp.secure import BLOCK, RANDOM_LENGTH, SCBK_D, Challenge, Scs, SecureChannel, SessionKeys


class KeyChange(Enum):
    """How a change of the reader's key stands."""

    NONE = "no change"
    WAITING = "waiting for the reader"
    DONE = "the reader proved its new key"
    FAILED = "the reader kept its old key"


class Handshake:
    """One reader's handshakes, each with a fresh random number from ``entropy``."""

    def __init__(self, key: bytes, entropy: Callable[[int], bytes], *, enrols: bool) -> None:
        """``enrols``: a reader that does not hold ``key`` yet is given it over the default key."""
        if len(key) != BLOCK:
            raise ValueError(f"the secure channel base key must have {BLOCK} bytes")
        self._key = key
        self._candidate: bytes | None = None
        self._entropy = entropy
        self._enrols = enrols
        self._challenge: Challenge | None = None
        self._keys: SessionKeys | None = None
        self._proof = b""
        self.on_default_key = False
        """Whether the channel that is made, or stands, is under the default key: only to set the real one."""
        self.change = KeyChange.NONE
        self.count = 0

    def propose(self, key: bytes) -> bytes:
        """Data of the KEYSET that brings the reader ``key`` instead of its present one."""
        if len(key) != BLOCK:
            raise ValueError(f"the secure channel base key must have {BLOCK} bytes")
        self._candidate, self.change = key, KeyChange.WAITING
        return messages.keyset(key)

    def keyset(self) -> bytes:
        """Data of the KEYSET that ends the reader's life on the default key."""
        return messages.keyset(self._key)

    def challenge(self, *, default_key: bool = False) -> tuple[bytes, bytes]:
        """Data and security block of CHLNG."""
        key = SCBK_D if default_key or self.on_default_key else self._candidate or self._key
        self._challenge = Challenge(key, self._entropy(RANDOM_LENGTH))
        self._keys, self._proof = None, b""
        return self._challenge.panel_random, bytes([Scs.CHALLENGE]) + self._challenge.block

    def proved(self, code: int, data: bytes) -> bool:
        """Whether CCRYPT shows that the reader holds the key."""
        assert self._challenge is not None
        self.count += 1
        self._keys = self._challenge.proved_by(data) if code == Reply.CCRYPT else None
        if self._keys is None:
            return False
        reader_random = data[RANDOM_LENGTH : 2 * RANDOM_LENGTH]
        self._proof = self._keys.panel_cryptogram(self._challenge.panel_random, reader_random)
        return True

    def cryptogram(self) -> tuple[bytes, bytes]:
        """Data and security block of SCRYPT."""
        assert self._challenge is not None
        return self._proof, bytes([Scs.CRYPTOGRAM]) + self._challenge.block

    def established(self, code: int, data: bytes) -> SecureChannel | None:
        """The channel, if RMAC_I is the first MAC that only the same keys give (D.4.5)."""
        keys, self._keys = self._keys, None
        if keys is None or code != Reply.RMAC_I or data != keys.first_mac(self._proof):
            return None
        if self._candidate is not None and not self.on_default_key:
            self._key, self._candidate, self.change = self._candidate, None, KeyChange.DONE
        return SecureChannel(keys, data)

    def another_key(self) -> bool:
        """The key was not proved: choose the next one that may be right; whether there is one."""
        if self._candidate is not None:
            self._candidate, self.change = None, KeyChange.FAILED
            return True
        if self._enrols and not self.on_default_key:
            self.on_default_key = True
            return True
        self.on_default_key = False
        return False
