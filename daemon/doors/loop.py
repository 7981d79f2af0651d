"""The doors process: owns the asyncio loop; device events in, commands out, events to the journal.

It never touches the network. The badge path runs in one callback of the loop: a driver emits, the core answers
(``daemon/doors/core.py``), the relay command leaves, and only then is the event handed to the journal's thread.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from types import TracebackType
from typing import Self

from cache.journal.head import head_key
from cache.journal.journal import Entry, Retention
from cache.journal.keeper import KeptJournal
from cache.journal.writer import JournalWriter
from cache.model import Moment, Record
from daemon import notify
from daemon.config.checks import points_in_use
from daemon.config.paths import Paths
from daemon.config.secrets import SITE_KEY_BYTES, decode_key, read_secret
from daemon.config.site import Site
from daemon.doors import clock
from daemon.doors.controller.controller import Controller
from daemon.doors.controller.effects import Effects
from daemon.doors.controller.rules import controller_rules
from daemon.doors.core import DoorsCore, Remembered
from daemon.doors.hardware import Hardware
from daemon.doors.lag import Lag
from daemon.doors.reader_keys import ReaderKeys
from drivers.driver import Context
from drivers.events import Command, DeviceEvent

log = logging.getLogger(__name__)

HEAD_LOGGED = 3600.0
"""Seconds between two lines of the log that name the journal's last record: one more place, of another writer."""

TICK = 1.0
"""Seconds between two looks at the clock and at the cache: a new generation is noticed within it."""

PROBE = 0.1
"""Seconds between two looks how late the loop is: no stall that is longer goes unseen."""


class Doors:
    """Everything that the doors process holds open. Use as an asynchronous context manager, then ``run``."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.paths = Paths.of(site).prepare_doors()
        self.lookup = self.paths.lookup(bounded=True)
        settings = site.tables.journal
        site_key = decode_key(read_secret(site.tables.site.key), SITE_KEY_BYTES)
        retention = Retention(settings.keep, settings.max_size)
        self._journal = KeptJournal(self.paths.journal, retention, head_key(site_key))
        remembered = Remembered(self._journal.state(), self._journal.newest())
        self.core = DoorsCore(controller_rules(site, site_key), self.lookup, remembered, self, clock.boot_id())
        self.reader_keys = ReaderKeys(self.paths.reader_keys, site_key)
        context = Context(
            self._emit,
            time.monotonic,
            read_secret,
            site.formats,
            self.reader_keys,
            in_use=points_in_use(site.tables),
        )
        self.hardware = Hardware(site.devices.buses, context)
        self.writer = JournalWriter(self._journal, self._committed, self._journal_alarm)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._on_commit: set[Callable[[], None]] = set()
        self.lag = Lag()

    async def __aenter__(self) -> Self:
        """Take the modes, switch every lock off, and start to notice changes of the cache."""
        self._loop = asyncio.get_running_loop()
        self.core.start(self.now(), version("latchd"))
        self._say_cache_trouble(None)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the end on record and make everything durable that was put."""
        if self._timer is not None:
            self._timer.cancel()
        self.core.stop(self.now())
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

    @property
    def controller(self) -> Controller:
        """The controller of all doors."""
        return self.core.controller

    @property
    def cache_trouble(self) -> str | None:
        """Why the cache cannot be read at present, if so."""
        return self.core.cache_trouble

    @property
    def journal_alarm(self) -> str | None:
        """What a person should know of the journal: that it cannot be written, or what became of it."""
        waiting = self.writer.alarmed
        return f"events wait in memory: {waiting}" if waiting is not None else self.writer.remark

    def now(self) -> Moment:
        """This instant; never believed when it lies before what the journal already holds."""
        return self.core.believe(clock.now())

    def listen(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call ``changed`` in the loop after each commit of the journal; returns how to stop it."""
        self._on_commit.add(changed)
        return lambda: self._on_commit.discard(changed)

    def act(self, effects: Effects, now: Moment) -> None:
        """Carry out effects that were asked for from outside the drivers (an operator's command)."""
        self.core.act(effects, now)
        self._arm(now)

    # -------------------------------------------------------------- where the core's effects go

    def send(self, command: Command, now: Moment) -> None:
        """Pass a command to the driver of its device."""
        del now  # a driver has the same clock
        self.hardware.send(command)

    def keep(self, entries: Sequence[Entry], state: Mapping[str, str | None]) -> None:
        """Hand events and state to the journal's thread."""
        self.writer.put(entries, state)

    # -------------------------------------------------------------- the loop

    def _emit(self, event: DeviceEvent) -> None:
        now = self.now()
        try:
            self.core.handle(event, now)
        except Exception:
            log.exception("an event of a device could not be handled: %s", event)
        self._arm(now)
        self._measure(now)

    def _arm(self, now: Moment) -> None:
        assert self._loop is not None
        if self._timer is not None:
            self._timer.cancel()
        due = self.core.deadline(now)
        self._timer = None if due is None else self._loop.call_at(due, self._due)

    def _due(self) -> None:
        now = self.now()
        try:
            self.core.handle_deadline(now)
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
        log_at = 0.0
        while True:
            await asyncio.sleep(TICK)
            if time.monotonic() >= log_at and (last := self.writer.last()) is not None:
                log.info("journal: record %d, chain %s", last.sequence, last.chain.hex())
                log_at = time.monotonic() + HEAD_LOGGED
            self._due()
            self._watch(self.now())

    def _watch(self, now: Moment) -> None:
        """Let the core look at the cache, and log once when it cannot be read, and once when it can again."""
        before, unread = self.core.cache_trouble, self.core.sync_trouble
        try:
            self.core.look_at_cache(now)
        except Exception:
            log.exception("the cache could not be looked at")  # whatever sync wrote, the doors go on
        self._say_cache_trouble(before)
        if (why := self.core.sync_trouble) is not None and why != unread:
            log.error("what sync did cannot be read; cards open as before: %s", why)

    def _say_cache_trouble(self, before: str | None) -> None:
        why = self.core.cache_trouble
        if why == before:
            return
        if why is None:
            log.warning("the cache can be read again")
        else:
            log.error("the cache cannot be read, every card is denied: %s", why)

    # -------------------------------------------------------------- the journal's thread

    def _committed(self, records: list[Record]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell_listeners, records[-1].stamp.at)

    def _tell_listeners(self, newest: Moment) -> None:
        self.core.durable(newest)
        for changed in tuple(self._on_commit):
            changed()

    def _journal_alarm(self, why: str | None) -> None:
        if why is None:
            log.warning("events are stored again")
        else:
            log.error("journal write failed: %s; doors keep operating", why)
