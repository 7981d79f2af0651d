"""A whole controller under random days: cards, PINs, doors, orders, fire, restarts, and clocks that jump.

What must hold at every instant: a lock is released only with leave, never longer than the longest time allowed, in
lockdown and blocked mode by nobody but the exempt and egress, each release on record; nobody who was let through
sets off a forced alarm; and what was ordered survives every restart.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from cache.model import ClockQuality, Event, EventName, Freshness, Mode, ModeCause
from daemon.doors.controller.effects import Effects
from daemon.doors.controller.orders import DoorAction
from daemon.doors.door.modes import forget_past
from daemon.doors.door.table import DoorPosition
from drivers.events import DeviceOffline, DeviceOnline, InputState, Pulse, SwitchOn
from tests.daemon.doors.controller.bench import OFF_FOR_EVER, PEOPLE, Bench, rules, whole

DOORS = tuple(rules().doors)
CONTACTS = {"lobby": "in1", "vault": "in3", "lab": "in4"}
BARRED = (Mode.BLOCKED, Mode.LOCKDOWN)
SECOND = timedelta(seconds=1)

people = st.sampled_from([*PEOPLE, "nobody"])
readers = st.sampled_from(["lobby-in", "lobby-out", "vault-in", "lab-in", "spare"])
doors = st.sampled_from(DOORS)
times = st.sampled_from([0.02, 0.4, 3.0, 5.0, 9.9, 15.0, 61.0]) | st.floats(0.001, 90.0)


class Watched(Bench):
    """A bench on which every command is looked at as it goes out."""

    def take(self, effects: Effects) -> Effects:
        """Check how long locks are released, then do it."""
        longest = {str(setup.lock): setup.config.longest_release for setup in rules().doors.values()}
        for command in effects.commands:
            if isinstance(command, Pulse):
                assert 0.0 < command.seconds <= longest[str(command.point)] + 1e-6
            elif isinstance(command, SwitchOn):
                door = next(setup for setup in rules().doors.values() if setup.lock == command.point)
                assert self.controller.doors[door.name].state.mode is Mode.UNLOCKED
        return super().take(effects)


class ControllerModel(RuleBasedStateMachine):
    """One controller, what happens to it, and what it must never do."""

    @initialize()
    def begin(self) -> None:
        self.bench = Watched()
        self.seen = 0
        self.leave = dict.fromkeys(DOORS, OFF_FOR_EVER)
        self.shunt = dict.fromkeys(DOORS, OFF_FOR_EVER)
        self.counts: Counter[tuple[str, EventName]] = Counter()

    # -------------------------------------------------------------- what happens

    @rule(name=people, reader=readers)
    def badge(self, name: str, reader: str) -> None:
        before = {door: self.bench.released(door) for door in DOORS}
        effects = self.bench.badge(name, reader)
        granted = [event.door for event in effects.events if event.name is EventName.ACCESS_GRANTED]
        for door in DOORS:
            assert before[door] or not self.bench.released(door) or door in granted
        self.look()

    @rule(reader=readers, keys=st.sampled_from(["1111", "1112", "4444", "5555", "99999999", "99", "*", "#"]))
    def keys(self, reader: str, keys: str) -> None:
        self.bench.keys(keys, reader)
        self.look()

    @rule(door=doors, state=st.sampled_from([InputState.ON, InputState.OFF, InputState.ON, InputState.SHORT]))
    def contact(self, door: str, state: InputState) -> None:
        self.bench.raw(CONTACTS[door], state)
        self.look()

    @rule(on=st.booleans())
    def rex(self, on: bool) -> None:
        until = self.bench.monotonic + 0.1 + rules().doors["lobby"].config.rex_time
        self.leave["lobby"] = max(self.leave["lobby"], until) if on else self.leave["lobby"]
        self.bench.line("in2", on=on)
        self.look()

    @rule(state=st.sampled_from([InputState.ON, InputState.OFF, InputState.OFF, InputState.OPEN]))
    def fire(self, state: InputState) -> None:
        self.bench.raw("in8", state)
        self.look()

    @rule(action=st.sampled_from(DoorAction), door=doors, length=st.sampled_from([None, 0.0, 7.0, 1e9]))
    def order(self, action: DoorAction, door: str, length: float | None) -> None:
        pulse = action is DoorAction.PULSE
        until = None if length is None or pulse else self.bench.utc + timedelta(seconds=min(length, 3600.0))
        if pulse and self.bench.controller.doors[door].state.mode not in BARRED:
            self.leave[door] = max(self.leave[door], self.bench.monotonic + self.longest(door))
            self.shunt[door] = max(self.shunt[door], self.bench.monotonic + 1.0)
        self.bench.order(action, door, until=until, seconds=length if pulse else None)
        self.look()

    @rule(device=st.sampled_from(["main", "lobby-in", "vault-in"]), online=st.booleans())
    def device(self, device: str, online: bool) -> None:
        at = self.bench.monotonic
        self.bench.send(DeviceOnline(device, at) if online else DeviceOffline(device, at, "no answer"))
        self.look()

    @rule(seconds=times)
    def punctual(self, seconds: float) -> None:
        self.bench.wait(seconds)
        self.look()

    @rule(seconds=times)
    def late(self, seconds: float) -> None:
        """The loop was held up: the timers are served afterwards, all at once."""
        self.bench.pass_time(seconds)
        self.bench.wait(0.0)
        self.look()

    @rule(hours=st.integers(1, 30))
    def hours(self, hours: int) -> None:
        self.bench.wait(3600.0 * hours)
        self.look()

    @rule(seconds=st.sampled_from([-86400.0, -3600.0, -3.0, 3.0, 3600.0, 86400.0]))
    def jump(self, seconds: float) -> None:
        """The wall clock is set; the monotonic one knows nothing of it."""
        self.bench.utc += timedelta(seconds=seconds)
        self.bench.wait(0.0)
        assert any(event.name is EventName.CLOCK_JUMP for event in self.bench.events[self.seen :])
        self.look()

    @rule(quality=st.sampled_from(ClockQuality))
    def quality(self, quality: ClockQuality) -> None:
        self.bench.quality = quality
        self.bench.wait(0.0)
        self.look()

    @rule(broken=st.booleans(), age=st.sampled_from([0.0, 4000.0, 4e6]))
    def cache(self, broken: bool, age: float) -> None:
        bench = self.bench
        bench.broken = broken
        bench.freshness = Freshness(bench.freshness.generation + 1, bench.utc - timedelta(seconds=age))
        bench.take(bench.controller.watch_cache(bench.freshness, bench.now))
        self.look()

    @rule()
    def restart(self) -> None:
        """Killed and started again, at once: every lock is off, and what was ordered holds."""
        bench, old = self.bench, self.bench.controller
        bench.start()
        self.counts.clear()
        self.leave = dict.fromkeys(DOORS, OFF_FOR_EVER)
        self.shunt = dict.fromkeys(DOORS, OFF_FOR_EVER)
        new = bench.controller
        for door in DOORS:
            kept = forget_past(old.doors[door].ordered, bench.now)
            assert forget_past(new.doors[door].ordered, bench.now) == kept
        assert whole(new.site_state.space.positions) == whole(old.site_state.space.positions)
        for reader, entry in new.readers.items():
            assert entry.pins_refused_until(bench.now) == old.readers[reader].pins_refused_until(bench.now)
        self.look()
        for line in (*CONTACTS.values(), "in2", "in8"):
            bench.raw(line, InputState.ON if line in CONTACTS.values() else InputState.OFF)
        self.look()

    # -------------------------------------------------------------- what must hold

    def longest(self, door: str) -> float:
        return rules().doors[door].config.longest_release

    def look(self) -> None:
        """Go through what was recorded since the last time."""
        for event in self.bench.events[self.seen :]:
            self.heard(event)
        self.seen = len(self.bench.events)

    def heard(self, event: Event) -> None:
        now, door = self.bench.monotonic, event.door
        if event.name in (EventName.ACCESS_GRANTED, EventName.ACCESS_DENIED):
            assert event.trace
            assert event.trace[-1].passed is (event.name is EventName.ACCESS_GRANTED)
        if door is None:
            return
        self.counts[door, event.name] += 1
        mode = self.bench.controller.doors[door].state.mode
        match event.name:
            case EventName.ACCESS_GRANTED:
                assert event.person is not None
                assert mode is not Mode.BLOCKED
                exempt = rules().doors[door].rules.lockdown_exempt
                assert mode is not Mode.LOCKDOWN or exempt & set(PEOPLE[event.person].groups)
                self.leave[door] = max(self.leave[door], now + self.longest(door))
                self.shunt[door] = max(self.shunt[door], now + rules().doors[door].config.strike_time)
            case EventName.REX:
                self.shunt[door] = max(self.shunt[door], now - 0.05 + rules().doors[door].config.rex_time)
            case EventName.DOOR_CLOSED if not self.bench.released(door):
                self.shunt[door] = OFF_FOR_EVER
            case EventName.DOOR_FORCED:
                assert self.bench.controller.doors[door].state.opening is DoorPosition.FORCED
                assert not self.bench.released(door)
                assert now >= self.shunt[door], "forced inside a shunt"
            case EventName.DOOR_MODE if mode in BARRED:
                egress = self.bench.controller.doors[door].state.egress_until
                self.leave[door] = self.shunt[door] = OFF_FOR_EVER if egress is None else egress

    @invariant()
    def the_output_is_what_the_door_thinks(self) -> None:
        for door, unit in self.bench.controller.doors.items():
            assert unit.state.released is self.bench.released(door), door

    @invariant()
    def released_only_with_leave(self) -> None:
        for door, unit in self.bench.controller.doors.items():
            free = unit.state.mode is Mode.UNLOCKED or unit.state.cause is ModeCause.FIRE
            if self.bench.released(door) and not free:
                assert self.bench.monotonic < self.leave[door], door

    @invariant()
    def every_release_is_on_record(self) -> None:
        for door in DOORS:
            difference = self.counts[door, EventName.DOOR_RELEASED] - self.counts[door, EventName.DOOR_LOCKED]
            assert difference == int(self.bench.released(door)), door

    @invariant()
    def nothing_that_is_due_is_left(self) -> None:
        due = self.bench.controller.deadline(self.bench.now)
        assert due is None or due > self.bench.monotonic - 1e-6

    @invariant()
    def everybody_is_counted_once(self) -> None:
        space = self.bench.controller.site_state.space
        assert space.occupancy("office") == sum(at.area == "office" for at in space.positions.values())


def attack(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        ControllerModel,
        settings=settings(deadline=None, max_examples=examples, stateful_step_count=steps, print_blob=True),
    )


@pytest.mark.timeout(120)
def test_a_controller_holds_its_invariants() -> None:
    attack(examples=30, steps=30)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_controller_holds_its_invariants_for_long() -> None:
    attack(examples=300, steps=60)
