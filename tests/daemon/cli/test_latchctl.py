"""``latchctl status`` and ``events``: the same answers from a daemon and from the files, and who is not there."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cache.journal.journal import Journal
from cache.model import ClockQuality, Event, EventName, Moment, Stamp
from daemon.cli import latchctl as program
from daemon.cli.latchctl import MOST_NEWEST, NEWEST, latchctl
from daemon.errors import ControlError
from tests.daemon.control.served import serving
from tests.daemon.simulated import Bench

LONG = MOST_NEWEST + 30
NOW = datetime.now(UTC)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A site with more events than anybody is shown at once: one an hour, the newest half an hour ago.

    So the minutes that pass between the import of this file and a test move no event over the edge of a question.
    """
    made = Bench(tmp_path / "b")
    made.fill()
    with Journal(made.state / "doors" / "journal.db") as journal:
        at = [NOW - timedelta(hours=LONG - number - 0.5) for number in range(LONG)]
        moments = [Moment(each, float(number), ClockQuality.SYNCED) for number, each in enumerate(at)]
        journal.append([(Stamp(moment, "boot"), Event(EventName.REX, door="lobby")) for moment in moments])
    return made


def latch(bench: Bench, *arguments: str) -> Result:
    return CliRunner().invoke(latchctl, ["--config", str(bench.file), *arguments])


def sequences(bench: Bench, *arguments: str) -> list[int]:
    found = latch(bench, "events", "--json", "--name", "rex", *arguments)
    assert found.exit_code == 0, found.output
    return [json.loads(line)["sequence"] for line in found.stdout.splitlines()]


QUESTIONS: list[tuple[tuple[str, ...], list[int]]] = [
    ((), list(range(LONG - NEWEST + 1, LONG + 1))),
    (("-n", "3"), [LONG - 2, LONG - 1, LONG]),
    (("-n", "0"), []),
    (("-n", str(MOST_NEWEST)), list(range(LONG - MOST_NEWEST + 1, LONG + 1))),
    (("--after", "0"), list(range(1, LONG + 1))),
    (("--after", str(LONG - 2)), [LONG - 1, LONG]),
    (("--since", (NOW - timedelta(hours=400)).isoformat()), list(range(LONG - 399, LONG + 1))),
    (("--since", "400h"), list(range(LONG - 399, LONG + 1))),
    (("--since", "400h", "-n", "2"), [LONG - 1, LONG]),
    (("--since", "400h", "--until", "398h"), [LONG - 399, LONG - 398]),
]


def test_the_daemon_and_the_file_give_the_same_events(bench: Bench) -> None:
    from_file = [sequences(bench, *question) for question, _ in QUESTIONS]
    with serving(bench.file):
        from_daemon = [sequences(bench, *question) for question, _ in QUESTIONS]
    assert from_file == [answer for _, answer in QUESTIONS]
    assert from_daemon == from_file


@pytest.mark.parametrize("count", ["-1", str(MOST_NEWEST + 1), "many"])
def test_a_count_that_cannot_be_shown_is_refused(bench: Bench, count: str) -> None:
    refused = latch(bench, "events", "-n", count)
    assert refused.exit_code == 2
    assert "'--count' / '-n'" in refused.output


@pytest.mark.parametrize("since", ["yesterday", "2026-11-24T08:00:00", "999999999999h", "-5m"])
def test_an_instant_that_is_none_is_refused_in_words(bench: Bench, since: str) -> None:
    refused = latch(bench, "events", f"--since={since}")
    assert getattr(refused.exception, "exit_code", None) == 2, refused.output
    assert since in str(refused.exception)


def test_following_without_a_daemon_shows_what_there_is_and_then_says_so(bench: Bench) -> None:
    shown = latch(bench, "events", "--follow", "-n", "2", "--json")
    assert [json.loads(line)["sequence"] for line in shown.stdout.splitlines()] == [LONG - 1, LONG]
    assert isinstance(shown.exception, ControlError)
    assert "cannot follow" in str(shown.exception)


def test_an_order_without_a_daemon_says_where_to_look(bench: Bench) -> None:
    for order in (["door", "unlock", "lobby"], ["forgive", "ada"], ["sync", "now"], ["reader", "keys"]):
        refused = latch(bench, *order)
        assert isinstance(refused.exception, ControlError), refused.output
        assert refused.exception.exit_code == 7
        assert "systemctl status 'latchd-*'" in str(refused.exception)


def test_a_socket_that_a_killed_daemon_left_behind_is_no_daemon(bench: Bench) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(bench.directory / "control.sock"))
    shown = latch(bench, "status")
    assert (shown.exit_code, "doors not running" in shown.output) == (1, True)


def test_a_file_that_may_not_be_read_is_reported_after_the_missing_daemon(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bench.state / "doors" / "journal.db").write_bytes(b"no database" * 1000)
    for command in ("status", "events", "why"):
        question = ["--reader", "lobby-in", "--person", "ada"] if command == "why" else []
        refused: Any = latch(bench, command, *question).exception
        assert str(refused).startswith(f"no daemon answers at {bench.directory}/control.sock, and the files")
        assert "journal.db" in str(refused)
        assert refused.exit_code == 4
    assert program.NEWEST <= program.MOST_NEWEST


@pytest.mark.parametrize("word", ["clear", "release"])
def test_clear_ends_a_lockdown_and_release_is_its_older_name(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No lock is released by it, hence the new word; the doors process knows the action by the older one."""
    asked: list[object] = []
    monkeypatch.setattr(
        "daemon.cli.latchctl.ask_one", lambda _, command, **arguments: asked.append((command, arguments)) or ()
    )
    done = CliRunner().invoke(latchctl, ["door", word, "lobby", "--reason", "over"])
    assert done.exit_code == 0, done.output
    assert [(command, arguments["action"], arguments["because"]) for command, arguments in asked] == [
        ("door", "release", "over")
    ]


def test_an_action_that_is_none_is_refused_with_those_there_are() -> None:
    done = CliRunner().invoke(latchctl, ["door", "open", "lobby"])
    assert done.exit_code == 2
    assert "clear" in done.output
    assert "release" not in done.output
