"""What an operator asks for is checked as a whole before the first door is touched."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cache.model import Mode, Moment
from daemon.doors.controller.controller import Controller
from daemon.doors.controller.effects import Effects
from daemon.doors.controller.orders import DoorAction
from daemon.doors.operators import DoorRequest, forgive_area, forgive_person, order_doors, orders
from tests.daemon.doors.controller.bench import Bench


class Doors:
    """The doors of a bench that carries out what is ordered, and counts it."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.acted = 0

    @property
    def controller(self) -> Controller:
        """The controller of the bench."""
        return self.bench.controller

    def act(self, effects: Effects, now: Moment) -> None:
        """Carry it out."""
        del now
        self.bench.take(effects)
        self.acted += 1


@pytest.fixture
def doors() -> Doors:
    return Doors()


def test_an_order_for_all_is_one_for_each_door(doors: Doors) -> None:
    now = doors.bench.now
    order_doors(doors, DoorRequest("eve", DoorAction.LOCKDOWN, "all", reason="drill"), now)
    assert doors.acted == len(doors.controller.doors)
    assert {door.state.mode for door in doors.controller.doors.values()} == {Mode.LOCKDOWN}


def test_a_length_is_an_end_but_for_a_pulse(doors: Doors) -> None:
    now = doors.bench.now
    door = next(iter(doors.controller.doors))
    [unlock] = orders(doors.controller, DoorRequest("eve", DoorAction.UNLOCK, door, 60.0), now)
    [pulse] = orders(doors.controller, DoorRequest("eve", DoorAction.PULSE, door, 3.0), now)
    assert (unlock.until, unlock.seconds) == (now.utc + timedelta(minutes=1), 60.0)
    assert (pulse.until, pulse.seconds) == (None, 3.0)


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (DoorRequest("eve", DoorAction.LOCK, "nowhere"), 'there is no door "nowhere"; there are: '),
        (DoorRequest("eve", DoorAction.LOCKDOWN, "all", 60.0), "lockdown has no end"),
        (DoorRequest("eve", DoorAction.RELEASE, "all", until_edge=True), "release has no end"),
        (DoorRequest("eve", DoorAction.PULSE, "all", until_edge=True), "the next edge is an end for unlock"),
        (DoorRequest("eve", DoorAction.UNLOCK, "all", 60.0, until_edge=True), "and the only one then"),
    ],
)
def test_what_makes_no_sense_orders_nothing(doors: Doors, request_: DoorRequest, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        order_doors(doors, request_, doors.bench.now)
    assert doors.acted == 0


def test_no_one_is_forgiven_whom_no_one_knows(doors: Doors) -> None:
    now = doors.bench.now
    with pytest.raises(ValueError, match='no person of the id "u99"'):
        forgive_person(doors, "eve", "u99", False, now)
    with pytest.raises(ValueError, match='there is no area "nowhere"'):
        forgive_area(doors, "eve", "nowhere", now)
    assert doors.acted == 0
    forgive_person(doors, "eve", "u99", True, now)
    assert doors.acted == 1
