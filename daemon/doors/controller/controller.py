"""The controller: device events and time in, commands and events out. Pure; the same in the real daemon and in
the scenario runner.

One badge read is: frame -> key -> one read-only lookup -> ``decide`` -> ``machine.step`` -> relay command,
in one call of ``handle`` without a wait or a write (contract 1 of docs/design.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from cache.model import Event, EventName, Freshness, Moment, Reason, Stamp
from daemon.decision.staleness import Staleness, next_change, staleness
from daemon.doors.controller.door import DoorController
from daemon.doors.controller.effects import Collected, Effects
from daemon.doors.controller.orders import OVERRIDE_MODES, DoorAction, OperatorOrder, operator_event
from daemon.doors.controller.reader import ReaderController
from daemon.doors.controller.site_state import ControllerRules, Find, SiteState
from daemon.doors.door import modes
from daemon.doors.door.elapsed import Restart
from daemon.doors.door.modes import Order
from daemon.doors.door.state import BARRED, OperatorPulse, ReaderLink, Tamper
from drivers.events import (
    CardRead,
    DeviceAlarm,
    DeviceEvent,
    DeviceOffline,
    DeviceOnline,
    InputChanged,
    KeyPress,
    ReadError,
    ReadFault,
    TamperChanged,
)

JUMP = timedelta(seconds=2)
"""The wall clock moved against the monotonic one by more than this: an event, and every schedule is looked at
again. NTP slews by 0.5 ms a second at most, so that a slew between two looks stays below."""

IDENTITY = "identity."
"""Prefix of the names under which the journal keeps who the devices said they are."""

BOOT = "boot"
"""Under which name the journal keeps the boot in which the monotonic times of what it keeps count."""

NEVER, AT_ONCE = math.inf, -math.inf
"""Monotonic times: one that does not come, and one that has passed."""

NOTHING_STORED: Mapping[str, str] = MappingProxyType({})


class Controller:
    """All doors of one controller. Belongs to one thread; ``find`` is the read-only lookup of the cache."""

    def __init__(self, rules: ControllerRules, find: Find) -> None:
        self._out = Collected()
        self.site_state = SiteState(rules, find, self._out)
        self.doors = self.site_state.doors
        self.readers = {
            name: ReaderController(name, door, self.site_state, self._out)
            for door in self.doors.values()
            for name in door.setup.readers
        }
        self._interlocked = [self.doors[name] for name in rules.doors if self.site_state.is_interlocked(name)]
        self._offline: set[str] = set()
        self._identities: dict[str, str] = {}
        self._clock: Moment | None = None
        self._staleness: dict[str, Staleness] = {}
        self._staleness_until = AT_ONCE

    # -------------------------------------------------------------- in and out

    def start(
        self,
        now: Moment,
        version: str,
        stored: Mapping[str, str] = NOTHING_STORED,
        newest: datetime | None = None,
        boot_id: str = "",
        last: Stamp | None = None,
    ) -> Effects:
        """Every lock off, every mode taken, and the start on record. ``stored`` is what survived, by name.

        What cannot be read of it is on record too, and replaced by the safest: a door is in lockdown, a reader
        takes no PINs for a while, a position is forgotten. ``newest``: the last instant known to have passed.
        ``boot_id`` is the present boot, ``last`` the stamp of the last record: how long what is stored has lasted.
        """
        self._clock = now
        known = stored.get(BOOT)
        restart = Restart(now, _reached(now, known, boot_id, last), same_boot=known == boot_id)
        if boot_id != stored.get(BOOT, ""):
            self._out.state[BOOT] = boot_id
        self._identities = {n.removeprefix(IDENTITY): who for n, who in stored.items() if n.startswith(IDENTITY)}
        unreadable = self.site_state.start(stored, restart)
        unreadable += [
            d.state_name
            for d in self.doors.values()
            if not d.start(restart, stored.get(d.state_name), held=d.held_name in stored)
        ]
        unreadable += self.site_state.pins.start(stored, restart)
        self.site_state.cache_age.start(stored, restart, newest)
        detail = [("version", version), ("clock", now.quality.value)]
        if unreadable:
            detail.append(("unreadable", ", ".join(unreadable)))
        self._out.events.insert(0, Event(EventName.SYSTEM_START, detail=tuple(detail)))
        if newest is not None and now.utc < newest - JUMP:
            self._out.events.append(_jump((now.utc - newest).total_seconds()))
        return self._out.take()

    def stop(self) -> Effects:
        """The end of the process on record. The drivers switch every output off when they are cancelled."""
        self._out.events.append(Event(EventName.SYSTEM_STOP))
        return self._out.take()

    def handle(self, event: DeviceEvent, now: Moment) -> Effects:
        """One event of a device."""
        match event:
            case CardRead(name):
                if (reader := self.readers.get(name)) is not None:
                    reader.card(event, now)
            case KeyPress(name):
                if (reader := self.readers.get(name)) is not None:
                    reader.keys(event, now)
            case InputChanged(point, state):
                for door in self.doors.values():
                    if door.owns(point):
                        door.input_changed(point, state, now)
            case ReadError():
                self._read_error(event)
            case DeviceOnline() | DeviceOffline():
                self._link(event, now)
            case TamperChanged(device, active):
                self._tamper(device, active, now)
            case DeviceAlarm(device, _, what):
                detail = (("device", device), ("what", what))
                self._out.events.append(Event(EventName.INPUT_FAULT, detail=detail))
        return self._done(now)

    def _done(self, now: Moment) -> Effects:
        """Let modes follow that had to wait for another door of an interlock; all that the step asks for."""
        for door in self._interlocked:
            door.try_again(now)
        return self._out.take()

    def deadline(self, now: Moment) -> float | None:
        """The monotonic time at which ``handle_deadline`` is due; ``None``: nothing is under way."""
        return min(self._deadlines(now), default=None)

    def _deadlines(self, now: Moment) -> Iterator[float]:
        for reader in self.readers.values():
            if (due := reader.deadline()) is not None:
                yield due
        for door in self.doors.values():
            if (due := door.deadline(now)) is not None:
                yield due
        if self._staleness_until not in (AT_ONCE, NEVER):
            yield self._staleness_until

    def handle_deadline(self, now: Moment) -> Effects:
        """Serve every timer that has fallen due. To be called about every second too: it watches the clock."""
        self._watch_clock(now)
        for door in self.doors.values():
            door.handle_deadline(now)
        for reader in self.readers.values():
            reader.handle_deadline(now)
        self.site_state.expire(now)
        self.site_state.pins.expire(now)
        self._watch_staleness(now)
        return self._done(now)

    # -------------------------------------------------------------- operators

    def operate(self, order: OperatorOrder, now: Moment) -> Effects:
        """Carry out what an operator ordered for a door, and put it on record with who and why."""
        door = self.doors[order.door]
        by = Order(order.actor, order.reason)
        refused = self._pulse_is_refused(door) if order.action is DoorAction.PULSE else ""
        self._out.events.append(operator_event(order, refused))
        match order.action:
            case DoorAction.LOCKDOWN:
                door.order(modes.lock_down(door.ordered, by), now)
            case DoorAction.RELEASE:
                door.order(modes.release(door.ordered), now)
            case DoorAction.PULSE if not refused:
                door.step(OperatorPulse(order.seconds), now)
            case DoorAction.UNLOCK | DoorAction.LOCK | DoorAction.BLOCK:
                door.order(self._override(door, order, by, now), now)
        return self._done(now)

    @staticmethod
    def _override(door: DoorController, order: OperatorOrder, by: Order, now: Moment) -> modes.ModeState:
        mode = OVERRIDE_MODES[order.action]
        if order.seconds is not None:
            return modes.override_for(door.ordered, mode, by, order.seconds, now)
        return modes.override(door.ordered, mode, by, order.until)

    def _pulse_is_refused(self, door: DoorController) -> str:
        """By what, in a word or two; empty: it is not. An interlock binds operators like everybody else."""
        if door.state.mode in BARRED:
            return door.state.mode.value
        other = self.site_state.interlocked_by(door)
        return f"interlock with {other}" if other is not None else ""

    def knows_where(self, person: str) -> bool:
        """Whether a person is in an area, as far as is known; also a person whom the directory no longer has."""
        return person in self.site_state.space.positions

    def forgive(self, actor: str, person: str, now: Moment) -> Effects:
        """Forget where a person is: the next entry is not an anti-passback violation."""
        self.site_state.forgive(person, now)
        detail = (("name", actor), ("action", "forgive"))
        self._out.events.append(Event(EventName.OPERATOR, person=person, detail=detail))
        return self._out.take()

    def forgive_area(self, actor: str, area: str, now: Moment) -> Effects:
        """Forget everybody who is in an area. ``ValueError``: the site file gives that area no rules."""
        areas = self.site_state.rules.areas
        if area not in areas:
            raise ValueError(f'there is no area "{area}"; there are: {", ".join(areas) or "none"}')
        self.site_state.forgive_area(area, now)
        detail = (("name", actor), ("action", "forgive"), ("area", area))
        self._out.events.append(Event(EventName.OPERATOR, detail=detail))
        return self._out.take()

    # -------------------------------------------------------------- devices

    def _read_error(self, error: ReadError) -> None:
        reader = self.readers.get(error.reader)
        reason = Reason.PARITY_ERROR if error.fault is ReadFault.PARITY_ERROR else Reason.BAD_FRAME
        detail = (("bits", error.length), ("fault", error.fault.value), ("note", error.note))
        door = reader.door.setup.name if reader is not None else None
        self._out.events.append(Event(EventName.READ_ERROR, door, error.reader, reason=reason, detail=detail))
        if reader is not None:
            reader.refuse()

    def _identify(self, device: str, unique: str) -> None:
        """Remember which device is in this place, also over a restart; another one in it is an alarm."""
        known = self._identities.get(device)
        if not unique or unique == known:
            return
        self._identities[device] = self._out.state[IDENTITY + device] = unique
        if known is not None:
            reader = device if device in self.site_state.rules.readers else None
            detail = (("device", device), ("what", f"another device answers: was {known}, is {unique}"))
            self._out.events.append(Event(EventName.INPUT_FAULT, reader=reader, detail=detail))

    def _link(self, event: DeviceOnline | DeviceOffline, now: Moment) -> None:
        online = isinstance(event, DeviceOnline)
        device = event.device
        if isinstance(event, DeviceOnline):
            self._identify(device, event.unique)
        news = online is (device in self._offline)
        if online:
            self._offline.discard(device)
        else:
            self._offline.add(device)
        for door in self.doors.values():
            if device in door.setup.readers:
                door.step(ReaderLink(device, online), now)
                if not online:
                    self.readers[device].away(now)
            if online:
                door.device_back(device, now)
            else:
                door.device_lost(device, now)
        if news and device not in self.readers:
            self._out.events.append(self._link_event(event))

    def _link_event(self, event: DeviceOnline | DeviceOffline) -> Event:
        online = isinstance(event, DeviceOnline)
        if event.device in self.site_state.rules.readers:
            return Event(EventName.READER_ONLINE if online else EventName.READER_OFFLINE, reader=event.device)
        name = EventName.BOARD_ONLINE if online else EventName.BOARD_OFFLINE
        why = event.why if isinstance(event, DeviceOffline) else event.identity
        return Event(name, detail=(("board", event.device), ("why", why)))

    def _tamper(self, device: str, active: bool, now: Moment) -> None:
        reader = self.readers.get(device)
        if reader is not None:
            reader.door.step(Tamper(device, active), now)
        else:
            name = EventName.TAMPER_ON if active else EventName.TAMPER_OFF
            self._out.events.append(Event(name, detail=(("device", device),)))

    # -------------------------------------------------------------- the clock and the cache

    def _watch_clock(self, now: Moment) -> None:
        before, self._clock = self._clock, now
        if before is None:
            return
        drift = (now.utc - before.utc) - timedelta(seconds=now.monotonic - before.monotonic)
        jumped, changed = abs(drift) > JUMP, now.quality is not before.quality
        if jumped:
            self._out.events.append(_jump(drift.total_seconds()))
        if changed:
            self._out.events.append(Event(EventName.CLOCK_QUALITY, detail=(("quality", now.quality.value),)))
        if jumped or changed:
            self._staleness_until = AT_ONCE
            for door in self.doors.values():
                door.take_mode(now)

    def watch_cache(self, freshness: Freshness, now: Moment) -> Effects:
        """Take note of how old the cache is: doors for which it grows too old are recorded, then and in time."""
        if freshness != self.site_state.freshness:
            self.site_state.freshness = freshness
            self._staleness_until = AT_ONCE
        self._watch_staleness(now)
        return self._out.take()

    def _watch_staleness(self, now: Moment) -> None:
        """Look at the age of the cache, unless the last look holds until later."""
        freshness = self.site_state.freshness
        self.site_state.cache_age.note(freshness, now)
        if now.monotonic < self._staleness_until:
            return
        at = self.site_state.cache_age.judged_at(freshness, now)
        policies = {door.setup.rules.staleness for door in self.doors.values()}
        changes = [next_change(policy, freshness, at) for policy in policies]
        left = ((change - at).total_seconds() for change in changes if change is not None)
        self._staleness_until = now.monotonic + min(left, default=NEVER)
        for name, door in self.doors.items():
            state = staleness(door.setup.rules.staleness, freshness, at)
            if state is not self._staleness.setdefault(name, Staleness.FRESH):
                self._staleness[name] = state
                self._out.events.append(Event(EventName.CACHE_STALE, door=name, level=state.value))


def _reached(now: Moment, stored: str | None, boot_id: str, last: Stamp | None) -> float | None:
    """The monotonic time that has passed for certain, in the boot in which what was stored counts."""
    if stored is None:
        return None
    if stored == boot_id:
        return now.monotonic
    return last.at.monotonic if last is not None and last.boot_id == stored else None


def _jump(seconds: float) -> Event:
    return Event(EventName.CLOCK_JUMP, detail=(("seconds", round(seconds, 3)),))
