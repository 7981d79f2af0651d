"""Simulated readers and boards as a value machine: what they hold, and what happens to them. Pure.

Time is an argument; whatever a device would report comes back as events. A pulse is timed as a board with
hardware timing would: it ends at its instant, also while the board cannot be reached.

Limits, which real hardware does not share: reports arrive at once and in order, nothing is garbled, an
offline device loses what happens at it (it reports its inputs afresh when it returns), and a read is always
a whole frame of 1 to ``MAX_CARD_BITS`` bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from drivers.driver import DeviceStatus, DriverUsageError
from drivers.events import (
    MAX_CARD_BITS,
    Buzz,
    CardRead,
    Colour,
    Command,
    DeviceEvent,
    DeviceOffline,
    DeviceOnline,
    InputChanged,
    InputState,
    KeyPress,
    Led,
    Point,
    Pulse,
    SwitchOff,
    SwitchOn,
    TamperChanged,
)

KEYS = frozenset("0123456789*#")

IDENTITY = "simulated"


@dataclass(frozen=True, slots=True)
class SimDevice:
    """What a simulated device has: a reader reads cards and keys; both kinds may have lines."""

    outputs: frozenset[str] = frozenset()
    inputs: frozenset[str] = frozenset()
    reader: bool = False


@dataclass(frozen=True, slots=True)
class OutputChange:
    """An output switched at ``at``: what a bench measures and a scenario expects."""

    point: Point
    on: bool
    at: float


@dataclass(slots=True)
class _State:
    """One device. ``ends`` holds the end of each running pulse; ``wanted`` what was last ordered."""

    device: SimDevice
    online: bool = True
    tamper: bool = False
    why: str = ""
    outputs: dict[str, bool] = field(default_factory=dict)
    wanted: dict[str, bool] = field(default_factory=dict)
    ends: dict[str, float] = field(default_factory=dict)
    inputs: dict[str, InputState] = field(default_factory=dict)
    feedback: Led | Buzz | None = None
    resting: Colour = Colour.OFF


class SimulatedDevices:
    """A table full of simulated devices. Unknown devices, lines and keys raise ``DriverUsageError``."""

    def __init__(
        self, devices: Mapping[str, SimDevice], watch: Callable[[OutputChange], None] | None = None
    ) -> None:
        """``watch`` is called with every change of an output, as it happens."""
        self._states = {name: _State(device) for name, device in devices.items()}
        for state in self._states.values():
            state.outputs = dict.fromkeys(sorted(state.device.outputs), False)
            state.wanted = dict(state.outputs)
            state.inputs = dict.fromkeys(sorted(state.device.inputs), InputState.OFF)
        self.watch = watch

    # ------------------------------------------------------------------ what happens at the devices

    def start(self, now: float) -> tuple[DeviceEvent, ...]:
        """Every device that is online says so and reports its inputs."""
        return tuple(event for name in self._states for event in self._report(name, now))

    def badge(self, reader: str, length: int, value: int, now: float) -> tuple[DeviceEvent, ...]:
        """A card of ``length`` bits (1..128) is presented. Nothing comes of it while the reader is offline."""
        state = self._reader(reader)
        if not 1 <= length <= MAX_CARD_BITS or not 0 <= value < 1 << length:
            raise DriverUsageError(f"a read has 1 to {MAX_CARD_BITS} bits and a value that fits in them")
        return (CardRead(reader, length, value, now),) if state.online else ()

    def keys(self, reader: str, keys: str, now: float) -> tuple[DeviceEvent, ...]:
        """Keys are pressed: digits, ``*`` and ``#``."""
        state = self._reader(reader)
        if not keys or not set(keys) <= KEYS:
            raise DriverUsageError("keys are digits, * and #")
        return (KeyPress(reader, keys, now),) if state.online else ()

    def set_input(self, point: Point, value: InputState, now: float) -> tuple[DeviceEvent, ...]:
        """An input takes a raw state; reported when it changed, and not while the device is offline."""
        state = self._device(point.device)
        changed = self.input(point) is not value
        state.inputs[point.line] = value
        return (InputChanged(point, value, now),) if changed and state.online else ()

    def tamper(self, device: str, active: bool, now: float) -> tuple[DeviceEvent, ...]:
        """A device's case is opened or closed."""
        state = self._device(device)
        changed = state.tamper != active
        state.tamper = active
        return (TamperChanged(device, active, now),) if changed and state.online else ()

    def offline(self, device: str, now: float, why: str = "no reply") -> tuple[DeviceEvent, ...]:
        """A device stops answering; its outputs stay as they are, and its pulses end in time."""
        state = self._device(device)
        if not state.online:
            return ()
        state.online, state.why = False, why
        return (DeviceOffline(device, now, why),)

    def online(self, device: str, now: float) -> tuple[DeviceEvent, ...]:
        """A device answers again. Held outputs are put right; a pulse that it missed is never made up for."""
        state = self._device(device)
        if state.online:
            return ()
        self.handle_deadline(now)
        state.online, state.why = True, ""
        for line, wanted in state.wanted.items():
            if line not in state.ends:
                self._switch(Point(device, line), wanted, now)
        return self._report(device, now)

    # ------------------------------------------------------------------ what the door asks for

    def command(self, command: Command, now: float) -> None:
        """Carry out a command; for an offline device a pulse is lost, a level is not."""
        match command:
            case Led() | Buzz():
                self._feedback(command)
            case Pulse() | SwitchOn() | SwitchOff():
                self._output(command, now)
            case _:
                assert_never(command)

    def deadline(self) -> float | None:
        """When the next pulse ends."""
        return min((end for state in self._states.values() for end in state.ends.values()), default=None)

    def handle_deadline(self, now: float) -> None:
        """End every pulse that is due, in order, each at its own instant."""
        due = [
            (end, Point(name, line))
            for name, state in self._states.items()
            for line, end in state.ends.items()
            if end <= now
        ]
        for end, point in sorted(due, key=lambda item: (item[0], str(item[1]))):
            del self._states[point.device].ends[point.line]
            self._switch(point, False, end)

    def all_off(self, now: float) -> None:
        """Every output off, as when the program ends."""
        for name, state in self._states.items():
            state.ends.clear()
            for line in state.outputs:
                state.wanted[line] = False
                self._switch(Point(name, line), False, now)

    # ------------------------------------------------------------------ what can be seen

    def output(self, point: Point) -> bool:
        """Whether an output is on."""
        state = self._device(point.device)
        if point.line not in state.outputs:
            raise DriverUsageError(_no_line(point, "output", state.outputs))
        return state.outputs[point.line]

    def input(self, point: Point) -> InputState:
        """The raw state of an input."""
        state = self._device(point.device)
        if point.line not in state.inputs:
            raise DriverUsageError(_no_line(point, "input", state.inputs))
        return state.inputs[point.line]

    def outputs(self) -> Mapping[Point, bool]:
        """Every output and whether it is on."""
        return {
            Point(name, line): on for name, state in self._states.items() for line, on in state.outputs.items()
        }

    def feedback(self, reader: str) -> Led | Buzz | None:
        """The last LED or buzzer command that reached a reader."""
        return self._reader(reader).feedback

    def resting_colour(self, reader: str) -> Colour:
        """The colour a reader's LED shows when nothing is going on."""
        return self._reader(reader).resting

    def status(self) -> tuple[DeviceStatus, ...]:
        """How each device is."""
        return tuple(
            DeviceStatus(name, state.online, IDENTITY if state.online else state.why)
            for name, state in self._states.items()
        )

    # ------------------------------------------------------------------ inside

    def _report(self, name: str, now: float) -> tuple[DeviceEvent, ...]:
        state = self._states[name]
        if not state.online:
            return ()
        inputs = tuple(InputChanged(Point(name, line), value, now) for line, value in state.inputs.items())
        tamper = (TamperChanged(name, True, now),) if state.tamper else ()
        return (DeviceOnline(name, now, IDENTITY), *inputs, *tamper)

    def _output(self, command: Pulse | SwitchOn | SwitchOff, now: float) -> None:
        point = command.point
        self.output(point)  # refuses what does not exist
        if isinstance(command, Pulse) and command.seconds <= 0:
            raise DriverUsageError(f"the pulse for {point} lasts {command.seconds} s; it must be longer than 0")
        state = self._states[point.device]
        state.wanted[point.line] = isinstance(command, SwitchOn)
        if not state.online:
            return
        self.handle_deadline(now)
        state.ends.pop(point.line, None)
        if isinstance(command, Pulse):
            state.ends[point.line] = now + command.seconds
        self._switch(point, not isinstance(command, SwitchOff), now)

    def _switch(self, point: Point, on: bool, at: float) -> None:
        outputs = self._states[point.device].outputs
        if outputs[point.line] == on:
            return
        outputs[point.line] = on
        if self.watch is not None:
            self.watch(OutputChange(point, on, at))

    def _feedback(self, command: Led | Buzz) -> None:
        state = self._reader(command.reader)
        if not state.online:
            return
        state.feedback = command
        if isinstance(command, Led) and command.seconds is None:
            state.resting = command.colour

    def _device(self, name: str) -> _State:
        state = self._states.get(name)
        if state is None:
            raise DriverUsageError(f'there is no simulated device "{name}"; there are {", ".join(self._states)}')
        return state

    def _reader(self, name: str) -> _State:
        state = self._device(name)
        if not state.device.reader:
            raise DriverUsageError(f'"{name}" is a board, not a reader')
        return state


def _no_line(point: Point, kind: str, lines: Mapping[str, object]) -> str:
    return f'"{point.device}" has no {kind} "{point.line}"; it has {", ".join(lines) or "none"}'
