"""Which mode a door is in, and why: fire, lockdown, override, exception, special day, schedule, default.

What the clock says comes from daemon/decision/schedule.py; what people ordered is a ``ModeState``, which is
durable and survives restart and power cut. ``effective`` puts them together; ask it again at ``look_again``,
after every change of the ``ModeState``, of the fire input and of the clock's quality.

Decisions of this file beyond docs/glossary.md:

- A fire alarm never opens a door and never locks one: a lock that is held released stays so until it is over.
  Only blocked mode and lockdown count meanwhile: badges are refused at once, the lock follows after the alarm.
- A lockdown takes no factor away: the exempt owe what the mode beneath it asks, and where that is blocked they do
  not pass. A door that stands unlocked beneath is locked with the factors of its default mode.
- Lockdown can be left only by ``release``. What would unlock the door then (an unlock override, a double badge)
  ends with it, so that no door springs open because the lockdown is over; a stricter override stays.
- A mode that would release a second door of an interlock waits (``shut``): what is beneath it holds meanwhile.
- First-person-in counts for the unlock window of its schedule alone, whatever stricter mode interrupts it.
- An override for a time is a duration and runs by the monotonic clock; one until an edge runs by the wall clock.
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
from daemon.decision.door_rules import DoorPlan, DoorSchedule
from daemon.decision.schedule import HORIZON, STRICTNESS, instant_of, next_mode_edge, scheduled_mode
from daemon.doors.door.elapsed import Restart, Since, since
from daemon.doors.door.state import BARRED


@dataclass(frozen=True, slots=True)
class Order:
    """Who ordered something, and why, in their words."""

    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Override:
    """An operator's mode: for ``seconds`` from ``began``, else until an instant, or (``None``) its release."""

    mode: Mode
    by: Order
    until: datetime | None = None
    began: Since | None = None
    seconds: float = 0.0

    @property
    def ends(self) -> float | None:
        """The monotonic time at which one for a time is over; ``None``: the wall clock or an operator ends it."""
        return None if self.began is None else self.began.monotonic + self.seconds

    def over(self, now: Moment) -> bool:
        """Whether it has run out."""
        if self.ends is not None:
            return self.ends <= now.monotonic
        return self.until is not None and self.until <= now.utc

    def end(self, now: Moment) -> datetime | None:
        """When it runs out, by the wall clock as it is set now."""
        return self.until if self.ends is None else now.utc + timedelta(seconds=self.ends - now.monotonic)


@dataclass(frozen=True, slots=True)
class Toggle:
    """What a double badge made of the door, until the window changes or midnight."""

    mode: Mode
    person: str
    until: datetime


@dataclass(frozen=True, slots=True)
class FirstIn:
    """Someone of the named groups is there: the window ``[start, until)`` of this schedule may have its mode."""

    person: str
    start: datetime
    until: datetime | None
    schedule: str = ""


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
    """The mode that holds now, what it comes from, and the name of the schedule, actor or person behind it.

    ``asks`` is the mode whose factors are asked: the same one, or in a lockdown what is beneath it.
    """

    mode: Mode
    cause: ModeCause
    by: str = ""
    asks: Mode | None = None

    @property
    def factors(self) -> Mode:
        """The mode that says what people have to show."""
        return self.mode if self.asks is None else self.asks


def effective(
    plan: ModePlan, state: ModeState, now: Moment, *, fire: bool = False, held: bool = False, shut: bool = False
) -> Effective:
    """The mode of the door at ``now``. ``held``: its lock is held released by unlocked mode at this moment.

    ``shut``: leave out whatever would release the door, because an interlock keeps it shut.
    """
    found = _ordered(plan, state, now, shut)
    if not fire:
        return found
    stays_unlocked = held and found.mode not in BARRED
    return replace(found, mode=Mode.UNLOCKED if stays_unlocked else found.mode, cause=ModeCause.FIRE)


def look_again(plan: ModePlan, state: ModeState, now: Moment) -> datetime | None:
    """The next instant at which ``effective`` may answer otherwise by itself; None if it never will.

    Searches the plan for its next edge: ask once after each change, not at every event. The end of an override for
    a time is no instant of the wall clock: ``Override.ends``.
    """
    instants = [
        state.override.until if state.override is not None and state.override.ends is None else None,
        None if state.toggle is None else state.toggle.until,
    ]
    if _believes(plan, now):
        instants.append(next_mode_edge(plan.plan, plan.zone, now.utc))
    return min((at for at in instants if at is not None and at > now.utc), default=None)


def _ordered(plan: ModePlan, state: ModeState, now: Moment, shut: bool = False) -> Effective:
    beneath = _beneath(plan, state, now, shut)
    if state.lockdown is None:
        return beneath
    asks = _locked(plan) if beneath.mode is Mode.UNLOCKED else beneath.mode
    return Effective(Mode.LOCKDOWN, ModeCause.LOCKDOWN, state.lockdown.actor, asks)


def _beneath(plan: ModePlan, state: ModeState, now: Moment, shut: bool) -> Effective:
    """What holds where there is no lockdown."""
    barred = Mode.UNLOCKED if shut else None
    override, toggle = state.override, state.toggle
    if override is not None and not override.over(now) and override.mode is not barred:
        return Effective(override.mode, ModeCause.OVERRIDE, override.by.actor)
    base = _scheduled(plan, state, now)
    doubled = toggle is not None and _toggle_holds(plan, toggle, now) and base.mode is not Mode.BLOCKED
    if toggle is not None and doubled and toggle.mode is not barred:
        return Effective(toggle.mode, ModeCause.OVERRIDE, toggle.person)
    return base if base.mode is not barred else Effective(_locked(plan), ModeCause.DEFAULT)


def _locked(plan: ModePlan) -> Mode:
    """The mode of a door that is not to stand open: its default one, as far as that is a locked one."""
    return Mode.CARD_AND_PIN if plan.plan.default is Mode.CARD_AND_PIN else Mode.LOCKED


def _toggle_holds(plan: ModePlan, toggle: Toggle, now: Moment) -> bool:
    """An end that lies more than a day ahead means that the clock was set back: then nothing is known."""
    return now.utc < toggle.until <= now.utc + timedelta(days=2) and _believes(plan, now)


def _believes(plan: ModePlan, now: Moment) -> bool:
    return now.quality is not ClockQuality.NEVER_SET or plan.clock is ClockPolicy.USE_LAST_KNOWN


def _scheduled(plan: ModePlan, state: ModeState, now: Moment) -> Effective:
    if not _believes(plan, now):
        return Effective(_without_clock(plan), ModeCause.DEFAULT)
    found = scheduled_mode(plan.plan, plan.zone, now.utc)
    if found.first_person_in and not _is_in(state.first_in, found.name, now.utc):
        return Effective(plan.plan.default, ModeCause.DEFAULT)
    return Effective(found.mode, found.cause, found.name)


def _without_clock(plan: ModePlan) -> Mode:
    modes = [plan.plan.default]
    if plan.clock is ClockPolicy.DENY_TIME_BOUND:
        modes += [schedule.mode for schedule in plan.plan.schedules]
        modes += [window.mode for exception in plan.plan.exceptions for window in exception.windows]
    return max(modes, key=STRICTNESS.index)


def _is_in(first: FirstIn | None, schedule: str, at: datetime) -> bool:
    if first is None or first.schedule not in ("", schedule):
        return False
    return first.start <= at and (first.until is None or at < first.until)


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
    return _override(state, Override(mode, by, until))


def override_for(state: ModeState, mode: Mode, by: Order, seconds: float, now: Moment) -> ModeState:
    """An operator's mode for so long, however the wall clock is set meanwhile. Raises as ``override``."""
    return _override(state, Override(mode, by, None, since(now), seconds))


def _override(state: ModeState, ordered: Override) -> ModeState:
    if ordered.mode is Mode.LOCKDOWN:
        raise ValueError("lockdown is no override: use lock_down")
    return replace(state, override=ordered, toggle=None)


def forget_past(state: ModeState, now: Moment) -> ModeState:
    """Drop what has expired, so that a clock which is set back later does not revive it."""
    until = state.first_in.until if state.first_in is not None else None
    return ModeState(
        state.lockdown,
        None if state.override is not None and state.override.over(now) else state.override,
        None if state.toggle is not None and state.toggle.until <= now.utc else state.toggle,
        None if until is not None and until <= now.utc else state.first_in,
    )


def restarted(state: ModeState, restart: Restart) -> ModeState:
    """The orders after a restart: of an override for a time there is left what gives less access."""
    ordered = state.override
    if ordered is None or ordered.began is None:
        return state
    unlocks = ordered.mode is Mode.UNLOCKED
    began = restart.at_most(ordered.began) if unlocks else restart.at_least(ordered.began)
    return replace(state, override=replace(ordered, began=began))


# ------------------------------------------------------------------ what a grant does


def granted(plan: ModePlan, state: ModeState, person: str, references: frozenset[str], now: Moment) -> ModeState:
    """A person was granted entry: they may be the first one in, for a window now or within its grace."""
    if not _believes(plan, now):
        return state
    for schedule in plan.plan.schedules:
        if schedule.first_person_in.isdisjoint(references):
            continue
        start = _window_start(plan, schedule, now.utc)
        if start is not None:
            name = schedule.schedule.name
            if _is_in(state.first_in, name, start):
                return state
            return replace(state, first_in=FirstIn(person, start, _window_end(plan, schedule, start), name))
    return state


def _alone(plan: ModePlan, schedule: DoorSchedule) -> DoorPlan:
    """The door with no schedule but this one: its windows, but for the dates that a door exception owns."""
    return replace(plan.plan, schedules=(schedule,))


def _window_start(plan: ModePlan, schedule: DoorSchedule, now: datetime) -> datetime | None:
    """``now`` inside a window of the schedule, else the start of one within its grace, else None."""
    alone, latest = _alone(plan, schedule), now + timedelta(seconds=schedule.grace)
    at: datetime | None = now
    while at is not None and at <= latest:
        if scheduled_mode(alone, plan.zone, at).first_person_in:
            return at
        at = next_mode_edge(alone, plan.zone, at)
    return None


def _window_end(plan: ModePlan, schedule: DoorSchedule, start: datetime) -> datetime | None:
    """When the window that holds ``start`` ends; None: it does not, within a year."""
    alone, last = _alone(plan, schedule), start + HORIZON
    at = next_mode_edge(alone, plan.zone, start)
    while at is not None and at < last:
        if not scheduled_mode(alone, plan.zone, at).first_person_in:
            return at
        at = next_mode_edge(alone, plan.zone, at)
    return None


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
