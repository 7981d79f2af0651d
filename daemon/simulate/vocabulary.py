"""The words of scenario files: every step with the words that follow it, every event with its fields. Pure.

docs/scenarios.md lists both for people, and a test compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cache.model import EventName

FORWARD = "+DURATION"
"""The step that is a word of its own: time goes on."""

FORMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "config": ("FILE",),
        "directory": ("FILE",),
        "start": ("INSTANT", "INSTANT trusted"),
        "at": ("INSTANT",),
        "badge": ("READER CARD",),
        "keys": ("READER KEYS",),
        "contact": ("DOOR open|closed|short|cut [for DURATION]",),
        "rex": ("DOOR on|off|short|open|cut [for DURATION]",),
        "input": ("NAME on|off|short|open|cut [for DURATION]",),
        "tamper": ("READER on|off",),
        "reader": ("READER offline|online",),
        "board": ("BOARD offline|online",),
        "sync": ("ok|fail", "fail KIND"),
        "operator": (
            "NAME lockdown|release DOOR|all [because TEXT]",
            "NAME unlock|lock|pulse|block DOOR|all [for DURATION] [because TEXT]",
            "NAME unlock|lock|block DOOR|all until edge [because TEXT]",
            "NAME forgive PERSON",
            "NAME forgive area AREA",
            "NAME sync accept|reject|disconnect|resume",
        ),
        "clock": ("jump ±DURATION", "unsynced|synced|unset"),
        "restart": ("",),
        "power-cut": ("[for DURATION]",),
        "expect": ("EVENT [KEY=VALUE …]",),
        "expect-no": ("EVENT [KEY=VALUE …]",),
        "quiet": ("",),
        "clear": ("",),
        "expect-lock": ("DOOR locked|released",),
        "expect-mode": ("DOOR MODE",),
        "expect-output": ("NAME on|off",),
    }
)
"""Every step but ``FORWARD``. Lower-case words stand for themselves, capitals for a value, brackets may be left
out; a step with several forms has one of them."""

_ACCESS = ("door", "reader", "person", "reason", "group", "level", "generation", "bits")
_PASSAGE = ("door", "reader", "person")
_DOOR = ("door",)
_LINK = ("door", "reader")
_TAMPER = ("door", "reader", "device")
_BOARD = ("board", "why")

EVENT_FIELDS: Mapping[EventName, tuple[str, ...]] = MappingProxyType(
    {
        EventName.ACCESS_GRANTED: _ACCESS,
        EventName.ACCESS_DENIED: _ACCESS,
        EventName.ACCESS_TAKEN: _PASSAGE,
        EventName.ACCESS_NOT_TAKEN: _PASSAGE,
        EventName.DOOR_RELEASED: _DOOR,
        EventName.DOOR_LOCKED: _DOOR,
        EventName.DOOR_OPENED: ("door", "found"),
        EventName.DOOR_CLOSED: _DOOR,
        EventName.DOOR_FORCED: _DOOR,
        EventName.DOOR_HELD_WARNING: _DOOR,
        EventName.DOOR_HELD: _DOOR,
        EventName.DOOR_HELD_CLEAR: _DOOR,
        EventName.DOOR_MODE: ("door", "mode", "cause"),
        EventName.DOOR_MODE_WAITING: ("door", "mode", "cause", "with"),
        EventName.REX: _DOOR,
        EventName.DURESS: _PASSAGE,
        EventName.APB_VIOLATION: ("door", "reader", "person", "reason"),
        EventName.PIN_LOCKOUT: ("door", "reader", "person", "until", "wrong", "by"),
        EventName.READ_ERROR: ("door", "reader", "reason", "bits", "fault", "note"),
        EventName.READER_OFFLINE: _LINK,
        EventName.READER_ONLINE: _LINK,
        EventName.BOARD_OFFLINE: _BOARD,
        EventName.BOARD_ONLINE: _BOARD,
        EventName.TAMPER_ON: _TAMPER,
        EventName.TAMPER_OFF: _TAMPER,
        EventName.INPUT_FAULT: ("door", "input", "state", "device", "what"),
        EventName.INPUT_CLEAR: ("door", "input"),
        EventName.SYNC_APPLIED: ("generation", "added", "removed"),
        EventName.SYNC_FAILED: ("generation", "outcome", "text"),
        EventName.SYNC_QUARANTINED: ("generation", "text"),
        EventName.SYNC_DISCONNECTED: ("generation", "text"),
        EventName.CACHE_STALE: ("door", "level"),
        EventName.CACHE_UNREADABLE: ("text",),
        EventName.CACHE_READABLE: (),
        EventName.CACHE_OTHER_KEY: ("generation",),
        EventName.CACHE_WENT_BACK: ("generation", "text"),
        EventName.CACHE_REPLACED: ("generation", "text"),
        EventName.CACHE_REBUILT: ("generation", "text"),
        EventName.SYNC_DEACTIVATIONS: ("generation", "text"),
        EventName.CLOCK_JUMP: ("seconds",),
        EventName.CLOCK_QUALITY: ("quality",),
        EventName.OPERATOR: ("door", "person", "area", "name", "action", "until", "seconds", "because", "refused"),
        EventName.EVENT_FLOOD: ("door", "reader", "what", "device", "state", "count", "total"),
        EventName.JOURNAL_GAP: ("cause", "first", "last", "lost", "not_uploaded", "chain"),
        EventName.SYSTEM_START: ("version", "clock", "unreadable"),
        EventName.SYSTEM_STOP: (),
    }
)
"""What can stand after an event in ``expect``: a field that the event never has would expect nothing for ever."""

STATE_EVENTS = frozenset(
    {
        EventName.DOOR_RELEASED,
        EventName.DOOR_LOCKED,
        EventName.DOOR_OPENED,
        EventName.DOOR_CLOSED,
        EventName.SYSTEM_START,
        EventName.SYSTEM_STOP,
        EventName.SYNC_APPLIED,
    }
)
"""Events that ``quiet`` does not ask for: lock and contact, which ``expect-lock`` and the steps show anyway, and
the mere echo of the steps ``restart``, ``power-cut`` and ``directory`` (docs/decisions/scenario-quiet.md)."""
