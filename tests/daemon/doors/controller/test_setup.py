"""From the site file to the doors: each key ends where it is meant, each default where none is written."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

from cache.model import ClockPolicy, Interval, Mode, StalenessPolicy
from daemon.config.bounds import InterlockRule, Relock, Wiring
from daemon.config.devices import Devices
from daemon.config.faults import parse
from daemon.config.site import Site, build_site
from daemon.config.tables import SiteTables
from daemon.decision.door_rules import AntiPassback, Area, Frequency, ModeWindow, TwoPersonRule
from daemon.doors.controller.setup import door_setups, interlocks, pins_alone, session_config
from daemon.doors.door.lockout import LockoutRules
from daemon.doors.door.session import SessionConfig
from daemon.doors.door.space import Interlock
from daemon.doors.door.state import DoorConfig
from drivers.events import Point
from tests.daemon.doors.controller.bench import rules

BERLIN = ZoneInfo("Europe/Berlin")


def site(**tables: object) -> Site:
    """A site of these tables and one plain door."""
    head = {"name": "S", "timezone": "Europe/Berlin", "key": "env:KEY"}
    door = {"plain": {"entry": "in", "lock": "main.out1"}, **tables.pop("door", {})}  # type: ignore[dict-item]
    parsed = parse(SiteTables, {"site": head, "door": door, **tables})
    assert parsed.value is not None, parsed.faults
    return build_site(parsed.value, Devices())


def test_a_door_with_nothing_said_has_the_defaults() -> None:
    setup = door_setups(site())["plain"]
    assert setup.config == DoorConfig(name="plain", has_contact=False)
    assert (setup.entry, setup.exit, setup.readers) == ("in", None, ("in",))
    assert setup.lock == Point("main", "out1")
    assert setup.contact is setup.rex is setup.fire is setup.double_badge is None
    assert setup.modes.plan.default is Mode.LOCKED
    assert (setup.modes.plan.schedules, setup.modes.plan.exceptions, setup.modes.double_badge) == (
        (),
        (),
        frozenset(),
    )
    assert setup.rules.levels == ()
    assert setup.rules.two_person is setup.rules.to_area is setup.rules.from_area is None
    assert (setup.rules.staleness, setup.rules.clock) == (StalenessPolicy(), ClockPolicy.DENY_TIME_BOUND)


def test_hardware_and_times_of_a_door() -> None:
    setup = rules().doors["lobby"]
    assert setup.readers == ("lobby-in", "lobby-out")
    assert setup.contact is not None
    assert setup.rex is not None
    assert setup.fire is not None
    assert (setup.contact.point, setup.contact.sense) == (Point("main", "in1"), Wiring.NC)
    assert (setup.rex.point, setup.rex.sense, setup.rex.debounce) == (Point("main", "in2"), Wiring.NO, 0.03)
    assert setup.fire.point == Point("main", "in8")
    assert setup.config == DoorConfig(
        name="lobby",
        strike_time=5.0,
        extended_time=20.0,
        relock=Relock.ON_CLOSE,
        has_contact=True,
        rex_release=True,
        rex_time=3.0,
    )
    assert (setup.double_badge, setup.modes.double_badge) == (5.0, frozenset({"Security"}))


def test_rules_of_a_door() -> None:
    lobby, vault, lab = (rules().doors[name].rules for name in ("lobby", "vault", "lab"))
    assert lobby.lockdown_exempt == {"Security"}
    assert lobby.to_area == Area("office", AntiPassback.SOFT, reset=240)
    assert lobby.from_area is None, "outside is no area"
    assert [level.name for level in lobby.levels] == ["Everybody", "Cleaning by day"]
    assert [level.name for level in vault.levels] == ["Everybody"]
    assert vault.two_person == TwoPersonRule(frozenset({"Vault"}), 10.0)
    assert (vault.staleness, lab.staleness) == (StalenessPolicy(None, 30 * 86400.0), StalenessPolicy(None, 3600.0))
    assert lobby.zone == BERLIN


def test_schedules_are_the_doors_that_name_them() -> None:
    (lobby,) = rules().doors["lobby"].modes.plan.schedules
    assert (lobby.schedule.name, lobby.mode, lobby.grace) == ("mornings", Mode.UNLOCKED, 900.0)
    assert lobby.first_person_in == {"Staff"}
    (lab,) = rules().doors["lab"].modes.plan.schedules
    assert (lab.schedule.name, lab.mode, lab.first_person_in, lab.grace) == (
        "small-hours",
        Mode.BLOCKED,
        frozenset(),
        0.0,
    )


def test_exceptions_of_a_door() -> None:
    windows = [{"at": "10:00-14:00", "mode": "unlocked"}]
    found = door_setups(
        site(
            door={"other": {"entry": "o", "lock": "main.out2"}},
            door_exception=[
                {"door": "plain", "dates": ["2026-12-31"], "windows": windows},
                {"door": "plain", "from": "2027-01-01", "until": "2027-01-02", "windows": []},
                {
                    "door": "plain",
                    "from": "2027-03-01",
                    "recurrence": "FREQ=MONTHLY;BYDAY=-1FR",
                    "windows": windows,
                },
            ],
        )
    )
    assert found["other"].modes.plan.exceptions == ()
    dated, ranged, recurring = found["plain"].modes.plan.exceptions
    assert (dated.dates, dated.windows) == (
        frozenset({date(2026, 12, 31)}),
        (ModeWindow(Interval(600, 840), Mode.UNLOCKED),),
    )
    assert (ranged.first, ranged.last, ranged.windows, ranged.recurrence) == (
        date(2027, 1, 1),
        date(2027, 1, 2),
        (),
        None,
    )
    assert recurring.recurrence is not None
    assert (recurring.recurrence.frequency, recurring.recurrence.by_day) == (Frequency.MONTHLY, ((-1, 4),))
    assert recurring.first == date(2027, 3, 1)


def test_pins_areas_and_interlocks_are_the_site_s() -> None:
    assert session_config(site()) == SessionConfig()
    assert rules().sessions == SessionConfig(pin_length=4)
    assert rules().lockouts == LockoutRules(after=2)
    assert not rules().pins_alone
    assert pins_alone(site())
    assert rules().duress
    assert site(area={"lab": {"timed": "10m", "occupancy": 3}}).policy.areas == {
        "lab": Area("lab", AntiPassback.OFF, 600.0, None, 3)
    }
    assert interlocks(site()) == ()
    assert rules().interlocks == (Interlock(("vault", "lab"), InterlockRule.ONE_OPEN),)
