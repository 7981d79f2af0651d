"""``access`` over the control socket: who may pass a door, and which doors somebody may pass."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.doors.controller.orders import DoorAction, OperatorOrder
from daemon.doors.loop import Doors
from daemon.errors import ControlError
from tests.daemon.control.served import Ask, Served

DAY = "2026-11-24T09:00:00+01:00"
NIGHT = "2026-11-24T23:00:00+01:00"


def paths(items: list[Any]) -> list[tuple[str, str, str]]:
    """Door, access group and access level of each path."""
    return [(item["door"], item["group"], item["level"]) for item in items if item["kind"] == "path"]


def people(items: list[Any]) -> list[tuple[str, str]]:
    """Access group and person of each person that is named."""
    return [(item["group_id"], item["person"]) for item in items if item["kind"] == "person"]


def test_a_door_is_listed_by_group_with_what_the_directory_lacks(ask: Ask) -> None:
    head, *items = ask("access", door="lobby")
    assert (head["kind"], head["door"], head["at"], head["generation"]) == ("access", "lobby", None, 1)
    assert [(i["group"], i["group_id"], i["level"], i["when"], i["members"], i["essential"]) for i in items] == [
        ("Staff", "g1", "Staff weekdays", "08:00-18:00 Mon-Fri", 4, False),
        ("Security", "g2", "Security", "always", 1, True),
        ("Temps", None, "Staff weekdays", "08:00-18:00 Mon-Fri", 0, False),
    ]


def test_members_are_named_below_their_path(ask: Ask) -> None:
    _, *items = ask("access", door="lobby", members=True)
    assert [item["kind"] for item in items] == ["path", *["person"] * 4, "path", "person", "path"]
    assert people(items) == [("g1", "u1"), ("g1", "u3"), ("g1", "u4"), ("g1", "u2"), ("g2", "u2")]
    assert [item["active"] for item in items if item["kind"] == "person"] == [True, False, True, True, True]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (DAY, [("lobby", "Staff", "Staff weekdays"), ("lobby", "Security", "Security")]),
        (NIGHT, [("lobby", "Security", "Security")]),
    ],
)
def test_at_an_instant_only_those_who_may_pass(ask: Ask, at: str, expected: list[tuple[str, str, str]]) -> None:
    assert paths(ask("access", door="lobby", at=at)) == expected
    named = {person for _, person in people(ask("access", door="lobby", at=at, members=True))}
    assert named == ({"u1", "u2", "u4"} if at == DAY else {"u2"})


def test_a_person_has_paths_through_doors(ask: Ask) -> None:
    head, *items = ask("access", person="ada@example.com")
    assert (head["person"], head["name"], head["notes"]) == ("u1", "Ada Lovelace", [])
    assert paths(items) == [("lobby", "Staff", "Staff weekdays"), ("vault", "Vault", "Vault nights")]
    assert paths(ask("access", person="u1", at=NIGHT)) == [("vault", "Vault", "Vault nights")]
    assert paths(ask("access", person="u1", door="lobby")) == [("lobby", "Staff", "Staff weekdays")]


def test_a_person_who_is_not_active_has_paths_but_passes_none(ask: Ask) -> None:
    head, *items = ask("access", person="u3")
    assert "not active in the directory" in head["notes"][0]
    assert paths(items) == [("lobby", "Staff", "Staff weekdays")]
    assert paths(ask("access", person="u3", at=DAY)) == []


def test_a_group_has_paths_through_doors(ask: Ask) -> None:
    _, *items = ask("access", group="Security", members=True)
    assert paths(items) == [("lobby", "Security", "Security"), ("vault", "Security", "Security")]
    assert people(items) == [("g2", "u2"), ("g2", "u2")]
    assert paths(ask("access", group="Security", door="vault")) == [("vault", "Security", "Security")]


def test_now_means_what_operators_ordered_too(served: Served) -> None:
    def lock_down(doors: Doors) -> None:
        now = doors.now()
        doors.act(doors.controller.operate(OperatorOrder("eve", DoorAction.LOCKDOWN, "lobby"), now), now)

    served.act(lock_down)
    items = served.ask("access", door="lobby", at="now", members=True)
    assert items[0]["live"]
    assert {person for _, person in people(items)} == {"u2"}
    assert paths(served.ask("access", group="Security", door="lobby", at="now")) == [
        ("lobby", "Security", "Security")
    ]
    assert ("lobby", "Staff", "Staff weekdays") in paths(served.ask("access", door="lobby"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "say whose or where"),
        ({"person": "u1", "group": "g1"}, "cannot be asked together"),
        ({"door": "lobbi"}, 'did you mean "lobby"'),
        ({"group": "Securty"}, 'did you mean "Security"'),
        ({"person": "nobody at all"}, "the cache has no one like"),
        ({"door": "lobby", "at": "noon"}, "with its offset"),
    ],
)
def test_what_is_not_there_is_said_in_words(ask: Ask, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ControlError, match=words) as error:
        ask("access", **arguments)
    assert error.value.exit_code == 2
