"""A worked example for docs/drivers.md: a relay box on a serial line that speaks lines of ASCII.

The box is made up, but behaves like many: ``ON n``, ``OFF n`` and ``PULSE n ms`` switch a relay, ``IN?`` asks
for the inputs, and it answers every line with ``OK`` or with the inputs as ``IN 0110``, which it also sends by
itself on every change. ``Box`` is the protocol, pure and sans-I/O; ``BoxDriver`` is the shell around it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence

from pydantic.dataclasses import dataclass

from drivers.driver import Context, DeviceStatus, DriverType, DriverUsageError, PortError
from drivers.events import (
    Command,
    DeviceEvent,
    DeviceOffline,
    DeviceOnline,
    InputChanged,
    InputState,
    Point,
    Pulse,
    SwitchOff,
    SwitchOn,
)
from drivers.serialport import Port, open_beside
from drivers.settings import STRICT

OUTPUTS = {"out1": 1, "out2": 2}
INPUTS = ("in1", "in2", "in3", "in4")
ASK_EVERY = 0.5
"""Seconds between questions to a box that says nothing by itself."""
SILENCE = 2.0
"""Seconds without a word after which the box is offline: four questions."""
RETRY = 1.0
"""Seconds between attempts to open a port that is not there."""
GOODBYE = 1.0
"""Seconds that the box has to confirm that its relays are off when the driver ends."""
LONGEST_LINE = 64
"""Bytes of a line from the box; more without an end is noise."""


# ------------------------------------------------------------------ what the site file says


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class BoxBus:
    """``[bus.NAME]`` with ``driver = "ascii-relay"``."""

    port: str
    baudrate: int = 9600


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class BoxBoard:
    """``[board.NAME]``: one box, nothing to set."""


# ------------------------------------------------------------------ the protocol: pure


class Box:
    """One box, as values in and values out: no clock, no port."""

    def __init__(self, name: str, now: float) -> None:
        self._name = name
        self._heard = now
        self._asked: float | None = None
        self._received = b""
        self._sending = b""
        self._unconfirmed = 0
        self._inputs: dict[str, InputState] = {}
        self._held: dict[int, bool] = dict.fromkeys(OUTPUTS.values(), False)
        self.online = False

    def command(self, command: Pulse | SwitchOn | SwitchOff) -> None:
        """Put a command on its way. While the box is offline only what is to last is remembered."""
        relay = OUTPUTS.get(command.point.line)
        if relay is None:
            raise DriverUsageError(f'"{self._name}" has no output "{command.point.line}"; it has out1 and out2')
        self._held[relay] = isinstance(command, SwitchOn)
        if not self.online:
            return
        if isinstance(command, Pulse):
            self._sending += f"PULSE {relay} {round(command.seconds * 1000)}\n".encode()
        else:
            self._sending += self._switch(relay)

    def receive(self, data: bytes, now: float) -> list[DeviceEvent]:
        """Bytes from the box; what they mean."""
        *lines, self._received = (self._received + data).split(b"\n")
        self._received = self._received[-LONGEST_LINE:]
        events: list[DeviceEvent] = []
        for line in lines:
            if line == b"OK":
                self._heard = now
                self._unconfirmed = max(0, self._unconfirmed - 1)
            elif line.startswith(b"IN ") and len(line) == 3 + len(INPUTS) and not line[3:].strip(b"01"):
                self._heard = now
                events += self._read(line[3:].decode(), now)
        return events

    def bytes_to_send(self, now: float) -> bytes:
        """What to write now; what was asked for goes out before the next question."""
        data, self._sending = self._sending, b""
        self._unconfirmed += data.count(b"\n")
        if self._asked is None or now >= self._asked + ASK_EVERY:
            self._asked = now
            data += b"IN?\n"
        return data

    def all_off(self) -> None:
        """Every output off, instead of what still waits to be sent."""
        self._held = dict.fromkeys(self._held, False)
        self._sending = b"".join(map(self._switch, self._held))

    @property
    def settled(self) -> bool:
        """Whether the box has confirmed every command."""
        return not self._sending and self._unconfirmed == 0

    def deadline(self) -> float:
        """When ``handle_deadline`` and then ``bytes_to_send`` are to be called at the latest."""
        ask = self._heard if self._asked is None else self._asked + ASK_EVERY
        return min(ask, self._heard + SILENCE) if self.online else ask

    def handle_deadline(self, now: float) -> list[DeviceEvent]:
        """The box may have been silent for too long."""
        return self.lost(now, "no reply") if now >= self._heard + SILENCE else []

    def lost(self, now: float, why: str) -> list[DeviceEvent]:
        """The box cannot be reached; said once. A pulse that waits is dropped, never made up for."""
        self._sending = self._received = b""
        self._unconfirmed = 0
        self._inputs.clear()
        if not self.online:
            return []
        self.online = False
        return [DeviceOffline(self._name, now, why)]

    def _read(self, bits: str, now: float) -> list[DeviceEvent]:
        events: list[DeviceEvent] = []
        if not self.online:
            self.online = True
            events.append(DeviceOnline(self._name, now))
            self._sending = b"".join(map(self._switch, self._held))  # put right what changed meanwhile
        for line, bit in zip(INPUTS, bits, strict=True):
            state = InputState.ON if bit == "1" else InputState.OFF
            if self._inputs.get(line) is not state:
                self._inputs[line] = state
                events.append(InputChanged(Point(self._name, line), state, now))
        return events

    def _switch(self, relay: int) -> bytes:
        return f"{'ON' if self._held[relay] else 'OFF'} {relay}\n".encode()


# ------------------------------------------------------------------ the shell: I/O and nothing else


class BoxDriver:
    """Owns the port; reconnects by itself for ever."""

    def __init__(self, bus: BoxBus, name: str, context: Context) -> None:
        self._bus, self._name, self._context = bus, name, context
        self._box = Box(name, context.clock())
        self._wake = asyncio.Event()
        self._why = "not started"

    async def run(self) -> None:
        """Serve the box until cancelled."""
        while True:
            try:
                with await open_beside(self._bus.port, self._bus.baudrate) as port:
                    await self._serve(port)
            except PortError as error:
                self._why = str(error)
            self._emit(self._box.lost(self._context.clock(), self._why))
            await asyncio.sleep(RETRY)

    def send(self, command: Command) -> None:
        """Put a command on its way."""
        if not isinstance(command, Pulse | SwitchOn | SwitchOff) or command.point.device != self._name:
            raise DriverUsageError(f'this bus has only the board "{self._name}"')
        self._box.command(command)
        self._wake.set()

    def status(self) -> Sequence[DeviceStatus]:
        """How the box is."""
        return [DeviceStatus(self._name, self._box.online, "" if self._box.online else self._why)]

    async def _serve(self, port: Port) -> None:
        """Until the port is gone. ``_wake`` is set by arriving bytes and by commands."""
        loop = asyncio.get_running_loop()
        loop.add_reader(port.fileno(), self._wake.set)
        try:
            while True:
                await self._turn(port)
        except asyncio.CancelledError:
            await self._leave_off(port)
            raise
        finally:
            loop.remove_reader(port.fileno())

    async def _turn(self, port: Port) -> None:
        """Read, judge, write, and wait for the next reason to."""
        box, clock = self._box, self._context.clock
        self._wake.clear()
        self._emit(box.receive(port.read(), clock()))
        self._emit(box.handle_deadline(clock()))
        port.write(box.bytes_to_send(clock()))  # a few bytes: a tty takes them whole
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, box.deadline() - clock())):
                await self._wake.wait()

    async def _leave_off(self, port: Port) -> None:
        """Every output off and confirmed, before the port is closed, which drops what waits to be sent."""
        self._box.all_off()
        with contextlib.suppress(PortError, TimeoutError):
            async with asyncio.timeout(GOODBYE):
                while not self._box.settled:
                    await self._turn(port)

    def _emit(self, events: list[DeviceEvent]) -> None:
        for event in events:
            if isinstance(event, DeviceOffline):
                self._why = event.why
            self._context.emit(event)


# ------------------------------------------------------------------ what the registry finds


def _lines(settings: BoxBoard) -> tuple[frozenset[str], frozenset[str]]:
    return frozenset(OUTPUTS), frozenset(INPUTS)


def _create(bus: BoxBus, devices: Mapping[str, BoxBoard], context: Context) -> BoxDriver:
    if len(devices) != 1:
        raise DriverUsageError(f"a ascii-relay bus has exactly one board, not {len(devices)}")
    return BoxDriver(bus, next(iter(devices)), context)


DRIVER = DriverType(
    name="ascii-relay",
    bus_settings=BoxBus,
    reader_settings=None,
    board_settings=BoxBoard,
    lines=_lines,
    create=_create,
)
