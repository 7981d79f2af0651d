"""What every driver is: one object that owns one bus (or one chip) and all devices on it.

The doors loop creates drivers from the site file, runs each as one task, and sends commands.
A driver emits events by calling ``emit`` in the loop's thread; it reconnects by itself for ever and never
lets an exception of the wire escape from ``run``. The conformance suite in tests/drivers/conformance.py
says the same in tests, and every driver, the simulated one included, passes it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NewType, Protocol, runtime_checkable

from drivers.cards.formats import CardFormats, built_in_formats
from drivers.events import Command, DeviceEvent, Point
from drivers.recording import RecordingSupport

SecretReference = NewType("SecretReference", str)
"""``credential:NAME``, ``file:PATH`` or ``env:NAME``: where a secret is, never the secret itself."""

SEALED = SecretReference("sealed")
"""In place of a reference: the key is in the daemon's own sealed store (``Context.keys``)."""

Emit = Callable[[DeviceEvent], None]


class KeyRing(Protocol):
    """The keys that the daemon keeps sealed, for devices whose setting is ``key = "sealed"``."""

    def keys(self, device: str) -> Sequence[bytes]:
        """Newest first. Two while it is open whether a change of key has reached the device; none: no key."""

    def proved(self, device: str, key: bytes) -> None:
        """The device proved that it holds this one: the others are void. Returns at once."""


class NoKeys:
    """A key ring without any key."""

    def keys(self, device: str) -> Sequence[bytes]:
        """None, for every device."""
        return ()

    def proved(self, device: str, key: bytes) -> None:
        """Nothing to keep."""


class BusObserver(Protocol):
    """Receives what passes on a bus, for a recording. Every method returns at once and raises nothing."""

    def opened(self) -> None:
        """The port or chip is open."""

    def closed(self) -> None:
        """The port or chip is closed, or gone."""

    def sent(self, data: bytes) -> None:
        """Bytes went out."""

    def received(self, data: bytes) -> None:
        """Bytes came."""

    def edges(self, rows: Iterable[tuple[int, bool, int, int]]) -> None:
        """Edges that were read together: line, level, nanoseconds, number."""

    def levels(self, levels: Mapping[int, bool]) -> None:
        """What lines say now."""


class NoObserver:
    """A bus that is not recorded."""

    def opened(self) -> None:
        """Nothing to keep."""

    def closed(self) -> None:
        """Nothing to keep."""

    def sent(self, data: bytes) -> None:
        """Nothing to keep."""

    def received(self, data: bytes) -> None:
        """Nothing to keep."""

    def edges(self, rows: Iterable[tuple[int, bool, int, int]]) -> None:
        """Nothing to keep."""

    def levels(self, levels: Mapping[int, bool]) -> None:
        """Nothing to keep."""


@dataclass(frozen=True, slots=True)
class LineNumbers:
    """A device on a shared line in numbers, since the driver started. Times in seconds.

    ``round``: between two of its turns, as lately measured; ``slowest``: its slowest answer lately.
    ``late``: answers that came after their time; ``garbled``: that could not be understood;
    ``left_out``: lights, sounds and texts that made room for reads.
    """

    round: float
    slowest: float
    answers: int
    retries: int
    late: int
    garbled: int
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """One line of ``latchctl status``: a reader or board, whether it answers, and what there is to say of it."""

    device: str
    online: bool
    text: str = ""
    numbers: LineNumbers | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """What a driver is given from outside: where events go, the monotonic clock in seconds, and secrets.

    ``card_formats`` are the formats that a reader's ``formats`` key may name, those of the site file included.
    ``in_use`` are the inputs and outputs that the site file names; ``None``: not known, it may be any.
    """

    emit: Emit
    clock: Callable[[], float]
    secret: Callable[[SecretReference], bytes]
    card_formats: CardFormats = field(default_factory=built_in_formats)
    keys: KeyRing = field(default_factory=NoKeys)
    tap: BusObserver = field(default_factory=NoObserver)
    in_use: frozenset[Point] | None = None


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


@dataclass(frozen=True, slots=True)
class FoundReader:
    """A reader that a scan met. ``default_key``: it proved that it holds the key that everybody knows.

    ``garbled``: something answers there that cannot be understood, such as two readers on one address.
    """

    address: int
    baudrate: int
    identity: str = ""
    default_key: bool = False
    garbled: bool = False


@dataclass(frozen=True, slots=True)
class ScanPlan:
    """Which addresses to ask at which speeds."""

    addresses: Sequence[int]
    baudrates: Sequence[int]


class ReaderService(Protocol):
    """What a driver of readers on a bus can do for a technician. Doors are served all the while.

    Every method raises ``DriverUsageError`` in words when the thing cannot be done or did not succeed.
    """

    def check_in_service(self, reader: str) -> None:
        """Raise ``DriverUsageError`` if the reader is offline."""

    async def enrol(self, reader: str) -> None:
        """Bring a reader that answers to the default key the newest of its keys in the key ring."""

    async def rotate(self, reader: str) -> None:
        """Bring a reader in service the newest of its keys in the key ring, over the secure channel."""

    def forget_keys(self, reader: str) -> None:
        """Use the key ring as it is now: without a key there the reader goes offline at once."""

    def show_text(self, reader: str, text: str, seconds: float | None) -> None:
        """Show up to 32 ASCII characters on a reader in service, for ``seconds`` or until something else."""

    async def move(self, reader: str, address: int, baudrate: int) -> None:
        """Give a reader in service another address and speed; it is offline until the site file says so too."""

    def scan(self, plan: ScanPlan) -> AsyncGenerator[FoundReader, None]:
        """Look for readers that the site file does not name. One scan of a bus at a time."""


@runtime_checkable
class ServesReaders(Protocol):
    """A driver that has more to offer than ``Driver`` says."""

    @property
    def readers(self) -> ReaderService:
        """For every reader on its bus."""


class DriverUsageError(ValueError):
    """A command named a device or line that this driver does not have, or a setting that it cannot serve."""


class PortError(OSError):
    """A port cannot be opened: absent, forbidden, or held by another process, which the message names."""


def ends_by_itself(settings: Any) -> str:
    """For devices that time their outputs themselves, so that a strike ends without the daemon."""
    del settings
    return ""


def serves_all(settings: Any, devices: Mapping[str, Any]) -> Iterable[str]:
    """For buses that can serve whatever their settings allow."""
    del settings, devices
    return ()


@dataclass(frozen=True, slots=True)
class DriverType:
    """A driver as the registry knows it: its name, the settings it reads from the site file, its factory.

    The settings classes are frozen dataclasses; their fields are the keys of ``[bus.NAME]``,
    ``[board.NAME]`` and ``[reader.NAME]`` in addition to ``driver`` and ``bus``. ``None``: has no such table.
    With ``recording`` its settings, those of the bus if it has one, have ``record`` and ``record_cleartext``.
    ``lines`` tells which outputs and inputs a device has, so that the site file is checked before a
    device is opened: ``lines(settings) -> (outputs, inputs)``. ``unattended(settings)`` says in words what
    becomes of a strike on that device when the daemon is killed in the middle of it; nothing: it ends by itself.
    ``refuses(bus settings, devices)`` says with numbers why the devices of a bus cannot be served together.
    """

    name: str
    bus_settings: type[Any] | None
    reader_settings: type[Any] | None
    board_settings: type[Any] | None
    lines: Callable[[Any], tuple[frozenset[str], frozenset[str]]]
    create: Callable[[Any, Mapping[str, Any], Context], Driver]
    simulated: bool = False
    recording: RecordingSupport | None = None
    unattended: Callable[[Any], str] = ends_by_itself
    refuses: Callable[[Any, Mapping[str, Any]], Iterable[str]] = serves_all
