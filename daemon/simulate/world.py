"""The world of a scenario: the real controller, cache and journal, with simulated devices and a virtual clock.

Everything that is due fires in order of time; nothing waits for the real clock, and nothing depends on chance.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cache.journal import Journal, Retention
from cache.lookup import Lookup
from cache.model import Event, Record, Stamp
from cache.reconcile import Evidence, Policy, missing, plan
from cache.store import Store
from daemon.config.site import Site
from daemon.controller.controller import Controller
from daemon.controller.effects import Effects
from daemon.controller.rules import controller_rules
from daemon.paths import Paths
from daemon.scim.cards import CardMapper
from daemon.scim.fetch import directory_of
from daemon.scim.settings import ScimSettings
from daemon.simulate.clock import VirtualClock
from daemon.sync_news import SyncNews
from drivers.bench import Bench, SimDevice
from drivers.events import DeviceEvent

SITE_KEY = bytes(32)
"""A scenario needs no secret: its cards are in its own files."""

COMMIT_DELAY = 0.1
"""Seconds until an event is durable: the bound that the real journal keeps (contract 1)."""

VERSION = "simulation"


@dataclass(frozen=True, slots=True)
class Happened:
    """An event with its stamp, as a scenario expects it."""

    stamp: Stamp
    event: Event


class World:
    """One controller in a directory of its own. ``close`` it, or use it as a context manager of ``closing``."""

    def __init__(self, site: Site, clock: VirtualClock, directory: Path) -> None:
        self.site = site
        self.clock = clock
        self.paths = Paths(directory / "cache.db", directory / "journal.db")
        self.happened: list[Happened] = []
        self.records: list[Record] = []
        self._settings = site.tables.scim or ScimSettings(url="https://scenario.invalid", groups=("*",))
        self._mapper = CardMapper(self._settings.credential, site.formats, SITE_KEY, site.zone)
        self.store = Store(self.paths.cache)
        self.bench = Bench(_devices(site))
        self._boot = 1
        self._pending: list[tuple[Stamp, Event]] = []
        self._state: dict[str, str | None] = {}
        self._commit_at: float | None = None

    def close(self) -> None:
        """Close the databases."""
        self.lookup.close()
        self._journal.close()
        self.store.close()

    # -------------------------------------------------------------- the doors process

    def start(self) -> None:
        """Start the doors process: devices come online, modes are taken."""
        self._journal = Journal(self.paths.journal, Retention())
        kept = self._journal.state()
        self.lookup = Lookup(self.paths.cache, self.clock.utc)
        self.controller = Controller(controller_rules(self.site, SITE_KEY), self.lookup.find)
        self._news = SyncNews(kept.get(SyncNews.STATE_NAME))
        now = self.clock.now()
        self._perform(self.controller.start(now, VERSION, kept))
        self.happens(self.bench.start(now.monotonic))
        self.look_at_cache()
        self.move_to(self.clock.monotonic)

    def restart(self) -> None:
        """End cleanly, and start again at once."""
        self._perform(self.controller.stop())
        self._commit()
        self.bench.all_off(self.clock.monotonic)
        self._end()
        self.start()

    def power_cut(self) -> None:
        """End in the middle of everything: what was not durable is gone, and a new boot begins."""
        self._pending.clear()
        self._state.clear()
        self._commit_at = None
        self._end()
        self._boot += 1
        self.start()

    def _end(self) -> None:
        self.lookup.close()
        self._journal.close()

    # -------------------------------------------------------------- time

    def move_to(self, monotonic: float) -> None:
        """Let time pass; everything that falls due meanwhile happens in order."""
        while (due := self._due()) is not None and due <= monotonic:
            self.clock.move_to(due)
            self.bench.handle_deadline(due)
            self._perform(self.controller.handle_deadline(self.clock.now()))
            if self._commit_at is not None and self._commit_at <= due:
                self._commit()
        self.clock.move_to(monotonic)

    def _due(self) -> float | None:
        times = (self.bench.deadline(), self.controller.deadline(self.clock.now()), self._commit_at)
        return min((max(at, self.clock.monotonic) for at in times if at is not None), default=None)

    def clock_changed(self) -> None:
        """The wall clock was set, or its quality is another: the daemon sees it at its next look."""
        self._perform(self.controller.handle_deadline(self.clock.now()))
        self.look_at_cache()

    # -------------------------------------------------------------- what happens

    def happens(self, events: Iterable[DeviceEvent]) -> None:
        """Device events reach the controller."""
        for event in events:
            self._perform(self.controller.handle(event, self.clock.now()))

    def act(self, effects: Effects) -> None:
        """Effects of an operator's order."""
        self._perform(effects)

    def _perform(self, effects: Effects) -> None:
        now = self.clock.now()
        for command in effects.commands:
            self.bench.command(command, now.monotonic)
        stamp = Stamp(now, f"boot-{self._boot}")
        self.happened += [Happened(stamp, event) for event in effects.events]
        self._pending += [(stamp, event) for event in effects.events]
        self._state.update(effects.state)
        if (self._pending or self._state) and self._commit_at is None:
            self._commit_at = now.monotonic + COMMIT_DELAY

    def _commit(self) -> None:
        self.records += self._journal.append(self._pending, dict(self._state))
        self._pending.clear()
        self._state.clear()
        self._commit_at = None

    # -------------------------------------------------------------- sync

    def directory(self, file: Path) -> None:
        """A complete sync that finds this directory; what it does not have was confirmed to be gone."""
        snapshot = directory_of(_load(file), self._settings, self._mapper)
        old, new, now = self.store.load(), snapshot.directory(), self.clock.utc()
        gone = missing(old, new)
        evidence = Evidence(gone.people, gone.groups, gone.members)
        policy = Policy(self._settings.limits, self.site.references, self._settings.require_first_approval)
        recent, bindings = self.store.recent_removals(now), self.store.bindings()
        self.store.apply(plan(old, new, evidence, policy, now, recent, bindings), now)
        self.sync_completed()

    def sync_completed(self) -> None:
        """A complete sync ended."""
        self.store.completed(self.clock.utc(), "complete")
        self.look_at_cache()

    def sync_failed(self) -> None:
        """A sync failed."""
        self.store.failed(self.clock.utc(), "outage", "the server cannot be reached")
        self.look_at_cache()

    def look_at_cache(self) -> None:
        """What the doors process does within a second of a change of the cache."""
        self.lookup.changed()
        events = self._news.read(self.lookup)
        effects = self.controller.watch_cache(self.lookup.freshness(), self.clock.now())
        state = {**effects.state, SyncNews.STATE_NAME: self._news.kept}
        self._perform(Effects(effects.commands, (*events, *effects.events), state))


def _load(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def _devices(site: Site) -> dict[str, SimDevice]:
    """Every device of the site file as a simulated one, with the lines that it has there."""
    lines: dict[str, tuple[set[str], set[str]]] = {}
    for index, points in enumerate((site.devices.outputs, site.devices.inputs)):
        for point in points:
            lines.setdefault(point.device, (set(), set()))[index].add(point.line)
    names = [*lines, *(reader for reader in site.devices.readers if reader not in lines)]
    return {
        name: SimDevice(
            frozenset(lines.get(name, (set(), set()))[0]),
            frozenset(lines.get(name, (set(), set()))[1]),
            name in site.devices.readers,
        )
        for name in sorted(names)
    }
