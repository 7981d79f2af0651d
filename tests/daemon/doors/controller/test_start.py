"""A controller always starts, and locked: also when what was kept is damaged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cache.model import ClockQuality, DetailValue, EventName, Found, Freshness, Mode, Moment
from daemon.config.load import load_site
from daemon.doors.controller.controller import Controller
from daemon.doors.controller.effects import Effects
from daemon.doors.controller.rules import controller_rules
from drivers.events import DeviceOnline, KeyPress, SwitchOff

SITE = Path(__file__).parents[3] / "scenarios" / "site.toml"
NOW = Moment(datetime(2026, 3, 2, 9, 0, tzinfo=UTC), 1000.0, ClockQuality.SYNCED)
DAMAGED = ["", "{", "null", "[]", '{"lockdown": 7}', '{"override": {"mode": "ajar"}}', "\x00"]


@dataclass(frozen=True, slots=True)
class Started:
    """A controller without anybody in its cache, and what its start asked for."""

    controller: Controller
    effects: Effects


def start(kept: Mapping[str, str], newest: datetime | None = None) -> Started:
    """Start a controller of the scenarios' site from what was kept."""
    site = load_site(SITE, secrets=None)
    controller = Controller(controller_rules(site, bytes(32)), lambda key: Found((), Freshness()))
    return Started(controller, controller.start(NOW, "test", kept, newest))


@pytest.mark.parametrize("text", DAMAGED)
def test_a_door_whose_orders_cannot_be_read_is_in_lockdown_until_released(text: str) -> None:
    started = start({"mode.lobby": text})
    door = started.controller.doors["lobby"]
    assert door.state.mode is Mode.LOCKDOWN
    assert not door.state.released
    assert SwitchOff(door.setup.lock) in started.effects.commands
    assert "could not be read" in str(started.effects.state["mode.lobby"]), "the lockdown itself is kept"


@pytest.mark.parametrize("text", DAMAGED)
def test_what_cannot_be_read_is_on_record_before_everything_else(text: str) -> None:
    first = start({"mode.lobby": text, "position.u7": text}).effects.events[0]
    assert first.name is EventName.SYSTEM_START
    assert dict(first.detail)["unreadable"] == "position.u7, mode.lobby"


def test_a_position_that_cannot_be_read_is_forgotten_for_good() -> None:
    started = start({"position.u7": "?"})
    assert started.effects.state == {"position.u7": None}
    assert not started.controller.site_state.space.positions


def test_a_reader_whose_lockout_cannot_be_read_refuses_pins_for_a_while() -> None:
    started = start({"lockout.lobby-in": "?"})
    assert started.effects.state["lockout.lobby-in"] is not None
    entry = started.controller.readers["lobby-in"]
    assert entry.pins_refused_until(NOW) == NOW.utc + timedelta(seconds=60)


def test_nothing_is_said_where_everything_can_be_read() -> None:
    assert dict(start({}).effects.events[0].detail) == {"version": "test", "clock": "synced"}


def test_a_damaged_row_of_one_door_leaves_the_others_alone() -> None:
    started = start({"mode.lobby": "?"})
    others = [unit for name, unit in started.controller.doors.items() if name != "lobby"]
    assert others
    assert all(unit.state.mode is not Mode.LOCKDOWN for unit in others)


def told_of_another(started: Started, unique: str) -> bool:
    """Whether an answer of a device of this name at lobby-in is an alarm."""
    effects = started.controller.handle(DeviceOnline("lobby-in", 1000.0, unique, True, unique), NOW)
    faults = [event for event in effects.events if event.name is EventName.INPUT_FAULT]
    return any("another device answers" in str(dict(fault.detail)["what"]) for fault in faults)


def test_a_device_that_was_swapped_while_the_controller_was_off_is_told() -> None:
    before = start({})
    effects = before.controller.handle(DeviceOnline("lobby-in", 1000.0, "serial 1", True, "serial 1"), NOW)
    kept = {name: str(text) for name, text in effects.state.items()}
    assert not told_of_another(start(kept), "serial 1")
    assert told_of_another(start(kept), "serial 2")
    assert not told_of_another(start({}), "serial 2"), "the first device in a place is no swap"


def test_a_door_that_starts_in_its_default_mode_says_nothing_of_it() -> None:
    started = start({})
    assert started.controller.doors["server"].state.mode is Mode.CARD_AND_PIN
    assert [event.name for event in started.effects.events] == [EventName.SYSTEM_START]


def test_a_clock_that_went_back_while_the_power_was_off_is_on_record() -> None:
    hour = timedelta(hours=1)
    assert jumps(start({}, NOW.utc + hour)) == [{"seconds": -3600.0}]
    assert jumps(start({}, NOW.utc - hour)) == []


def jumps(started: Started) -> list[dict[str, DetailValue]]:
    """What was recorded of jumps of the clock."""
    return [dict(event.detail) for event in started.effects.events if event.name is EventName.CLOCK_JUMP]


def test_events_of_unknown_devices_do_nothing() -> None:
    controller = start({}).controller
    effects = controller.handle(KeyPress("nowhere", "1", 1000.0), replace(NOW, monotonic=1000.0))
    assert effects == type(effects)()


def test_a_held_alarm_that_was_reported_is_taken_up() -> None:
    started = start({"held.lobby": "reported"})
    assert [name for name, door in started.controller.doors.items() if door.state.held_alarm] == ["lobby"]
