"""Which records of the journal are wanted. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cache.model import EventName


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which records are wanted; every condition that is set must hold. ``since`` <= time < ``until``."""

    names: frozenset[EventName] = frozenset()
    door: str | None = None
    reader: str | None = None
    person: str | None = None
    since: datetime | None = None
    until: datetime | None = None


EVERYTHING = EventFilter()
