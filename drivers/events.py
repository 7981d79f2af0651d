"""What hardware tells the doors loop, and what the doors loop tells hardware.

A driver calls ``emit`` with one of the events and is sent the commands; neither ever blocks.
Times are seconds of the monotonic clock; ``device`` is the name of a reader or board in the site file.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class InputState(StrEnum):
    """What an input says. Without end-of-line resistors only ``off`` and ``on`` occur (electrical level)."""

    OFF = "off"
    ON = "on"
    SHORT = "short"
    OPEN = "open"


class ReadFault(StrEnum):
    """Why a read is no card: it never reaches the lookup."""

    BAD_FRAME = "bad_frame"
    PARITY_ERROR = "parity_error"
    QUEUED = "queued"


@dataclass(frozen=True, slots=True)
class Point:
    """One line of a device: ``main.out1``, ``lobby-in.in0``; written ``device.line``."""

    device: str
    line: str

    def __str__(self) -> str:
        return f"{self.device}.{self.line}"


# ------------------------------------------------------------------ events


MAX_CARD_BITS = 128
"""The longest card that is read. cache/keys.py has the same number: the two import nothing of each other."""


@dataclass(frozen=True, slots=True)
class CardRead:
    """A whole frame of ``length`` bits arrived at ``at``, its value most significant bit first."""

    reader: str
    length: int
    value: int
    at: float

    def __repr__(self) -> str:
        """The bits are a card number: they never reach a log by accident."""
        return f"CardRead(reader={self.reader!r}, length={self.length}, at={self.at!r})"


@dataclass(frozen=True, slots=True)
class ReadError:
    """Something was read that is no card. ``length`` and ``value`` are what arrived, as far as it is known."""

    reader: str
    fault: ReadFault
    at: float
    length: int = 0
    value: int = 0
    note: str = ""

    def __repr__(self) -> str:
        """The bits may be a card number: they never reach a log by accident."""
        return f"ReadError(reader={self.reader!r}, fault={self.fault.value!r}, length={self.length})"


@dataclass(frozen=True, slots=True)
class KeyPress:
    """Keys in the order pressed: digits, ``*`` and ``#``."""

    reader: str
    keys: str
    at: float

    def __repr__(self) -> str:
        """Keys are a PIN: they never reach a log by accident."""
        return f"KeyPress(reader={self.reader!r}, {len(self.keys)} keys, at={self.at!r})"


@dataclass(frozen=True, slots=True)
class InputChanged:
    """An input's raw state; also sent once after start and after each reconnection. Not debounced."""

    point: Point
    state: InputState
    at: float


@dataclass(frozen=True, slots=True)
class DeviceOnline:
    """A reader or board answers. ``identity`` is what it says of itself (vendor, model, serial), if anything.

    ``unique`` is the part of it that no other device shares: when it changes, the device was swapped.
    """

    device: str
    at: float
    identity: str = ""
    secure: bool = False
    unique: str = ""


@dataclass(frozen=True, slots=True)
class DeviceOffline:
    """A reader or board stopped answering, for the reason given in words."""

    device: str
    at: float
    why: str


@dataclass(frozen=True, slots=True)
class TamperChanged:
    """A device's case was opened or closed."""

    device: str
    active: bool
    at: float


@dataclass(frozen=True, slots=True)
class DeviceAlarm:
    """A device is wrong in a way no other event says: power failed, read-back differs, another serial number."""

    device: str
    at: float
    what: str


DeviceEvent = (
    CardRead | ReadError | KeyPress | InputChanged | DeviceOnline | DeviceOffline | TamperChanged | DeviceAlarm
)


# ------------------------------------------------------------------ commands


@dataclass(frozen=True, slots=True)
class Pulse:
    """Switch an output on for ``seconds``, timed by the hardware where it can, else by the driver. Restarts."""

    point: Point
    seconds: float


@dataclass(frozen=True, slots=True)
class SwitchOn:
    """Switch an output on until it is released."""

    point: Point


@dataclass(frozen=True, slots=True)
class SwitchOff:
    """Switch an output off, also in the middle of a pulse."""

    point: Point


class Colour(StrEnum):
    """A reader's LED."""

    OFF = "off"
    RED = "red"
    GREEN = "green"
    AMBER = "amber"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Led:
    """Show a colour: for ``seconds``, or as the resting colour when ``None``; ``blink`` alternates with off."""

    reader: str
    colour: Colour
    seconds: float | None = None
    blink: bool = False


@dataclass(frozen=True, slots=True)
class Buzz:
    """Sound the reader's buzzer ``count`` times, each for ``seconds`` with as long a pause."""

    reader: str
    count: int = 1
    seconds: float = 0.1


Command = Pulse | SwitchOn | SwitchOff | Led | Buzz
