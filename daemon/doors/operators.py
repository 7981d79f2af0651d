"""What an operator may ask of the doors: checked as a whole, then carried out and put on record.

The control socket and the scenario runner both come through here, so that an order means the same in both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from cache.model import Moment
from daemon.doors.controller.controller import Controller
from daemon.doors.controller.effects import Effects
from daemon.doors.controller.orders import DoorAction, OperatorOrder

EVERY_DOOR = "all"


class Operated(Protocol):
    """The doors, as far as an operator's order concerns them."""

    @property
    def controller(self) -> Controller:
        """Their controller."""

    def act(self, effects: Effects, now: Moment) -> None:
        """Carry out effects."""


@dataclass(frozen=True, slots=True)
class DoorRequest:
    """An order as it is asked for: ``door`` may be ``all``, ``seconds`` is how long, ``until_edge`` an end."""

    actor: str
    action: DoorAction
    door: str
    seconds: float | None = None
    until_edge: bool = False
    reason: str = ""


def order_doors(doors: Operated, request: DoorRequest, now: Moment) -> None:
    """Carry out an order for one door or for all. ``ValueError``: it makes no sense, and nothing is done."""
    for order in tuple(orders(doors.controller, request, now)):
        doors.act(doors.controller.operate(order, now), now)


def orders(controller: Controller, request: DoorRequest, now: Moment) -> Iterator[OperatorOrder]:
    """The orders that a request means, one a door. Raises ``ValueError``."""
    names, action = tuple(controller.doors), request.action
    if request.door != EVERY_DOOR and request.door not in names:
        raise ValueError(f'there is no door "{request.door}"; there are: {", ".join(names)}, or all')
    pulse = action is DoorAction.PULSE
    if action in (DoorAction.LOCKDOWN, DoorAction.RELEASE) and (request.until_edge or request.seconds is not None):
        raise ValueError(f"door: {action.value} has no end: a lockdown holds until it is released")
    if request.until_edge and (pulse or request.seconds is not None):
        raise ValueError("door: the next edge is an end for unlock, lock and block, and the only one then")
    until = None if request.seconds is None or pulse else now.utc + timedelta(seconds=request.seconds)
    for name in names if request.door == EVERY_DOOR else (request.door,):
        end = _next_edge(controller, name, now) if request.until_edge else until
        yield OperatorOrder(request.actor, action, name, end, request.seconds, request.reason)


def forgive_person(doors: Operated, actor: str, person: str, in_directory: bool, now: Moment) -> None:
    """Forget where a person is. ``ValueError``: neither the directory nor any area knows them."""
    if not in_directory and not doors.controller.knows_where(person):
        raise ValueError(f'the directory has no person of the id "{person}"')
    doors.act(doors.controller.forgive(actor, person, now), now)


def forgive_area(doors: Operated, actor: str, area: str, now: Moment) -> None:
    """Forget everyone who is in an area. ``ValueError``: the site file gives that area no rules."""
    doors.act(doors.controller.forgive_area(actor, area, now), now)


def _next_edge(controller: Controller, door: str, now: Moment) -> datetime:
    try:
        return controller.doors[door].next_edge(now)
    except ValueError as error:
        raise ValueError(f"{error}; say a time instead") from None
