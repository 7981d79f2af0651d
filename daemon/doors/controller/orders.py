"""What an operator can order for a door, and how it is put on record. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from cache.model import DetailValue, Event, EventName, Mode


class DoorAction(StrEnum):
    """``latchctl door ACTION``; ``release`` ends a lockdown, or else an override."""

    LOCKDOWN = "lockdown"
    RELEASE = "release"
    UNLOCK = "unlock"
    LOCK = "lock"
    PULSE = "pulse"
    BLOCK = "block"


OVERRIDE_MODES: Mapping[DoorAction, Mode] = MappingProxyType(
    {DoorAction.UNLOCK: Mode.UNLOCKED, DoorAction.LOCK: Mode.LOCKED, DoorAction.BLOCK: Mode.BLOCKED}
)


@dataclass(frozen=True, slots=True)
class OperatorOrder:
    """One order for one door: who, what, until when (``None``: until released), and why.

    ``seconds`` is the length of a pulse (``None``: the door's strike time), or how long a mode is to hold, however
    the clock is set meanwhile; ``until`` is its end by the clock then.
    """

    actor: str
    action: DoorAction
    door: str
    until: datetime | None = None
    seconds: float | None = None
    reason: str = ""


def operator_event(order: OperatorOrder, refused: str = "") -> Event:
    """The order on record; ``refused``: by what, where it was not carried out."""
    detail: list[tuple[str, DetailValue]] = [("name", order.actor), ("action", order.action.value)]
    if order.until is not None:
        detail.append(("until", order.until.isoformat()))
    elif order.seconds is not None:
        detail.append(("seconds", order.seconds))
    if order.reason:
        detail.append(("because", order.reason))
    if refused:
        detail.append(("refused", refused))
    return Event(EventName.OPERATOR, order.door, detail=tuple(detail))
