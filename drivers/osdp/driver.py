"""OSDP as the registry knows it: ``DRIVER``, and how a bus is put together from the site file."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from drivers.driver import SEALED, Context, DriverType, DriverUsageError
from drivers.osdp.bus import Bus
from drivers.osdp.capacity import refusals
from drivers.osdp.link import OsdpLink
from drivers.osdp.pcap import capture
from drivers.osdp.replay import DefaultKeyFilter, cleartext, panel_randoms, replay
from drivers.osdp.secure import BLOCK, SCBK_D
from drivers.osdp.session import Session
from drivers.osdp.settings import OsdpBus, OsdpReader, lines
from drivers.osdp.trace import decoded
from drivers.recording import Recording, RecordingSupport, Replayed


def _keys(name: str, reader: OsdpReader, context: Context) -> Sequence[bytes]:
    """The reader's base keys: the site file's, 16 bytes as they are or as 32 hex digits, or the sealed ones."""
    if reader.key is None:
        return ()
    if reader.key == SEALED:
        return context.keys.keys(name)
    secret = context.secret(reader.key)
    if len(secret) != BLOCK:
        with contextlib.suppress(ValueError):
            secret = bytes.fromhex(secret.decode("ascii"))
    if len(secret) != BLOCK:
        raise DriverUsageError(f"reader {name}: key {reader.key} must be {BLOCK} bytes or {2 * BLOCK} hex digits")
    if secret == SCBK_D:
        raise DriverUsageError(f"reader {name}: key {reader.key} is the default key, which everybody knows")
    return (secret,)


def _session(name: str, reader: OsdpReader, context: Context, *, crc: bool) -> Session:
    proved = partial(context.keys.proved, name)
    formats = context.card_formats.select(reader.formats)
    keys, in_use = _keys(name, reader, context), _in_use(name, context)
    return Session(name, reader, keys, secrets.token_bytes, crc=crc, proved=proved, formats=formats, in_use=in_use)


def _in_use(name: str, context: Context) -> frozenset[str] | None:
    if context.in_use is None:
        return None
    return frozenset(point.line for point in context.in_use if point.device == name)


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
    sessions = [_session(name, reader, context, crc=crc) for name, reader in devices.items()]
    return OsdpLink(settings, Bus(sessions, settings.baudrate, mark=settings.mark, echo=settings.echo), context)


def _replay(
    recording: Recording, settings: OsdpBus, devices: Mapping[str, OsdpReader], context: Context
) -> Iterator[Replayed]:
    crc, entropy = settings.check == "crc", panel_randoms(recording)
    sessions = [
        Session(
            name,
            reader,
            _keys(name, reader, context),
            entropy,
            crc=crc,
            formats=context.card_formats.select(reader.formats),
            in_use=_in_use(name, context),
        )
        for name, reader in devices.items()
    ]
    return replay(recording, Bus(sessions, settings.baudrate, mark=settings.mark, echo=settings.echo))


def _capture(recording: Recording, shown: bool) -> Iterator[bytes]:
    return capture(recording, cleartext=shown)


DRIVER = DriverType(
    name="osdp",
    bus_settings=OsdpBus,
    reader_settings=OsdpReader,
    board_settings=None,
    lines=lines,
    refuses=refusals,
    create=_create,
    recording=RecordingSupport(_replay, cleartext, DefaultKeyFilter, decoded, _capture),
)
