"""Wiegand readers on GPIO lines: kernel edges into the frame decoder, LED and beeper out."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from drivers.driver import Context, DeviceStatus, DriverType, DriverUsageError
from drivers.events import Buzz, Colour, Command, DeviceEvent, Led
from drivers.gpio.lines import LineChange, LinePlan, preload
from drivers.gpio.link import LineLink
from drivers.gpio.replay import replay_reader
from drivers.gpio.sequencer import OutputSequencer, Step
from drivers.gpio.settings import GpioInput, WiegandReader
from drivers.recording import Recording, RecordingSupport, Replayed
from drivers.wiegand.decode import Keypad, ReaderRules, interpret
from drivers.wiegand.frame import BadFrame, Edge, Frame, FrameDecoder
from drivers.wiegand.health import LineHealth

BLINK = 0.25
"""Seconds on and seconds off of a blinking LED."""

_GREENISH = (Colour.GREEN, Colour.AMBER)
_REDDISH = (Colour.RED, Colour.AMBER)


class _Reader:
    """One ``[reader.NAME]``."""

    def __init__(self, name: str, settings: WiegandReader, context: Context, backend: Any) -> None:
        self._name = name
        self._context = context
        self._rules = _rules(settings, context)
        self._bits = {settings.d0: 0, settings.d1: 1}
        self._green = settings.led.line if settings.led else None
        self._red = settings.led_red.line if settings.led_red else None
        self._beeper = settings.beeper.line if settings.beeper else None
        outputs = tuple(line for line in (settings.led, settings.led_red, settings.beeper) if line is not None)
        inputs = tuple(
            GpioInput(line=line, bias=settings.bias, active_low=settings.inverted) for line in self._bits
        )
        plan = LinePlan(settings.chip, inputs, outputs, "falling", f"latchd {name}"[:31])
        self.link = LineLink(name, plan, context, self._open, self._changes, backend)
        self.switchboard = OutputSequencer(self.link.switch, [line.line for line in outputs])
        self._resting = Led(name, Colour.OFF)
        self._decoder = FrameDecoder()
        self._health = LineHealth(name, self._rules.formats)
        self._timer: asyncio.TimerHandle | None = None
        self._quiet_timer: asyncio.TimerHandle | None = None

    def led(self, command: Led) -> None:
        """Show a colour with the lines there are: ``led`` for green, ``led_red`` for red, both for amber."""
        if command.seconds is None:
            self._resting = command
        for line, colours in ((self._green, _GREENISH), (self._red, _REDDISH)):
            if line is not None:
                rest = self._resting.colour in colours
                steps = itertools.chain(_show(command, colours), _show(self._resting, colours))
                self._play(line, steps, rest)

    def buzz(self, command: Buzz) -> None:
        """Sound the beeper, if there is one."""
        if self._beeper is not None:
            beep: list[Step] = [(True, command.seconds), (False, command.seconds)]
            self._play(self._beeper, beep * command.count, False)

    def stop(self) -> None:
        """End what is timed."""
        self.switchboard.stop()
        for timer in (self._timer, self._quiet_timer):
            if timer is not None:
                timer.cancel()

    def status(self) -> DeviceStatus:
        """How the reader is now: a Wiegand reader never answers, so only its lines are known."""
        if self._health.cut:
            return DeviceStatus(self._name, False, "too many read errors: ignored until the line is quiet")
        return self.link.status()

    def _play(self, line: int, steps: Iterable[Step], rest: bool) -> None:
        if self.link.online:
            self.switchboard.play(line, steps, rest)
        else:
            self.switchboard.note(line, rest)

    def _open(self) -> None:
        self._decoder = FrameDecoder()  # a new request numbers its edges afresh
        self.switchboard.restore()
        self.led(self._resting)

    def _changes(self, changes: Sequence[LineChange]) -> None:
        edges = [Edge(change.timestamp_ns, self._bits[change.line], change.seqno) for change in changes]
        self._tell(self._decoder.edges(edges))
        self._arm()

    def _due(self) -> None:
        """The frame may be over: take what waits in the kernel first, or a busy loop would cut it in two."""
        self.link.poll()
        self._tell(self._decoder.handle_deadline(int(self._context.clock() * 1e9)))
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._decoder.deadline()
        if deadline is not None:
            wait = max(0.0, deadline / 1e9 - self._context.clock())
            self._timer = asyncio.get_running_loop().call_later(wait, self._due)

    def _tell(self, frames: Iterable[Frame | BadFrame]) -> None:
        for frame in frames:
            self._say(self._health.judge(interpret(self._name, frame, self._rules), self._context.clock()))
        if self._health.cut and self._quiet_timer is None:
            self._wait_for_quiet()

    def _say(self, events: Iterable[DeviceEvent]) -> None:
        for event in events:
            self._context.emit(event)

    def _wait_for_quiet(self) -> None:
        """Look again when the line may be quiet; noise that goes on moves the instant, not the timer."""
        self._quiet_timer = None
        self._say(self._health.handle_deadline(self._context.clock()))
        deadline = self._health.deadline()
        if deadline is not None:
            wait = max(0.0, deadline - self._context.clock())
            self._quiet_timer = asyncio.get_running_loop().call_later(wait, self._wait_for_quiet)


class WiegandDriver:
    """The Wiegand readers that were given; each has its own lines, and they do not wait for each other."""

    def __init__(self, devices: Mapping[str, WiegandReader], context: Context, backend: Any = None) -> None:
        """``backend`` stands in for the ``gpiod`` module in tests. Raises ``CardError`` for unknown formats."""
        self._readers = {name: _Reader(name, settings, context, backend) for name, settings in devices.items()}

    async def run(self) -> None:
        """Serve until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for reader in self._readers.values():
                    group.create_task(reader.link.run())
        finally:
            for reader in self._readers.values():
                reader.stop()

    def send(self, command: Command) -> None:
        """Light or sound; a Wiegand reader has no other outputs. Lines that are not wired are passed over."""
        if not isinstance(command, Led | Buzz):
            raise DriverUsageError(f"a Wiegand reader has no output {command.point}")
        reader = self._readers.get(command.reader)
        if reader is None:
            raise DriverUsageError(f'there is no Wiegand reader "{command.reader}"')
        if isinstance(command, Led):
            reader.led(command)
        else:
            reader.buzz(command)

    def status(self) -> Sequence[DeviceStatus]:
        """How each reader is now."""
        return [reader.status() for reader in self._readers.values()]


def _show(command: Led, colours: tuple[Colour, ...]) -> Iterable[Step]:
    """What one LED line does for a command; without an end when it blinks as the resting colour."""
    on = command.colour in colours
    if not command.blink:
        return [] if command.seconds is None else [(on, command.seconds)]
    blink: list[Step] = [(on, BLINK), (False, BLINK)]
    if command.seconds is None:
        return itertools.cycle(blink)
    return blink * max(1, round(command.seconds / (2 * BLINK)))


def _rules(settings: WiegandReader, context: Context) -> ReaderRules:
    formats = context.card_formats.select(settings.formats)
    return ReaderRules(
        formats=formats if settings.check_parity else (),
        only_formats=settings.only_formats,
        keypad=Keypad(settings.keypad) if settings.keypad else None,
        keypad_facility=settings.keypad_facility,
        keypad_digits=settings.keypad_digits,
        shortest_card=settings.shortest_card,
    )


def _lines(settings: WiegandReader) -> tuple[frozenset[str], frozenset[str]]:
    return frozenset(), frozenset()


def _create(bus: None, devices: Mapping[str, WiegandReader], context: Context) -> WiegandDriver:
    preload()
    return WiegandDriver(devices, context)


def _replay(
    recording: Recording, bus: None, devices: Mapping[str, WiegandReader], context: Context
) -> Iterator[Replayed]:
    ((name, settings),) = devices.items()
    rules = _rules(settings, context)
    bits = {settings.d0: 0, settings.d1: 1}
    return replay_reader(recording, name, settings.chip, bits, lambda frame: interpret(name, frame, rules))


DRIVER = DriverType(
    name="wiegand",
    bus_settings=None,
    reader_settings=WiegandReader,
    board_settings=None,
    lines=_lines,
    create=_create,
    recording=RecordingSupport(_replay, lambda bus, devices: "Wiegand knows no encryption"),
)
