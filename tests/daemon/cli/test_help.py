"""docs/operations.md names what the program has: commands with their options, exit codes, events."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cache.errors import LatchdError
from cache.model import EventName
from daemon.cli.common import INTERNAL_ERROR, INTERRUPTED, USAGE_ERROR
from daemon.cli.latchctl import latchctl
from daemon.cli.latchd import latchd
from daemon.sync.outcome import EXIT_CODES

PAGE = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")


def table(heading: str) -> dict[str, list[str]]:
    """The first table below a heading: first cell -> the others."""
    section = PAGE.split(f"## {heading}\n", 1)[1]
    lines = section[section.index("\n|") + 1 :].split("\n\n", 1)[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    found = {row[0].strip("`"): row[1:] for row in rows}
    assert len(found) == len(rows), "a row stands twice"
    return found


def commands(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """Every command below, with the words that call it; groups that have options of their own, too."""
    if not isinstance(command, click.Group):
        yield name, command
        return
    if any(isinstance(parameter, click.Option) for parameter in command.params):
        yield name, command
    for word, inner in command.commands.items():
        yield from commands(f"{name} {word}", inner)


COMMANDS = dict([*commands("latchd", latchd), *commands("latchctl", latchctl)])
ROWS = table("Commands")
GROUPS = [("latchctl", latchctl), *((word, inner) for word, inner in latchctl.commands.items()
                                    if isinstance(inner, click.Group))]  # fmt: skip


def test_the_page_has_every_command_and_no_other() -> None:
    assert set(ROWS) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_has_every_option_of_a_command_and_no_other(name: str) -> None:
    options = {
        next(word for word in parameter.opts if word.startswith("--"))
        for parameter in COMMANDS[name].params
        if isinstance(parameter, click.Option)
    }
    assert set(re.findall(r"`(--[\w-]+)`", ROWS[name][0])) == options
    assert ROWS[name][1]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help(name: str) -> None:
    command = COMMANDS[name]
    assert command.get_short_help_str(), "a command says what it does"
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{parameter.opts[0]} says what it is for"
    shown = CliRunner().invoke(command, ["--help"], prog_name=name)
    assert shown.exit_code == 0
    assert "Usage: " + name in shown.output


@pytest.mark.parametrize(("name", "group"), [("latchd", latchd), *GROUPS])
def test_a_group_tells_of_each_command_in_a_whole_sentence(name: str, group: click.Group) -> None:
    """On a terminal of 80 columns, where click cuts off what is longer."""
    shown = CliRunner().invoke(group, ["--help"], prog_name=name, terminal_width=80).output
    listed = shown.split("Commands:\n", 1)[1].splitlines()
    assert [line for line in listed if not line.endswith(".")] == []
    assert [line for line in listed if line.endswith("...")] == []


def code(page: str) -> list[str]:
    """The code spans and shell blocks of a page."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return blocks + re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL))


def test_commands_that_the_docs_show_exist() -> None:
    """In code spans and shell blocks of every page: the words after latchd and latchctl are commands."""
    words = {name.split()[0] + " " + name.split()[1] for name in COMMANDS if " " in name}
    root = Path(__file__).parents[3]
    wrong = [
        f"{page.name}: {called}"
        for page in [*root.glob("docs/**/*.md"), *root.glob("*.md")]
        for each in code(page.read_text(encoding="utf-8"))
        for called in re.findall(r"(?m)^(?:\S*/)?((?:latchd|latchctl) [a-z][a-z-]+)", each)
        if called not in words
    ]
    assert wrong == []


def errors(kind: type[LatchdError]) -> Iterator[type[LatchdError]]:
    yield kind
    for inner in kind.__subclasses__():
        yield from errors(inner)


def test_the_page_has_every_exit_code_and_no_other() -> None:
    codes = {0, 1, USAGE_ERROR, INTERNAL_ERROR, INTERRUPTED}
    codes |= {error.exit_code for error in errors(LatchdError)} | set(EXIT_CODES.values())
    assert [int(code) for code in table("Exit codes")] == sorted(codes)


def test_each_outcome_of_a_sync_stands_at_its_exit_code() -> None:
    rows = table("Exit codes")
    wanted = {outcome.value: code for outcome, code in EXIT_CODES.items()}
    named = {
        word: int(code) for code, row in rows.items() for word in re.findall(r"`(\w+)`", row[0]) if word in wanted
    }
    assert named == wanted


def test_the_page_has_every_event_and_no_other() -> None:
    rows = table("Events")
    assert list(rows) == [name.value for name in EventName]
    assert all(all(row) for row in rows.values()), "an event says what it means and what to do"
