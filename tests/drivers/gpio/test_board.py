"""GPIO boards: levels and edges become raw states, trouble is said in words."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
import time
from collections.abc import Awaitable, Callable
from types import ModuleType

import gpiod
import pytest

from drivers.driver import DriverUsageError, PortError
from drivers.events import DeviceOffline, InputChanged, InputState, Point, Pulse, SwitchOff, SwitchOn
from drivers.gpio.board import DRIVER, GpioDriver
from drivers.gpio.lines import LinePlan, Lines
from drivers.gpio.settings import GpioChip, GpioInput, GpioOutput
from tests.drivers.conformance import eventually, running
from tests.drivers.gpio.fake_chip import RISING
from tests.drivers.gpio.test_gpio_conformance import BoardRig, ChipRig

LOCK, CONTACT = Point("cab", "lock"), Point("cab", "contact")


def play(rig: ChipRig, body: Callable[[], Awaitable[None]]) -> None:
    async def _body() -> None:
        async with running(rig):
            await body()

    asyncio.run(_body())


def test_every_edge_is_told_in_order_of_time() -> None:
    rig = BoardRig()

    async def body() -> None:
        begin = time.monotonic_ns()
        for index, level in enumerate((False, True, False)):
            rig.chip.drive(5, level, begin + index * 1_000_000)
        rig.chip.requests[0].events.reverse()
        await eventually(lambda: len(rig.of(InputChanged)) == 4)
        told = [event for event in rig.of(InputChanged) if isinstance(event, InputChanged)]
        assert [event.state for event in told[1:]] == [InputState.ON, InputState.OFF, InputState.ON]
        assert [event.at for event in told[1:]] == [(begin + n * 1_000_000) / 1e9 for n in range(3)]

    play(rig, body)


def test_what_merged_edges_left_behind_is_put_right() -> None:
    rig = BoardRig()

    async def body() -> None:
        rig.chip.levels[5] = False  # on; the kernel merged the edges and tells of one that says otherwise
        rig.chip.requests[0].push(gpiod.EdgeEvent(RISING.value, time.monotonic_ns(), 5, 7, 7))
        rig.chip.levels[5] = True
        await eventually(lambda: len(rig.of(InputChanged)) == 3)
        states = [event.state for event in rig.of(InputChanged) if isinstance(event, InputChanged)]
        assert states == [InputState.OFF, InputState.ON, InputState.OFF]

    play(rig, body)


def test_a_hold_is_put_right_after_an_outage_and_a_pulse_is_not() -> None:
    rig = BoardRig()

    async def body() -> None:
        for command, wanted in ((SwitchOn(LOCK), True), (SwitchOff(LOCK), False), (Pulse(LOCK, 300.0), False)):
            rig.unplug()
            await eventually(lambda: not rig.online())
            rig.driver.send(command)
            rig.replug()
            await eventually(lambda: rig.online() == rig.devices)
            assert rig.energised() is wanted

    play(rig, body)


def test_outputs_are_off_before_anything_else() -> None:
    rig = BoardRig()
    rig.chip.levels[22] = False  # on, as a killed process left it

    async def body() -> None:
        assert not rig.energised()

    play(rig, body)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ENOENT, "there is no GPIO chip /dev/gpiochip9; gpiodetect lists"),
        (errno.EACCES, "this user may not use /dev/gpiochip9"),
        (errno.EINVAL, "cannot request lines 5, 22: .*Invalid argument"),
    ],
)
def test_lines_that_cannot_be_had_are_explained_once(
    code: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig, tries = BoardRig(), []
    rig.chip.error = OSError(code, os.strerror(code))
    request = rig.chip.request_lines

    def count(*args: object, **kwargs: object) -> object:
        tries.append(1)
        return request(*args, **kwargs)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(rig.chip, "request_lines", count)

    async def body() -> None:
        task = asyncio.create_task(rig.driver.run())
        await eventually(lambda: len(tries) > 3)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(body())
    (event,) = rig.events
    assert isinstance(event, DeviceOffline)
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(event.why)


def test_a_line_that_is_taken_names_its_holder() -> None:
    rig = BoardRig()
    rig.chip.request_lines(rig.chip.path, {22: gpiod.LineSettings()}, "pump-control", None)

    async def body() -> None:
        task = asyncio.create_task(rig.driver.run())
        await eventually(lambda: rig.events)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(body())
    (event,) = rig.events
    assert isinstance(event, DeviceOffline)
    assert event.why == '/dev/gpiochip9: line 22 is held by "pump-control"; each line has one owner'
    rig.chip.requests[0].release()


def test_usage_errors() -> None:
    rig = BoardRig()
    for command in (Pulse(LOCK, 0.0), SwitchOn(CONTACT), SwitchOn(Point("attic", "lock"))):
        with pytest.raises(DriverUsageError):
            rig.driver.send(command)


def test_the_registry_makes_it() -> None:
    settings = GpioChip(chip="/dev/x", outputs={"22": GpioOutput(line=22)}, inputs={"5": GpioInput(line=5)})
    assert DRIVER.lines(settings) == ({"22"}, {"5"})
    driver = DRIVER.create(None, {"cab": settings}, BoardRig().context())
    assert isinstance(driver, GpioDriver)
    assert not driver.status()[0].online


@pytest.mark.parametrize("discovery", ["switch", "levels", "look"])
def test_a_chip_that_is_found_gone_in_the_middle_of_something_is_offline(
    discovery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = BoardRig()

    def vanish(lines: list[int]) -> list[object]:
        rig.chip.unplug()
        rig.chip.check()
        return []

    async def body() -> None:
        if discovery == "switch":
            rig.chip.gone = True  # and its descriptor does not tell
            rig.driver.send(SwitchOn(LOCK))
        elif discovery == "look":
            rig.chip.gone = True  # and nothing is to be done
        else:  # between an edge and the look at the level
            monkeypatch.setattr(rig.chip.requests[0], "get_values", vanish)
            rig.chip.drive(5, False)
        await eventually(lambda: rig.of(DeviceOffline))
        (event,) = rig.of(DeviceOffline)
        assert isinstance(event, DeviceOffline)
        assert event.why == "/dev/gpiochip9: No such device"
        rig.replug()
        await eventually(lambda: rig.online() == rig.devices)

    play(rig, body)


@pytest.mark.parametrize(
    ("module", "message"), [(None, "which is not installed"), (ModuleType("gpiod"), "version 1 is installed")]
)
def test_without_a_fitting_gpiod_the_site_is_told_what_to_install(
    module: ModuleType | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gpiod", module)
    with pytest.raises(PortError, match=message):
        Lines(LinePlan("/dev/gpiochip0"))
