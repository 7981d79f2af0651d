"""The same answer from the doors process or, when none runs, from the two databases, item by item."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from daemon.cli.target import Target
from daemon.control.client import ask, is_running
from daemon.control.reports import EventReport, event_report
from daemon.errors import ControlError
from drivers.settings import parse_duration

if TYPE_CHECKING:
    from daemon.config.site import Site
    from daemon.control.questions.explain import Explainer
    from daemon.control.questions.question import AccessQuery

SILENCE = 60.0
"""Seconds without an answer before giving up: the daemon may be busy with a long list for another user."""

BATCH = 500
"""Events read from the file at once."""


def recorded_events(target: Target, arguments: dict[str, Any]) -> Iterator[EventReport]:
    """Yield durable events, oldest first: the newest ``count``, or all after ``after``; with ``follow`` for ever.

    ``since`` and ``until`` are instants, or how long ago: ``2h``.
    Raise ``ControlError`` at the end of the file if the events were to be followed.
    """
    arguments = {**arguments, **{name: _instant(arguments.get(name)) for name in ("since", "until")}}
    socket = target.control()
    if is_running(socket):
        adapter = TypeAdapter(EventReport)
        timeout = None if arguments.get("follow") else SILENCE
        yield from map(adapter.validate_python, ask(socket, "events", timeout, **arguments))
        return
    with target.without_daemon() as site:
        yield from _events_from_file(site, arguments)
    if arguments.get("follow"):
        raise ControlError(f"no daemon answers at {socket}: cannot follow; showed stored events only")


def _instant(text: str | None) -> str | None:
    """Return ``2h`` as the instant of two hours ago; anything else is an instant, or refused where it is read."""
    try:
        return text and (datetime.now(UTC) - timedelta(seconds=parse_duration(text))).isoformat()
    except (ValueError, OverflowError):
        return text


def _events_from_file(site: Site, arguments: dict[str, Any]) -> Iterator[EventReport]:
    from cache.journal.reader import JournalReader
    from daemon.config.paths import Paths
    from daemon.control.arguments import event_filter

    wanted, after = event_filter(arguments), arguments.get("after")
    with JournalReader(Paths.of(site).journal) as journal:
        if after is None:
            yield from map(event_report, journal.latest(arguments["count"], wanted))
            return
        while records := journal.events(after, BATCH, wanted):
            yield from map(event_report, records)
            after = records[-1].sequence


def items(target: Target, command: str, arguments: dict[str, Any]) -> Iterator[Any]:
    """Yield the items of ``access`` or ``why group``."""
    socket = target.control()
    if is_running(socket):
        for chunk in ask(socket, command, SILENCE, **arguments):
            yield from chunk
        return
    with offline(target, arguments) as (question, explainer):
        chunks = question.access(explainer) if command == "access" else question.group_decisions(explainer)
        for part in chunks:
            yield from part


@contextmanager
def offline(target: Target, arguments: dict[str, Any]) -> Iterator[tuple[AccessQuery, Explainer]]:
    """Answer a question without a doors process, from a controller that starts from the journal and has no device.

    Only a question by card needs the site key.
    """
    from cache.directory.lookup import Lookup
    from cache.journal.reader import JournalReader
    from daemon.config.paths import Paths
    from daemon.config.secrets import SITE_KEY_BYTES, decode_key, read_secret
    from daemon.control.questions.explain import Explainer
    from daemon.control.questions.question import AccessQuery
    from daemon.doors import clock
    from daemon.doors.controller.rules import controller_rules
    from daemon.doors.core import DoorsCore, Nowhere, Remembered

    with target.without_daemon() as site:
        asked = arguments.get("card") is not None
        key = decode_key(read_secret(site.tables.site.key), SITE_KEY_BYTES) if asked else b""
        paths = Paths.of(site)
        with Lookup(paths.cache) as lookup, JournalReader(paths.journal) as journal:
            remembered = Remembered.of(journal.state(), journal.last())
            core = DoorsCore(controller_rules(site, key), lookup, remembered, Nowhere(), boot_id="")
            now = core.believe(clock.now())
            core.start(now, "")
            question = AccessQuery(arguments, core.controller, site.formats, now, running=False)
            yield question, Explainer(lookup, journal)
