"""What every driver is: one object that owns one bus (or one chip) and all devices on it.

The doors loop creates drivers from the site file, runs each as one task, and sends commands.
A driver emits events by calling ``emit`` in the loop's thread; it reconnects by itself for ever and never
lets an exception of the wire escape from ``run``. The conformance suite in tests/drivers/conformance.py
says the same in tests, and every driver, the simulated one included, passes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NewType, Protocol

from drivers.events import Command, DeviceEvent
from drivers.wiegand.formats import CardFormats, built_in_formats

SecretReference = NewType("SecretReference", str)
"""``credential:NAME``, ``file:PATH`` or ``env:NAME``: where a secret is, never the secret itself."""

Emit = Callable[[DeviceEvent], None]


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """One line of ``latchctl status``: a reader or board, whether it answers, and what there is to say of it."""

    device: str
    online: bool
    text: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """What a driver is given from outside: where events go, the monotonic clock in seconds, and secrets.

    ``card_formats`` are the formats that a reader's ``formats`` key may name, those of the site file included.
    """

    emit: Emit
    clock: Callable[[], float]
    secret: Callable[[SecretReference], bytes]
    card_formats: CardFormats = field(default_factory=built_in_formats)


class Driver(Protocol):
    """A running bus. Every method but ``run`` returns at once."""

    async def run(self) -> None:
        """Serve the bus until cancelled, then leave every output off, and close what was opened."""

    def send(self, command: Command) -> None:
        """Put a command on its way; a relay command goes before everything else that waits.

        Never blocks and never raises for a device that is offline: that is a ``DeviceOffline`` event.
        The command for an unknown device or line is a programming error: ``DriverUsageError``.
        """

    def status(self) -> Sequence[DeviceStatus]:
        """How each device is now."""


class DriverUsageError(ValueError):
    """A command named a device or line that this driver does not have, or a setting that it cannot serve."""


class PortError(OSError):
    """A port cannot be opened: absent, forbidden, or held by another process, which the message names."""


@dataclass(frozen=True, slots=True)
class DriverType:
    """A driver as the registry knows it: its name, the settings it reads from the site file, its factory.

    The settings classes are frozen dataclasses; their fields are the keys of ``[bus.NAME]``,
    ``[board.NAME]`` and ``[reader.NAME]`` beside ``driver`` and ``bus``. ``None``: has no such table.
    ``lines`` tells which outputs and inputs a device has, so that the site file is checked before a
    device is opened: ``lines(settings) -> (outputs, inputs)``.
    """

    name: str
    bus_settings: type[Any] | None
    reader_settings: type[Any] | None
    board_settings: type[Any] | None
    lines: Callable[[Any], tuple[frozenset[str], frozenset[str]]]
    create: Callable[[Any, Mapping[str, Any], Context], Driver]
    simulated: bool = False
