"""The panel under a fake clock with model readers: what the tests of the bus share."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TypeVar

from drivers.driver import SecretReference
from drivers.events import (
    DeviceEvent,
    DeviceOnline,
)
from drivers.osdp.bus import Bus
from drivers.osdp.session import Session
from drivers.osdp.settings import OsdpReader
from tests.peers.osdp_model import ModelReader, ModelWire

KEY = bytes(range(16))
SECRET = SecretReference("env:KEY")
REQUIRED = OsdpReader(address=0, key=SECRET)
CLEAR = OsdpReader(address=0, secure_channel="off", allow_cleartext=True)
INSTALL = OsdpReader(address=0, secure_channel="install", key=SECRET)
CARD = "10110011100011110000111110"


def entropy() -> Callable[[int], bytes]:
    numbers = itertools.count(1)
    return lambda length: next(numbers).to_bytes(length, "big")


def wire(
    *readers: ModelReader, reader: OsdpReader = REQUIRED, key: bytes = KEY, baudrate: int = 9600, seed: int = 0
) -> ModelWire:
    """Readers r0, r1 … at their addresses, as the panel and as models."""
    sessions = [
        Session(
            f"r{model.address}",
            OsdpReader(
                address=model.address,
                secure_channel=reader.secure_channel,
                key=reader.key,
                allow_cleartext=reader.allow_cleartext,
            ),
            [key],
            entropy(),
        )
        for model in readers
    ]
    return ModelWire(Bus(sessions, baudrate), list(readers), baudrate, seed)


T = TypeVar("T")


def of(kind: type[T], events: Sequence[DeviceEvent]) -> list[T]:
    return [event for event in events if isinstance(event, kind)]


def settled(model: ModelReader, reader: OsdpReader = REQUIRED) -> ModelWire:
    """One reader in service for so long that its cards are believed."""
    bench = wire(model, reader=reader)
    assert of(DeviceOnline, bench.run(5.0))
    return bench
