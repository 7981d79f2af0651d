"""Doors start, and open, on a disk that is read-only or full; what happened is recorded when it is well again."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cache.journal.reader import JournalReader
from cache.model import EventName
from daemon.doors.controller.orders import DoorAction
from daemon.doors.operators import DoorRequest, order_doors
from tests.daemon.simulated import ADA, SITE, Bench, Running, running, until

GRANTED = EventName.ACCESS_GRANTED


class OnDisk(Bench):
    """A site whose state is on a disk of its own, of 6 MB."""

    @property
    def disk(self) -> Path:
        """Where it is mounted."""
        return self.directory / "disk"

    @property
    def state(self) -> Path:
        """The folders of the databases."""
        return self.disk / "state"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[OnDisk]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6M", "tmpfs", str(disk)]
    if (done := subprocess.run(mount, capture_output=True, text=True)).returncode:
        pytest.skip(f"no file system of its own can be mounted here: {done.stderr.strip()}")
    try:
        found = OnDisk(tmp_path, SITE.replace("{directory}/state", "{directory}/disk/state"))
        found.fill()
        play(found, ended_in_order)
        yield found
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def play(bench: Bench, story: Callable[[Running], Coroutine[Any, Any, None]]) -> None:
    """Run the doors of this bench for as long as the story takes."""

    async def whole() -> None:
        async with running(bench) as now:
            await story(now)

    asyncio.run(whole())


async def ended_in_order(now: Running) -> None:
    assert now.badge(ADA)
    assert now.doors.writer.flush()


def remount(bench: OnDisk, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(bench.disk)], check=True)


def test_a_disk_that_is_read_only_at_the_start(bench: OnDisk) -> None:
    """What a worn memory card does: the kernel remounts it so, and a restart does not help."""

    async def story(now: Running) -> None:
        assert now.badge(ADA)
        await until("the alarm", lambda: "Read-only" in str(now.doors.journal_alarm))
        order_doors(now.doors, DoorRequest("eve", DoorAction.LOCKDOWN, "all"), now.doors.now())
        assert not now.badge(ADA)
        remount(bench, "rw")
        await until("durable after all", lambda: len(bench.events(GRANTED)) == 2)
        await until("no alarm", lambda: now.doors.journal_alarm is None)

    remount(bench, "ro")
    play(bench, story)
    with JournalReader(bench.state / "doors" / "journal.db") as reader:
        assert reader.verify().faults == ()
        assert "mode.lobby" in reader.state()


def test_a_lockdown_holds_on_a_disk_that_is_read_only_at_the_next_start(bench: OnDisk) -> None:
    async def lockdown(now: Running) -> None:
        order_doors(now.doors, DoorRequest("eve", DoorAction.LOCKDOWN, "all"), now.doors.now())
        assert now.doors.writer.flush()

    async def later(now: Running) -> None:
        assert not now.badge(ADA)
        remount(bench, "rw")

    play(bench, lockdown)
    remount(bench, "ro")
    play(bench, later)


def fill(ballast: Path) -> None:
    """Leave not a single block."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_a_disk_that_is_full_and_has_no_reserve(bench: OnDisk) -> None:
    ballast = bench.disk / "ballast"

    async def story(now: Running) -> None:
        assert now.badge(ADA)
        await until("the alarm", lambda: "events wait in memory" in str(now.doors.journal_alarm))
        assert now.badge(ADA)
        ballast.unlink()
        await until("durable after all", lambda: len(bench.events(GRANTED)) == 3)

    (bench.state / "doors" / "journal.reserve").unlink()
    fill(ballast)
    play(bench, story)


def test_a_disk_that_is_full_at_the_start_after_an_end_in_order(bench: OnDisk) -> None:
    """A restart is what people try on a full disk. The room that was set aside is for this."""
    ballast = bench.disk / "ballast"

    async def story(now: Running) -> None:
        assert now.badge(ADA)
        await until("durable", lambda: len(bench.events(GRANTED)) == 2)
        ballast.unlink()

    assert (bench.state / "doors" / "journal.reserve").stat().st_size > 0
    fill(ballast)
    play(bench, story)
    with JournalReader(bench.state / "doors" / "journal.db") as reader:
        assert reader.verify().faults == ()
