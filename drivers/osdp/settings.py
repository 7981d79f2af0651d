"""What the site file says of an OSDP bus (``[bus.NAME]``) and of a reader on it (``[reader.NAME]``)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from drivers.driver import SEALED, SecretReference
from drivers.osdp.frame import HIGHEST_ADDRESS
from drivers.osdp.profiles import STANDARD, profile_named
from drivers.remote import check_port
from drivers.settings import STRICT, Duration

BAUDRATES = (9600, 19200, 38400, 57600, 115200, 230400)
"""Speeds that OSDP knows, 5.2."""
MAX_LINES = 8


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class OsdpBus:
    """One RS-485 pair with this controller as its only control panel."""

    port: Annotated[str, Field(min_length=1)]
    baudrate: Literal[9600, 19200, 38400, 57600, 115200, 230400] = 9600
    rs485: bool = False
    """Let the kernel switch the direction (TIOCSRS485); off for adapters that do it themselves."""
    mark: bool = False
    """Send 0xFF before each frame, for adapters that lose the first character while they turn round (5.7)."""
    check: Literal["crc", "checksum"] = "crc"
    """``checksum`` only for readers too old for the CRC."""
    record: str | None = None
    """The file to which everything on this bus is recorded."""
    record_cleartext: bool = False
    echo: bool = False
    """The adapter hears what it sends; found out by itself, but known from the first frame this way."""

    @model_validator(mode="after")
    def _port(self) -> OsdpBus:
        check_port(self.port, rs485=self.rs485)
        return self


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class OsdpReader:
    """One reader (peripheral device)."""

    address: Annotated[int, Field(ge=0, le=HIGHEST_ADDRESS)]
    secure_channel: Literal["required", "install", "off"] = "required"
    key: SecretReference | None = None
    """The secure channel base key: 16 bytes, or 32 hex digits; ``sealed`` for one that latchd makes and keeps."""
    allow_cleartext: bool = False
    outputs: Annotated[int, Field(ge=0, le=MAX_LINES)] = 1
    inputs: Annotated[int, Field(ge=0, le=MAX_LINES)] = 2
    queued_limit: Annotated[Duration, Field(ge=0.5, le=60.0)] = 2.0
    """A read that may have waited in the reader for longer is refused, such as one from an outage."""
    profile: str = STANDARD
    """What is known of its kind; see ``drivers.osdp.profiles``."""
    reply_time: Annotated[Duration, Field(ge=0.2, le=1.0)] = 0.2
    """How long it may take to begin an answer."""
    formats: tuple[str, ...] = ()
    """A card of a length that they know must satisfy one of them."""
    card_bits: Literal["standard", "right-justified", "reversed", "bytes-reversed"] = "standard"

    @model_validator(mode="after")
    def _agree(self) -> OsdpReader:
        profile_named(self.profile)
        if self.secure_channel == "off" and not self.allow_cleartext:
            raise ValueError(
                'secure_channel = "off" lets anyone on the wire open the door; '
                "use a key, or add allow_cleartext = true"
            )
        if self.allow_cleartext and self.secure_channel != "off":
            raise ValueError('allow_cleartext = true goes only with secure_channel = "off"; take one of them away')
        if self.secure_channel != "off" and self.key is None:
            raise ValueError(
                f'secure_channel = "{self.secure_channel}" needs key, '
                'such as key = "sealed" or key = "credential:scbk-NAME"'
            )
        if self.secure_channel == "install" and self.key == SEALED:
            raise ValueError(
                'secure_channel = "install" gives the reader a key of the site file; '
                'with key = "sealed" say "required" and use latchctl reader enrol'
            )
        return self


def lines(settings: OsdpReader) -> tuple[frozenset[str], frozenset[str]]:
    """Names of a reader's outputs and inputs: ``out0`` … and ``in0`` …."""
    return (
        frozenset(f"out{number}" for number in range(settings.outputs)),
        frozenset(f"in{number}" for number in range(settings.inputs)),
    )
