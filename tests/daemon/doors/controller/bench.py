"""A whole controller without hardware or journal: its clock is turned by hand, its outputs are read off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cache.errors import CacheError
from cache.keys import card_key, pin_key
from cache.model import (
    ClockQuality,
    Credential,
    CredentialKind,
    Event,
    EventName,
    Found,
    Freshness,
    Holder,
    Membership,
    Moment,
    Person,
)
from daemon.config.load import load_site
from daemon.decision.request import Position
from daemon.doors.controller.controller import Controller
from daemon.doors.controller.effects import Effects
from daemon.doors.controller.orders import DoorAction, OperatorOrder
from daemon.doors.controller.rules import controller_rules
from daemon.doors.controller.site_state import ControllerRules
from drivers.events import (
    CardRead,
    DeviceEvent,
    InputChanged,
    InputState,
    KeyPress,
    Point,
    Pulse,
    SwitchOff,
    SwitchOn,
)

SITE = Path(__file__).parent / "site.toml"
KEY = bytes(range(32))
MONDAY = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
"""07:00 in Berlin: before every schedule."""

OFF_FOR_EVER = float("-inf")


def whole(positions: Mapping[str, Position]) -> dict[str, Position]:
    """Positions with monotonic times in whole milliseconds: a restart works them out from differences."""
    return {person: _whole(at) for person, at in positions.items()}


def _whole(at: Position) -> Position:
    entered = None if at.entered is None else round(at.entered, 3)
    return replace(at, entered=entered, outer=tuple(_whole(one) for one in at.outer))


@dataclass(frozen=True, slots=True)
class Somebody:
    """A person of the bench: the number of their card, their PIN, and their access groups."""

    card: int
    pin: str
    groups: tuple[str, ...]
    extended: bool = False


PEOPLE = {
    "ann": Somebody(1, "1111", ("Staff",)),
    "bob": Somebody(2, "2222", ("Staff",), extended=True),
    "eve": Somebody(3, "3333", ("Security", "Vault")),
    "vic": Somebody(4, "4444", ("Vault", "Guards")),
    "wim": Somebody(5, "5555", ("Vault",)),
    "cleo": Somebody(6, "6666", ("Cleaning",)),
}
"""The groups' ids are their names with ``id-`` before."""


@cache
def rules() -> ControllerRules:
    """The rules of site.toml."""
    return replace(controller_rules(load_site(SITE, secrets=None), KEY), pins_alone=False)


def holder(name: str, kind: CredentialKind, key: bytes) -> Holder:
    """A person with one credential and all their groups."""
    who = PEOPLE[name]
    groups = tuple(Membership(f"id-{group}", group, frozenset({group, f"id-{group}"})) for group in who.groups)
    return Holder(Person(name, extended_time=who.extended), Credential(key, name, kind), groups)


def directory() -> dict[bytes, Holder]:
    """Every credential by its key."""
    found = {}
    for name, who in PEOPLE.items():
        for kind, key in (
            (CredentialKind.CARD, card_key(KEY, 26, who.card)),
            (CredentialKind.PIN, pin_key(KEY, who.pin, name)),
        ):
            found[key] = holder(name, kind, key)
    return found


@dataclass
class Bench:
    """One controller. What it asks for is kept: outputs, events, and the state that a journal would hold."""

    utc: datetime = MONDAY
    monotonic: float = 1000.0
    quality: ClockQuality = ClockQuality.SYNCED
    kept: dict[str, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    outputs: dict[str, float] = field(default_factory=dict)
    broken: bool = False

    def __post_init__(self) -> None:
        """Start, with every contact closed and every other line at rest."""
        self.directory = directory()
        self.freshness = Freshness(7, self.utc)
        self.start()
        for line in ("in1", "in3", "in4"):
            self.line(line, on=True)
        for line in ("in2", "in8"):
            self.line(line, on=False)
        self.events.clear()

    @property
    def now(self) -> Moment:
        """The instant on every clock."""
        return Moment(self.utc, self.monotonic, self.quality)

    def find(self, key: bytes) -> Found:
        """The lookup of the cache."""
        if self.broken:
            raise CacheError("the file is torn")
        one = self.directory.get(key)
        return Found(() if one is None else (one,), self.freshness)

    def start(self) -> Effects:
        """A new process on what was kept."""
        self.controller = Controller(rules(), self.find)
        effects = self.take(self.controller.start(self.now, "test", dict(self.kept)))
        self.take(self.controller.watch_cache(self.freshness, self.now))
        return effects

    def take(self, effects: Effects) -> Effects:
        """Do what the controller asks for."""
        for command in effects.commands:
            match command:
                case Pulse(point, seconds):
                    self.outputs[str(point)] = self.monotonic + seconds
                case SwitchOn(point):
                    self.outputs[str(point)] = float("inf")
                case SwitchOff(point):
                    self.outputs[str(point)] = OFF_FOR_EVER
                case _:
                    pass
        self.events += effects.events
        for name, value in effects.state.items():
            if value is None:
                self.kept.pop(name, None)
            else:
                self.kept[name] = value
        return effects

    # -------------------------------------------------------------- what happens

    def send(self, event: DeviceEvent) -> Effects:
        """An event of a device."""
        return self.take(self.controller.handle(event, self.now))

    def badge(self, name: str, reader: str = "lobby-in") -> Effects:
        """Somebody shows their card; a name that is none has a card that nobody knows."""
        number = PEOPLE[name].card if name in PEOPLE else 99
        return self.send(CardRead(reader, 26, number, self.monotonic))

    def keys(self, keys: str, reader: str = "lab-in") -> Effects:
        """Keys are pressed."""
        return self.send(KeyPress(reader, keys, self.monotonic))

    def line(self, line: str, *, on: bool) -> None:
        """An input of the board changes and settles."""
        self.raw(line, InputState.ON if on else InputState.OFF)

    def raw(self, line: str, state: InputState) -> None:
        """The same with any electrical state."""
        self.send(InputChanged(Point("main", line), state, self.monotonic))
        self.wait(0.05)

    def order(self, action: DoorAction, door: str = "lobby", **keys: object) -> Effects:
        """An operator orders something."""
        order = OperatorOrder("op", action, door, **keys)  # type: ignore[arg-type]  # names, for brevity
        return self.take(self.controller.operate(order, self.now))

    def wait(self, seconds: float) -> None:
        """Time passes; every timer is served when it is due."""
        end = self.monotonic + seconds
        while (due := self.controller.deadline(self.now)) is not None and due <= end:
            self.pass_time(max(0.0, due - self.monotonic))
            self.take(self.controller.handle_deadline(self.now))
        self.pass_time(end - self.monotonic)
        self.take(self.controller.handle_deadline(self.now))

    def pass_time(self, seconds: float) -> None:
        """Turn every clock."""
        self.monotonic += seconds
        self.utc += timedelta(seconds=seconds)

    # -------------------------------------------------------------- what is seen

    def released(self, door: str = "lobby") -> bool:
        """Whether the door's lock output is on, also with hardware that times out by itself."""
        return self.outputs[str(rules().doors[door].lock)] > self.monotonic

    def told(self) -> list[str]:
        """What was recorded since the last time, in words."""
        words = [
            " ".join(part for part in (event.name.value, event.person, event.reason) if part)
            for event in self.events
        ]
        self.events.clear()
        return words

    def last(self, name: EventName) -> Event:
        """The newest event of a kind."""
        return next(event for event in reversed(self.events) if event.name is name)
