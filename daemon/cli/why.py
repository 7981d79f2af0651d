"""``latchctl why`` and ``latchctl access``: explain a decision, and list who has access where and when."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import click

from daemon.cli.common import json_option, print_json, show
from daemon.cli.offline import SILENCE, items, offline
from daemon.cli.target import Target
from daemon.control.client import ask_one, is_running

_AT = "An instant such as 2026-11-24T20:00:00+01:00"
CARD_LENGTH = 1000
"""Characters that are read from standard input for a card, more than any has."""

_PERSON = "A person: SCIM id, userName, or a part of the name that is unique."
_GROUP = "An access group, by name or id"


@click.command(short_help="Explain what would be decided at a reader.")
@click.option("--reader", help="The reader at which the card is presented.")
@click.option("--door", help="A door instead: its entry reader.")
@click.option("--card", help="FORMAT:facility:number, bits:0110…, RAW26:1A2B3C, or `-`: from standard input.")
@click.option("--person", help=_PERSON)
@click.option("--group", help=f"{_GROUP}: one line for each member.")
@click.option("--at", help=f"{_AT}, past or future; else now.")
@json_option
@click.pass_obj
def why(target: Target, /, as_json: bool, **arguments: str | None) -> None:
    """Explain what would be decided at a reader for a card, a person or a group, and by which rule.

    Asking by card is for operators, is recorded, and is limited to one a second. `--card -` reads the number from
    standard input.

    Exit code 1: denied; for a group, at least one member would be denied.
    """
    given = [name for name in ("card", "person", "group") if arguments[name] is not None]
    if len(given) != 1:
        raise click.UsageError("expected exactly one of --card, --person and --group")
    if (arguments["reader"] is None) == (arguments["door"] is None):
        raise click.UsageError("expected exactly one of --reader and --door")
    if arguments["card"] == "-":
        arguments["card"] = _card_from_input()
    if arguments["group"] is not None:
        denied = _show(items(target, "why group", arguments), as_json, ("outcome", "deny"))
    else:
        denied = _why(target, arguments, as_json)
    if denied:
        raise SystemExit(1)


def _card_from_input() -> str:
    """Read a card from standard input: a command line is readable by every user of the machine."""
    if sys.stdin.isatty():
        return str(click.prompt("Card", hide_input=True))
    return sys.stdin.readline(CARD_LENGTH).strip()


def _why(target: Target, arguments: dict[str, str | None], as_json: bool) -> int:
    from daemon.cli.render import decision_text, read_decision

    socket = target.control()
    if is_running(socket):
        report = read_decision(ask_one(socket, "why", SILENCE, **arguments))
    else:
        with offline(target, arguments) as (question, explainer):
            report = question.decision(explainer)
    print_json(report) if as_json else show(decision_text(report))
    return report.outcome == "deny"


@click.command(short_help="List who has access to a door, or a person's doors.")
@click.option("--door", help="List who has access to this door.")
@click.option("--person", help=_PERSON)
@click.option("--group", help=f"{_GROUP}.")
@click.option("--at", help=f"Only access at that time: `now`, or an instant. {_AT}.")
@click.option("--members", is_flag=True, help="List the people of each access group.")
@json_option
@click.pass_obj
def access(target: Target, /, as_json: bool, **arguments: Any) -> None:
    """List who has access to a door, or which doors a person or group can use, and when.

    Exit code 1: no one has access, or to no door.
    """
    if arguments["person"] is not None and arguments["group"] is not None:
        raise click.UsageError("--person and --group exclude each other")
    if not any(arguments[name] for name in ("door", "person", "group")):
        raise click.UsageError("expected at least one of --door, --person and --group")
    paths = _show(items(target, "access", arguments), as_json, ("kind", "path"))
    if not paths:
        click.echo("no one has access" if arguments["door"] else "no access to any door", err=True)
        raise SystemExit(1)


def _show(answers: Iterator[Any], as_json: bool, counted: tuple[str, str]) -> int:
    """Print each item as it comes. Return how many have this value in this field."""
    from daemon.cli.render import item_text, read_item

    count = 0
    for item in answers:
        report = read_item(item)
        count += getattr(report, counted[0], None) == counted[1]
        print_json(report) if as_json else show(item_text(report))
    return count
