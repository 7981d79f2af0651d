"""The session at one reader: card, PIN, second person and double badge.

``step`` turns cards and keys into an ``Ask``: what the caller is to look up and decide now. The caller hands the
``Decision`` back to ``answer``, which remembers what a later factor needs and says what came of it.
Keys are collected until ``#`` or the configured length; ``*`` clears them. A PIN after a card has one time for all
of it; a PIN alone has a time between two keys.

One attempt is one attempt: digits that come after its end belong to it until ``#``, the next card, or ten seconds
without a key. A PIN that is typed after a card which was decided without one belongs to that card (``after``), and
is looked at for duress.

Card keys and digits are in no repr. ``now`` is monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from cache.model import Decision, Moment, Outcome, Reason
from daemon.config import bounds
from daemon.decision.request import FirstPerson
from daemon.doors.door.state import Granted

TAIL = 10.0
"""Seconds without a key after which digits are an attempt of their own again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig:
    """The site's PIN rules and the door's ``two_person`` and ``double_badge`` times; times in seconds.

    ``double_badge`` ``None``: this door knows none. ``reader`` is whose session it is.
    """

    reader: str | None = None
    pin_length: int = bounds.PIN_LENGTH.default
    pin_timeout: float = bounds.PIN_TIMEOUT.default
    key_timeout: float = 5.0
    two_person: float = bounds.TWO_PERSON_WITHIN.default
    double_badge: float | None = None


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
class ReaderAway:
    """The reader stopped answering: whoever waited at it is gone."""


@dataclass(frozen=True, slots=True)
class TimePassed:
    """To be sent at ``deadline(session)``."""


SessionInput = CardShown | KeysPressed | ReaderAway | TimePassed


# ------------------------------------------------------------------ out


@dataclass(frozen=True, slots=True)
class Ask:
    """Decide this now: a card, a PIN, or both. ``late``: the PIN was not finished in time, but ``begun``.

    ``after``: the card that was decided a moment before, without this PIN; ``denied``: it was refused.
    """

    card: bytes | None = field(default=None, repr=False)
    digits: str = field(default="", repr=False)
    late: bool = False
    begun: bool = False
    after: bytes | None = field(default=None, repr=False)
    denied: bool = False


@dataclass(frozen=True, slots=True)
class FirstLeftAlone:
    """No one came to the first of two people in time: denied. ``decision`` is what was answered when they came."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class DoubleBadge:
    """Two grants of one person in quick succession; modes.double_badge knows whether they may."""

    person: str


Answer = Granted | DoubleBadge


# ------------------------------------------------------------------ the session


@dataclass(frozen=True, slots=True)
class Waiting:
    """The first of two people: what they showed, to be decided again with the second, and what was answered."""

    ask: Ask
    decision: Decision
    person: FirstPerson


@dataclass(frozen=True, slots=True)
class Session:
    """What one reader waits for. Monotonic seconds; ``None`` is nothing.

    ``tail_until``: digits up to then belong to the attempt before. ``decided`` is the card that was decided
    without a PIN, ``denied`` whether it was refused.
    """

    config: SessionConfig
    digits: str = field(default="", repr=False)
    keys_until: float | None = None
    card: bytes | None = field(default=None, repr=False)
    card_until: float | None = None
    tail_until: float | None = None
    decided: bytes | None = field(default=None, repr=False)
    decided_until: float = 0.0
    denied: bool = False
    waiting: Waiting | None = None
    badged: FirstPerson | None = None

    @property
    def first(self) -> FirstPerson | None:
        """The first of two people, while they wait."""
        return None if self.waiting is None else self.waiting.person


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
                asks.append(Ask(session.card, late=True, begun=bool(session.digits)))
            session = _idle(session)
            asks.append(Ask(key))
        case KeysPressed(keys):
            for pressed in keys:
                session, done = _key(session, pressed, now)
                asks += done
        case ReaderAway():
            if session.card is not None:
                asks.append(Ask(session.card, late=True))
            session = _idle(session)
        case TimePassed():
            pass
    return session, tuple(asks)


def _run_out(session: Session, now: float) -> tuple[Session, list[Ask | FirstLeftAlone]]:
    due: list[Ask | FirstLeftAlone] = []
    if session.card_until is not None and session.card_until <= now:
        due.append(Ask(session.card, late=True, begun=bool(session.digits)))
        session = replace(_idle(session), tail_until=session.card_until + TAIL)
    if session.keys_until is not None and session.keys_until <= now:
        due.append(Ask(late=True, begun=True, after=_card_before(session, now), denied=session.denied))
        session = replace(_without_keys(session), tail_until=session.keys_until + TAIL)
    waiting = session.waiting
    if waiting is not None and waiting.person.at + session.config.two_person <= now:
        due.append(FirstLeftAlone(waiting.decision))
        session = replace(session, waiting=None)
    return session, due


def _key(session: Session, key: str, now: float) -> tuple[Session, list[Ask]]:
    if session.tail_until is not None and now < session.tail_until:
        return replace(session, tail_until=None if key == "#" else now + TAIL), []
    session = replace(session, tail_until=None)
    if key == "*":
        return _without_keys(session), []
    digits = session.digits + (key if key in "0123456789" else "")
    if digits and (key == "#" or len(digits) >= session.config.pin_length):
        return _typed(session, digits, ended=key == "#", now=now)
    if not digits:
        return session, []
    until = None if session.card is not None else now + session.config.key_timeout
    return replace(session, digits=digits, keys_until=until), []


def _typed(session: Session, digits: str, *, ended: bool, now: float) -> tuple[Session, list[Ask]]:
    """A PIN is complete. What follows one that its length ended is no PIN alone, where it came after a card."""
    after = _card_before(session, now) if session.card is None else None
    ask = Ask(session.card, digits, after=after, denied=after is not None and session.denied)
    of_a_card = session.card is not None or after is not None
    return replace(_idle(session), tail_until=now + TAIL if of_a_card and not ended else None), [ask]


def _card_before(session: Session, now: float) -> bytes | None:
    return session.decided if now < session.decided_until else None


def _without_keys(session: Session) -> Session:
    return replace(session, digits="", keys_until=None)


def _idle(session: Session) -> Session:
    """Nothing typed, no card; the first of two people still waits."""
    return replace(_without_keys(session), card=None, card_until=None, tail_until=None, decided=None, denied=False)


# ------------------------------------------------------------------ what was decided


def answer(session: Session, ask: Ask, decision: Decision, now: Moment) -> tuple[Session, tuple[Answer, ...]]:
    """Take the decision on an ``Ask`` and say what came of it."""
    person = decision.person
    if decision.outcome is Outcome.NEED_PIN:
        until = now.monotonic + session.config.pin_timeout
        return replace(session, card=ask.card, card_until=until), ()
    if ask.card is not None and not ask.digits and not ask.late:
        until = now.monotonic + session.config.pin_timeout
        denied = decision.outcome is Outcome.DENY
        session = replace(session, decided=ask.card, decided_until=until, denied=denied)
    match decision.outcome:
        case Outcome.NEED_SECOND_PERSON if person is not None:
            return replace(session, waiting=Waiting(ask, decision, FirstPerson(person.id, now.monotonic))), ()
        case Outcome.GRANT if person is not None:
            return _granted(session, decision, person.id, now.monotonic)
    return session, ()


def counts_to_lockout(ask: Ask, decision: Decision, *, alone: bool) -> bool:
    """A wrong PIN, or one that was begun after its card and came late. A card without a PIN is no guess.

    ``alone``: a PIN without a card can open here. Where it cannot, keys without a card are no guess either.
    """
    if ask.card is None:
        return alone and decision.reason is Reason.PIN_WRONG
    return decision.reason is Reason.PIN_WRONG or (decision.reason is Reason.PIN_TIMEOUT and ask.begun)


def nobody_waits(session: Session) -> Session:
    """The first of two people may not pass any more: a second is a first now."""
    return replace(session, waiting=None)


def _granted(session: Session, decision: Decision, person: str, now: float) -> tuple[Session, tuple[Answer, ...]]:
    answers: list[Answer] = []
    first = session.waiting.decision.person if session.waiting is not None else None
    if first is not None and decision.second:
        answers.append(
            Granted((first.id, person), session.config.reader, decision.extended or first.extended_time)
        )
        session = replace(session, waiting=None)
    else:
        answers.append(Granted((person,), session.config.reader, decision.extended))
    within, badged = session.config.double_badge, session.badged
    if within is None:
        return session, tuple(answers)
    if badged is not None and badged.person_id == person and now - badged.at <= within:
        return replace(session, badged=None), (*answers, DoubleBadge(person))
    return replace(session, badged=FirstPerson(person, now)), tuple(answers)
