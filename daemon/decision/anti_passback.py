"""Anti-passback: whether an entry into an area is a second one without leaving it. Pure.

A position is the area a person was last known to enter. It is forgotten by forgiveness (the caller drops it),
at the area's reset time, and after the area's ``timed`` seconds. Only the area that the way leads to is asked:
leaving an area is never refused because of how a person came in.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from cache.model import Moment
from daemon.decision.door_rules import AntiPassback, Area
from daemon.decision.request import Position
from daemon.decision.schedule import instant_of


class EntryVerdict(StrEnum):
    """What an entry is, seen from where the person is known to be."""

    FREE = "free"
    ELSEWHERE = "elsewhere"
    FORGIVEN = "forgiven"
    VIOLATION = "violation"


def passage(
    area: Area, position: Position | None, zone: ZoneInfo, now: Moment, *, leaving: bool = False
) -> EntryVerdict:
    """Judge an entry into ``area`` at ``now``; FREE where the area has no anti-passback.

    ``leaving``: the way leads back into it. Then the violation is to be in it, and nowhere inside it, already.
    """
    if area.anti_passback is AntiPassback.OFF and area.timed <= 0:
        return EntryVerdict.FREE
    stay = None if position is None else position.stay(area.name)
    if stay is None or (leaving and stay is not position):
        return EntryVerdict.ELSEWHERE
    if area.timed > 0 and stay.lasted(now) >= area.timed:
        return EntryVerdict.FORGIVEN
    if area.reset is not None and stay.since < last_reset(area.reset, zone, now.utc):
        return EntryVerdict.FORGIVEN
    return EntryVerdict.VIOLATION


def last_reset(minute: int, zone: ZoneInfo, now: datetime) -> datetime:
    """The last instant up to ``now`` at which the wall clock reached ``minute`` of the day.

    Where the clock shows that minute twice, the first counts; where it skips it, the instant after the gap.
    """
    midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    today, yesterday = (instant_of(midnight + timedelta(days=day, minutes=minute), zone) for day in (0, -1))
    return today if today <= now else yesterday
