"""``latchctl export``: what happened, and who may pass where, as tables that an auditor's own tools can read."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daemon.cli.offline import items, recorded_events
from daemon.cli.render import read_item
from daemon.cli.target import Target
from daemon.control.client import ask_one, is_running
from daemon.control.reports import EventReport, PassengerReport, PathReport

if TYPE_CHECKING:
    from sqlite_utils import Database

MODE = 0o600
"""Of the new file: events show who passed where, so only its owner may read it."""

BATCH = 1000
"""Rows written at once."""


@click.command(short_help="What happened and who may pass, for an auditor.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--since", help="Only events since this instant (2026-11-24T08:00:00+01:00), or so long ago: `30d`.")
@click.option("--until", help="Only events before this instant, or so long ago.")
@click.option("--door", help="Only this door; else all, and what belongs to none.")
@click.pass_obj
def export(target: Target, file: Path, since: str | None, until: str | None, door: str | None) -> None:
    """Export events, and who has access to which door, to FILE: a new SQLite database.

    No card number, PIN or key is in it. FILE must not exist; only its owner may read it.
    """
    from sqlite_utils import Database

    _create(file)
    try:
        with closing(Database(file, execute_plugins=False)) as database:
            _create_tables(database)
            wanted = {"after": 0, "since": since, "until": until, "door": door}
            _write_events(database, recorded_events(target, wanted))
            for name in _doors(target) if door is None else (door,):
                _write_access(database, items(target, "access", {"door": name, "members": True}))
            counts = {table: database.table(table).count for table in TABLES}
    except sqlite3.Error as error:
        file.unlink()
        raise click.ClickException(f"{file} cannot be written: {error}") from None
    except BaseException:
        file.unlink()
        raise
    click.echo(
        f"{file}: {counts['event']} events, {counts['path']} ways through doors, "
        f"{counts['passenger']} entries of people who may take them"
    )


def _create(file: Path) -> None:
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE))
    except FileExistsError:
        raise click.ClickException(f"{file} already exists: choose another name, or move it away") from None
    except OSError as error:
        raise click.ClickException(f"{file} cannot be created: {error.strerror}") from None


def _doors(target: Target) -> tuple[str, ...]:
    socket = target.control()
    if is_running(socket):
        return tuple(door["name"] for door in ask_one(socket, "status")["doors"])
    return tuple(target.site().tables.door)


# ------------------------------------------------------------------ the tables

TABLES: dict[str, dict[str, type]] = {
    "event": {
        "sequence": int,
        "at": str,
        "name": str,
        "door": str,
        "reader": str,
        "person": str,
        "reason": str,
        "access_group": str,
        "level": str,
        "generation": int,
        "clock": str,
        "boot_id": str,
        "monotonic": float,
        "detail": str,
    },
    "rule": {"event": int, "position": int, "rule": str, "passed": int, "text": str},
    "path": {
        "door": str,
        "group_id": str,
        "access_group": str,
        "level": str,
        "when": str,
        "essential": int,
        "members": int,
    },
    "passenger": {"person": str, "name": str, "active": int, "door": str, "group_id": str, "level": str},
}
"""Columns are the fields of the reports by the same name, but for RENAMED; docs/operations.md describes them."""

RENAMED = {"access_group": "group"}
"""What is a word of SQL."""


def _create_tables(database: Database) -> None:
    keys: dict[str, Any] = {"event": "sequence", "rule": ("event", "position")}
    for name, columns in TABLES.items():
        foreign = [("event", "event", "sequence")] if name == "rule" else []
        database.table(name).create(columns, pk=keys.get(name), foreign_keys=foreign, strict=True)


def _write_events(database: Database, reports: Iterator[EventReport]) -> None:
    while batch := list(islice(reports, BATCH)):
        database.table("event").insert_all(_row("event", event) for event in batch)
        database.table("rule").insert_all(
            {"event": event.sequence, "position": position, **asdict(rule)}
            for event in batch
            for position, rule in enumerate(event.trace, 1)
        )


def _write_access(database: Database, answers: Iterator[Any]) -> None:
    reports = map(read_item, answers)
    while batch := list(islice(reports, BATCH)):
        database.table("path").insert_all(_row("path", one) for one in batch if isinstance(one, PathReport))
        people = (_row("passenger", one) for one in batch if isinstance(one, PassengerReport))
        database.table("passenger").insert_all(people)


def _row(table: str, report: object) -> dict[str, Any]:
    return {column: getattr(report, RENAMED.get(column, column)) for column in TABLES[table]}
