"""``latchctl doctor``: what a technician would check on a visit, each check with what to do about it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from cache.errors import LatchdError
from cache.journal_reader import JournalReader
from cache.lookup import Lookup
from daemon import clock
from daemon.cli.common import duration
from daemon.cli.target import Target
from daemon.config.devices import Bus
from daemon.config.site import Site
from daemon.control.client import ask_one, is_running
from daemon.control.reports import StatusReport
from daemon.paths import Paths

State = Literal["ok", "note", "fault"]

LEAST_FREE = 100_000_000
"""Bytes of free disk below which the journal may soon have no room."""

SLOW_TURN = 0.05
"""Seconds; a turn of the doors' loop that takes longer makes a badge wait."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: ``ok``, a ``note`` worth knowing, or a ``fault`` that needs a person; and what to do."""

    check: str
    state: State
    text: str


def diagnose(config: Path, socket: Path | None = None) -> Iterator[Finding]:
    """Every check in turn; one that fails does not stop the next."""
    target = Target(config, socket)
    if _is_kept_from_us(config):
        yield Finding("site file", "note", f"{config} is not for this user; as root, everything is looked at")
        yield from _daemon(target.control())
        yield from _sync_daemon(target.sync_control())
        return
    try:
        site = target.site()
    except LatchdError as error:
        yield Finding("site file", "fault", str(error))
        return
    yield Finding("site file", "ok", f"{config} is good, {len(site.tables.door)} doors")
    checks: tuple[Callable[[Site], Iterator[Finding]], ...] = (_ports, _state, _cache, _journal, _clock)
    for check in checks:
        try:
            yield from check(site)
        except (LatchdError, OSError) as error:
            yield Finding(check.__name__.strip("_"), "fault", str(error))
    yield from _daemon(target.control())
    if site.tables.scim is None:
        yield Finding("sync", "note", "the site file has no [scim]: nobody can be added")
    else:
        yield from _sync_daemon(target.sync_control())


def _is_kept_from_us(config: Path) -> bool:
    """Whether the file is for root and its group, and a technician is neither."""
    try:
        config.read_bytes()
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def _ports(site: Site) -> Iterator[Finding]:
    for bus in site.devices.buses:
        for path in dict.fromkeys(_opened_by(bus)):
            if not os.path.exists(path):
                yield Finding(f"bus {bus.name}", "fault", f"{path} does not exist: is the adapter plugged in?")
            else:
                yield Finding(f"bus {bus.name}", "ok", f"{path} exists")


def _opened_by(bus: Bus) -> Iterator[str]:
    """The ports and chips that a driver will open; a number is a TCP port."""
    for settings in (bus.settings, *bus.devices.values()):
        for key in ("port", "chip"):
            if isinstance(path := getattr(settings, key, None), str):
                yield path


def _state(site: Site) -> Iterator[Finding]:
    directory = Path(site.tables.state.directory)
    free = shutil.disk_usage(directory).free
    text = f"{directory}: {free // 1_000_000} MB free"
    if free < LEAST_FREE:
        yield Finding("disk", "fault", f"{text}; make room, or events will be lost")
    else:
        yield Finding("disk", "ok", text)
    mode = directory.stat().st_mode & 0o007
    if mode:
        yield Finding("state", "fault", f"others may look into {directory}: chmod o-rwx {directory}")


def _cache(site: Site) -> Iterator[Finding]:
    with Lookup(Paths.of(site).cache) as lookup:
        freshness, state = lookup.freshness(), lookup.sync_state()
        counts = lookup.counts()
        quarantine = lookup.quarantine() is not None
    if freshness.synced_at is None:
        yield Finding("cache", "fault", f"there was no complete sync yet: {state.text}")
        return
    age = (clock.now().utc - freshness.synced_at).total_seconds()
    text = f"generation {freshness.generation}, {counts['people']} people, last complete sync {duration(age)} ago"
    yield Finding("cache", "fault" if state.failures else "ok", f"{text}; {state.text}")
    for warning in state.warnings:
        yield Finding("sync", "note", warning)
    if quarantine:
        yield Finding("sync", "fault", "removals are held back: latchctl sync diff, then accept or reject")


def _journal(site: Site) -> Iterator[Finding]:
    with JournalReader(Paths.of(site).journal) as journal:
        found = journal.verify()
    for fault in found.faults[:10]:
        yield Finding("journal", "fault", fault)
    if not found.faults:
        yield Finding("journal", "ok", f"events {found.first} to {found.last}, chain unbroken")


def _clock(site: Site) -> Iterator[Finding]:
    quality = clock.now().quality
    if quality.value == "synced":
        yield Finding("clock", "ok", "synchronised")
    else:
        yield Finding("clock", "note", f"{quality.value}: no time server is followed (timedatectl)")


def _daemon(socket: Path) -> Iterator[Finding]:
    if not is_running(socket):
        yield Finding("doors", "fault", f"nothing answers at {socket}: systemctl status latchd-doors")
        return
    try:
        report = TypeAdapter(StatusReport).validate_python(ask_one(socket, "status"))
    except LatchdError as error:
        yield Finding("doors", "fault", str(error))
        return
    yield Finding("doors", "ok", f"running, {len(report.doors)} doors")
    if report.slowest_turn is not None and report.slowest_turn > SLOW_TURN:
        yield Finding("doors", "note", f"one turn of the loop took {report.slowest_turn * 1000:.0f} ms")
    if report.journal.alarm:
        yield Finding("journal", "fault", f"events wait in memory: {report.journal.alarm}")
    for device in report.devices:
        state: State = "ok" if device.online else "fault"
        yield Finding(f"device {device.device}", state, device.text or ("online" if device.online else "offline"))


def _sync_daemon(socket: Path) -> Iterator[Finding]:
    if is_running(socket):
        yield Finding("sync", "ok", "running")
    else:
        yield Finding("sync", "fault", f"nothing answers at {socket}: systemctl status latchd-sync")
