"""``latchctl doctor``: the diagnostics of a site visit, each with what to do about it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from cache.directory.lookup import Lookup
from cache.errors import LatchdError
from cache.journal.head import head_key
from cache.journal.keeper import set_aside
from cache.journal.reader import JournalReader
from daemon.cli.common import counted
from daemon.cli.target import Target
from daemon.config.devices import Bus
from daemon.config.paths import Paths
from daemon.config.secrets import SITE_KEY_BYTES, decode_key, read_secret
from daemon.config.site import Site, unattended_locks
from daemon.control.cache_status import read_cache
from daemon.control.client import ask_one, is_running
from daemon.control.reports import CacheReport, StatusReport, SyncReport
from daemon.decision.notation import describe_duration
from daemon.doors import clock
from daemon.errors import ConfigError

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


def diagnose(target: Target) -> Iterator[Finding]:
    """Yield the findings of every check in turn; one that fails does not stop the next."""
    site, config = None, target.config
    if _is_unreadable(config):
        yield Finding("site file", "note", f"{config} is not readable by this user; run as root for all checks")
    else:
        try:
            site = target.site()
        except LatchdError as error:
            yield Finding("site file", "fault", str(error))
        else:
            yield Finding("site file", "ok", f"{config} is good, {counted(len(site.tables.door), 'door')}")
            yield from _controller(site)
    try:
        control, sync_control = target.control(), target.sync_control()
    except LatchdError:
        return  # already reported: the file does not exist, or is not valid TOML
    yield from _guarded("doors", _daemon(control, whole=site is None))
    if site is not None and site.tables.scim is None:
        yield Finding("sync", "note", "the site file has no [scim]: people cannot be added")
    else:
        yield from _guarded("sync", _sync_daemon(sync_control))


def _controller(site: Site) -> Iterator[Finding]:
    """Yield what can be checked without a daemon."""
    checks: tuple[Callable[[Site], Iterator[Finding]], ...] = (_ports, _locks, _state, _cache, _journal)
    for check in checks:
        yield from _guarded(check.__name__.strip("_"), check(site))
    yield from _clock()


def _guarded(check: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    try:
        yield from findings
    except (LatchdError, OSError) as error:
        yield Finding(check, "fault", str(error))


def _is_unreadable(config: Path) -> bool:
    """Whether this user may not read the file: it is for root and its group."""
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


def _locks(site: Site) -> Iterator[Finding]:
    for door, why in unattended_locks(site):
        yield Finding(f"door {door}", "note", f"if the daemon is killed during a strike: {why}")


def _opened_by(bus: Bus) -> Iterator[str]:
    """Yield the ports and chips that a driver will open; a number is a TCP port."""
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
    paths = Paths.of(site)
    for folder in (directory, paths.journal.parent, paths.cache.parent):
        mode = folder.stat().st_mode
        if mode & 0o007:
            yield Finding("state", "fault", f"{folder} is accessible to other users: chmod o-rwx {folder}")
        if mode & 0o020 and folder != directory:
            yield Finding("state", "fault", f"the other process may write in {folder}: chmod g-w {folder}")
    for old in (directory / paths.journal.name, directory / paths.cache.name):
        if old.exists():
            yield Finding("state", "note", f"{old} is from before an upgrade and not used any more: rm {old}*")


def _cache(site: Site) -> Iterator[Finding]:
    with Lookup(Paths.of(site).cache) as lookup:
        cache, sync = read_cache(lookup, clock.now())
    yield from _directory(cache, sync)


def _directory(cache: CacheReport, sync: SyncReport) -> Iterator[Finding]:
    """Yield the age of the cache, and why it is not younger."""
    if cache.trouble:
        yield Finding("cache", "fault", f"every card is denied: {cache.trouble}")
        return
    if cache.doubt:
        yield Finding("cache", "fault", cache.doubt)
    if cache.age is None:
        yield Finding("cache", "fault", f"there was no complete sync yet: {sync.text}")
        return
    age = describe_duration(cache.age)
    text = f"generation {cache.generation}, {cache.people} people, last complete sync {age} ago"
    yield Finding("cache", "ok", text)
    if sync.failures:
        yield Finding("sync", "fault", f"{sync.failures} failed since: {sync.text}")
    for warning in sync.warnings:
        yield Finding("sync", "note", warning)
    if sync.quarantine:
        yield Finding("sync", "fault", "removals are in quarantine: latchctl sync diff, then accept or reject")


def _journal(site: Site) -> Iterator[Finding]:
    path = Paths.of(site).journal
    with JournalReader(path) as journal:
        found = journal.verify(_head_key(site))
    for file in set_aside(path):
        yield Finding("journal", "note", f"{file} was set aside; keep it for evidence, then remove it")
    for fault in found.faults[:10]:
        yield Finding("journal", "fault", fault)
    if not found.faults:
        yield Finding("journal", "ok", f"events {found.first} to {found.last}, chain unbroken")


def _head_key(site: Site) -> bytes | None:
    """The key of the journal's MACs, if this user may read the site's key."""
    try:
        return head_key(decode_key(read_secret(site.tables.site.key), SITE_KEY_BYTES))
    except ConfigError:
        return None


def _clock() -> Iterator[Finding]:
    quality = clock.now().quality
    if quality.value == "synced":
        yield Finding("clock", "ok", "synchronised")
    else:
        yield Finding("clock", "note", f"{quality.value}: not synchronised with a time server (timedatectl)")


def _daemon(socket: Path, whole: bool) -> Iterator[Finding]:
    """Yield what the doors process reports; with ``whole``, also what unreadable files would show."""
    if not is_running(socket):
        yield Finding("doors", "fault", f"nothing answers at {socket}: systemctl status latchd-doors")
        return
    report = TypeAdapter(StatusReport).validate_python(ask_one(socket, "status"))
    yield Finding("doors", "ok", f"running, {counted(len(report.doors), 'door')}")
    if whole:
        yield from _directory(report.cache, report.sync)
    if report.slowest_turn is not None and report.slowest_turn > SLOW_TURN:
        yield Finding("doors", "note", f"one turn of the loop took {report.slowest_turn * 1000:.0f} ms")
    if report.journal.alarm:
        yield Finding("journal", "fault", report.journal.alarm)
    for device in report.devices:
        state: State = "ok" if device.online else "fault"
        yield Finding(f"device {device.device}", state, device.text or ("online" if device.online else "offline"))


def _sync_daemon(socket: Path) -> Iterator[Finding]:
    if is_running(socket):
        yield Finding("sync", "ok", "running")
    else:
        yield Finding("sync", "fault", f"nothing answers at {socket}: systemctl status latchd-sync")
