"""One door as a pure state machine: events and time in, effects out. The transitions stand in table.py.

Times are monotonic seconds and handed in; nothing here waits, reads a clock or raises for what a door does.
A grant is believed: who may pass was decided before (daemon/decision/decide.py). Egress is never refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from operator import attrgetter

from cache.model import DetailValue, Event, EventName, Mode, ModeCause
from daemon.config.bounds import Relock
from daemon.doors.door import table
from daemon.doors.door.state import (
    BARRED,
    LINE_FAULTS,
    Contact,
    ContactRead,
    CountEntry,
    DoorConfig,
    DoorEvent,
    DoorState,
    Effect,
    Granted,
    Lock,
    LockRestored,
    ModeChanged,
    OperatorPulse,
    Passage,
    ReaderLink,
    RecordEvent,
    RexRead,
    Signal,
    Tamper,
    Timer,
    Unlock,
)
from daemon.doors.door.table import Access, ContactLine, Do, DoorPosition, LockState, Rex, Row, S, Trigger

SHUNT_TAIL = 0.5
"""Seconds by which the shunt outlives a release: a door pulled in its last instant is seen only after the
debounce time and the board's polling, and is not forced."""

_TIMERS = ("lock_until", "access_until", "egress_until", "shunt_until", "warn_at", "held_at")
"""Every timer, in the order in which those that end at the same instant are served."""

_NOT_SEEN = (DoorPosition.UNKNOWN, DoorPosition.LEFT_HELD)
"""The contact was not read since the start."""

_timers_of: Callable[[DoorState], tuple[float | None, ...]] = attrgetter(*_TIMERS)


def start(config: DoorConfig, mode: Mode = Mode.LOCKED, *, held: bool = False) -> DoorState:
    """A door as latchd finds it: locked, nothing read yet, in its default ``mode`` until ``ModeChanged``.

    ``held``: a held alarm was reported before the start, and its end was not.
    """
    return DoorState(config, mode, opening=DoorPosition.LEFT_HELD if held else DoorPosition.UNKNOWN)


def deadline(state: DoorState) -> float | None:
    """When the next ``Timer`` is due; after a step always later than its ``now``."""
    return min((at for at in _timers_of(state) if at is not None), default=None)


def step(state: DoorState, event: DoorEvent, now: float) -> tuple[DoorState, tuple[Effect, ...]]:
    """What ``event`` at ``now`` makes of the door. Timers that fell due before are served first, in order."""
    turn = _Turn(state)
    while (due := deadline(turn.state)) is not None and due <= now:
        turn.timer(due)
    turn.event(event, now)
    return turn.state, tuple(turn.effects)


class _Turn:
    """One step at work: the state so far and the effects in order."""

    def __init__(self, state: DoorState) -> None:
        self.state = state
        self.effects: list[Effect] = []
        self.fault = ""
        self.whom: tuple[Passage, ...] = ()

    # -------------------------------------------------------------- time

    def timer(self, due: float) -> None:
        """Serve the first of the timers that end at ``due``."""
        name = _TIMERS[_timers_of(self.state).index(due)]
        self._set(**{name: None})
        match name:
            case "lock_until":
                self._lock(Trigger.TIME_OVER, due)
            case "access_until":
                self._access_over(due)
            case "warn_at":
                self._opening(Trigger.WARN, due)
            case "held_at":
                self._set(warn_at=None)
                self._opening(Trigger.OVERDUE, due)
            case _:  # egress_until and shunt_until only end
                pass

    def _access_over(self, now: float) -> None:
        """Strike times are over, or what is left of the last instant behind them: each grant has its own."""
        gone = tuple(p for p in self.state.passages if p.lapsed and p.until <= now)
        self._passages(p for p in self.state.passages if p not in gone)
        if any(not p.lapsed and p.until <= now for p in self.state.passages):
            self._lapse(now)
        if gone and not self.state.passages:
            self._access(Trigger.FORGET, now)

    def _lapse(self, now: float) -> None:
        """The strike times that are over by ``now``, and the door was not seen to open in them."""
        self.whom = tuple(p for p in self.state.passages if not p.lapsed and p.until <= now)
        rest = tuple(p for p in self.state.passages if p not in self.whom)
        if self.state.sense is not ContactLine.READ:
            self.whom = tuple(p for p in self.state.passages if not p.lapsed)
            self._access(Trigger.LAPSED_BLIND, now)
            self._passages(())
            return
        waiting = any(not p.lapsed for p in rest)
        self._access(Trigger.LAPSED_ONE if waiting else Trigger.LAPSED, now)
        late = (replace(p, until=now + SHUNT_TAIL, lapsed=True) for p in self.whom)
        self._passages((*rest, *late))

    def _passages(self, passages: Iterable[Passage]) -> None:
        """Who may still go through; the first of their times is the timer."""
        waiting = tuple(passages)
        self._set(passages=waiting, access_until=min((p.until for p in waiting), default=None))

    # -------------------------------------------------------------- events

    def event(self, event: DoorEvent, now: float) -> None:
        """Find out what the event is to each region, in a fixed order."""
        match event:
            case Granted():
                self._granted(event, now)
            case OperatorPulse(seconds):
                if self.state.mode not in BARRED:
                    self._release(self._pulse_time(seconds), now)
            case ContactRead(contact):
                self._contact_read(contact, now)
            case RexRead(signal):
                self._rex_read(signal, now)
            case ModeChanged(mode, cause):
                self._mode_changed(mode, cause, now)
            case ReaderLink(reader, online):
                self._reader_link(reader, online)
            case LockRestored():
                self._lock(Trigger.RESTORED, now)
            case Tamper(device, active):
                self._tamper(device, active)
            case Timer():
                pass

    def _granted(self, event: Granted, now: float) -> None:
        config = self.state.config
        if self.state.mode is Mode.BLOCKED:
            return
        seconds = config.strike_time + (config.extended_time if event.extended else 0.0)
        held = self.state.lock is LockState.UNLOCKED
        self._release(seconds, now)
        self.whom = tuple(Passage(person, event.reader, now + seconds) for person in event.people)
        earlier = tuple(p for p in self.state.passages if p.person not in event.people)
        if held:
            self._access(Trigger.GRANT_FREE, now)
        elif not config.has_contact or self.state.sense is not ContactLine.READ:
            self.whom = tuple(p for p in earlier if not p.lapsed) + self.whom
            self._access(Trigger.GRANT_BLIND, now)
            self._passages(())
        elif self.state.is_open:
            self._access(Trigger.GRANT_OPEN, now)
        else:
            self._access(Trigger.GRANT, now)
            self._passages((*earlier, *self.whom))

    def _pulse_time(self, seconds: float | None) -> float:
        config = self.state.config
        return config.strike_time if seconds is None else min(max(seconds, 1.0), config.longest_release)

    def _release(self, seconds: float, now: float) -> None:
        until = now + seconds
        self._set(shunt_until=_later(self.state.shunt_until, until + SHUNT_TAIL))
        if self.state.lock is not LockState.UNLOCKED:
            self._set(lock_until=_later(self.state.lock_until, until))
        self._lock(Trigger.GRANT, now)
        self._opening(Trigger.GRANT, now)

    def _rex_read(self, signal: Signal, now: float) -> None:
        before = self.state.rex_line
        self._set(rex_line=signal)
        if signal is before:
            return
        match signal:
            case Signal.ON:
                request = self.state.rex is Rex.IDLE
                self._rex(Trigger.ON, now)
                if request:
                    self._egress(now)
            case Signal.OFF:
                if self.state.rex is Rex.ACTIVE:
                    self._set(shunt_until=_later(self.state.shunt_until, now + SHUNT_TAIL))
                self._rex(Trigger.OFF, now)
            case Signal.LOST:
                self._rex(Trigger.LOST, now)
            case Signal.SHORT | Signal.LINE_OPEN:
                self.fault = LINE_FAULTS[signal].value
                self._rex(Trigger.FAULT, now)

    def _egress(self, now: float) -> None:
        config = self.state.config
        until = now + config.rex_time
        self._set(egress_until=until, shunt_until=_later(self.state.shunt_until, until + SHUNT_TAIL))
        if not config.rex_release:
            return
        if self.state.lock is not LockState.UNLOCKED:
            self._set(lock_until=_later(self.state.lock_until, until))
        self._lock(Trigger.EGRESS, now)

    def _contact_read(self, contact: Contact, now: float) -> None:
        before = self.state.contact
        if not self.state.config.has_contact or contact is before:
            return
        self._set(contact=contact)
        match contact:
            case Contact.SHORT | Contact.LINE_OPEN:
                self.fault = LINE_FAULTS[contact].value
                self._sense(Trigger.FAULT, now)
            case Contact.LOST:
                self._sense(Trigger.LOST, now)
            case Contact.CLOSED:
                self._sense(Trigger.READ, now)
                self._closed(now)
            case Contact.OPEN:
                self._sense(Trigger.READ, now)
                self._opened(now)

    def _opened(self, now: float) -> None:
        state = self.state
        if state.is_open:
            return
        if state.opening in _NOT_SEEN:
            self._opening(Trigger.FOUND_FREE if state.free else Trigger.FOUND_OPEN, now)
        elif state.free:
            self._opening(Trigger.OPEN_FREE, now)
        elif state.shunted:
            self._opening(Trigger.OPEN_ALLOWED, now)
        else:
            self._opening(Trigger.OPEN_FORCED, now)
        running = tuple(p for p in state.passages if not p.lapsed)
        self.whom = running or state.passages
        self._access(Trigger.OPENED, now)
        self._passages(())
        if state.config.relock is Relock.ON_OPEN:
            self._lock(Trigger.RELOCK, now)

    def _closed(self, now: float) -> None:
        if self.state.opening in _NOT_SEEN:
            self._opening(Trigger.FOUND_CLOSED, now)
            return
        if not self.state.is_open:
            return
        self._opening(Trigger.CLOSED, now)
        if self.state.config.relock is not Relock.ON_TIME:
            self._lock(Trigger.RELOCK, now)
        if not self.state.released:
            self._set(shunt_until=None, egress_until=None)

    def _mode_changed(self, mode: Mode, cause: ModeCause, now: float) -> None:
        old = self.state
        self._set(mode=mode, cause=cause)
        if mode is not old.mode or (cause is ModeCause.FIRE) is not (old.cause is ModeCause.FIRE):
            self._record(EventName.DOOR_MODE, mode=mode.value, cause=cause.value)
        if mode is Mode.UNLOCKED:
            self._set(lock_until=None)
            if old.lock is not LockState.UNLOCKED:
                self._lock(Trigger.UNLOCK, now)
                self.whom = tuple(p for p in self.state.passages if not p.lapsed)
                self._access(Trigger.HELD_FREE, now)
                self._passages(())
        elif cause is not ModeCause.FIRE and (old.lock is LockState.UNLOCKED or self._barred_anew(old)):
            self._withdraw(now)
        if self.state.free and not old.free:
            self._opening(Trigger.FREED, now)
        elif old.free and not self.state.free:
            self._opening(Trigger.GUARDED, now)

    def _barred_anew(self, old: DoorState) -> bool:
        """Whether blocked or lockdown mode takes hold now; a fire alarm held it off."""
        return self.state.mode in BARRED and (old.mode is not self.state.mode or old.cause is ModeCause.FIRE)

    def _withdraw(self, now: float) -> None:
        """The mode takes a release away; what a REX asked for runs on."""
        if self.state.lock is LockState.LOCKED:
            return
        egress = self.state.egress_until
        releasing = egress is not None and self.state.config.rex_release
        self._set(lock_until=egress, shunt_until=(now if egress is None else egress) + SHUNT_TAIL)
        self._lock(Trigger.WITHDRAWN_EGRESS if releasing else Trigger.WITHDRAWN, now)
        if self.state.access is Access.PENDING and not self.state.released:
            self._passages(p if p.lapsed else replace(p, until=now) for p in self.state.passages)
            self._lapse(now)

    def _reader_link(self, reader: str, online: bool) -> None:
        if online is (reader not in self.state.offline):
            return
        self._set(offline=self.state.offline - {reader} if online else self.state.offline | {reader})
        self._record(EventName.READER_ONLINE if online else EventName.READER_OFFLINE, reader=reader)

    def _tamper(self, device: str, active: bool) -> None:
        if active is (device in self.state.tampered):
            return
        self._set(tampered=self.state.tampered | {device} if active else self.state.tampered - {device})
        self._record(EventName.TAMPER_ON if active else EventName.TAMPER_OFF, reader=device)

    # -------------------------------------------------------------- rows

    def _lock(self, trigger: Trigger, now: float) -> None:
        if (row := table.LOCK.get((self.state.lock, trigger))) is not None:
            self._set(lock=row.target)
            self._act(row, now)

    def _opening(self, trigger: Trigger, now: float) -> None:
        if (row := table.OPENING.get((self.state.opening, trigger))) is not None:
            self._set(opening=row.target)
            self._act(row, now)

    def _access(self, trigger: Trigger, now: float) -> None:
        if (row := table.ACCESS.get((self.state.access, trigger))) is not None:
            self._set(access=row.target)
            self._act(row, now)

    def _sense(self, trigger: Trigger, now: float) -> None:
        if (row := table.SENSE.get((self.state.sense, trigger))) is not None:
            self._set(sense=row.target)
            self._act(row, now, "contact")

    def _rex(self, trigger: Trigger, now: float) -> None:
        if (row := table.REX.get((self.state.rex, trigger))) is not None:
            self._set(rex=row.target)
            self._act(row, now, "rex")

    def _act(self, row: Row[S], now: float, line: str = "") -> None:
        for action in row.actions:
            if isinstance(action, EventName):
                self._record_row(action, row.trigger, line)
            else:
                self._do(action, now)

    def _do(self, action: Do, now: float) -> None:
        state = self.state
        match action:
            case Do.RELEASE:
                assert state.lock_until is not None, "a timed release has an end"
                self.effects.append(Unlock(state.lock_until - now))
            case Do.HOLD:
                self.effects.append(Unlock(None))
            case Do.RELOCK:
                self._set(lock_until=None, egress_until=None)
                self.effects.append(Lock())
            case Do.TIME_OPENING:
                held_at = now + state.config.held_open_time
                warning = state.config.held_open_warning
                self._set(held_at=held_at, warn_at=held_at - warning if warning else None)
            case Do.STOP_TIMING:
                self._set(held_at=None, warn_at=None)
            case Do.COUNT:
                self.effects += [CountEntry(p.person, p.reader) for p in self.whom]

    def _record_row(self, name: EventName, trigger: Trigger, line: str) -> None:
        """RecordEvent one event of a row, with the particulars that this kind has."""
        match name:
            case EventName.ACCESS_TAKEN | EventName.ACCESS_NOT_TAKEN:
                for passage in self.whom:
                    self._record(name, reader=passage.reader, person=passage.person)
            case EventName.INPUT_FAULT:
                self._record(name, input=line, state=self.fault)
            case EventName.INPUT_CLEAR:
                self._record(name, input=line)
            case EventName.DOOR_OPENED if trigger in (Trigger.FOUND_OPEN, Trigger.FOUND_FREE):
                self._record(name, found=True)
            case _:
                self._record(name)

    def _record(
        self, name: EventName, reader: str | None = None, person: str | None = None, **detail: DetailValue
    ) -> None:
        door = self.state.config.name
        self.effects.append(RecordEvent(Event(name, door, reader, person, detail=tuple(detail.items()))))

    def _set(self, **changes: object) -> None:
        self.state = replace(self.state, **changes)  # type: ignore[arg-type]  # mypy has no Unpack of fields


def _later(one: float | None, other: float) -> float:
    return other if one is None else max(one, other)
