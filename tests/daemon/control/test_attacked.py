"""Who has no right cannot keep an operator out, nor a badge waiting; nor can one who may only look."""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from cache.model import EventName
from daemon.control.client import ask, ask_one
from daemon.errors import ControlError, NotPermittedError
from tests.daemon.control.attacked import NO_ONE, OPERATORS, VIEWERS, Attacked, answer_to, attacked

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")

PROMPT = 1.0
"""Seconds in which every order of an operator is carried out."""

SECONDS = 0.8


@pytest.fixture(scope="module")
def doors() -> Iterator[Attacked]:
    """Doors that serve every test of this file."""
    with attacked() as running:
        yield running


@pytest.mark.parametrize("kind", ["hold", "follow", "huge", "small"])
def test_orders_are_carried_out_while_a_user_without_rights_attacks(doors: Attacked, kind: str) -> None:
    with doors.attack(kind, SECONDS + 0.3) as seen:
        figures = doors.measure(SECONDS)
    assert figures.failed == []
    assert max(figures.orders) < PROMPT
    assert max(figures.badges) < PROMPT
    assert not seen.get("served")
    assert seen.get("ended") or seen.get("refused")


@pytest.mark.parametrize("kind", ["follow", "name", "small", "members", "scan"])
def test_orders_are_carried_out_while_a_viewer_attacks(doors: Attacked, kind: str) -> None:
    with doors.attack(kind, SECONDS + 0.3, VIEWERS):
        figures = doors.measure(SECONDS)
    assert figures.failed == []
    assert max(figures.orders) < PROMPT
    assert max(figures.badges) < PROMPT


def test_the_sentence_arrives_though_the_request_was_never_read(doors: Attacked) -> None:
    """Every refused user reads why, also one whose request is on its way while the daemon hangs up."""
    with doors.attack("small", 0.5) as seen:
        pass
    assert seen["refused"] > 10
    assert not seen.get("silent")


def test_the_lag_of_the_loop_is_in_the_status(doors: Attacked) -> None:
    report = ask_one(doors.control, "status")
    assert 0 < report["lag"] <= report["slowest_turn"]


def test_the_oldest_client_of_all_reads_the_refusal(doors: Attacked) -> None:
    """``nc`` and the like connect, listen and only then send."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(doors.control))
        connection.sendall(b"nonsense\n")
        assert b'"end":"error"' in connection.recv(4096)


def test_a_viewer_learns_nothing_by_card_and_an_operator_leaves_a_trace(doors: Attacked) -> None:
    number, place = "H10301:57:1001", "lobby-in"
    (refused,) = answer_to(doors, VIEWERS, "why", reader=place, card=number)
    assert refused["exit_code"] == NotPermittedError.exit_code
    assert "ask with --person" in refused["message"]
    assert answer_to(doors, VIEWERS, "why", reader=place, person="ada")[0]["item"]["person"] == "ada"
    assert answer_to(doors, OPERATORS, "why", reader=place, card=number)[0]["item"]["person"] == "ada"
    (event,) = [
        one for one in doors.bench.events(EventName.OPERATOR) if ("action", "why.card") in one.event.detail
    ]
    detail = dict(event.event.detail)
    assert (event.event.person, event.event.reader, detail["name"]) == ("ada", place, str(NO_ONE + OPERATORS))
    assert "1001" not in str(event.event)


def test_cards_are_asked_one_a_second(doors: Attacked) -> None:
    begin = time.monotonic()
    for number in range(1, 4):
        ask_one(doors.control, "why", 30.0, reader="lobby-in", card=f"H10301:57:{number}")
    assert time.monotonic() - begin > 1.9


def test_more_cards_than_a_person_asks_are_refused(doors: Attacked) -> None:
    def one(number: int) -> str:
        try:
            ask_one(doors.control, "why", 30.0, reader="lobby-in", card=f"H10301:57:{number}")
        except ControlError as error:
            return str(error)
        return "answered"

    with ThreadPoolExecutor(12) as pool:
        said = list(pool.map(one, range(12)))
    assert any("too many wait already" in words for words in said)
    assert said.count("answered") <= 8


def test_no_request_of_a_viewer_or_operator_is_an_internal_error(doors: Attacked) -> None:
    """Every command with arguments of every wrong kind: refused in words, or carried out."""
    wrong: list[object] = [None, True, -1, 0, 1.5, "", "x", "\x1b[31m", "2026-11-24", [], [1], {}, {"x": []}]
    names = ("after", "count", "names", "since", "until", "door", "reader", "person", "group", "area", "at", "for")
    more = ("action", "because", "until_edge", "members", "bus", "addresses", "baudrates", "address", "seconds")
    commands = ("status", "events", "why", "why group", "access", "door", "forgive", "reader keys", "reader scan")
    readers = ("reader enrol", "reader rotate", "reader revoke", "reader move", "reader text")
    chance = random.Random(1)
    for command in (*commands, *readers):
        for _ in range(40):
            given = chance.sample((*names, *more), 3)
            arguments = {name: chance.choice(wrong) for name in given}
            known = {"door": "lobby", "reader": "lobby-in", "person": "ada", "action": "lock", "bus": "bench"}
            arguments |= {name: value for name, value in known.items() if chance.random() < 0.5}
            said = ""
            try:
                list(ask(doors.control, command, 30.0, **arguments))
            except ControlError as error:
                said = str(error)
            assert "see its log" not in said, (command, arguments)


@pytest.mark.soak
def test_a_minute_of_the_worst_at_once_costs_operators_nothing_and_badges_little(doors: Attacked) -> None:
    """Four attackers without a right at the same time; for figures see benchmarks/control_flood.py."""
    quiet = doors.measure(10)
    with ExitStack() as attackers:
        for kind in ("hold", "follow", "huge", "small"):
            attackers.enter_context(doors.attack(kind, 41))
        figures = doors.measure(40)
    assert figures.failed == []
    assert max(figures.orders) < PROMPT
    assert figures.badge(0.99) < max(2 * quiet.badge(0.99), 0.05), "a machine whose cores the attackers share"
