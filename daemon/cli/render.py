"""Reports as a technician reads them on a terminal. Pure: text in, text out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import click

from daemon.cli.common import duration, table
from daemon.control.reports import DecisionReport, DoorReport, EventReport, RuleReport, StatusReport

_GOOD, _BAD, _NOTE = "green", "red", "yellow"


def status_text(report: StatusReport) -> str:
    """``latchctl status``."""
    return "\n".join(_status_lines(report))


def _status_lines(report: StatusReport) -> Iterator[str]:
    running = click.style("running", fg=_GOOD) if report.running else click.style("not running", fg=_BAD)
    yield f"{report.site}: doors {running}, latchd {report.version}, clock {report.clock}"
    cache, sync = report.cache, report.sync
    yield (
        f"cache: generation {cache.generation}, {cache.people} people, {cache.groups} groups, "
        f"{cache.memberships} memberships, {cache.credentials} credentials"
    )
    if cache.trouble:
        yield click.style(f"cache: every card is denied: {cache.trouble}", fg=_BAD)
    yield f"last complete sync: {_ago(cache.age)}"
    failing = f", {sync.failures} failed since" if sync.failures else ""
    line = f"sync: {sync.outcome}{failing}: {sync.text}"
    yield click.style(line, fg=_BAD) if sync.failures else line
    if sync.quarantine:
        yield click.style("removals are held back: see `latchctl sync diff`", fg=_NOTE)
    if report.journal.alarm:
        yield click.style(f"journal: events wait in memory: {report.journal.alarm}", fg=_BAD)
    else:
        yield f"journal: {report.journal.last} events"
    if report.doors:
        yield ""
        yield doors_text(report.doors)
    if report.devices:
        yield ""
        rows = [[d.bus, d.device, "online" if d.online else "OFFLINE", d.text] for d in report.devices]
        yield table(rows, ["BUS", "DEVICE", "STATE", "SAYS"])


def doors_text(doors: tuple[DoorReport, ...]) -> str:
    """Every door on a line."""
    rows = [[d.name, d.mode, d.cause, d.lock, d.opening, d.contact] for d in doors]
    return table(rows, ["DOOR", "MODE", "FROM", "LOCK", "DOOR IS", "CONTACT"])


def _ago(age: float | None) -> str:
    return "never" if age is None else f"{duration(age)} ago"


def event_text(event: EventReport) -> str:
    """One event on one line, in the local time of the terminal."""
    at = datetime.fromisoformat(event.at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    colour = _colour(event.name)
    words = [f"{event.sequence:>6}", at, click.style(f"{event.name:<17}", fg=colour)]
    fields = ("door", "reader", "person", "reason", "group", "level")
    words += [f"{name}={_quoted(value)}" for name in fields if (value := getattr(event, name)) is not None]
    words += [f"{name}={_quoted(value)}" for name, value in event.detail.items() if value != ""]
    return " ".join(words)


def _quoted(value: object) -> str:
    text = str(value)
    return f'"{text}"' if " " in text or not text else text


def _colour(name: str) -> str | None:
    if name in ("access.granted", "reader.online", "board.online", "sync.applied"):
        return _GOOD
    if name in ("access.denied", "door.forced", "door.held", "duress", "journal.gap") or name.endswith(".offline"):
        return _BAD
    return _NOTE if name in ("sync.failed", "sync.quarantined", "read.error", "cache.stale") else None


def decision_text(report: DecisionReport) -> str:
    """``latchctl why``: the answer, the path, and every rule in order; the last one decided."""
    granted = report.outcome == "grant"
    answer = click.style(report.outcome.upper(), fg=_GOOD if granted else _BAD)
    lines = [f"{answer}: {report.reason}"]
    if report.person is not None:
        lines.append(f"person: {report.name or '(no name)'} ({report.person})")
    if report.group is not None or report.level is not None:
        lines.append(f"path: group {report.group or '-'} > access level {report.level or '-'}")
    lines.append(f"cache: generation {report.generation}, last complete sync {_ago(report.age)}")
    lines += [rule_text(rule) for rule in report.trace]
    return "\n".join(lines)


def rule_text(rule: RuleReport) -> str:
    """One rule of a trace."""
    mark = click.style("pass", fg=_GOOD) if rule.passed else click.style("stop", fg=_BAD)
    return f"  {mark}  {rule.rule:<14} {rule.text}"
