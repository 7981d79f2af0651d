"""The outputs of one board: what is wanted, what must be written for it, and what the read-back says.

Each output is wanted off, on, or on until an instant. Where the board times pulses itself, the strike ends
in hardware: the daemon may die, the relay falls. A pulse is always written with the time that is left of
it, so a repeated or delayed write never makes it longer, and one that has run out is never written at all.

Late is never: a pulse that the board has not taken within ``PULSE_LIMIT`` is dropped with an alarm. Off is always:
an output that may be on and is to be off is written whether the board is heard or not (``owed``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from drivers.events import DeviceAlarm, DeviceEvent, Point, Pulse, SwitchOff, SwitchOn
from drivers.modbus.codec import COIL_OFF, COIL_ON, Function, Request
from drivers.modbus.profile import Outputs, PulseCommand, RegisterArea

_LONG_AGO = -1e9
_FOR_EVER = 1e18
PULSE_LIMIT = 1.0
"""Seconds in which a board must take a pulse: whoever badged has left, or badges again."""
_CORRECTIONS = 10
"""Corrections of one output in ``_WINDOW`` seconds after which it is corrected only every ``_SLOW`` seconds."""
_WINDOW = 60.0
_SLOW = 10.0
_PATIENCE = 0.2
"""Seconds around the end of a timed pulse in which either state is right, in addition to one unit of the board."""
_NO_SUCH = (1, 2, 3)
"""The exceptions "illegal function", "address" and "value" (section 7): the board does not have this."""
_BUSY = (5, 6)
"""The exceptions "acknowledge" and "server device busy" (section 7): ask again."""
_BUSY_RETRY = 0.1
_RETRY = 0.5
"""Seconds between attempts at an output that does not do what was written."""
_OVER = 0.05
"""A pulse with less than this left is not begun: it is over."""
_RENEW_AFTER = 0.8
"""A pulse longer than the board can time is renewed after this part of the board's longest."""


@dataclass(slots=True)
class _Output:
    point: Point
    hold: bool = False
    until: float = _LONG_AGO
    asked_at: float = _LONG_AGO
    version: int = 0
    dirty: bool = True
    verified: bool = False
    retry_at: float = _LONG_AGO
    act_at: float | None = None
    """When time makes a write due: the end of a pulse timed here, or the renewal of one timed by the board."""
    unsure: bool = False
    """The board was away while its pulse ran: it may have gone on or not, and is not switched on again."""
    wrong: int = 0
    """Read-backs in a row that differ."""
    alarmed: bool = False
    taken: bool = True
    """Whether the board has acknowledged the last order."""
    on_until: float = _FOR_EVER
    """Until when it may be on, by all that was sent and read; the state before the start is not known."""
    attempt: int = 0
    """The round of probes in which it was last written although the board is not heard."""
    moved: list[float] = field(default_factory=list)
    """When it was found to have moved by itself, in the last ``_WINDOW`` seconds."""

    def pulse_limit(self) -> float | None:
        """When a pulse that the board has not taken is dropped."""
        if self.taken or self.hold or self.until <= self.asked_at:
            return None
        return min(self.until, self.asked_at + PULSE_LIMIT)

    def wanted(self, now: float) -> bool:
        return self.hold or now < self.until - _OVER


@dataclass(frozen=True, slots=True)
class Write:
    """A request that makes some outputs what they were wanted to be when it was made (``versions``)."""

    request: Request
    versions: tuple[tuple[int, int], ...]
    on: bool = False
    seconds: float | None = None
    """How long the board was ordered to keep it on, if it times the pulse."""
    asked_at: float = _LONG_AGO


class OutputBank:
    """All outputs of one board. They begin as to be switched off."""

    def __init__(self, device: str, unit: int, form: Outputs) -> None:
        """``device`` names the board in events."""
        self._unit = unit
        self._form = form
        self._pulse = form.pulse
        self._outputs = [_Output(Point(device, f"out{n + 1}")) for n in range(form.count)]
        self._by_line = {output.point.line: output for output in self._outputs}

    def command(self, command: Pulse | SwitchOn | SwitchOff, now: float) -> None:
        """Want something else of one output."""
        output = self._by_line[command.point.line]
        output.hold = isinstance(command, SwitchOn)
        output.until = now + command.seconds if isinstance(command, Pulse) else _LONG_AGO
        output.asked_at = now
        output.version += 1
        output.wrong = 0
        output.act_at = None
        output.unsure = False
        output.taken = False
        self._touch(output)

    def all_off(self, now: float) -> None:
        """Want every output off, and write so even where it is."""
        for output in self._outputs:
            self.command(SwitchOff(output.point), now)

    def lost(self, now: float) -> list[DeviceEvent]:
        """The board is away: when it is back, every output is written and verified again.

        A restored line never releases a door: a pulse that the board has acknowledged may run out on the
        board, one that it has not is dropped with an alarm. What is held on is still wanted on.
        """
        events = self._drop(self._outputs, "the board went away before it took the pulse", now)
        self._pulse = self._form.pulse
        for output in self._outputs:
            output.alarmed = output.verified = False
            output.wrong = 0
            running = not output.hold and now < output.until and not output.dirty
            output.unsure = output.unsure or running
            if not running:
                output.until = _LONG_AGO
                output.act_at = None
                self._touch(output)
        return events

    @property
    def written(self) -> bool:
        """Whether nothing waits to be written."""
        return not any(output.dirty for output in self._outputs)

    @property
    def settled(self) -> bool:
        """Whether each output was read back as wanted, or an alarm says that it was not."""
        return all(output.alarmed or (output.verified and not output.dirty) for output in self._outputs)

    def on(self, now: float) -> list[str]:
        """The lines that are wanted on."""
        return [output.point.line for output in self._outputs if output.wanted(now)]

    def read_request(self) -> Request | None:
        """The read-back, if the board has one."""
        form = self._form
        return Request(self._unit, form.area.read, form.address, form.count) if form.read_back else None

    def write_due(self) -> float | None:
        """When the next write may be sent, long past for one that never failed; ``None``: none waits."""
        return min((output.retry_at for output in self._outputs if output.dirty), default=None)

    def deadline(self) -> float | None:
        """When time alone makes a write due, or ends the patience with one."""
        times = (time for output in self._outputs for time in (output.act_at, output.pulse_limit()))
        return min((time for time in times if time is not None), default=None)

    def handle_deadline(self, now: float) -> list[DeviceEvent]:
        """End a pulse timed here, renew one timed by the board, drop one that the board did not take."""
        for output in self._outputs:
            if output.act_at is not None and now >= output.act_at:
                output.act_at = None
                self._touch(output)
        expired = [
            output for output in self._outputs if (limit := output.pulse_limit()) is not None and now >= limit
        ]
        return self._drop(expired, "the board did not take the pulse in time", now)

    def _drop(self, outputs: Iterable[_Output], why: str, now: float) -> list[DeviceEvent]:
        """Forget the pulses among these that the board has not taken; it may have heard one, so off is written."""
        events: list[DeviceEvent] = []
        for output in outputs:
            if output.pulse_limit() is None:
                continue
            output.until = _LONG_AGO
            output.version += 1
            output.taken = True
            self._touch(output)
            what = f"{output.point.line}: {why}; it is dropped, and a door that it was for did not open"
            events.append(DeviceAlarm(output.point.device, now, what))
        return events

    def next_write(self, now: float) -> Write | None:
        """What to write first: the output that was asked for first."""
        due = [output for output in self._outputs if output.dirty and now >= output.retry_at]
        if not due:
            return None
        if self._form.block_write and len(due) == self._form.count and not any(o.wanted(now) for o in due):
            return self._all_off_write()
        # On before off: of two that were asked for at once, a door that opens is waited for.
        output = min(due, key=lambda one: (not one.wanted(now), one.asked_at))
        return self._write(self._outputs.index(output), output, now)

    def owed(self, attempt: int, now: float) -> list[Write]:
        """Return the writes that switch off what may be on, for a board that is not heard: least recent first.

        ``attempt`` is the number of the round: what was already written in it is left out.
        """
        if self._form.block_write and all(self._off_is_owed(output, now) for output in self._outputs):
            late = min(output.attempt for output in self._outputs)
            return [self._all_off_write()] if late < attempt else []
        owed = [
            (output.attempt, index)
            for index, output in enumerate(self._outputs)
            if output.attempt < attempt and self._off_is_owed(output, now)
        ]
        return [self._write(index, self._outputs[index], now) for _, index in sorted(owed)]

    def owed_count(self, now: float) -> int:
        """Return how many outputs may be on and are to be off."""
        return sum(self._off_is_owed(output, now) for output in self._outputs)

    def sent(self, write: Write, attempt: int, now: float) -> None:
        """Note that a write is on its way: heard or not, from now on the output may be on."""
        for index, _ in write.versions:
            output = self._outputs[index]
            output.attempt = attempt
            if write.on:
                unit = self._pulse.unit if self._pulse else 0.0
                timed = write.seconds is not None
                output.on_until = now + (write.seconds or 0.0) + unit + _PATIENCE if timed else _FOR_EVER

    @staticmethod
    def _off_is_owed(output: _Output, now: float) -> bool:
        return not output.wanted(now) and now < output.on_until and not output.unsure

    def idle_writes(self, now: float) -> list[Write]:
        """A write for each output that no pulse is at, nor may be: what waits to be written first."""
        idle = [(n, o) for n, o in enumerate(self._outputs) if self._expected(o, now, now) is o.hold]
        idle.sort(key=lambda one: not one[1].dirty)
        return [self._write(index, output, now) for index, output in idle]

    def wrote(self, write: Write, now: float) -> None:
        """The board has acknowledged it."""
        for index, version in write.versions:
            output = self._outputs[index]
            if output.version != version:
                continue
            output.dirty = False
            output.taken = True
            if not write.on:
                output.on_until = _LONG_AGO
            output.verified = not self._form.read_back
            output.act_at = self._next_act(output, write, now)

    def refused(self, write: Write, code: int, now: float) -> list[DeviceEvent]:
        """The board answered with an exception."""
        if code in _BUSY:
            for index, _ in write.versions:
                self._outputs[index].retry_at = now + _BUSY_RETRY
            return []
        if write.seconds is not None and self._pulse is not None and code in _NO_SUCH:
            # Fall back to a driver-timed pulse so that the door still opens, and raise an alarm.
            self._pulse = None
            point = self._outputs[write.versions[0][0]].point
            what = (
                f"{point.line}: the board refuses its timed pulse (exception {code}), pulses are timed by the"
                " driver from now on; check the profile"
            )
            return [DeviceAlarm(point.device, now, what)]
        events: list[DeviceEvent] = []
        for index, _ in write.versions:
            output = self._outputs[index]
            output.retry_at = now + _RETRY
            if not output.alarmed:
                output.alarmed = True
                what = f"{output.point.line}: the board refuses to switch it (exception {code})"
                events.append(DeviceAlarm(output.point.device, now, what))
        return events

    def read(self, values: tuple[int, ...], sent_at: float, at: float) -> list[DeviceEvent]:
        """Compare a read-back that was asked for at ``sent_at`` and came ``at``."""
        events: list[DeviceEvent] = []
        for output, value in zip(self._outputs, values, strict=True):
            is_on = value != 0 if self._form.area is RegisterArea.COIL else value == self._form.reads_on
            if output.dirty:
                continue
            expected = self._expected(output, sent_at, at)
            if expected is None or expected is is_on:
                output.verified, output.wrong, output.alarmed = True, 0, False
                if not is_on:
                    output.on_until = _LONG_AGO
            elif output.verified:
                events += self._moved(output, is_on, at)
            else:
                events += self._differs(output, is_on, at)
        return events

    def _moved(self, output: _Output, is_on: bool, now: float) -> list[DeviceEvent]:
        """An output is no longer as ordered, and no one ordered it: report the first, limit the rest."""
        self._touch(output)
        output.moved = [at for at in output.moved if now - at < _WINDOW] + [now]
        if is_on:
            output.on_until = _FOR_EVER
        if len(output.moved) >= _CORRECTIONS:
            output.retry_at = now + _SLOW
        difference = self._difference(output, is_on)
        if len(output.moved) == 1:
            what = f"{difference}: something else switched it, or the board lost its state; it is put right"
        elif len(output.moved) == _CORRECTIONS:
            what = (
                f"{difference}, {_CORRECTIONS} times within a minute: something else switches it, or the board has"
                f" fewer outputs than the count of its profile; it is put right only every {_SLOW:g} s from now on"
            )
        else:
            return []
        return [DeviceAlarm(output.point.device, now, what)]

    def _differs(self, output: _Output, is_on: bool, now: float) -> list[DeviceEvent]:
        """An output does not do what was just written: write it again, then report it."""
        output.wrong += 1
        output.dirty = True
        if output.wrong < 2:
            return []
        output.retry_at = now + (_RETRY if len(output.moved) < _CORRECTIONS else _SLOW)
        if output.alarmed:
            return []
        output.alarmed = True
        return [DeviceAlarm(output.point.device, now, f"{self._difference(output, is_on)} (retry failed)")]

    @staticmethod
    def _difference(output: _Output, is_on: bool) -> str:
        reads, wanted = ("on", "off") if is_on else ("off", "on")
        return f"{output.point.line} reads {reads}, expected {wanted}"

    def _expected(self, output: _Output, sent_at: float, at: float) -> bool | None:
        """What the output must have read as between the two instants; ``None``: either is right."""
        if output.hold:
            return True
        unit = self._pulse.unit if self._pulse else 0.0
        if at < output.until - unit - _PATIENCE:
            tells = self._pulse is None or self._pulse.reads_back
            return True if tells and not output.unsure else None
        if sent_at > output.until + unit + _PATIENCE:
            return False
        return None

    def _next_act(self, output: _Output, write: Write, now: float) -> float | None:
        if output.hold or not write.on:
            return None
        left = output.until - now
        if write.seconds is None or write.seconds > left + _PATIENCE:
            return output.until  # timed here, also where the board's unit is coarser than the pulse
        return now + write.seconds * _RENEW_AFTER if left > write.seconds + _PATIENCE else None

    def _all_off_write(self) -> Write:
        zeros = (0,) * self._form.count
        request = Request(self._unit, Function.WRITE_COILS, self._form.address, values=zeros)
        return Write(request, tuple((n, o.version) for n, o in enumerate(self._outputs)))

    def _write(self, index: int, output: _Output, now: float) -> Write:
        form, pulse = self._form, self._pulse
        versions = ((index, output.version),)
        if not output.hold and pulse is not None and output.wanted(now):
            units = pulse.units(output.until - now)
            request = self._pulse_request(index, units)
            seconds = units * pulse.unit
            return Write(request, versions, on=True, seconds=seconds, asked_at=output.asked_at)
        on = output.wanted(now)
        address = form.address + index
        if form.area is RegisterArea.COIL:
            value = COIL_ON if on else COIL_OFF
            request = Request(self._unit, Function.WRITE_COIL, address, values=(value,))
        else:
            value = form.on if on else form.off
            request = Request(self._unit, Function.WRITE_REGISTER, address, values=(value,))
        return Write(request, versions, on=on, asked_at=output.asked_at)

    def _pulse_request(self, index: int, units: int) -> Request:
        pulse = self._pulse
        assert pulse is not None
        address = pulse.address + index * pulse.stride
        match pulse.command:
            case PulseCommand.COIL:
                return Request(self._unit, Function.WRITE_COIL, address, values=(units,))
            case PulseCommand.REGISTER:
                return Request(self._unit, Function.WRITE_REGISTER, address, values=(pulse.prefix + units,))
            case PulseCommand.REGISTERS:
                return Request(self._unit, Function.WRITE_REGISTERS, address, values=(pulse.prefix, units))

    @staticmethod
    def _touch(output: _Output) -> None:
        output.dirty = True
        output.verified = False
        output.retry_at = _LONG_AGO
