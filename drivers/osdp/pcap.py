"""What passed on an OSDP bus, as a file that Wireshark opens (pcapng). Pure.

Each packet is one frame from SOM to the check characters, or bytes that are in no frame; its direction stands in
its flags, and what it says, as ``trace`` puts it, in its comment, so that no dissector is needed. The link type is
the one that libosdp's packet trace uses (USER15), so that libosdp's dissector for Wireshark fits.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from drivers.osdp.frame import encode
from drivers.osdp.trace import Passed, is_secret, trace, words
from drivers.recording import Recording

LINK_TYPE = 162
"""LINKTYPE_USER15."""
BLANKED = "data blanked by latchd"

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_BYTE_ORDER = 0x1A2B3C4D
_LENGTH_UNKNOWN = -1
_COMMENT, _APPLICATION, _FLAGS, _RESOLUTION = 1, 4, 2, 9
_INBOUND, _OUTBOUND = 1, 2
_MICROSECONDS = 6


def capture(recording: Recording, *, cleartext: bool = False) -> Iterator[bytes]:
    """The parts of a file of what a recording has; see ``packets``."""
    return packets((each for each in trace(recording) if isinstance(each, Passed)), cleartext=cleartext)


def packets(passed: Iterable[Passed], *, cleartext: bool = False) -> Iterator[bytes]:
    """The parts of a file. Without ``cleartext``, all that might be a card, a PIN or a key is zeros, check
    characters and MAC are those of the zeros or zero, and comments say so.

    Ciphertext is blanked too: under the default key anyone can read it.
    """
    yield _head(cleartext)
    for each in passed:
        blank = not cleartext and is_secret(each)
        yield _packet(
            each, blanked(each) if blank else each.raw, f"{words(each)}{f'; {BLANKED}' if blank else ''}"
        )


def blanked(passed: Passed) -> bytes:
    """As many bytes, without what they say; address, sequence, code and lengths of a frame stay.

    The check characters are computed again: 16 bits of CRC would be 16 bits of the card number.
    """
    frame = passed.frame
    if frame is None:
        return bytes(len(passed.raw))
    block = frame.block if len(frame.block) <= 2 else frame.block[:1] + bytes(len(frame.block) - 1)
    return encode(
        frame.address,
        frame.sequence,
        frame.code,
        bytes(len(frame.data)),
        reply=frame.reply,
        crc=frame.crc,
        block=block,
        mac=(lambda covered: bytes(len(frame.mac))) if frame.mac else None,
    )


def _head(cleartext: bool) -> bytes:
    holds = "card numbers and keys may stand in this file" if cleartext else f"secrets: {BLANKED}"
    section = struct.pack("<IHHq", _BYTE_ORDER, 1, 0, _LENGTH_UNKNOWN)
    section += _option(_COMMENT, f"OSDP; times are of the monotonic clock; {holds}".encode())
    section += _option(_APPLICATION, b"latchd") + _option(0, b"")
    interface = struct.pack("<HHI", LINK_TYPE, 0, 0)
    interface += _option(_RESOLUTION, bytes([_MICROSECONDS])) + _option(0, b"")
    return _block(_SECTION, section) + _block(_INTERFACE, interface)


def _packet(passed: Passed, raw: bytes, comment: str) -> bytes:
    at = round(passed.at * 1_000_000)
    body = struct.pack("<IIIII", 0, at >> 32 & 0xFFFFFFFF, at & 0xFFFFFFFF, len(raw), len(raw)) + _padded(raw)
    body += _option(_COMMENT, comment.encode())
    body += _option(_FLAGS, struct.pack("<I", _OUTBOUND if passed.sent else _INBOUND)) + _option(0, b"")
    return _block(_PACKET, body)


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + length + body + length


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
