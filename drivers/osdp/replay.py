"""A recording through the OSDP machine, and what may stand in one. Pure.

The panel's random numbers stand on the wire in clear, so that a recording under the secure channel can be replayed
by whoever has the readers' keys, and by no one else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from drivers.events import Buzz, Command, DeviceEvent, Led
from drivers.osdp.bus import Bus
from drivers.osdp.frame import Frame, FrameReader
from drivers.osdp.messages import Cmd
from drivers.osdp.secure import Scs
from drivers.osdp.settings import OsdpBus, OsdpReader
from drivers.recording import Filter, Kind, Line, Recording, RecordingError, Replayed, read_command

SLACK = 0.05
"""Seconds by which a deadline may be past before bytes that came are looked at first: timers are never exact."""


def cleartext(bus: OsdpBus, devices: Mapping[str, OsdpReader]) -> str:
    """Why a recording of this bus has card numbers in clear, if it has."""
    del bus
    clear = [name for name, reader in devices.items() if reader.secure_channel == "off"]
    return f'{", ".join(clear)} has secure_channel = "off"' if clear else ""


class DefaultKeyFilter(Filter):
    """Holds back what passes under the default key, which everybody knows: it is what brings a reader its own."""

    def __init__(self) -> None:
        self._default_key: set[int] = set()
        self._hides = False

    def passes(self, data: bytes, *, sent: bool) -> bool:
        """Whether ``data`` may stand in the recording; a command decides for its answer too."""
        if sent:
            self._hides = any(self._is_open_secret(frame) for frame in _frames(data))
        return not self._hides

    def _is_open_secret(self, frame: Frame) -> bool:
        if frame.block and frame.block[0] == Scs.CHALLENGE:
            (self._default_key.discard if frame.block[1:] == b"\x01" else self._default_key.add)(frame.address)
        secured = bool(frame.block) and frame.block[0] >= Scs.COMMAND
        return secured and frame.address in self._default_key


def _frames(data: bytes) -> list[Frame]:
    return [found for found in FrameReader().feed(data) if isinstance(found, Frame)]


def panel_randoms(recording: Recording) -> Callable[[int], bytes]:
    """The random numbers that the panel used, in their order; raises ``RecordingError`` behind the last one."""
    challenges = iter(
        frame.data
        for line in recording.lines
        if line.kind is Kind.SENT
        for frame in _frames(line.data)
        if frame.code == Cmd.CHLNG
    )
    last: list[bytes] = []

    def entropy(length: int) -> bytes:
        found = next(challenges, None)
        while found is not None and [found] == last:  # the same frame again, because it got no answer
            found = next(challenges, None)
        if found is None:
            raise RecordingError("the machine begins a handshake that is not in the recording: is a key another?")
        last[:] = [found]
        return found[:length]

    return entropy


def replay(recording: Recording, bus: Bus) -> Iterator[Replayed]:
    """What the machine makes of the recording. Raises ``RecordingError`` where it would say something else."""
    stopping = False
    for line in recording.lines:
        stopping = stopping or line.kind is Kind.STOP
        events = _step(bus, line)
        if not (stopping and line.kind is Kind.CLOSE):  # a driver that ends does not tell that its bus is gone
            yield from (Replayed(line, event) for event in events)


def _send(bus: Bus, command: Command, line: Line) -> None:
    name = command.reader if isinstance(command, Led | Buzz) else command.point.device
    try:
        bus.send(name, command, line.at)
    except KeyError:
        raise RecordingError(f'line {line.number}: a command for "{name}", which is no reader here') from None


def _step(bus: Bus, line: Line) -> Sequence[DeviceEvent]:
    events: list[DeviceEvent] = []
    now = line.at
    until, deadline = now if line.kind is Kind.SENT else now - SLACK, float("-inf")
    while deadline != bus.deadline() <= until:  # one that stays is a turn to send
        deadline = bus.deadline()
        events += bus.handle_deadline(deadline)
    match line.kind:
        case Kind.SENT:
            said = bus.bytes_to_send(now)
            if said != line.data:
                raise RecordingError(f"line {line.number}: here the machine would send {said.hex() or 'nothing'}")
        case Kind.RECEIVED:
            events += bus.receive(line.data, now)
        case Kind.COMMAND:
            _send(bus, read_command(line), line)
        case Kind.CLOSE:
            events += bus.port_lost(now, "the port was closed")
        case Kind.STOP:
            for session in bus.sessions:
                session.outbox.switch_off(now)
        case Kind.HIDDEN:
            raise RecordingError(f"line {line.number}: a reader gets its key here; it cannot be replayed further")
        case Kind.GAP:
            raise RecordingError(
                f"line {line.number}: {line.words} lines are missing; it cannot be replayed further"
            )
    return events
