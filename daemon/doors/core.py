"""The doors themselves: the controller, what sync did, the order of effects, and the look at the cache.

No event loop and no clock: ``now`` is an argument. ``daemon/doors/loop.py`` runs this on hardware,
``daemon/simulate/world.py`` on simulated devices and a virtual clock, and ``daemon/cli/offline.py`` on neither, to
answer a question. So a scenario shows what the doors process does, and not what an imitation of it would do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from cache.directory.lookup import Lookup
from cache.directory.sync_state import SyncState
from cache.errors import CacheError
from cache.journal.journal import Entry
from cache.keys import key_mark
from cache.model import Event, EventName, Moment, Record, Stamp
from daemon.doors.clock_quality import EARLIEST_PLAUSIBLE, ProvedTime
from daemon.doors.controller.controller import Controller
from daemon.doors.controller.effects import Effects
from daemon.doors.controller.site_state import ControllerRules
from daemon.doors.floods import FloodLimiter
from daemon.doors.sync_events import SyncEventSource
from drivers.events import Command, DeviceEvent

OTHER_KEY = "the cache was made with another site key: no card will be found; see `[site] key` of both units"
WENT_BACK = "the cache went back: a later generation was here before; `latchctl sync now` fetches everything again"


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the journal holds at a start: state by name, the last instant known to have passed, the last stamp."""

    state: Mapping[str, str] = field(default_factory=dict)
    newest: datetime | None = None
    last: Stamp | None = None

    @classmethod
    def of(cls, state: Mapping[str, str], last: Record | None) -> Remembered:
        """Return what a journal remembers whose last record is ``last``."""
        return cls(state) if last is None else cls(state, last.stamp.at.utc, last.stamp)


class Outlet(Protocol):
    """Where effects go. Neither method may block, wait or raise: the next door must still open."""

    def send(self, command: Command, now: Moment) -> None:
        """Pass a command to its device."""

    def keep(self, entries: Sequence[Entry], state: Mapping[str, str | None]) -> None:
        """Make events and state durable, soon and in this order."""


class Nowhere:
    """An outlet for a core that only answers questions."""

    def send(self, command: Command, now: Moment) -> None:
        """Forget it."""

    def keep(self, entries: Sequence[Entry], state: Mapping[str, str | None]) -> None:
        """Forget it."""


class DoorsCore:
    """All doors of a site with their cache. Belongs to one thread; whoever runs it calls it in order of time."""

    def __init__(
        self,
        rules: ControllerRules,
        lookup: Lookup,
        remembered: Remembered,
        outlet: Outlet,
        boot_id: str,
        earliest: datetime = EARLIEST_PLAUSIBLE,
    ) -> None:
        """``boot_id`` names the boot to which the monotonic times of all ``now`` belong.

        ``earliest``: a clock that shows less was never set.
        """
        self.lookup = lookup
        self.controller = Controller(rules, lookup.find)
        self._proved = ProvedTime(remembered.newest, earliest)
        lookup.passed = remembered.newest
        self.cache_trouble: str | None = None
        """Why the cache cannot be read at present, if so: every card is denied."""
        self.sync_trouble: str | None = None
        """Why it cannot be read what sync did; decisions do not depend on it."""
        self.cache_doubt: str | None = None
        """Why the cache can be read and still may be the wrong one, if so."""
        self._site_key = rules.site_key
        self._remembered = remembered
        self._outlet = outlet
        self._boot_id = boot_id
        self._sync_events = SyncEventSource(remembered.state.get(SyncEventSource.STATE_NAME))
        self._sync_state = SyncState()
        self._floods = FloodLimiter()

    # -------------------------------------------------------------- time

    def believe(self, said: Moment) -> Moment:
        """Return the instant with its quality as far as it can be believed after what is known to have passed."""
        return self._proved.believe(said)

    def durable(self, at: Moment) -> None:
        """Take note that an event of this instant is durable: time never runs back past it unnoticed."""
        self._proved.durable(at)
        self.lookup.passed = self._proved.at(at.monotonic)

    # -------------------------------------------------------------- what happens

    def start(self, now: Moment, version: str) -> None:
        """Take the modes that were remembered, switch every lock off, and look at the cache."""
        known = self._remembered
        self.act(self.controller.start(now, version, known.state, known.newest, self._boot_id, known.last), now)
        self.look_at_cache(now)

    def stop(self, now: Moment) -> None:
        """Put the end on record."""
        self.act(self.controller.stop(), now)

    def handle(self, event: DeviceEvent, now: Moment) -> None:
        """Decide what an event of a device leads to, and do it."""
        self.act(self.controller.handle(event, now), now)

    def deadline(self, now: Moment) -> float | None:
        """Return the monotonic time at which ``handle_deadline`` is due; ``None``: nothing is under way."""
        return self.controller.deadline(now)

    def handle_deadline(self, now: Moment) -> None:
        """Serve every timer that has fallen due. To be called about every second too: it watches the clock."""
        self.act(self.controller.handle_deadline(now), now)
        counts = self._floods.due(now.monotonic)
        if counts:
            stamp = Stamp(now, self._boot_id)
            self._outlet.keep([(stamp, event) for event in counts], {})

    def act(self, effects: Effects, now: Moment) -> None:
        """Carry out effects: commands first, because a person waits; then the record of them."""
        for command in effects.commands:
            self._outlet.send(command, now)
        events = self._floods.admit(effects.events, now.monotonic)
        if events or effects.state:
            stamp = Stamp(now, self._boot_id)
            self._outlet.keep([(stamp, event) for event in events], effects.state)

    # -------------------------------------------------------------- the cache

    def look_at_cache(self, now: Moment) -> None:
        """Put on record what sync did since the last look, and which doors' cache has grown too old.

        To be called about every second. A cache that cannot be read is a ``cache_trouble`` until it can.
        """
        before, events, trouble = self._sync_events.stored, list[Event](), None
        effects = Effects()
        try:
            if self._cache_changed() or self.sync_trouble is not None:
                events += self._what_sync_did()
                events += self._doubt(self.lookup)
            effects = self.controller.watch_cache(self.lookup.freshness(), now)
        except CacheError as error:
            trouble = str(error)
        if trouble is not None and self.cache_trouble is None:
            events.append(Event(EventName.CACHE_UNREADABLE, detail=(("text", trouble),)))
        elif trouble is None and self.cache_trouble is not None:
            events.append(Event(EventName.CACHE_READABLE))
        self.cache_trouble = trouble
        stored = self._sync_events.stored
        state = {SyncEventSource.STATE_NAME: stored} if stored != before else {}
        self.act(Effects(effects.commands, (*events, *effects.events), {**effects.state, **state}), now)

    def _what_sync_did(self) -> tuple[Event, ...]:
        """What sync wrote about itself may be unreadable where the directory is not: cards open as before."""
        try:
            events = self._sync_events.read(self.lookup)
        except CacheError as error:
            self.sync_trouble = str(error)
            return ()
        self.sync_trouble = None
        return events

    def _doubt(self, lookup: Lookup) -> Iterator[Event]:
        """Find out whether the cache can be the right one, and put it on record when it is another site's."""
        mark = lookup.key_mark()
        other = bool(self._site_key) and mark is not None and mark != key_mark(self._site_key)
        if other and self.cache_doubt != OTHER_KEY:
            yield Event(EventName.CACHE_OTHER_KEY, generation=lookup.freshness().generation)
        self.cache_doubt = OTHER_KEY if other else WENT_BACK if lookup.went_back else None

    def _cache_changed(self) -> bool:
        changed, sync_state = self.lookup.changed(), self.lookup.sync_state()
        differs = changed or sync_state != self._sync_state
        self._sync_state = sync_state
        return differs
