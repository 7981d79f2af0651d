"""What the controller asks of the world: device commands, and what is to be stored in the journal. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cache.model import Event
from drivers.events import Command


@dataclass(frozen=True, slots=True)
class Effects:
    """What one step asks for. Commands go out first; then events and ``state`` are stored, in one transaction.

    ``state`` is what must survive a restart: JSON text by name, ``None`` to forget the name.
    """

    commands: tuple[Command, ...] = ()
    events: tuple[Event, ...] = ()
    state: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(slots=True)
class Collected:
    """Effects in the making."""

    commands: list[Command] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    state: dict[str, str | None] = field(default_factory=dict)

    def take(self) -> Effects:
        """Return all that was collected, and start again."""
        effects = Effects(tuple(self.commands), tuple(self.events), dict(self.state))
        self.commands.clear()
        self.events.clear()
        self.state.clear()
        return effects
