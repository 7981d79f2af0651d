"""``[scim.limits]``: how much may vanish without an operator. Pure; read from the site file as it stands here."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

_STRICT = ConfigDict(extra="forbid", strict=True)

Percent = Annotated[float, Field(ge=0, le=100, strict=False)]


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class CountLimit:
    """Removals beyond ``percent`` of what the cache holds, or beyond ``count``, wait for an operator."""

    percent: Percent
    count: Annotated[int, Field(ge=0)]

    def trips(self, removed: int, total: int) -> bool:
        """Whether ``removed`` of ``total`` is more than either bound allows."""
        return removed > self.count or removed * 100 > self.percent * total


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class MemberLimit:
    """Removals beyond ``percent`` of one group's members wait, if the group has more than ``above`` of them."""

    percent: Percent
    above: Annotated[int, Field(ge=0)]

    def trips(self, removed: int, total: int) -> bool:
        """Whether ``removed`` of ``total`` members is more than is allowed."""
        return total > self.above and removed * 100 > self.percent * total


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Limits:
    """The mass-removal brake, for one sync and for 24 hours; either bound trips it."""

    people: CountLimit = CountLimit(percent=20, count=10)
    groups: CountLimit = CountLimit(percent=5, count=2)
    members: MemberLimit = MemberLimit(percent=50, above=20)
    credentials: CountLimit = CountLimit(percent=20, count=10)
