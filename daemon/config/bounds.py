"""Every default and range of the site file, once: read by its tables, by the doors, and by the pages. Pure.

Tables of drivers and of ``[scim]`` belong to their owners, who state theirs at each key
(docs/decisions/settings-belong-to-their-driver.md). docs/configuration.md and docs/doors.md are compared with
``Span.words`` and ``Count.words`` of what stands here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Span:
    """A duration in seconds: its default, and the least and the most that are accepted."""

    default: float
    least: float = 0.0
    most: float = math.inf

    @property
    def words(self) -> str:
        """The range in the notation of the site file: ``1s to 60s``, ``up to 60s``; empty for none."""
        if self.most == math.inf:
            return f"at least {in_notation(self.least)}" if self.least else ""
        return f"{in_notation(self.least)} to {in_notation(self.most)}" if self.least else self._up_to

    @property
    def _up_to(self) -> str:
        return f"up to {in_notation(self.most)}"

    def checked(self, seconds: float) -> float:
        """Return ``seconds``. Raise ``ValueError`` that says what was expected, if it is out of the range."""
        if not self.least <= seconds <= self.most:
            raise ValueError(f"expected {self.words}, not {in_notation(seconds)}")
        return seconds


@dataclass(frozen=True, slots=True)
class Count:
    """A whole number: its default, and the least and the most that are accepted."""

    default: int
    least: int = 0
    most: int | None = None

    @property
    def words(self) -> str:
        """The range as the pages write it: ``4 to 12``, ``1 or more``."""
        return f"{self.least} or more" if self.most is None else f"{self.least} to {self.most}"

    def checked(self, number: int) -> int:
        """Return ``number``. Raise ``ValueError`` that says what was expected, if it is out of the range."""
        if number < self.least or (self.most is not None and number > self.most):
            raise ValueError(f"expected {self.words}, not {number}")
        return number


def in_notation(seconds: float) -> str:
    """Return a duration as the site file writes it, in a unit that suits it: ``90ms``, ``2.5s``, ``24h``."""
    milliseconds = round(seconds * 1000)
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        count, rest = divmod(milliseconds, size)
        if not rest and count > (unit == "m"):  # 60 s are 60s on every page, not 1m
            return f"{count}{unit}"
    if milliseconds > 1000:
        return f"{milliseconds / 1000:g}s"
    return f"{milliseconds}ms" if milliseconds else "0"


# ------------------------------------------------------------------ doors

STRIKE_TIME = Span(10.0, 1.0, 60.0)
EXTENDED_TIME = Span(20.0, 0.0, 60.0)
HELD_OPEN_TIME = Span(60.0, 10.0, 86400.0)
HELD_OPEN_WARNING = Span(10.0)
"""Bounded by ``check_held_open``: what it warns of bounds it."""
WARNING_MARGIN = 1.0
"""Seconds by which a warning is shorter than ``held_open_time``, so that the door is seen open before it comes."""
REX_TIME = Span(3.0, 1.0, 60.0)
DEBOUNCE = Span(0.03, 0.0, 0.09)
"""A longer period could miss a pulse of 100 ms."""
TWO_PERSON_WITHIN = Span(10.0)
DOUBLE_BADGE_WITHIN = Span(5.0)
GRACE = Span(0.0)


def check_held_open(held_open_time: float, warning: float) -> None:
    """Raise ``ValueError`` for a warning that comes less than a second after the door was opened; 0 is none."""
    if warning > held_open_time - WARNING_MARGIN:
        raise ValueError(
            f"held_open_warning is {in_notation(warning)}, expected at least {in_notation(WARNING_MARGIN)} less "
            f"than held_open_time ({in_notation(held_open_time)}); 0 is no warning"
        )


class Relock(StrEnum):
    """When the lock is locked again, at the latest when the strike time ends (``relock``)."""

    ON_OPEN = "on_open"
    ON_CLOSE = "on_close"
    ON_TIME = "on_time"


class Wiring(StrEnum):
    """Normally open or normally closed (``sense``): the circuit while the door is closed or the button at rest."""

    NO = "no"
    NC = "nc"


class InterlockRule(StrEnum):
    """What only one door of an interlock may be: released or open, or released."""

    ONE_OPEN = "one_open"
    ONE_RELEASED = "one_released"


# ------------------------------------------------------------------ areas, PINs

TIMED = Span(0.0)
OCCUPANCY = Count(0)
PIN_LENGTH = Count(6, 4, 12)
PIN_TIMEOUT = Span(15.0)
LOCKOUT_AFTER = Count(5, 1)
LOCKOUT_WITHIN = Span(300.0)
LOCKOUT_FOR = Span(60.0)

# ------------------------------------------------------------------ the daemon itself

KEEP = Count(1_000_000, 1)
"""Events."""
MAX_SIZE = Count(512_000_000, 1_000_000)
"""Bytes; less than 1 MB could hold no history."""
STATE_DIRECTORY = "/var/lib/latchd"
DOORS_SOCKET = "/run/latchd/doors/control.sock"
SYNC_SOCKET = "/run/latchd/sync/control.sock"
LONGEST_SOCKET = 107
"""Bytes of the path of a Unix socket: unix(7), less the zero at its end."""
OPERATORS = "latchd-operators"
VIEWERS = "latchd-viewers"
