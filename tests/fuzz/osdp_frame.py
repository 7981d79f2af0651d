"""OSDP framing.

The invariant: whatever bytes arrive and however they are cut, the frame reader raises nothing, keeps less than
one frame, and each frame it finds stands in those bytes whole, with check characters that another
computation confirms.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from drivers.osdp.frame import MAX_FRAME, Damage, Frame, FrameReader, encode
from tests.fuzz.engine import Harness, Odds

SOM = 0x53


def _table() -> list[int]:
    """The CRC's polynomial 0x1021, a byte at a time; made here, so that the driver's own is not asked."""
    table = []
    for byte in range(256):
        register = byte << 8
        for _ in range(8):
            register = (register << 1 ^ 0x1021 if register & 0x8000 else register << 1) & 0xFFFF
        table.append(register)
    return table


_TABLE = _table()


def crc(data: bytes) -> bytes:
    """Annex C, low byte first."""
    register = 0x1D0F
    for byte in data:
        register = (register << 8 & 0xFFFF) ^ _TABLE[register >> 8 ^ byte]
    return register.to_bytes(2, "little")


def whole_frames(data: bytes) -> Iterator[bytes]:
    """Every piece of ``data`` that is a frame by its length and its check characters."""
    start = data.find(SOM)
    while start >= 0:
        length = int.from_bytes(data[start + 2 : start + 4], "little")
        raw = data[start : start + length]
        if len(raw) == length >= 7 and _checked(raw):
            yield raw
        start = data.find(SOM, start + 1)


def _checked(raw: bytes) -> bool:
    if raw[4] & 4:
        return len(raw) >= 8 and crc(raw[:-2]) == raw[-2:]
    return sum(raw) & 0xFF == 0


class OsdpFrame(Harness):
    """The invariant at the top of this file."""

    name = "osdp-frame"
    share = 45

    def __init__(self) -> None:
        super().__init__()
        self.odds = {"CRC of 16 bits": Odds(2**-16), "checksum of 8 bits": Odds(2**-8)}

    def corpus(self) -> Sequence[bytes]:
        return [
            encode(0, 1, 0x60),
            encode(0x7F, 0, 0x6E, bytes.fromhex("0080250000")),
            encode(0, 1, 0x40, reply=True, crc=False),
            encode(3, 2, 0x50, bytes.fromhex("00001a00deadbeef"), reply=True),
            encode(3, 2, 0x76, bytes(8), block=b"\x11\x01"),
            encode(3, 2, 0x50, bytes(16), reply=True, block=b"\x18", mac=lambda message: message[:16]),
            encode(0, 1, 0x60) + encode(0, 2, 0x60) + b"\xff" + encode(0, 3, 0x60),
            encode(0, 3, 0x53, b"\x53" * 40),
            bytes([SOM, 0x80, 0xA0, 0x05, 4]) + bytes(40),
        ]

    def feed(self, data: bytes) -> int:
        whole = FrameReader()
        found = whole.feed(data)
        assert whole.pending < MAX_FRAME
        pieces = FrameReader()
        cut = len(data) // 3
        assert [*pieces.feed(data[:cut]), *pieces.feed(data[cut:])] == found
        frames = [each for each in found if not isinstance(each, Damage)]
        if frames:
            standing = [(raw[1] & 0x7F, raw[4] & 3) for raw in whole_frames(data)]
            for frame in frames:
                standing.remove((frame.address, frame.sequence))
        return 1

    def measure(self, chance: random.Random) -> int:
        """A right header, and then anything."""
        rest = chance.randbytes(chance.randint(4, 40))
        with_crc = chance.random() < 0.8
        data = bytes([SOM, 0x80, 5 + len(rest), 0, 5 if with_crc else 1]) + rest
        found = FrameReader().feed(data)
        passed = bool(found) and isinstance(found[0], Frame) and len(found[0].data) == len(rest) - 2 - with_crc
        self.odds["CRC of 16 bits" if with_crc else "checksum of 8 bits"].note(passed)
        return 1
