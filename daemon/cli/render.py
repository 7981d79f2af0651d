"""Reports as a technician reads them on a terminal. Pure: text in, text out."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

import click
from pydantic import Field, TypeAdapter

from daemon.cli.common import local_time, printable_all, table
from daemon.control.reports import (
    AccessReport,
    DecisionReport,
    DeviceReport,
    DoorReport,
    EventReport,
    GroupReport,
    HappenedReport,
    LineReport,
    MemberReport,
    PassengerReport,
    PathReport,
    RuleReport,
    StatusReport,
)
from daemon.decision.notation import describe_duration

_GOOD, _BAD, _NOTE = "green", "red", "yellow"


_NOT_DURABLE = "Carried out, but not in the journal yet: a power cut now would undo it (see `latchctl status`)."


def status_text(report: StatusReport) -> str:
    """``latchctl status``."""
    return "\n".join(_status_lines(printable_all(report)))


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
    if cache.doubt:
        yield click.style(f"cache: {cache.doubt}", fg=_BAD)
    yield f"last complete sync: {_ago(cache.age)}"
    failing = f", {sync.failures} failed since" if sync.failures else ""
    line = f"sync: {sync.outcome}{failing}: {sync.text}"
    yield click.style(line, fg=_BAD) if sync.failures else line
    if sync.quarantine:
        yield click.style("removals are in quarantine: see `latchctl sync diff`", fg=_NOTE)
    if report.journal.alarm:
        yield click.style(f"journal: {report.journal.alarm}", fg=_BAD)
    else:
        yield f"journal: {report.journal.last} events"
    if report.doors:
        yield ""
        yield doors_text(report.doors)
    if report.devices:
        yield ""
        rows = [[d.bus, d.device, "online" if d.online else "OFFLINE", d.text] for d in report.devices]
        yield table(rows, ["BUS", "DEVICE", "STATE", "SAYS"])
    lines = [(d, d.line) for d in report.devices if d.line is not None]
    if lines:
        yield ""
        yield lines_text(lines)


def lines_text(lines: list[tuple[DeviceReport, LineReport]]) -> str:
    """Return the devices of shared lines in numbers."""
    header = ["BUS", "DEVICE", "ROUND", "SLOWEST ANSWER", "ANSWERS", "RETRIES", "LATE", "GARBLED", "LEFT OUT"]
    rows = [
        [
            device.bus,
            device.device,
            f"{line.round:.2f} s",
            f"{line.slowest * 1000:.0f} ms",
            *map(str, (line.answers, line.retries, line.late, line.garbled, line.left_out)),
        ]
        for device, line in lines
    ]
    return table(rows, header)


def doors_text(doors: tuple[DoorReport, ...]) -> str:
    """Return one line per door, with the operator of an active override."""
    header = ["DOOR", "MODE", "FROM", "LOCK", "DOOR IS", "CONTACT", "ORDERED BY"]
    rows = [[d.name, d.mode, d.cause, d.lock, d.opening, d.contact, _order(d)] for d in doors]
    columns = len(header) if any(row[-1] for row in rows) else len(header) - 1
    text = table([row[:columns] for row in rows], header[:columns])
    return text if all(door.durable for door in doors) else f"{text}\n{click.style(_NOT_DURABLE, fg=_BAD)}"


def _order(door: DoorReport) -> str:
    """Return who ordered the mode of a door, until when and why, and which door it waits for; or empty."""
    until = f", until {local_time(door.until)}" if door.until is not None else ""
    waits = f"waits until {door.waits_for} is shut" if door.waits_for else ""
    by = f"{door.by}{until}{f': {door.because}' if door.because else ''}" if door.by else ""
    return f"{by}; {waits}" if by and waits else by or waits


def _ago(age: float | None) -> str:
    return "never" if age is None else f"{describe_duration(age)} ago"


def event_text(event: EventReport, trace: bool = False) -> str:
    """One event on one line, in the local time of the terminal; with ``trace`` the rules of its decision below."""
    event = printable_all(event)
    line = _event_line(event)
    return "\n".join([line, *map(rule_text, event.trace)]) if trace else line


def _event_line(event: EventReport) -> str:
    at = datetime.fromisoformat(event.at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    colour = _colour(event.name)
    words = [f"{event.sequence:>6}", at, click.style(event.name, fg=colour) + " " * (17 - len(event.name))]
    fields = ("door", "reader", "person", "reason", "group", "level")
    words += [f"{name}={_quoted(value)}" for name in fields if (value := getattr(event, name)) is not None]
    words += [f"{name}={_quoted(value)}" for name, value in event.detail.items() if value != ""]
    return " ".join(words).rstrip()


def _quoted(value: object) -> str:
    text = str(value)
    return f'"{text}"' if " " in text or not text else text


_LOST = ("journal.gap", "cache.unreadable", "cache.went_back", "cache.other_key")


def _colour(name: str) -> str | None:
    if name in ("access.granted", "reader.online", "board.online", "sync.applied"):
        return _GOOD
    if name in ("access.denied", "door.forced", "door.held", "duress", *_LOST) or name.endswith(".offline"):
        return _BAD
    return _NOTE if name in ("sync.failed", "sync.quarantined", "read.error", "cache.stale") else None


def decision_text(report: DecisionReport) -> str:
    """``latchctl why``: the answer, the path, and every rule in order; the last one decided."""
    return "\n".join(_decision_lines(printable_all(report)))


def _decision_lines(report: DecisionReport) -> Iterator[str]:
    yield f"{_answer(report.outcome)}: {report.reason}"
    if report.person is not None:
        yield f"person: {report.name or '(no name)'} ({report.person})"
    if report.group is not None or report.level is not None:
        yield f"path: group {report.group or '-'} > access level {report.level or '-'}"
    yield _circumstances(report)
    yield f"cache: generation {report.generation}, last complete sync {_ago(report.age)}"
    yield from map(_note, report.notes)
    yield from map(rule_text, report.trace)
    yield from map(_happened, report.happened)


def _circumstances(report: DecisionReport | GroupReport) -> str:
    source = "now" if report.live else "by its schedule"
    place = f"reader {report.reader} of door {report.door}"
    return f"at: {local_time(report.at)}, {place}, which is {report.mode} {source}"


def _answer(outcome: str) -> str:
    colour = {"grant": _GOOD, "deny": _BAD}.get(outcome, _NOTE)
    return click.style(outcome.upper(), fg=colour)


def _note(note: str) -> str:
    return click.style(f"note: {note}", fg=_NOTE)


def _happened(report: HappenedReport) -> str:
    reason = f" ({report.reason})" if report.reason else ""
    return f"what happened: {local_time(report.at)} {report.name}{reason}, event {report.sequence}"


Item = GroupReport | MemberReport | AccessReport | PathReport | PassengerReport
"""An item of a long answer; ``kind`` says which it is."""


@functools.cache
def _item_adapter() -> TypeAdapter[Item]:
    return TypeAdapter(Annotated[Item, Field(discriminator="kind")])


def read_item(value: object) -> Item:
    """An item of a long answer as it came over the socket, or as it is."""
    return _item_adapter().validate_python(value)


def read_decision(value: object) -> DecisionReport:
    """The answer to ``why`` as it came over the socket."""
    return TypeAdapter(DecisionReport).validate_python(value)


def item_text(report: Item) -> str:
    """An item of a long answer on a line or a few."""
    match report := printable_all(report):
        case GroupReport():
            head = f"{report.name} ({report.group}), {report.members} members"
            return "\n".join([head, _circumstances(report), *map(_note, report.notes)])
        case AccessReport():
            return "\n".join(_access_lines(report))
        case MemberReport():
            return _member_text(report)
        case PathReport():
            return _path_text(report)
        case PassengerReport():
            return f"  {_person(report)}" + ("" if report.active else ", not active in the directory")


def _access_lines(report: AccessReport) -> Iterator[str]:
    if report.person is not None:
        yield f"person: {report.name or '(no name)'} ({report.person})"
    elif report.group is not None:
        yield f"access group: {report.name} ({report.group})"
    if report.at is not None:
        yield f"at: {local_time(report.at)}"
    yield f"cache: generation {report.generation}, last complete sync {_ago(report.age)}"
    yield from map(_note, report.notes)


def _member_text(report: MemberReport) -> str:
    through = f", through {report.level}" if report.level else ""
    assumed = ", if they had a card" if report.credential == "assumed" else ""
    line = f"{_answer(report.outcome)} {_person(report)}: {report.reason}{through}{assumed}"
    return "\n".join([line, *(f"  {_happened(one)}" for one in report.happened)])


def _path_text(report: PathReport) -> str:
    """``lobby: Staff, 08:00-18:00 Mon-Fri, through Staff weekdays (12 people)``."""
    if report.group_id is None:
        members = click.style("no such group in the directory", fg=_NOTE)
    else:
        members = f"{report.members} " + ("person" if report.members == 1 else "people")
    return f"{report.door}: {report.group}, {report.when}, through {report.level} ({members})"


def _person(report: MemberReport | PassengerReport) -> str:
    return f"{report.name} ({report.person})" if report.name else report.person


def rule_text(rule: RuleReport) -> str:
    """One rule of a trace."""
    mark = click.style("pass", fg=_GOOD) if rule.passed else click.style("stop", fg=_BAD)
    return f"  {mark}  {rule.rule:<14} {rule.text}"
