"""The transition table of a door: every state, every trigger, and what follows, in one place.

A door is five small machines that run side by side (regions): its lock, its opening, the access that was
granted but not yet used, its contact line and its REX line. ``daemon.doors.door.machine`` decides which trigger
an event is and looks the row up here; a trigger without a row changes nothing.
``python -m daemon.doors.door.table`` prints the part of docs/doors.md that is made from this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from cache.model import EventName


class LockState(StrEnum):
    """What the lock output is ordered to do."""

    LOCKED = "locked"
    STRIKE = "strike"
    EGRESS = "egress"
    UNLOCKED = "unlocked"


class DoorPosition(StrEnum):
    """Whether the door stands open, and how that came about."""

    UNKNOWN = "unknown"
    LEFT_HELD = "left_held"
    CLOSED = "closed"
    OPEN = "open"
    WARNED = "warned"
    HELD = "held"
    FORCED = "forced"
    FREE = "free"


class Access(StrEnum):
    """Whether a person who was granted has gone through."""

    NONE = "none"
    PENDING = "pending"
    LAPSED = "lapsed"


class ContactLine(StrEnum):
    """Whether the contact line can be believed. The opening keeps its last state while it cannot."""

    UNREAD = "unread"
    READ = "read"
    FAULT = "fault"


class Rex(StrEnum):
    """The REX line. Only a change from idle to active is a request."""

    UNREAD = "unread"
    IDLE = "idle"
    ACTIVE = "active"
    FAULT = "fault"


class Trigger(StrEnum):
    """What can happen to a region; ``TRIGGER_TEXT`` says it in words."""

    GRANT = "grant"
    GRANT_OPEN = "grant_open"
    GRANT_BLIND = "grant_blind"
    GRANT_FREE = "grant_free"
    HELD_FREE = "held_free"
    EGRESS = "egress"
    TIME_OVER = "time_over"
    RELOCK = "relock"
    UNLOCK = "unlock"
    WITHDRAWN = "withdrawn"
    WITHDRAWN_EGRESS = "withdrawn_egress"
    RESTORED = "restored"
    FOUND_CLOSED = "found_closed"
    FOUND_OPEN = "found_open"
    FOUND_FREE = "found_free"
    OPEN_ALLOWED = "open_allowed"
    OPEN_FREE = "open_free"
    OPEN_FORCED = "open_forced"
    CLOSED = "closed"
    WARN = "warn"
    OVERDUE = "overdue"
    FREED = "freed"
    GUARDED = "guarded"
    OPENED = "opened"
    LAPSED = "lapsed"
    LAPSED_ONE = "lapsed_one"
    LAPSED_BLIND = "lapsed_blind"
    FORGET = "forget"
    READ = "read"
    ON = "on"
    OFF = "off"
    FAULT = "fault"
    LOST = "lost"


TRIGGER_TEXT: Mapping[Trigger, str] = {
    Trigger.GRANT: "access granted, or an operator's pulse",
    Trigger.GRANT_OPEN: "access granted while the door is open",
    Trigger.GRANT_BLIND: "access granted while the contact cannot be read, or there is none",
    Trigger.GRANT_FREE: "access granted while unlocked mode holds the lock",
    Trigger.HELD_FREE: "unlocked mode takes the lock over",
    Trigger.EGRESS: "REX that releases",
    Trigger.TIME_OVER: "the release time is over",
    Trigger.RELOCK: "the door opened (relock on_open) or closed (relock on_open, on_close)",
    Trigger.UNLOCK: "the mode became unlocked",
    Trigger.WITHDRAWN: "unlocked mode ended, or blocked or lockdown began; no egress running",
    Trigger.WITHDRAWN_EGRESS: "the same while a REX release is running",
    Trigger.RESTORED: "the lock's board or reader answers again",
    Trigger.FOUND_CLOSED: "first reading: closed",
    Trigger.FOUND_OPEN: "first reading: open",
    Trigger.FOUND_FREE: "first reading: open, in unlocked mode or during a fire alarm",
    Trigger.OPEN_ALLOWED: "opened inside a shunt, while released or while REX is active",
    Trigger.OPEN_FREE: "opened in unlocked mode or during a fire alarm",
    Trigger.OPEN_FORCED: "opened with none of these",
    Trigger.CLOSED: "closed",
    Trigger.WARN: "held-open time less the warning time is over",
    Trigger.OVERDUE: "held-open time is over",
    Trigger.FREED: "unlocked mode or a fire alarm began",
    Trigger.GUARDED: "unlocked mode or the fire alarm ended",
    Trigger.OPENED: "the door opened",
    Trigger.LAPSED: "the strike time of the last grant ended and the door is still closed",
    Trigger.LAPSED_ONE: "the same of one grant, while another's runs",
    Trigger.LAPSED_BLIND: "a strike time ended and the contact cannot be read",
    Trigger.FORGET: "the last instant for a late opening is over",
    Trigger.READ: "the line reads open or closed",
    Trigger.ON: "the line reads active",
    Trigger.OFF: "the line reads idle",
    Trigger.FAULT: "the line is short or open (again: the other of the two)",
    Trigger.LOST: "the line's board stopped answering",
}


class Do(StrEnum):
    """What a row does in addition to recording events."""

    RELEASE = "release"
    HOLD = "hold"
    RELOCK = "relock"
    TIME_OPENING = "time_opening"
    STOP_TIMING = "stop_timing"
    COUNT = "count"


DO_TEXT: Mapping[Do, str] = {
    Do.RELEASE: "output on for the time that is left",
    Do.HOLD: "output on until ordered otherwise",
    Do.RELOCK: "output off",
    Do.TIME_OPENING: "start the held-open time",
    Do.STOP_TIMING: "stop the held-open time",
    Do.COUNT: "count the entry (anti-passback, occupancy)",
}

Action = Do | EventName
S = TypeVar("S", LockState, DoorPosition, Access, ContactLine, Rex)
Region = Mapping[tuple[S, Trigger], "Row[S]"]


@dataclass(frozen=True, slots=True)
class Row(Generic[S]):
    """In ``source``, ``trigger`` leads to ``target`` and does ``actions`` in that order."""

    source: S
    trigger: Trigger
    target: S
    actions: tuple[Action, ...]


def _row(source: S, trigger: Trigger, target: S, *actions: Action) -> Row[S]:
    return Row(source, trigger, target, actions)


def _index(*rows: Row[S]) -> Region[S]:
    index = {(row.source, row.trigger): row for row in rows}
    assert len(index) == len(rows), "two rows for one state and trigger"
    return index


_LOCKED = (Do.RELOCK, EventName.DOOR_LOCKED)

LOCK: Region[LockState] = _index(
    _row(LockState.LOCKED, Trigger.GRANT, LockState.STRIKE, Do.RELEASE, EventName.DOOR_RELEASED),
    _row(LockState.LOCKED, Trigger.EGRESS, LockState.EGRESS, Do.RELEASE, EventName.DOOR_RELEASED),
    _row(LockState.LOCKED, Trigger.UNLOCK, LockState.UNLOCKED, Do.HOLD, EventName.DOOR_RELEASED),
    _row(LockState.LOCKED, Trigger.RESTORED, LockState.LOCKED, Do.RELOCK),
    _row(LockState.STRIKE, Trigger.GRANT, LockState.STRIKE, Do.RELEASE),
    _row(LockState.STRIKE, Trigger.EGRESS, LockState.EGRESS, Do.RELEASE),
    _row(LockState.STRIKE, Trigger.TIME_OVER, LockState.LOCKED, *_LOCKED),
    _row(LockState.STRIKE, Trigger.RELOCK, LockState.LOCKED, *_LOCKED),
    _row(LockState.STRIKE, Trigger.UNLOCK, LockState.UNLOCKED, Do.HOLD),
    _row(LockState.STRIKE, Trigger.WITHDRAWN, LockState.LOCKED, *_LOCKED),
    _row(LockState.STRIKE, Trigger.RESTORED, LockState.LOCKED, *_LOCKED),
    _row(LockState.EGRESS, Trigger.GRANT, LockState.EGRESS, Do.RELEASE),
    _row(LockState.EGRESS, Trigger.EGRESS, LockState.EGRESS, Do.RELEASE),
    _row(LockState.EGRESS, Trigger.TIME_OVER, LockState.LOCKED, *_LOCKED),
    _row(LockState.EGRESS, Trigger.RELOCK, LockState.LOCKED, *_LOCKED),
    _row(LockState.EGRESS, Trigger.UNLOCK, LockState.UNLOCKED, Do.HOLD),
    _row(LockState.EGRESS, Trigger.WITHDRAWN, LockState.LOCKED, *_LOCKED),
    _row(LockState.EGRESS, Trigger.WITHDRAWN_EGRESS, LockState.EGRESS, Do.RELEASE),
    _row(LockState.EGRESS, Trigger.RESTORED, LockState.LOCKED, *_LOCKED),
    _row(LockState.UNLOCKED, Trigger.WITHDRAWN, LockState.LOCKED, *_LOCKED),
    _row(LockState.UNLOCKED, Trigger.WITHDRAWN_EGRESS, LockState.EGRESS, Do.RELEASE),
    _row(LockState.UNLOCKED, Trigger.RESTORED, LockState.UNLOCKED, Do.HOLD),
)

_CLOSED = (EventName.DOOR_CLOSED, Do.STOP_TIMING)

OPENING: Region[DoorPosition] = _index(
    _row(DoorPosition.UNKNOWN, Trigger.FOUND_CLOSED, DoorPosition.CLOSED),
    _row(DoorPosition.UNKNOWN, Trigger.FOUND_OPEN, DoorPosition.OPEN, EventName.DOOR_OPENED, Do.TIME_OPENING),
    _row(DoorPosition.UNKNOWN, Trigger.FOUND_FREE, DoorPosition.FREE, EventName.DOOR_OPENED),
    _row(DoorPosition.LEFT_HELD, Trigger.FOUND_CLOSED, DoorPosition.CLOSED, EventName.DOOR_HELD_CLEAR),
    _row(DoorPosition.LEFT_HELD, Trigger.FOUND_OPEN, DoorPosition.HELD, EventName.DOOR_OPENED),
    _row(DoorPosition.LEFT_HELD, Trigger.FOUND_FREE, DoorPosition.HELD, EventName.DOOR_OPENED),
    _row(DoorPosition.CLOSED, Trigger.OPEN_ALLOWED, DoorPosition.OPEN, EventName.DOOR_OPENED, Do.TIME_OPENING),
    _row(DoorPosition.CLOSED, Trigger.OPEN_FREE, DoorPosition.FREE, EventName.DOOR_OPENED),
    _row(
        DoorPosition.CLOSED, Trigger.OPEN_FORCED, DoorPosition.FORCED, EventName.DOOR_OPENED, EventName.DOOR_FORCED
    ),
    _row(DoorPosition.OPEN, Trigger.CLOSED, DoorPosition.CLOSED, *_CLOSED),
    _row(DoorPosition.OPEN, Trigger.WARN, DoorPosition.WARNED, EventName.DOOR_HELD_WARNING),
    _row(DoorPosition.OPEN, Trigger.OVERDUE, DoorPosition.HELD, EventName.DOOR_HELD),
    _row(DoorPosition.OPEN, Trigger.GRANT, DoorPosition.OPEN, Do.TIME_OPENING),
    _row(DoorPosition.OPEN, Trigger.FREED, DoorPosition.FREE, Do.STOP_TIMING),
    _row(DoorPosition.WARNED, Trigger.CLOSED, DoorPosition.CLOSED, *_CLOSED),
    _row(DoorPosition.WARNED, Trigger.OVERDUE, DoorPosition.HELD, EventName.DOOR_HELD),
    _row(DoorPosition.WARNED, Trigger.GRANT, DoorPosition.OPEN, Do.TIME_OPENING),
    _row(DoorPosition.WARNED, Trigger.FREED, DoorPosition.FREE, Do.STOP_TIMING),
    _row(DoorPosition.HELD, Trigger.CLOSED, DoorPosition.CLOSED, EventName.DOOR_CLOSED, EventName.DOOR_HELD_CLEAR),
    _row(DoorPosition.FORCED, Trigger.CLOSED, DoorPosition.CLOSED, EventName.DOOR_CLOSED),
    _row(DoorPosition.FREE, Trigger.CLOSED, DoorPosition.CLOSED, EventName.DOOR_CLOSED),
    _row(DoorPosition.FREE, Trigger.GUARDED, DoorPosition.OPEN, Do.TIME_OPENING),
)

_TAKEN = (EventName.ACCESS_TAKEN, Do.COUNT)

ACCESS: Region[Access] = _index(
    _row(Access.NONE, Trigger.GRANT, Access.PENDING),
    _row(Access.NONE, Trigger.GRANT_OPEN, Access.NONE, *_TAKEN),
    _row(Access.NONE, Trigger.GRANT_BLIND, Access.NONE, Do.COUNT),
    _row(Access.NONE, Trigger.GRANT_FREE, Access.NONE, Do.COUNT),
    _row(Access.PENDING, Trigger.GRANT_BLIND, Access.NONE, Do.COUNT),
    _row(Access.PENDING, Trigger.HELD_FREE, Access.NONE, Do.COUNT),
    _row(Access.PENDING, Trigger.OPENED, Access.NONE, *_TAKEN),
    _row(Access.PENDING, Trigger.LAPSED, Access.LAPSED, EventName.ACCESS_NOT_TAKEN),
    _row(Access.PENDING, Trigger.LAPSED_ONE, Access.PENDING, EventName.ACCESS_NOT_TAKEN),
    _row(Access.PENDING, Trigger.LAPSED_BLIND, Access.NONE, Do.COUNT),
    _row(Access.LAPSED, Trigger.GRANT, Access.PENDING),
    _row(Access.LAPSED, Trigger.GRANT_BLIND, Access.NONE, Do.COUNT),
    _row(Access.LAPSED, Trigger.HELD_FREE, Access.NONE),
    _row(Access.LAPSED, Trigger.OPENED, Access.NONE, *_TAKEN),
    _row(Access.LAPSED, Trigger.FORGET, Access.NONE),
)

SENSE: Region[ContactLine] = _index(
    _row(ContactLine.UNREAD, Trigger.READ, ContactLine.READ),
    _row(ContactLine.UNREAD, Trigger.FAULT, ContactLine.FAULT, EventName.INPUT_FAULT),
    _row(ContactLine.READ, Trigger.FAULT, ContactLine.FAULT, EventName.INPUT_FAULT),
    _row(ContactLine.READ, Trigger.LOST, ContactLine.UNREAD),
    _row(ContactLine.FAULT, Trigger.READ, ContactLine.READ, EventName.INPUT_CLEAR),
    _row(ContactLine.FAULT, Trigger.FAULT, ContactLine.FAULT, EventName.INPUT_FAULT),
)

REX: Region[Rex] = _index(
    _row(Rex.UNREAD, Trigger.OFF, Rex.IDLE),
    _row(Rex.UNREAD, Trigger.ON, Rex.ACTIVE),
    _row(Rex.UNREAD, Trigger.FAULT, Rex.FAULT, EventName.INPUT_FAULT),
    _row(Rex.IDLE, Trigger.ON, Rex.ACTIVE, EventName.REX),
    _row(Rex.IDLE, Trigger.FAULT, Rex.FAULT, EventName.INPUT_FAULT),
    _row(Rex.IDLE, Trigger.LOST, Rex.UNREAD),
    _row(Rex.ACTIVE, Trigger.OFF, Rex.IDLE),
    _row(Rex.ACTIVE, Trigger.FAULT, Rex.FAULT, EventName.INPUT_FAULT),
    _row(Rex.ACTIVE, Trigger.LOST, Rex.UNREAD),
    _row(Rex.FAULT, Trigger.OFF, Rex.IDLE, EventName.INPUT_CLEAR),
    _row(Rex.FAULT, Trigger.ON, Rex.ACTIVE, EventName.INPUT_CLEAR),
    _row(Rex.FAULT, Trigger.FAULT, Rex.FAULT, EventName.INPUT_FAULT),
)


def _section(name: str, first: S, rows: Region[S]) -> list[str]:
    """One region as Markdown: a table of its rows and a Mermaid diagram."""
    lines: list[str] = [f"### {name}", "", "| in | when | then | and |", "|---|---|---|---|"]
    for row in rows.values():
        done = ", ".join(
            f"`{action.value}`" if isinstance(action, EventName) else DO_TEXT[action] for action in row.actions
        )
        lines.append(
            f"| {row.source} | {TRIGGER_TEXT[row.trigger]} | {row.target} | {done} |".replace("|  |", "| |")
        )
    lines += ["", "```mermaid", "stateDiagram-v2", f"    [*] --> {first}"]
    lines += [f"    {row.source} --> {row.target}: {row.trigger}" for row in rows.values()]
    return [*lines, "```", ""]


def markdown() -> str:
    """The generated part of docs/doors.md."""
    return "\n".join(
        [
            *_section("Lock", LockState.LOCKED, LOCK),
            *_section("Opening", DoorPosition.UNKNOWN, OPENING),
            *_section("Access", Access.NONE, ACCESS),
            *_section("Contact line", ContactLine.UNREAD, SENSE),
            *_section("REX line", Rex.UNREAD, REX),
        ]
    )


if __name__ == "__main__":
    print(markdown())  # noqa: T201  the text is the product of this command
