"""OSDP as the registry knows it: ``DRIVER``, and how a bus is put together from the site file."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping

from drivers.driver import Context, DriverType, DriverUsageError
from drivers.osdp.bus import Bus
from drivers.osdp.link import OsdpLink
from drivers.osdp.secure import BLOCK
from drivers.osdp.session import Session
from drivers.osdp.settings import OsdpBus, OsdpReader, lines


def _key(name: str, reader: OsdpReader, context: Context) -> bytes | None:
    """The reader's base key: 16 bytes as they are, or as 32 hex digits."""
    if reader.key is None:
        return None
    secret = context.secret(reader.key)
    if len(secret) != BLOCK:
        with contextlib.suppress(ValueError):
            secret = bytes.fromhex(secret.decode("ascii"))
    if len(secret) != BLOCK:
        raise DriverUsageError(f"reader {name}: key {reader.key} must be {BLOCK} bytes or {2 * BLOCK} hex digits")
    return secret


def _refuse_shared_addresses(readers: Mapping[str, OsdpReader]) -> None:
    by_address: dict[int, str] = {}
    for name, reader in readers.items():
        other = by_address.setdefault(reader.address, name)
        if other != name:
            raise DriverUsageError(
                f"readers {other} and {name} both have address {reader.address}; each needs its own"
            )


def _create(settings: OsdpBus, devices: Mapping[str, OsdpReader], context: Context) -> OsdpLink:
    """Raises ``DriverUsageError`` for a key of a wrong length or an address that two readers share."""
    _refuse_shared_addresses(devices)
    crc = settings.check == "crc"
    sessions = [
        Session(name, reader, _key(name, reader, context), secrets.token_bytes, crc=crc)
        for name, reader in devices.items()
    ]
    return OsdpLink(settings, Bus(sessions, settings.baudrate, mark=settings.mark), context)


DRIVER = DriverType(
    name="osdp",
    bus_settings=OsdpBus,
    reader_settings=OsdpReader,
    board_settings=None,
    lines=lines,
    create=_create,
)
