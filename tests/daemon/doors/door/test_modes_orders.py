"""Modes: overrides for a time, what is beneath a lockdown, interlocks, and the window of the first person."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from cache.model import Interval, Mode, ModeCause, Schedule
from daemon.decision.door_rules import DoorException, DoorSchedule, ModeWindow
from daemon.doors.door import modes
from daemon.doors.door.elapsed import Restart
from daemon.doors.door.modes import Effective, FirstIn, ModeState, Override, Toggle, effective, look_again
from tests.daemon.doors.door.test_modes import BOSS, EVENING, NIGHT, NOON, OFFICE, OPEN_HOURS, STAFF, at, plan, utc

# ------------------------------------------------------------------ overrides for a time


@pytest.mark.parametrize("clock", ["2026-03-02T07:00", "2026-03-02T12:00", "2026-03-05T12:00"])
def test_an_override_for_a_time_takes_no_notice_of_the_wall_clock(clock: str) -> None:
    door = plan()
    state = modes.override_for(ModeState(), Mode.UNLOCKED, BOSS, 3600.0, at(NOON, monotonic=500.0))
    assert effective(door, state, at(clock, monotonic=4099.9)).mode is Mode.UNLOCKED
    assert modes.forget_past(state, at(clock, monotonic=4099.9)) == state
    assert effective(door, state, at(clock, monotonic=4100.0)).mode is Mode.LOCKED
    assert modes.forget_past(state, at(clock, monotonic=4100.0)) == ModeState()
    assert look_again(door, state, at(clock, monotonic=600.0)) is None
    assert state.override is not None
    assert state.override.ends == 4100.0
    assert state.override.end(at(clock, monotonic=500.0)) == utc(clock) + timedelta(hours=1)


def test_an_override_until_an_edge_has_no_monotonic_end() -> None:
    order = Override(Mode.LOCKED, BOSS, utc(EVENING))
    assert order.ends is None
    assert order.end(at(NOON)) == utc(EVENING)


def test_an_override_for_a_time_ends_a_double_badge_and_is_no_lockdown() -> None:
    state = ModeState(toggle=Toggle(Mode.UNLOCKED, "ann", utc(EVENING)))
    assert modes.override_for(state, Mode.LOCKED, BOSS, 60.0, at(NOON)).toggle is None
    with pytest.raises(ValueError, match="lock_down"):
        modes.override_for(ModeState(), Mode.LOCKDOWN, BOSS, 60.0, at(NOON))


@pytest.mark.parametrize(("mode", "left"), [(Mode.UNLOCKED, 600.0), (Mode.LOCKED, 3000.0), (Mode.BLOCKED, 3000.0)])
def test_over_a_restart_an_override_has_left_what_gives_less_access(mode: Mode, left: float) -> None:
    """50 minutes by the wall clock, 10 by the monotonic one: unlocked soon ends, locked does not."""
    state = modes.override_for(ModeState(), mode, BOSS, 3600.0, at(NOON, monotonic=500.0))
    after = modes.restarted(state, Restart(at("2026-03-02T12:50", monotonic=70.0), 1100.0))
    assert after.override is not None
    assert after.override.ends == pytest.approx(70.0 + left)


def test_over_a_restart_everything_else_stays_as_it_was() -> None:
    state = ModeState(BOSS, Override(Mode.LOCKED, BOSS, utc(EVENING)), first_in=FirstIn("ann", utc(NOON), None))
    assert modes.restarted(state, Restart(at(EVENING), None)) == state
    assert modes.restarted(ModeState(BOSS), Restart(at(EVENING), None)) == ModeState(BOSS)


# ------------------------------------------------------------------ what is beneath a lockdown


@pytest.mark.parametrize(
    ("schedules", "default", "asks"),
    [
        ((), Mode.LOCKED, Mode.LOCKED),
        ((), Mode.CARD_AND_PIN, Mode.CARD_AND_PIN),
        ((), Mode.BLOCKED, Mode.BLOCKED),
        ((), Mode.UNLOCKED, Mode.LOCKED),
        ((Mode.CARD_AND_PIN,), Mode.LOCKED, Mode.CARD_AND_PIN),
        ((Mode.BLOCKED,), Mode.LOCKED, Mode.BLOCKED),
        ((Mode.UNLOCKED,), Mode.LOCKED, Mode.LOCKED),
        ((Mode.UNLOCKED,), Mode.CARD_AND_PIN, Mode.CARD_AND_PIN),
        ((Mode.LOCKED,), Mode.CARD_AND_PIN, Mode.LOCKED),
    ],
)
def test_a_lockdown_asks_what_the_mode_beneath_it_asks(
    schedules: tuple[Mode, ...], default: Mode, asks: Mode
) -> None:
    door = plan(*(DoorSchedule(OFFICE, mode) for mode in schedules), default=default)
    found = effective(door, modes.lock_down(ModeState(), BOSS), at(NOON))
    assert (found.mode, found.factors) == (Mode.LOCKDOWN, asks)


@pytest.mark.parametrize("mode", [Mode.BLOCKED, Mode.LOCKED, Mode.UNLOCKED])
def test_a_lockdown_asks_what_an_override_beneath_it_asks(mode: Mode) -> None:
    state = modes.lock_down(modes.override(ModeState(), mode, BOSS, None), BOSS)
    door = plan(DoorSchedule(OFFICE, Mode.CARD_AND_PIN))
    assert effective(door, state, at(NOON)).factors is (Mode.LOCKED if mode is Mode.UNLOCKED else mode)


def test_without_a_lockdown_the_mode_itself_says_what_is_asked() -> None:
    assert effective(plan(), ModeState(), at(NOON)).factors is Mode.LOCKED
    assert effective(plan(OPEN_HOURS), ModeState(), at(NOON)).factors is Mode.UNLOCKED


# ------------------------------------------------------------------ shut by an interlock


def test_what_would_unlock_a_door_that_is_kept_shut_is_left_out() -> None:
    secret = DoorSchedule(OFFICE, Mode.CARD_AND_PIN)
    unlocked = modes.override(ModeState(), Mode.UNLOCKED, BOSS, None)
    doubled = ModeState(toggle=Toggle(Mode.UNLOCKED, "ann", utc(EVENING)))
    for state in (unlocked, doubled):
        found = effective(plan(secret), state, at(NOON), shut=True)
        assert found == Effective(Mode.CARD_AND_PIN, ModeCause.SCHEDULE, "office")
        assert effective(plan(OPEN_HOURS), state, at(NOON), shut=True) == Effective(Mode.LOCKED, ModeCause.DEFAULT)
    careful = plan(OPEN_HOURS, default=Mode.CARD_AND_PIN)
    assert effective(careful, ModeState(), at(NOON), shut=True).mode is Mode.CARD_AND_PIN
    assert effective(plan(default=Mode.UNLOCKED), ModeState(), at(NOON), shut=True).mode is Mode.LOCKED


def test_what_locks_a_door_is_not_left_out() -> None:
    for mode in (Mode.LOCKED, Mode.BLOCKED):
        state = modes.override(ModeState(), mode, BOSS, None)
        assert effective(plan(OPEN_HOURS), state, at(NOON), shut=True).mode is mode
    toggled = ModeState(toggle=Toggle(Mode.LOCKED, "ann", utc(EVENING)))
    assert effective(plan(OPEN_HOURS), toggled, at(NOON), shut=True).by == "ann"


# ------------------------------------------------------------------ the window of the first person

LUNCH = Schedule("lunch", ((Interval(720, 780),),) * 7)
SHOP = DoorSchedule(OFFICE, Mode.UNLOCKED, first_person_in=STAFF, grace=900.0)


@pytest.mark.parametrize("mode", [Mode.CARD_AND_PIN, Mode.LOCKED, Mode.BLOCKED])
def test_a_stricter_mode_interrupts_the_window_of_the_first_person_and_does_not_end_it(mode: Mode) -> None:
    door = plan(SHOP, DoorSchedule(LUNCH, mode))
    state = modes.granted(door, ModeState(), "ann", STAFF, at("2026-03-02T08:30"))
    assert state.first_in == FirstIn("ann", utc("2026-03-02T08:30"), utc(EVENING), "office")
    assert effective(door, state, at("2026-03-02T12:30")).mode is mode
    assert effective(door, state, at("2026-03-02T13:00")).mode is Mode.UNLOCKED
    assert effective(door, state, at(EVENING)).mode is Mode.LOCKED


def test_who_comes_while_a_stricter_mode_interrupts_the_window_counts_for_it() -> None:
    door = plan(SHOP, DoorSchedule(LUNCH, Mode.CARD_AND_PIN))
    state = modes.granted(door, ModeState(), "ann", STAFF, at("2026-03-02T12:30"))
    assert effective(door, state, at("2026-03-02T12:30")).mode is Mode.CARD_AND_PIN
    assert effective(door, state, at("2026-03-02T13:00")).mode is Mode.UNLOCKED


def test_the_grace_is_that_of_the_window_also_behind_a_stricter_mode() -> None:
    early = DoorSchedule(Schedule("early", ((Interval(470, 500),),) * 7), Mode.BLOCKED)
    state = modes.granted(plan(SHOP, early), ModeState(), "ann", STAFF, at("2026-03-02T07:46"))
    assert state.first_in == FirstIn("ann", utc("2026-03-02T08:00"), utc(EVENING), "office")


def test_a_date_that_an_exception_owns_has_no_window() -> None:
    closed = DoorException((ModeWindow(Interval(0, 60), Mode.BLOCKED),), frozenset({date(2026, 3, 2)}))
    door = plan(SHOP, exceptions=(closed,))
    assert modes.granted(door, ModeState(), "ann", STAFF, at(NOON)) == ModeState()
    night = DoorSchedule(Schedule("night", ((Interval(1200, 360),),) * 7), Mode.UNLOCKED, {}, STAFF)
    state = modes.granted(plan(night, exceptions=(closed,)), ModeState(), "ann", STAFF, at("2026-03-01T21:00"))
    assert state.first_in == FirstIn("ann", utc("2026-03-01T21:00"), utc("2026-03-02T00:00"), "night")


def test_a_window_that_changes_from_schedule_to_special_day_is_one_window() -> None:
    special = {date(2026, 3, 3): (Interval(0, 600),)}
    late = DoorSchedule(Schedule("late", ((Interval(1200, 0),),) * 7), Mode.UNLOCKED, special, STAFF)
    state = modes.granted(plan(late), ModeState(), "ann", STAFF, at("2026-03-02T21:00"))
    assert state.first_in == FirstIn("ann", utc("2026-03-02T21:00"), utc("2026-03-03T10:00"), "late")


def test_who_is_in_for_one_schedule_is_not_in_for_another() -> None:
    guards = DoorSchedule(NIGHT, Mode.UNLOCKED, first_person_in=frozenset({"Guards"}))
    door = plan(SHOP, guards)
    state = modes.granted(door, ModeState(), "ann", STAFF, at(NOON))
    assert state.first_in is not None
    late = replace(state, first_in=replace(state.first_in, until=None))
    assert effective(door, late, at("2026-03-02T21:00")).mode is Mode.LOCKED
    assert effective(door, late, at(NOON)).mode is Mode.UNLOCKED
    known = FirstIn("old", utc(NOON), None)
    assert effective(door, ModeState(first_in=known), at(NOON)).mode is Mode.UNLOCKED, "kept before it had a name"


def test_a_window_without_an_end_has_none() -> None:
    always = DoorSchedule(Schedule("always", ((Interval(0, 1440),),) * 7), Mode.UNLOCKED, first_person_in=STAFF)
    state = modes.granted(plan(always), ModeState(), "ann", STAFF, at(NOON))
    assert state.first_in == FirstIn("ann", utc(NOON), None, "always")
