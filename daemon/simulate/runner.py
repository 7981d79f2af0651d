"""Plays the steps of a scenario in a ``World`` and checks what was expected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cache.errors import LatchdError
from cache.model import ClockQuality, EventName, Record
from daemon.config.bounds import DEBOUNCE, Wiring
from daemon.config.load import load_site
from daemon.config.site import Site
from daemon.config.values import parse_point
from daemon.doors.clock_quality import EARLIEST_PLAUSIBLE
from daemon.doors.controller.door import DoorController
from daemon.doors.controller.setup import InputSetup
from daemon.scim.exchange import OutageError, OutageKind
from daemon.scim.resource import MalformedError
from daemon.simulate.clock import VirtualClock
from daemon.simulate.expectations import Expectations, UnmetError
from daemon.simulate.operators import act_as
from daemon.simulate.record import COMMIT_DELAY
from daemon.simulate.scenario import ScenarioError, Step, instant, known_name, signed_duration
from daemon.simulate.world import START_UP, World
from drivers.events import InputState, Point
from drivers.settings import parse_duration

EVER = datetime.min.replace(tzinfo=UTC)

NEVER_SET = (
    "before {} a clock counts as never set, and what depends on the time is decided by [clock] untrusted; "
    "to play it as a clock that was set write: {} trusted"
)
"""The note to a start in the past."""

KEY_INTERVAL = 0.2
"""Seconds between two key presses."""

SETTLE = COMMIT_DELAY + 0.001
"""Seconds that inputs take beyond their debounce time, and keys beyond the last: what came of them is durable."""

LINK = 0.1
"""Seconds that a device step takes: what it reports on its return has settled by then."""

QUALITIES = {
    "synced": ClockQuality.SYNCED,
    "unsynced": ClockQuality.HOLDOVER,
    "unset": ClockQuality.NEVER_SET,
}

CUT = "cut"
"""An open supervised line: of a contact, whose ``open`` is an open door, and in older scenarios everywhere."""

_RAW = {"short": InputState.SHORT, CUT: InputState.OPEN}
_EXPLAINED = (LatchdError, MalformedError, OutageError, ValueError, OSError)


@dataclass(frozen=True, slots=True)
class Failure:
    """An expectation that did not hold: the step, and what had happened instead."""

    step: Step
    text: str


class Player:
    """Plays one scenario file; ``directory`` is where its databases are, empty at first."""

    def __init__(self, file: Path, directory: Path) -> None:
        self._file = file
        self._directory = directory
        self._site_file = file
        self._site: Site | None = None
        self._first_directory: Step | None = None
        self._world: World | None = None
        self._expected: Expectations | None = None
        self._seen = 0
        self.notes: list[str] = []
        """What whoever wrote the scenario should know, with file and line."""

    @property
    def records(self) -> list[Record]:
        """Everything that became durable."""
        return self._world.records if self._world is not None else []

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is to be said about the last directory: often why an expectation does not hold."""
        return self._world.remarks if self._world is not None else ()

    @property
    def site(self) -> Site:
        """The site of the step ``config``."""
        if self._site is None:
            raise ValueError("the step config comes first")
        return self._site

    def play(self, steps: tuple[Step, ...]) -> Failure | None:
        """Play to the end, or to the first expectation that does not hold. ``ScenarioError``: a wrong step."""
        try:
            for step in steps:
                try:
                    self._step(step)
                except UnmetError as unmet:
                    return Failure(step, str(unmet))
            return None
        finally:
            if self._world is not None:
                self._world.close()

    def _step(self, step: Step) -> None:
        try:
            if step.word.startswith("+"):
                self.world.wait(parse_duration(step.word[1:]))
            else:
                _STEPS[step.word](self, step)
        except ScenarioError:
            raise
        except _EXPLAINED as error:
            raise ScenarioError(f"{self._file}:{step.line}: {_words(error)}") from None
        if self._world is not None and self._expected is not None:
            self._expected.add(self._world.happened[self._seen :])
            self._seen = len(self._world.happened)

    @property
    def world(self) -> World:
        """The world, once ``start`` has made it."""
        if self._world is None:
            raise ValueError("the steps config and start come first")
        return self._world

    @property
    def expected(self) -> Expectations:
        """What is expected of the world."""
        assert self._expected is not None, "made with the world"
        return self._expected

    # -------------------------------------------------------------- the stage

    def config(self, step: Step) -> None:
        """``config FILE``."""
        self._site_file = self._file.parent / step.arguments[0]
        self._site = load_site(self._site_file, secrets=None)

    def directory(self, step: Step) -> None:
        """``directory FILE``: before ``start`` what is there from the beginning, later a new generation."""
        if self._world is None:
            self._first_directory = step
        else:
            self._world.directory(self._file.parent / step.arguments[0])

    def start(self, step: Step) -> None:
        """``start INSTANT [trusted]``: the daemon has just started and settled, and a complete sync has happened.

        Before this release existed a clock counts as never set, which is said aloud; ``trusted`` plays the past.
        """
        at, *trusted = step.arguments
        if instant(at) < EARLIEST_PLAUSIBLE and not trusted:
            self.notes.append(
                f"{self._file}:{step.line}: {NEVER_SET.format(EARLIEST_PLAUSIBLE.date(), step.text)}"
            )
        clock = VirtualClock(instant(at) - timedelta(seconds=START_UP))
        earliest = EVER if trusted else EARLIEST_PLAUSIBLE
        world = World(self.site, clock, self._directory, self._site_file.parent, earliest)
        self._world = world
        if self._first_directory is not None:
            self._step(self._first_directory)
        world.start()
        world.wait(START_UP)
        world.sync_completed()
        self._expected = Expectations(self.site.zone)
        self._seen = len(world.happened)

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
        length, value = self.site.formats.parse_card(card)
        self.world.badge(self._reader(reader), length, value)

    def keys(self, step: Step) -> None:
        """``keys READER KEYS``, 200 ms apart."""
        reader, keys = step.arguments
        for number, key in enumerate(keys):
            if number:
                self.world.wait(KEY_INTERVAL)
            self.world.happens(self.world.bench.keys(self._reader(reader), key, self.world.clock.monotonic))
        self.world.wait(SETTLE)

    def contact(self, step: Step) -> None:
        """``contact DOOR open|closed|short|cut``, ``for DURATION`` as a pulse."""
        door, word, *pulse = step.arguments
        line = _has(door, "contact", self._door(door).setup.contact)
        self._set(line, word == "open", _RAW.get(word), pulse)

    def rex(self, step: Step) -> None:
        """``rex DOOR on|off|short|open``, ``for DURATION`` as a pulse; ``cut`` is an older word for ``open``."""
        door, word, *pulse = step.arguments
        line = _has(door, "rex", self._door(door).setup.rex)
        self._set(line, word == "on", InputState.OPEN if word == "open" else _RAW.get(word), pulse)

    def _set(self, line: InputSetup, active: bool, raw: InputState | None, pulse: list[str]) -> None:
        closed = active is not (line.sense is Wiring.NC)
        state = raw or (InputState.ON if closed else InputState.OFF)
        self._input(line.point, state, line.debounce, pulse)

    def input(self, step: Step) -> None:
        """``input NAME on|off|short|open``: the electrical level, on being a closed circuit."""
        name, word, *pulse = step.arguments
        self._input(parse_point(name), _RAW.get(word) or InputState(word), DEBOUNCE.most, pulse)

    def _input(self, point: Point, state: InputState, debounce: float, pulse: list[str]) -> None:
        """Change a line and let it settle; a pulse (``for DURATION``) goes back first, however short it is."""
        world = self.world
        before = world.bench.input(point)
        world.happens(world.bench.set_input(point, state, world.clock.monotonic))
        if pulse:
            world.wait(parse_duration(pulse[1]))
            world.happens(world.bench.set_input(point, before, world.clock.monotonic))
        world.wait(debounce + SETTLE)

    def tamper(self, step: Step) -> None:
        """``tamper READER on|off``."""
        reader, word = step.arguments
        self.world.happens(self.world.bench.tamper(self._reader(reader), word == "on", self.world.clock.monotonic))

    def device(self, step: Step) -> None:
        """``reader READER offline|online`` and ``board BOARD offline|online``."""
        name, word = step.arguments
        if step.word == "reader":
            self._reader(name)
        else:
            boards = {point.device for point in self.site.devices.outputs | self.site.devices.inputs}
            known_name("board", name, sorted(boards - self.site.devices.readers))
        bench, now = self.world.bench, self.world.clock.monotonic
        self.world.happens(bench.online(name, now) if word == "online" else bench.offline(name, now))
        self.world.wait(LINK)

    def sync(self, step: Step) -> None:
        """``sync ok|fail``, ``sync fail KIND``."""
        if step.arguments[0] == "ok":
            self.world.sync_completed()
        else:
            kind = OutageKind(step.arguments[1]) if step.arguments[1:] else OutageKind.UNREACHABLE
            self.world.sync_failed(OutageError(kind, f"as the scenario has it: {kind.value}"))

    def clock(self, step: Step) -> None:
        """``clock jump ±DURATION``, ``clock unsynced|synced|unset``."""
        clock = self.world.clock
        if step.arguments[0] == "jump":
            clock.jumped += timedelta(seconds=signed_duration(step.arguments[1]))
        else:
            clock.quality = QUALITIES[step.arguments[0]]
        self.world.clock_changed()

    def restart(self, step: Step) -> None:
        """``restart``."""
        del step
        self.world.restart()

    def power_cut(self, step: Step) -> None:
        """``power-cut``, ``power-cut for DURATION``: so long nothing runs but the wall clock."""
        lost = self.world.power_cut(parse_duration(step.arguments[1]) if step.arguments else 0.0)
        self.expected.lose(lost)
        self._seen -= len(lost)

    def operator(self, step: Step) -> None:
        """``operator NAME ACTION …``: what ``latchctl door``, ``forgive`` and ``sync`` do."""
        act_as(self.world, step.arguments)

    # -------------------------------------------------------------- expectations

    def expect(self, step: Step) -> None:
        """``expect EVENT [KEY=VALUE …]``: consumes the oldest that matches."""
        self.expected.expect(step.arguments[0], self._fields(step))

    def expect_no(self, step: Step) -> None:
        """``expect-no EVENT [KEY=VALUE …]``."""
        self.expected.expect_no(step.arguments[0], self._fields(step))

    def _fields(self, step: Step) -> dict[str, str]:
        fields = step.fields
        if fields.get("state") == CUT:
            fields = {**fields, "state": InputState.OPEN.value}
        if "door" in fields:
            self._door(fields["door"])
        if "reader" in fields:
            self._reader(fields["reader"])
        if "level" in fields and step.arguments[0] != EventName.CACHE_STALE:
            known_name("access level", fields["level"], [level.name for level in self.site.levels])
        return fields

    def quiet(self, step: Step) -> None:
        """``quiet``: nothing is left but state events."""
        del step
        self.expected.quiet()

    def clear(self, step: Step) -> None:
        """``clear``: forget the rest."""
        del step
        self.expected.clear()

    def expect_lock(self, step: Step) -> None:
        """``expect-lock DOOR locked|released``: what the lock's output says."""
        door, wanted = step.arguments
        found = "released" if self.world.bench.output(self._door(door).setup.lock) else "locked"
        if found != wanted:
            raise UnmetError(f"the lock is {found}; {self.expected.left()}")

    def expect_mode(self, step: Step) -> None:
        """``expect-mode DOOR MODE``."""
        door, wanted = step.arguments
        state = self._door(door).state
        if state.mode.value != wanted:
            raise UnmetError(f"the mode is {state.mode.value}, by {state.cause.value}; {self.expected.left()}")

    def expect_output(self, step: Step) -> None:
        """``expect-output NAME on|off``."""
        name, wanted = step.arguments
        found = "on" if self.world.bench.output(parse_point(name)) else "off"
        if found != wanted:
            raise UnmetError(f"the output is {found}; {self.expected.left()}")

    # -------------------------------------------------------------- names

    def _door(self, door: str) -> DoorController:
        return self.world.door(door)

    def _reader(self, reader: str) -> str:
        return known_name("reader", reader, sorted(self.site.devices.readers))


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


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename} cannot be read: {error.strerror}" if error.filename else error.strerror
    return str(error)


def _has(door: str, kind: str, line: InputSetup | None) -> InputSetup:
    if line is None:
        raise ValueError(f"the door {door} has no {kind} in the site file")
    return line
