"""The door under everything at once: random events, random time, timers served punctually or late.

The model below knows nothing of the table: it keeps only who gave leave, until when, and what the output does.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cache.model import EventName, Mode, ModeCause
from daemon.config.bounds import Relock
from daemon.doors.door.machine import SHUNT_TAIL, deadline, start, step
from daemon.doors.door.state import (
    Contact,
    ContactRead,
    CountEntry,
    DoorConfig,
    DoorEvent,
    Effect,
    Granted,
    Lock,
    LockRestored,
    ModeChanged,
    OperatorPulse,
    ReaderLink,
    RecordEvent,
    RexRead,
    Signal,
    Tamper,
    Timer,
    Unlock,
)
from daemon.doors.door.table import DoorPosition, LockState, Rex

NEVER = float("-inf")
BARRED = (Mode.BLOCKED, Mode.LOCKDOWN)

configs = st.builds(
    DoorConfig,
    name=st.just("lobby"),
    strike_time=st.sampled_from([1.0, 10.0, 60.0]),
    extended_time=st.sampled_from([0.0, 20.0]),
    held_open_time=st.sampled_from([10.0, 60.0]),
    held_open_warning=st.sampled_from([0.0, 5.0, 9.0]),
    relock=st.sampled_from(Relock),
    has_contact=st.sampled_from([True, True, True, False]),
    rex_release=st.booleans(),
    rex_time=st.sampled_from([1.0, 3.0, 60.0]),
)


class DoorModel(RuleBasedStateMachine):
    """One door and what it must never do."""

    @initialize(config=configs, origin=st.sampled_from([0.0, 1e3, 1e7]))
    def begin(self, config: DoorConfig, origin: float) -> None:
        self.now = origin
        self.state = start(config)
        self.output_until = NEVER  # what the hardware does by itself
        self.granted_until = self.egress_until = self.leave_until = NEVER
        self.counts = dict.fromkeys(EventName, 0)
        self.people = self.entered = 0
        self.strikes: dict[str | None, float] = {}
        self.just_closed = False

    # -------------------------------------------------------------- what happens

    @rule(
        people=st.lists(st.sampled_from(["ann", "bob", "eve"]), min_size=1, max_size=2, unique=True),
        extended=st.booleans(),
    )
    def grant(self, people: list[str], extended: bool) -> None:
        config = self.state.config
        if self.state.mode is not Mode.BLOCKED:
            until = self.now + config.strike_time + (config.extended_time if extended else 0.0)
            self.granted_until = max(self.granted_until, until)
            self.leave_until = max(self.leave_until, until)
            self.people += len(people)
            self.strikes.update(dict.fromkeys(people, until))
        self.send(Granted(tuple(people), "in", extended))

    @rule(seconds=st.sampled_from([None, 0.0, 5.0, 1e9]))
    def pulse(self, seconds: float | None) -> None:
        if self.state.mode not in BARRED:
            until = self.now + (self.state.config.strike_time if seconds is None else seconds)
            until = min(max(until, self.now + 1.0), self.now + self.state.config.longest_release)
            self.granted_until = max(self.granted_until, until)
            self.leave_until = max(self.leave_until, until)
        self.send(OperatorPulse(seconds))

    @rule(signal=st.sampled_from([Signal.ON, Signal.OFF, Signal.ON, Signal.OFF, *Signal]))
    def rex(self, signal: Signal) -> None:
        if signal is Signal.ON and self.state.rex is Rex.IDLE:
            until = self.now + self.state.config.rex_time
            self.leave_until = max(self.leave_until, until)
            self.egress_until = until
        self.send(RexRead(signal))

    @rule(contact=st.sampled_from([Contact.OPEN, Contact.CLOSED, Contact.OPEN, Contact.CLOSED, *Contact]))
    def contact(self, contact: Contact) -> None:
        self.send(ContactRead(contact))

    @rule(mode=st.sampled_from(Mode), cause=st.sampled_from(ModeCause))
    def mode(self, mode: Mode, cause: ModeCause) -> None:
        self.send(ModeChanged(mode, cause))

    @rule()
    def fire_ends(self) -> None:
        self.send(ModeChanged(self.state.mode, ModeCause.DEFAULT))

    @rule()
    def restored(self) -> None:
        self.send(LockRestored())

    @rule(active=st.booleans())
    def device(self, active: bool) -> None:
        self.send(ReaderLink("in", active))
        self.send(Tamper("in", active))

    @rule(seconds=st.floats(0.001, 100.0))
    def punctual(self, seconds: float) -> None:
        """Time passes and the caller serves every timer at its deadline."""
        end = self.now + seconds
        while (due := deadline(self.state)) is not None and due <= end:
            self.now = due
            self.send(Timer())
        self.now = end

    @precondition(lambda self: deadline(self.state) is not None)
    @rule()
    def to_the_deadline(self) -> None:
        due = deadline(self.state)
        assert due is not None
        self.now = due
        self.send(Timer())

    @rule(seconds=st.floats(0.001, 100.0))
    def late(self, seconds: float) -> None:
        """Time passes and the caller was held up: it serves the timers afterwards, all in one."""
        self.now += seconds
        self.send(Timer())

    # -------------------------------------------------------------- what must hold

    def send(self, event: DoorEvent) -> None:
        before = self.state
        self.state, effects = step(self.state, event, self.now)
        for effect in effects:
            self.take(effect, before.opening is DoorPosition.UNKNOWN)
        self.after(event, before)

    def after(self, event: DoorEvent, before: Any) -> None:
        """Leave ends with a door that closes and locks, and when the mode takes it away."""
        if isinstance(event, ModeChanged) and event.cause is not ModeCause.FIRE:
            anew = before.mode not in BARRED or before.cause is ModeCause.FIRE
            if event.mode in BARRED and anew:
                self.granted_until = NEVER
                self.leave_until = min(self.leave_until, max(self.egress_until, self.now))
        if isinstance(event, LockRestored) and not self.state.released:
            self.granted_until = self.egress_until = NEVER
        if self.just_closed and not self.state.released:
            self.leave_until = NEVER
        self.just_closed = False

    def take(self, effect: Effect, found: bool) -> None:
        match effect:
            case Unlock(None):
                assert self.state.free
                self.output_until = float("inf")
            case Unlock(float() as seconds):
                assert 0 < seconds <= self.state.config.longest_release + 1e-6
                self.output_until = self.now + seconds
            case Lock():
                self.output_until = NEVER
            case CountEntry():
                self.entered += 1
                assert self.entered <= self.people
            case RecordEvent(event):
                self.counts[event.name] += 1
                self.heard(event.name, found)
                if event.name is EventName.ACCESS_TAKEN:
                    assert self.now < self.strikes[event.person] + SHUNT_TAIL, "taken by a grant that had run out"

    def heard(self, name: EventName, found: bool) -> None:
        match name:
            case EventName.DOOR_FORCED:
                assert not found
                assert self.now >= self.leave_until, "forced inside a shunt"
                assert self.state.rex is not Rex.ACTIVE
                assert not self.state.free
            case EventName.DOOR_CLOSED:
                self.just_closed = True
            case EventName.DOOR_HELD:
                assert self.counts[EventName.DOOR_HELD] <= self.counts[EventName.DOOR_OPENED]

    @invariant()
    def deadlines_lie_ahead(self) -> None:
        due = deadline(self.state)
        assert due is None or due > self.now

    @invariant()
    def the_output_is_what_the_door_thinks(self) -> None:
        """Also with hardware that times out by itself: neither outlives the other."""
        assert self.state.released is (self.output_until > self.now)

    @invariant()
    def every_release_has_its_pair_of_events(self) -> None:
        difference = self.counts[EventName.DOOR_RELEASED] - self.counts[EventName.DOOR_LOCKED]
        assert difference == int(self.state.released)

    @invariant()
    def released_only_with_leave(self) -> None:
        if self.state.released and self.state.cause is not ModeCause.FIRE and self.state.mode is not Mode.UNLOCKED:
            egress = self.egress_until if self.state.config.rex_release else NEVER
            assert self.now < max(self.granted_until, egress)

    @invariant()
    def alarms_are_one_for_one_opening(self) -> None:
        held = self.counts[EventName.DOOR_HELD] - self.counts[EventName.DOOR_HELD_CLEAR]
        assert held == int(self.state.opening is DoorPosition.HELD)
        opened = self.counts[EventName.DOOR_OPENED] - self.counts[EventName.DOOR_CLOSED]
        assert opened == int(self.state.is_open)

    @invariant()
    def an_open_door_that_nobody_may_open_is_watched(self) -> None:
        if self.state.opening in (DoorPosition.OPEN, DoorPosition.WARNED):
            assert self.state.held_at is not None
        assert (self.state.opening is DoorPosition.FREE) <= self.state.free

    @invariant()
    def at_a_door_held_unlocked_there_is_no_strike(self) -> None:
        assert self.state.lock is not LockState.UNLOCKED or not self.state.passages

    @invariant()
    def nobody_waits_for_ever(self) -> None:
        assert bool(self.state.passages) == (self.state.access_until is not None)
        longest = self.now + self.state.config.longest_release + SHUNT_TAIL + 1e-6
        assert self.state.shunt_until is None or self.state.shunt_until <= longest


@pytest.mark.timeout(120)
def test_the_door_holds_its_invariants() -> None:
    run_state_machine_as_test(
        DoorModel, settings=settings(deadline=None, max_examples=120, stateful_step_count=40, print_blob=True)
    )
