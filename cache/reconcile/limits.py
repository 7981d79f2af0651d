"""``[brake]``: how much may be lost at the doors without an operator. Pure.

``[scim.limits]`` of older site files is read, too, and means the nearest brake.
"""

from __future__ import annotations

from math import sqrt
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

_STRICT = ConfigDict(extra="forbid", strict=True)

Percent = Annotated[float, Field(ge=0, le=100, strict=False)]
Count = Annotated[int, Field(ge=0)]

DAY = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Bound:
    """How many of how many: ``percent`` of a small number, and ``count`` that grows with a large one.

    ``percent`` counts up to the number of which it is ``count`` (20 % and 10: up to 50 people). Beyond, ``count``
    grows with the square root, as ordinary coming and going does: 14 of 100, 141 of 10,000, 447 of 100,000. So
    three people are braked as well as a hundred thousand are, and eleven leavers of ten thousand pass.
    """

    percent: Percent
    count: Count

    def allowed(self, total: int) -> float:
        """How many of ``total`` may go without an operator."""
        share = total * self.percent / 100
        if share <= self.count:
            return share
        return sqrt(self.count * share)  # = count * sqrt(total / the number of which percent is count)

    def trips(self, lost: int, total: int) -> bool:
        """Whether ``lost`` of ``total`` is more than is allowed; one alone never is."""
        return lost > 1 and lost > self.allowed(total)


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Brake:
    """The bounds of one sync and of the rolling ``window`` in seconds; whichever is exceeded trips it."""

    people: Bound = Bound(percent=20, count=10)
    last_door: Bound = Bound(percent=10, count=5)
    doors_without_anybody: Count = 1
    window: Annotated[float, Field(ge=3600)] = DAY
    deactivations: Literal["alarm", "hold"] = "alarm"


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class MemberLimit:
    """The limit of one group's members in an older site file."""

    percent: Percent
    above: Count


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Limits:
    """``[scim.limits]`` of an older site file."""

    people: Bound = Bound(percent=20, count=10)
    groups: Bound = Bound(percent=5, count=2)
    members: MemberLimit = MemberLimit(percent=50, above=20)
    credentials: Bound = Bound(percent=20, count=10)

    def brake(self) -> Brake:
        """The nearest brake: people who were removed lost their last door, a group's members lost theirs."""
        return Brake(people=self.people, last_door=self.people, doors_without_anybody=self.groups.count)
