"""The whole controller under everything at once: random plays at every site of tests/scenarios.

Whatever happens, in whatever order, these hold: no step fails, an output says what its door's state says, a
blocked door is released by nobody but a REX, a lockdown by nobody else but the exempt, every release has its
event, releases and lockings alternate, and orders, lockouts and positions are the same after a restart, and after
a power cut once they are durable. A play that fails is printed as a scenario.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cache.model import EventName, Mode, ModeCause
from daemon.decision.request import Position
from daemon.doors.controller.door import DoorController
from daemon.doors.door.lockout import Lockout
from daemon.doors.door.modes import ModeState, forget_past
from daemon.doors.door.table import LockState
from daemon.simulate.expectations import Happened
from daemon.simulate.runner import Player
from daemon.simulate.scenario import parse
from daemon.simulate.world import World

SCENARIOS = Path(__file__).parents[2] / "scenarios"
SITES = sorted(SCENARIOS.glob("site*.toml"))
DIRECTORIES = sorted(SCENARIOS.glob("people*.json"))
STEPS = 60
EXEMPT = {"u4"}
"""Alan of the security: the only one whom any of the sites exempts from lockdown."""

CAUSES = {EventName.ACCESS_GRANTED, EventName.REX, EventName.OPERATOR, EventName.DOOR_MODE}
Choice = Callable[[random.Random, World], str]


def _door(chance: random.Random, world: World) -> str:
    return chance.choice(sorted(world.controller.doors))


def _reader(chance: random.Random, world: World) -> str:
    return chance.choice(sorted(world.controller.readers))


def _card(chance: random.Random, _: World) -> str:
    return f"H10301:57:{chance.choice([1234, 1234, 1235, 1236, 1237, 1237, 1238, 1240, 1250, 9999])}"


def _line(kind: str, words: str) -> Choice:
    def step(chance: random.Random, world: World) -> str:
        doors = [name for name, unit in sorted(world.controller.doors.items()) if getattr(unit.setup, kind)]
        if not doors:
            return "+1s"
        return f"{kind} {chance.choice(doors)} {chance.choice(words.split())}"

    return step


def _order(chance: random.Random, world: World) -> str:
    door = chance.choice([_door(chance, world), _door(chance, world), "all"])
    action = chance.choice(["lockdown", "release", "release", "unlock", "lock", "block", "pulse"])
    end = chance.choice(["", " for 5s", " for 1h"]) if action not in ("lockdown", "release") else ""
    return f"operator eve {action} {door}{end}"


def _fire(chance: random.Random, world: World) -> str:
    points = sorted({str(unit.setup.fire.point) for unit in world.controller.doors.values() if unit.setup.fire})
    return f"input {chance.choice(points)} {chance.choice(['on', 'off', 'cut'])}" if points else "+2s"


def _keys(chance: random.Random, world: World) -> str:
    return f"keys {_reader(chance, world)} {chance.choice(['246810', '246811', '777770', '000000', '12', '9#'])}"


CHOICES: list[Choice] = [
    *[lambda chance, world: f"badge {_reader(chance, world)} {_card(chance, world)}"] * 8,
    *[_line("contact", "open closed open closed open closed short cut")] * 6,
    *[_line("rex", "on off on off cut short")] * 3,
    *[_order] * 3,
    _keys,
    _fire,
    *[lambda chance, _: f"+{chance.choice([30, 500, 3_000, 10_000, 61_000, 900_000, 14_400_000])}ms"] * 6,
    lambda chance, world: f"tamper {_reader(chance, world)} {chance.choice(['on', 'off'])}",
    lambda chance, world: f"reader {_reader(chance, world)} {chance.choice(['offline', 'online', 'online'])}",
    lambda chance, _: f"board main {chance.choice(['offline', 'online', 'online'])}",
    lambda chance, _: f"directory {chance.choice(DIRECTORIES)}",
    lambda chance, _: f"sync {chance.choice(['ok', 'fail'])}",
    lambda chance, _: f"clock {chance.choice(['synced', 'synced', 'unsynced', 'unset', 'jump +1h', 'jump -1h'])}",
    lambda chance, _: chance.choice(["restart", "power-cut"]),
]


def play(site: Path, seed: int, directory: Path) -> list[str]:
    """Play a random piece; the steps, which are the piece again."""
    chance = random.Random(f"{site.name} {seed}")
    start = chance.choice(["2026-03-02T07:58:00+01:00", "2026-03-29T01:58:00+01:00", "2026-10-25T02:50:00+02:00"])
    steps = [f"config {site}", f"directory {SCENARIOS / 'people.json'}", f"start {start}"]
    player = Player(directory / "random.scenario", directory)
    for step in parse("\n".join(steps), "random"):
        player._step(step)
    world = player.world
    watch = Watch(world)
    try:
        for _ in range(STEPS):
            text = chance.choice(CHOICES)(chance, world)
            steps.append(text)
            survives = text == "restart" or (text == "power-cut" and not world.recording.unsaved)
            before = kept(world)
            player._step(parse("\n".join([*steps[:1], steps[2], text]), "random")[-1])
            watch.look(f"{site.name}, seed {seed}, after {text}")
            assert not survives or kept(world) == still(before, world), f"{site.name}, seed {seed}, after {text}"
    except AssertionError as error:
        pytest.fail(f"{error}\n" + "\n".join(steps))
    finally:
        world.close()
    return steps


@dataclass(frozen=True, slots=True)
class Kept:
    """What has to survive: the orders of each door, the lockout of each reader, and where people are."""

    orders: dict[str, ModeState]
    lockouts: dict[str, Lockout]
    positions: dict[str, Position]


def kept(world: World) -> Kept:
    """What the controller holds of it at this moment."""
    controller = world.controller
    return Kept(
        {name: unit.ordered for name, unit in controller.doors.items()},
        {
            name: replace(one, **dict.fromkeys(("misses", "latest", "began")))
            for name, one in controller.site_state.pins._lockouts.items()
        },
        {person: place(at) for person, at in controller.site_state.space.positions.items()},
    )


def place(at: Position) -> Position:
    """Where a person is and since when by the wall clock: the monotonic clock begins again with each boot."""
    return replace(at, entered=None, outer=tuple(place(one) for one in at.outer))


def still(before: Kept, world: World) -> Kept:
    """The same without the orders that have run out meanwhile."""
    now, after = world.now(), kept(world).orders
    return replace(
        before, orders={name: timed(forget_past(order, now), after[name]) for name, order in before.orders.items()}
    )


def timed(before: ModeState, after: ModeState) -> ModeState:
    """An override for a time may end sooner after a restart: of two readings of time the stricter counts."""
    ordered, left = before.override, after.override
    if ordered is None or ordered.began is None:
        return before
    if left is None or left.began is None:
        return replace(before, override=None)
    assert ordered.mode is not Mode.UNLOCKED or left.began.monotonic <= ordered.began.monotonic
    return replace(before, override=replace(ordered, began=left.began))


class Watch:
    """What must hold after every step."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._seen: list[Happened] = []
        self._granted: dict[str, str | None] = {}
        self._released: dict[str, bool] = {}

    def look(self, where: str) -> None:
        """Look at every new event, and at every door."""
        happened = self._world.happened
        while self._seen and (
            len(happened) < len(self._seen) or happened[len(self._seen) - 1] is not self._seen[-1]
        ):
            self._seen.pop()  # a power cut took it
        for number in range(len(self._seen), len(happened)):
            self._event(number, where)
        self._seen = list(happened)
        for unit in self._world.controller.doors.values():
            self._door(unit, where)
        space = self._world.controller.site_state.space
        for area in self._world.controller.site_state.rules.areas:
            inside = [person for person, at in space.positions.items() if at.stay(area) is not None]
            assert space.occupancy(area) == len(inside), where

    def _event(self, number: int, where: str) -> None:
        happened = self._world.happened[number]
        event = happened.event
        match event.name:
            case EventName.SYSTEM_START:
                self._released.clear()
                assert "unreadable" not in dict(event.detail), where
            case EventName.ACCESS_GRANTED:
                self._granted[event.door or ""] = event.person
            case EventName.DOOR_RELEASED:
                assert not self._released.get(event.door or ""), f"{where}: released twice"
                self._released[event.door or ""] = True
                assert any(self._explains(one, happened) for one in self._world.happened[:number]), where
            case EventName.DOOR_LOCKED:
                assert self._released.get(event.door or ""), f"{where}: locked twice"
                self._released[event.door or ""] = False
            case _:
                pass

    @staticmethod
    def _explains(one: Happened, released: Happened) -> bool:
        """Whether an event of the same door in the same instant says why it was released."""
        return (
            one.event.name in CAUSES | {EventName.SYSTEM_START}
            and one.event.door in (released.event.door, None)
            and abs(one.stamp.at.monotonic - released.stamp.at.monotonic) < 0.2
        )

    def _door(self, unit: DoorController, where: str) -> None:
        world, state, name = self._world, unit.state, unit.setup.name
        online = {status.device: status.online for status in world.bench.status()}
        if online[unit.setup.lock.device]:
            assert world.bench.output(unit.setup.lock) is state.released, f"{where}: the lock of {name}"
        if state.cause is ModeCause.FIRE:
            return
        if state.mode is Mode.BLOCKED:
            assert state.lock in (LockState.LOCKED, LockState.EGRESS), f"{where}: {name} is blocked"
        if state.mode is Mode.LOCKDOWN and state.lock is LockState.STRIKE:
            assert self._granted[name] in EXEMPT, f"{where}: {name} is in lockdown"
        assert (state.lock is LockState.UNLOCKED) is (state.mode is Mode.UNLOCKED), f"{where}: {name}"


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.stem)
def test_random_plays(site: Path, tmp_path: Path) -> None:
    for seed in range(2):
        directory = tmp_path / str(seed)
        directory.mkdir()
        assert len(play(site, seed, directory)) == STEPS + 3


@pytest.mark.soak
@pytest.mark.parametrize("site", SITES, ids=lambda site: site.stem)
def test_many_random_plays(site: Path, tmp_path: Path) -> None:
    for seed in range(100, 140):
        directory = tmp_path / str(seed)
        directory.mkdir()
        play(site, seed, directory)
