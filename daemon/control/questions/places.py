"""Where a technician means: a door or a reader from what was typed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from daemon.control.arguments import text_of
from daemon.doors.controller.setup import DoorSetup
from daemon.errors import RequestError
from drivers.settings import did_you_mean


@dataclass(frozen=True, slots=True)
class ReaderLocation:
    """A reader of a door; ``exit``: the one on the far side."""

    setup: DoorSetup
    reader: str

    @property
    def exit(self) -> bool:
        """Whether the way leads from the door's ``to`` area back."""
        return self.reader == self.setup.exit


def find_place(doors: Mapping[str, DoorSetup], arguments: Mapping[str, object]) -> ReaderLocation:
    """The reader that ``reader`` names, or the entry reader of ``door``; exactly one of them is needed."""
    reader, door = text_of(arguments, "reader"), text_of(arguments, "door")
    if (reader is None) == (door is None):
        raise RequestError("say where: --reader READER, or --door DOOR for its entry reader")
    if door is not None:
        setup = find_door(doors, door)
        return ReaderLocation(setup, setup.entry)
    readers = {name: setup for setup in doors.values() for name in setup.readers}
    assert reader is not None
    if reader not in readers:
        raise RequestError(f'no door has the reader "{reader}"; {did_you_mean(reader, readers)}')
    return ReaderLocation(readers[reader], reader)


def find_door(doors: Mapping[str, DoorSetup], name: str) -> DoorSetup:
    """The door of this name."""
    if name not in doors:
        raise RequestError(f'there is no door "{name}"; {did_you_mean(name, doors)}')
    return doors[name]
