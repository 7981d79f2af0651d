"""The controller: device events and time in, commands and events out. Pure; the same in the real daemon and in
the scenario runner.

One badge read is: frame -> key -> one read-only lookup -> ``decide`` -> ``machine.step`` -> relay command,
in one call of ``handle`` without a wait or a write (contract 1 of DESIGN.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from cache.decide import decide, refusal
from cache.model import (
    Decision,
    Event,
    EventName,
    Found,
    Freshness,
    Mode,
    Moment,
    Outcome,
    Reason,
    card_key,
)
from cache.request import AccessRequest, AccessState
from cache.staleness import Staleness, staleness
from daemon.controller.effects import Collected, Effects
from daemon.controller.setup import DoorSetup
from daemon.controller.unit import DoorUnit
from daemon.door.state import Granted, ReaderLink, Tamper
from drivers.events import (
    Buzz,
    CardRead,
    Colour,
    DeviceAlarm,
    DeviceEvent,
    DeviceOffline,
    DeviceOnline,
    InputChanged,
    KeyPress,
    Led,
    ReadError,
    ReadFault,
    TamperChanged,
)

JUMP = timedelta(seconds=2)
"""The wall clock moved against the monotonic one by more than this: an event, and every schedule is looked at
anew. NTP slews by 0.5 ms a second at most, so that a slew between two looks stays below."""

DENIED_LIGHT = 1.0
"""Seconds for which a reader shows that it refused."""

Find = Callable[[bytes], Found]


@dataclass(frozen=True, slots=True)
class ControllerRules:
    """What the controller works with: the doors, and the key under which cards are looked up."""

    doors: Mapping[str, DoorSetup]
    site_key: bytes
    readers: frozenset[str]

    def __repr__(self) -> str:
        """The key never reaches a log by accident."""
        return f"ControllerRules({len(self.doors)} doors)"


class Controller:
    """All doors of one controller. Belongs to one thread; ``find`` is the read-only lookup of the cache."""

    def __init__(self, rules: ControllerRules, find: Find) -> None:
        self._rules = rules
        self._find = find
        self._out = Collected()
        self.units = {name: DoorUnit(setup, self._out) for name, setup in rules.doors.items()}
        self._unit_of = {reader: unit for unit in self.units.values() for reader in unit.setup.readers}
        self._offline: set[str] = set()
        self._clock: Moment | None = None
        self._staleness: dict[str, Staleness] = {}

    @property
    def readers(self) -> tuple[str, ...]:
        """The readers that belong to a door."""
        return tuple(self._unit_of)

    def key_of(self, length: int, value: int) -> bytes:
        """The lookup key of a card at this site. ``ValueError``: no card has so many bits."""
        return card_key(self._rules.site_key, length, value)

    # -------------------------------------------------------------- in and out

    def start(self, now: Moment, version: str, kept: Mapping[str, str] = MappingProxyType({})) -> Effects:
        """Every lock off, every mode taken, and the start on record. ``kept`` is what survived, by name."""
        self._clock = now
        self._out.events.append(
            Event(EventName.SYSTEM_START, detail=(("version", version), ("clock", now.quality.value)))
        )
        for unit in self.units.values():
            unit.start(now, kept.get(unit.state_name))
        return self._out.take()

    def stop(self, now: Moment) -> Effects:
        """The end of the process on record. The drivers switch every output off when they are cancelled."""
        self._out.events.append(Event(EventName.SYSTEM_STOP))
        return self._out.take()

    def handle(self, event: DeviceEvent, now: Moment) -> Effects:
        """One event of a device."""
        match event:
            case CardRead():
                self._card(event, now)
            case InputChanged(point, state, _):
                for unit in self.units.values():
                    if unit.owns(point):
                        unit.input_changed(point, state, now)
            case ReadError():
                self._read_error(event)
            case KeyPress():
                self._keys(event, now)
            case DeviceOnline() | DeviceOffline():
                self._link(event, now)
            case TamperChanged(device, active, _):
                self._tamper(device, active, now)
            case DeviceAlarm(device, _, what):
                self._out.events.append(Event(EventName.INPUT_FAULT, detail=(("device", device), ("what", what))))
        return self._out.take()

    def deadline(self, now: Moment) -> float | None:
        """The monotonic time at which ``handle_deadline`` is due; ``None``: nothing is under way."""
        return min((due for unit in self.units.values() if (due := unit.deadline(now)) is not None), default=None)

    def handle_deadline(self, now: Moment) -> Effects:
        """Serve every timer that has fallen due. To be called about every second too: it watches the clock."""
        self._watch_clock(now)
        for unit in self.units.values():
            unit.handle_deadline(now)
        return self._out.take()

    # -------------------------------------------------------------- the badge path

    def _card(self, read: CardRead, now: Moment) -> None:
        unit = self._unit_of.get(read.reader)
        if unit is None:
            return
        decision = self._decide(unit, read, now)
        if decision.outcome is Outcome.GRANT and unit.state.mode is not Mode.UNLOCKED:
            assert decision.person is not None, "a grant is to somebody"
            unit.step(Granted((decision.person.id,), read.reader, decision.extended), now.monotonic)
        self._out.events.insert(0, access_event(decision, unit.setup.name, read.reader, read.length))
        self._feedback(decision, unit, read.reader)

    def _decide(self, unit: DoorUnit, read: CardRead, now: Moment) -> Decision:
        """Deny by default: whatever fails in here is a denial with a reason (contract 2)."""
        try:
            found = self._find(self.key_of(read.length, read.value))
            request = AccessRequest(unit.setup.name, exit=read.reader == unit.setup.exit)
            return decide(request, found, unit.setup.rules, self._state(unit), now)
        except Exception as error:  # noqa: BLE001 - an internal failure is a denial, whatever it was
            return refusal(Reason.INTERNAL_ERROR, f"the decision failed: {type(error).__name__}: {error}")

    def _state(self, unit: DoorUnit) -> AccessState:
        return AccessState(mode=unit.state.mode, mode_cause=unit.state.cause)

    def _feedback(self, decision: Decision, unit: DoorUnit, reader: str) -> None:
        if decision.outcome is Outcome.GRANT:
            self._out.commands += (Led(reader, Colour.GREEN, unit.setup.config.strike_time), Buzz(reader))
        else:
            self._refuse(reader)

    def _refuse(self, reader: str) -> None:
        self._out.commands += (Led(reader, Colour.RED, DENIED_LIGHT, blink=True), Buzz(reader, count=3))

    def explain(self, reader: str, found: Found, now: Moment) -> Decision:
        """What ``decide`` answers at this reader, without any effect (``latchctl why``)."""
        unit = self._unit_of[reader]
        request = AccessRequest(unit.setup.name, exit=reader == unit.setup.exit)
        return decide(request, found, unit.setup.rules, self._state(unit), now)

    # -------------------------------------------------------------- everything else

    def _read_error(self, error: ReadError) -> None:
        unit = self._unit_of.get(error.reader)
        reason = Reason.PARITY_ERROR if error.fault is ReadFault.PARITY_ERROR else Reason.BAD_FRAME
        detail = (("bits", error.length), ("fault", error.fault.value), ("note", error.note))
        door = unit.setup.name if unit is not None else None
        self._out.events.append(Event(EventName.READ_ERROR, door, error.reader, reason=reason, detail=detail))
        if unit is not None:
            self._refuse(error.reader)

    def _keys(self, keys: KeyPress, now: Moment) -> None:
        pass

    def _link(self, event: DeviceOnline | DeviceOffline, now: Moment) -> None:
        online = isinstance(event, DeviceOnline)
        device = event.device
        known_offline = device in self._offline
        self._offline.discard(device) if online else self._offline.add(device)
        for unit in self.units.values():
            if device in unit.setup.readers:
                unit.step(ReaderLink(device, online), now.monotonic)
            if online:
                unit.device_back(device, now.monotonic)
            else:
                unit.device_lost(device, now.monotonic)
        if online is known_offline and device not in self._unit_of:
            self._out.events.append(self._link_event(event))

    def _link_event(self, event: DeviceOnline | DeviceOffline) -> Event:
        online = isinstance(event, DeviceOnline)
        if event.device in self._rules.readers:
            name = EventName.READER_ONLINE if online else EventName.READER_OFFLINE
            return Event(name, reader=event.device)
        name = EventName.BOARD_ONLINE if online else EventName.BOARD_OFFLINE
        why = event.why if isinstance(event, DeviceOffline) else event.identity
        return Event(name, detail=(("board", event.device), ("why", why)))

    def _tamper(self, device: str, active: bool, now: Moment) -> None:
        unit = self._unit_of.get(device)
        if unit is not None:
            unit.step(Tamper(device, active), now.monotonic)
        else:
            name = EventName.TAMPER_ON if active else EventName.TAMPER_OFF
            self._out.events.append(Event(name, detail=(("device", device),)))

    # -------------------------------------------------------------- the clock and the cache

    def _watch_clock(self, now: Moment) -> None:
        before, self._clock = self._clock, now
        if before is None:
            return
        drift = (now.utc - before.utc) - timedelta(seconds=now.monotonic - before.monotonic)
        if abs(drift) > JUMP:
            self._out.events.append(
                Event(EventName.CLOCK_JUMP, detail=(("seconds", round(drift.total_seconds(), 3)),))
            )
            for unit in self.units.values():
                unit.take_mode(now)
        if now.quality is not before.quality:
            self._out.events.append(Event(EventName.CLOCK_QUALITY, detail=(("quality", now.quality.value),)))

    def watch_cache(self, freshness: Freshness, now: Moment) -> Effects:
        """Record when the cache grows too old for a door, and when it no longer is."""
        for name, unit in self.units.items():
            state = staleness(unit.setup.rules.staleness, freshness, now.utc)
            before = self._staleness.setdefault(name, Staleness.FRESH)
            if state is not before:
                self._staleness[name] = state
                self._out.events.append(Event(EventName.CACHE_STALE, door=name, level=state.value))
        return self._out.take()


def access_event(decision: Decision, door: str, reader: str, bits: int) -> Event:
    """The event of a decision: who, why, by which path, on which generation, with every rule asked."""
    granted = decision.outcome is Outcome.GRANT
    return Event(
        EventName.ACCESS_GRANTED if granted else EventName.ACCESS_DENIED,
        door,
        reader,
        decision.person.id if decision.person is not None else None,
        decision.reason,
        decision.group,
        decision.level,
        decision.freshness.generation,
        detail=(("bits", bits),) if bits else (),
        trace=decision.trace,
    )
