"""What every driver does, in tests: one suite, subclassed per driver.

A subclass of ``DriverConformance`` says how to build a ``Rig``: the driver under test with whatever it
speaks to (a peer process, a pty, a fake of a kernel object), and the handles by which a test plays with
that. What a driver does not have (``reader``, ``output``, ``input``) stays ``None``, and the tests that need
it are not collected for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

import pytest

from drivers.driver import Context, Driver, DriverUsageError, SecretReference
from drivers.events import (
    Buzz,
    CardRead,
    Colour,
    DeviceEvent,
    DeviceOffline,
    DeviceOnline,
    InputChanged,
    InputState,
    Led,
    Point,
    Pulse,
    SwitchOff,
    SwitchOn,
)
from tests.drivers.loopwatch import CountingLoop, held_up, kept

Test = TypeVar("Test", bound=Callable[..., None])

PATIENCE = 20.0
"""Seconds until something that must happen is called missing; generous, as the machine may be loaded."""


E = TypeVar("E", bound=DeviceEvent)


class Rig(ABC):
    """A driver with its hardware. Everything here is called in the loop's thread."""

    driver: Driver
    devices: frozenset[str]
    reader: str | None = None
    output: Point | None = None
    input: Point | None = None
    settle: float = 0.0
    """Seconds after coming online in which a card is refused, as it may be from before."""

    def __init__(self) -> None:
        self.events: list[DeviceEvent] = []

    def context(self, secrets: Callable[[SecretReference], bytes] | None = None) -> Context:
        """A context that keeps the events in ``self.events``."""
        return Context(self.events.append, time.monotonic, secrets or _no_secret)

    @abstractmethod
    def energised(self) -> bool:
        """Whether the hardware itself, not the driver, has ``output`` switched on."""

    @abstractmethod
    def set_input(self, on: bool) -> None:
        """Set the level of ``input`` at the hardware."""

    @abstractmethod
    def badge(self, length: int, value: int) -> None:
        """Present a card at ``reader``."""

    @abstractmethod
    def unplug(self) -> None:
        """Let every device stop answering."""

    @abstractmethod
    def replug(self) -> None:
        """Let every device answer again."""

    def of(self, kind: type[E]) -> Sequence[E]:
        """The events of one kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    def online(self) -> frozenset[str]:
        """The devices whose last word was that they are online."""
        last: dict[str, bool] = {}
        for event in self.events:
            if isinstance(event, DeviceOnline | DeviceOffline):
                last[event.device] = isinstance(event, DeviceOnline)
        return frozenset(device for device, is_on in last.items() if is_on)


def _no_secret(reference: SecretReference) -> bytes:
    raise AssertionError(f"this rig has no secret {reference}")


async def eventually(what: Callable[[], object]) -> None:
    """Wait until ``what()`` is true."""
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def running(rig: Rig) -> AsyncIterator[None]:
    """The driver's task, from all devices online to cancelled; what escapes ``run`` fails the test."""
    task = asyncio.get_running_loop().create_task(rig.driver.run())
    try:
        await eventually(lambda: task.done() or rig.online() == rig.devices)
        assert not task.done(), task
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def open_descriptors() -> set[str]:
    """What this process has open, as far as a driver could have opened it."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.add(f"{name}:{os.readlink(f'/proc/self/fd/{name}')}")
    return found


def needs(*parts: str) -> Callable[[Test], Test]:
    """Mark a test of the suite that needs these parts of a rig."""

    def mark(test: Test) -> Test:
        test.needs = parts  # type: ignore[attr-defined]  # a mark on a function, read in __init_subclass__
        return test

    return mark


class DriverConformance(ABC):
    """The suite. Set ``has`` to what the rig has, so that only tests that apply are run."""

    has: ClassVar[frozenset[str]] = frozenset({"reader", "output", "input"})
    pulse: ClassVar[float] = 0.3
    """Seconds of a pulse that this wire can show; slow ones may need longer."""

    @abstractmethod
    def build(self, directory: Path) -> contextlib.AbstractContextManager[Rig]:
        """A rig, fresh for each test; leaving the context ends its peers."""

    @pytest.fixture
    def rig(self, tmp_path: Path) -> Iterator[Rig]:
        with self.build(tmp_path) as rig:
            yield rig

    def __init_subclass__(cls) -> None:
        """Leave out the tests for hardware that this driver does not have by nature."""
        for name, test in vars(DriverConformance).items():
            if not cls.has.issuperset(getattr(test, "needs", ())):
                setattr(cls, name, None)

    # ------------------------------------------------------------------ start, status

    def test_nothing_is_said_before_run_and_every_device_comes_online(self, rig: Rig) -> None:
        assert rig.events == []

        async def body() -> None:
            async with running(rig):
                assert {status.device for status in rig.driver.status()} == rig.devices
                assert all(status.online for status in rig.driver.status())

        play(body())

    @needs("input")
    def test_inputs_are_reported_once_after_start_and_then_on_change(self, rig: Rig) -> None:
        async def body() -> None:
            async with running(rig):
                await eventually(lambda: states(rig))
                first = states(rig)
                for on in (True, False, True):
                    rig.set_input(on)
                    wanted = InputState.ON if on else InputState.OFF
                    await eventually(lambda wanted=wanted: states(rig)[-1] is wanted)
                assert len(first) == 1
                assert first[0] is InputState.OFF

        play(body())

    @needs("reader")
    def test_a_card_arrives_bit_by_bit_as_presented(self, rig: Rig) -> None:
        async def body() -> None:
            async with running(rig):
                await asyncio.sleep(rig.settle)  # a rule of time, not a guess: nothing else tells its end
                before = time.monotonic()
                rig.badge(26, 0x2EC0C86)
                await eventually(lambda: rig.of(CardRead))
                (card,) = rig.of(CardRead)
                assert isinstance(card, CardRead)
                assert (card.reader, card.length, card.value) == (rig.reader, 26, 0x2EC0C86)
                assert before - 1 <= card.at <= time.monotonic()

        play(body())

    # ------------------------------------------------------------------ commands

    @needs("output")
    def test_a_pulse_switches_on_and_off_by_itself(self, rig: Rig) -> None:
        async def body() -> None:
            async with running(rig):
                rig.driver.send(Pulse(some(rig.output), self.pulse))
                await eventually(rig.energised)
                await eventually(lambda: not rig.energised())

        play(body())

    @needs("output")
    def test_hold_stays_and_release_ends_it(self, rig: Rig) -> None:
        async def body() -> None:
            async with running(rig):
                rig.driver.send(SwitchOn(some(rig.output)))
                await eventually(rig.energised)
                rig.driver.send(SwitchOff(some(rig.output)))
                await eventually(lambda: not rig.energised())

        play(body())

    @needs("output")
    def test_release_ends_a_pulse_and_hold_outlasts_one(self, rig: Rig) -> None:
        async def body() -> None:
            output = some(rig.output)
            async with running(rig):
                rig.driver.send(Pulse(output, 300.0))
                await eventually(rig.energised)
                rig.driver.send(SwitchOff(output))
                await eventually(lambda: not rig.energised())
                rig.driver.send(Pulse(output, self.pulse))
                rig.driver.send(SwitchOn(output))
                await eventually(rig.energised)
                end = time.monotonic() + 2 * self.pulse
                while time.monotonic() < end:  # nothing is waited for: it must stay so all the time
                    assert rig.energised()
                    await asyncio.sleep(0.01)

        play(body())

    def test_what_does_not_exist_is_a_usage_error(self, rig: Rig) -> None:
        async def body() -> None:
            async with running(rig):
                device = min(rig.devices)
                for command in (
                    Pulse(Point("nowhere", "out1"), 1.0),
                    SwitchOn(Point(device, "no-such-line")),
                    SwitchOff(Point("nowhere", "out1")),
                    Led("nowhere", Colour.GREEN, 1.0),
                    Buzz("nowhere"),
                ):
                    with pytest.raises(DriverUsageError):
                        rig.driver.send(command)

        play(body())

    def test_commands_never_hold_up_the_loop(self, rig: Rig) -> None:
        async def body() -> None:
            async with running(rig):
                commands = [Led(rig.reader, Colour.GREEN, 0.1), Buzz(rig.reader)] if rig.reader else []
                if rig.output:
                    commands += [Pulse(rig.output, 0.05), SwitchOff(rig.output)]
                best = min(cost(rig.driver, commands) for _ in range(20))
                assert best < 0.005

        play(body())

    # ------------------------------------------------------------------ trouble

    def test_devices_go_offline_and_come_back(self, rig: Rig) -> None:
        async def body() -> None:
            with held_up() as calls:
                await away_and_back()
            assert calls == []

        async def away_and_back() -> None:
            async with running(rig):
                rig.unplug()
                await eventually(lambda: not rig.online())
                assert not any(status.online for status in rig.driver.status())
                assert all(event.why for event in rig.of(DeviceOffline) if isinstance(event, DeviceOffline))
                if rig.output:
                    rig.driver.send(SwitchOff(rig.output))
                if rig.reader:
                    rig.driver.send(Led(rig.reader, Colour.RED))
                known = len(states(rig))
                rig.replug()
                await eventually(lambda: rig.online() == rig.devices)
                if "input" in self.has:
                    await eventually(lambda: len(states(rig)) > known)

        play(body())

    def test_devices_that_are_away_cost_neither_work_nor_memory(self, rig: Rig) -> None:
        commands = [Led(rig.reader, Colour.GREEN, 1.0), Buzz(rig.reader)] if rig.reader else []
        commands += [Pulse(rig.output, 1.0), SwitchOn(rig.output), SwitchOff(rig.output)] if rig.output else []

        async def body() -> None:
            async with running(rig):
                rig.unplug()
                await eventually(lambda: not rig.online())
                loop = asyncio.get_running_loop()
                assert isinstance(loop, CountingLoop)
                before, begin = loop.turns, time.monotonic()
                await asyncio.sleep(0.4)
                assert loop.turns - before < 200 * (time.monotonic() - begin)
                assert kept(rig.driver, commands) < 100_000

        with asyncio.Runner(loop_factory=CountingLoop) as runner:
            runner.run(body())

    @needs("output")
    def test_a_pulse_missed_while_offline_is_never_made_up_for(self, rig: Rig) -> None:
        async def body() -> None:
            async with running(rig):
                rig.unplug()
                await eventually(lambda: not rig.online())
                rig.driver.send(Pulse(some(rig.output), 300.0))
                rig.replug()
                await eventually(lambda: rig.online() == rig.devices)
                end = time.monotonic() + 0.3
                while time.monotonic() < end:
                    assert not rig.energised()
                    await asyncio.sleep(0.01)

        play(body())

    def test_cancelling_leaves_outputs_off_and_nothing_behind(self, rig: Rig) -> None:
        async def body() -> None:
            descriptors, threads = open_descriptors(), set(threading.enumerate())
            async with running(rig):
                if rig.output:
                    rig.driver.send(SwitchOn(rig.output))
                    await eventually(rig.energised)
                if rig.reader:
                    rig.driver.send(Led(rig.reader, Colour.GREEN, blink=True))
            assert asyncio.all_tasks() == {asyncio.current_task()}
            if rig.output:
                await eventually(lambda: not rig.energised())
            await eventually(lambda: open_descriptors() <= descriptors)
            await eventually(lambda: set(threading.enumerate()) <= threads)

        play(body())


def play(body: Coroutine[None, None, None]) -> None:
    """Run one test's body; a warning of a forgotten task or transport is an error here as everywhere."""
    asyncio.run(body)


def some(point: Point | None) -> Point:
    """The point that a rig said it has."""
    assert point is not None
    return point


def states(rig: Rig) -> list[InputState]:
    """What was said of the rig's input so far."""
    return [event.state for event in rig.events if isinstance(event, InputChanged) and event.point == rig.input]


def cost(driver: Driver, commands: Sequence[Led | Buzz | Pulse | SwitchOff]) -> float:
    """Seconds that sending took."""
    begin = time.perf_counter()
    for command in commands:
        driver.send(command)
    return time.perf_counter() - begin
