"""All doors together: whose an event is, operators, devices that come and go, the clock and the cache's age."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cache.model import ClockQuality, EventName, Freshness, Mode, Reason
from daemon.doors.controller.orders import DoorAction
from drivers.events import (
    Buzz,
    Colour,
    DeviceAlarm,
    DeviceOffline,
    DeviceOnline,
    KeyPress,
    Led,
    ReadError,
    ReadFault,
    SwitchOff,
    TamperChanged,
)
from tests.daemon.doors.controller.bench import Bench, rules


def test_commands_leave_before_anything_is_on_record(bench: Bench) -> None:
    """One call answers with both, and what is to be kept; nothing is left for the next call."""
    effects = bench.badge("ann")
    assert effects.commands
    assert effects.events
    assert bench.send(KeyPress("spare", "1", bench.monotonic)).events == ()


def test_the_start_switches_every_lock_off_and_shows_the_resting_light(bench: Bench) -> None:
    effects = bench.start()
    released = [one.point for one in effects.commands if isinstance(one, SwitchOff)]
    assert released == [setup.lock for setup in rules().doors.values()]
    assert effects.events[0].name is EventName.SYSTEM_START


def test_the_end_is_on_record(bench: Bench) -> None:
    effects = bench.controller.stop()
    assert [event.name for event in effects.events] == [EventName.SYSTEM_STOP]
    assert effects.commands == (), "the drivers switch every output off themselves"


# ------------------------------------------------------------------ operators


def test_an_operator_is_named_before_what_came_of_it(bench: Bench) -> None:
    bench.order(DoorAction.UNLOCK, reason="delivery", until=bench.utc + timedelta(minutes=30))
    operator = bench.last(EventName.OPERATOR)
    assert dict(operator.detail) == {
        "name": "op",
        "action": "unlock",
        "until": "2026-03-02T06:30:00.250000+00:00",
        "because": "delivery",
    }
    assert bench.told() == ["operator", "door.mode", "door.released"]
    bench.wait(1801)
    assert bench.told() == ["door.mode", "door.locked"]


@pytest.mark.parametrize(
    ("action", "mode"),
    [
        (DoorAction.LOCKDOWN, Mode.LOCKDOWN),
        (DoorAction.UNLOCK, Mode.UNLOCKED),
        (DoorAction.LOCK, Mode.LOCKED),
        (DoorAction.BLOCK, Mode.BLOCKED),
    ],
)
def test_an_order_holds_over_a_restart_until_it_is_released(bench: Bench, action: DoorAction, mode: Mode) -> None:
    bench.order(action)
    assert bench.controller.doors["lobby"].state.mode is mode
    bench.start()
    assert bench.controller.doors["lobby"].state.mode is mode
    assert bench.controller.doors["lab"].state.mode is Mode.CARD_AND_PIN, "the others are left alone"
    bench.order(DoorAction.RELEASE)
    assert bench.controller.doors["lobby"].state.mode is Mode.LOCKED
    assert "mode.lobby" not in bench.kept


def test_a_pulse_lasts_as_long_as_asked_or_the_strike_time(bench: Bench) -> None:
    for seconds, lasting in ((None, 5.0), (2.0, 2.0), (1e9, 25.0)):
        bench.order(DoorAction.PULSE, seconds=seconds)
        bench.wait(lasting - 0.1)
        assert bench.released()
        bench.wait(0.2)
        assert not bench.released()


@pytest.mark.parametrize("action", [DoorAction.LOCKDOWN, DoorAction.BLOCK])
def test_a_barred_door_refuses_a_pulse_and_says_so(bench: Bench, action: DoorAction) -> None:
    bench.order(action)
    bench.order(DoorAction.PULSE)
    assert not bench.released()
    refused = dict(bench.last(EventName.OPERATOR).detail)["refused"]
    assert refused == bench.controller.doors["lobby"].state.mode


def test_an_interlock_binds_operators_too(bench: Bench) -> None:
    bench.order(DoorAction.PULSE, "vault")
    bench.told()
    bench.order(DoorAction.PULSE, "lab")
    assert bench.released("vault")
    assert not bench.released("lab")
    assert dict(bench.last(EventName.OPERATOR).detail)["refused"] == "interlock with vault"
    bench.wait(11)
    bench.order(DoorAction.PULSE, "lab")
    assert bench.released("lab")
    assert "refused" not in dict(bench.last(EventName.OPERATOR).detail)


def test_only_the_exempt_pass_a_lockdown(bench: Bench) -> None:
    bench.order(DoorAction.LOCKDOWN)
    bench.badge("ann")
    assert bench.last(EventName.ACCESS_DENIED).reason is Reason.LOCKDOWN
    bench.badge("eve")
    assert bench.last(EventName.ACCESS_GRANTED).person == "eve"


def test_people_are_forgiven_one_by_one_and_by_area(bench: Bench) -> None:
    for name in ("ann", "bob"):
        bench.badge(name)
        bench.line("in1", on=False)
        bench.line("in1", on=True)
        bench.wait(30)
    positions = bench.controller.site_state.space.positions
    assert set(positions) == {"ann", "bob"}
    assert bench.controller.knows_where("ann")
    bench.take(bench.controller.forgive("op", "ann", bench.now))
    assert dict(bench.last(EventName.OPERATOR).detail) == {"name": "op", "action": "forgive"}
    assert bench.last(EventName.OPERATOR).person == "ann"
    assert set(positions) == {"bob"}
    bench.take(bench.controller.forgive_area("op", "office", bench.now))
    assert not bench.controller.site_state.space.positions
    assert not [name for name in bench.kept if name.startswith("position.")]
    with pytest.raises(ValueError, match='no area "outside"; there are: office'):
        bench.controller.forgive_area("op", "outside", bench.now)


# ------------------------------------------------------------------ devices


def test_a_read_error_is_told_with_its_kind_and_shown(bench: Bench) -> None:
    for fault, reason in (
        (ReadFault.PARITY_ERROR, Reason.PARITY_ERROR),
        (ReadFault.BAD_FRAME, Reason.BAD_FRAME),
        (ReadFault.QUEUED, Reason.BAD_FRAME),
    ):
        effects = bench.send(ReadError("lobby-in", fault, bench.monotonic, 26, 5, "noise"))
        (event,) = effects.events
        assert (event.name, event.door, event.reader, event.reason) == (
            EventName.READ_ERROR,
            "lobby",
            "lobby-in",
            reason,
        )
        assert dict(event.detail) == {"bits": 26, "fault": fault.value, "note": "noise"}, "the bits are not kept"
        assert effects.commands == (Led("lobby-in", Colour.RED, 1.0, blink=True), Buzz("lobby-in", count=3))


def test_a_reader_of_no_door_is_on_record_and_opens_nothing(bench: Bench) -> None:
    assert bench.badge("ann", "spare").events == ()
    (event,) = bench.send(ReadError("spare", ReadFault.BAD_FRAME, bench.monotonic)).events
    assert (event.door, event.reader) == (None, "spare")
    bench.send(DeviceOffline("spare", bench.monotonic, "no answer"))
    bench.send(DeviceOffline("spare", bench.monotonic, "no answer"))
    bench.send(DeviceOnline("spare", bench.monotonic))
    assert bench.told() == ["read.error bad_frame", "reader.offline", "reader.online"]


def test_a_board_that_comes_and_goes_is_told_once_with_the_reason(bench: Bench) -> None:
    for _ in range(2):
        bench.send(DeviceOffline("main", bench.monotonic, "no answer for 2 s"))
    offline = bench.last(EventName.BOARD_OFFLINE)
    assert dict(offline.detail) == {"board": "main", "why": "no answer for 2 s"}
    for _ in range(2):
        bench.send(DeviceOnline("main", bench.monotonic, "waveshare"))
    assert bench.told() == ["board.offline", "board.online"]


def test_a_door_says_its_lock_anew_when_the_board_is_back(bench: Bench) -> None:
    bench.order(DoorAction.UNLOCK)
    bench.send(DeviceOffline("main", bench.monotonic, "no answer"))
    bench.outputs["main.out1"] = float("-inf")  # the board forgot it
    bench.send(DeviceOnline("main", bench.monotonic))
    assert bench.released()
    bench.badge("ann", "lobby-out")
    bench.order(DoorAction.LOCK)
    assert not bench.released()


def test_another_device_in_a_place_is_an_alarm_also_after_a_restart(bench: Bench) -> None:
    bench.send(DeviceOnline("lobby-in", bench.monotonic, unique="A"))
    bench.send(DeviceOnline("lobby-in", bench.monotonic, unique="A"))
    assert bench.told() == []
    bench.start()
    bench.told()
    bench.send(DeviceOnline("lobby-in", bench.monotonic, unique="B"))
    (event,) = bench.events
    assert (event.name, event.reader) == (EventName.INPUT_FAULT, "lobby-in")
    assert dict(event.detail)["what"] == "another device answers: was A, is B"


def test_tamper_of_a_reader_is_its_door_s_and_of_a_board_everybody_s(bench: Bench) -> None:
    bench.send(TamperChanged("lobby-in", True, bench.monotonic))
    bench.send(TamperChanged("main", True, bench.monotonic))
    bench.send(TamperChanged("main", False, bench.monotonic))
    assert [(e.name, e.door) for e in bench.events] == [
        (EventName.TAMPER_ON, "lobby"),
        (EventName.TAMPER_ON, None),
        (EventName.TAMPER_OFF, None),
    ]


def test_what_a_device_complains_of_is_on_record(bench: Bench) -> None:
    bench.send(DeviceAlarm("main", bench.monotonic, "read-back differs"))
    assert dict(bench.last(EventName.INPUT_FAULT).detail) == {"device": "main", "what": "read-back differs"}


# ------------------------------------------------------------------ the clock and the cache's age


def test_a_clock_that_is_set_is_told_and_every_schedule_looked_at_anew(bench: Bench) -> None:
    bench.wait(2.5 * 3600)
    bench.badge("ann")
    assert bench.controller.doors["lobby"].state.mode is Mode.UNLOCKED
    bench.told()
    bench.utc += timedelta(hours=12)
    bench.wait(0)
    assert bench.told()[0] == "clock.jump"
    assert bench.controller.doors["lobby"].state.mode is Mode.LOCKED
    bench.utc += timedelta(seconds=1.9)
    bench.wait(0)
    assert bench.told() == [], "less than NTP may slew between two looks"


def test_a_clock_that_cannot_be_trusted_is_told_and_changes_the_modes(bench: Bench) -> None:
    bench.quality = ClockQuality.NEVER_SET
    bench.wait(0)
    assert "clock.quality" in bench.told()
    assert bench.controller.doors["lab"].state.mode is Mode.BLOCKED, "the strictest that its plan knows"
    bench.quality = ClockQuality.SYNCED
    bench.wait(0)
    assert bench.controller.doors["lab"].state.mode is Mode.CARD_AND_PIN


def test_the_cache_of_a_door_grows_old_at_its_instant_and_young_with_a_sync(bench: Bench) -> None:
    bench.wait(3599)
    assert "cache.stale" not in bench.told()
    bench.wait(1)
    assert [(e.name, e.door, e.level) for e in bench.events if e.name is EventName.CACHE_STALE] == [
        (EventName.CACHE_STALE, "lab", "denied")
    ]
    bench.badge("ann", "lab-in")
    assert bench.last(EventName.ACCESS_DENIED).reason is Reason.STALE_CACHE
    bench.told()
    bench.freshness = Freshness(8, bench.utc)
    bench.take(bench.controller.watch_cache(bench.freshness, bench.now))
    assert [(e.door, e.level) for e in bench.events] == [("lab", "fresh")]
