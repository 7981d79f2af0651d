"""The session at a reader: which question is asked when, and what an answer leads to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.model import Decision, Moment, Outcome, Person, Reason, RuleResult
from daemon.decision.request import FirstPerson
from daemon.doors.door.durable import Durable
from daemon.doors.door.session import (
    LONGEST_LOCKOUT,
    Answer,
    Ask,
    CardShown,
    DoubleBadge,
    FirstLeftAlone,
    KeysPressed,
    Lockout,
    PinLockout,
    Session,
    SessionConfig,
    TimePassed,
    answer,
    deadline,
    locked_until,
    step,
)
from daemon.doors.door.state import Granted

CARD, OTHER = b"card", b"other"
START = datetime(2026, 3, 2, 8, tzinfo=UTC)


class Desk:
    """One reader on a virtual clock, and a decision for every question."""

    def __init__(self, **config: float | int | None) -> None:
        self.session = Session(SessionConfig(**config))  # type: ignore[arg-type]
        self.now = 100.0

    @property
    def moment(self) -> Moment:
        return Moment(START + timedelta(seconds=self.now), self.now)

    def card(self, key: bytes = CARD) -> tuple[Ask | FirstLeftAlone, ...]:
        self.session, asks = step(self.session, CardShown(key), self.now)
        return asks

    def keys(self, keys: str) -> tuple[Ask | FirstLeftAlone, ...]:
        self.session, asks = step(self.session, KeysPressed(keys), self.now)
        return asks

    def wait(self, seconds: float) -> tuple[Ask | FirstLeftAlone, ...]:
        self.now += seconds
        self.session, asks = step(self.session, TimePassed(), self.now)
        return asks

    def answer(
        self,
        outcome: Outcome,
        person: str | None = "ann",
        reason: Reason = Reason.GRANTED,
        card: bytes | None = CARD,
        two: bool = False,
        extended: bool = False,
    ) -> tuple[Answer, ...]:
        decision = Decision(
            outcome,
            reason,
            (RuleResult("access", True, ""),),
            person=None if person is None else Person(person, extended_time=extended),
            extended=extended,
            second=two,
        )
        self.session, answers = answer(self.session, Ask(card), decision, self.moment)
        return answers

    def wrong(self) -> tuple[Answer, ...]:
        return self.answer(Outcome.DENY, reason=Reason.PIN_WRONG)


# ------------------------------------------------------------------ card and PIN


def test_a_card_is_asked_at_once() -> None:
    desk = Desk()
    assert desk.card() == (Ask(CARD),)
    assert desk.answer(Outcome.GRANT) == (Granted(("ann",)),)
    assert deadline(desk.session) is None


@pytest.mark.parametrize("keys", ["123456", "1234#", "12*1234#", "1x2y3z4#"])
def test_card_then_pin_ended_by_length_or_hash(keys: str) -> None:
    desk = Desk()
    desk.card()
    assert desk.answer(Outcome.NEED_PIN) == ()
    assert desk.session.waits_for_pin
    digits = "123456" if keys == "123456" else "1234"
    assert desk.keys(keys) == (Ask(CARD, digits),)
    assert not desk.session.waits_for_pin
    assert deadline(desk.session) is None


def test_keys_one_by_one_do_not_prolong_the_time_after_a_card() -> None:
    desk = Desk(pin_timeout=15.0)
    desk.card()
    desk.answer(Outcome.NEED_PIN)
    for digit in "123":
        assert desk.wait(4) == ()
        assert desk.keys(digit) == ()
    assert deadline(desk.session) == pytest.approx(115.0)
    assert desk.wait(3) == (Ask(CARD, late=True),)
    assert desk.keys("45#") == (Ask(None, "45"),)


def test_a_late_key_comes_after_the_refusal() -> None:
    desk = Desk()
    desk.card()
    desk.answer(Outcome.NEED_PIN)
    desk.now += 15
    assert desk.keys("1") == (Ask(CARD, late=True),)
    assert desk.session.digits == "1"


def test_another_card_ends_the_one_that_waits() -> None:
    desk = Desk()
    desk.card()
    desk.answer(Outcome.NEED_PIN)
    desk.keys("12")
    assert desk.card(OTHER) == (Ask(CARD, late=True), Ask(OTHER))
    assert desk.session.digits == ""


def test_the_same_card_again_starts_anew() -> None:
    desk = Desk()
    desk.card()
    desk.answer(Outcome.NEED_PIN)
    desk.keys("12")
    assert desk.card() == (Ask(CARD),)
    assert desk.session.digits == ""
    assert deadline(desk.session) is None


def test_a_pin_alone_has_a_time_between_keys() -> None:
    desk = Desk(key_timeout=5.0)
    desk.keys("12")
    assert desk.wait(4) == ()
    desk.keys("3")
    assert deadline(desk.session) == pytest.approx(109.0)
    assert desk.wait(5) == (Ask(late=True),)
    assert desk.session.digits == ""
    assert desk.keys("123456#") == (Ask(None, "123456"),)


def test_nothing_typed_is_no_question() -> None:
    desk = Desk()
    assert desk.keys("#**#*") == ()
    assert deadline(desk.session) is None
    desk.keys("12*")
    assert desk.wait(100) == ()


def test_several_pins_in_one_burst() -> None:
    assert Desk(pin_length=4).keys("12345678") == (Ask(None, "1234"), Ask(None, "5678"))


def test_secrets_are_in_no_repr() -> None:
    desk = Desk()
    desk.card(b"\x07secret-key")
    desk.answer(Outcome.NEED_PIN, card=b"\x07secret-key")
    desk.keys("8421")
    texts = [desk.session, CardShown(b"secret-key"), KeysPressed("8421"), Ask(b"secret-key", "8421")]
    for value in texts:
        assert "8421" not in repr(value)
        assert "secret" not in repr(value)


# ------------------------------------------------------------------ two people, double badge


def test_two_people() -> None:
    desk = Desk()
    desk.card()
    assert desk.answer(Outcome.NEED_SECOND_PERSON) == ()
    assert desk.session.first == FirstPerson("ann", 100.0)
    assert deadline(desk.session) == 110.0
    desk.now += 9
    desk.card(OTHER)
    assert desk.answer(Outcome.GRANT, "bob", two=True) == (Granted(("ann", "bob")),)
    assert desk.session.first is None


@pytest.mark.parametrize("who", [0, 1])
def test_extended_time_of_either_of_two_people(who: int) -> None:
    desk = Desk()
    desk.answer(Outcome.NEED_SECOND_PERSON, extended=who == 0)
    assert desk.answer(Outcome.GRANT, "bob", two=True, extended=who == 1) == (
        Granted(("ann", "bob"), extended=True),
    )


def test_nobody_comes_to_the_first() -> None:
    desk = Desk()
    desk.answer(Outcome.NEED_SECOND_PERSON)
    assert desk.wait(9.9) == ()
    (alone,) = desk.wait(0.1)
    assert isinstance(alone, FirstLeftAlone)
    assert alone.decision.outcome is Outcome.NEED_SECOND_PERSON
    assert alone.decision.person == Person("ann")
    assert desk.wait(100) == ()


def test_the_first_does_not_pass_with_a_grant_that_needs_one_person() -> None:
    desk = Desk()
    desk.answer(Outcome.NEED_SECOND_PERSON)
    assert desk.answer(Outcome.GRANT, "bob") == (Granted(("bob",)),)


def test_a_refused_second_leaves_the_first_waiting() -> None:
    desk = Desk()
    desk.answer(Outcome.NEED_SECOND_PERSON)
    assert desk.answer(Outcome.DENY, None, Reason.UNKNOWN_CREDENTIAL) == ()
    assert desk.session.first == FirstPerson("ann", 100.0)


def test_double_badge() -> None:
    desk = Desk(double_badge=5.0)
    assert desk.answer(Outcome.GRANT) == (Granted(("ann",)),)
    desk.now += 5
    assert desk.answer(Outcome.GRANT) == (Granted(("ann",)), DoubleBadge("ann"))
    assert desk.answer(Outcome.GRANT) == (Granted(("ann",)),)
    desk.now += 5.1
    assert desk.answer(Outcome.GRANT) == (Granted(("ann",)),)
    assert desk.answer(Outcome.GRANT, "bob") == (Granted(("bob",)),)
    assert desk.answer(Outcome.GRANT) == (Granted(("ann",)),)


def test_no_double_badge_where_the_door_knows_none() -> None:
    desk = Desk()
    desk.answer(Outcome.GRANT)
    assert desk.answer(Outcome.GRANT) == (Granted(("ann",)),)


# ------------------------------------------------------------------ lockout


def test_lockout_grows_and_is_forgotten_after_a_day() -> None:
    desk = Desk()
    expected = [60, 120, 240, 480, 960, 1920, LONGEST_LOCKOUT, LONGEST_LOCKOUT]
    for seconds in expected:
        assert [desk.wrong() for _ in range(4)] == [()] * 4
        until = desk.moment.utc + timedelta(seconds=seconds)
        assert desk.wrong() == (PinLockout(until, 5),)
        assert locked_until(desk.session, desk.moment.utc) == until
        desk.now += seconds - 1
        assert locked_until(desk.session, desk.moment.utc) == until
        desk.now += 1
        assert locked_until(desk.session, desk.moment.utc) is None
    desk.now += 86400
    for _ in range(4):
        desk.wrong()
    assert desk.wrong() == (PinLockout(desk.moment.utc + timedelta(seconds=60), 5),)


def test_wrong_pins_count_only_within_the_window() -> None:
    desk = Desk(lockout_after=2, lockout_within=300.0)
    assert desk.wrong() == ()
    desk.now += 300
    assert desk.wrong() == ()
    desk.now += 299
    assert desk.wrong() != ()


def test_a_right_pin_in_between_does_not_start_the_count_anew() -> None:
    desk = Desk(lockout_after=2)
    desk.wrong()
    desk.answer(Outcome.GRANT)
    assert desk.wrong() != ()


def test_a_pin_that_comes_too_late_after_its_card_counts() -> None:
    desk = Desk(lockout_after=2)
    desk.wrong()
    assert desk.answer(Outcome.DENY, reason=Reason.PIN_TIMEOUT) != ()


def test_other_refusals_do_not_count() -> None:
    desk = Desk(lockout_after=1)
    for reason in (Reason.PIN_LOCKED_OUT, Reason.NO_ACCESS_HERE):
        assert desk.answer(Outcome.DENY, reason=reason) == ()
    assert desk.answer(Outcome.DENY, reason=Reason.PIN_TIMEOUT, card=None) == (), "keys that somebody touched"
    assert desk.wrong() != ()


def test_a_lockout_before_the_clock_was_set_back_does_not_last_for_ever() -> None:
    desk = Desk(lockout_after=1)
    desk.wrong()
    assert locked_until(desk.session, desk.moment.utc - timedelta(days=1)) is None
    assert locked_until(Desk().session, START) is None


def test_a_configured_time_beyond_the_longest_holds() -> None:
    desk = Desk(lockout_after=1, lockout_for=7200.0)
    assert desk.wrong() == (PinLockout(desk.moment.utc + timedelta(seconds=7200), 1),)
    assert locked_until(desk.session, desk.moment.utc) is not None


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 400), max_size=20))
def test_a_lockout_survives_as_text(gaps: list[float]) -> None:
    desk = Desk()
    for gap in gaps:
        desk.now += gap
        desk.wrong()
    durable = Durable(Lockout)
    again = replace(desk.session, lockout=durable.load(durable.dump(desk.session.lockout)))
    assert again == desk.session


# ------------------------------------------------------------------ always


inputs = st.one_of(
    st.builds(CardShown, st.sampled_from([CARD, OTHER])),
    st.builds(KeysPressed, st.text("0123456789*#A", max_size=8)),
    st.just(TimePassed()),
)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(inputs, st.floats(0, 20), st.sampled_from(Outcome)), max_size=30),
    st.integers(4, 12),
)
def test_every_session_ends(events: list[tuple[object, float, Outcome]], length: int) -> None:
    """Deadlines lie ahead, digits never outgrow a PIN, a card is asked at once, and silence ends everything."""
    desk = Desk(pin_length=length, double_badge=5.0)
    for event, gap, outcome in events:
        desk.now += gap
        desk.session, asks = step(desk.session, event, desk.now)  # type: ignore[arg-type]
        assert len(desk.session.digits) < length
        assert not isinstance(event, CardShown) or Ask(event.key) == asks[-1]
        for ask in asks:
            if isinstance(ask, Ask):
                assert ask.late or ask.card is not None or ask.digits
                assert len(ask.digits) <= length
                reason = Reason.PIN_WRONG if outcome is Outcome.DENY else Reason.GRANTED
                desk.answer(outcome, reason=reason, card=ask.card)
        due = deadline(desk.session)
        assert due is None or due > desk.now
    desk.wait(1000)
    assert deadline(desk.session) is None
    assert desk.session.digits == ""
    assert desk.session.card is desk.session.first is None


def test_extended_time_of_one_person_is_handed_on() -> None:
    assert Desk().answer(Outcome.GRANT, extended=True) == (Granted(("ann",), extended=True),)


def test_only_digits_are_digits() -> None:
    desk = Desk()
    assert desk.keys("X1Y2A3B4C5D") == ()
    assert desk.keys("6") == (Ask(None, "123456"),)


def test_a_pin_after_a_card_may_pause_as_long_as_its_time_lasts() -> None:
    desk = Desk(pin_timeout=15.0, key_timeout=5.0)
    desk.card()
    desk.answer(Outcome.NEED_PIN)
    desk.keys("12")
    assert desk.wait(14) == ()
    assert desk.keys("3456") == (Ask(CARD, "123456"),)
