"""Positions, occupancy and interlocks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.config.bounds import InterlockRule
from daemon.decision.door_rules import Area
from daemon.decision.request import Position
from daemon.doors.door.durable import Durable
from daemon.doors.door.space import Interlock, Moved, Space, interlocked_by
from daemon.doors.door.state import DoorConfig, DoorState
from daemon.doors.door.table import ContactLine, DoorPosition, LockState

BERLIN = ZoneInfo("Europe/Berlin")
AREAS = {"office": Area("office"), "lab": Area("lab", reset=240)}
NOON = datetime(2026, 3, 2, 11, tzinfo=UTC)


def space(*moves: Moved) -> Space:
    return Space(AREAS, BERLIN, moves)


def test_people_come_and_go() -> None:
    here = space()
    assert here.enter("ann", "office", NOON) == Moved("ann", "office", NOON)
    here.enter("bob", "office", NOON)
    assert here.positions == {"ann": Position("office", NOON), "bob": Position("office", NOON)}
    assert (here.occupancy("office"), here.occupancy("lab"), here.occupancy("outside"), here.occupancy(None)) == (
        2,
        0,
        0,
        0,
    )
    here.enter("ann", "lab", NOON)
    assert (here.occupancy("office"), here.occupancy("lab")) == (1, 1)
    assert here.enter("ann", None, NOON) == Moved("ann", None, NOON)
    assert here.enter("bob", "outside", NOON) == Moved("bob", None, NOON)
    assert here.positions == {}


def test_the_same_person_twice_is_one() -> None:
    here = space()
    here.enter("ann", "office", NOON)
    later = NOON + timedelta(hours=1)
    here.enter("ann", "office", later)
    assert here.occupancy("office") == 1
    assert here.positions["ann"].since == later


def test_forgiven_by_person_and_by_area() -> None:
    here = space()
    for person, area in (("ann", "office"), ("bob", "office"), ("eve", "lab")):
        here.enter(person, area, NOON)
    assert here.forgive("ann", NOON) == Moved("ann", None, NOON)
    assert here.forgive("nobody", NOON) == Moved("nobody", None, NOON)
    assert here.clear("office", NOON) == (Moved("bob", None, NOON),)
    assert here.clear("office", NOON) == ()
    assert dict(here.positions) == {"eve": Position("lab", NOON)}


def test_forgiven_at_the_hour_of_the_area() -> None:
    here = space()
    here.enter("ann", "office", NOON)
    here.enter("eve", "lab", NOON)
    reset = datetime(2026, 3, 3, 3, tzinfo=UTC)  # 04:00 in Berlin
    assert here.expire(NOON) == ()
    here.enter("bob", "lab", NOON + timedelta(hours=1))
    assert here.expire(reset - timedelta(seconds=1)) == ()
    assert here.expire(reset) == (Moved("eve", None, reset), Moved("bob", None, reset))
    assert here.expire(reset) == ()
    assert (here.occupancy("lab"), here.occupancy("office")) == (0, 1)
    here.enter("eve", "lab", reset)
    assert here.expire(reset + timedelta(hours=1)) == ()
    assert here.occupancy("lab") == 1


def test_a_restart_expires_what_was_due_meanwhile() -> None:
    here = space(Moved("eve", "lab", NOON))
    reset = datetime(2026, 3, 3, 3, tzinfo=UTC)
    assert here.expire(reset + timedelta(hours=5)) == (Moved("eve", None, reset),)


def test_each_area_has_its_hour() -> None:
    """The office's hour passes while the lab's has not come, and the other way round; people come in between."""
    areas = {"office": Area("office", reset=180), "yard": Area("yard"), "lab": Area("lab", reset=240)}
    here = Space(areas, BERLIN)
    for person, area in (("ann", "office"), ("eve", "lab"), ("yan", "yard")):
        here.enter(person, area, NOON)
    two, three = (datetime(2026, 3, 3, hour, tzinfo=UTC) for hour in (2, 3))  # 03:00 and 04:00 in Berlin
    assert here.expire(two) == (Moved("ann", None, two),)
    here.enter("bob", "office", two)
    assert here.expire(two) == ()
    assert here.expire(three) == (Moved("eve", None, three),)
    here.enter("eve", "lab", three)
    assert here.expire(three + timedelta(hours=1)) == ()
    assert set(here.positions) == {"bob", "eve", "yan"}
    at_the_hour = Space(areas, BERLIN, [Moved("eve", "lab", three)])
    assert at_the_hour.expire(three) == ()


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
                moves.append(here.enter(person, area, now))
            case "forgive":
                moves.append(here.forgive(person, now))
            case "clear":
                moves += here.clear(area or "", now)
            case _:
                moves += here.expire(now)
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
