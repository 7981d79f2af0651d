"""Positions, occupancy and interlocks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.model import Moment
from daemon.config.bounds import InterlockRule
from daemon.decision.door_rules import Area
from daemon.decision.request import Position
from daemon.doors.door.durable import Durable
from daemon.doors.door.elapsed import Restart
from daemon.doors.door.space import Interlock, Moved, Space, interlocked_by, restarted
from daemon.doors.door.state import DoorConfig, DoorState
from daemon.doors.door.table import ContactLine, DoorPosition, LockState

BERLIN = ZoneInfo("Europe/Berlin")
AREAS = {"office": Area("office"), "lab": Area("lab", reset=240)}
NOON = datetime(2026, 3, 2, 11, tzinfo=UTC)


def at(utc: datetime) -> Moment:
    """An instant on both clocks."""
    return Moment(utc, (utc - NOON).total_seconds())


def space(*moves: Moved) -> Space:
    return Space(AREAS, BERLIN, moves)


def test_people_come_and_go() -> None:
    here = space()
    assert here.enter("ann", "office", at(NOON)) == Moved("ann", "office", NOON, 0.0)
    here.enter("bob", "office", at(NOON))
    assert here.positions == {"ann": Position("office", NOON, 0.0), "bob": Position("office", NOON, 0.0)}
    assert (here.occupancy("office"), here.occupancy("lab"), here.occupancy("outside"), here.occupancy(None)) == (
        2,
        0,
        0,
        0,
    )
    here.enter("ann", "lab", at(NOON))
    assert (here.occupancy("office"), here.occupancy("lab")) == (1, 1)
    assert here.enter("ann", None, at(NOON)) == Moved("ann", None, NOON, 0.0)
    assert here.enter("bob", "outside", at(NOON)) == Moved("bob", None, NOON, 0.0)
    assert here.positions == {}


def test_the_same_person_twice_is_one() -> None:
    here = space()
    here.enter("ann", "office", at(NOON))
    later = NOON + timedelta(hours=1)
    here.enter("ann", "office", at(later))
    assert here.occupancy("office") == 1
    assert here.positions["ann"].since == later


def test_forgiven_by_person_and_by_area() -> None:
    here = space()
    for person, area in (("ann", "office"), ("bob", "office"), ("eve", "lab")):
        here.enter(person, area, at(NOON))
    assert here.forgive("ann", at(NOON)) == Moved("ann", None, NOON, 0.0)
    assert here.forgive("nobody", at(NOON)) == Moved("nobody", None, NOON, 0.0)
    assert here.clear("office", at(NOON)) == (Moved("bob", None, NOON),)
    assert here.clear("office", at(NOON)) == ()
    assert dict(here.positions) == {"eve": Position("lab", NOON, 0.0)}


def test_forgiven_at_the_hour_of_the_area() -> None:
    here = space()
    here.enter("ann", "office", at(NOON))
    here.enter("eve", "lab", at(NOON))
    reset = datetime(2026, 3, 3, 3, tzinfo=UTC)  # 04:00 in Berlin
    assert here.expire(at(NOON)) == ()
    here.enter("bob", "lab", at(NOON + timedelta(hours=1)))
    assert here.expire(at(reset - timedelta(seconds=1))) == ()
    assert here.expire(at(reset)) == (Moved("eve", None, reset), Moved("bob", None, reset))
    assert here.expire(at(reset)) == ()
    assert (here.occupancy("lab"), here.occupancy("office")) == (0, 1)
    here.enter("eve", "lab", at(reset))
    assert here.expire(at(reset + timedelta(hours=1))) == ()
    assert here.occupancy("lab") == 1


def test_a_restart_expires_what_was_due_meanwhile() -> None:
    here = space(Moved("eve", "lab", NOON))
    reset = datetime(2026, 3, 3, 3, tzinfo=UTC)
    assert here.expire(at(reset + timedelta(hours=5))) == (Moved("eve", None, reset),)


def test_each_area_has_its_hour() -> None:
    """The office's hour passes while the lab's has not come, and the other way round; people come in between."""
    areas = {"office": Area("office", reset=180), "yard": Area("yard"), "lab": Area("lab", reset=240)}
    here = Space(areas, BERLIN)
    for person, area in (("ann", "office"), ("eve", "lab"), ("yan", "yard")):
        here.enter(person, area, at(NOON))
    two, three = (datetime(2026, 3, 3, hour, tzinfo=UTC) for hour in (2, 3))  # 03:00 and 04:00 in Berlin
    assert here.expire(at(two)) == (Moved("ann", None, two),)
    here.enter("bob", "office", at(two))
    assert here.expire(at(two)) == ()
    assert here.expire(at(three)) == (Moved("eve", None, three),)
    here.enter("eve", "lab", at(three))
    assert here.expire(at(three + timedelta(hours=1))) == ()
    assert set(here.positions) == {"bob", "eve", "yan"}
    at_the_hour = Space(areas, BERLIN, [Moved("eve", "lab", three)])
    assert at_the_hour.expire(at(three)) == ()


NESTED = {
    "office": Area("office", reset=240),
    "lab": Area("lab", reset=300, outer=frozenset({"office"})),
    "garage": Area("garage"),
}
HOUR = timedelta(hours=1)


def test_who_is_in_an_inner_area_is_counted_in_the_outer_ones_too() -> None:
    here = Space(NESTED, BERLIN)
    here.enter("ann", "office", at(NOON))
    moved = here.enter("ann", "lab", at(NOON + HOUR))
    office = Position("office", NOON, 0.0)
    assert moved == Moved("ann", "lab", NOON + HOUR, 3600.0, (office,))
    assert (here.occupancy("office"), here.occupancy("lab")) == (1, 1)
    assert here.enter("ann", "office", at(NOON + 2 * HOUR), leaving=True) == Moved("ann", "office", NOON, 0.0)
    assert (here.occupancy("office"), here.occupancy("lab")) == (1, 0)
    here.enter("ann", "garage", at(NOON + 3 * HOUR))
    assert (here.occupancy("office"), here.occupancy("garage")) == (0, 1)


def test_who_was_not_seen_to_enter_the_outer_area_is_in_it_from_now_on() -> None:
    here = Space(NESTED, BERLIN)
    here.enter("ann", "lab", at(NOON))
    assert here.positions["ann"].outer == (Position("office", NOON, 0.0),)
    here.enter("ann", "office", at(NOON + HOUR))
    assert here.positions["ann"] == Position("office", NOON + HOUR, 3600.0), "entered again, not left into"


def test_each_stay_is_forgiven_by_itself() -> None:
    here = Space(NESTED, BERLIN)
    here.enter("ann", "office", at(NOON))
    here.enter("ann", "lab", at(NOON + HOUR))
    assert here.clear("office", at(NOON)) == (Moved("ann", "lab", NOON + HOUR, 3600.0),)
    assert (here.occupancy("office"), here.occupancy("lab")) == (0, 1)
    here.enter("ann", "lab", at(NOON))
    five, six = (datetime(2026, 3, 3, hour, tzinfo=UTC) for hour in (3, 4))
    here.expire(at(NOON))
    assert here.expire(at(five)) == (Moved("ann", "lab", NOON, 0.0),), "04:00 is the hour of the office"
    assert here.expire(at(six)) == (Moved("ann", None, six),)


@pytest.mark.parametrize(("wall", "reached", "lasted"), [(600.0, 100.0, 100.0), (50.0, 100.0, 50.0)])
def test_over_a_restart_a_stay_is_no_older_than_is_certain(wall: float, reached: float, lasted: float) -> None:
    moved = Moved("ann", "lab", NOON, 0.0, (Position("office", NOON, 0.0),))
    restart = Restart(Moment(NOON + timedelta(seconds=wall), 7.0), reached)
    again = restarted(moved, restart)
    assert (again.entered, again.outer[0].entered) == (7.0 - lasted, 7.0 - lasted)
    assert (again.since, again.area) == (NOON, "lab")
    old = restarted(Moved("ann", "lab", NOON), restart)
    assert old.entered == 7.0


def test_positions_cannot_be_changed_from_outside() -> None:
    with pytest.raises(TypeError):
        space().positions["ann"] = Position("office", NOON)  # type: ignore[index]


steps = st.lists(
    st.tuples(
        st.sampled_from(["enter", "forgive", "clear", "expire"]),
        st.sampled_from(["ann", "bob", "eve"]),
        st.sampled_from(["office", "lab", "outside", None]),
        st.integers(0, 20),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=100)
@given(steps)
def test_what_was_returned_is_the_whole_truth(steps: list[tuple[str, str, str | None, int]]) -> None:
    """Occupancy is the number of positions, and the moves, through text, rebuild both."""
    here, moves, now = space(), [], NOON
    for action, person, area, hours in steps:
        now += timedelta(hours=hours)
        match action:
            case "enter":
                moves.append(here.enter(person, area, at(now)))
            case "forgive":
                moves.append(here.forgive(person, at(now)))
            case "clear":
                moves += here.clear(area or "", at(now))
            case _:
                moves += here.expire(at(now))
        for name in AREAS:
            assert here.occupancy(name) == sum(p.area == name for p in here.positions.values())
    durable = Durable(Moved)
    latest = {move.person: durable.load(durable.dump(move)) for move in moves}
    for again in (space(*moves), space(*latest.values())):
        assert again.positions == here.positions
        assert [again.occupancy(name) for name in AREAS] == [here.occupancy(name) for name in AREAS]


# ------------------------------------------------------------------ interlock


def door(**keys: Any) -> DoorState:
    state = DoorState(DoorConfig(name="door", has_contact=keys.pop("has_contact", True)))
    return replace(state, **({"sense": ContactLine.READ, "opening": DoorPosition.CLOSED} | keys))


@pytest.mark.parametrize(
    ("other", "one_open", "one_released"),
    [
        (door(), False, False),
        (door(lock=LockState.STRIKE), True, True),
        (door(lock=LockState.EGRESS), True, True),
        (door(lock=LockState.UNLOCKED), True, True),
        (door(opening=DoorPosition.OPEN), True, False),
        (door(opening=DoorPosition.FORCED), True, False),
        (door(sense=ContactLine.FAULT), True, False),
        (door(sense=ContactLine.UNREAD), True, False),
        (door(has_contact=False, sense=ContactLine.UNREAD), False, False),
        (door(has_contact=False, lock=LockState.STRIKE), True, True),
    ],
)
def test_interlock(other: DoorState, one_open: bool, one_released: bool) -> None:
    states = {"a": door(lock=LockState.STRIKE, opening=DoorPosition.OPEN), "b": other, "c": door()}
    for rule, busy in ((InterlockRule.ONE_OPEN, one_open), (InterlockRule.ONE_RELEASED, one_released)):
        sets = (Interlock(("x", "y"), rule), Interlock(("a", "b", "gone"), rule))
        assert interlocked_by("a", sets, states) == ("b" if busy else None)
        assert interlocked_by("c", sets, states) is None
