"""``[brake]`` of the site file, and what older files said in its place. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from cache.reconcile.limits import Bound, Brake, Count, Limits
from drivers.settings import STRICT, Duration

DEFAULT = Brake()

OLDER_LIMITS = (
    "scim.limits is from before [brake] and is read as the nearest brake: people counts, also for last_door, and "
    "the count of groups for doors_without_anybody; write [brake] instead"
)
"""What is said where a site file has ``[scim.limits]``."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class BrakeTable:
    """``[brake]``: what may be lost at the doors without an operator (``cache.reconcile.limits.Brake``)."""

    people: Bound = DEFAULT.people
    last_door: Bound = DEFAULT.last_door
    doors_without_anybody: Count = DEFAULT.doors_without_anybody
    window: Annotated[Duration, Field(ge=3600, le=31 * 86400)] = DEFAULT.window
    deactivations: Literal["alarm", "hold"] = DEFAULT.deactivations

    def brake(self) -> Brake:
        """The table as the pure part needs it."""
        return Brake(
            people=self.people,
            last_door=self.last_door,
            doors_without_anybody=self.doors_without_anybody,
            window=self.window,
            deactivations=self.deactivations,
        )


def brake_of(table: BrakeTable | None, limits: Limits | None) -> Brake:
    """The brake of a site: its table, else what an older file said, else the default."""
    if table is not None:
        return table.brake()
    return DEFAULT if limits is None else limits.brake()
