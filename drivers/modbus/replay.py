"""A recording through the Modbus machine. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drivers.events import DeviceEvent
from drivers.modbus.bus import Bus
from drivers.recording import Kind, Line, Recording, RecordingError, Replayed, read_command

SLACK = 0.05
"""Seconds by which a deadline may be past before bytes that came are looked at first: timers are never exact."""


def replay(recording: Recording, bus: Bus) -> Iterator[Replayed]:
    """What the machine makes of the recording. Raises ``RecordingError`` where it would say something else."""
    said, stopping = b"", False
    for line in recording.lines:
        events: list[DeviceEvent] = []
        until = line.at if line.kind is Kind.SENT else line.at - SLACK
        deadline = bus.deadline()
        while not said and deadline is not None and deadline <= until:
            events += bus.handle_deadline(deadline)
            said, deadline = bus.bytes_to_send(), bus.deadline()
        if line.kind is Kind.SENT:
            if said != line.data:
                raise RecordingError(f"line {line.number}: here the machine would send {said.hex() or 'nothing'}")
            said = b""
        else:
            events += _step(bus, line)
            said += bus.bytes_to_send()
        stopping = stopping or line.kind is Kind.STOP
        if not (stopping and line.kind is Kind.CLOSE):  # a driver that ends does not tell that its bus is gone
            yield from (Replayed(line, event) for event in events)


def _step(bus: Bus, line: Line) -> Sequence[DeviceEvent]:
    match line.kind:
        case Kind.OPEN:
            return bus.connected(line.at)
        case Kind.CLOSE:
            return bus.disconnected(line.at, "the port was closed")
        case Kind.RECEIVED:
            return bus.receive(line.data, line.at)
        case Kind.COMMAND:
            return bus.command(read_command(line), line.at)
        case Kind.STOP:
            return bus.end(line.at)
        case Kind.GAP:
            raise RecordingError(
                f"line {line.number}: {line.words} lines are missing; it cannot be replayed further"
            )
    return ()
