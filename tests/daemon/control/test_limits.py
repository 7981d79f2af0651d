"""How much of the socket each user gets: places at once, and turns in time."""

from __future__ import annotations

from daemon.control.limits import FOR_OPERATORS, MAX_CONNECTIONS, OF_ONE_OPERATOR, OF_ONE_VIEWER, Pace, Slots


def test_a_viewer_has_a_few_places_and_all_viewers_leave_those_of_operators() -> None:
    slots = Slots()
    served = [slots.take(uid, False) is None for uid in range(1000, 1100) for _ in range(OF_ONE_VIEWER + 1)]
    assert sum(served) == MAX_CONNECTIONS - FOR_OPERATORS
    assert served[: OF_ONE_VIEWER + 1] == [True] * OF_ONE_VIEWER + [False]
    assert [slots.take(0, True) for _ in range(OF_ONE_OPERATOR)] == [None] * OF_ONE_OPERATOR
    assert slots.take(0, True) is not None
    assert slots.take(2000, True) is None


def test_no_more_than_there_are_and_a_place_given_back_is_a_place() -> None:
    slots = Slots()
    taken = [uid for uid in range(MAX_CONNECTIONS + 5) if slots.take(uid, True) is None]
    assert len(taken) == MAX_CONNECTIONS
    assert f"{MAX_CONNECTIONS} are connected already" in str(slots.take(9999, True))
    slots.release(3, True)
    assert slots.take(9999, True) is None


def test_turns_come_one_after_the_other_and_a_burst_at_once() -> None:
    pace = Pace(1.0, burst=3)
    assert [pace.turn("a", 10.0) for _ in range(5)] == [0.0, 0.0, 0.0, 1.0, 2.0]
    assert pace.turn("b", 10.0) == 0.0
    assert pace.wait("a", 12.5) == 0.5
    assert pace.wait("a", 13.0) == 0.0
    assert [pace.turn("a", 100.0) for _ in range(4)] == [0.0, 0.0, 0.0, 1.0]


def test_what_is_not_in_turn_takes_none() -> None:
    pace = Pace(60.0)
    assert pace.now("a", 0.0)
    assert [pace.now("a", at) for at in (0.0, 30.0, 59.9, 60.0, 61.0)] == [False, False, False, True, False]
