"""The session at one reader: card, PIN, second person, double badge, and the lockout of PINs.

``step`` turns cards and keys into an ``Ask``: what the caller is to look up and decide now. The caller hands the
``Decision`` back to ``answer``, which remembers what a later factor needs and says what came of it.
Keys are collected until ``#`` or the configured length; ``*`` clears them. A PIN after a card has one time for all
of it; a PIN alone has a time between two keys.

Card keys and digits are in no repr. ``now`` is monotonic seconds; lockouts last across restarts and are in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cache.model import Decision, Moment, Outcome, Reason
from daemon.config import bounds
from daemon.decision.request import FirstPerson
from daemon.doors.door.state import Granted

LONGEST_LOCKOUT = 3600.0
"""Seconds; the time doubles with each lockout up to this, or to the configured time if that is longer."""

FORGET_LOCKOUT = timedelta(days=1)
"""So long after the last wrong PIN the next lockout starts with the configured time again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig:
    """Times in seconds, defaults of daemon/config/bounds.py. ``double_badge`` ``None``: this door has none."""

    reader: str | None = None
    pin_length: int = bounds.PIN_LENGTH.default
    pin_timeout: float = bounds.PIN_TIMEOUT.default
    key_timeout: float = 5.0
    lockout_after: int = bounds.LOCKOUT_AFTER.default
    lockout_within: float = bounds.LOCKOUT_WITHIN.default
    lockout_for: float = bounds.LOCKOUT_FOR.default
    two_person: float = bounds.TWO_PERSON_WITHIN.default
    double_badge: float | None = None


@dataclass(frozen=True, slots=True)
class Lockout:
    """Wrong PINs at one reader. Durable: see daemon/doors/door/durable.py."""

    wrong: tuple[datetime, ...] = ()
    times: int = 0
    last: datetime | None = None
    until: datetime | None = None


# ------------------------------------------------------------------ in


@dataclass(frozen=True, slots=True)
class CardShown:
    """A card's lookup key (``card_key``)."""

    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeysPressed:
    """Digits, ``*`` and ``#``, in order."""

    keys: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TimePassed:
    """To be sent at ``deadline(session)``."""


SessionInput = CardShown | KeysPressed | TimePassed


# ------------------------------------------------------------------ out


@dataclass(frozen=True, slots=True)
class Ask:
    """Decide this now: a card, a PIN, or both. ``late``: the PIN was not finished in time."""

    card: bytes | None = field(default=None, repr=False)
    digits: str = field(default="", repr=False)
    late: bool = False


@dataclass(frozen=True, slots=True)
class FirstLeftAlone:
    """No one came to the first of two people in time: denied. ``decision`` is what was answered when they came."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class PinLockout:
    """So many PINs were wrong that the reader refuses PINs until then."""

    until: datetime
    wrong: int


@dataclass(frozen=True, slots=True)
class DoubleBadge:
    """Two grants of one person in quick succession; modes.double_badge knows whether they may."""

    person: str


Answer = Granted | PinLockout | DoubleBadge


# ------------------------------------------------------------------ the session


@dataclass(frozen=True, slots=True)
class Session:
    """What one reader waits for. Monotonic seconds; ``None`` is nothing."""

    config: SessionConfig
    digits: str = field(default="", repr=False)
    keys_until: float | None = None
    card: bytes | None = field(default=None, repr=False)
    card_until: float | None = None
    first: FirstPerson | None = None
    first_decision: Decision | None = None
    badged: FirstPerson | None = None
    lockout: Lockout = Lockout()

    @property
    def waits_for_pin(self) -> bool:
        """Whether a card was shown whose PIN is still to come."""
        return self.card is not None


def deadline(session: Session) -> float | None:
    """When ``TimePassed`` is due."""
    first = None if session.first is None else session.first.at + session.config.two_person
    return min((at for at in (session.keys_until, session.card_until, first) if at is not None), default=None)


def step(session: Session, event: SessionInput, now: float) -> tuple[Session, tuple[Ask | FirstLeftAlone, ...]]:
    """Take a card, keys or the time. What ran out before is said first."""
    session, asks = _run_out(session, now)
    match event:
        case CardShown(key):
            if session.card is not None and session.card != key:
                asks.append(Ask(session.card, late=True))
            session = replace(_without_keys(session), card=None, card_until=None)
            asks.append(Ask(key))
        case KeysPressed(keys):
            for pressed in keys:
                session, done = _key(session, pressed, now)
                asks += done
        case TimePassed():
            pass
    return session, tuple(asks)


def _run_out(session: Session, now: float) -> tuple[Session, list[Ask | FirstLeftAlone]]:
    due: list[Ask | FirstLeftAlone] = []
    if session.card_until is not None and session.card_until <= now:
        due.append(Ask(session.card, late=True))
        session = replace(_without_keys(session), card=None, card_until=None)
    if session.keys_until is not None and session.keys_until <= now:
        due.append(Ask(late=True))
        session = _without_keys(session)
    first, decision = session.first, session.first_decision
    if first is not None and decision is not None and first.at + session.config.two_person <= now:
        due.append(FirstLeftAlone(decision))
        session = replace(session, first=None, first_decision=None)
    return session, due


def _key(session: Session, key: str, now: float) -> tuple[Session, list[Ask]]:
    if key == "*":
        return _without_keys(session), []
    digits = session.digits + (key if key in "0123456789" else "")
    if digits and (key == "#" or len(digits) >= session.config.pin_length):
        ask = Ask(session.card, digits)
        return replace(_without_keys(session), card=None, card_until=None), [ask]
    if not digits:
        return session, []
    until = None if session.card is not None else now + session.config.key_timeout
    return replace(session, digits=digits, keys_until=until), []


def _without_keys(session: Session) -> Session:
    return replace(session, digits="", keys_until=None)


# ------------------------------------------------------------------ what was decided


def answer(session: Session, ask: Ask, decision: Decision, now: Moment) -> tuple[Session, tuple[Answer, ...]]:
    """Take the decision on an ``Ask`` and say what came of it."""
    person = decision.person
    match decision.outcome:
        case Outcome.NEED_PIN:
            until = now.monotonic + session.config.pin_timeout
            return replace(session, card=ask.card, card_until=until), ()
        case Outcome.NEED_SECOND_PERSON if person is not None:
            first = FirstPerson(person.id, now.monotonic)
            return replace(session, first=first, first_decision=decision), ()
        case Outcome.GRANT if person is not None:
            return _granted(session, decision, person.id, now.monotonic)
        case _ if counts_to_lockout(ask, decision):
            return _wrong_pin(session, now.utc)
    return session, ()


def counts_to_lockout(ask: Ask, decision: Decision) -> bool:
    """A wrong PIN, or one that did not come in time after its card. Keys touched without a card are no guess."""
    return decision.reason is Reason.PIN_WRONG or (decision.reason is Reason.PIN_TIMEOUT and ask.card is not None)


def _granted(session: Session, decision: Decision, person: str, now: float) -> tuple[Session, tuple[Answer, ...]]:
    answers: list[Answer] = []
    first = session.first_decision.person if session.first_decision is not None else None
    if first is not None and decision.second:
        answers.append(
            Granted((first.id, person), session.config.reader, decision.extended or first.extended_time)
        )
        session = replace(session, first=None, first_decision=None)
    else:
        answers.append(Granted((person,), session.config.reader, decision.extended))
    within, badged = session.config.double_badge, session.badged
    if within is None:
        return session, tuple(answers)
    if badged is not None and badged.person_id == person and now - badged.at <= within:
        return replace(session, badged=None), (*answers, DoubleBadge(person))
    return replace(session, badged=FirstPerson(person, now)), tuple(answers)


# ------------------------------------------------------------------ PIN lockout


def locked_until(session: Session, now: datetime) -> datetime | None:
    """Until when the reader refuses PINs; ``None``: it takes them.

    An end further ahead than the longest lockout means that the clock was set back, and does not count.
    """
    until = session.lockout.until
    if until is None or until <= now or until > now + timedelta(seconds=_longest(session.config)):
        return None
    return until


def _longest(config: SessionConfig) -> float:
    return max(config.lockout_for, LONGEST_LOCKOUT)


def _wrong_pin(session: Session, now: datetime) -> tuple[Session, tuple[Answer, ...]]:
    config, lockout = session.config, session.lockout
    since = now - timedelta(seconds=config.lockout_within)
    wrong = (*(at for at in lockout.wrong if since < at <= now), now)
    times = lockout.times if lockout.last is not None and now - lockout.last < FORGET_LOCKOUT else 0
    if len(wrong) < config.lockout_after:
        return replace(session, lockout=Lockout(wrong, times, now)), ()
    seconds = min(config.lockout_for * 2.0 ** min(times, 32), _longest(config))
    until = now + timedelta(seconds=seconds)
    session = replace(session, lockout=Lockout((), times + 1, now, until))
    return session, (PinLockout(until, len(wrong)),)
