"""What a technician sees at one door, told as short stories: grants, openings, requests to exit."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.config.bounds import Relock
from daemon.doors.door.machine import SHUNT_TAIL, deadline
from daemon.doors.door.state import (
    OperatorPulse,
    RecordEvent,
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
    """The lock has one time; each grant has its own, and access was not taken when that one is over."""
    door = bench()
    door.grant("ann")
    door.wait(4)
    assert door.grant("bob") == ["RELEASE 10"]
    assert door.wait(5.9) == []
    assert door.wait(0.1) == ["access.not_taken"]
    assert door.wait(3.9) == []
    assert door.wait(0.1) == [*RELOCKED, "access.not_taken"]
    not_taken = [e.event.person for e in door.effects if isinstance(e, RecordEvent) and e.event.person]
    assert not_taken == ["ann", "bob"]


@pytest.mark.parametrize(("seconds", "through"), [(9.9, ["ann", "bob"]), (10.0, ["bob"]), (10.3, ["bob"])])
def test_an_opening_belongs_to_the_grants_whose_strike_is_running(
    bench: Any, seconds: float, through: list[str]
) -> None:
    door = bench()
    door.grant("ann")
    door.wait(4)
    door.grant("bob")
    door.wait(seconds - 4)
    opened = door.contact("open")
    assert opened == ["door.opened"] + ["access.taken"] * len(through) + [f"COUNT {p}" for p in through]
    assert door.state.passages == ()
    assert "access.not_taken" not in door.wait(30)


def test_a_grant_again_after_it_ran_out_is_one_access(bench: Any) -> None:
    door = bench()
    door.grant("ann")
    door.wait(10.2)
    door.grant("ann")
    door.wait(0.3)
    assert door.contact("open") == ["door.opened", "access.taken", "COUNT ann"]


def test_a_contact_that_breaks_counts_all_who_may_be_through(bench: Any) -> None:
    door = bench()
    door.grant("ann")
    door.wait(4)
    door.grant("bob")
    door.contact("line_open")
    assert door.wait(6) == ["COUNT ann", "COUNT bob"]
    assert door.wait(100) == RELOCKED


def test_both_of_two_people_are_counted(bench: Any) -> None:
    door = bench()
    door.grant("ann", "bob")
    assert door.contact("open") == ["door.opened", "access.taken", "access.taken", "COUNT ann", "COUNT bob"]
    people = [e.event.person for e in door.effects if isinstance(e, RecordEvent) and e.event.person]
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


@pytest.mark.parametrize("broken", ["line_open", "short", "lost"])
def test_with_a_broken_contact_the_entry_counts_at_the_grant(bench: Any, broken: str) -> None:
    door = bench()
    door.contact(broken)
    assert door.grant() == ["RELEASE 10", "door.released", "COUNT ann"]
    assert door.wait(100) == RELOCKED


def test_contact_that_breaks_after_the_grant_counts_the_entry(bench: Any) -> None:
    door = bench()
    door.grant()
    assert door.contact("line_open") == ["input.fault"]
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
    door.rex("off")
    door.wait(3)
    assert door.contact("open") == ["door.opened"]
    door.contact("closed")
    door.rex("on")
    door.rex("off")
    door.wait(3 + SHUNT_TAIL)
    assert door.contact("open") == ["door.opened", "door.forced"]


@pytest.mark.parametrize("release", [True, False])
def test_an_active_rex_shunts_for_as_long_as_it_is_and_for_every_opening(bench: Any, release: bool) -> None:
    """A motion detector that sees people: each of them opens the door, long after the time of the request."""
    door = bench(rex_release=release)
    door.rex()
    for _ in range(3):
        door.wait(1000)
        assert door.contact("open") == ["door.opened"]
        assert door.contact("closed") == ["door.closed"]
    door.rex("off")
    door.wait(SHUNT_TAIL - 0.1)
    assert door.contact("open") == ["door.opened"]
    assert door.contact("closed") == ["door.closed"]
    assert door.contact("open") == ["door.opened", "door.forced"]


@pytest.mark.parametrize("state", ["off", "line_open", "lost"])
def test_a_rex_that_is_over_shunts_no_longer(bench: Any, state: str) -> None:
    door = bench()
    door.rex()
    door.wait(1000)
    door.rex(state)
    door.wait(SHUNT_TAIL)
    assert door.contact("open") == ["door.opened", "door.forced"]


def test_a_rex_that_is_found_active_shunts_and_releases_nothing(bench: Any) -> None:
    door = bench(fresh=True)
    door.contact("closed")
    assert door.rex("on") == []
    assert door.contact("open") == ["door.opened"]


def test_the_end_of_a_rex_never_shortens_a_shunt(bench: Any) -> None:
    door = bench()
    door.grant()
    door.rex()
    door.rex("off")
    door.wait(10)
    assert door.contact("open") == ["door.opened", "access.taken", "COUNT ann"]


def test_a_held_alarm_from_before_the_start_is_cleared_when_the_door_is_found_closed(bench: Any) -> None:
    door = bench(held=True)
    assert door.state.held_alarm
    assert not door.state.is_open
    assert door.contact("closed") == ["door.held_clear"]
    assert not door.state.held_alarm


def test_a_held_alarm_from_before_the_start_stands_while_the_door_is_open(bench: Any) -> None:
    """It was reported once: there is no second alarm for the same opening, and one clear at its end."""
    door = bench(held=True)
    assert door.contact("open") == ["door.opened"]
    assert [e.event.detail for e in door.effects if isinstance(e, RecordEvent)] == [(("found", True),)]
    assert door.state.held_alarm
    assert door.wait(1000) == []
    assert door.contact("closed") == ["door.closed", "door.held_clear"]


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


@pytest.mark.parametrize(("asked", "given"), [(None, "10"), (5.0, "5"), (0.1, "1"), (1e6, "30")])
def test_pulse(bench: Any, asked: float | None, given: str) -> None:
    door = bench()
    assert door.send(OperatorPulse(asked)) == [f"RELEASE {given}", "door.released"]
    assert door.contact("open") == ["door.opened"]
    assert door.contact("closed") == ["door.closed", *RELOCKED]


def test_timers_that_were_missed_are_served_in_order_before_the_event(bench: Any) -> None:
    door = bench()
    door.grant()
    door.now += 3600
    assert door.contact("open") == [*RELOCKED, "access.not_taken", "door.opened", "door.forced"]


def test_a_rex_never_shortens_a_shunt(bench: Any) -> None:
    door = bench()
    door.grant()
    door.wait(1)
    door.rex()
    door.wait(9)
    assert not door.state.released
    door.wait(SHUNT_TAIL - 0.1)
    assert door.contact("open") == ["door.opened", "access.taken", "COUNT ann"]
