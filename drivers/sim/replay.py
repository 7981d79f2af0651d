"""A recording of simulated devices: the words by which they were played with, at the bench again. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from drivers.events import DeviceEvent
from drivers.recording import Kind, Line, Recording, RecordingError, Replayed, read_command
from drivers.sim.control import obey
from drivers.simulated import SimulatedDevices


def cleartext(bus: Any, devices: Mapping[str, Any]) -> str:
    """Why a recording of this bus has card numbers in clear: a real card's number may have been shown."""
    del bus, devices
    return "a simulated bus knows no encryption"


def replay(recording: Recording, bench: SimulatedDevices) -> Iterator[Replayed]:
    """What comes of it. Raises ``RecordingError`` where lines are missing."""
    for line in recording.lines:
        if line.kind is Kind.STOP:
            return
        yield from (Replayed(line, event) for event in _step(bench, line))


def _step(bench: SimulatedDevices, line: Line) -> tuple[DeviceEvent, ...]:
    match line.kind:
        case Kind.OPEN:
            return bench.start(line.at)
        case Kind.RECEIVED:
            return obey(bench, line.data.decode(errors="replace"), line.at)[0]
        case Kind.COMMAND:
            bench.command(read_command(line), line.at)
        case Kind.GAP:
            raise RecordingError(
                f"line {line.number}: {line.words} lines are missing; it cannot be replayed further"
            )
    return ()
