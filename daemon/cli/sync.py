"""``latchctl sync …``: sync status, syncing now, and quarantined removals."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click

from daemon.cli.common import json_option, local_time, print_json, printable_all, show
from daemon.cli.target import Target
from daemon.control.client import ask, ask_one
from daemon.decision.notation import describe_duration
from daemon.sync.outcome import EXIT_CODES, SyncResult

SLOW = 900.0
"""Seconds without an answer before giving up: one slow page of a slow server."""


@click.group(short_help="Show sync status and manage quarantined removals.")
def sync() -> None:
    """Show sync status and manage quarantined removals."""


@sync.command(short_help="Show the last and the next sync, and generations.")
@json_option
@click.pass_obj
def status(target: Target, as_json: bool) -> None:
    """Show the last sync, the next one, the source of memberships, generations, and unusable cards."""
    report = ask_one(target.sync_control(), "sync status")
    print_json(report) if as_json else show("\n".join(_status_lines(printable_all(report))))


def _status_lines(report: dict[str, Any]) -> Iterator[str]:
    state, running = report["state"], report["running"]
    yield f"{state['outcome']}: {state['text']}"
    if running and report["progress"]:
        yield f"running now: {report['progress'][0]}, {report['progress'][1]} so far"
    yield f"last complete sync: {_when(state['synced_at'])}; failed since: {state['failures']}"
    yield f"source of memberships: {state['road'] or 'not known yet'}"
    if report["hold"]:
        yield click.style(f"on hold: {report['hold']}; continue with `latchctl sync resume`", fg="yellow")
    elif report["next_at"]:
        yield f"next sync: {local_time(report['next_at'])}"
    if report["quarantine"]:
        yield click.style("removals are in quarantine: `latchctl sync diff`, then accept or reject", fg="yellow")
    for warning in state["warnings"]:
        yield click.style(f"warning: {warning}", fg="yellow")
    for card in _unusable(report):
        yield click.style(f"unusable card: {card}", fg="yellow")
    for generation in report["generations"][:5]:
        words = [f"generation {generation['number']}", local_time(generation["applied_at"]), generation["summary"]]
        yield "  ".join([*words, *(["restorable"] if generation["restorable"] else [])])


def _when(at: str | None) -> str:
    if at is None:
        return "never"
    age = (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds()
    return f"{local_time(at)} ({describe_duration(age)} ago)"


def _unusable(report: dict[str, Any]) -> list[str]:
    """Return all of them while the process that read them runs; after a restart, those that were stored."""
    if report["report"] is not None:
        return [f"{card['person']}: {card['text']}" for card in report["report"]["unusable"]]
    stored: list[str] = report["state"]["unusable"]
    return stored


@sync.command(short_help="List unusable cards, or explain one person's.")
@click.option("--explain", "person", metavar="PERSON", help="An id, userName or externalId of the directory.")
@json_option
@click.pass_obj
def cards(target: Target, person: str | None, as_json: bool) -> None:
    """List the cards that cannot be used; with --explain, show how each rule reads the cards of PERSON.

    The person's document is read now. Of a number only its shape is shown: 99999-AA.
    """
    if person is None:
        report = ask_one(target.sync_control(), "sync status")
        unusable = _unusable(printable_all(report))
        print_json(unusable) if as_json else show("\n".join(unusable) or "no unusable cards in the last sync")
        return
    explained = ask_one(target.sync_control(), "sync cards", SLOW, person=person)
    print_json(explained) if as_json else show("\n".join(_explained_lines(printable_all(explained))))


def _explained_lines(explained: dict[str, Any]) -> Iterator[str]:
    if not explained["found"]:
        yield f"the directory has no person {explained['person_id']}"
        return
    yield f"person {explained['person_id']}"
    for step in explained["steps"]:
        yield f"rule {step['rule']}: {step['source']}" + (f": {step['note']}" if step["note"] else "")
        for value in step["values"]:
            yield f"  value {value}"
        for card in step["cards"]:
            yield f"  {card}"


@sync.command(short_help="Sync now, and exit with the code of the outcome.")
@click.option("--dry-run", is_flag=True, help="Print what a sync would change, and change nothing.")
@json_option
@click.pass_obj
def now(target: Target, dry_run: bool, as_json: bool) -> None:
    """Sync now and exit with the code of the outcome (docs/operations.md)."""
    outcome: dict[str, Any] = {}
    for item in ask(target.sync_control(), "sync now", SLOW, dry_run=dry_run):
        if "outcome" in item:
            outcome = item["outcome"]
        elif not as_json:
            show_progress(item["progress"]["what"], item["progress"]["count"])
    if as_json:
        print_json(outcome)
    else:
        show("\n".join(outcome_lines(outcome)))
    raise SystemExit(EXIT_CODES[SyncResult(outcome["outcome"])])


def show_progress(what: str, count: int) -> None:
    """Print on standard error what a sync is reading."""
    click.echo(f"reading {what}: {count}", err=True)


def outcome_lines(outcome: dict[str, Any]) -> Iterator[str]:
    """Yield an outcome for a terminal: what happened, and to whom."""
    outcome = printable_all(outcome)
    yield f"{outcome['outcome']}: {outcome['text']}"
    report = outcome["report"]
    if report is not None:
        yield f"source of memberships: {report['road']} (paging by {report['paging']})"
        yield from (f"warning: {warning}" for warning in report["warnings"])
        yield from (f"unusable card: {card['person']}: {card['text']}" for card in report["unusable"])
    yield from outcome["diff"]
    if outcome["held_diff"]:
        yield "in quarantine: " + "; ".join(outcome["reasons"])
        yield from outcome["held_diff"]


@sync.command(short_help="Show quarantined changes by name, and their token.")
@json_option
@click.pass_obj
def diff(target: Target, as_json: bool) -> None:
    """Show the quarantined changes by name, and the token by which to accept or reject them."""
    held = ask_one(target.sync_control(), "sync diff")
    if as_json:
        print_json(held)
    elif held is None:
        click.echo("nothing is in quarantine")
    else:
        held = printable_all(held)
        show("\n".join([*held["diff"], "in quarantine: " + "; ".join(held["reasons"]), f"token: {held['token']}"]))


@sync.command(short_help="Apply the quarantined changes.")
@click.argument("token")
@click.pass_obj
def accept(target: Target, token: str) -> None:
    """Apply the changes that are quarantined under TOKEN (see `latchctl sync diff`)."""
    _act(target, "sync accept", token=token)


@sync.command(short_help="Discard the quarantined changes.")
@click.argument("token")
@click.pass_obj
def reject(target: Target, token: str) -> None:
    """Discard the changes that are quarantined under TOKEN, for as long as the directory claims them."""
    _act(target, "sync reject", token=token)


@sync.command(short_help="Take back the last mass deactivation.")
@click.pass_obj
def undo(target: Target) -> None:
    """Take back the last mass deactivation: its people stay active until the directory shows them active again."""
    _act(target, "sync undo")


@sync.command(short_help="Restore an earlier generation, and hold syncing.")
@click.argument("generation", type=int, required=False)
@click.pass_obj
def rollback(target: Target, generation: int | None) -> None:
    """Restore an earlier GENERATION (else the one before), and put syncing on hold."""
    _act(target, "sync rollback", generation=generation)


@sync.command()
@click.pass_obj
def resume(target: Target) -> None:
    """Continue syncing after a rollback or a disconnect."""
    _act(target, "sync resume")


@sync.command(short_help="Delete every SCIM access group.")
@click.option("--reason", "--because", "because", default="", help="Why, for the record.")
@click.confirmation_option(prompt="This deletes every SCIM access group; all people lose their doors. Continue?")
@click.pass_obj
def disconnect(target: Target, because: str) -> None:
    """Delete every SCIM access group, because the provider was unlinked from the organisation."""
    _act(target, "sync disconnect", reason=because)


def _act(target: Target, command: str, **arguments: Any) -> None:
    done = ask_one(target.sync_control(), command, SLOW, **arguments)
    show(f"{done['text']} (generation {done['generation']})")
