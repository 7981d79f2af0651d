"""What OSDP commands and replies say: their codes and the layout of their data (SIA OSDP 2.2, 6 and 7)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from drivers.events import Colour


class Cmd(IntEnum):
    """Commands, table 6."""

    POLL = 0x60
    ID = 0x61
    CAP = 0x62
    LSTAT = 0x64
    ISTAT = 0x65
    OSTAT = 0x66
    RSTAT = 0x67
    OUT = 0x68
    LED = 0x69
    BUZ = 0x6A
    TEXT = 0x6B
    COMSET = 0x6E
    KEYSET = 0x75
    CHLNG = 0x76
    SCRYPT = 0x77


class Reply(IntEnum):
    """Replies, table 30."""

    ACK = 0x40
    NAK = 0x41
    PDID = 0x45
    PDCAP = 0x46
    LSTATR = 0x48
    ISTATR = 0x49
    OSTATR = 0x4A
    RSTATR = 0x4B
    RAW = 0x50
    FMT = 0x51
    KEYPAD = 0x53
    COM = 0x54
    CCRYPT = 0x76
    RMAC_I = 0x78
    BUSY = 0x79


class NakCode(IntEnum):
    """Why a reader refuses, 7.2."""

    CHECK = 1
    LENGTH = 2
    UNKNOWN_COMMAND = 3
    SEQUENCE = 4
    NO_SECURE_CHANNEL = 5
    SECURITY_NOT_MET = 6
    BIO_TYPE = 7
    BIO_FORMAT = 8
    RECORD = 9


class Capability(IntEnum):
    """Function codes of PDCAP that latchd looks at, Annex B."""

    CONTACTS = 1
    OUTPUTS = 2
    LEDS = 4
    BUZZER = 5
    TEXT = 6
    SECURITY = 9


class OutputControl(IntEnum):
    """What OUT does to an output, table 10."""

    OFF = 1
    ON = 2
    PULSE_ON = 5


class MessageError(ValueError):
    """A reply whose data do not have the layout of its code."""


# ------------------------------------------------------------------ commands

STANDARD_REPORT = b"\x00"
"""Data of ID and CAP: the standard report is wanted, 6.2 and 6.3."""

TICK = 0.1
"""Seconds of one count in OUT, LED and BUZ."""

# Colours and times of LED, 6.9; a text has a row of 32 characters where the capability says no more, 6.11 and B.
_COLOURS = {Colour.OFF: 0, Colour.RED: 1, Colour.GREEN: 2, Colour.AMBER: 3, Colour.BLUE: 4}
_BLINK_TICKS = 3
_STEADY_TICKS = 10
_MAX_BYTE = 255
MAX_TICKS = 65535
TEXT_LENGTH = 32


def _ticks(seconds: float, most: int) -> int:
    return max(1, min(most, round(seconds / TICK)))


def output(number: int, control: OutputControl, seconds: float = 0.0) -> bytes:
    """Data of OUT, 6.8. A pulse lasts 0.1 to 6553.5 s, and starts again if it runs already."""
    ticks = _ticks(seconds, MAX_TICKS) if control is OutputControl.PULSE_ON else 0
    return bytes([number, control]) + ticks.to_bytes(2, "little")


def led(colour: Colour, seconds: float | None, *, blink: bool, reader: int = 0) -> bytes:
    """Data of LED for its first LED, 6.9: for ``seconds``, or for good when ``None``.

    A steady colour has the same colour in both halves; both times zero would be refused.
    """
    on = _COLOURS[colour]
    off = 0 if blink else on
    on_ticks, off_ticks = (_BLINK_TICKS, _BLINK_TICKS) if blink else (_STEADY_TICKS, 0)
    flash = bytes([on_ticks, off_ticks, on, off])
    nothing = bytes(4)
    if seconds is None:
        return bytes([reader, 0, 0]) + nothing + bytes(2) + b"\x01" + flash
    timer = _ticks(seconds, MAX_TICKS).to_bytes(2, "little")
    return bytes([reader, 0, 2]) + flash + timer + b"\x00" + nothing


def buzz(count: int, seconds: float, *, reader: int = 0) -> bytes:
    """Data of BUZ with the default tone, 6.10: ``count`` times on and off for ``seconds`` each."""
    ticks = _ticks(seconds, _MAX_BYTE)
    return bytes([reader, 2, ticks, ticks, max(1, min(_MAX_BYTE, count))])


def text(message: str, seconds: float | None = None, *, reader: int = 0) -> bytes:
    """Data of TEXT, 6.11: up to 32 ASCII characters in the first row, for whole seconds or for good."""
    shown = message.encode("ascii", "replace")[:TEXT_LENGTH]
    mode, time = (1, 0) if seconds is None else (3, max(1, min(_MAX_BYTE, round(seconds))))
    return bytes([reader, mode, time, 1, 1, len(shown)]) + shown


def keyset(key: bytes) -> bytes:
    """Data of KEYSET, 6.15: a new base key. Only ever sent inside a secure channel."""
    return bytes([1, len(key)]) + key


def comset(address: int, baudrate: int) -> bytes:
    """Data of COMSET, 6.13: address and speed that the reader takes on after its answer."""
    return bytes([address]) + baudrate.to_bytes(4, "little")


# ------------------------------------------------------------------ replies


@dataclass(frozen=True, slots=True)
class Identity:
    """PDID, 7.4: who the reader says it is. ``firmware`` may change in service, the rest names the device."""

    vendor: str
    model: int
    version: int
    serial: int
    firmware: str

    def __str__(self) -> str:
        return (
            f"vendor {self.vendor} model {self.model}.{self.version} serial {self.serial:08X} "
            f"firmware {self.firmware}"
        )

    @property
    def device(self) -> tuple[str, int, int]:
        """What stays the same for as long as it is the same device."""
        return self.vendor, self.model, self.serial

    @property
    def unique(self) -> str:
        """The same in words."""
        return f"vendor {self.vendor} model {self.model} serial {self.serial:08X}"


@dataclass(frozen=True, slots=True)
class Card:
    """RAW, 7.11: a card's bits, most significant first."""

    reader: int
    length: int
    value: int

    def __repr__(self) -> str:
        return f"Card(reader={self.reader}, length={self.length})"


MAX_RAW_BITS = 512
"""Longest card accepted: above every format in use, below anything that could burden the lookup."""

# ASCII but for the two that have no number, 7.13.
_KEYS = {0x7F: "*", 0x0D: "#"} | {ord(key): key for key in "0123456789*#"}
_IDENTITY_LENGTH = 12


def parse_identity(data: bytes) -> Identity:
    """PDID's 12 bytes: vendor (3), model, version, serial (4, low first), firmware (3).

    The vendor is an IEEE OUI, its first octet first, as on a label and as libosdp-conformance and OSDP.Net send
    it; libosdp shows the same three bytes as a number with the low byte first, so turned round.
    """
    if len(data) != _IDENTITY_LENGTH:
        raise MessageError(f"PDID has {len(data)} bytes, expected {_IDENTITY_LENGTH}")
    return Identity(
        vendor=data[:3].hex().upper(),
        model=data[3],
        version=data[4],
        serial=int.from_bytes(data[5:9], "little"),
        firmware=".".join(str(part) for part in data[9:12]),
    )


def identity(code: int, data: bytes) -> Identity | None:
    """What a reply says of who the reader is; ``None`` when it is no well-formed PDID."""
    try:
        return parse_identity(data) if code == Reply.PDID else None
    except MessageError:
        return None


def parse_capabilities(data: bytes) -> dict[int, tuple[int, int]]:
    """PDCAP, 7.5: function code to (compliance level, number of items)."""
    if len(data) % 3:
        raise MessageError(f"PDCAP has {len(data)} bytes, expected a multiple of 3")
    return {data[at]: (data[at + 1], data[at + 2]) for at in range(0, len(data), 3)}


class CardBits(StrEnum):
    """How a reader puts the bits of a card: most significant first and left-justified, as it must (7.11), or
    not."""

    STANDARD = "standard"
    RIGHT = "right-justified"
    REVERSED = "reversed"
    BYTES_REVERSED = "bytes-reversed"


def parse_card(data: bytes, order: CardBits = CardBits.STANDARD) -> Card:
    """RAW: reader, format, number of bits (2, low first), then the bits in their ``order``."""
    if len(data) < 4:
        raise MessageError(f"RAW has {len(data)} bytes, expected at least 4")
    length = int.from_bytes(data[2:4], "little")
    bits = data[4:]
    if not 1 <= length <= MAX_RAW_BITS or len(bits) != (length + 7) // 8:
        raise MessageError(f"RAW announces {length} bits and brings {len(bits)} bytes")
    if order is CardBits.BYTES_REVERSED:
        bits = bits[::-1]
    value = int.from_bytes(bits, "big")
    value = value & ((1 << length) - 1) if order is CardBits.RIGHT else value >> (-length % 8)
    if order is CardBits.REVERSED:
        value = int(f"{value:0{length}b}"[::-1], 2)
    return Card(reader=data[0], length=length, value=value)


def parse_keys(data: bytes) -> tuple[int, str]:
    """KEYPAD, 7.13: reader and keys; ``*`` comes as 0x7F, ``#`` as 0x0D. Raises for any other character."""
    if len(data) < 2 or len(data) != 2 + data[1]:
        raise MessageError("KEYPAD's count does not agree with its length")
    try:
        return data[0], "".join(_KEYS[key] for key in data[2:])
    except KeyError:
        raise MessageError("KEYPAD brings a character that is no key") from None


def parse_local_status(data: bytes) -> tuple[bool, bool]:
    """LSTATR, 7.6: (case open, power failed)."""
    if len(data) != 2:
        raise MessageError(f"LSTATR has {len(data)} bytes, expected 2")
    return bool(data[0]), bool(data[1])


def parse_com(data: bytes) -> tuple[int, int]:
    """COM, 7.14: address and speed that the reader takes on now."""
    if len(data) != 5:
        raise MessageError(f"COM has {len(data)} bytes, expected 5")
    return data[0], int.from_bytes(data[1:], "little")
