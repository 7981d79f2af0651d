"""One reader of a door: cards and keys in, decisions and what follows from them out. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from cache.model import Decision, DetailValue, Event, EventName, Moment, Outcome, Reason, RuleResult
from daemon.decision.decide import decide, refusal
from daemon.decision.notation import describe_duration
from daemon.decision.request import AccessRequest
from daemon.doors.controller.door import DoorController
from daemon.doors.controller.effects import Collected
from daemon.doors.controller.site_state import SiteState
from daemon.doors.door import modes, session
from daemon.doors.door.durable import Durable
from daemon.doors.door.session import (
    Ask,
    CardShown,
    DoubleBadge,
    FirstLeftAlone,
    KeysPressed,
    Lockout,
    PinLockout,
    Session,
    SessionInput,
    TimePassed,
)
from daemon.doors.door.state import Granted
from drivers.events import Buzz, CardRead, Colour, KeyPress, Led

LOCKOUT = Durable(Lockout)

DENIED_LIGHT = 1.0
"""Seconds for which a reader shows that it refused."""


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

    @property
    def state_name(self) -> str:
        """Under which name the PIN lockout of this reader is stored in the journal."""
        return f"lockout.{self.reader}"

    def start(self, now: Moment, stored: str | None) -> bool:
        """Take up the PIN lockout that survived; one that cannot be read (false) is the shortest one, from now."""
        if stored is None:
            return True
        try:
            lockout = LOCKOUT.load(stored)
        except ValueError:
            until = now.utc + timedelta(seconds=self._session.config.lockout_for)
            self._session = replace(self._session, lockout=Lockout(times=1, last=now.utc, until=until))
            self._out.state[self.state_name] = LOCKOUT.dump(self._session.lockout)
            return False
        self._session = replace(self._session, lockout=lockout)
        return True

    def pins_refused_until(self, now: Moment) -> datetime | None:
        """The end of the PIN lockout that holds; ``None``: the reader takes PINs."""
        return session.locked_until(self._session, now.utc)

    def deadline(self) -> float | None:
        """The monotonic time at which ``handle_deadline`` is due."""
        return session.deadline(self._session)

    # -------------------------------------------------------------- in

    def card(self, read: CardRead, now: Moment) -> None:
        """A card was presented."""
        try:
            key = self._site_state.key_of(read.length, read.value)
        except ValueError as error:
            self._settle(self._refusal(Reason.BAD_FRAME, str(error)), Ask(), read.length, now)
            return
        self._step(CardShown(key), now, read.length)

    def keys(self, press: KeyPress, now: Moment) -> None:
        """Keys were pressed."""
        self._step(KeysPressed(press.keys), now)

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
                self._settle(self._decide(ask, now), ask, bits, now)

    # -------------------------------------------------------------- the decision

    def _decide(self, ask: Ask, now: Moment) -> Decision:
        """Deny by default: whatever fails in here is a denial with a reason (contract 2)."""
        try:
            found, pin = self._site_state.look_up(ask)
            request = AccessRequest(self.door.setup.name, ask.card is not None, pin, self.exiting)
            state = self._site_state.access_state(
                self.door, self.exiting, self._session.first, self.pins_refused_until(now)
            )
            return decide(request, found, self.door.setup.rules, state, now)
        except Exception as error:  # noqa: BLE001 - an internal failure is a denial, whatever it was
            return self._refusal(Reason.INTERNAL_ERROR, f"the decision failed: {type(error).__name__}: {error}")

    def _refusal(self, reason: Reason, text: str) -> Decision:
        return refusal(reason, text, self._site_state.freshness)

    def _settle(self, decision: Decision, ask: Ask, bits: int, now: Moment) -> None:
        first = self._session.first_decision
        self._session, answers = session.answer(self._session, ask, decision, now)
        if decision.outcome in (Outcome.GRANT, Outcome.DENY):
            self._out.events.append(access_event(decision, self.door.setup.name, self.reader, bits))
        for answer in answers:
            match answer:
                case Granted(people):
                    self.door.step(answer, now)
                    if first is not None and len(people) > 1:
                        self._first_in(first, people[0], now)
                    self._first_in(decision, people[-1], now)
                case DoubleBadge(person):
                    self._order(modes.double_badge, decision, person, now)
                case PinLockout(until, wrong):
                    detail = (("until", until.isoformat()), ("wrong", wrong))
                    self._record(EventName.PIN_LOCKOUT, detail=detail)
        if session.counts_to_lockout(ask, decision):
            self._out.state[self.state_name] = LOCKOUT.dump(self._session.lockout)
        self._alarms(decision)
        self._feedback(decision)

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

    def _alarms(self, decision: Decision) -> None:
        """Record what goes on record besides the decision itself; nothing of duress shows at the door."""
        person = decision.person.id if decision.person is not None else None
        if decision.duress:
            self._record(EventName.DURESS, person)
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
