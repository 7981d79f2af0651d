"""One door at work: its inputs, its mode by clock and order, and what it tells lock and readers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cache.model import EventName, Mode, ModeCause
from daemon.doors.controller.orders import DoorAction
from daemon.doors.door.state import Contact, Signal
from drivers.events import (
    Colour,
    DeviceOffline,
    DeviceOnline,
    InputChanged,
    InputState,
    Led,
    Point,
    SwitchOff,
    SwitchOn,
)
from tests.daemon.doors.controller.bench import Bench, rules


def test_inputs_are_each_their_own_door_s(bench: Bench) -> None:
    bench.line("in3", on=False)
    assert bench.told() == ["door.opened", "door.forced"]
    doors = bench.controller.doors
    assert doors["vault"].state.contact is Contact.OPEN
    assert doors["lobby"].state.contact is doors["lab"].state.contact is Contact.CLOSED
    assert bench.send(InputChanged(Point("main", "in7"), InputState.ON, bench.monotonic)).events == ()


def test_an_input_counts_when_it_is_stable(bench: Bench) -> None:
    contact = Point("main", "in1")
    bench.send(InputChanged(contact, InputState.OFF, bench.monotonic))
    bench.pass_time(0.01)
    bench.send(InputChanged(contact, InputState.ON, bench.monotonic))
    bench.wait(1)
    assert bench.told() == []
    bench.send(InputChanged(contact, InputState.OFF, bench.monotonic))
    bench.wait(0.031)
    assert bench.told() == ["door.opened", "door.forced"]


def test_a_rex_releases_and_opens_without_alarm(bench: Bench) -> None:
    bench.line("in2", on=True)
    assert bench.released()
    bench.line("in1", on=False)
    bench.wait(4)
    assert not bench.released()
    assert bench.told() == ["rex", "door.released", "door.opened", "door.locked"]


def test_what_a_lost_board_said_of_contact_and_rex_must_be_learnt_anew(bench: Bench) -> None:
    state = bench.controller.doors["lobby"].state
    assert (state.contact, state.rex_line) == (Contact.CLOSED, Signal.OFF)
    bench.send(DeviceOffline("main", bench.monotonic, "no answer"))
    state = bench.controller.doors["lobby"].state
    assert (state.contact, state.rex_line) == (Contact.LOST, Signal.LOST)
    bench.send(DeviceOnline("main", bench.monotonic))
    bench.told()
    bench.line("in2", on=True)
    assert bench.told() == [], "a button found pressed is no request"
    bench.line("in1", on=True)
    assert bench.controller.doors["lobby"].state.contact is Contact.CLOSED


# ------------------------------------------------------------------ fire


def test_a_fire_is_recorded_and_neither_opens_nor_locks(bench: Bench) -> None:
    bench.line("in8", on=True)
    assert bench.controller.doors["lobby"].state.cause is ModeCause.FIRE
    assert not bench.released()
    bench.line("in1", on=False)
    assert bench.told() == ["door.mode", "door.opened"], "no forced alarm"
    bench.line("in8", on=False)
    assert bench.controller.doors["lobby"].state.cause is ModeCause.DEFAULT


def test_a_door_that_is_unlocked_stays_so_until_the_fire_is_over(bench: Bench) -> None:
    bench.order(DoorAction.UNLOCK, until=bench.utc + timedelta(minutes=5))
    bench.line("in8", on=True)
    bench.wait(600)
    assert bench.released()
    bench.line("in8", on=False)
    assert not bench.released()


@pytest.mark.parametrize(("state", "words"), [(InputState.SHORT, "short"), (InputState.OPEN, "open")])
def test_a_broken_fire_line_is_a_fault_and_no_alarm(bench: Bench, state: InputState, words: str) -> None:
    bench.raw("in8", state)
    assert dict(bench.last(EventName.INPUT_FAULT).detail) == {"input": "fire", "state": words}
    bench.line("in8", on=False)
    assert bench.told() == ["input.fault", "input.clear"]
    bench.line("in8", on=True)
    bench.raw("in8", state)
    assert bench.controller.doors["lobby"].state.cause is ModeCause.FIRE, "nor the end of one"


# ------------------------------------------------------------------ modes


def test_the_mode_changes_at_the_edge_of_its_schedule(bench: Bench) -> None:
    sunday = Bench(utc=datetime(2026, 3, 8, 1, 0, tzinfo=UTC))
    door = sunday.controller.doors["lab"]
    assert door.next_edge(sunday.now) == datetime(2026, 3, 8, 1, 30, tzinfo=UTC)
    assert sunday.controller.deadline(sunday.now) is not None
    sunday.wait(1799.9 - 0.25)
    assert door.state.mode is Mode.CARD_AND_PIN
    sunday.wait(0.2)
    assert (door.state.mode, door.state.cause) == (Mode.BLOCKED, ModeCause.SCHEDULE)


def test_the_light_at_rest_tells_whether_a_card_is_needed(bench: Bench) -> None:
    effects = bench.order(DoorAction.UNLOCK)
    lights = [(one.reader, one.colour) for one in effects.commands if isinstance(one, Led)]
    assert lights == [("lobby-in", Colour.GREEN), ("lobby-out", Colour.GREEN)]
    assert SwitchOn(rules().doors["lobby"].lock) in effects.commands
    effects = bench.order(DoorAction.LOCK)
    lights = [(one.reader, one.colour) for one in effects.commands if isinstance(one, Led)]
    assert lights == [("lobby-in", Colour.RED), ("lobby-out", Colour.RED)]
    assert SwitchOff(rules().doors["lobby"].lock) in effects.commands


def test_an_order_that_changes_nothing_is_not_written_again(bench: Bench) -> None:
    assert bench.order(DoorAction.LOCKDOWN).state
    assert not bench.order(DoorAction.LOCKDOWN).state


def test_what_has_expired_is_not_kept(bench: Bench) -> None:
    bench.order(DoorAction.BLOCK, until=bench.utc + timedelta(minutes=1))
    assert "mode.lobby" in bench.kept
    bench.wait(61)
    assert "mode.lobby" not in bench.kept
