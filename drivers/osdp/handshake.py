"""Which key a reader must prove, and the proof of both sides, up to an established channel (Annex D.4).

Owns the reader's keys. From the moment when KEYSET leaves, it is not known which key the reader holds, for its
answer may be lost on the wire: so from then on the new key is tried first and then the old one, in this process
and, by the key ring, in the next. Only a reader that proves one of them ends the doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum

from drivers.osdp import messages
from drivers.osdp.messages import Reply
from drivers.osdp.secure import BLOCK, RANDOM_LENGTH, SCBK_D, Challenge, Scs, SecureChannel, SessionKeys


class KeyChange(Enum):
    """How a change of the reader's key stands."""

    NONE = "no change"
    WAITING = "waiting for the reader"
    DONE = "the reader proved its new key"
    FAILED = "the reader did not take the new key"


def _ignore(key: bytes) -> None:
    """Ignore which key was proved."""


class Handshake:
    """One reader's handshakes, each with a fresh random number from ``entropy``."""

    def __init__(
        self,
        keys: Sequence[bytes],
        entropy: Callable[[int], bytes],
        *,
        installs: bool = False,
        proved: Callable[[bytes], None] = _ignore,
    ) -> None:
        """``keys``: those that the reader may hold, the likeliest first; none: it cannot be proved.

        ``installs``: a reader that holds the default key is given the first of them, whenever it is met.
        ``proved`` is called when the reader ended a doubt about which key it holds.
        """
        self._keys = [_checked(key) for key in keys]
        self._at = 0
        self._entropy = entropy
        self._on_proof = proved
        self.installs = installs
        self._install_key = self._keys[0] if installs else None
        self._wanted: bytes | None = None
        self._sent = False
        self._held: bytes | None = None
        self._challenge: Challenge | None = None
        self._session_keys: SessionKeys | None = None
        self._proof = b""
        self.on_default_key = False
        """Whether the channel that is made, or stands, is under the default key: only to set the real one."""
        self.change = KeyChange.NONE
        self.count = 0

    # -------------------------------------------------------------- changes of key

    @property
    def has_key(self) -> bool:
        """Whether there is anything that the reader could prove."""
        return bool(self._keys) or self._install_key is not None

    def propose(self, key: bytes) -> None:
        """Change the key of a reader in service: ``keyset_due`` until ``keyset`` was framed."""
        self._wanted, self._sent, self.change = _checked(key), False, KeyChange.WAITING

    def enrol(self, key: bytes) -> None:
        """Give the reader ``key`` if it answers to the default key."""
        self._install_key, self.change = _checked(key), KeyChange.WAITING
        self._try_first(key)

    def replace(self, keys: Sequence[bytes]) -> None:
        """Other keys than before, or none."""
        self.give_up()
        self._keys, self._at, self._sent = [_checked(key) for key in keys], 0, False

    def give_up(self) -> None:
        """The change did not succeed, as far as is known: nothing more is sent for it.

        A session under the default key must end with it.
        """
        if self.change is KeyChange.WAITING:
            self.change = KeyChange.FAILED
        self._wanted = None
        self.on_default_key = False
        if not self.installs:
            self._install_key = None

    @property
    def keyset_due(self) -> bool:
        """Whether the reader in service is to get its new key."""
        return self._wanted is not None and not self._sent

    def keyset(self) -> bytes:
        """Data of the KEYSET to send now. From now on the reader may hold the new key."""
        key = self._install_key if self.on_default_key else self._wanted
        assert key is not None
        self._sent = not self.on_default_key
        self._try_first(key)
        return messages.keyset(key)

    def _try_first(self, key: bytes) -> None:
        if key in self._keys:
            self._keys.remove(key)
        self._keys.insert(0, key)
        self._at = 0

    # -------------------------------------------------------------- proof

    def challenge(self, *, default_key: bool = False) -> tuple[bytes, bytes]:
        """Data and security block of CHLNG."""
        key = SCBK_D if default_key or self.on_default_key else self._keys[self._at]
        self._challenge = Challenge(key, self._entropy(RANDOM_LENGTH))
        self._session_keys, self._proof = None, b""
        return self._challenge.panel_random, bytes([Scs.CHALLENGE]) + self._challenge.block

    def proved(self, code: int, data: bytes) -> bool:
        """Whether CCRYPT shows that the reader holds the key."""
        assert self._challenge is not None
        self.count += 1
        self._session_keys = self._challenge.proved_by(data) if code == Reply.CCRYPT else None
        if self._session_keys is None:
            return False
        reader_random = data[RANDOM_LENGTH : 2 * RANDOM_LENGTH]
        self._proof = self._session_keys.panel_cryptogram(self._challenge.panel_random, reader_random)
        return True

    def cryptogram(self) -> tuple[bytes, bytes]:
        """Data and security block of SCRYPT."""
        assert self._challenge is not None
        return self._proof, bytes([Scs.CRYPTOGRAM]) + self._challenge.block

    def established(self, code: int, data: bytes) -> SecureChannel | None:
        """The channel, if RMAC_I is the first MAC that only the same keys give (D.4.5)."""
        keys, self._session_keys = self._session_keys, None
        if keys is None or code != Reply.RMAC_I or data != keys.first_mac(self._proof):
            return None
        if not self.on_default_key:
            self._settle(self._keys[self._at])
        return SecureChannel(keys, data)

    def refused(self) -> None:
        """The reader in service said no to KEYSET: it holds the key that it has proved."""
        assert self._held is not None
        self._settle(self._held)

    def _settle(self, key: bytes) -> None:
        """The reader holds ``key``: no other key counts any more."""
        in_doubt = len(self._keys) > 1 or self._sent or self._install_key is not None
        self._held, self._keys, self._at = key, [key], 0
        wanted = self._install_key or self._wanted
        if self._sent or self._install_key is not None or key == wanted:
            if self.change is KeyChange.WAITING:
                self.change = KeyChange.DONE if key == wanted else KeyChange.FAILED
            self._wanted, self._sent = None, False
            if not self.installs:
                self._install_key = None
        if in_doubt:
            self._on_proof(key)

    def another_key(self) -> bool:
        """The key was not proved: choose the next one that may be right; whether there is one."""
        if self.on_default_key:
            self._at = 0
            self.give_up()
            return False
        if self._at + 1 < len(self._keys):
            self._at += 1
            return True
        self.on_default_key = self._install_key is not None
        self._at = 0
        return self.on_default_key


def _checked(key: bytes) -> bytes:
    if len(key) != BLOCK:
        raise ValueError(f"the secure channel base key must have {BLOCK} bytes")
    if key == SCBK_D:
        raise ValueError("the default key, which everybody knows, is no reader's own key")
    return key
