"""Plays the steps of a scenario in a ``World`` and checks what was expected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from cache.errors import LatchdError
from cache.model import ClockQuality, EventName, Record
from daemon.config.load import load_site
from daemon.config.site import Site
from daemon.control.reports import EventReport, event_report
from daemon.controller.orders import DoorAction, OperatorOrder
from daemon.controller.setup import InputSetup
from daemon.controller.unit import DoorUnit
from daemon.door.debounce import Wiring
from daemon.scim.resource import MalformedError
from daemon.simulate.clock import VirtualClock
from daemon.simulate.scenario import ScenarioError, Step
from daemon.simulate.world import Happened, World
from drivers.driver import DriverUsageError
from drivers.events import InputState, Point
from drivers.settings import parse_duration
from drivers.wiegand.layout import CardError

KEY_INTERVAL = 0.2
"""Seconds between two key presses."""

SETTLE = 0.001
"""Seconds that an input step takes beyond the input's debounce time."""

START_UP = timedelta(seconds=1)
"""By so much the daemon starts before the instant of ``start``: its inputs have settled by then."""

STATE_EVENTS = frozenset(
    {
        EventName.DOOR_RELEASED,
        EventName.DOOR_LOCKED,
        EventName.DOOR_OPENED,
        EventName.DOOR_CLOSED,
        EventName.SYSTEM_START,
        EventName.SYNC_APPLIED,
    }
)
"""Events that only say what a step or a decision brings about by itself: ``quiet`` does not ask for them."""

QUALITIES = {
    "synced": ClockQuality.SYNCED,
    "unsynced": ClockQuality.HOLDOVER,
    "unset": ClockQuality.NEVER_SET,
}

_RAW = {"short": InputState.SHORT, "cut": InputState.OPEN}


@dataclass(frozen=True, slots=True)
class Failure:
    """An expectation that did not hold: the step, and what had happened instead."""

    step: Step
    text: str


class UnmetError(Exception):
    """An expectation does not hold."""


class Player:
    """Plays one scenario file; ``directory`` is where its databases are, empty at first."""

    def __init__(self, file: Path, directory: Path) -> None:
        self._file = file
        self._directory = directory
        self._site: Site | None = None
        self._first_directory: Path | None = None
        self._world: World | None = None
        self._open: list[Happened] = []
        self._seen = 0

    @property
    def records(self) -> list[Record]:
        """Everything that became durable."""
        return self._world.records if self._world is not None else []

    @property
    def trace(self) -> Iterator[EventReport]:
        """Everything that became durable, as ``--json`` and ``--trace`` print it."""
        return map(event_report, self.records)

    def play(self, steps: tuple[Step, ...]) -> Failure | None:
        """Play to the end, or to the first expectation that does not hold. ``ScenarioError``: a wrong step."""
        try:
            for step in steps:
                try:
                    self._step(step)
                except UnmetError as unmet:
                    return Failure(step, str(unmet))
                except (LatchdError, CardError, DriverUsageError, MalformedError, ValueError, OSError) as error:
                    if isinstance(error, ScenarioError):
                        raise
                    raise ScenarioError(f"{self._file}:{step.line}: {error}") from None
            if self._world is not None:
                self._world.move_to(self._world.clock.monotonic + 1.0)
            return None
        finally:
            if self._world is not None:
                self._world.close()

    def _step(self, step: Step) -> None:
        if step.word.startswith("+"):
            seconds = parse_duration(step.word[1:])
            self.world.move_to(self.world.clock.monotonic + seconds)
        else:
            _STEPS[step.word](self, step)
        if self._world is not None:
            new = self._world.happened[self._seen :]
            self._seen += len(new)
            self._open += new

    @property
    def world(self) -> World:
        """The world, once ``start`` has made it."""
        if self._world is None:
            raise ScenarioError(f"{self._file}: the steps config and start come first")
        return self._world

    # -------------------------------------------------------------- the stage

    def config(self, step: Step) -> None:
        """``config FILE``."""
        self._site = load_site(self._file.parent / step.arguments[0], secrets=None)

    def directory(self, step: Step) -> None:
        """``directory FILE``: before ``start`` what is there from the beginning, later a new generation."""
        file = self._file.parent / step.arguments[0]
        if self._world is None:
            self._first_directory = file
        else:
            self._world.directory(file)

    def start(self, step: Step) -> None:
        """``start INSTANT``: the daemon has just started and settled, and a complete sync has just happened."""
        if self._site is None:
            raise ScenarioError(f"{self._file}:{step.line}: the step config comes first")
        world = World(self._site, VirtualClock(instant(step.arguments[0]) - START_UP), self._directory)
        self._world = world
        self._close_doors(world)
        world.start()
        if self._first_directory is not None:
            world.directory(self._first_directory)
        else:
            world.sync_completed()
        world.move_to(world.clock.monotonic + START_UP.total_seconds())
        self._seen = len(world.happened)

    @staticmethod
    def _close_doors(world: World) -> None:
        """A day begins with every door closed and every button at rest."""
        for table in world.site.tables.door.values():
            for line in (table.contact, table.rex, table.fire):
                if line is not None:
                    state = InputState.ON if line.sense == "nc" else InputState.OFF
                    world.bench.set_input(line.input, state, world.clock.monotonic)

    def at(self, step: Step) -> None:
        """``at INSTANT``."""
        due = self.world.clock.until(instant(step.arguments[0]))
        if due < self.world.clock.monotonic:
            raise ValueError("this instant has passed; time only goes on (clock jump sets the wall clock back)")
        self.world.move_to(due)

    # -------------------------------------------------------------- what happens

    def badge(self, step: Step) -> None:
        """``badge READER CARD``."""
        reader, card = step.arguments
        length, value = self.world.site.formats.parse_card(card)
        self.world.happens(self.world.bench.badge(reader, length, value, self.world.clock.monotonic))

    def keys(self, step: Step) -> None:
        """``keys READER KEYS``, 200 ms apart."""
        reader, keys = step.arguments
        for number, key in enumerate(keys):
            if number:
                self.world.move_to(self.world.clock.monotonic + KEY_INTERVAL)
            self.world.happens(self.world.bench.keys(reader, key, self.world.clock.monotonic))

    def contact(self, step: Step) -> None:
        """``contact DOOR open|closed|short|cut``."""
        setup = self._unit(step.arguments[0]).setup.contact
        word = _one_of(step.arguments[1], ("open", "closed", "short", "cut"))
        self._set(_has(setup, "contact"), active=word == "open", raw=_RAW.get(word))

    def rex(self, step: Step) -> None:
        """``rex DOOR on|off``."""
        setup = self._unit(step.arguments[0]).setup.rex
        word = _one_of(step.arguments[1], ("on", "off", "short", "cut"))
        self._set(_has(setup, "rex"), active=word == "on", raw=_RAW.get(word))

    def _set(self, line: InputSetup, active: bool, raw: InputState | None) -> None:
        closed = active is not (line.sense is Wiring.NC)
        state = raw or (InputState.ON if closed else InputState.OFF)
        self._input(line.point, state, line.debounce)

    def input(self, step: Step) -> None:
        """``input NAME on|off``: the electrical level of ``board.in1``."""
        name, word = step.arguments
        word = _one_of(word, ("on", "off", "short", "cut"))
        device, _, line = name.rpartition(".")
        self._input(Point(device, line), _RAW.get(word) or InputState(word), 0.1)

    def _input(self, point: Point, state: InputState, debounce: float) -> None:
        world = self.world
        world.happens(world.bench.set_input(point, state, world.clock.monotonic))
        world.move_to(world.clock.monotonic + debounce + SETTLE)

    def tamper(self, step: Step) -> None:
        """``tamper READER on|off``."""
        active = _one_of(step.arguments[1], ("on", "off")) == "on"
        self.world.happens(self.world.bench.tamper(step.arguments[0], active, self.world.clock.monotonic))

    def device(self, step: Step) -> None:
        """``reader READER offline|online`` and ``board BOARD offline|online``."""
        name, word = step.arguments
        if (name in self.world.site.devices.readers) is not (step.word == "reader"):
            raise ValueError(f'there is no {step.word} "{name}"')
        bench, now = self.world.bench, self.world.clock.monotonic
        online = _one_of(word, ("offline", "online")) == "online"
        self.world.happens(bench.online(name, now) if online else bench.offline(name, now))
        self.world.move_to(now + 0.1)

    def sync(self, step: Step) -> None:
        """``sync ok|fail``."""
        if _one_of(step.arguments[0], ("ok", "fail")) == "ok":
            self.world.sync_completed()
        else:
            self.world.sync_failed()

    def clock(self, step: Step) -> None:
        """``clock jump ±DURATION``, ``clock unsynced|synced|unset``."""
        clock = self.world.clock
        if step.arguments[0] == "jump" and len(step.arguments) == 2:
            sign, length = step.arguments[1][:1], step.arguments[1].lstrip("+-")
            seconds = parse_duration(length) * (-1 if sign == "-" else 1)
            clock.jumped += timedelta(seconds=seconds)
        else:
            clock.quality = QUALITIES[_one_of(step.arguments[0], tuple(QUALITIES))]
        self.world.clock_changed()

    def restart(self, step: Step) -> None:
        """``restart``."""
        del step
        self.world.restart()

    def power_cut(self, step: Step) -> None:
        """``power-cut``."""
        del step
        self.world.power_cut()

    # -------------------------------------------------------------- operators

    def operator(self, step: Step) -> None:
        """``operator NAME ACTION DOOR|all [for DURATION] [because TEXT]``, ``… forgive``, ``… sync accept``."""
        name, action, target, *rest = step.arguments
        options = dict(zip(rest[::2], rest[1::2], strict=False))
        if len(rest) % 2 or set(options) - {"for", "because"}:
            raise ValueError('after the door stand at most: for DURATION because "TEXT"')
        world = self.world
        if action == "sync":
            self._quarantine(target)
        elif action == "forgive":
            world.act(world.controller.forgive(name, target, world.clock.now()))
        else:
            order = OperatorOrder(name, DoorAction(action), target, reason=options.get("because", ""))
            doors = tuple(world.controller.units) if target == "all" else (self._unit(target).setup.name,)
            for door in doors:
                world.act(
                    world.controller.operate(_timed(replace(order, door=door), options, world), world.clock.now())
                )

    def _quarantine(self, word: str) -> None:
        held = self.world.store.quarantine()
        if held is None:
            raise ValueError("nothing is held back")
        if _one_of(word, ("accept", "reject")) == "accept":
            self.world.store.accept(held.token, self.world.clock.utc())
        else:
            self.world.store.reject(held.token)
        self.world.look_at_cache()

    # -------------------------------------------------------------- expectations

    def expect(self, step: Step) -> None:
        """``expect EVENT [KEY=VALUE …]``: consumes the oldest that matches."""
        found = next((h for h in self._open if _matches(h, step)), None)
        if found is None:
            raise UnmetError(f"no such event; {self._left()}")
        self._open.remove(found)

    def expect_no(self, step: Step) -> None:
        """``expect-no EVENT [KEY=VALUE …]``."""
        found = next((h for h in self._open if _matches(h, step)), None)
        if found is not None:
            raise UnmetError(f"it did happen: {_line(found)}")

    def quiet(self, step: Step) -> None:
        """``quiet``: nothing is left but what steps bring about by themselves."""
        del step
        if [h for h in self._open if h.event.name not in STATE_EVENTS]:
            raise UnmetError(self._left())
        self._open.clear()

    def clear(self, step: Step) -> None:
        """``clear``: forget the rest."""
        del step
        self._open.clear()

    def expect_lock(self, step: Step) -> None:
        """``expect-lock DOOR locked|released``: what the lock's output says."""
        unit = self._unit(step.arguments[0])
        wanted = _one_of(step.arguments[1], ("locked", "released"))
        found = "released" if self.world.bench.output(unit.setup.lock) else "locked"
        if found != wanted:
            raise UnmetError(f"the lock is {found}; {self._left()}")

    def expect_mode(self, step: Step) -> None:
        """``expect-mode DOOR MODE``."""
        unit = self._unit(step.arguments[0])
        if unit.state.mode.value != step.arguments[1]:
            raise UnmetError(f"the mode is {unit.state.mode.value}, by {unit.state.cause.value}")

    def expect_output(self, step: Step) -> None:
        """``expect-output NAME on|off``."""
        device, _, line = step.arguments[0].rpartition(".")
        wanted = _one_of(step.arguments[1], ("on", "off")) == "on"
        if self.world.bench.output(Point(device, line)) is not wanted:
            raise UnmetError(f"the output is {'off' if wanted else 'on'}")

    def _left(self) -> str:
        left = [h for h in self._open if h.event.name not in STATE_EVENTS] or self._open
        lines = [f"\n    {_line(happened)}" for happened in left[-12:]]
        return f"what had happened and was not expected:{''.join(lines)}" if lines else "nothing had happened"

    def _unit(self, door: str) -> DoorUnit:
        unit = self.world.controller.units.get(door)
        if unit is None:
            raise ValueError(f'there is no door "{door}"; there are: {", ".join(self.world.controller.units)}')
        return unit


_STEPS: dict[str, Callable[[Player, Step], None]] = {
    "config": Player.config,
    "directory": Player.directory,
    "start": Player.start,
    "at": Player.at,
    "badge": Player.badge,
    "keys": Player.keys,
    "contact": Player.contact,
    "rex": Player.rex,
    "input": Player.input,
    "tamper": Player.tamper,
    "reader": Player.device,
    "board": Player.device,
    "sync": Player.sync,
    "operator": Player.operator,
    "clock": Player.clock,
    "restart": Player.restart,
    "power-cut": Player.power_cut,
    "expect": Player.expect,
    "expect-no": Player.expect_no,
    "quiet": Player.quiet,
    "clear": Player.clear,
    "expect-lock": Player.expect_lock,
    "expect-mode": Player.expect_mode,
    "expect-output": Player.expect_output,
}


def instant(text: str) -> datetime:
    """An ISO 8601 instant with its offset. ``ValueError`` otherwise."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("an instant has an offset, such as 2026-03-02T08:00:00+01:00")
    return found


def _timed(order: OperatorOrder, options: dict[str, str], world: World) -> OperatorOrder:
    if "for" not in options:
        return order
    seconds = parse_duration(options["for"])
    if order.action is DoorAction.PULSE:
        return replace(order, seconds=seconds)
    return replace(order, until=world.clock.utc() + timedelta(seconds=seconds))


def _matches(happened: Happened, step: Step) -> bool:
    if happened.event.name.value != step.arguments[0]:
        return False
    found = _fields(happened)
    return all(found.get(key) == value for key, value in step.fields.items())


def _fields(happened: Happened) -> dict[str, str]:
    event = happened.event
    values: dict[str, object] = {
        name: getattr(event, name) for name in ("door", "reader", "person", "group", "level")
    }
    values |= {"reason": event.reason, "generation": event.generation} | dict(event.detail)
    return {name: str(value) for name, value in values.items() if value is not None}


def _line(happened: Happened) -> str:
    words = [
        f"{name}={value}" if " " not in value else f'{name}="{value}"' for name, value in _fields(happened).items()
    ]
    return " ".join([happened.event.name.value, *words])


def _one_of(word: str, known: tuple[str, ...]) -> str:
    if word not in known:
        raise ValueError(f'expected {" or ".join(known)}, not "{word}"')
    return word


def _has(line: InputSetup | None, kind: str) -> InputSetup:
    if line is None:
        raise ValueError(f"the door has no {kind} in the site file")
    return line
