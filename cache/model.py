"""The domain: people, groups, credentials, access levels, schedules, decisions, events.

Frozen values without behaviour beyond their own consistency. Terms are those of docs/glossary.md.
Instants are timezone-aware ``datetime`` in UTC; wall-clock minutes count from midnight (0..1440);
durations are seconds as ``float``; identifiers of people and groups are the SCIM ``id``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum


class CredentialKind(StrEnum):
    """What a credential is: a card is found by its key, a PIN is checked against a person or found alone."""

    CARD = "card"
    PIN = "pin"


class CredentialState(StrEnum):
    """A credential's state; only ``active`` may open anything."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    LOST = "lost"
    EXPIRED = "expired"


class Mode(StrEnum):
    """What a door does with a request (docs/glossary.md, Door modes)."""

    LOCKED = "locked"
    CARD_AND_PIN = "card_and_pin"
    UNLOCKED = "unlocked"
    BLOCKED = "blocked"
    LOCKDOWN = "lockdown"


class ModeCause(StrEnum):
    """What gives a door its mode, strongest first (docs/glossary.md, Door modes)."""

    FIRE = "fire"
    EGRESS = "egress"
    LOCKDOWN = "lockdown"
    OVERRIDE = "override"
    EXCEPTION = "exception"
    SPECIAL_DAY = "special_day"
    SCHEDULE = "schedule"
    DEFAULT = "default"


class ClockQuality(StrEnum):
    """How far the wall clock can be believed."""

    SYNCED = "synced"
    HOLDOVER = "holdover"
    NEVER_SET = "never_set"


class ClockPolicy(StrEnum):
    """What happens to time-bound rules when the clock was never set (``[clock] untrusted``)."""

    DENY_TIME_BOUND = "deny_time_bound"
    IGNORE_TIME = "ignore_time"
    USE_LAST_KNOWN = "use_last_known"


class Reason(StrEnum):
    """Why a request was granted or denied: the closed list of docs/glossary.md."""

    GRANTED = "granted"
    GRANTED_DURESS = "granted_duress"
    GRANTED_APB_SOFT = "granted_apb_soft"
    UNKNOWN_CREDENTIAL = "unknown_credential"
    CREDENTIAL_INACTIVE = "credential_inactive"
    CREDENTIAL_NOT_YET_VALID = "credential_not_yet_valid"
    CREDENTIAL_EXPIRED = "credential_expired"
    PERSON_INACTIVE = "person_inactive"
    NO_ACCESS_HERE = "no_access_here"
    OUTSIDE_SCHEDULE = "outside_schedule"
    PIN_REQUIRED = "pin_required"
    PIN_WRONG = "pin_wrong"
    PIN_TIMEOUT = "pin_timeout"
    PIN_LOCKED_OUT = "pin_locked_out"
    SECOND_PERSON_REQUIRED = "second_person_required"
    APB_VIOLATION = "apb_violation"
    OCCUPANCY_FULL = "occupancy_full"
    INTERLOCK = "interlock"
    LOCKDOWN = "lockdown"
    DOOR_BLOCKED = "door_blocked"
    DUPLICATE_CREDENTIAL = "duplicate_credential"
    STALE_CACHE = "stale_cache"
    CACHE_UNREADABLE = "cache_unreadable"
    CLOCK_UNTRUSTED = "clock_untrusted"
    BAD_FRAME = "bad_frame"
    PARITY_ERROR = "parity_error"
    INTERNAL_ERROR = "internal_error"


class EventName(StrEnum):
    """Everything the journal can hold: the closed list of docs/operations.md."""

    ACCESS_GRANTED = "access.granted"
    ACCESS_DENIED = "access.denied"
    ACCESS_TAKEN = "access.taken"
    ACCESS_NOT_TAKEN = "access.not_taken"
    DOOR_RELEASED = "door.released"
    DOOR_LOCKED = "door.locked"
    DOOR_OPENED = "door.opened"
    DOOR_CLOSED = "door.closed"
    DOOR_FORCED = "door.forced"
    DOOR_HELD_WARNING = "door.held_warning"
    DOOR_HELD = "door.held"
    DOOR_HELD_CLEAR = "door.held_clear"
    DOOR_MODE = "door.mode"
    DOOR_MODE_WAITING = "door.mode_waiting"
    REX = "rex"
    DURESS = "duress"
    APB_VIOLATION = "apb.violation"
    PIN_LOCKOUT = "pin.lockout"
    READ_ERROR = "read.error"
    READER_OFFLINE = "reader.offline"
    READER_ONLINE = "reader.online"
    BOARD_OFFLINE = "board.offline"
    BOARD_ONLINE = "board.online"
    TAMPER_ON = "tamper.on"
    TAMPER_OFF = "tamper.off"
    INPUT_FAULT = "input.fault"
    INPUT_CLEAR = "input.clear"
    SYNC_APPLIED = "sync.applied"
    SYNC_FAILED = "sync.failed"
    SYNC_QUARANTINED = "sync.quarantined"
    SYNC_DEACTIVATIONS = "sync.deactivations"
    SYNC_DISCONNECTED = "sync.disconnected"
    CACHE_STALE = "cache.stale"
    CACHE_UNREADABLE = "cache.unreadable"
    CACHE_READABLE = "cache.readable"
    CACHE_OTHER_KEY = "cache.other_key"
    CACHE_WENT_BACK = "cache.went_back"
    CACHE_REPLACED = "cache.replaced"
    CACHE_REBUILT = "cache.rebuilt"
    CLOCK_JUMP = "clock.jump"
    CLOCK_QUALITY = "clock.quality"
    OPERATOR = "operator"
    EVENT_FLOOD = "event.flood"
    JOURNAL_GAP = "journal.gap"
    SYSTEM_START = "system.start"
    SYSTEM_STOP = "system.stop"


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant as every clock sees it: contract 8 of docs/design.md. ``now`` of every stateful part."""

    utc: datetime
    monotonic: float
    quality: ClockQuality = ClockQuality.SYNCED


@dataclass(frozen=True, slots=True)
class Interval:
    """Minutes ``[start, end)`` of a wall-clock day; ``end`` <= ``start`` crosses midnight into the next day.

    1440 as ``end`` is the end of the day (written 24:00 or 23:59 in the site file).
    """

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """Weekly intervals in the site's zone: one tuple for each weekday, Monday first."""

    name: str
    week: tuple[tuple[Interval, ...], ...]

    @property
    def always(self) -> bool:
        """Whether every minute of every weekday is inside, so that no clock is needed to say so."""
        return all(Interval(0, 1440) in day for day in self.week)


ALWAYS = Schedule("always", ((Interval(0, 1440),),) * 7)
NEVER = Schedule("never", ((),) * 7)

SpecialDays = Mapping[date, tuple[Interval, ...]]
"""Dates whose intervals replace the weekly ones; an empty tuple means closed all day."""


@dataclass(frozen=True, slots=True)
class AccessException:
    """Instants ``[start, end)`` in which a level grants (``access``) or not, whatever its schedule says."""

    start: datetime
    end: datetime
    access: bool


@dataclass(frozen=True, slots=True)
class StalenessPolicy:
    """Seconds since the last complete sync after which access degrades or ends; ``None`` is never."""

    degrade_after: float | None = None
    deny_after: float | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """A SCIM User, as far as a door needs one. ``name`` is for people to read and may be left out."""

    id: str
    active: bool = True
    name: str | None = None
    user_name: str | None = None
    external_id: str | None = None
    extended_time: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """A chosen SCIM Group: an access group, bound to ``id`` and bearing the SCIM displayName.

    ``members`` are person ids with nested groups already flattened.
    """

    id: str
    name: str
    external_id: str | None = None
    members: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Credential:
    """What a person presents. ``key`` is the HMAC of ``cache.keys``, never the number itself.

    ``label`` names the kind of card for people (``H10301``), not its number.
    Valid in ``[valid_from, valid_until)``; ``None`` is unbounded.
    """

    key: bytes
    person_id: str
    kind: CredentialKind = CredentialKind.CARD
    state: CredentialState = CredentialState.ACTIVE
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Directory:
    """The whole truth of one generation: what a sync fetched, or what the cache holds."""

    people: Mapping[str, Person] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    credentials: tuple[Credential, ...] = ()


@dataclass(frozen=True, slots=True)
class AccessLevel:
    """Access groups x doors x schedule, with exceptions. ``groups`` are references: a name or an id."""

    name: str
    groups: frozenset[str]
    doors: frozenset[str]
    schedule: Schedule = ALWAYS
    special_days: SpecialDays = field(default_factory=dict)
    exceptions: tuple[AccessException, ...] = ()
    essential: bool = False
    staleness: StalenessPolicy | None = None


@dataclass(frozen=True, slots=True)
class Membership:
    """One access group that a person is in. ``references`` are the words by which the site file means it."""

    group_id: str
    group_name: str
    references: frozenset[str]


@dataclass(frozen=True, slots=True)
class Holder:
    """A person who holds the credential that was looked up, with the access groups they are in."""

    person: Person
    credential: Credential
    memberships: tuple[Membership, ...] = ()


@dataclass(frozen=True, slots=True)
class Freshness:
    """Which generation the cache holds, when the last complete sync ended, and whether a later one was here."""

    generation: int = 0
    synced_at: datetime | None = None
    went_back: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """The answer of one lookup: no one, one holder, or several (a duplicate card), and how old it is."""

    holders: tuple[Holder, ...]
    freshness: Freshness


# ------------------------------------------------------------------ decisions


class Outcome(StrEnum):
    """What a decision asks for: release the lock, refuse, or wait for one more factor."""

    GRANT = "grant"
    DENY = "deny"
    NEED_PIN = "need_pin"
    NEED_SECOND_PERSON = "need_second_person"


@dataclass(frozen=True, slots=True)
class RuleResult:
    """One evaluated rule of a decision: its name, whether it let the request pass, and why, in words."""

    rule: str
    passed: bool
    text: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one request, with everything that explains it (contract 7 of docs/design.md).

    ``trace`` holds the rules in the order they were evaluated; the last one decided. It may make its sentences
    only when it is read (daemon/decision/evaluation.py).
    ``group`` and ``level`` are names: the path by which access was found, or nearly was.
    ``references`` are the words for every access group of the person: the door asks them whether the grant counts
    for first-person-in or double badge. ``apb_violation`` is set also where the violation was let pass;
    ``second`` where the person came as the second of two.
    """

    outcome: Outcome
    reason: Reason
    trace: Sequence[RuleResult]
    person: Person | None = None
    group: str | None = None
    level: str | None = None
    freshness: Freshness = Freshness()
    extended: bool = False
    duress: bool = False
    apb_violation: bool = False
    references: frozenset[str] = frozenset()
    second: bool = False


# ------------------------------------------------------------------ events


DetailValue = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, as the journal keeps it. ``detail`` holds what only this kind of event has."""

    name: EventName
    door: str | None = None
    reader: str | None = None
    person: str | None = None
    reason: Reason | None = None
    group: str | None = None
    level: str | None = None
    generation: int | None = None
    detail: tuple[tuple[str, DetailValue], ...] = ()
    trace: Sequence[RuleResult] = ()


@dataclass(frozen=True, slots=True)
class Stamp:
    """When an event happened: the instant on every clock, and which boot the monotonic time belongs to."""

    at: Moment
    boot_id: str


@dataclass(frozen=True, slots=True)
class Record:
    """An event that is durable: its sequence number (1, 2, 3, …), its stamp, and the link to the one before."""

    sequence: int
    stamp: Stamp
    event: Event
    chain: bytes
