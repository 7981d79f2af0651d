"""Which mode a door is in, and why: fire, lockdown, override, exception, special day, schedule, default.

What the clock says comes from daemon/decision/schedule.py; what people ordered is a ``ModeState``, which is
durable and survives restart and power cut. ``effective`` puts them together; ask it again at ``look_again``,
after every change of the ``ModeState``, of the fire input and of the clock's quality.

Decisions of this file beyond GLOSSARY.md:

- A fire alarm never opens a door and never locks one: a lock that is held released stays so until it is over.
  Only blocked mode and lockdown count meanwhile: badges are refused at once, the lock follows after the alarm.
- Lockdown can be left only by ``release``. What would unlock the door then (an unlock override, a double badge)
  ends with it, so that no door springs open because the lockdown is over; a stricter override stays.
- A double badge ranks with the overrides, below an operator's.
- With a clock that was never set, ``deny_time_bound`` gives a door the strictest mode that its plan knows, and
  never an unlocked one that is not the default; ``ignore_time`` the default mode.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cache.model import ClockPolicy, ClockQuality, Mode, ModeCause, Moment
from daemon.decision.door_rules import DoorPlan
from daemon.decision.schedule import STRICTNESS, ScheduledMode, instant_of, next_mode_edge, scheduled_mode
from daemon.doors.door.state import BARRED


@dataclass(frozen=True, slots=True)
class Order:
    """Who ordered something, and why, in their words."""

    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Override:
    """An operator's mode in ``[now, until)``; ``None``: until it is released."""

    mode: Mode
    by: Order
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Toggle:
    """What a double badge made of the door, until the window changes or midnight."""

    mode: Mode
    person: str
    until: datetime


@dataclass(frozen=True, slots=True)
class FirstIn:
    """Somebody of the named groups is there: the window ``[start, until)`` may have its mode."""

    person: str
    start: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class ModeState:
    """What people ordered for one door. Durable: see daemon/doors/door/durable.py."""

    lockdown: Order | None = None
    override: Override | None = None
    toggle: Toggle | None = None
    first_in: FirstIn | None = None


@dataclass(frozen=True, slots=True)
class ModePlan:
    """What the site file says about one door's modes. ``double_badge`` are references of groups."""

    zone: ZoneInfo
    plan: DoorPlan
    clock: ClockPolicy = ClockPolicy.DENY_TIME_BOUND
    double_badge: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Effective:
    """The mode that holds now, what it comes from, and the name of the schedule, actor or person behind it."""

    mode: Mode
    cause: ModeCause
    by: str = ""


def effective(
    plan: ModePlan, state: ModeState, now: Moment, *, fire: bool = False, held: bool = False
) -> Effective:
    """The mode of the door at ``now``. ``held``: its lock is held released by unlocked mode at this moment."""
    found = _ordered(plan, state, now)
    if not fire:
        return found
    stays_unlocked = held and found.mode not in BARRED
    return Effective(Mode.UNLOCKED if stays_unlocked else found.mode, ModeCause.FIRE, found.by)


def look_again(plan: ModePlan, state: ModeState, now: Moment) -> datetime | None:
    """The next instant at which ``effective`` may answer otherwise by itself; None if it never will.

    Searches the plan for its next edge: ask once after each change, not at every event.
    """
    instants = [_override_end(state), None if state.toggle is None else state.toggle.until]
    if _believes(plan, now):
        instants.append(next_mode_edge(plan.plan, plan.zone, now.utc))
    return min((at for at in instants if at is not None and at > now.utc), default=None)


def _override_end(state: ModeState) -> datetime | None:
    return None if state.override is None else state.override.until


def _ordered(plan: ModePlan, state: ModeState, now: Moment) -> Effective:
    if state.lockdown is not None:
        return Effective(Mode.LOCKDOWN, ModeCause.LOCKDOWN, state.lockdown.actor)
    override, toggle = state.override, state.toggle
    if override is not None and (override.until is None or now.utc < override.until):
        return Effective(override.mode, ModeCause.OVERRIDE, override.by.actor)
    base = _scheduled(plan, state, now)
    if toggle is not None and _toggle_holds(plan, toggle, now) and base.mode is not Mode.BLOCKED:
        return Effective(toggle.mode, ModeCause.OVERRIDE, toggle.person)
    return base


def _toggle_holds(plan: ModePlan, toggle: Toggle, now: Moment) -> bool:
    """An end that lies more than a day ahead means that the clock was set back: then nothing is known."""
    return now.utc < toggle.until <= now.utc + timedelta(days=2) and _believes(plan, now)


def _believes(plan: ModePlan, now: Moment) -> bool:
    return now.quality is not ClockQuality.NEVER_SET or plan.clock is ClockPolicy.USE_LAST_KNOWN


def _scheduled(plan: ModePlan, state: ModeState, now: Moment) -> Effective:
    if not _believes(plan, now):
        return Effective(_without_clock(plan), ModeCause.DEFAULT)
    found = scheduled_mode(plan.plan, plan.zone, now.utc)
    if found.first_person_in and not _is_in(state.first_in, now.utc):
        return Effective(plan.plan.default, ModeCause.DEFAULT)
    return Effective(found.mode, found.cause, found.name)


def _without_clock(plan: ModePlan) -> Mode:
    modes = [plan.plan.default]
    if plan.clock is ClockPolicy.DENY_TIME_BOUND:
        modes += [schedule.mode for schedule in plan.plan.schedules]
        modes += [window.mode for exception in plan.plan.exceptions for window in exception.windows]
    return max(modes, key=STRICTNESS.index)


def _is_in(first: FirstIn | None, now: datetime) -> bool:
    return first is not None and first.start <= now and (first.until is None or now < first.until)


# ------------------------------------------------------------------ what people order


def lock_down(state: ModeState, by: Order) -> ModeState:
    """Lockdown begins; a later one replaces who and why."""
    return replace(state, lockdown=by)


def release(state: ModeState) -> ModeState:
    """End the lockdown, and with it what would unlock the door; without lockdown, end override and toggle."""
    keep = state.override if state.lockdown is not None else None
    if keep is not None and keep.mode is Mode.UNLOCKED:
        keep = None
    return replace(state, lockdown=None, override=keep, toggle=None)


def override(state: ModeState, mode: Mode, by: Order, until: datetime | None) -> ModeState:
    """An operator's mode until an instant (``next_mode_edge`` gives the next schedule edge) or until released.

    Raises ``ValueError`` for lockdown, which is no override and never expires.
    """
    if mode is Mode.LOCKDOWN:
        raise ValueError("lockdown is no override: use lock_down")
    return replace(state, override=Override(mode, by, until), toggle=None)


def forget_past(state: ModeState, now: datetime) -> ModeState:
    """Drop what has expired, so that a clock which is set back later does not revive it."""
    end = _override_end(state)
    until = state.first_in.until if state.first_in is not None else None
    return ModeState(
        state.lockdown,
        None if end is not None and end <= now else state.override,
        None if state.toggle is not None and state.toggle.until <= now else state.toggle,
        None if until is not None and until <= now else state.first_in,
    )


# ------------------------------------------------------------------ what a grant does


def granted(plan: ModePlan, state: ModeState, person: str, references: frozenset[str], now: Moment) -> ModeState:
    """A person was granted: they may be the first one in, for this window or one that starts within its grace."""
    if not _believes(plan, now) or not any(item.first_person_in for item in plan.plan.schedules):
        return state
    found = scheduled_mode(plan.plan, plan.zone, now.utc)
    start = now.utc
    if not found.first_person_in:
        edge = next_mode_edge(plan.plan, plan.zone, now.utc)
        if edge is None:
            return state
        found, start = scheduled_mode(plan.plan, plan.zone, edge), edge
    if not _counts(found, references, (start - now.utc).total_seconds()) or _is_in(state.first_in, start):
        return state
    return replace(state, first_in=FirstIn(person, start, next_mode_edge(plan.plan, plan.zone, start)))


def _counts(found: ScheduledMode, references: frozenset[str], early: float) -> bool:
    return not found.first_person_in.isdisjoint(references) and early <= found.grace


def double_badge(
    plan: ModePlan, state: ModeState, person: str, references: frozenset[str], now: Moment
) -> ModeState:
    """Two grants in quick succession by a member of the named groups: unlock the door, or end that again.

    Does nothing in lockdown, in blocked mode, while an operator's override holds, or without a clock.
    """
    if plan.double_badge.isdisjoint(references) or not _believes(plan, now):
        return state
    if state.toggle is not None and _toggle_holds(plan, state.toggle, now):
        return replace(state, toggle=None)
    base = _ordered(plan, state, now)
    if base.mode in BARRED or base.cause is ModeCause.OVERRIDE:
        return state
    locked = Mode.LOCKED if plan.plan.default is Mode.UNLOCKED else plan.plan.default
    mode = locked if base.mode is Mode.UNLOCKED else Mode.UNLOCKED
    edge = next_mode_edge(plan.plan, plan.zone, now.utc)
    midnight = _midnight(plan.zone, now.utc)
    return replace(state, toggle=Toggle(mode, person, midnight if edge is None else min(edge, midnight)))


def _midnight(zone: ZoneInfo, now: datetime) -> datetime:
    """The next midnight of the wall clock."""
    today = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    return instant_of(today + timedelta(days=1), zone)


GrantRule = Callable[[ModePlan, ModeState, str, frozenset[str], Moment], ModeState]
"""``granted`` and ``double_badge``: what a grant to a person with these references makes of the orders."""
