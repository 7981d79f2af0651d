"""OSDP frames: from bytes to frames and back, with CRC or checksum, at any fragmentation (SIA OSDP 2.2, 5.9).

    SOM  address  length(2)  control  [security block]  code  data…  [MAC(4)]  CRC(2) or checksum(1)

Owns nothing of meaning: the security block and the MAC are taken apart, not understood (``secure`` does that).
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Callable
from dataclasses import dataclass

SOM = 0x53
MARK = b"\xff"
REPLY_FLAG = 0x80
BROADCAST = 0x7F
HIGHEST_ADDRESS = 0x7E
MAX_FRAME = 1440
"""Longest frame, 5.9: no buffer here ever grows beyond it, whatever a length field says."""
MAC_LENGTH = 4
HEADER_LENGTH = 5
SHORTEST_FRAME = HEADER_LENGTH + 2

# The control byte, 5.9: sequence number, whether a CRC ends the frame, whether it has a security block.
_SEQUENCE = 0x03
CRC = 0x04
_SECURE = 0x08
_CRC_START = 0x1D0F
_FIRST_BLOCK_WITH_MAC = 0x15
"""Security blocks SCS_15 to SCS_18, D.1.3."""


class FrameError(ValueError):
    """The fields given cannot make a frame; a programming error, never the wire's fault."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as it stood on the wire. ``code`` is a command or, with ``reply``, a reply."""

    address: int
    reply: bool
    sequence: int
    code: int
    data: bytes = b""
    crc: bool = True
    block: bytes = b""
    """Security block: type, then its data; empty without one."""
    mac: bytes = b""
    signed: bytes = b""
    """What the MAC covers: from SOM to the end of the data."""

    @property
    def length(self) -> int:
        """Its bytes on the wire, without the mark before it."""
        block = len(self.block) + 1 if self.block else 0
        return HEADER_LENGTH + block + 1 + len(self.data) + len(self.mac) + (2 if self.crc else 1)

    def __repr__(self) -> str:
        """Data may be a card number, a PIN or a key: only its length is shown."""
        way = "reply" if self.reply else "command"
        return (
            f"Frame({way} {self.code:#04x}, address={self.address}, seq={self.sequence}, {len(self.data)} bytes)"
        )


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that began like a frame and were none: wrong check characters or an impossible structure."""

    why: str


def checksum(data: bytes) -> int:
    """Two's complement of the sum of all bytes, 5.9.1."""
    return -sum(data) & 0xFF


def crc16(data: bytes) -> int:
    """CRC-16 with polynomial 0x1021, started at 0x1D0F, Annex C; sent low byte first."""
    return crc_hqx(data, _CRC_START)


def encode(
    address: int,
    sequence: int,
    code: int,
    data: bytes = b"",
    *,
    reply: bool = False,
    crc: bool = True,
    block: bytes = b"",
    mac: Callable[[bytes], bytes] | None = None,
) -> bytes:
    """The bytes of a frame, without the mark before it. ``mac`` is given what it must cover, length included.

    Raises ``FrameError`` for an address beyond 0x7F, a sequence beyond 3, or more than ``MAX_FRAME`` bytes.
    """
    if not 0 <= address <= BROADCAST or not 0 <= sequence <= _SEQUENCE:
        raise FrameError(f"address {address} or sequence {sequence} out of range")
    security = bytes([len(block) + 1]) + block if block else b""
    check_length = 2 if crc else 1
    length = HEADER_LENGTH + len(security) + 1 + len(data) + (MAC_LENGTH if mac else 0) + check_length
    if length > MAX_FRAME:
        raise FrameError(f"a frame of {length} bytes is longer than {MAX_FRAME}")
    control = sequence | (CRC if crc else 0) | (_SECURE if block else 0)
    head = bytes([SOM, address | (REPLY_FLAG if reply else 0), length & 0xFF, length >> 8, control])
    body = head + security + bytes([code]) + data
    if mac is not None:
        body += mac(body)[:MAC_LENGTH]
    return body + (crc16(body).to_bytes(2, "little") if crc else bytes([checksum(body)]))


def decode(raw: bytes) -> Frame | Damage:
    """Return the frame that is exactly ``raw``, whose length field agrees with its length."""
    control = raw[4]
    crc = bool(control & CRC)
    end = len(raw) - (2 if crc else 1)
    right = int.from_bytes(raw[end:], "little") == crc16(raw[:end]) if crc else raw[end] == checksum(raw[:end])
    if not right:
        return Damage("check characters do not fit")
    start, block = HEADER_LENGTH, b""
    if control & _SECURE:
        if raw[HEADER_LENGTH] < 2 or HEADER_LENGTH + raw[HEADER_LENGTH] >= end:
            return Damage("security block of impossible length")
        start += raw[HEADER_LENGTH]
        block = raw[HEADER_LENGTH + 1 : start]
    mac, signed = b"", b""
    if block and block[0] >= _FIRST_BLOCK_WITH_MAC:
        if end - start < 1 + MAC_LENGTH:
            return Damage("no room for a MAC")
        end -= MAC_LENGTH
        mac, signed = raw[end : end + MAC_LENGTH], raw[:end]
    return Frame(
        address=raw[1] & BROADCAST,
        reply=bool(raw[1] & REPLY_FLAG),
        sequence=control & _SEQUENCE,
        code=raw[start],
        data=raw[start + 1 : end],
        crc=crc,
        block=block,
        mac=mac,
        signed=signed,
    )


class FrameReader:
    """Finds frames in a stream of bytes. After damage it looks for the next start inside the damaged bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.skipped = 0
        """Bytes since the last ``clear`` or frame that belong to no frame, marks not counted."""

    @property
    def pending(self) -> int:
        """Bytes of a frame that has begun and not ended."""
        return len(self._buffer)

    def clear(self) -> None:
        """Forget what has begun, before a new command or after a silence in mid-frame (5.7)."""
        self._buffer.clear()
        self.skipped = 0

    def feed(self, data: bytes) -> list[Frame | Damage]:
        """What is complete now, in order. Keeps at most ``MAX_FRAME`` bytes besides one ``data``."""
        buffer = self._buffer
        buffer += data
        found: list[Frame | Damage] = []
        while self._seek():
            if len(buffer) < HEADER_LENGTH:
                break
            length = int.from_bytes(buffer[2:4], "little")
            shortest = SHORTEST_FRAME + bool(buffer[4] & CRC)
            if length < shortest or length > MAX_FRAME:
                self._skip(1)
                continue
            if len(buffer) < length:
                break
            frame = decode(bytes(buffer[:length]))
            found.append(frame)
            if isinstance(frame, Damage):
                self._skip(1)
            else:
                del buffer[:length]
                self.skipped = 0
        return found

    def _seek(self) -> bool:
        """Drop everything before the next SOM; whether there is one."""
        start = self._buffer.find(SOM)
        if start < 0:
            start = len(self._buffer)
        self._skip(start)
        return bool(self._buffer)

    def _skip(self, count: int) -> None:
        self.skipped += count - self._buffer.count(MARK, 0, count)
        del self._buffer[:count]
