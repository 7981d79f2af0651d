"""The driver against real peers at their worst: a libmodbus device in C, and pymodbus's server side, RTU and TCP.

A model goes along. Each input state that is told must have been the board's own at some instant since it was asked
for, by the board's own word of when it changed; and when the fault is over, outputs and inputs are as they should.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from drivers.events import DeviceOffline, InputChanged, InputState, Point, Pulse, SwitchOff, SwitchOn
from tests.drivers.conformance import eventually, play, running
from tests.drivers.modbus.rigs import (
    LibmodbusRig,
    ModbusRig,
    Wire,
    build_libmodbus_board,
    last_state,
    libmodbus_rig,
    rtu_rig,
    tcp_rig,
)

C_FAULTS = ("late", "crc", "wrongunit", "power", "port", "flip")
RTU_FAULTS = (*C_FAULTS, "mute", "exception")
TCP_FAULTS = ("late", "deaf", "power", "exception")


class Peer(ABC):
    """A rig, its wire, and how its faults are made."""

    def __init__(self, rig: ModbusRig, wire: Wire | None) -> None:
        self.rig = rig
        self.wire = wire

    @abstractmethod
    def say(self, words: str) -> None:
        """A control line of the board."""

    @abstractmethod
    def history(self) -> list[tuple[float, int, bool]]:
        """Time, input and state of each change, in the board's words."""

    @abstractmethod
    def outputs(self) -> list[bool]:
        """Its relays."""

    @abstractmethod
    def strike(self, fault: str) -> None:
        """Begin a fault of the board."""

    @abstractmethod
    def heal(self) -> None:
        """End every fault of the board."""

    def order(self, words: str) -> None:
        if self.wire is not None:
            self.wire.order(words)

    def begin(self, fault: str) -> None:
        """Begin a fault of the board, its power or the bus."""
        match fault:
            case "power":
                self.say("power off")
            case "port":
                self.order("unplug cp")
            case "flip":
                self.order("flip 0.02")
            case _:
                self.strike(fault)

    def end(self, fault: str) -> None:
        """End it."""
        match fault:
            case "power":
                self.say("power on")
            case "port":
                self.order("replug cp")
            case "flip":
                self.order("flip 0")
            case _:
                self.heal()

    def was_true(self, event: InputChanged) -> bool:
        """Whether the board had this state between the question and the event."""
        number, asked = int(event.point.line[2:]), self.rig.tap.before(event.at)
        state, between = False, set()
        for at, changed, on in self.history():
            if changed == number and at <= event.at:
                if at >= asked:
                    between.add(state)
                state = on
        return (event.state is InputState.ON) in {*between, state}


class Libmodbus(Peer):
    rig: LibmodbusRig

    def say(self, words: str) -> None:
        self.rig.device.say(words)

    def history(self) -> list[tuple[float, int, bool]]:
        told = [line.split() for line in list(self.rig.device.lines) if line.startswith("input ")]
        return [(float(at), int(number), state == "1") for _, number, state, at in told]

    def outputs(self) -> list[bool]:
        return [state == "1" for state in self.rig.coils()]

    def strike(self, fault: str) -> None:
        self.say(fault)

    def heal(self) -> None:
        self.say("answer")


class Pymodbus(Peer):
    words: ClassVar = {
        "late": ("delay 0 0.4", "delay 0"),
        "crc": ("crc 0.5", "crc 0"),
        "wrongunit": ("wrongunit 0.5", "wrongunit 0"),
        "deaf": ("deaf 0.5", "deaf 0"),
        "mute": ("mute 0.5", "mute 0"),
        "exception": ("exception 4", "exception off"),
    }

    def say(self, words: str) -> None:
        self.rig.board.say(words)

    def history(self) -> list[tuple[float, int, bool]]:
        return [(event["t"], event["input"], event["on"]) for event in self.rig.board.events("input")]

    def outputs(self) -> list[bool]:
        return [self.rig.board.is_on(number) for number in range(1, 9)]

    def strike(self, fault: str) -> None:
        self.say(self.words[fault][0])

    def heal(self) -> None:
        for _, words in self.words.values():
            self.say(words)


@pytest.fixture(scope="session")
def libmodbus_board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_libmodbus_board(tmp_path_factory.mktemp("libmodbus"))


@contextlib.contextmanager
def open_peer(name: str, directory: Path, program: Callable[[], Path]) -> Iterator[Peer]:
    """One of the three; ``program`` gives the board in C where it is asked for."""
    if name == "libmodbus":
        with libmodbus_rig(directory, program()) as (c_rig, wire):
            yield Libmodbus(c_rig, wire)
    elif name == "pymodbus-rtu":
        with rtu_rig(directory) as (rig, wire):
            yield Pymodbus(rig, wire)
    else:
        with tcp_rig() as rig:
            yield Pymodbus(rig, None)


async def trouble(here: Peer, faults: tuple[str, ...], rounds: int, chance: random.Random) -> None:
    """A fault at a time while doors are used and people come and go; after each, all is right again."""
    for turn in range(rounds):
        fault = faults[turn % len(faults)]
        wanted = dict.fromkeys(range(1, 9), False)
        here.begin(fault)
        for _ in range(chance.randint(3, 8)):
            here.say(f"input {chance.randint(1, 2)} {chance.choice(['on', 'off'])}")
            number = chance.randint(1, 8)
            point = Point("main", f"out{number}")
            wanted[number] = chance.random() < 0.5
            off = chance.choice([SwitchOff(point), Pulse(point, 0.3)])
            here.rig.driver.send(SwitchOn(point) if wanted[number] else off)
            await asyncio.sleep(chance.uniform(0.0, 0.15))  # at any phase of the driver's: nothing to wait for
        if fault in ("power", "port"):
            await eventually(lambda: not here.rig.online())
        here.end(fault)
        for number, hold in wanted.items():
            if not hold:
                here.rig.driver.send(SwitchOff(Point("main", f"out{number}")))
        await eventually(lambda: here.rig.online() == here.rig.devices)
        await eventually(lambda wanted=wanted: here.outputs() == list(wanted.values()))
        states = {number: on for _, number, on in here.history()}
        for number, on in states.items():
            state = InputState.ON if on else InputState.OFF
            await eventually(lambda n=number, state=state: last_state(here.rig, f"in{n}") is state)


@pytest.mark.parametrize("rounds", [1, pytest.param(3, marks=[pytest.mark.soak, pytest.mark.timeout(180)])])
@pytest.mark.parametrize(
    ("name", "faults"), [("libmodbus", C_FAULTS), ("pymodbus-rtu", RTU_FAULTS), ("pymodbus-tcp", TCP_FAULTS)]
)
def test_no_wrong_state_is_believed_and_all_is_right_after_each_fault(
    tmp_path: Path, request: pytest.FixtureRequest, name: str, faults: tuple[str, ...], rounds: int
) -> None:
    chance = random.Random(f"{name} {rounds}")

    async def body() -> None:
        with open_peer(name, tmp_path, lambda: request.getfixturevalue("libmodbus_board")) as here:
            async with running(here.rig):
                await trouble(here, faults, rounds * len(faults), chance)
            told = [event for event in here.rig.events if isinstance(event, InputChanged)]
            assert len(told) > 8 + rounds
            assert [event for event in told if not here.was_true(event)] == []
            assert here.rig.of(DeviceOffline)

    play(body())


def test_the_model_notices_a_state_that_never_was(tmp_path: Path) -> None:
    with rtu_rig(tmp_path) as (rig, wire):
        here = Pymodbus(rig, wire)
        rig.board.say("input 1 on")
        rig.board.wait_for(here.history)
        ((changed, _, _),) = here.history()
        rig.tap.asked = [changed - 1.0, changed + 1.0]
        for at, state, right in (
            (changed + 0.5, InputState.OFF, True),
            (changed + 0.5, InputState.ON, True),
            (changed - 0.5, InputState.ON, False),
            (changed + 1.5, InputState.OFF, False),
            (changed + 1.5, InputState.ON, True),
        ):
            assert here.was_true(InputChanged(Point("main", "in1"), state, at)) is right
