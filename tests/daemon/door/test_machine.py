"""What a technician sees at one door, told as short stories."""

from __future__ import annotations

from typing import Any

import pytest

from cache.model import EventName, Mode, ModeCause
from daemon.door.machine import SHUNT_TAIL, deadline
from daemon.door.state import (
    DoorConfig,
    LockRestored,
    ModeChanged,
    Pulse,
    ReaderLink,
    Record,
    Relock,
    Tamper,
)

RELOCKED = ["LOCK", "door.locked"]


def test_grant_open_close(bench: Any) -> None:
    door = bench()
    assert door.grant() == ["RELEASE 10", "door.released"]
    assert door.wait(2) == []
    assert door.contact("open") == ["door.opened", "access.taken", "COUNT ann"]
    door.wait(1)
    assert door.contact("closed") == ["door.closed", *RELOCKED]
    assert deadline(door.state) is None


def test_grant_not_taken(bench: Any) -> None:
    door = bench()
    door.grant()
    assert door.wait(9.9) == []
    assert door.wait(0.1) == [*RELOCKED, "access.not_taken"]
    assert door.wait(100) == []
    assert door.contact("open") == ["door.opened", "door.forced"]


def test_pulled_in_the_last_instant(bench: Any) -> None:
    """A door that is seen to open just after the release is neither forced nor lost to anti-passback."""
    door = bench()
    door.grant()
    assert door.wait(10) == [*RELOCKED, "access.not_taken"]
    door.wait(SHUNT_TAIL - 0.1)
    assert door.contact("open") == ["door.opened", "access.taken", "COUNT ann"]


def test_extended_time(bench: Any) -> None:
    door = bench(strike_time=5.0, extended_time=7.0)
    assert door.grant(extended=True) == ["RELEASE 12", "door.released"]
    assert door.wait(11.9) == []
    assert door.wait(0.1) == [*RELOCKED, "access.not_taken"]


def test_second_grant_restarts_and_never_stacks(bench: Any) -> None:
    door = bench()
    door.grant("ann")
    door.wait(4)
    assert door.grant("bob") == ["RELEASE 10"]
    assert door.wait(9.9) == []
    assert door.wait(0.1) == [*RELOCKED, "access.not_taken", "access.not_taken"]


def test_both_of_two_people_are_counted(bench: Any) -> None:
    door = bench()
    door.grant("ann", "bob")
    assert door.contact("open") == ["door.opened", "access.taken", "access.taken", "COUNT ann", "COUNT bob"]
    people = [e.event.person for e in door.effects if isinstance(e, Record) and e.event.person]
    assert people == ["ann", "bob"]


def test_same_person_twice_is_counted_once(bench: Any) -> None:
    door = bench()
    door.grant("ann")
    door.grant("ann")
    assert door.contact("open") == ["door.opened", "access.taken", "COUNT ann"]


def test_grant_at_an_open_door_is_taken_at_once(bench: Any) -> None:
    door = bench()
    door.grant("ann")
    door.contact("open")
    door.wait(55)
    assert door.grant("bob") == ["RELEASE 10", "door.released", "access.taken", "COUNT bob"]
    assert door.wait(10) == RELOCKED
    assert door.wait(39.9) == []
    assert door.wait(0.1) == ["door.held_warning"]


@pytest.mark.parametrize("seconds", [10.0, 10.2, 10.5, 100.0])
def test_a_lapsed_grant_is_not_taken_by_the_next(bench: Any, seconds: float) -> None:
    door = bench()
    door.grant("ann")
    door.wait(seconds)
    door.grant("bob")
    assert door.contact("open") == ["door.opened", "access.taken", "COUNT bob"]


def test_without_a_contact_the_entry_counts_at_the_grant(bench: Any) -> None:
    door = bench(has_contact=False)
    assert door.grant() == ["RELEASE 10", "door.released", "COUNT ann"]
    assert door.contact("open") == []
    assert door.wait(100) == RELOCKED


@pytest.mark.parametrize("broken", ["cut", "short", "lost"])
def test_with_a_broken_contact_the_entry_counts_at_the_grant(bench: Any, broken: str) -> None:
    door = bench()
    door.contact(broken)
    assert door.grant() == ["RELEASE 10", "door.released", "COUNT ann"]
    assert door.wait(100) == RELOCKED


def test_contact_that_breaks_after_the_grant_counts_the_entry(bench: Any) -> None:
    door = bench()
    door.grant()
    assert door.contact("cut") == ["input.fault"]
    assert door.wait(10) == [*RELOCKED, "COUNT ann"]


@pytest.mark.parametrize(
    ("rule", "at_open", "at_close"),
    [(Relock.ON_OPEN, RELOCKED, []), (Relock.ON_CLOSE, [], RELOCKED), (Relock.ON_TIME, [], [])],
)
def test_relock_rules(bench: Any, rule: Relock, at_open: list[str], at_close: list[str]) -> None:
    door = bench(relock=rule)
    door.grant()
    assert door.contact("open") == ["door.opened", "access.taken", "COUNT ann", *at_open]
    assert door.contact("closed") == ["door.closed", *at_close]
    assert door.wait(10) == (RELOCKED if rule is Relock.ON_TIME else [])


def test_on_time_the_door_may_be_opened_again_while_released(bench: Any) -> None:
    door = bench(relock=Relock.ON_TIME)
    door.grant()
    door.contact("open")
    door.contact("closed")
    assert door.contact("open") == ["door.opened"]
    door.contact("closed")
    door.wait(11)
    assert door.contact("open") == ["door.opened", "door.forced"]


def test_forced_after_close_ends_the_shunt(bench: Any) -> None:
    door = bench()
    door.grant()
    door.contact("open")
    door.contact("closed")
    assert door.contact("open") == ["door.opened", "door.forced"]
    assert door.wait(1000) == []
    assert door.grant() == ["RELEASE 10", "door.released", "access.taken", "COUNT ann"]
    assert door.contact("closed") == ["door.closed", *RELOCKED]


def test_held_open_warns_alarms_once_and_clears_once(bench: Any) -> None:
    door = bench()
    door.grant()
    door.contact("open")
    assert door.wait(49.9) == RELOCKED
    assert door.wait(0.1) == ["door.held_warning"]
    assert door.wait(9.9) == []
    assert door.wait(0.1) == ["door.held"]
    assert door.wait(1000) == []
    assert door.grant("bob") == ["RELEASE 10", "door.released", "access.taken", "COUNT bob"]
    assert door.wait(1000) == RELOCKED
    assert door.contact("closed") == ["door.closed", "door.held_clear"]


def test_warning_can_be_left_out(bench: Any) -> None:
    door = bench(held_open_warning=0.0)
    door.grant()
    door.contact("open")
    assert door.wait(60) == [*RELOCKED, "door.held"]


def test_closed_after_the_warning_is_no_alarm(bench: Any) -> None:
    door = bench()
    door.rex()
    door.contact("open")
    door.wait(55)
    assert door.contact("closed") == ["door.closed"]
    assert door.wait(1000) == []


def test_rex_releases_and_restarts(bench: Any) -> None:
    door = bench()
    assert door.rex() == ["rex", "RELEASE 3", "door.released"]
    door.wait(2)
    assert door.rex("off") == []
    assert door.rex() == ["rex", "RELEASE 3"]
    assert door.wait(2.9) == []
    assert door.wait(0.1) == RELOCKED


def test_rex_held_down_is_one_request(bench: Any) -> None:
    door = bench()
    door.rex()
    assert door.wait(3) == RELOCKED
    assert door.rex() == []
    assert door.wait(1000) == []


def test_rex_never_shortens_a_strike(bench: Any) -> None:
    door = bench()
    door.grant()
    door.wait(1)
    assert door.rex() == ["rex", "RELEASE 9"]
    assert door.wait(9) == [*RELOCKED, "access.not_taken"]


def test_rex_that_only_shunts(bench: Any) -> None:
    door = bench(rex_release=False)
    assert door.rex() == ["rex"]
    door.wait(3)
    assert door.contact("open") == ["door.opened"]
    door.contact("closed")
    door.rex("off")
    door.rex("on")
    door.wait(3 + SHUNT_TAIL)
    assert door.contact("open") == ["door.opened", "door.forced"]


def test_rex_active_at_start_or_after_an_outage_is_no_request(bench: Any) -> None:
    door = bench(fresh=True)
    assert door.rex("on") == []
    door.rex("off")
    door.rex("lost")
    assert door.rex("on") == []
    door.rex("off")
    assert door.rex("short") == ["input.fault"]
    assert door.rex("on") == ["input.clear"]
    assert door.state.released is False


@pytest.mark.parametrize("mode", ["locked", "card_and_pin", "blocked", "lockdown"])
def test_egress_is_never_refused(bench: Any, mode: str) -> None:
    door = bench()
    door.mode(mode, "lockdown")
    assert door.rex() == ["rex", "RELEASE 3", "door.released"]
    assert door.contact("open") == ["door.opened"]


def test_unlocked_mode_holds_the_lock_without_alarms(bench: Any) -> None:
    door = bench()
    assert door.mode("unlocked") == ["door.mode", "HOLD", "door.released"]
    assert door.contact("open") == ["door.opened"]
    assert door.wait(10000) == []
    assert door.contact("closed") == ["door.closed"]
    assert door.grant() == []
    assert door.contact("open") == ["door.opened", "access.taken", "COUNT ann"]
    assert door.mode("locked") == ["door.mode", *RELOCKED]
    assert door.wait(60) == ["door.held_warning", "door.held"]


def test_a_door_opened_just_after_unlocked_mode_is_not_forced(bench: Any) -> None:
    door = bench()
    door.mode("unlocked")
    door.mode("locked")
    door.wait(SHUNT_TAIL / 2)
    assert door.contact("open") == ["door.opened"]


def test_unlocked_mode_takes_over_a_strike(bench: Any) -> None:
    door = bench()
    door.grant()
    assert door.mode("unlocked") == ["door.mode", "HOLD"]
    assert door.wait(100) == ["access.not_taken"]
    assert door.state.released


def test_unlocked_mode_ends_a_running_grant(bench: Any) -> None:
    """The lock is locked, so the person who badged a moment ago cannot have gone through."""
    door = bench()
    door.mode("unlocked")
    door.grant()
    assert door.mode("locked") == ["door.mode", *RELOCKED, "access.not_taken"]


def test_unlocked_mode_ends_a_running_grant_behind_a_broken_contact(bench: Any) -> None:
    door = bench()
    door.mode("unlocked")
    door.grant()
    door.contact("short")
    assert door.mode("locked") == ["door.mode", *RELOCKED, "COUNT ann"]
    assert door.wait(100) == []


def test_rex_outlives_unlocked_mode(bench: Any) -> None:
    door = bench()
    door.mode("unlocked")
    assert door.rex() == ["rex"]
    door.wait(1)
    assert door.mode("locked") == ["door.mode", "RELEASE 2"]
    assert door.wait(2) == RELOCKED


@pytest.mark.parametrize("mode", ["blocked", "lockdown"])
def test_lockdown_and_blocked_end_a_strike(bench: Any, mode: str) -> None:
    door = bench()
    door.grant()
    assert door.mode(mode, "override") == ["door.mode", *RELOCKED, "access.not_taken"]
    assert door.wait(SHUNT_TAIL) == []
    assert door.contact("open") == ["door.opened", "door.forced"]


def test_lockdown_leaves_egress_its_time(bench: Any) -> None:
    door = bench()
    door.grant()
    door.wait(1)
    door.rex()
    door.wait(1)
    assert door.mode("lockdown", "lockdown") == ["door.mode", "RELEASE 2"]
    assert door.wait(2) == RELOCKED


def test_lockdown_after_egress_is_over_ends_the_rest_of_the_strike(bench: Any) -> None:
    door = bench()
    door.grant()
    door.rex()
    door.wait(5)
    assert door.mode("lockdown", "lockdown") == ["door.mode", *RELOCKED, "access.not_taken"]


def test_lockdown_keeps_the_shunt_of_a_rex_that_only_shunts(bench: Any) -> None:
    door = bench(rex_release=False)
    door.grant()
    door.rex()
    assert door.mode("lockdown", "lockdown") == ["door.mode", *RELOCKED, "access.not_taken"]
    door.wait(3)
    assert door.contact("open") == ["door.opened"]


def test_exempt_grant_in_lockdown_releases_and_blocked_never_does(bench: Any) -> None:
    door = bench()
    door.mode("lockdown", "lockdown")
    assert door.send(Pulse()) == []
    assert door.grant() == ["RELEASE 10", "door.released"]
    assert door.mode("lockdown", "lockdown") == []
    assert door.wait(10) == [*RELOCKED, "access.not_taken"]
    door.mode("blocked", "override")
    assert door.grant() == door.send(Pulse()) == []


@pytest.mark.parametrize(("asked", "given"), [(None, "10"), (5.0, "5"), (0.1, "1"), (1e6, "30")])
def test_pulse(bench: Any, asked: float | None, given: str) -> None:
    door = bench()
    assert door.send(Pulse(asked)) == [f"RELEASE {given}", "door.released"]
    assert door.contact("open") == ["door.opened"]
    assert door.contact("closed") == ["door.closed", *RELOCKED]


def test_fire_silences_and_never_relocks(bench: Any) -> None:
    door = bench()
    assert door.mode("locked", "fire") == ["door.mode"]
    assert door.contact("open") == ["door.opened"]
    assert door.wait(10000) == []
    assert door.mode("locked", "default") == ["door.mode"]
    assert door.wait(60) == ["door.held_warning", "door.held"]


def test_fire_stops_a_held_open_time(bench: Any) -> None:
    door = bench()
    door.grant()
    door.contact("open")
    door.wait(55)
    assert door.mode("locked", "fire") == ["door.mode"]
    assert door.wait(1000) == []


def test_lockdown_during_fire_takes_hold_when_the_fire_is_over(bench: Any) -> None:
    door = bench(strike_time=60.0)
    door.grant()
    assert door.mode("lockdown", "fire") == ["door.mode"]
    door.wait(10)
    assert door.mode("lockdown", "lockdown") == ["door.mode", *RELOCKED, "access.not_taken"]


def test_fire_keeps_a_held_lock_released(bench: Any) -> None:
    door = bench()
    door.mode("unlocked")
    assert door.mode("unlocked", "fire") == ["door.mode"]
    assert door.mode("locked", "fire") == ["door.mode"]
    assert door.state.released
    assert door.mode("locked", "default") == ["door.mode", *RELOCKED]


def test_mode_events_say_mode_and_cause(bench: Any) -> None:
    door = bench()
    door.mode("unlocked", "exception")
    events = [e.event for e in door.effects if isinstance(e, Record)]
    assert events[0].name is EventName.DOOR_MODE
    assert events[0].detail == (("mode", "unlocked"), ("cause", "exception"))
    assert door.send(ModeChanged(Mode.UNLOCKED, ModeCause.SCHEDULE)) == []


def test_first_reading_is_no_alarm(bench: Any) -> None:
    door = bench(fresh=True)
    assert door.contact("open") == ["door.opened"]
    assert [e.event.detail for e in door.effects if isinstance(e, Record)] == [(("found", True),)]
    assert door.wait(60) == ["door.held_warning", "door.held"]
    assert door.contact("closed") == ["door.closed", "door.held_clear"]


def test_first_reading_open_in_unlocked_mode(bench: Any) -> None:
    door = bench(fresh=True)
    door.mode("unlocked")
    assert door.contact("open") == ["door.opened"]
    assert door.wait(1000) == []


def test_a_fault_is_never_read_as_closed(bench: Any) -> None:
    door = bench()
    door.grant()
    door.contact("open")
    assert door.contact("cut") == ["input.fault"]
    assert door.contact("short") == ["input.fault"]
    details = [e.event.detail for e in door.effects if isinstance(e, Record) and e.event.name == "input.fault"]
    assert details == [(("input", "contact"), ("state", "cut")), (("input", "contact"), ("state", "short"))]
    assert door.wait(60) == [*RELOCKED, "door.held_warning", "door.held"]
    assert door.contact("closed") == ["input.clear", "door.closed", "door.held_clear"]


def test_a_door_found_open_after_a_fault_is_forced(bench: Any) -> None:
    door = bench()
    door.contact("short")
    assert door.contact("open") == ["input.clear", "door.opened", "door.forced"]


def test_an_outage_of_the_contact_ends_where_it_began(bench: Any) -> None:
    door = bench()
    assert door.contact("lost") == []
    assert door.contact("closed") == []
    door.contact("lost")
    assert door.contact("open") == ["door.opened", "door.forced"]


def test_restoration_never_releases(bench: Any) -> None:
    door = bench()
    assert door.send(LockRestored()) == ["LOCK"]
    door.grant()
    assert door.send(LockRestored()) == RELOCKED
    door.rex()
    assert door.send(LockRestored()) == RELOCKED
    door.mode("unlocked")
    assert door.send(LockRestored()) == ["HOLD"]


def test_reader_link_and_tamper_are_recorded_once(bench: Any) -> None:
    door = bench()
    assert door.send(ReaderLink("in", True)) == []
    assert door.send(ReaderLink("in", False)) == ["reader.offline"]
    assert door.send(ReaderLink("in", False)) == []
    assert door.send(ReaderLink("in", True)) == ["reader.online"]
    door.mode("unlocked")
    assert door.send(Tamper("in", False)) == []
    assert door.send(Tamper("in", True)) == ["tamper.on"]
    assert door.send(Tamper("in", True)) == []
    assert door.send(Tamper("in", False)) == ["tamper.off"]


def test_timers_that_were_missed_are_served_in_order_before_the_event(bench: Any) -> None:
    door = bench()
    door.grant()
    door.now += 3600
    assert door.contact("open") == [*RELOCKED, "access.not_taken", "door.opened", "door.forced"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("strike_time", 0.9),
        ("strike_time", 60.1),
        ("extended_time", -1.0),
        ("extended_time", 121.0),
        ("held_open_time", 9.9),
        ("held_open_warning", 60.0),
        ("held_open_warning", -1.0),
        ("rex_time", 0.5),
        ("rex_time", 61.0),
    ],
)
def test_configuration_out_of_range_names_the_key(key: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"door lobby: {key.replace('_', '.')}"):
        DoorConfig(name="lobby", **{key: value})  # type: ignore[arg-type]


def test_the_ends_of_the_ranges_are_allowed() -> None:
    assert DoorConfig(name="a", strike_time=1.0, extended_time=0.0, held_open_time=10.0, held_open_warning=9.0)
    assert DoorConfig(name="a", strike_time=60.0, extended_time=120.0, rex_time=60.0).longest_release == 180.0
