"""``why`` over the control socket: a card, a person, a group; now, in the past and in the future."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daemon.control.questions.conditions import ELSEWHEN, FUTURE, PAST
from daemon.doors.controller.orders import DoorAction, OperatorOrder
from daemon.doors.loop import Doors
from daemon.errors import ControlError
from tests.daemon.control.served import Ask, Served


def soon(hour: int) -> str:
    """An hour of a Monday in Berlin within the next week or so: before the cache is too old."""
    day = datetime.now(UTC).date() + timedelta(days=1)
    while day.weekday():
        day += timedelta(days=1)
    return f"{day}T{hour:02}:00:00+01:00"


def test_a_person_by_id_user_name_or_part_of_the_name(ask: Ask) -> None:
    for text in ("u1", "ada@example.com", "ADA@EXAMPLE.COM", "Lovel", "Ada Lovelace", "100"):
        (report,) = ask("why", person=text, reader="lobby-in", at=soon(9))
        assert (report["person"], report["outcome"], report["level"]) == ("u1", "grant", "Staff weekdays"), text
        assert (report["group"], report["credential"], report["live"]) == ("Staff", "own", False)
        assert report["trace"][-1]["rule"] == "access"


def test_the_schedule_is_that_of_the_instant(ask: Ask) -> None:
    (day,), (night,) = (ask("why", person="u1", door="lobby", at=soon(hour)) for hour in (9, 20))
    assert (day["outcome"], night["outcome"], night["reason"]) == ("grant", "deny", "outside_schedule")
    assert (day["reader"], day["door"]) == ("lobby-in", "lobby")


def test_the_card_and_its_person_have_one_answer(ask: Ask) -> None:
    (by_card,) = ask("why", card="H10301:57:1", reader="lobby-in", at=soon(9))
    (by_person,) = ask("why", person="u1", reader="lobby-in", at=soon(9))
    assert by_card["credential"] == "shown"
    different = {"credential"}
    assert {k: v for k, v in by_card.items() if k not in different} == {
        k: v for k, v in by_person.items() if k not in different
    }


def test_a_person_without_a_card_is_asked_about_as_if_they_had_one(ask: Ask) -> None:
    (report,) = ask("why", person="u4", reader="lobby-in", at=soon(9))
    assert (report["outcome"], report["credential"]) == ("grant", "assumed")
    assert "as if a valid one were shown" in report["notes"][0]
    assert "assumed card" in report["trace"][1]["text"]


def test_the_mode_of_another_instant_is_that_of_the_schedule(served: Served) -> None:
    def lock_down(doors: Doors) -> None:
        now = doors.now()
        doors.act(doors.controller.operate(OperatorOrder("eve", DoorAction.LOCKDOWN, "lobby"), now), now)

    served.act(lock_down)
    (now,) = served.ask("why", person="u1", door="lobby")
    assert (now["reason"], now["mode"], now["live"], now["notes"]) == ("lockdown", "lockdown", True, [])
    assert served.ask("why", person="u1", door="lobby", at="now")[0]["reason"] == "lockdown"
    (later,) = served.ask("why", person="u1", door="lobby", at=soon(9))
    assert (later["outcome"], later["mode"], later["live"]) == ("grant", "locked", False)
    assert later["notes"] == [ELSEWHEN, FUTURE]
    (blocked,) = served.ask("why", person="u2", door="vault", at=soon(9))
    assert (blocked["reason"], blocked["mode"]) == ("door_blocked", "blocked")


def test_two_people_and_a_pin_are_asked_for(ask: Ask) -> None:
    (report,) = ask("why", person="u1", door="vault", at=soon(23))
    assert (report["outcome"], report["mode"]) == ("need_pin", "card_and_pin")


def test_the_cache_ages_until_then(ask: Ask) -> None:
    at = datetime.now(UTC) + timedelta(days=31)
    while at.weekday() != 0:
        at += timedelta(days=1)
    (report,) = ask("why", person="u1", door="lobby", at=f"{at.date()}T09:00:00+01:00")
    assert report["reason"] == "stale_cache"
    assert report["age"] > 30 * 86400
    assert FUTURE in report["notes"]
    (past,) = ask("why", person="u1", door="lobby", at="2026-03-02T09:00:00+01:00")
    assert (past["outcome"], past["age"]) == ("grant", 0.0)
    assert PAST in past["notes"]
    assert FUTURE not in past["notes"]


def test_what_really_happened_is_told(served: Served) -> None:
    served.badge("lobby-in", 1)
    deadline = time.monotonic() + 20
    while not (events := served.ask("events", person="u1")) and time.monotonic() < deadline:
        time.sleep(0.01)
    at = datetime.fromisoformat(events[-1]["at"]) + timedelta(microseconds=1)
    (report,) = served.ask("why", person="u1", reader="lobby-in", at=at.isoformat())
    (happened,) = report["happened"]
    assert happened["sequence"] == events[-1]["sequence"]
    assert happened["name"] in ("access.granted", "access.denied")
    members = served.ask("why group", group="Staff", reader="lobby-in", at=at.isoformat())
    assert [m["person"] for m in members[1:] if m["happened"]] == ["u1"]
    (elsewhere,) = served.ask("why", person="u1", reader="lobby-out", at=at.isoformat())
    assert elsewhere["happened"] == []
    earlier = (at - timedelta(minutes=2)).isoformat()
    assert served.ask("why", person="u1", reader="lobby-in", at=earlier)[0]["happened"] == []


def test_a_group_has_a_line_for_each_member(ask: Ask) -> None:
    for text in ("Staff", "staff", "g1"):
        head, *members = ask("why group", group=text, reader="lobby-in", at=soon(9))
        assert (head["kind"], head["group"], head["name"], head["members"]) == ("group", "g1", "Staff", 4)
        assert [(m["name"], m["outcome"], m["reason"], m["level"], m["credential"]) for m in members] == [
            ("Ada Lovelace", "grant", "granted", "Staff weekdays", "own"),
            ("Alan Turing", "deny", "person_inactive", None, "own"),
            ("Edsger Dijkstra", "grant", "granted", "Staff weekdays", "assumed"),
            ("Grace Hopper", "grant", "granted", "Staff weekdays", "own"),
        ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"person": "u1", "reader": "lobby-inn"}, 'no door has the reader "lobby-inn"; did you mean "lobby-in"?'),
        ({"person": "u1", "door": "loby"}, 'there is no door "loby"; did you mean "lobby"?'),
        ({"person": "u1"}, "say where"),
        ({"person": "u1", "reader": "lobby-in", "door": "lobby"}, "say where"),
        ({"reader": "lobby-in"}, "say whose"),
        ({"reader": "lobby-in", "person": "u1", "card": "H10301:57:1"}, "say whose"),
        ({"reader": "lobby-in", "person": "Grace"}, '2 people match "Grace": Grace Hopper .*; say an id'),
        ({"reader": "lobby-in", "person": "Ada Lovelase"}, "did you mean Ada Lovelace ada@example.com"),
        ({"reader": "lobby-in", "person": "%"}, 'the cache has no one like "%"'),
        ({"reader": "lobby-in", "person": " "}, "say who"),
        ({"reader": "lobby-in", "card": "H10301:57"}, "--card: "),
        ({"reader": "lobby-in", "person": "u1", "at": "2026-11-24T08:00:00"}, "with its offset"),
        ({"reader": "lobby-in", "person": "u1", "at": "yesterday"}, "with its offset"),
        ({"reader": "lobby-in", "person": "u1", "at": "9999-12-31T23:59:59-14:00"}, "between 1970 and 2199"),
    ],
)
def test_what_is_not_there_is_said_in_words(ask: Ask, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ControlError, match=words) as error:
        ask("why", **arguments)
    assert error.value.exit_code == 2


def test_an_unknown_group_has_a_nearest_name(ask: Ask) -> None:
    with pytest.raises(ControlError, match='no access group "Stuff"; did you mean "Staff"') as error:
        ask("why group", group="Stuff", reader="lobby-in")
    assert error.value.exit_code == 2
