"""What a technician sees when a door's mode changes, told as short stories."""

from __future__ import annotations

from typing import Any

import pytest

from cache.model import EventName, Mode, ModeCause
from daemon.doors.door.machine import SHUNT_TAIL
from daemon.doors.door.state import (
    ModeChanged,
    OperatorPulse,
    RecordEvent,
)

RELOCKED = ["LOCK", "door.locked"]


def test_unlocked_mode_holds_the_lock_without_alarms(bench: Any) -> None:
    door = bench()
    assert door.mode("unlocked") == ["door.mode", "HOLD", "door.released"]
    assert door.contact("open") == ["door.opened"]
    assert door.wait(10000) == []
    assert door.contact("closed") == ["door.closed"]
    assert door.grant("ann", "bob") == ["COUNT ann", "COUNT bob"]
    assert door.wait(100) == []
    assert door.contact("open") == ["door.opened"]
    assert door.mode("locked") == ["door.mode", *RELOCKED]
    assert door.wait(60) == ["door.held_warning", "door.held"]


def test_a_door_opened_just_after_unlocked_mode_is_not_forced(bench: Any) -> None:
    door = bench()
    door.mode("unlocked")
    door.mode("locked")
    door.wait(SHUNT_TAIL / 2)
    assert door.contact("open") == ["door.opened"]


def test_unlocked_mode_takes_over_a_strike(bench: Any) -> None:
    """There is no strike any more, hence neither taken nor not taken: the granted read counts as the entry."""
    door = bench()
    door.grant()
    assert door.mode("unlocked") == ["door.mode", "HOLD", "COUNT ann"]
    assert door.wait(5) == []
    assert door.contact("open") == ["door.opened"]
    assert door.wait(100) == []
    assert door.state.released


def test_unlocked_mode_counts_nobody_whose_strike_had_run_out(bench: Any) -> None:
    door = bench()
    door.grant("ann")
    door.wait(10)
    assert door.mode("unlocked") == ["door.mode", "HOLD", "door.released"]
    assert door.contact("open") == ["door.opened"]


def test_unlocked_mode_counts_of_several_only_whose_strike_runs(bench: Any) -> None:
    door = bench()
    door.grant("ann")
    door.wait(9.8)
    door.grant("bob")
    assert door.wait(0.2) == ["access.not_taken"]
    assert door.mode("unlocked") == ["door.mode", "HOLD", "COUNT bob"]
    assert door.state.passages == ()


def test_the_end_of_unlocked_mode_is_nobodys_access_not_taken(bench: Any) -> None:
    door = bench()
    door.mode("unlocked")
    door.grant()
    assert door.mode("locked") == ["door.mode", *RELOCKED]
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
    assert door.send(OperatorPulse()) == []
    assert door.grant() == ["RELEASE 10", "door.released"]
    assert door.mode("lockdown", "lockdown") == []
    assert door.wait(10) == [*RELOCKED, "access.not_taken"]
    door.mode("blocked", "override")
    assert door.grant() == door.send(OperatorPulse()) == []


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


def test_blocked_after_lockdown_ends_the_strike_of_the_exempt(bench: Any) -> None:
    door = bench()
    door.mode("lockdown", "lockdown")
    door.grant("guard")
    assert door.mode("blocked", "override") == ["door.mode", *RELOCKED, "access.not_taken"]


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
    events = [e.event for e in door.effects if isinstance(e, RecordEvent)]
    assert events[0].name is EventName.DOOR_MODE
    assert events[0].detail == (("mode", "unlocked"), ("cause", "exception"))
    assert door.send(ModeChanged(Mode.UNLOCKED, ModeCause.SCHEDULE)) == []


def test_a_rex_that_only_shunts_leaves_no_timer_of_the_lock(bench: Any) -> None:
    door = bench(rex_release=False)
    door.mode("unlocked")
    door.rex()
    assert door.mode("locked") == ["door.mode", "LOCK", "door.locked"]
    assert door.state.lock_until is None
