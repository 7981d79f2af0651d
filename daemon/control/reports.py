"""What the daemon tells a technician, value by value: the ``--json`` of latchctl. Pure.

Instants are ISO 8601 in UTC, ages and durations seconds. Fields are only ever added.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from cache.model import Decision, Event, Freshness, Moment, Record
from daemon.decision.staleness import age

if TYPE_CHECKING:  # latchctl shows these reports without the parts that they are about
    from cache.directory.sync_state import SyncState
    from daemon.doors.controller.door import DoorController
    from drivers.driver import DeviceStatus


@dataclass(frozen=True, slots=True)
class DoorReport:
    """A door now: ``mode`` and what it comes from, ``lock`` and ``opening`` as docs/doors.md names them.

    Of a lockdown or an override: whose it is (for a double badge the person's id), why, and until when.
    ``waits_for`` names the door of an interlock that keeps this one from the mode that it is to have.
    ``durable`` is false in the answer to an order that the journal has not taken yet.
    """

    name: str
    mode: str
    cause: str
    lock: str
    opening: str
    contact: str
    by: str = ""
    because: str = ""
    until: str | None = None
    durable: bool = True
    waits_for: str | None = None


@dataclass(frozen=True, slots=True)
class LineReport:
    """A device on a shared line in numbers, as ``drivers.driver.LineNumbers`` explains them."""

    round: float
    slowest: float
    answers: int
    retries: int
    late: int
    garbled: int
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """A reader or board, and what its driver says of it."""

    bus: str
    device: str
    online: bool
    text: str
    line: LineReport | None = None


@dataclass(frozen=True, slots=True)
class CacheReport:
    """What the cache holds and how old it is; ``age`` is since the last complete sync, ``None``: never."""

    generation: int
    synced_at: str | None
    age: float | None
    people: int
    groups: int
    memberships: int
    credentials: int
    trouble: str | None = None
    doubt: str | None = None


@dataclass(frozen=True, slots=True)
class SyncReport:
    """How syncing goes: the last attempt's outcome, in words, and how often it has failed since it succeeded."""

    outcome: str
    text: str
    attempted_at: str | None
    failures: int
    road: str
    quarantine: bool
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JournalReport:
    """How far the journal has come; ``alarm``: that events cannot be stored, or what became of the file."""

    last: int
    alarm: str | None


@dataclass(frozen=True, slots=True)
class StatusReport:
    """``latchctl status``. ``slowest_turn``: the longest stall of the doors' loop; ``lag``: that of late."""

    site: str
    version: str
    running: bool
    clock: str
    cache: CacheReport
    sync: SyncReport
    journal: JournalReport
    doors: tuple[DoorReport, ...] = ()
    devices: tuple[DeviceReport, ...] = ()
    slowest_turn: float | None = None
    lag: float | None = None


@dataclass(frozen=True, slots=True)
class RuleReport:
    """One rule that a decision evaluated."""

    rule: str
    passed: bool
    text: str


@dataclass(frozen=True, slots=True)
class EventReport:
    """One durable event: ``latchctl events``."""

    sequence: int
    at: str
    name: str
    door: str | None
    reader: str | None
    person: str | None
    reason: str | None
    group: str | None
    level: str | None
    generation: int | None
    clock: str
    boot_id: str
    monotonic: float
    detail: dict[str, str | int | float | bool] = field(default_factory=dict)
    trace: tuple[RuleReport, ...] = ()


@dataclass(frozen=True, slots=True)
class HappenedReport:
    """What the journal has of a person at a reader about the instant that was asked for."""

    sequence: int
    at: str
    name: str
    person: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class DecisionReport:
    """``latchctl why``: the answer, the path to it, and every rule that was asked.

    ``credential``: the card that was ``shown``, the person's ``own``, or one ``assumed`` for a person without any.
    ``live``: the door's mode is the one it has now, else what its schedule says for ``at``. ``notes`` are words.
    """

    outcome: str
    reason: str
    person: str | None
    name: str | None
    group: str | None
    level: str | None
    generation: int
    age: float | None
    trace: tuple[RuleReport, ...]
    door: str
    reader: str
    at: str
    live: bool
    mode: str
    credential: Literal["shown", "own", "assumed"]
    notes: tuple[str, ...] = ()
    happened: tuple[HappenedReport, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupReport:
    """The first item of ``latchctl why --group``: what is asked, for how many people."""

    group: str
    name: str
    members: int
    door: str
    reader: str
    at: str
    live: bool
    mode: str
    generation: int
    age: float | None
    notes: tuple[str, ...] = ()
    kind: Literal["group"] = "group"


@dataclass(frozen=True, slots=True)
class MemberReport:
    """One person of ``latchctl why --group``: the answer of ``--person`` in short."""

    person: str
    name: str | None
    outcome: str
    reason: str
    group: str | None
    level: str | None
    credential: Literal["own", "assumed"]
    happened: tuple[HappenedReport, ...] = ()
    kind: Literal["member"] = "member"


@dataclass(frozen=True, slots=True)
class AccessReport:
    """The first item of ``latchctl access``: what is asked; ``at`` ``None``: at whatever time."""

    door: str | None
    person: str | None
    group: str | None
    name: str | None
    at: str | None
    live: bool
    generation: int
    age: float | None
    notes: tuple[str, ...] = ()
    kind: Literal["access"] = "access"


@dataclass(frozen=True, slots=True)
class PathReport:
    """One way through a door: access group, access level, and when, in words.

    ``group_id`` ``None``: the level names a group that the directory does not have. ``essential``: the level
    grants also on a cache that has grown old.
    """

    door: str
    group: str
    group_id: str | None
    level: str
    when: str
    essential: bool
    members: int
    kind: Literal["path"] = "path"


@dataclass(frozen=True, slots=True)
class PassengerReport:
    """One person who may take the path before it."""

    person: str
    name: str | None
    active: bool
    door: str
    group_id: str
    level: str
    kind: Literal["person"] = "person"


def door_report(door: DoorController, now: Moment) -> DoorReport:
    """How a door is now."""
    state = door.state
    by, because, until = _ordered(door, now)
    return DoorReport(
        door.setup.name,
        state.mode.value,
        state.cause.value,
        state.lock.value,
        state.opening.value,
        state.contact.value if door.setup.contact is not None else "none",
        by,
        because,
        until.isoformat() if until is not None else None,
        waits_for=door.waits_for,
    )


def _ordered(door: DoorController, now: Moment) -> tuple[str, str, datetime | None]:
    """Who ordered the mode that holds, why, and until when."""
    lockdown, override, toggle = door.ordered.lockdown, door.ordered.override, door.ordered.toggle
    if lockdown is not None:
        return lockdown.actor, lockdown.reason, None
    if override is not None:
        return override.by.actor, override.by.reason, override.end(now)
    return (toggle.person, "double badge", toggle.until) if toggle is not None else ("", "", None)


def device_report(bus: str, status: DeviceStatus) -> DeviceReport:
    """How a device is now."""
    line = LineReport(**asdict(status.numbers)) if status.numbers is not None else None
    return DeviceReport(bus, status.device, status.online, status.text, line)


def cache_report(
    freshness: Freshness,
    counts: Mapping[str, int],
    now: Moment,
    trouble: str | None = None,
    doubt: str | None = None,
) -> CacheReport:
    """What the cache holds."""
    synced = freshness.synced_at
    return CacheReport(
        freshness.generation,
        synced.isoformat() if synced is not None else None,
        age(freshness, now.utc),
        **counts,
        trouble=trouble,
        doubt=doubt,
    )


def sync_report(state: SyncState, quarantine: bool) -> SyncReport:
    """How syncing goes."""
    attempted = state.attempted_at
    return SyncReport(
        state.outcome,
        state.text,
        attempted.isoformat() if attempted is not None else None,
        state.failures,
        state.road,
        quarantine,
        state.warnings,
    )


def event_report(record: Record) -> EventReport:
    """A record of the journal."""
    event, moment = record.event, record.stamp.at
    return EventReport(
        sequence=record.sequence,
        at=moment.utc.isoformat(),
        name=event.name.value,
        door=event.door,
        reader=event.reader,
        person=event.person,
        reason=event.reason.value if event.reason is not None else None,
        group=event.group,
        level=event.level,
        generation=event.generation,
        clock=moment.quality.value,
        boot_id=record.stamp.boot_id,
        monotonic=moment.monotonic,
        detail=dict(event.detail),
        trace=rule_reports(event),
    )


def happened_report(record: Record) -> HappenedReport:
    """A record of the journal in short."""
    event = record.event
    return HappenedReport(
        record.sequence,
        record.stamp.at.utc.isoformat(),
        event.name.value,
        event.person,
        event.reason.value if event.reason is not None else None,
    )


def rule_reports(explained: Decision | Event) -> tuple[RuleReport, ...]:
    """The rules that were asked, in their order."""
    return tuple(RuleReport(rule.rule, rule.passed, rule.text) for rule in explained.trace)
