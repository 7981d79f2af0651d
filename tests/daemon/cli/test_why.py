"""``latchctl why`` and ``access``: the same words from a daemon and from the files, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from daemon.cli.latchctl import latchctl
from daemon.doors import clock
from daemon.errors import RequestError
from tests.daemon.control.served import ADA, DIRECTORY, GRACE, fill_cache, serving, write_site

NOON, NIGHT = "2026-11-24T12:00:00+01:00", "2026-11-24T23:00:00+01:00"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site whose cache is filled; no daemon runs."""
    path = write_site(tmp_path)
    fill_cache(path, DIRECTORY, clock.now().utc)
    return path


def latch(site: Path, *arguments: str) -> Result:
    return CliRunner().invoke(latchctl, ["--config", str(site), *arguments])


def lines(result: Result) -> list[str]:
    """Standard output without colours, ages and notes, which differ between a daemon and files."""
    text = click.unstyle(result.stdout).splitlines()
    return [line.split(", last complete sync")[0] for line in text if not line.startswith("note:")]


QUESTIONS: list[tuple[list[str], int, str]] = [
    (["why", "--reader", "lobby-in", "--card", "H10301:57:1", "--at", NOON], 0, "GRANT: granted"),
    (["why", "--door", "lobby", "--card", "H10301:57:1", "--at", NIGHT], 1, "DENY: outside_schedule"),
    (["why", "--reader", "lobby-in", "--card", "H10301:57:9", "--at", NOON], 1, "DENY: unknown_credential"),
    (["why", "--reader", "lobby-in", "--person", "alan@example.com", "--at", NOON], 1, "DENY: person_inactive"),
    (["why", "--reader", "lobby-in", "--group", "Security", "--at", NOON], 0, f"GRANT {GRACE.name} ({GRACE.id})"),
    (["why", "--reader", "lobby-in", "--group", "Staff", "--at", NIGHT], 1, f"DENY {ADA.name} ({ADA.id})"),
    (["access", "--door", "lobby"], 0, "lobby: Staff, 08:00-18:00 Mon-Fri, through Staff weekdays"),
    (["access", "--door", "vault", "--members"], 0, f"  {GRACE.name} ({GRACE.id})"),
    (["access", "--person", ADA.id], 0, f"person: {ADA.name} ({ADA.id})"),
    (["access", "--group", "Security", "--at", NOON], 0, "access group: Security (g2)"),
    (["access", "--person", "u5"], 1, "person: Grace Kelly (u5)"),
]
"""The command, its exit code, and how a line of its answer begins."""


def test_a_daemon_and_the_files_answer_alike(site: Path) -> None:
    with serving(site):
        live = [latch(site, *question) for question, _, _ in QUESTIONS]
    files = [latch(site, *question) for question, _, _ in QUESTIONS]
    for (question, code, begin), one, other in zip(QUESTIONS, live, files, strict=True):
        assert (one.exit_code, other.exit_code) == (code, code), f"{question}: {one.output}{one.exception}"
        assert any(line.startswith(begin) for line in lines(one)), f"{question}: {one.output}"
        assert lines(one) == lines(other), question


def test_json_has_an_object_a_line(site: Path) -> None:
    (decision,) = latch(site, *QUESTIONS[0][0], "--json").stdout.splitlines()
    assert json.loads(decision)["outcome"] == "grant"
    assert [rule["passed"] for rule in json.loads(decision)["trace"]][-1] is True
    kinds = [json.loads(line)["kind"] for line in latch(site, *QUESTIONS[6][0], "--json").stdout.splitlines()]
    assert kinds[0] == "access"
    assert set(kinds[1:]) == {"path"}


def test_an_empty_answer_is_said_in_words(site: Path) -> None:
    assert "no access to any door" in latch(site, "access", "--person", "u5").stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["why", "--reader", "lobby-in"], "exactly one of --card"),
        (["why", "--reader", "lobby-in", "--card", "x", "--person", "y"], "exactly one of --card"),
        (["why", "--card", "H10301:57:1"], "exactly one of --reader"),
        (["why", "--card", "H10301:57:1", "--reader", "lobby-in", "--door", "lobby"], "exactly one of --reader"),
        (["access"], "expected at least one of"),
        (["access", "--person", "u1", "--group", "Staff"], "exclude each other"),
    ],
)
def test_a_question_that_is_none_is_refused_before_anything_is_asked(arguments: list[str], words: str) -> None:
    refused = CliRunner().invoke(latchctl, ["--config", "absent.toml", *arguments])
    assert refused.exit_code == 2
    assert words in refused.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["why", "--reader", "lobby-inn", "--card", "H10301:57:1"],
        ["why", "--reader", "lobby-in", "--card", "H10302:57:1"],
        ["why", "--reader", "lobby-in", "--person", "nobody at all"],
        ["access", "--door", "lobbi"],
        ["access", "--group", "Stuff"],
    ],
)
def test_a_name_that_is_none_is_refused_with_what_there_is(site: Path, arguments: list[str]) -> None:
    refused = latch(site, *arguments)
    assert isinstance(refused.exception, RequestError), refused.output
    assert "no daemon answers" not in str(refused.exception), "the technician's own slip is not the daemon's"


@pytest.mark.parametrize("piped", ["H10301:57:1\n", "H10301:57:1"])
def test_a_card_may_come_from_standard_input(site: Path, piped: str) -> None:
    arguments = ["--config", str(site), "why", "--reader", "lobby-in", "--card", "-", "--at", NOON]
    result = CliRunner().invoke(latchctl, arguments, input=piped)
    assert lines(result)[0].startswith("GRANT: granted"), result.output
