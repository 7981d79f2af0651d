"""One door at work: its state machine, its inputs and its mode, turned into commands and events. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from cache.model import Event, EventName, Mode, ModeCause, Moment
from daemon.decision.door_rules import Area
from daemon.decision.schedule import next_mode_edge
from daemon.doors.controller.effects import Collected
from daemon.doors.controller.setup import DoorSetup, InputSetup
from daemon.doors.door import debounce, machine
from daemon.doors.door.debounce import contact_of, signal_of
from daemon.doors.door.durable import Durable
from daemon.doors.door.elapsed import Restart
from daemon.doors.door.modes import (
    Effective,
    ModeState,
    Order,
    effective,
    forget_past,
    lock_down,
    look_again,
    restarted,
)
from daemon.doors.door.state import (
    LINE_FAULTS,
    Contact,
    ContactRead,
    CountEntry,
    DoorEvent,
    Lock,
    LockRestored,
    ModeChanged,
    RecordEvent,
    RexRead,
    Signal,
    Timer,
    Unlock,
)
from daemon.doors.door.table import LockState
from drivers.events import Colour, InputState, Led, Point, Pulse, SwitchOff, SwitchOn

MODE_STATE = Durable(ModeState)

UNREADABLE = Order("latchd", "what was ordered before the start could not be read")
"""Who locks a door down whose stored orders are damaged."""

Waiting = tuple[Mode, ModeCause, str]
"""The mode that waits, what it comes from, and the door of the same interlock that it waits for."""

Interlocked = Callable[["DoorController"], str | None]
"""The other door of an interlock that keeps this one shut."""

Entered = Callable[["DoorController", str, str | None, Moment], None]
"""The door, the person, the reader they used, and when."""


class DoorController:
    """Drives one ``daemon.doors.door.machine``; collects what it asks for in ``out``."""

    def __init__(self, setup: DoorSetup, out: Collected, entered: Entered, interlocked: Interlocked) -> None:
        """``entered`` is called with who went through, or must be taken to have."""
        self.setup = setup
        self._entered = entered
        self._interlocked = interlocked
        self.factors = setup.modes.plan.default
        """The mode that says what people have to show: in a lockdown the one beneath it."""
        self._waiting: Waiting | None = None
        self.state = machine.start(setup.config, setup.modes.plan.default)
        self._out = out
        self._inputs = {
            line.point: debounce.Input(line.debounce)
            for line in (setup.contact, setup.rex, setup.fire)
            if line is not None
        }
        self.ordered = ModeState()
        self._fire = False
        self._fire_line = Signal.LOST
        self._mode_edge: datetime | None = None

    @property
    def state_name(self) -> str:
        """Under which name the orders for this door are stored in the journal."""
        return f"mode.{self.setup.name}"

    @property
    def held_name(self) -> str:
        """Under which name the journal keeps that a held alarm of this door was reported and not cleared."""
        return f"held.{self.setup.name}"

    def area_behind(self, reader: str | None) -> Area | None:
        """Where the way of this reader leads: the exit reader's back, any other's onwards; ``None``: outside."""
        rules = self.setup.rules
        return rules.from_area if reader is not None and reader == self.setup.exit else rules.to_area

    # -------------------------------------------------------------- time

    def start(self, restart: Restart, stored: str | None, *, held: bool = False) -> bool:
        """Switch the lock off, whatever it held before, and take the mode of this instant.

        ``held``: a held alarm was reported before, and its end was not. ``stored`` is what the journal holds under
        ``state_name``: a lockdown survives power loss. Where it cannot be read (the answer is then false) it may
        have been a lockdown, so it is one until it is cleared.
        """
        self._out.commands.append(SwitchOff(self.setup.lock))
        self.state = machine.start(self.setup.config, self.setup.modes.plan.default, held=held)
        readable, now = True, restart.now
        if stored is not None:
            try:
                self.ordered = MODE_STATE.load(stored)
                self.order(restarted(self.ordered, restart), now)
            except ValueError:
                readable = False
                self.order(lock_down(self.ordered, UNREADABLE), now)
        self.take_mode(now)
        return readable

    def deadline(self, now: Moment) -> float | None:
        """The monotonic time at which ``handle_deadline`` is due."""
        return min(self._deadlines(now), default=None)

    def _deadlines(self, now: Moment) -> Iterator[float]:
        due = machine.deadline(self.state)
        if due is not None:
            yield due
        for line in self._inputs.values():
            settles = debounce.deadline(line)
            if settles is not None:
                yield settles
        if self._mode_edge is not None:
            yield now.monotonic + (self._mode_edge - now.utc).total_seconds()
        ordered = self.ordered.override
        if ordered is not None and ordered.ends is not None:
            yield ordered.ends

    def handle_deadline(self, now: Moment) -> None:
        """Serve every timer that has fallen due."""
        for point in self._inputs:
            self._input(point, None, now)
        edge, ordered = self._mode_edge, self.ordered.override
        if (edge is not None and edge <= now.utc) or (ordered is not None and ordered.over(now)):
            self.take_mode(now)
        due = machine.deadline(self.state)
        if due is not None and due <= now.monotonic:
            self.step(Timer(), now)

    def order(self, ordered: ModeState, now: Moment) -> None:
        """A mode was ordered, or the first person came in: it holds from now on and survives a restart."""
        if ordered == self.ordered:
            return
        self.ordered = ordered
        self._out.state[self.state_name] = MODE_STATE.dump(ordered) if ordered != ModeState() else None
        self.take_mode(now)

    def next_edge(self, now: Moment) -> datetime:
        """When the door's schedule changes next. ``ValueError``: it never does."""
        edge = next_mode_edge(self.setup.modes.plan, self.setup.modes.zone, now.utc)
        if edge is None:
            raise ValueError(f"the door {self.setup.name} has no schedule that changes")
        return edge

    def take_mode(self, now: Moment) -> None:
        """Find the mode that holds now: at each edge, after each order, and after the wall clock was set."""
        self.order(forget_past(self.ordered, now), now)
        found = self._find_mode(now)
        self.factors = found.factors
        self._mode_edge = look_again(self.setup.modes, self.ordered, now)
        before = self.state.mode
        self.step(ModeChanged(found.mode, found.cause), now)
        if self.state.mode is not before:
            for reader in self.setup.readers:
                self.show_rest(reader)

    def _find_mode(self, now: Moment) -> Effective:
        """The mode of this instant; one that would release a second door of an interlock waits, on record."""
        held = self.state.lock is LockState.UNLOCKED
        found = effective(self.setup.modes, self.ordered, now, fire=self._fire, held=held)
        other = None if held or found.mode is not Mode.UNLOCKED else self._interlocked(self)
        if other is None:
            self._waiting = None
            return found
        if self._waiting is None or (found.mode, found.cause) != self._waiting[:2]:
            detail = (("mode", found.mode.value), ("cause", found.cause.value), ("with", other))
            self._out.events.append(Event(EventName.DOOR_MODE_WAITING, self.setup.name, detail=detail))
        self._waiting = (found.mode, found.cause, other)
        return effective(self.setup.modes, self.ordered, now, fire=self._fire, held=held, shut=True)

    @property
    def waits_for(self) -> str | None:
        """The other door that must be shut before this one may take the mode that it is to have."""
        return self._waiting[2] if self._waiting is not None else None

    def try_again(self, now: Moment) -> None:
        """Take the mode that had to wait, if it may be taken now."""
        if self._waiting is not None and self._interlocked(self) is None:
            self.take_mode(now)

    # -------------------------------------------------------------- inputs

    def owns(self, point: Point) -> bool:
        """Whether the input belongs to this door."""
        return point in self._inputs

    def input_changed(self, point: Point, raw: InputState, now: Moment) -> None:
        """A raw level of one of this door's inputs."""
        self._input(point, raw, now)

    def device_lost(self, device: str, now: Moment) -> None:
        """The device stopped answering: what its inputs are must be learnt again. The lock stays as it is."""
        for point, line in self._inputs.items():
            if point.device == device:
                self._inputs[point] = debounce.lost(line)
                if point == _point(self.setup.contact):
                    self.step(ContactRead(Contact.LOST), now)
                elif point == _point(self.setup.rex):
                    self.step(RexRead(Signal.LOST), now)

    def device_back(self, device: str, now: Moment) -> None:
        """The device answers again: if it carries the lock, order its state again."""
        if self.setup.lock.device == device:
            self.step(LockRestored(), now)
        if device in self.setup.readers:
            self.show_rest(device)

    def _input(self, point: Point, raw: InputState | None, now: Moment) -> None:
        self._inputs[point], settled = debounce.step(self._inputs[point], raw, now.monotonic)
        for level in settled:
            contact, rex, fire = self.setup.contact, self.setup.rex, self.setup.fire
            if contact is not None and point == contact.point:
                self.step(ContactRead(contact_of(level.state, contact.sense)), now, level.at)
            elif rex is not None and point == rex.point:
                self.step(RexRead(signal_of(level.state, rex.sense)), now, level.at)
            elif fire is not None and point == fire.point:
                self._fire_changed(signal_of(level.state, fire.sense), now)

    def _fire_changed(self, signal: Signal, now: Moment) -> None:
        """A broken fire line is a fault on record, and neither an alarm nor its end."""
        before, self._fire_line = self._fire_line, signal
        if signal in LINE_FAULTS:
            detail = (("input", "fire"), ("state", LINE_FAULTS[signal].value))
            self._out.events.append(Event(EventName.INPUT_FAULT, self.setup.name, detail=detail))
            return
        if before in LINE_FAULTS:
            self._out.events.append(Event(EventName.INPUT_CLEAR, self.setup.name, detail=(("input", "fire"),)))
        if (signal is Signal.ON) is not self._fire:
            self._fire = signal is Signal.ON
            self.take_mode(now)

    # -------------------------------------------------------------- the machine

    def step(self, event: DoorEvent, now: Moment, at: float | None = None) -> None:
        """One event of the door, and what follows from it; ``at`` where it happened a moment before ``now``."""
        held = self.state.held_alarm
        self.state, effects = machine.step(self.state, event, now.monotonic if at is None else at)
        if self.state.held_alarm is not held:
            self._out.state[self.held_name] = "reported" if self.state.held_alarm else None
        for effect in effects:
            match effect:
                case Unlock(None):
                    self._out.commands.append(SwitchOn(self.setup.lock))
                case Unlock(float() as seconds):
                    self._out.commands.append(Pulse(self.setup.lock, seconds))
                case Lock():
                    self._out.commands.append(SwitchOff(self.setup.lock))
                case RecordEvent(recorded):
                    self._out.events.append(recorded)
                case CountEntry(person, reader):
                    self._entered(self, person, reader, now)

    def show_rest(self, reader: str) -> None:
        """Set the reader's resting light: green where no card is needed, else red."""
        colour = Colour.GREEN if self.state.mode is Mode.UNLOCKED else Colour.RED
        self._out.commands.append(Led(reader, colour))


def _point(line: InputSetup | None) -> Point | None:
    return None if line is None else line.point
