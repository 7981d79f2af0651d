"""What the doors are like at the instant that is asked about: as they are now, or as the clock would have them.

For the present it is a copy of what the controller knows, so that a long answer can be worked out in another
thread. For any other instant it is not known what will be ordered and who will be where: the mode is what the
schedules say, no one is in any area, no interlock is in use, and the clock is believed, since it is the one who
asks that says the time. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cache.model import Mode, ModeCause, Moment
from daemon.control.questions.places import ReaderLocation
from daemon.decision.request import AccessState, Position
from daemon.doors.controller.controller import Controller
from daemon.doors.door.modes import ModeState, effective

ELSEWHEN = "the door has the mode of its schedule; overrides, lockdown and where people are now are left out"
FUTURE = "the cache ages until then, as if no sync succeeded any more"
PAST = "with the directory and the site file of today; before its last complete sync the cache counts as fresh"
NOT_RUNNING = (
    "the doors process does not run: using the last stored overrides and positions; interlocks not evaluated"
)


@dataclass(frozen=True, slots=True)
class DoorsSnapshot:
    """A copy of what the controller knows: modes and interlocks by door, positions by person, people by area."""

    modes: Mapping[str, tuple[Mode, ModeCause]]
    interlocks: Mapping[str, str | None]
    positions: Mapping[str, Position]
    occupancy: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class QueryContext:
    """The instant, what the doors are like then, and what an answer has to say about how that is known.

    Without a ``snapshot`` the instant is another than the present; ``past``: it lies before it.
    """

    now: Moment
    snapshot: DoorsSnapshot | None = None
    past: bool = False
    notes: tuple[str, ...] = field(default=())

    def state(self, place: ReaderLocation) -> AccessState:
        """The door and its surroundings as a decision asks for them."""
        setup, known = place.setup, self.snapshot
        if known is None:
            found = effective(setup.modes, ModeState(), self.now)
            return AccessState(found.mode, found.cause)
        mode, cause = known.modes[setup.name]
        area = setup.rules.from_area if place.exit else setup.rules.to_area
        return AccessState(
            mode,
            cause,
            positions=known.positions,
            occupancy=known.occupancy[area.name] if area is not None else 0,
            interlock=known.interlocks.get(setup.name),
        )


def conditions_of(controller: Controller, now: Moment, at: datetime | None, *, running: bool) -> QueryContext:
    """The present, or with ``at`` another instant. To be called where the controller belongs.

    Not ``running``: the controller only took up what the journal has stored, and has seen no device.
    """
    if at is None:
        notes = () if running else (NOT_RUNNING,)
        return QueryContext(now, _snapshot(controller, running), notes=notes)
    past = at < now.utc
    return QueryContext(Moment(at, now.monotonic), past=past, notes=(ELSEWHEN, PAST if past else FUTURE))


def _snapshot(controller: Controller, running: bool) -> DoorsSnapshot:
    site_state, doors = controller.site_state, controller.doors
    locked_together = (
        {door for interlock in site_state.rules.interlocks for door in interlock.doors} if running else ()
    )
    return DoorsSnapshot(
        {name: (door.state.mode, door.state.cause) for name, door in doors.items()},
        {door: site_state.access_state(doors[door], False).interlock for door in locked_together},
        dict(site_state.space.positions),
        {area: site_state.space.occupancy(area) for area in site_state.rules.areas},
    )
