"""The driver goes on whatever an exception does to one of its steps: on a pty, against a model reader."""

from __future__ import annotations

import asyncio
import os
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.driver import ScanPlan, ServesReaders
from drivers.events import DeviceAlarm, DeviceEvent, DeviceOnline
from drivers.osdp.bus import Bus
from tests.drivers.osdp.panel import KEY, SECRET, OsdpReader
from tests.peers.osdp_bench import Panel, running
from tests.peers.osdp_model import ModelReader


class Pty:
    """A model reader at the other end of a pty."""

    def __init__(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = Path(os.ttyname(self._slave))
        self.model = ModelReader(key=KEY)
        self.heard = 0

    def listen(self) -> None:
        asyncio.get_running_loop().add_reader(self._master, self._answer)

    def _answer(self) -> None:
        self.heard += 1
        self.model.now = time.monotonic()
        os.write(self._master, self.model.hear(os.read(self._master, 4096)))

    def close(self) -> None:
        os.close(self._master)
        os.close(self._slave)


@pytest.fixture
def pty() -> Iterator[Pty]:
    end = Pty()
    yield end
    end.close()


async def polled_again(pty: Pty) -> None:
    """Wait until the reader is asked twenty times more."""
    heard = pty.heard
    async with asyncio.timeout(5.0):
        while pty.heard < heard + 20:  # noqa: ASYNC110 - the reader's count is no event
            await asyncio.sleep(0.01)


def failing_once(panel: Panel, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Let one step of the bus raise, the next time that it is taken."""
    right = getattr(Bus, step)
    left = [1]

    def wrong(*arguments: object) -> object:
        if left and left.pop():
            raise IndexError("pop from an empty deque")
        return right(*arguments)

    monkeypatch.setattr(Bus, step, wrong)


@pytest.mark.parametrize("step", ["receive", "handle_deadline", "bytes_to_send", "deadline"])
def test_a_fault_in_any_step_is_an_alarm_and_the_bus_goes_on(
    pty: Pty, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    async def run() -> None:
        panel = Panel(pty.path, 115200, {"r0": OsdpReader(address=0, key=SECRET)}, KEY)
        pty.listen()
        async with running(panel):
            await panel.expect(DeviceOnline)
            failing_once(panel, monkeypatch, step)
            if step == "handle_deadline":
                pty.model.alive = False
            alarm = await panel.expect(DeviceAlarm)
            pty.model.alive = True
            assert "internal fault" in alarm.what
            await polled_again(pty)

    asyncio.run(run())


def test_a_listener_that_fails_costs_the_bus_nothing(pty: Pty) -> None:
    async def run() -> None:
        panel = Panel(pty.path, 115200, {"r0": OsdpReader(address=0, key=SECRET)}, KEY)
        pty.listen()

        def fail(event: DeviceEvent) -> None:
            raise ValueError(type(event).__name__)

        panel.on_event = fail
        async with running(panel):
            await polled_again(pty)
            assert panel.events

    asyncio.run(run())


def test_a_scan_that_is_ended_at_any_moment_leaves_the_bus_alive(pty: Pty) -> None:
    async def run() -> None:
        panel = Panel(pty.path, 115200, {"r0": OsdpReader(address=0, key=SECRET)}, KEY)
        pty.listen()
        async with running(panel):
            await panel.expect(DeviceOnline)
            assert isinstance(panel.driver, ServesReaders)
            for step in range(5):
                found = panel.driver.readers.scan(ScanPlan(range(127), [115200]))
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(anext(found), 0.3 + step * 0.02)
                await found.aclose()
                await polled_again(pty)

    asyncio.run(run())
