"""The world of a scenario: the real controller, cache and journal, with simulated devices and a virtual clock.

Everything that is due fires in order of time; nothing waits for the real clock, and nothing depends on chance.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cache.changes import Quarantine
from cache.directory.lookup import Lookup
from cache.directory.store import Store
from cache.errors import CacheError
from cache.journal.journal import Journal, Retention
from cache.model import Event, Moment, Record, Stamp
from cache.reconcile.reconcile import Evidence, Policy, disconnect, missing, plan
from daemon.config.paths import Paths
from daemon.config.site import Site
from daemon.doors.clock import passed, quality_of
from daemon.doors.controller.controller import Controller
from daemon.doors.controller.door import DoorController
from daemon.doors.controller.effects import Effects
from daemon.doors.controller.rules import controller_rules
from daemon.doors.sync_events import SyncEventSource
from daemon.scim.card_file import SideFile, parse_side_file
from daemon.scim.cards import CardMapper
from daemon.scim.fetch import directory_of
from daemon.scim.settings import ScimSettings
from daemon.simulate.clock import VirtualClock
from daemon.simulate.expectations import Happened
from daemon.simulate.scenario import known_name
from drivers.events import CardRead, DeviceEvent, InputState
from drivers.simulated import SimDevice, SimulatedDevices
from drivers.wiegand.decode import ReaderRules, interpret
from drivers.wiegand.frame import Frame

SITE_KEY = bytes(32)
"""A scenario needs no secret: its cards are in its own files."""

COMMIT_DELAY = 0.03
"""Seconds until an event is durable: the real journal gathers events for 20 ms and then commits them."""

START_UP = 1.0
"""Seconds that the daemon takes to start: its inputs have settled by then."""

WRITTEN_AT_ONCE = 4096
"""Events that were committed in the scenario's time are written to the journal together, to save real time."""

STUCK = 10_000
"""Timers that fall due at one instant; so many mean that one of them is never served."""

VERSION = "simulation"


@dataclass(slots=True)
class _Kept:
    """Events, and state by name, on their way to the journal."""

    events: list[tuple[Stamp, Event]]
    state: dict[str, str | None]

    def take(self, other: _Kept) -> None:
        """All of ``other``, which is empty then."""
        self.events += other.events
        self.state.update(other.state)
        other.clear()

    def clear(self) -> None:
        """Lose it all."""
        self.events = []
        self.state = {}


class World:
    """One controller in ``directory``, empty at first; side files are found from ``base``. To be closed.

    It has a cache and hardware from the beginning, and runs from ``start`` on.
    """

    def __init__(self, site: Site, clock: VirtualClock, directory: Path, base: Path) -> None:
        self.site = site
        self.clock = clock
        self.paths = Paths(directory / "cache.db", directory / "journal.db")
        self.happened: list[Happened] = []
        self.records: list[Record] = []
        self.remarks: tuple[str, ...] = ()
        """What `latchctl sync status` would say of the last directory: cards and groups that are of no use."""
        self._settings = site.tables.scim or ScimSettings(url="https://scenario.invalid", groups=("*",))
        self._mapper = CardMapper(
            self._settings.credential, site.formats, SITE_KEY, site.zone, pin_length=site.tables.pin.length
        )
        self._base = base
        self._checks = _parity_checks(site)
        self.store = Store(self.paths.cache)
        self.bench = SimulatedDevices(_devices(site))
        self._come_to_rest()
        self._boot = 1
        self._pending = _Kept([], {})
        self._durable = _Kept([], {})
        self._commit_at: float | None = None
        self._retention = Retention(site.tables.journal.keep, site.tables.journal.max_size)
        self._together = max(1, min(WRITTEN_AT_ONCE, self._retention.keep // 20))
        self._running = False

    def close(self) -> None:
        """Make everything durable that is pending, and close the databases."""
        try:
            if self._running:
                self.commit()
                self._write()
        finally:
            if self._running:
                self._end()
            self.store.close()

    def now(self) -> Moment:
        """This instant as the daemon sees it: a wall clock that nobody sets is not believed to run backwards."""
        now = self.clock.now()
        return replace(now, quality=quality_of(now.utc, self._newest, now.quality))

    def _come_to_rest(self) -> None:
        """A day begins with every door closed and every button at rest."""
        for table in self.site.tables.door.values():
            for line in (table.contact, table.rex, table.fire):
                if line is not None:
                    state = InputState.ON if line.sense == "nc" else InputState.OFF
                    self.bench.set_input(line.input, state, self.clock.monotonic)

    def unit(self, door: str) -> DoorController:
        """A door by its name. ``ValueError``: there is none."""
        return self.controller.doors[known_name("door", door, self.controller.doors)]

    # -------------------------------------------------------------- the doors process

    def start(self) -> None:
        """Start the doors process: modes are taken, devices come online, inputs settle."""
        self._running = True
        self._journal = Journal(self.paths.journal, self._retention)
        kept = self._journal.state()
        last = self._journal.last()
        self._newest = last.stamp.at.utc if last is not None else None
        self.lookup = Lookup(self.paths.cache, self.clock.utc)
        self.controller = Controller(controller_rules(self.site, SITE_KEY), self.lookup.find)
        self._news = SyncEventSource(kept.get(SyncEventSource.STATE_NAME))
        self._perform(self.controller.start(self.now(), VERSION, kept, self._newest))
        self.look_at_cache()
        self.happens(self.bench.start(self.clock.monotonic))

    def restart(self) -> None:
        """End cleanly, and start again at once."""
        self._perform(self.controller.stop())
        self.commit()
        self._again()

    def power_cut(self) -> list[Happened]:
        """End in the middle of everything, and a new boot begins; what was not durable is gone, and returned."""
        durable = len(self.happened) - len(self._pending.events)
        lost = self.happened[durable:]
        del self.happened[durable:]
        self._pending.clear()
        self._commit_at = None
        self._boot += 1
        self._again()
        return lost

    def _again(self) -> None:
        self._write()
        self.bench.all_off(self.clock.monotonic)
        self._end()
        self.start()
        self.move_to(self.clock.monotonic + START_UP)

    def _end(self) -> None:
        self.lookup.close()
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
            self._perform(self.controller.handle_deadline(self.now()))
            if self._commit_at is not None and self._commit_at <= due:
                self.commit()
        self.clock.move_to(monotonic)
        self._perform(self.controller.handle_deadline(self.now()))

    def _due(self) -> float | None:
        times = (self.bench.deadline(), self.controller.deadline(self.now()), self._commit_at)
        return min((max(at, self.clock.monotonic) for at in times if at is not None), default=None)

    def clock_changed(self) -> None:
        """The wall clock was set, or its quality is another: the daemon sees it at its next look."""
        self._perform(self.controller.handle_deadline(self.now()))
        self.look_at_cache()

    # -------------------------------------------------------------- what happens

    def badge(self, reader: str, length: int, value: int) -> None:
        """A card at a reader. One whose driver checks parity refuses a read that fails it, as on the wire."""
        for event in self.bench.badge(reader, length, value, self.clock.monotonic):
            if isinstance(event, CardRead) and reader in self._checks:
                frame = Frame(length, value, round(event.at * 1e9))
                self.happens([interpret(reader, frame, self._checks[reader])])
            else:
                self.happens([event])

    def happens(self, events: Iterable[DeviceEvent]) -> None:
        """Device events reach the controller."""
        for event in events:
            self._perform(self.controller.handle(event, self.now()))

    def act(self, effects: Effects) -> None:
        """Effects of an operator's order."""
        self._perform(effects)

    def _perform(self, effects: Effects) -> None:
        if not (effects.commands or effects.events or effects.state):
            return
        now = self.now()
        for command in effects.commands:
            self.bench.command(command, now.monotonic)
        stamp = Stamp(now, f"boot-{self._boot}")
        self.happened += [Happened(stamp, event) for event in effects.events]
        self._pending.events += [(stamp, event) for event in effects.events]
        self._pending.state.update(effects.state)
        if (effects.events or effects.state) and self._commit_at is None:
            self._commit_at = now.monotonic + COMMIT_DELAY

    def commit(self) -> None:
        """From now on what is pending survives a power cut."""
        for stamp, _ in self._pending.events:
            self._newest = passed(self._newest, stamp.at)
        self._durable.take(self._pending)
        self._commit_at = None
        if len(self._durable.events) >= self._together:
            self._write()

    def _write(self) -> None:
        written = self._journal.append(self._durable.events, self._durable.state)
        gaps = written[len(self._durable.events) :]
        self.records += written
        self.happened += [Happened(gap.stamp, gap.event) for gap in gaps]
        self._durable.clear()

    # -------------------------------------------------------------- sync

    def directory(self, file: Path) -> None:
        """A complete sync that finds this directory; what it does not have was confirmed to be gone."""
        if self.store.held() is not None:
            raise CacheError(f"syncing is on hold: {self.store.held()}; operator NAME sync resume lets it go on")
        mapper = replace(self._mapper, side_files=self._side_files())
        snapshot = directory_of(_load(file), self._settings, mapper, self._known_as())
        old, new, now = self.store.load(), snapshot.directory(), self.clock.utc()
        gone = missing(old, new)
        evidence = Evidence(gone.people, gone.groups, gone.members)
        policy = Policy(self._settings.limits, self.site.references, self._settings.require_first_approval)
        recent, bindings = self.store.recent_removals(now), self.store.bindings()
        wanted = plan(old, new, evidence, policy, now, recent, bindings, self.store.quarantine())
        self.store.apply(wanted, now)
        report = snapshot.report(new)
        cards = (f"{card.person}: {card.text}" for card in report.unusable)
        self.remarks = (*report.warnings, *wanted.warnings, *cards)
        held = self.store.quarantine()
        self.sync_completed("complete" if held is None else "; ".join(held.reasons))

    def _known_as(self) -> Mapping[str, frozenset[str]]:
        known: dict[str, frozenset[str]] = {}
        for binding in self.store.bindings().values():
            known[binding.group_id] = known.get(binding.group_id, frozenset()) | {binding.reference}
        return known

    def _side_files(self) -> dict[str, SideFile]:
        files = {}
        for rule in self._settings.credential:
            if rule.side_file is not None:
                try:
                    content = (self._base / rule.side_file).read_text(encoding="utf-8")
                    files[rule.side_file] = parse_side_file(content, rule.key)
                except ValueError as error:
                    raise ValueError(f"{rule.side_file}: {error}") from None
        return files

    def sync_completed(self, text: str = "complete") -> None:
        """A complete sync ended."""
        self.store.completed(self.clock.utc(), text)
        self.look_at_cache()

    def sync_failed(self) -> None:
        """A sync failed."""
        self.store.failed(self.clock.utc(), "outage", "the server cannot be reached")
        self.look_at_cache()

    def held_back(self) -> Quarantine:
        """What the brake holds back. ``CacheError``: nothing."""
        held = self.store.quarantine()
        if held is None:
            raise CacheError("nothing is held back")
        return held

    def disconnect(self, actor: str) -> None:
        """The provider was unlinked (``latchctl sync disconnect``): its groups are deleted, and syncing stops."""
        words, now = f"disconnected by {actor}", self.clock.utc()
        wanted = disconnect(self.store.load(), now, approved=True)
        self.store.hold(words)
        self.store.apply(wanted, now, words, complete=False)
        self.look_at_cache()

    def look_at_cache(self) -> None:
        """What the doors process, once it runs, does within a second of a change of the cache."""
        if not self._running:
            return
        self.lookup.changed()
        told = self._news.kept
        events = self._news.read(self.lookup)
        effects = self.controller.watch_cache(self.lookup.freshness(), self.now())
        state = {SyncEventSource.STATE_NAME: self._news.kept} if self._news.kept != told else {}
        self._perform(Effects(effects.commands, (*events, *effects.events), {**effects.state, **state}))


def _load(file: Path) -> Any:
    try:
        document = json.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{file.name}: this is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise ValueError(f'{file.name}: expected {{"Users": […], "Groups": […]}}')  # noqa: TRY004 - a wrong file
    return document


def _parity_checks(site: Site) -> dict[str, ReaderRules]:
    """Readers whose driver reads bare bits and was told the formats that they must satisfy."""
    checks = {}
    for bus in site.devices.buses:
        for name, settings in bus.devices.items():
            formats = getattr(settings, "formats", ())
            if name in site.devices.readers and formats and getattr(settings, "check_parity", False):
                checks[name] = ReaderRules(formats=site.formats.select(formats))
    return checks


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
