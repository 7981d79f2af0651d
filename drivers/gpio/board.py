"""GPIO lines as the inputs and outputs of a board.

GPIO has no timer of its own: a pulse is timed by this driver, and when the process is killed in the middle of
one the line keeps its level until doors is started again, which begins with every output off. A board with
timed pulses is the better lock driver; docs/drivers.md says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from drivers.driver import Context, DeviceStatus, DriverType, DriverUsageError
from drivers.events import Command, InputChanged, InputState, Point, Pulse, SwitchOff, SwitchOn
from drivers.gpio.lines import LineChange, LinePlan, preload
from drivers.gpio.link import LineLink
from drivers.gpio.replay import replay_board
from drivers.gpio.sequencer import OutputSequencer
from drivers.gpio.settings import GpioChip
from drivers.recording import Recording, RecordingSupport, Replayed


class _Board:
    """One ``[board.NAME]``: its link, its outputs, and what is known of its inputs."""

    def __init__(self, name: str, settings: GpioChip, context: Context, backend: Any) -> None:
        self._context = context
        self._outputs = {line: output.line for line, output in settings.outputs.items()}
        self._points = {into.line: Point(name, line) for line, into in settings.inputs.items()}
        self._known: dict[int, bool] = {}
        plan = LinePlan(
            settings.chip,
            tuple(settings.inputs.values()),
            tuple(settings.outputs.values()),
            consumer=f"latchd {name}"[:31],
        )
        self.link = LineLink(name, plan, context, self._open, self._changes, backend)
        self.switchboard = OutputSequencer(self.link.switch, self._outputs.values())

    def command(self, command: Pulse | SwitchOn | SwitchOff) -> None:
        line = self._outputs.get(command.point.line)
        if line is None:
            known = ", ".join(self._outputs) or "none"
            raise DriverUsageError(
                f'"{command.point.device}" has no output "{command.point.line}"; it has {known}'
            )
        if isinstance(command, Pulse) and command.seconds <= 0:
            raise DriverUsageError(f"the pulse for {command.point} must be longer than 0 s")
        hold = isinstance(command, SwitchOn)
        if not self.link.online:
            self.switchboard.note(line, hold)
            return
        self.switchboard.play(line, [(True, command.seconds)] if isinstance(command, Pulse) else [], hold)

    def _open(self) -> None:
        self.switchboard.restore()
        self._known.clear()
        self._compare()

    def _changes(self, changes: Sequence[LineChange]) -> None:
        """Every edge in order of time, and then what the lines say: merged edges may have left that behind."""
        for change in sorted(changes, key=lambda change: change.timestamp_ns):
            self._tell(change.line, change.on, change.timestamp_ns / 1e9)
        self._compare()

    def _compare(self) -> None:
        for line, on in self.link.levels().items():
            self._tell(line, on, self._context.clock())

    def _tell(self, line: int, on: bool, at: float) -> None:
        if self._known.get(line) is not on:
            self._known[line] = on
            state = InputState.ON if on else InputState.OFF
            self._context.emit(InputChanged(self._points[line], state, at))


class GpioDriver:
    """All GPIO boards that were given; each keeps its own lines."""

    def __init__(self, devices: Mapping[str, GpioChip], context: Context, backend: Any = None) -> None:
        """``backend`` stands in for the ``gpiod`` module in tests."""
        self._boards = {name: _Board(name, settings, context, backend) for name, settings in devices.items()}

    async def run(self) -> None:
        """Serve until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for board in self._boards.values():
                    group.create_task(board.link.run())
        finally:
            for board in self._boards.values():
                board.switchboard.stop()

    def send(self, command: Command) -> None:
        """Switch an output; there are no readers here."""
        if not isinstance(command, Pulse | SwitchOn | SwitchOff):
            raise DriverUsageError(f'"{command.reader}" is no reader of this driver')
        board = self._boards.get(command.point.device)
        if board is None:
            raise DriverUsageError(f'there is no GPIO board "{command.point.device}"')
        board.command(command)

    def status(self) -> Sequence[DeviceStatus]:
        """How each board is now."""
        return [board.link.status() for board in self._boards.values()]


def _lines(settings: GpioChip) -> tuple[frozenset[str], frozenset[str]]:
    return frozenset(settings.outputs), frozenset(settings.inputs)


def _create(bus: None, devices: Mapping[str, GpioChip], context: Context) -> GpioDriver:
    preload()
    return GpioDriver(devices, context)


def _replay(
    recording: Recording, bus: None, devices: Mapping[str, GpioChip], context: Context
) -> Iterator[Replayed]:
    ((name, settings),) = devices.items()
    points = {into.line: Point(name, line) for line, into in settings.inputs.items()}
    return replay_board(recording, name, settings.chip, points)


def _unattended(settings: GpioChip) -> str:
    del settings
    return "GPIO times nothing: the line stays on until the daemon is there again; use a board with timed pulses"


DRIVER = DriverType(
    name="gpio",
    bus_settings=None,
    reader_settings=None,
    board_settings=GpioChip,
    lines=_lines,
    create=_create,
    recording=RecordingSupport(_replay),
    unattended=_unattended,
)
