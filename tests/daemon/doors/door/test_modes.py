"""Modes: which of the rules wins, what survives, and when to look again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.model import ClockPolicy, ClockQuality, Interval, Mode, ModeCause, Moment, Schedule
from daemon.decision.door_rules import DoorException, DoorPlan, DoorSchedule, ModeWindow
from daemon.doors.door import modes
from daemon.doors.door.durable import Durable
from daemon.doors.door.elapsed import Since
from daemon.doors.door.modes import (
    Effective,
    FirstIn,
    ModePlan,
    ModeState,
    Order,
    Override,
    Toggle,
    effective,
    look_again,
)

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = Schedule("office", ((Interval(480, 1080),),) * 5 + ((), ()))
NIGHT = Schedule("night", ((Interval(1200, 360),),) * 7)
OPEN_HOURS = DoorSchedule(OFFICE, Mode.UNLOCKED)
BOSS = Order("boss", "drill")
STAFF = frozenset({"Staff"})


def at(text: str, quality: ClockQuality = ClockQuality.SYNCED, monotonic: float = 0.0) -> Moment:
    """A moment by the wall clock of Berlin."""
    return Moment(datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC), monotonic, quality)


def utc(text: str) -> datetime:
    return at(text).utc


def plan(*schedules: DoorSchedule, **keys: object) -> ModePlan:
    exceptions = keys.pop("exceptions", ())
    default = keys.pop("default", Mode.LOCKED)
    door = DoorPlan(default, schedules, exceptions)  # type: ignore[arg-type]
    return ModePlan(BERLIN, door, **keys)  # type: ignore[arg-type]


MONDAY, NOON, EVENING = "2026-03-02T07:00", "2026-03-02T12:00", "2026-03-02T18:00"


def test_the_schedule_gives_the_mode_and_its_edges() -> None:
    door = plan(OPEN_HOURS)
    assert effective(door, ModeState(), at(MONDAY)) == Effective(Mode.LOCKED, ModeCause.DEFAULT)
    assert look_again(door, ModeState(), at(MONDAY)) == utc("2026-03-02T08:00")
    assert effective(door, ModeState(), at(NOON)) == Effective(Mode.UNLOCKED, ModeCause.SCHEDULE, "office")
    assert look_again(door, ModeState(), at(NOON)) == utc(EVENING)
    assert effective(door, ModeState(), at(EVENING)) == Effective(Mode.LOCKED, ModeCause.DEFAULT)
    assert look_again(plan(), ModeState(), at(NOON)) is None


def test_each_rule_beats_the_ones_below_it() -> None:
    day = date(2026, 3, 2)
    special = replace(OPEN_HOURS, special_days={day: (Interval(660, 780),)})
    door = plan(special)
    assert effective(door, ModeState(), at(NOON)).cause is ModeCause.SPECIAL_DAY
    windows = (ModeWindow(Interval(600, 840), Mode.CARD_AND_PIN),)
    door = plan(special, exceptions=(DoorException(windows, frozenset({day})),), double_badge=STAFF)
    assert effective(door, ModeState(), at(NOON)).cause is ModeCause.EXCEPTION
    state = modes.double_badge(door, ModeState(), "ann", STAFF, at(NOON))
    assert effective(door, state, at(NOON)) == Effective(Mode.UNLOCKED, ModeCause.OVERRIDE, "ann")
    state = replace(state, override=Override(Mode.LOCKED, BOSS))
    assert effective(door, state, at(NOON)) == Effective(Mode.LOCKED, ModeCause.OVERRIDE, "boss")
    state = modes.lock_down(state, BOSS)
    assert effective(door, state, at(NOON)) == Effective(Mode.LOCKDOWN, ModeCause.LOCKDOWN, "boss", Mode.LOCKED)
    assert effective(door, state, at(NOON), fire=True) == Effective(
        Mode.LOCKDOWN, ModeCause.FIRE, "boss", Mode.LOCKED
    )


def test_fire_opens_nothing_and_locks_nothing() -> None:
    door = plan(OPEN_HOURS)
    assert effective(door, ModeState(), at(MONDAY), fire=True) == Effective(Mode.LOCKED, ModeCause.FIRE)
    assert effective(door, ModeState(), at(EVENING), fire=True, held=True).mode is Mode.UNLOCKED
    locked = modes.override(ModeState(), Mode.LOCKED, BOSS, None)
    assert effective(door, locked, at(NOON), fire=True, held=True).mode is Mode.UNLOCKED
    assert effective(door, ModeState(), at(EVENING), held=True).mode is Mode.LOCKED


def test_lockdown_and_blocked_mode_refuse_badges_during_a_fire_alarm() -> None:
    door = plan(OPEN_HOURS)
    down, blocked = modes.lock_down(ModeState(), BOSS), modes.override(ModeState(), Mode.BLOCKED, BOSS, None)
    assert effective(door, down, at(NOON), fire=True, held=True) == Effective(
        Mode.LOCKDOWN, ModeCause.FIRE, "boss", Mode.LOCKED
    )
    assert effective(door, blocked, at(NOON), fire=True, held=True).mode is Mode.BLOCKED


def test_override_ends_at_its_instant() -> None:
    door = plan(OPEN_HOURS)
    until = utc("2026-03-02T14:00")
    state = modes.override(ModeState(), Mode.BLOCKED, BOSS, until)
    assert effective(door, state, at("2026-03-02T13:59:59")).mode is Mode.BLOCKED
    assert look_again(door, state, at(NOON)) == until
    assert effective(door, state, at("2026-03-02T14:00")).mode is Mode.UNLOCKED
    assert look_again(door, state, at("2026-03-02T14:00")) == utc(EVENING)
    assert modes.forget_past(state, Moment(until, 0.0)) == ModeState()
    assert modes.forget_past(state, Moment(until - timedelta(seconds=1), 0.0)) == state
    assert modes.override(ModeState(), Mode.LOCKED, BOSS, None).override == Override(Mode.LOCKED, BOSS, None)
    assert effective(door, modes.override(ModeState(), Mode.LOCKED, BOSS, None), at(NOON)).mode is Mode.LOCKED


def test_lockdown_is_no_override() -> None:
    with pytest.raises(ValueError, match="lock_down"):
        modes.override(ModeState(), Mode.LOCKDOWN, BOSS, None)


def test_an_override_ends_a_double_badge() -> None:
    state = ModeState(toggle=Toggle(Mode.UNLOCKED, "ann", utc(EVENING)))
    assert modes.override(state, Mode.LOCKED, BOSS, utc(NOON)).toggle is None


@pytest.mark.parametrize(("mode", "kept"), [(Mode.UNLOCKED, False), (Mode.BLOCKED, True), (Mode.LOCKED, True)])
def test_no_door_springs_open_when_a_lockdown_is_released(mode: Mode, kept: bool) -> None:
    order = Override(mode, BOSS)
    state = ModeState(BOSS, order, Toggle(Mode.UNLOCKED, "ann", utc(EVENING)))
    after = modes.release(state)
    assert after == ModeState(override=order if kept else None)
    assert modes.release(after) == ModeState()


def test_first_person_in() -> None:
    door = plan(DoorSchedule(OFFICE, Mode.UNLOCKED, first_person_in=STAFF, grace=900.0))
    nobody = ModeState()
    assert effective(door, nobody, at(NOON)) == Effective(Mode.LOCKED, ModeCause.DEFAULT)
    assert modes.granted(door, nobody, "eve", frozenset({"Cleaning"}), at(NOON)) == nobody
    state = modes.granted(door, nobody, "ann", STAFF, at(NOON))
    assert state.first_in == FirstIn("ann", utc(NOON), utc(EVENING), "office")
    assert effective(door, state, at(NOON)).mode is Mode.UNLOCKED
    assert modes.granted(door, state, "bob", STAFF, at("2026-03-02T13:00")) == state
    assert effective(door, state, at("2026-03-03T12:00")).mode is Mode.LOCKED
    tuesday = modes.granted(door, state, "bob", STAFF, at("2026-03-03T12:00"))
    assert tuesday.first_in == FirstIn("bob", utc("2026-03-03T12:00"), utc("2026-03-03T18:00"), "office")
    assert modes.forget_past(state, at(EVENING)) == nobody


def test_first_person_in_the_grace_before_the_window() -> None:
    door = plan(DoorSchedule(OFFICE, Mode.UNLOCKED, first_person_in=STAFF, grace=900.0))
    assert modes.granted(door, ModeState(), "ann", STAFF, at("2026-03-02T07:44:59")) == ModeState()
    state = modes.granted(door, ModeState(), "ann", STAFF, at("2026-03-02T07:45"))
    assert state.first_in == FirstIn("ann", utc("2026-03-02T08:00"), utc(EVENING), "office")
    assert effective(door, state, at("2026-03-02T07:59")).mode is Mode.LOCKED
    assert effective(door, state, at("2026-03-02T08:00")).mode is Mode.UNLOCKED


def test_a_grant_without_such_a_window_is_nothing() -> None:
    for door in (plan(), plan(OPEN_HOURS), plan(DoorSchedule(NIGHT, Mode.UNLOCKED, first_person_in=STAFF))):
        assert modes.granted(door, ModeState(), "ann", STAFF, at(NOON)) == ModeState()


def test_double_badge_unlocks_and_locks_again() -> None:
    door = plan(OPEN_HOURS, double_badge=STAFF)
    state = modes.double_badge(door, ModeState(), "ann", STAFF, at(MONDAY))
    assert state.toggle == Toggle(Mode.UNLOCKED, "ann", utc("2026-03-02T08:00"))
    assert modes.double_badge(door, state, "bob", STAFF, at(MONDAY)) == ModeState()
    state = modes.double_badge(door, ModeState(), "ann", STAFF, at(NOON))
    assert state.toggle == Toggle(Mode.LOCKED, "ann", utc(EVENING))
    assert look_again(door, state, at(NOON)) == utc(EVENING)
    assert modes.forget_past(state, at(EVENING)) == ModeState()
    state = modes.double_badge(door, ModeState(), "ann", STAFF, at("2026-03-02T22:00"))
    assert state.toggle == Toggle(Mode.UNLOCKED, "ann", utc("2026-03-03T00:00"))
    assert look_again(door, state, at("2026-03-02T22:00")) == utc("2026-03-03T00:00")
    assert effective(door, state, at("2026-03-02T23:59")).mode is Mode.UNLOCKED
    assert effective(door, state, at("2026-03-03T00:00")).mode is Mode.LOCKED


def test_double_badge_returns_to_the_default_mode() -> None:
    for default, locked in ((Mode.CARD_AND_PIN, Mode.CARD_AND_PIN), (Mode.UNLOCKED, Mode.LOCKED)):
        door = plan(OPEN_HOURS, default=default, double_badge=STAFF)
        state = modes.double_badge(door, ModeState(), "ann", STAFF, at(NOON))
        assert state.toggle is not None
        assert state.toggle.mode is locked


def test_double_badge_is_nothing_for_others_and_against_stronger_orders() -> None:
    door = plan(OPEN_HOURS, double_badge=STAFF)
    states = [modes.lock_down(ModeState(), BOSS), modes.override(ModeState(), Mode.LOCKED, BOSS, None)]
    for state in states:
        assert modes.double_badge(door, state, "ann", STAFF, at(NOON)) == state
    assert modes.double_badge(door, ModeState(), "eve", frozenset({"Visitors"}), at(NOON)) == ModeState()
    assert modes.double_badge(plan(OPEN_HOURS), ModeState(), "ann", STAFF, at(NOON)) == ModeState()
    blocked = plan(DoorSchedule(OFFICE, Mode.BLOCKED), double_badge=STAFF)
    assert modes.double_badge(blocked, ModeState(), "ann", STAFF, at(NOON)) == ModeState()
    unset = at(NOON, ClockQuality.NEVER_SET)
    assert modes.double_badge(door, ModeState(), "ann", STAFF, unset) == ModeState()


def test_a_toggle_from_before_the_clock_was_set_back_does_not_hold() -> None:
    state = ModeState(toggle=Toggle(Mode.UNLOCKED, "ann", utc("2026-03-09T00:00")))
    assert effective(plan(double_badge=STAFF), state, at(NOON)).mode is Mode.LOCKED


@pytest.mark.parametrize(
    ("policy", "mode"),
    [
        (ClockPolicy.DENY_TIME_BOUND, Mode.CARD_AND_PIN),
        (ClockPolicy.IGNORE_TIME, Mode.LOCKED),
        (ClockPolicy.USE_LAST_KNOWN, Mode.UNLOCKED),
    ],
)
def test_a_clock_that_was_never_set(policy: ClockPolicy, mode: Mode) -> None:
    door = plan(OPEN_HOURS, DoorSchedule(NIGHT, Mode.CARD_AND_PIN), clock=policy)
    now = at(NOON, ClockQuality.NEVER_SET)
    assert effective(door, ModeState(), now).mode is mode
    assert (look_again(door, ModeState(), now) is None) is (policy is not ClockPolicy.USE_LAST_KNOWN)
    assert effective(door, ModeState(), at(NOON, ClockQuality.HOLDOVER)).mode is Mode.UNLOCKED


def test_without_a_clock_the_windows_of_exceptions_count_too_and_nobody_is_first() -> None:
    day = DoorException((ModeWindow(Interval(0, 60), Mode.BLOCKED),), frozenset({date(2026, 1, 1)}))
    now = at(NOON, ClockQuality.NEVER_SET)
    assert effective(plan(exceptions=(day,)), ModeState(), now).mode is Mode.BLOCKED
    first = plan(DoorSchedule(OFFICE, Mode.UNLOCKED, first_person_in=STAFF))
    assert modes.granted(first, ModeState(), "ann", STAFF, now) == ModeState()
    assert effective(plan(OPEN_HOURS, default=Mode.UNLOCKED), ModeState(), now).mode is Mode.UNLOCKED


instants = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))
orders = st.builds(Order, st.text(max_size=5), st.text(max_size=5))
states = st.builds(
    ModeState,
    st.none() | orders,
    st.none()
    | st.builds(
        Override, st.sampled_from([m for m in Mode if m is not Mode.LOCKDOWN]), orders, st.none() | instants
    )
    | st.builds(
        Override,
        st.sampled_from([Mode.UNLOCKED, Mode.BLOCKED]),
        orders,
        began=st.builds(Since, instants, st.floats(0, 1e6)),
        seconds=st.floats(0, 1e6),
    ),
    st.none() | st.builds(Toggle, st.sampled_from([Mode.UNLOCKED, Mode.LOCKED]), st.text(max_size=5), instants),
    st.none() | st.builds(FirstIn, st.text(max_size=5), instants, st.none() | instants),
)
moments = st.builds(Moment, instants, st.just(0.0), st.sampled_from(ClockQuality))


@settings(deadline=None, max_examples=80)
@given(states)
def test_what_people_ordered_survives_as_text(state: ModeState) -> None:
    durable = Durable(ModeState)
    assert durable.load(durable.dump(state)) == state


@pytest.mark.parametrize("text", ["", "{", "[]", '{"lockdown": 7}', '{"override": {"mode": "ajar"}}'])
def test_text_that_is_no_state_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"ModeState|JSON|lockdown|override"):
        Durable(ModeState).load(text)


@settings(deadline=None, max_examples=80)
@given(states, moments, st.booleans(), st.booleans())
def test_nothing_but_release_ends_a_lockdown(state: ModeState, now: Moment, fire: bool, badge: bool) -> None:
    door = plan(DoorSchedule(OFFICE, Mode.UNLOCKED, first_person_in=STAFF), double_badge=STAFF)
    down = modes.lock_down(state, BOSS)
    down = modes.granted(door, modes.double_badge(door, down, "ann", STAFF, now), "ann", STAFF, now)
    down = modes.override(modes.forget_past(down, now), Mode.UNLOCKED, BOSS, None) if badge else down
    assert effective(door, down, now, fire=fire).mode is Mode.LOCKDOWN
    released = effective(door, modes.release(down), now)
    assert released.cause is not ModeCause.LOCKDOWN
    assert released.mode is not Mode.UNLOCKED or released.cause is ModeCause.SCHEDULE


@settings(deadline=None, max_examples=60)
@given(states, instants, st.floats(0, 1))
def test_nothing_changes_before_look_again(state: ModeState, now: datetime, part: float) -> None:
    door = plan(OPEN_HOURS, DoorSchedule(NIGHT, Mode.CARD_AND_PIN, first_person_in=STAFF), double_badge=STAFF)
    state = modes.forget_past(state, Moment(now, 0.0))
    if state.first_in is not None:
        # A first person counts from a moment on that has passed, or from an edge of the schedule.
        state = replace(state, first_in=replace(state.first_in, start=now))
    if state.override is not None and state.override.ends is not None:
        # One for a time ends by the monotonic clock, which look_again leaves to ``Override.ends``.
        state = replace(state, override=None)
    if state.toggle is not None:
        state = replace(state, toggle=replace(state.toggle, until=now + timedelta(hours=5)))
    again = look_again(door, state, Moment(now, 0.0))
    assert again is None or again > now
    later = now + ((again or now + timedelta(days=3)) - now) * part * 0.999
    before, after = effective(door, state, Moment(now, 0.0)), effective(door, state, Moment(later, 0.0))
    if state.first_in is None or state.first_in.until is None or state.first_in.until > later:
        assert before == after


def test_only_what_has_expired_is_forgotten() -> None:
    now = utc(NOON)
    hour, second = timedelta(hours=1), timedelta(seconds=1)
    holds = ModeState(
        BOSS,
        Override(Mode.BLOCKED, BOSS, now + second),
        Toggle(Mode.UNLOCKED, "ann", now + second),
        FirstIn("ann", now - hour, now + second),
    )
    assert modes.forget_past(holds, Moment(now, 0.0)) == holds
    assert modes.forget_past(holds, Moment(now + second, 0.0)) == ModeState(BOSS)
    for_ever = ModeState(None, Override(Mode.BLOCKED, BOSS), None, FirstIn("ann", now - hour, None))
    assert modes.forget_past(for_ever, Moment(now + 10_000 * hour, 1e9)) == for_ever


def test_the_first_person_is_out_when_the_window_ends() -> None:
    door = plan(replace(OPEN_HOURS, first_person_in=STAFF))
    state = ModeState(first_in=FirstIn("ann", utc(MONDAY), utc(NOON)))
    assert effective(door, state, at("2026-03-02T11:59:59")).mode is Mode.UNLOCKED
    assert effective(door, state, at(NOON)).mode is Mode.LOCKED


def test_a_double_badge_in_the_night_of_changing_clocks_ends_at_midnight() -> None:
    badged = modes.double_badge(plan(double_badge=STAFF), ModeState(), "ann", STAFF, at("2026-10-25T02:30"))
    assert badged.toggle == Toggle(Mode.UNLOCKED, "ann", utc("2026-10-26T00:00"))
    assert effective(plan(double_badge=STAFF), badged, at("2026-10-25T23:59:59")).mode is Mode.UNLOCKED
    assert effective(plan(double_badge=STAFF), badged, at("2026-10-26T00:00")).mode is Mode.LOCKED


@pytest.mark.parametrize(
    ("now", "midnight"),
    [("2026-03-02T12:34:56.000007", "2026-03-03T00:00"), ("2026-03-03T00:30:01.5", "2026-03-04T00:00")],
)
def test_a_double_badge_ends_at_the_site_s_midnight_to_the_microsecond(now: str, midnight: str) -> None:
    badged = modes.double_badge(plan(double_badge=STAFF), ModeState(), "ann", STAFF, at(now))
    assert badged.toggle == Toggle(Mode.UNLOCKED, "ann", utc(midnight))


def test_a_double_badge_holds_two_days_at_most_and_not_without_a_clock() -> None:
    door, days = plan(double_badge=STAFF), timedelta(days=2)
    held = ModeState(toggle=Toggle(Mode.UNLOCKED, "ann", utc(NOON) + days))
    assert effective(door, held, at(NOON)).mode is Mode.UNLOCKED
    second = timedelta(seconds=1)
    longer = ModeState(toggle=Toggle(Mode.UNLOCKED, "ann", utc(NOON) + days + second))
    assert effective(door, longer, at(NOON)).mode is Mode.LOCKED
    unset = at(NOON, ClockQuality.NEVER_SET)
    assert effective(door, held, unset) == Effective(Mode.LOCKED, ModeCause.DEFAULT)
    assert modes.double_badge(door, held, "ann", STAFF, unset) == held
    believing = plan(double_badge=STAFF, clock=ClockPolicy.USE_LAST_KNOWN)
    assert effective(believing, held, unset).mode is Mode.UNLOCKED
    assert modes.double_badge(believing, held, "ann", STAFF, unset).toggle is None


def test_the_window_of_the_first_person_is_that_of_the_site_s_clock() -> None:
    door = plan(replace(OPEN_HOURS, first_person_in=STAFF))
    state = modes.granted(door, ModeState(), "ann", STAFF, at("2026-03-02T08:30"))
    assert state.first_in == FirstIn("ann", utc("2026-03-02T08:30"), utc(EVENING), "office")
