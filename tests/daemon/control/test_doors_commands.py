"""``door`` and ``forgive`` over the control socket: what was answered is done, on record, and durable."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from cache.changes import Delta, Plan
from cache.directory.store import Store
from cache.journal.reader import JournalReader
from cache.model import Person
from cache.reconcile.reconcile import Evidence, Policy, plan
from daemon.control import doors_commands
from daemon.doors import clock
from daemon.errors import ControlError
from tests.daemon.control.served import DIRECTORY, Ask, Served, fill_cache, serving, write_site

AREAS = """
[area.hall]
anti_passback = "hard"
[reader.hall-in]
bus = "bench"
[door.hall]
entry = "hall-in"
lock = "main.out3"
area = { from = "outside", to = "hall" }
[[access_level]]
name = "Hall"
groups = ["Staff"]
doors = ["hall"]
"""


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Served]:
    """The same site with an area behind a door that has no contact: an entry counts at the grant."""
    site = write_site(tmp_path, AREAS)
    fill_cache(site, DIRECTORY, clock.now().utc)
    with serving(site) as served:
        yield served


def kept(served: Served) -> dict[str, str]:
    """What is durable at this moment: what a process would read that starts after a power cut."""
    with JournalReader(served.doors.paths.journal) as reader:
        return dict(reader.state())


def test_a_lockdown_is_durable_when_it_is_answered(ask: Ask, served: Served) -> None:
    told = ask("door", action="lockdown", door="all", because="drill")
    assert [(door["name"], door["mode"], door["because"]) for door in told] == [
        ("lobby", "lockdown", "drill"),
        ("vault", "lockdown", "drill"),
    ]
    assert {name for name in kept(served) if name.startswith("mode.")} == {"mode.lobby", "mode.vault"}
    ask("door", action="release", door="lobby")
    assert {name for name in kept(served) if name.startswith("mode.")} == {"mode.vault"}


def test_a_damaged_cache_leaves_status_and_why_an_answer(hall: Served) -> None:
    path = hall.doors.paths.cache
    for file in path.parent.glob("cache.db-*"):
        file.unlink()
    damaged = path.with_name("damaged.db")
    damaged.write_bytes(b"\xff" * 8192)
    damaged.replace(path)
    ask = hall.ask
    (status,) = ask("status")
    assert "cache.db" in status["cache"]["trouble"]
    assert {door["name"] for door in status["doors"]} == {"lobby", "vault", "hall"}
    assert status["devices"]
    for whose in ({"person": "u1"}, {"card": "H10301:57:1"}):
        (report,) = ask("why", door="lobby", **whose)
        assert (report["outcome"], report["reason"], report["person"]) == ("deny", "cache_unreadable", None)
        assert "cache.db" in report["trace"][0]["text"]


def test_answers_follow_a_cache_that_was_replaced(hall: Served) -> None:
    ask = hall.ask
    assert ask("why", person="u1", door="lobby")[0]["person"] == "u1"
    path = hall.doors.paths.cache
    other = path.with_name("other.db")
    with Store(other) as store:
        store.apply(Plan(Delta(people=(Person("another"),))), clock.now().utc)
    other.replace(path)
    assert ask("why", person="another", door="lobby")[0]["person"] == "another"
    with pytest.raises(ControlError):
        ask("why", person="u1", door="lobby")


def test_an_order_that_the_disk_refuses_is_carried_out_and_told(
    ask: Ask, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors_commands, "DURABLE", 0.2)
    with closing(sqlite3.connect(served.doors.paths.journal, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        told = ask("door", action="lockdown", door="lobby")
        assert [(door["mode"], door["durable"]) for door in told if door["name"] == "lobby"] == [
            ("lockdown", False)
        ]
        other.execute("ROLLBACK")
    assert served.doors.writer.flush()
    assert "mode.lobby" in kept(served)


def test_an_override_until_the_next_edge(ask: Ask, served: Served) -> None:
    ask("door", action="unlock", door="vault", until_edge=True)
    assert '"until":"20' in kept(served)["mode.vault"]


@pytest.mark.parametrize(
    ("order", "why"),
    [
        ({"action": "lockdown", "for": "5m"}, "lockdown has no end: a lockdown holds until it is released"),
        ({"action": "lockdown", "until_edge": True}, "lockdown has no end"),
        ({"action": "release", "for": "5m"}, "release has no end"),
        ({"action": "pulse", "until_edge": True}, "the next edge is an end for unlock, lock and block"),
        ({"action": "unlock", "until_edge": True, "for": "5m"}, "and the only one then"),
    ],
)
def test_an_end_that_an_order_cannot_have_is_refused(
    ask: Ask, served: Served, order: dict[str, object], why: str
) -> None:
    with pytest.raises(ControlError, match=why):
        ask("door", door="vault", **order)
    assert not [name for name in kept(served) if name.startswith("mode.")]


def test_where_one_door_has_no_edge_nothing_is_ordered(ask: Ask, served: Served) -> None:
    with pytest.raises(ControlError, match="lobby has no schedule that changes; say a time instead"):
        ask("door", action="unlock", door="all", until_edge=True)
    assert not [name for name in kept(served) if name.startswith("mode.")]


def positions(served: Served) -> set[str]:
    """Who is somewhere, as the journal has it."""
    return {name for name in kept(served) if name.startswith("position.")}


def test_one_person_and_everybody_in_an_area_are_forgiven(hall: Served) -> None:
    hall.badge("hall-in", 1)
    hall.badge("hall-in", 2)
    assert hall.doors.writer.flush()
    assert positions(hall) == {"position.u1", "position.u2"}
    hall.ask("forgive", person="u1")
    assert positions(hall) == {"position.u2"}
    hall.ask("forgive", area="hall")
    assert positions(hall) == set()
    told = [(item["person"], item["detail"]) for item in hall.ask("events", count=9) if item["name"] == "operator"]
    user = told[0][1]["name"]
    assert told == [
        ("u1", {"name": user, "action": "forgive"}),
        (None, {"name": user, "action": "forgive", "area": "hall"}),
    ]


def test_somebody_who_left_the_directory_can_be_forgiven(hall: Served) -> None:
    hall.badge("hall-in", 1)
    assert hall.doors.writer.flush()
    others = {id_: one for id_, one in DIRECTORY.people.items() if id_ != "u1"}
    with Store(hall.doors.paths.cache) as store:
        old, now = store.load(), clock.now().utc
        gone = plan(old, replace(old, people=others), Evidence(frozenset({"u1"})), Policy(), now)
        store.apply(gone, now)
    hall.ask("forgive", person="u1")
    assert positions(hall) == set()


def test_nobody_is_forgiven_whom_nobody_knows(hall: Served) -> None:
    with pytest.raises(ControlError, match='no person of the id "u99"'):
        hall.ask("forgive", person="u99")
    with pytest.raises(ControlError, match='there is no area "halll"; there are: hall'):
        hall.ask("forgive", area="halll")
