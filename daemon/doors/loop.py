"""The doors process: owns the asyncio loop; device events in, commands out, events to the journal.

It never touches the network. The badge path runs in one callback of the loop: a driver emits, the controller
answers, the relay command leaves, and only then is the event handed to the journal's thread.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from importlib.metadata import version
from types import TracebackType
from typing import Self

from cache.directory.lookup import Lookup
from cache.directory.sync_state import SyncState
from cache.errors import CacheError
from cache.journal.journal import Journal, Retention
from cache.journal.writer import JournalWriter
from cache.model import Moment, Record, Stamp
from daemon import notify
from daemon.config.paths import Paths
from daemon.config.secrets import SITE_KEY_BYTES, decode_key, read_secret
from daemon.config.site import Site
from daemon.doors import clock
from daemon.doors.controller.controller import Controller
from daemon.doors.controller.effects import Effects
from daemon.doors.controller.rules import controller_rules
from daemon.doors.hardware import Hardware
from daemon.doors.lag import Lag
from daemon.doors.reader_keys import ReaderKeys
from daemon.doors.sync_events import SyncEventSource
from drivers.driver import Context
from drivers.events import DeviceEvent

log = logging.getLogger(__name__)

TICK = 1.0
"""Seconds between two looks at the clock and at the cache: a new generation is noticed within it."""

PROBE = 0.1
"""Seconds between two looks how late the loop is: no stall that is longer goes unseen."""


class Doors:
    """Everything that the doors process holds open. Use as an asynchronous context manager, then ``run``."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.paths = Paths.of(site).prepare()
        self.boot_id = clock.boot_id()
        self.lookup = Lookup(self.paths.cache)
        settings = site.tables.journal
        self._journal = Journal(self.paths.journal, Retention(settings.keep, settings.max_size))
        kept = self._journal.state()
        last = self._journal.last()
        self._newest = last.stamp.at.utc if last is not None else None
        site_key = decode_key(read_secret(site.tables.site.key), SITE_KEY_BYTES)
        rules = controller_rules(site, site_key)
        self.controller = Controller(rules, self.lookup.find)
        self.reader_keys = ReaderKeys(self.paths.reader_keys, site_key)
        context = Context(self._emit, time.monotonic, read_secret, site.formats, self.reader_keys)
        self.hardware = Hardware(site.devices.buses, context)
        self.writer = JournalWriter(self._journal, self._committed, self._journal_alarm)
        self._news = SyncEventSource(kept.get(SyncEventSource.STATE_NAME))
        self._kept = kept
        self._sync_state = SyncState()
        self.cache_trouble: str | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._on_commit: set[Callable[[], None]] = set()
        self.lag = Lag()

    async def __aenter__(self) -> Self:
        """Take the modes, switch every lock off, and start to notice changes of the cache."""
        self._loop = asyncio.get_running_loop()
        now = self.now()
        self._perform(self.controller.start(now, version("latchd"), self._kept, self._newest), now)
        self._watch(now)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the end on record and make everything durable that was put."""
        if self._timer is not None:
            self._timer.cancel()
        now = self.now()
        self._perform(self.controller.stop(), now)
        if not self.writer.close():
            log.error("the last events could not be written to %s", self.paths.journal)
        self.reader_keys.close()
        self.lookup.close()

    async def run(self) -> None:
        """Serve until cancelled: the drivers, the timers, the second hand and the watchdog."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.hardware.run(), name="hardware")
            group.create_task(self._tick(), name="tick")
            group.create_task(self._probe(), name="lag")
            group.create_task(notify.keep_alive(), name="watchdog")
            notify.ready(f"{len(self.controller.doors)} doors")

    def now(self) -> Moment:
        """This instant; never believed when it lies before what the journal already holds."""
        return clock.now(self._newest)

    def listen(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call ``changed`` in the loop after each commit of the journal; returns how to stop it."""
        self._on_commit.add(changed)
        return lambda: self._on_commit.discard(changed)

    def act(self, effects: Effects, now: Moment) -> None:
        """Carry out effects that were asked for from outside the drivers (an operator's command)."""
        self._perform(effects, now)
        self._arm(now)

    # -------------------------------------------------------------- the loop

    def _emit(self, event: DeviceEvent) -> None:
        now = self.now()
        try:
            self._perform(self.controller.handle(event, now), now)
        except Exception:
            log.exception("an event of a device could not be handled: %s", event)
        self._arm(now)
        self._measure(now)

    def _perform(self, effects: Effects, now: Moment) -> None:
        for command in effects.commands:
            self.hardware.send(command)
        stamp = Stamp(now, self.boot_id)
        self.writer.put([(stamp, event) for event in effects.events], effects.state)

    def _arm(self, now: Moment) -> None:
        assert self._loop is not None
        if self._timer is not None:
            self._timer.cancel()
        due = self.controller.deadline(now)
        self._timer = None if due is None else self._loop.call_at(due, self._due)

    def _due(self) -> None:
        now = self.now()
        try:
            self._perform(self.controller.handle_deadline(now), now)
        except Exception:
            log.exception("a timer could not be served")
        self._arm(now)
        self._measure(now)

    def _measure(self, since: Moment) -> None:
        self._late(time.monotonic() - since.monotonic)

    def _late(self, seconds: float) -> None:
        if self.lag.note(seconds, time.monotonic()):
            log.warning("one turn of the loop took %.0f ms", seconds * 1000)

    async def _probe(self) -> None:
        """See also the stalls that no device's event is part of: a timer comes late whatever holds up the loop."""
        while True:
            due = time.monotonic() + PROBE
            await asyncio.sleep(PROBE)
            self._late(time.monotonic() - due)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self._due()
            self._watch(self.now())

    def _watch(self, now: Moment) -> None:
        """What sync did since the last look, as events, and whether the cache has grown too old."""
        try:
            told = self._news.kept
            events = self._news.read(self.lookup) if self._cache_changed() else ()
            effects = self.controller.watch_cache(self.lookup.freshness(), now)
        except CacheError as error:
            self._cache_trouble(str(error))
            return
        self._cache_trouble(None)
        state = {SyncEventSource.STATE_NAME: self._news.kept} if self._news.kept != told else {}
        self._perform(Effects(effects.commands, (*events, *effects.events), {**effects.state, **state}), now)

    def _cache_changed(self) -> bool:
        changed, sync_state = self.lookup.changed(), self.lookup.sync_state()
        differs = changed or sync_state != self._sync_state
        self._sync_state = sync_state
        return differs

    def _cache_trouble(self, why: str | None) -> None:
        """Say once that the cache cannot be read, and once that it can again."""
        if why != self.cache_trouble:
            if why is None:
                log.warning("the cache can be read again")
            else:
                log.error("the cache cannot be read, every card is denied: %s", why)
            self.cache_trouble = why

    # -------------------------------------------------------------- the journal's thread

    def _committed(self, records: list[Record]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell_listeners, records[-1].stamp.at)

    def _tell_listeners(self, newest: Moment) -> None:
        self._newest = clock.passed(self._newest, newest)
        for changed in tuple(self._on_commit):
            changed()

    def _journal_alarm(self, why: str | None) -> None:
        if why is None:
            log.warning("events are kept again")
        else:
            log.error("events cannot be kept: %s; the doors go on", why)
