"""The session at a reader: which question is asked when, and what an answer leads to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.model import Decision, Moment, Outcome, Person, Reason, RuleResult
from daemon.decision.request import FirstPerson
from daemon.doors.door.session import (
    Answer,
    Ask,
    CardShown,
    FirstLeftAlone,
    KeysPressed,
    ReaderAway,
    Session,
    SessionConfig,
    TimePassed,
    answer,
    counts_to_lockout,
    deadline,
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

    def away(self) -> tuple[Ask | FirstLeftAlone, ...]:
        self.session, asks = step(self.session, ReaderAway(), self.now)
        return asks


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
    assert desk.session.card == CARD
    digits = "123456" if keys == "123456" else "1234"
    assert desk.keys(keys) == (Ask(CARD, digits),)
    assert desk.session.card is None
    assert deadline(desk.session) is None


def test_keys_one_by_one_do_not_prolong_the_time_after_a_card() -> None:
    desk = Desk(pin_timeout=15.0)
    desk.card()
    desk.answer(Outcome.NEED_PIN)
    for digit in "123":
        assert desk.wait(4) == ()
        assert desk.keys(digit) == ()
    assert deadline(desk.session) == pytest.approx(115.0)
    assert desk.wait(3) == (Ask(CARD, late=True, begun=True),)
    assert desk.keys("45#") == (), "the rest of the same attempt"
    assert desk.keys("45#") == (Ask(None, "45"),)


def test_a_late_key_comes_after_the_refusal_and_belongs_to_it() -> None:
    desk = Desk()
    desk.card()
    desk.answer(Outcome.NEED_PIN)
    desk.now += 15
    assert desk.keys("1") == (Ask(CARD, late=True),)
    assert desk.session.digits == ""
    assert desk.wait(100) == ()


@pytest.mark.parametrize("typed", ["13579", ""])
def test_late_digits_belong_to_the_attempt_until_ten_seconds_without_a_key(typed: str) -> None:
    desk = Desk(pin_timeout=15.0)
    desk.card()
    desk.answer(Outcome.NEED_PIN)
    desk.keys(typed)
    assert desk.wait(15) == (Ask(CARD, late=True, begun=bool(typed)),)
    for _ in range(3):
        desk.now += 9.9
        assert desk.keys("0") == ()
    desk.now += 10
    assert desk.keys("12#") == (Ask(None, "12"),)


def test_late_digits_belong_to_the_attempt_until_the_next_card() -> None:
    desk = Desk()
    desk.card()
    desk.answer(Outcome.NEED_PIN)
    desk.keys("1")
    desk.wait(15)
    assert desk.keys("99*") == ()
    assert desk.card(OTHER) == (Ask(OTHER),)
    desk.answer(Outcome.NEED_PIN, card=OTHER)
    assert desk.keys("246810") == (Ask(OTHER, "246810"),)


def test_digits_too_many_belong_to_the_attempt_that_the_length_ended() -> None:
    desk = Desk()
    desk.card()
    desk.answer(Outcome.NEED_PIN)
    assert desk.keys("12345678#") == (Ask(CARD, "123456"),)
    assert desk.keys("12#") == (Ask(None, "12"),), "the hash key has ended it"


def test_a_pin_that_the_hash_key_ended_has_no_rest() -> None:
    desk = Desk()
    desk.card()
    desk.answer(Outcome.NEED_PIN)
    assert desk.keys("1234#56#") == (Ask(CARD, "1234"), Ask(None, "56"))


def test_the_rest_of_a_pin_alone_that_came_late_belongs_to_it() -> None:
    desk = Desk(key_timeout=5.0)
    desk.keys("12")
    assert desk.wait(5) == (Ask(late=True, begun=True),)
    assert desk.keys("34#") == ()
    assert desk.keys("34#") == (Ask(None, "34"),)


def test_a_reader_that_goes_away_voids_the_card_that_waits_for_its_pin() -> None:
    desk = Desk()
    desk.card()
    desk.answer(Outcome.NEED_PIN)
    desk.keys("12")
    assert desk.away() == (Ask(CARD, late=True),), "nobody has guessed"
    assert desk.away() == ()
    assert deadline(desk.session) is None
    assert desk.keys("246810") == (Ask(None, "246810"),)


def test_a_reader_that_goes_away_keeps_the_first_of_two() -> None:
    desk = Desk()
    desk.card()
    desk.answer(Outcome.NEED_SECOND_PERSON)
    assert desk.away() == ()
    assert desk.session.first == FirstPerson("ann", 100.0)


# ------------------------------------------------------------------ a PIN that nobody asked for


@pytest.mark.parametrize(("outcome", "denied"), [(Outcome.GRANT, False), (Outcome.DENY, True)])
def test_a_pin_after_a_card_that_was_decided_without_one_belongs_to_that_card(
    outcome: Outcome, denied: bool
) -> None:
    desk = Desk(pin_timeout=15.0)
    desk.card()
    desk.answer(outcome, reason=Reason.LOCKDOWN)
    desk.now += 14.9
    assert desk.keys("13579124") == (Ask(None, "135791", after=CARD, denied=denied),)
    assert desk.keys("#135791") == (Ask(None, "135791"),), "one PIN for one card"


def test_it_has_the_time_of_a_pin() -> None:
    desk = Desk(pin_timeout=15.0)
    desk.card()
    desk.answer(Outcome.DENY)
    desk.now += 15
    assert desk.keys("135791") == (Ask(None, "135791"),)


def test_one_that_was_begun_and_not_finished_is_the_card_s_too() -> None:
    desk = Desk(key_timeout=5.0)
    desk.card()
    desk.answer(Outcome.DENY)
    desk.keys("13")
    assert desk.wait(5) == (Ask(late=True, begun=True, after=CARD, denied=True),)


def test_only_a_card_that_was_decided_without_a_pin_has_one_after_it() -> None:
    desk = Desk()
    desk.card()
    desk.answer(Outcome.NEED_PIN)
    desk.session, _ = answer(
        desk.session, Ask(CARD, "000000"), Decision(Outcome.DENY, Reason.PIN_WRONG, ()), desk.moment
    )
    assert desk.session.decided is None


def test_another_card_ends_the_one_that_waits() -> None:
    desk = Desk()
    desk.card()
    desk.answer(Outcome.NEED_PIN)
    desk.keys("12")
    assert desk.card(OTHER) == (Ask(CARD, late=True, begun=True), Ask(OTHER))
    assert desk.session.digits == ""
    desk.answer(Outcome.NEED_PIN, card=OTHER)
    assert desk.card() == (Ask(OTHER, late=True), Ask(CARD)), "no PIN was begun"


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
    assert desk.wait(5) == (Ask(late=True, begun=True),)
    assert desk.session.digits == ""
    desk.now += 10
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


# ------------------------------------------------------------------ what counts to a lockout


@pytest.mark.parametrize(
    ("ask", "reason", "alone", "counts"),
    [
        (Ask(CARD, "000000"), Reason.PIN_WRONG, False, True),
        (Ask(CARD, late=True, begun=True), Reason.PIN_TIMEOUT, False, True),
        (Ask(CARD, late=True), Reason.PIN_TIMEOUT, False, False),  # a card without a PIN is no guess
        (Ask(None, "000000"), Reason.PIN_WRONG, True, True),
        (Ask(None, "000000"), Reason.PIN_WRONG, False, False),  # a vandal
        (Ask(late=True, begun=True), Reason.PIN_TIMEOUT, True, False),  # keys that somebody touched
        (Ask(CARD, "000000"), Reason.PIN_LOCKED_OUT, True, False),
        (Ask(CARD, "000000"), Reason.NO_ACCESS_HERE, True, False),
        (Ask(None, "000000"), Reason.PIN_REQUIRED, True, False),
    ],
)
def test_what_counts_to_a_lockout(ask: Ask, reason: Reason, alone: bool, counts: bool) -> None:
    assert counts_to_lockout(ask, Decision(Outcome.DENY, reason, ()), alone=alone) is counts


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
