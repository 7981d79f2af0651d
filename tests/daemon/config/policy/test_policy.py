"""A policy is read, checked and built without a site file and without hardware, as a hub does it."""

from __future__ import annotations

from typing import Any, get_type_hints
from zoneinfo import ZoneInfo

import pytest

from cache.model import Mode, StalenessPolicy
from daemon.config.faults import parse
from daemon.config.policy.build import Policy, build_policy
from daemon.config.policy.checks import check_policy
from daemon.config.policy.tables import DoorPolicyTable, PolicyTables
from daemon.config.tables import DoorTable, SiteTables
from daemon.decision.door_rules import AntiPassback, Area, TwoPersonRule

BERLIN = ZoneInfo("Europe/Berlin")

GOOD: dict[str, Any] = {
    "door": {
        "lobby": {
            "mode": "card_and_pin",
            "lockdown_exempt": ["Security"],
            "two_person": {"groups": ["Vault"]},
            "double_badge": {"groups": ["Facilities"], "within": "4s"},
            "area": {"from": "outside", "to": "office"},
        }
    },
    "schedule": {"office": {"mon-fri": ["08:00-18:00"]}},
    "special_days": {"holidays": {"2026-12-25": []}},
    "access_level": [
        {
            "name": "Staff",
            "groups": ["Staff"],
            "doors": ["lobby", "yard"],
            "schedule": "office",
            "special_days": ["holidays"],
            "staleness": {"deny_after": "1h"},
        }
    ],
    "door_schedule": [
        {"door": "yard", "schedule": "office", "mode": "unlocked", "first_person_in": ["Staff"]},
    ],
    "door_exception": [
        {"door": "lobby", "dates": ["2026-12-31"], "windows": [{"at": "10:00-14:00", "mode": "unlocked"}]}
    ],
    "area": {"office": {"anti_passback": "soft", "occupancy": 4}},
}


def read(raw: dict[str, Any]) -> PolicyTables:
    parsed = parse(PolicyTables, raw)
    assert parsed.value is not None, parsed.faults
    return parsed.value


def built(raw: dict[str, Any]) -> Policy:
    tables = read(raw)
    assert list(check_policy(tables, ["lobby", "yard"])) == []
    return build_policy(tables, ["lobby", "yard"], BERLIN)


def test_a_policy_stands_alone() -> None:
    policy = built(GOOD)
    lobby, yard = policy.doors["lobby"], policy.doors["yard"]
    assert (lobby.plan.default, yard.plan.default) == (Mode.CARD_AND_PIN, Mode.LOCKED)
    assert [level.name for level in lobby.levels] == ["Staff"]
    assert lobby.levels[0].staleness == StalenessPolicy(deny_after=3600.0)
    assert lobby.two_person == TwoPersonRule(frozenset({"Vault"}), 10.0)
    assert lobby.double_badge is not None
    assert (lobby.double_badge.groups, lobby.double_badge.within) == ({"Facilities"}, 4.0)
    assert (lobby.from_area, lobby.to_area) == (None, Area("office", AntiPassback.SOFT, occupancy=4))
    assert [len(door.plan.schedules) for door in (lobby, yard)] == [0, 1]
    assert [len(door.plan.exceptions) for door in (lobby, yard)] == [1, 0]
    assert policy.references == {"Staff", "Security", "Vault", "Facilities"}


def test_a_policy_that_says_nothing_locks_every_door_and_lets_no_one_in() -> None:
    policy = built({})
    assert {door.plan.default for door in policy.doors.values()} == {Mode.LOCKED}
    assert policy.levels == policy.doors["lobby"].levels == ()
    assert policy.schedules.keys() == {"always", "never"}


@pytest.mark.parametrize("key", ["lock", "strike_time", "entry", "staleness", "contact"])
def test_hardware_is_no_part_of_it(key: str) -> None:
    parsed = parse(PolicyTables, {"door": {"lobby": {key: "x"}}})
    assert [(fault.key, fault.text.split(";")[0]) for fault in parsed.faults] == [
        (f"door.lobby.{key}", "unknown key")
    ]
    assert "two_person" in parsed.faults[0].text


def test_doors_that_the_hardware_does_not_have_are_refused_wherever_they_are_named() -> None:
    raw = GOOD | {"door": {"loby": {"mode": "blocked"}}, "area": {}}
    faults = {fault.key: fault.text for fault in check_policy(read(raw), ["lobby"])}
    assert faults == {
        "door.loby": 'there is no door "loby"; did you mean "lobby"?',
        "access_level[1].doors": 'there is no door "yard"; there are: lobby',
        "door_schedule[1].door": 'there is no door "yard"; there are: lobby',
    }


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"door": {"lobby": {"area": {"from": "outside", "to": "gone"}}}}, "door.lobby.area.to"),
        ({"schedule": {"always": {"mon": ["08:00-09:00"]}}}, "schedule.always"),
        ({"schedule": {"office": {"mon": ["08:00-10:00", "09:00-11:00"]}}}, "schedule.office"),
        ({"special_days": {"holidays": {"25.12.": []}}}, "special_days.holidays"),
        ({"special_days": {}}, "access_level[1].special_days"),
        ({"schedule": {}}, "access_level[1].schedule"),
    ],
)
def test_each_contradiction_is_found(change: dict[str, Any], key: str) -> None:
    assert key in {fault.key for fault in check_policy(read(GOOD | change), ["lobby", "yard"])}


def test_the_site_file_has_the_same_tables() -> None:
    site, policy = get_type_hints(SiteTables), get_type_hints(PolicyTables)
    assert {key: site[key] for key in policy.keys() - {"door"}} == {k: policy[k] for k in policy.keys() - {"door"}}
    assert issubclass(SiteTables, PolicyTables)
    assert issubclass(DoorTable, DoorPolicyTable)
