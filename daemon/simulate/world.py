"""The world of a scenario: the core of the doors process, the sync's plan, simulated devices, a virtual clock.

Everything that is due fires in order of time; nothing waits for the real clock, and nothing depends on chance.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from cache.directory.lookup import Lookup
from cache.directory.store import Store
from cache.errors import CacheError
from cache.journal.journal import Entry, Journal, Retention
from cache.model import Moment, Record
from cache.reconcile.reconcile import Evidence, missing
from daemon.config.paths import Paths
from daemon.config.site import Site
from daemon.doors.clock_quality import EARLIEST_PLAUSIBLE
from daemon.doors.controller.controller import Controller
from daemon.doors.controller.door import DoorController
from daemon.doors.controller.effects import Effects
from daemon.doors.controller.rules import controller_rules
from daemon.doors.core import DoorsCore, Remembered
from daemon.scim.cards import CardMapper
from daemon.scim.exchange import OutageError
from daemon.scim.fetch import directory_of
from daemon.scim.settings import ScimSettings
from daemon.simulate.clock import VirtualClock
from daemon.simulate.devices import Readers, site_devices
from daemon.simulate.expectations import Happened
from daemon.simulate.record import Recording
from daemon.simulate.scenario import known_name
from daemon.sync.plan import CacheUpdates
from drivers.events import Command, DeviceEvent

SITE_KEY = bytes(32)
"""A scenario needs no secret: its cards are in its own files."""

START_UP = 1.0
"""Seconds that the daemon takes to start: its inputs have settled by then."""

STUCK = 10_000
"""Timers that fall due at one instant; so many mean that one of them is never served."""

VERSION = "simulation"


class World:
    """One controller in ``directory``, empty at first; card files are found from ``base``. To be closed.

    It has a cache and hardware from the beginning, and runs from ``start`` on. ``earliest``: a clock that shows
    less counts as never set.
    """

    def __init__(
        self,
        site: Site,
        clock: VirtualClock,
        directory: Path,
        base: Path,
        earliest: datetime = EARLIEST_PLAUSIBLE,
    ) -> None:
        self.site = site
        self.clock = clock
        self.paths = Paths(directory / "cache.db", directory / "journal.db")
        self.remarks: tuple[str, ...] = ()
        """What `latchctl sync status` would say of the last directory: cards and groups that are of no use."""
        settings = site.tables.scim or ScimSettings(url="https://scenario.invalid", groups=("*",))
        mapper = CardMapper(
            settings.credential, site.formats, SITE_KEY, site.zone, pin_length=site.tables.pin.length
        )
        self.updates = CacheUpdates(
            settings,
            Store(self.paths.cache),
            mapper,
            site.references,
            base,
            site.brake,
            site.doors_by_reference,
        )
        self.bench = site_devices(site, clock.monotonic)
        self.recording = Recording(site.tables.journal.keep)
        self._readers = Readers(site, self.bench)
        self._earliest = earliest
        self._last_directory: Path | None = None
        self._running = False

    @property
    def happened(self) -> list[Happened]:
        """Everything that happened, but for what a power cut took."""
        return self.recording.happened

    @property
    def records(self) -> list[Record]:
        """Everything that became durable and was written."""
        return self.recording.records

    @property
    def controller(self) -> Controller:
        """The controller of all doors."""
        return self.core.controller

    def close(self) -> None:
        """Make everything durable that is pending, and close the databases."""
        try:
            if self._running:
                self.commit()
                self.recording.write(self._journal)
        finally:
            if self._running:
                self._end()
            self.updates.store.close()

    def now(self) -> Moment:
        """This instant as the daemon sees it: a wall clock that no one sets is not believed to run backwards."""
        return self.core.believe(self.clock.now())

    def door(self, name: str) -> DoorController:
        """A door by its name. ``ValueError``: there is none."""
        return self.controller.doors[known_name("door", name, self.controller.doors)]

    # -------------------------------------------------------------- the doors process

    def start(self) -> None:
        """Start the doors process: modes are taken, devices come online, inputs settle."""
        retention = Retention(self.site.tables.journal.keep, self.site.tables.journal.max_size)
        self._journal = Journal(self.paths.journal, retention)
        self.core = DoorsCore(
            controller_rules(self.site, SITE_KEY),
            Lookup(self.paths.cache, self.clock.utc),
            Remembered.of(self._journal.state(), self._journal.last()),
            self,
            f"boot-{self.clock.boot}",
            self._earliest,
        )
        self._running = True
        self.core.start(self.now(), VERSION)
        self.happens(self.bench.start(self.clock.monotonic))

    def restart(self) -> None:
        """End cleanly, and start again at once."""
        self.core.stop(self.now())
        self.commit()
        self._stop_devices()
        self._start_again()

    def power_cut(self, dark: float = 0.0) -> list[Happened]:
        """End in the middle of everything; after ``dark`` seconds a new boot begins. Return what was lost."""
        lost = self.recording.lose()
        self._stop_devices()
        self.clock.boot_again(dark)
        self._start_again()
        return lost

    def _stop_devices(self) -> None:
        self.recording.write(self._journal)
        self.bench.all_off(self.clock.monotonic)
        self._end()

    def _start_again(self) -> None:
        self.start()
        self.move_to(self.clock.monotonic + START_UP)

    def _end(self) -> None:
        self.core.lookup.close()
        self._journal.close()

    # -------------------------------------------------------------- time

    def move_to(self, monotonic: float) -> None:
        """Let time pass; everything that falls due meanwhile happens in order. Then the second hand's look."""
        served = 0
        while (due := self._due()) is not None and due <= monotonic:
            served = served + 1 if due <= self.clock.monotonic else 0
            if served > STUCK:
                raise RuntimeError(f"a timer that is due at {due} is never served")
            self.clock.move_to(due)
            self.bench.handle_deadline(due)
            self.core.handle_deadline(self.now())
            if self.recording.commit_at is not None and self.recording.commit_at <= due:
                self.commit()
        self.clock.move_to(monotonic)
        self.core.handle_deadline(self.now())

    def wait(self, seconds: float) -> None:
        """Let so much time pass."""
        self.move_to(self.clock.monotonic + seconds)

    def _due(self) -> float | None:
        times = (self.bench.deadline(), self.core.deadline(self.now()), self.recording.commit_at)
        return min((max(at, self.clock.monotonic) for at in times if at is not None), default=None)

    def clock_changed(self) -> None:
        """The wall clock was set, or its quality is another: the daemon sees it at its next look."""
        self.core.handle_deadline(self.now())
        self.core.look_at_cache(self.now())

    # -------------------------------------------------------------- what happens

    def badge(self, reader: str, length: int, value: int) -> None:
        """A card at a reader."""
        self.happens(self._readers.badge(reader, length, value, self.clock.monotonic))

    def happens(self, events: Iterable[DeviceEvent]) -> None:
        """Device events reach the core."""
        for event in events:
            self.core.handle(event, self.now())

    def act(self, effects: Effects, now: Moment) -> None:
        """Carry out effects of an operator's order."""
        self.core.act(effects, now)

    def send(self, command: Command, now: Moment) -> None:
        """Pass a command of the core to its device."""
        self.bench.command(command, now.monotonic)

    def keep(self, entries: Sequence[Entry], state: Mapping[str, str | None]) -> None:
        """Take the record of the core for the journal."""
        self.recording.put(entries, state, self.clock.monotonic)

    def commit(self) -> None:
        """From now on what is pending survives a power cut."""
        for stamp, _ in self.recording.commit(self._journal):
            self.core.durable(stamp.at)

    # -------------------------------------------------------------- sync

    def directory(self, file: Path) -> None:
        """A complete sync that finds this directory; what it does not have was confirmed to be gone."""
        updates, now = self.updates, self.clock.utc()
        if (held := updates.on_hold()) is not None:
            raise CacheError(f"{held.text} (in a scenario: operator NAME sync resume)")
        snapshot = directory_of(_load(file), updates.settings, updates.card_mapper(), updates.configured_names())
        old, new = updates.store.load(), snapshot.directory()
        gone = missing(old, new)
        evidence = Evidence(gone.people, gone.groups, gone.members)
        report = updates.apply(updates.prepare(snapshot, old, evidence, now), now).report
        assert report is not None, "a sync that was applied has a report"
        self.remarks = (*report.warnings, *(f"{card.person}: {card.text}" for card in report.unusable))
        self._last_directory = file
        self.look_at_cache()

    def sync_completed(self) -> None:
        """A complete sync that finds the directory as it was last; without any, one that finds nothing."""
        if self._last_directory is not None:
            self.directory(self._last_directory)
        else:
            self.updates.store.completed(self.clock.utc(), "complete")
            self.look_at_cache()

    def sync_failed(self, error: OutageError) -> None:
        """A sync failed."""
        self.updates.failed(error, self.clock.utc())
        self.look_at_cache()

    def look_at_cache(self) -> None:
        """What the doors process, once it runs, does within a second of a change of the cache."""
        if self._running:
            self.core.look_at_cache(self.now())


def _load(file: Path) -> Any:
    try:
        document = json.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{file.name}: this is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise ValueError(f'{file.name}: expected {{"Users": […], "Groups": […]}}')  # noqa: TRY004 - a wrong file
    return document
