"""The recorder: private files of bounded size, nothing that anybody could decipher, a bus that never waits."""

from __future__ import annotations

import asyncio
import dataclasses
import stat
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from drivers import recorder
from drivers.driver import Context, DeviceStatus, DriverUsageError, SecretReference
from drivers.events import CardRead, Command, Point, SwitchOn
from drivers.gpio.settings import WiegandReader
from drivers.gpio.wiegand import DRIVER as WIEGAND
from drivers.osdp.driver import DRIVER as OSDP
from drivers.osdp.frame import encode
from drivers.osdp.messages import Cmd
from drivers.osdp.replay import DefaultKeyFilter
from drivers.osdp.secure import Scs
from drivers.osdp.settings import OsdpBus, OsdpReader
from drivers.recorder import RecordedDriver, Recorder, recordable
from drivers.recording import Filter, Kind, header, parse
from drivers.sim.driver import DRIVER as SIM

HEAD = header("osdp", None, {})
REFERENCE = SecretReference("env:KEY")


def make(path: Path, *, shown: bool = False) -> Recorder:
    return Recorder(path, HEAD, Filter(), shown=shown)


def context() -> Context:
    return Context(lambda event: None, time.monotonic, lambda reference: bytes(range(16)))


def test_a_file_is_private_whatever_was_there_before(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    path.touch(0o644)
    one = make(path)
    one.begin()
    one.opened()
    one.sent(b"\x01")
    one.event(CardRead("r", 26, 12345, 1.0))
    asyncio.run(one.end())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [line.kind for line in parse([path.read_text()]).lines] == [Kind.OPEN, Kind.SENT, Kind.EVENT]
    assert "12345" not in path.read_text()
    assert f"{12345:b}" not in path.read_text()


def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.rec").symlink_to(tmp_path / "victim")
    one = make(tmp_path / "a.rec")
    one.begin()
    one.opened()
    asyncio.run(one.end())
    assert not (tmp_path / "victim").exists()


def test_files_are_rotated_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "FILE_BYTES", 2000)
    path = tmp_path / "a.rec"
    for number in range(12):
        one = make(path)
        one.begin()
        one.opened()
        for _ in range(20):
            one.sent(bytes([number]) * 40)
        asyncio.run(one.end())
    files = sorted(each.name for each in tmp_path.iterdir())
    assert files == ["a.rec", "a.rec.1", "a.rec.2", "a.rec.3"]
    assert all((tmp_path / name).read_text().startswith(HEAD) for name in files)
    order = [tmp_path / name for name in ("a.rec.3", "a.rec.2", "a.rec.1", "a.rec")]
    numbers = [line.data[0] for line in parse(each.read_text() for each in order).lines if line.kind is Kind.SENT]
    assert numbers == sorted(numbers)
    assert numbers[-1] == 11


def test_a_disk_that_does_not_keep_up_costs_lines_and_says_how_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "QUEUE_LINES", 5)
    one = make(tmp_path / "a.rec")
    for _ in range(12):
        one.sent(b"\x01")  # nobody writes yet
    one.begin()
    deadline = time.monotonic() + 10
    while one._lines.qsize():
        assert time.monotonic() < deadline
    one.sent(b"\x02")
    asyncio.run(one.end())
    text = (tmp_path / "a.rec").read_text()
    assert text.count(" tx 01") == 5
    assert " gap 7\n" in text


def test_a_disk_that_is_gone_does_not_end_the_bus(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = make(tmp_path / "none" / "a.rec")
    one.begin()
    one.opened()
    one.sent(b"\x01")
    asyncio.run(one.end())
    assert "the bus goes on unrecorded" in caplog.text


# ------------------------------------------------------------------ what may not stand in a file


def challenge(default: bool) -> bytes:
    return encode(3, 1, Cmd.CHLNG, bytes(8), block=bytes([Scs.CHALLENGE, 0 if default else 1]))


def secured(address: int) -> bytes:
    return encode(address, 2, Cmd.KEYSET, bytes(32), block=bytes([Scs.COMMAND_ENCRYPTED]), mac=lambda m: bytes(16))


def test_what_passes_under_the_default_key_is_held_back_with_its_answer() -> None:
    sieve = DefaultKeyFilter()
    assert sieve.passes(challenge(True), sent=True)
    assert sieve.passes(b"\x53", sent=False)
    assert sieve.passes(secured(4), sent=True)  # another reader, with its own key
    assert not sieve.passes(b"\xff" + secured(3), sent=True)
    assert not sieve.passes(b"answer", sent=False)
    assert sieve.passes(challenge(False), sent=True)
    assert sieve.passes(secured(3), sent=True)
    assert sieve.passes(b"answer", sent=False)


def test_hidden_bytes_leave_their_number(tmp_path: Path) -> None:
    one = Recorder(tmp_path / "a.rec", HEAD, DefaultKeyFilter(), shown=False)
    one.begin()
    one.opened()
    one.sent(challenge(True))
    one.sent(secured(3))
    one.received(b"12345")
    asyncio.run(one.end())
    lines = parse([(tmp_path / "a.rec").read_text()]).lines
    assert [line.words for line in lines[2:]] == [f"tx {len(secured(3))}", "rx 5"]


@pytest.mark.parametrize("allowed", [False, True])
def test_a_bus_in_clear_is_recorded_only_where_that_is_allowed(tmp_path: Path, allowed: bool) -> None:
    path = str(tmp_path / "a.rec")
    osdp = OsdpBus(port="none", record=path, record_cleartext=allowed)
    clear = {"r0": OsdpReader(address=0, secure_channel="off", allow_cleartext=True)}
    wiegand = {"y": WiegandReader(chip="c", d0=1, d1=2, record=path, record_cleartext=allowed)}
    for kind, settings, devices in ((OSDP, osdp, clear), (WIEGAND, None, wiegand)):
        if allowed:
            assert recordable(kind).create(settings, devices, context()).status()
        else:
            with pytest.raises(DriverUsageError, match="record_cleartext = true"):
                recordable(kind).create(settings, devices, context())


def test_a_bus_under_the_channel_needs_no_leave(tmp_path: Path) -> None:
    settings = OsdpBus(port="none", record=str(tmp_path / "a.rec"))
    driver = recordable(OSDP).create(settings, {"r0": OsdpReader(address=0, key=REFERENCE)}, context())
    assert isinstance(driver, RecordedDriver)


def test_without_record_nothing_is_wrapped() -> None:
    driver = recordable(OSDP).create(OsdpBus(port="n"), {"r0": OsdpReader(address=0, key=REFERENCE)}, context())
    assert not isinstance(driver, RecordedDriver)
    mute = dataclasses.replace(SIM, recording=None)
    assert recordable(mute) is mute


# ------------------------------------------------------------------ around a driver


class Quiet:
    """A driver that waits, and says what was sent."""

    extra = "offered beside the contract"

    def __init__(self) -> None:
        self.commands: list[Command] = []

    async def run(self) -> None:
        await asyncio.Event().wait()

    def send(self, command: Command) -> None:
        self.commands.append(command)

    def status(self) -> Sequence[DeviceStatus]:
        return []


def test_commands_and_the_end_stand_in_the_file(tmp_path: Path) -> None:
    inner: Any = Quiet()
    one = make(tmp_path / "a.rec")
    driver = RecordedDriver(inner, one)

    async def main() -> None:
        task = asyncio.create_task(driver.run())
        await asyncio.sleep(0)
        one.opened()
        driver.send(SwitchOn(Point("main", "out1")))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert inner.commands == [SwitchOn(Point("main", "out1"))]
    assert driver.extra == Quiet.extra
    lines = parse([(tmp_path / "a.rec").read_text()]).lines
    assert [(line.kind, line.words) for line in lines[1:]] == [
        (Kind.COMMAND, "hold main.out1"),
        (Kind.STOP, ""),
    ]


def test_the_end_of_a_driver_waits_for_a_slow_disk_and_the_loop_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, arrived = threading.Event(), threading.Event()
    written = Recorder._append

    def slow(self: Recorder, text: str) -> None:
        arrived.set()
        assert disk.wait(20)
        written(self, text)

    monkeypatch.setattr(Recorder, "_append", slow)
    one = make(tmp_path / "a.rec")

    async def main() -> None:
        inner: Any = Quiet()
        task = asyncio.create_task(RecordedDriver(inner, one).run())
        await asyncio.sleep(0)
        one.opened()
        await asyncio.to_thread(arrived.wait, 20)
        task.cancel()
        for _ in range(20):  # the loop turns while the disk does not
            await asyncio.sleep(0)
            assert not task.done()
        disk.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert [line.kind for line in parse([(tmp_path / "a.rec").read_text()]).lines] == [Kind.OPEN, Kind.STOP]
