"""The simulated driver: an ordinary driver of ``SimulatedDevices``, refused unless allow_simulation = true.

Tests, benches and ``latchd simulate`` play with it through the object (``badge``, ``keys``, ``set_input``,
``tamper``, ``offline``, ``online``; the outputs are in ``bench``); a person at a bench through a Unix socket
when the bus has ``control = "PATH"``, in the words of ``drivers.sim.control``.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from drivers.driver import Context, DeviceStatus, DriverType, PortError
from drivers.events import Command, DeviceEvent, InputState, Point
from drivers.recording import Recording, RecordingSupport, Replayed
from drivers.settings import STRICT
from drivers.sim.control import obey
from drivers.sim.replay import cleartext, replay
from drivers.simulated import SimDevice, SimulatedDevices

LINE_LIMIT = 1024
"""Bytes of one control line: room for 128 bits and the longest name, and a bound."""

ANSWER_LIMIT = 65_536
"""Bytes of answers that wait for a client who does not read them, before it is hung up on."""

Count = Annotated[int, Field(ge=0, le=64)]
Names = Annotated[tuple[str, ...], Field(max_length=64)]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class SimBus:
    """``[bus.NAME]`` with ``driver = "sim"``. ``control``: where to make the Unix socket, if any."""

    control: str | None = None
    record: str | None = None
    record_cleartext: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class SimReader:
    """A simulated reader with keypad; so many lines ``out0`` … and ``in0`` …, or their names."""

    outputs: Count | Names = 1
    inputs: Count | Names = 1


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class SimBoard:
    """A simulated board; so many lines ``out1`` … and ``in1`` …, as boards are labelled, or their names.

    With names it stands in for any board of another driver: ``latchd simulate`` does so.
    """

    outputs: Count | Names = 8
    inputs: Count | Names = 8


class SimDriver:
    """All simulated devices of one bus. The playing methods may be called whenever ``run`` is being awaited."""

    def __init__(self, devices: Mapping[str, SimDevice], context: Context, control: Path | None = None) -> None:
        """``control`` is where to make the socket by which people play, if anywhere."""
        self.bench = SimulatedDevices(devices)
        self._context = context
        self._control = control
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Serve until cancelled; raises ``PortError`` only for a control socket that cannot be made."""
        self._loop = asyncio.get_running_loop()
        try:
            async with self._serve_control():
                self._context.tap.opened()
                self._emit(self.bench.start(self._now()))
                await self._loop.create_future()
        finally:
            self.bench.all_off(self._now())
            self._arm()
            self._loop = None
            self._context.tap.closed()

    def send(self, command: Command) -> None:
        """Carry out a command at once."""
        self.bench.command(command, self._now())
        self._arm()

    def status(self) -> Sequence[DeviceStatus]:
        """How each device is now."""
        return self.bench.status()

    def badge(self, reader: str, length: int, value: int) -> None:
        """Present a card."""
        events = self.bench.badge(reader, length, value, self._now())
        self._played(f"badge {reader} bits:{value:0{length}b}", events)

    def keys(self, reader: str, keys: str) -> None:
        """Press keys."""
        self._played(f"keys {reader} {keys}", self.bench.keys(reader, keys, self._now()))

    def set_input(self, point: Point, state: InputState) -> None:
        """Put an input into a raw state."""
        self._played(f"input {point} {state}", self.bench.set_input(point, state, self._now()))

    def tamper(self, device: str, active: bool) -> None:
        """Open or close a device's case."""
        words = f"tamper {device} {'on' if active else 'off'}"
        self._played(words, self.bench.tamper(device, active, self._now()))

    def offline(self, device: str, why: str = "no reply") -> None:
        """Let a device stop answering."""
        self._played(f"offline {device} {why}", self.bench.offline(device, self._now(), why))

    def online(self, device: str) -> None:
        """Let a device answer again."""
        self._played(f"online {device}", self.bench.online(device, self._now()))

    def _played(self, words: str, events: Iterable[DeviceEvent]) -> None:
        """Something was done to a device; ``words`` are those of the control socket."""
        self._context.tap.received(words.encode())
        self._emit(events)
        self._arm()

    def _now(self) -> float:
        return self._context.clock()

    def _emit(self, events: Iterable[DeviceEvent]) -> None:
        for event in events:
            self._context.emit(event)

    def _arm(self) -> None:
        """One timer, for the pulse that ends first."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self.bench.deadline()
        if deadline is not None and self._loop is not None:
            self._timer = self._loop.call_later(max(0.0, deadline - self._now()), self._due)

    def _due(self) -> None:
        self.bench.handle_deadline(self._now())
        self._arm()

    @contextlib.asynccontextmanager
    async def _serve_control(self) -> AsyncIterator[None]:
        if self._control is None:
            yield
            return
        talks: set[_Talk] = set()
        server = await asyncio.get_running_loop().create_unix_server(
            lambda: _Talk(self._obey, talks), sock=_listen_at(self._control)
        )
        try:
            yield
        finally:
            server.close()
            self._control.unlink(missing_ok=True)
            for talk in tuple(talks):
                talk.hang_up()

    def _obey(self, line: str) -> str:
        events, answer = obey(self.bench, line, self._now())
        self._played(line, events)
        return answer


class _Talk(asyncio.Protocol):
    """One client of the control socket: a line in, an answer out."""

    def __init__(self, answer: Callable[[str], str], talks: set[_Talk]) -> None:
        self._answer = answer
        self._talks = talks
        self._transport: asyncio.Transport | None = None
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._talks.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._talks.discard(self)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        *lines, self._rest = (self._rest + data).split(b"\n")
        if any(len(line) > LINE_LIMIT for line in (*lines, self._rest)):
            self.hang_up()
            return
        for line in lines:
            self._transport.write(self._answer(line.decode(errors="replace")).encode() + b"\n")
        if self._transport.get_write_buffer_size() > ANSWER_LIMIT:
            self.hang_up()

    def hang_up(self) -> None:
        """End the conversation at once."""
        if self._transport is not None:
            self._transport.abort()


def _listen_at(path: Path) -> socket.socket:
    """A Unix socket that only this user may use; what an earlier run left behind is taken away."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket():
            path.unlink()
        listener.bind(str(path))
        path.chmod(0o600)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise PortError(
            f"the simulation's control socket {path} cannot be made: {error.strerror or error}"
        ) from error
    return listener


def _device(settings: SimReader | SimBoard) -> SimDevice:
    first = 0 if isinstance(settings, SimReader) else 1
    return SimDevice(
        _names("out", first, settings.outputs),
        _names("in", first, settings.inputs),
        isinstance(settings, SimReader),
    )


def _names(prefix: str, first: int, lines: int | tuple[str, ...]) -> frozenset[str]:
    return frozenset(
        lines if isinstance(lines, tuple) else (f"{prefix}{number}" for number in range(first, first + lines))
    )


def _lines(settings: SimReader | SimBoard) -> tuple[frozenset[str], frozenset[str]]:
    device = _device(settings)
    return device.outputs, device.inputs


def _create(bus: SimBus, devices: Mapping[str, SimReader | SimBoard], context: Context) -> SimDriver:
    control = Path(bus.control) if bus.control else None
    return SimDriver({name: _device(settings) for name, settings in devices.items()}, context, control)


def _replay(
    recording: Recording, bus: SimBus, devices: Mapping[str, SimReader | SimBoard], context: Context
) -> Iterator[Replayed]:
    return replay(recording, SimulatedDevices({name: _device(settings) for name, settings in devices.items()}))


DRIVER = DriverType(
    name="sim",
    bus_settings=SimBus,
    reader_settings=SimReader,
    board_settings=SimBoard,
    lines=_lines,
    create=_create,
    simulated=True,
    recording=RecordingSupport(_replay, cleartext),
)
