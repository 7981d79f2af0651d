"""The session at a reader: two people who come together, and one who badges twice."""

from __future__ import annotations

import pytest

from cache.model import Outcome, Person, Reason
from daemon.decision.request import FirstPerson
from daemon.doors.door.session import Ask, DoubleBadge, FirstLeftAlone, deadline, nobody_waits
from daemon.doors.door.state import Granted
from tests.daemon.doors.door.test_session import CARD, OTHER, Desk

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


def test_a_second_whose_first_may_not_pass_any_more_is_a_first() -> None:
    desk = Desk()
    desk.answer(Outcome.NEED_SECOND_PERSON)
    assert desk.session.waiting is not None
    assert desk.session.waiting.ask == Ask(CARD)
    desk.session = nobody_waits(desk.session)
    assert desk.session.first is None
    assert desk.wait(100) == ()
