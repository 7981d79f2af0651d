"""One reader of a door: cards and keys in, decisions and what follows from them out. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from cache.errors import CacheError
from cache.model import Decision, DetailValue, Event, EventName, Found, Mode, Moment, Outcome, Reason, RuleResult
from daemon.decision.decide import decide, refusal
from daemon.decision.notation import describe_duration
from daemon.decision.request import AccessRequest, FirstPerson, PinEntry, PinResult
from daemon.doors.controller.door import DoorController
from daemon.doors.controller.effects import Collected
from daemon.doors.controller.site_state import SiteState
from daemon.doors.door import modes, session
from daemon.doors.door.session import (
    Ask,
    CardShown,
    DoubleBadge,
    FirstLeftAlone,
    KeysPressed,
    ReaderAway,
    Session,
    SessionInput,
    TimePassed,
    Waiting,
)
from daemon.doors.door.state import Granted
from drivers.events import Buzz, CardRead, Colour, KeyPress, Led

DENIED_LIGHT = 1.0
"""Seconds for which a reader shows that it refused."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """A decision, whose duress PIN was typed, and for the second of two people the decision on the first."""

    decision: Decision
    duress: str | None = None
    first: Decision | None = None


def _under_duress(found: Found, pin: PinEntry | None) -> str | None:
    """The person whose duress PIN was typed."""
    if pin is None or pin.result is not PinResult.DURESS:
        return None
    if pin.credential is not None:
        return pin.credential.person_id
    return found.holders[0].person.id


class ReaderController:
    """Drives one ``daemon.doors.door.session`` and carries its decisions to the door.

    ``exiting``: it stands on the far side of the door.
    """

    def __init__(self, reader: str, door: DoorController, site_state: SiteState, out: Collected) -> None:
        self.reader = reader
        self.door = door
        self.exiting = reader == door.setup.exit
        self._site_state = site_state
        self._out = out
        self._session = Session(_session_config(reader, door, site_state))

    def pins_refused_until(self, now: Moment, card: bytes | None = None) -> datetime | None:
        """The end of the lockout that holds for this reader, or for the card; ``None``: it takes PINs."""
        return self._site_state.pins.refused_until(self.reader, card, now)

    def deadline(self) -> float | None:
        """The monotonic time at which ``handle_deadline`` is due."""
        return session.deadline(self._session)

    # -------------------------------------------------------------- in

    def card(self, read: CardRead, now: Moment) -> None:
        """A card was presented."""
        try:
            key = self._site_state.key_of(read.length, read.value)
        except ValueError as error:
            self._settle(_Answer(self._refusal(Reason.BAD_FRAME, str(error))), Ask(), read.length, now)
            return
        self._step(CardShown(key), now, read.length)

    def keys(self, press: KeyPress, now: Moment) -> None:
        """Keys were pressed."""
        self._step(KeysPressed(press.keys), now)

    def away(self, now: Moment) -> None:
        """The reader stopped answering: a card that waits for its PIN is void."""
        self._step(ReaderAway(), now)

    def handle_deadline(self, now: Moment) -> None:
        """A PIN or a second person did not come in time."""
        due = self.deadline()
        if due is not None and due <= now.monotonic:
            self._step(TimePassed(), now)

    def _step(self, event: SessionInput, now: Moment, bits: int = 0) -> None:
        self._session, asks = session.step(self._session, event, now.monotonic)
        for ask in asks:
            if isinstance(ask, FirstLeftAlone):
                self._left_alone(ask)
            else:
                self._attempt(ask, bits, now)

    # -------------------------------------------------------------- the decision

    def _attempt(self, ask: Ask, bits: int, now: Moment) -> None:
        if ask.card is None and self._is_no_attempt(ask, now):
            return
        waiting = self._session.waiting
        found = self._decide(ask, now, self._session.first)
        if waiting is not None and found.decision.second and found.decision.outcome is Outcome.GRANT:
            found = self._pair(waiting, found, ask, now)
        self._settle(found, ask, bits, now)

    def _is_no_attempt(self, ask: Ask, now: Moment) -> bool:
        """Whether keys without a card are nothing to decide: they belong to the card before, or to no one.

        Whatever is answered here is the same for every PIN, so that no one learns whether one was right.
        """
        unlocked = self.door.state.mode is Mode.UNLOCKED
        alone = None if ask.late else self._decide(ask, now, None)
        of_card = self._decide(Ask(ask.after, ask.digits), now, None) if ask.after and ask.digits else None
        if unlocked:
            theirs = of_card is not None and of_card.decision.reason is not Reason.PIN_WRONG
            none = theirs or alone is None or alone.decision.person is None
        else:
            none = ask.after is not None and not self._takes_alone()
        if of_card is not None:
            if of_card.duress is not None and (none or alone is None or alone.duress != of_card.duress):
                self._record(EventName.DURESS, of_card.duress)
            if none and ask.denied and not unlocked:
                self.refuse()
        return none

    def _takes_alone(self) -> bool:
        """Whether a PIN without a card can open this door now."""
        return self._site_state.rules.pins_alone and self.door.factors is not Mode.CARD_AND_PIN

    def _pair(self, waiting: Waiting, second: _Answer, ask: Ask, now: Moment) -> _Answer:
        """The first of two is decided again at this instant, with the second. If refused, the second waits."""
        person = second.decision.person
        assert person is not None, "a second person is somebody"
        first = self._decide(waiting.ask, now, FirstPerson(person.id, now.monotonic), again=True).decision
        self._out.events.append(access_event(first, self.door.setup.name, self.reader))
        if first.outcome is Outcome.GRANT:
            return replace(second, first=first)
        self._session = session.nobody_waits(self._session)
        return self._decide(ask, now, None)

    def _decide(self, ask: Ask, now: Moment, other: FirstPerson | None, *, again: bool = False) -> _Answer:
        """Deny by default: whatever fails in here is a denial with a reason (contract 2).

        ``again``: the PIN was taken before, and no lockout of meanwhile refuses it.
        """
        duress = None
        try:
            found, pin = self._site_state.look_up(ask)
            duress = _under_duress(found, pin)
            request = AccessRequest(self.door.setup.name, ask.card is not None, pin, self.exiting)
            refused_until = None if again else self.pins_refused_until(now, ask.card)
            judged_at = self._site_state.cache_age.judged_at(found.freshness, now)
            state = self._site_state.access_state(self.door, self.exiting, other, refused_until, judged_at)
            return _Answer(decide(request, found, self.door.setup.rules, state, now), duress)
        except CacheError as error:
            return _Answer(self._refusal(Reason.CACHE_UNREADABLE, f"the cache cannot be read: {error}"), duress)
        except Exception as error:  # noqa: BLE001 - an internal failure is a denial, whatever it was
            why = f"the decision failed: {type(error).__name__}: {error}"
            return _Answer(self._refusal(Reason.INTERNAL_ERROR, why), duress)

    def _refusal(self, reason: Reason, text: str) -> Decision:
        return refusal(reason, text, self._site_state.freshness)

    def _settle(self, found: _Answer, ask: Ask, bits: int, now: Moment) -> None:
        decision, first = found.decision, found.first
        self._session, answers = session.answer(self._session, ask, decision, now)
        if decision.outcome in (Outcome.GRANT, Outcome.DENY):
            self._out.events.append(access_event(decision, self.door.setup.name, self.reader, bits))
        for answer in answers:
            match answer:
                case Granted(people):
                    self.door.step(answer, now)
                    if first is not None:
                        self._first_in(first, people[0], now)
                    self._first_in(decision, people[-1], now)
                case DoubleBadge(person):
                    self._order(modes.double_badge, decision, person, now)
        self._count(ask, decision, now)
        self._alarms(decision, found.duress)
        self._feedback(decision)

    def _count(self, ask: Ask, decision: Decision, now: Moment) -> None:
        """A wrong PIN counts for the reader, and for the credential over all readers."""
        if not session.counts_to_lockout(ask, decision, alone=self._takes_alone()):
            return
        locked = self._site_state.pins.missed(self.reader, ask.card, now)
        if locked is not None:
            person = decision.person.id if decision.person is not None and "credential" in locked.by else None
            detail = (("until", locked.until.isoformat()), ("wrong", locked.wrong), ("by", locked.by))
            self._record(EventName.PIN_LOCKOUT, person, detail=detail)

    def _first_in(self, decision: Decision, person: str, now: Moment) -> None:
        """First-person-in: a person who leaves has not come in."""
        if not self.exiting:
            self._order(modes.granted, decision, person, now)

    def _order(self, rule: modes.GrantRule, decision: Decision, person: str, now: Moment) -> None:
        ordered = rule(self.door.setup.modes, self.door.ordered, person, decision.references, now)
        self.door.order(ordered, now)

    # -------------------------------------------------------------- what is reported

    def _left_alone(self, first: FirstLeftAlone) -> None:
        waited = describe_duration(self._session.config.two_person)
        alone = RuleResult("two_person", False, f"no one else came within {waited}")
        decision = replace(first.decision, trace=(*first.decision.trace[:-1], alone))
        self._out.events.append(access_event(decision, self.door.setup.name, self.reader))
        self.refuse()

    def _alarms(self, decision: Decision, duress: str | None) -> None:
        """Record what goes on record besides the decision itself; nothing of duress shows at the door.

        ``duress``: whose duress PIN was typed, whatever the decision is.
        """
        person = decision.person.id if decision.person is not None else None
        if duress is not None:
            self._record(EventName.DURESS, duress)
        if decision.apb_violation or decision.reason is Reason.APB_VIOLATION:
            self._record(EventName.APB_VIOLATION, person, decision.reason)

    def _record(
        self,
        name: EventName,
        person: str | None = None,
        reason: Reason | None = None,
        detail: tuple[tuple[str, DetailValue], ...] = (),
    ) -> None:
        self._out.events.append(Event(name, self.door.setup.name, self.reader, person, reason, detail=detail))

    def _feedback(self, decision: Decision) -> None:
        match decision.outcome:
            case Outcome.GRANT:
                strike = self.door.setup.config.strike_time
                self._out.commands += (Led(self.reader, Colour.GREEN, strike), Buzz(self.reader))
            case Outcome.DENY:
                self.refuse()
            case Outcome.NEED_PIN:
                seconds = self._session.config.pin_timeout
                self._out.commands.append(Led(self.reader, Colour.AMBER, seconds, blink=True))
            case Outcome.NEED_SECOND_PERSON:
                seconds = self._session.config.two_person
                self._out.commands.append(Led(self.reader, Colour.AMBER, seconds, blink=True))

    def refuse(self) -> None:
        """Show and sound that something was refused."""
        self._out.commands += (
            Led(self.reader, Colour.RED, DENIED_LIGHT, blink=True),
            Buzz(self.reader, count=3),
        )


def _session_config(reader: str, door: DoorController, site_state: SiteState) -> session.SessionConfig:
    """The site's PIN rules with this door's two-person and double-badge times."""
    two = door.setup.rules.two_person
    common = site_state.rules.sessions
    return replace(
        common,
        reader=reader,
        two_person=two.within if two is not None else common.two_person,
        double_badge=door.setup.double_badge,
    )


def access_event(decision: Decision, door: str, reader: str, bits: int = 0) -> Event:
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
