"""The OSDP secure channel: keys, cryptograms, the chain of MACs, encrypted data (SIA OSDP 2.2, Annex D).

Both ends are here, because they differ only in which MAC starts the next one; the reader's end is for tests.
Knows nothing of time, retries or meaning. Random numbers are given, never made here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from hmac import compare_digest

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from drivers.osdp.frame import MAC_LENGTH, Frame, encode

BLOCK = 16
RANDOM_LENGTH = 8
SCBK_D = bytes(range(0x30, 0x40))
"""The default key that every reader leaves the factory with, D.3.1: public, so only good for enrolment."""
_PAD = 0x80


class Scs(IntEnum):
    """Security block types, D.1.3: odd ones go to the reader, even ones come back."""

    CHALLENGE = 0x11
    CHALLENGE_REPLY = 0x12
    CRYPTOGRAM = 0x13
    CRYPTOGRAM_REPLY = 0x14
    COMMAND = 0x15
    REPLY = 0x16
    COMMAND_ENCRYPTED = 0x17
    REPLY_ENCRYPTED = 0x18


class SecureError(Exception):
    """A frame that the secure channel does not let pass; the chain is as it was before."""


def _xor(left: bytes, right: bytes) -> bytes:
    return (int.from_bytes(left) ^ int.from_bytes(right)).to_bytes(BLOCK)


def _invert(block: bytes) -> bytes:
    return bytes(byte ^ 0xFF for byte in block)


class _Aes:
    """AES-128 on single blocks. The context is made once: making it costs more than using it."""

    __slots__ = ("_decryptor", "_encryptor")

    def __init__(self, key: bytes) -> None:
        # Annex D builds its chaining by hand out of single blocks, so the mode of the library is plain ECB.
        cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305
        self._encryptor = cipher.encryptor()
        self._decryptor = cipher.decryptor()

    def encrypt(self, block: bytes) -> bytes:
        return self._encryptor.update(block)

    def decrypt(self, block: bytes) -> bytes:
        return self._decryptor.update(block)


class SessionKeys:
    """The three keys of one session, D.4.1, from the base key and the panel's random number."""

    __slots__ = ("enc", "mac1", "mac2")

    def __init__(self, base_key: bytes, panel_random: bytes) -> None:
        if len(base_key) != BLOCK or len(panel_random) != RANDOM_LENGTH:
            raise ValueError("the base key has 16 bytes and the random number 8")
        base = _Aes(base_key)
        self.enc, self.mac1, self.mac2 = (
            _Aes(base.encrypt((head + panel_random[:6]).ljust(BLOCK, b"\0")))
            for head in (b"\x01\x82", b"\x01\x01", b"\x01\x02")
        )

    def reader_cryptogram(self, panel_random: bytes, reader_random: bytes) -> bytes:
        """What proves the reader to the panel, D.4.3."""
        return self.enc.encrypt(panel_random + reader_random)

    def panel_cryptogram(self, panel_random: bytes, reader_random: bytes) -> bytes:
        """What proves the panel to the reader, D.4.4."""
        return self.enc.encrypt(reader_random + panel_random)

    def first_mac(self, panel_cryptogram: bytes) -> bytes:
        """The R-MAC that a session starts with, D.4.5."""
        return self.mac2.encrypt(self.mac1.encrypt(panel_cryptogram))


@dataclass(frozen=True, slots=True)
class Challenge:
    """The panel's side of a handshake that has begun: who is to be proved, and with which random number."""

    base_key: bytes
    panel_random: bytes

    def __repr__(self) -> str:
        return "Challenge()"

    @property
    def block(self) -> bytes:
        """Data of the security blocks of a handshake: 0 names the default key, 1 the reader's own (D.1.3)."""
        return bytes([0 if self.base_key == SCBK_D else 1])

    def proved_by(self, answer: bytes) -> SessionKeys | None:
        """The session's keys if CCRYPT's data (identifier, random, cryptogram) shows the same base key."""
        if len(answer) != RANDOM_LENGTH * 2 + BLOCK:
            return None
        keys = SessionKeys(self.base_key, self.panel_random)
        expected = keys.reader_cryptogram(self.panel_random, answer[RANDOM_LENGTH : 2 * RANDOM_LENGTH])
        return keys if compare_digest(expected, answer[2 * RANDOM_LENGTH :]) else None


class SecureChannel:
    """An established session: seals what goes out, opens what comes in.

    Each MAC is started by the last MAC of the other direction, and so is, inverted, the encryption (D.5):
    nothing can be left out, repeated or moved. A frame that is refused leaves the chain where it was.
    """

    def __init__(self, keys: SessionKeys, first_mac: bytes) -> None:
        self._keys = keys
        self._reply_mac = first_mac
        self._command_mac = bytes(BLOCK)

    def _mac(self, start: bytes, message: bytes) -> bytes:
        """D.5.1: all blocks but the last under S-MAC1, the last under S-MAC2."""
        if len(message) % BLOCK:
            message = _padded(message)
        chain = start
        for at in range(0, len(message) - BLOCK, BLOCK):
            chain = self._keys.mac1.encrypt(_xor(chain, message[at : at + BLOCK]))
        return self._keys.mac2.encrypt(_xor(chain, message[-BLOCK:]))

    def _encrypt(self, start: bytes, data: bytes) -> bytes:
        chain, out = _invert(start), b""
        data = _padded(data)
        for at in range(0, len(data), BLOCK):
            chain = self._keys.enc.encrypt(_xor(chain, data[at : at + BLOCK]))
            out += chain
        return out

    def _decrypt(self, start: bytes, data: bytes) -> bytes:
        if len(data) % BLOCK:
            raise SecureError("encrypted data is not whole blocks")
        chain, out = _invert(start), b""
        for at in range(0, len(data), BLOCK):
            block = data[at : at + BLOCK]
            out += _xor(chain, self._keys.enc.decrypt(block))
            chain = block
        plain = out.rstrip(b"\0")
        if data and (not plain or plain[-1] != _PAD):
            raise SecureError("encrypted data has no end mark")
        return plain[:-1]

    def seal(
        self, address: int, sequence: int, code: int, data: bytes = b"", *, reply: bool = False, crc: bool = True
    ) -> bytes:
        """A frame with MAC, its data encrypted if there are any. Moves the chain on."""
        start = self._command_mac if reply else self._reply_mac
        kind = Scs.COMMAND_ENCRYPTED if data else Scs.COMMAND
        mac = b""

        def sign(message: bytes) -> bytes:
            nonlocal mac
            mac = self._mac(start, message)
            return mac

        body = self._encrypt(start, data) if data else b""
        block = bytes([kind + reply])
        frame = encode(address, sequence, code, body, reply=reply, crc=crc, block=block, mac=sign)
        if reply:
            self._reply_mac = mac
        else:
            self._command_mac = mac
        return frame

    def open(self, frame: Frame) -> bytes:
        """The data of a frame in clear. Raises ``SecureError`` if its MAC or encryption is not of this session."""
        kinds = (Scs.REPLY, Scs.REPLY_ENCRYPTED) if frame.reply else (Scs.COMMAND, Scs.COMMAND_ENCRYPTED)
        if not frame.block or frame.block[0] not in kinds:
            raise SecureError("a frame without a MAC")
        start = self._command_mac if frame.reply else self._reply_mac
        mac = self._mac(start, frame.signed)
        if not compare_digest(mac[:MAC_LENGTH], frame.mac):
            raise SecureError("the MAC does not fit")
        plain = self._decrypt(start, frame.data) if frame.block[0] == kinds[1] else frame.data
        if frame.reply:
            self._reply_mac = mac
        else:
            self._command_mac = mac
        return plain


def _padded(data: bytes) -> bytes:
    """``data`` with the end mark and zeros to whole blocks, D.5.2."""
    length = (len(data) // BLOCK + 1) * BLOCK
    return (data + bytes([_PAD])).ljust(length, b"\0")
