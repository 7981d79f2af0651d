"""The driver against libosdp's readers on a paced bus, all in processes of their own."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.driver import Context, DriverUsageError, SecretReference
from drivers.events import (
    Buzz,
    CardRead,
    Colour,
    DeviceAlarm,
    DeviceOffline,
    DeviceOnline,
    InputChanged,
    InputState,
    KeyPress,
    Led,
    Point,
    Pulse,
    ReadError,
    ReadFault,
    SwitchOn,
    TamperChanged,
)
from drivers.osdp.driver import DRIVER
from drivers.osdp.settings import OsdpBus, OsdpReader
from tests.peers.osdp_bench import Panel, Peers, running

KEY = bytes(range(16))
OTHER_KEY = bytes(range(16, 32))
SECRET = SecretReference("env:KEY")
CARD = "10110011100011110000111110"

Segment = Callable[..., Peers]


def reader(address: int = 0, **more: object) -> OsdpReader:
    return OsdpReader(address=address, key=SECRET, **more)


def panel(peers: Peers, key: bytes = KEY, **readers: OsdpReader) -> Panel:
    return Panel(peers.folder / "cp", peers.baudrate, readers or {"r0": reader()}, key)


@pytest.mark.parametrize("baudrate", [9600, 115200])
def test_a_badge_moves_the_reader_s_own_relay(segment: Segment, baudrate: int) -> None:
    peers = segment(baudrate)
    pd = peers.reader(0, KEY)

    async def badge() -> None:
        async with running(panel(peers)) as front:

            def open_the_door(event: object) -> None:
                if isinstance(event, CardRead):
                    for command in (Led("r0", Colour.GREEN, 2.0), Buzz("r0"), Pulse(Point("r0", "out0"), 3.0)):
                        front.driver.send(command)

            front.on_event = open_the_door
            await front.settled()
            await front.expect(InputChanged, lambda event: event.state is InputState.OFF)
            pd.tell(f"card {CARD}")
            card = await front.expect(CardRead)
            assert (card.reader, card.length, card.value) == ("r0", 26, int(CARD, 2))
            said = [await pd.hear(what) for what in ("output", "led", "buzzer")]
            assert (said[0]["control_code"], said[0]["timer_count"]) == (5, 30)
            assert (said[1]["on_color"], said[1]["timer_count"]) == (2, 20)
            pd.tell("keys 12*#")
            assert (await front.expect(KeyPress)).keys == "12*#"
            pd.tell("tamper on")
            assert (await front.expect(TamperChanged)).active
            pd.tell("input 1 on")
            assert (
                await front.expect(InputChanged, lambda event: event.state is InputState.ON)
            ).point.line == "in1"
            (status,) = front.driver.status()
            assert status.online
            assert "secure channel" in status.text
            assert "serial 00000001" in status.text

    asyncio.run(badge())


def test_outputs_are_off_when_the_driver_ends(segment: Segment) -> None:
    peers = segment(115200)
    pd = peers.reader(0, KEY)

    async def hold() -> None:
        async with running(panel(peers)) as front:
            await front.expect(DeviceOnline)
            front.driver.send(SwitchOn(Point("r0", "out0")))
            assert (await pd.hear("output"))["control_code"] == 2

    asyncio.run(hold())
    assert pd.expect("output")["control_code"] == 1


def test_a_wrong_key_is_named_and_a_card_behind_it_stays_there(segment: Segment) -> None:
    peers = segment(115200)
    pd = peers.reader(0, OTHER_KEY)

    async def wrong() -> None:
        async with running(panel(peers)) as front:
            offline = await front.expect(DeviceOffline, lambda event: "wrong key" in event.why)
            pd.tell(f"card {CARD}")
            assert "wrong key" in offline.why
            assert front.driver.status()[0].text == offline.why
            assert not any(isinstance(event, CardRead | DeviceOnline) for event in front.events)

    asyncio.run(wrong())


def test_the_default_key_in_service_is_an_alarm_and_install_mode_ends_it(segment: Segment) -> None:
    peers = segment(115200)
    pd = peers.reader(0, None)

    async def alarm() -> None:
        async with running(panel(peers)) as front:
            assert "default key" in (await front.expect(DeviceAlarm)).what
            await front.expect(DeviceOffline, lambda event: "wrong key" in event.why)

    async def install() -> None:
        async with running(panel(peers, r0=reader(secure_channel="install"))) as front:
            assert (await front.expect(DeviceOnline)).secure

    asyncio.run(alarm())
    asyncio.run(install())
    assert pd.expect("keyset")


def test_a_cut_wire_a_restarted_reader_and_a_card_from_the_outage(segment: Segment) -> None:
    peers = segment(115200)
    pd = peers.reader(0, KEY)

    async def outage() -> None:
        async with running(panel(peers, r0=reader(queued_limit="1s"))) as front:
            await front.settled()
            peers.wire("cut pd0")
            pd.tell(f"card {CARD}")
            await asyncio.sleep(1.5)  # the outage itself, longer than the limit of 1 s
            peers.wire("join pd0")
            refused = await front.expect(ReadError)
            assert (refused.fault, refused.value) == (ReadFault.QUEUED, int(CARD, 2))
            pd.end()
            again = peers.reader(0, KEY)
            await again.hear("secure")
            await front.polled()
            again.tell(f"card {CARD}")
            await front.expect(CardRead)
            assert not any(isinstance(event, DeviceOffline) for event in front.events)

    asyncio.run(outage())


def test_an_adapter_that_is_pulled_and_comes_back(segment: Segment) -> None:
    peers = segment(115200)
    peers.reader(0, KEY)

    async def pulled() -> None:
        async with running(panel(peers)) as front:
            await front.expect(DeviceOnline)
            peers.wire("unplug cp")
            assert "gone" in (await front.expect(DeviceOffline)).why
            front.driver.send(Pulse(Point("r0", "out0"), 3.0))  # nobody hears it, and nothing breaks
            peers.wire("replug cp")
            await front.expect(DeviceOnline)

    asyncio.run(pulled())


def test_two_readers_on_one_bus_and_one_of_them_silent(segment: Segment) -> None:
    peers = segment(115200, readers=2)
    pds = [peers.reader(number, KEY) for number in range(2)]

    async def both() -> None:
        async with running(panel(peers, r0=reader(0), r1=reader(1))) as front:
            await front.settled(2)
            pds[1].tell("mute on")
            for number in range(5):
                pds[0].tell(f"card {number:026b}")
                assert (await front.expect(CardRead)).value == number

    asyncio.run(both())


def test_a_port_that_is_not_there_is_said_once_and_tried_again(tmp_path: Path) -> None:
    async def nothing() -> None:
        front = Panel(tmp_path / "none", 9600, {"r0": reader()}, KEY)
        async with running(front):
            await front.expect(DeviceOffline)
            await asyncio.sleep(0.5)
            assert front.events == []

    asyncio.run(nothing())


def test_silence_on_the_wire_takes_no_processor_time(tmp_path: Path) -> None:
    """A bus on which nobody answers must not spin."""
    master, slave = os.openpty()

    async def alone() -> None:
        async with running(Panel(Path(os.ttyname(slave)), 9600, {"r0": reader()}, KEY)):
            before = time.process_time()
            await asyncio.sleep(1.0)
            assert time.process_time() - before < 0.2

    try:
        asyncio.run(alone())
    finally:
        os.close(master)
        os.close(slave)


# ------------------------------------------------------------------ what is refused before anything is opened


def context(key: bytes) -> Context:
    return Context(lambda event: None, time.monotonic, lambda reference: key)


@pytest.mark.parametrize("key", [KEY, KEY.hex().encode()])
def test_a_key_is_16_bytes_or_32_hex_digits(key: bytes) -> None:
    assert DRIVER.create(OsdpBus(port="none"), {"r0": reader()}, context(key)).status()[0].device == "r0"


@pytest.mark.parametrize("key", [b"", KEY[:-1], b"zz" * 16])
def test_any_other_key_is_refused_and_not_shown(key: bytes) -> None:
    with pytest.raises(DriverUsageError) as refusal:
        DRIVER.create(OsdpBus(port="none"), {"r0": reader()}, context(key))
    assert "reader r0: key env:KEY must be 16 bytes" in str(refusal.value)
    assert not key or repr(key) not in str(refusal.value)


def test_a_shared_address_is_refused() -> None:
    with pytest.raises(DriverUsageError, match="a and b both have address 3"):
        DRIVER.create(OsdpBus(port="none"), {"a": reader(3), "b": reader(3)}, context(KEY))


def test_a_command_for_a_reader_or_output_that_is_not_there_is_refused() -> None:
    driver = DRIVER.create(OsdpBus(port="none"), {"r0": reader()}, context(KEY))
    with pytest.raises(DriverUsageError, match='no reader "r9"'):
        driver.send(Buzz("r9"))
    with pytest.raises(DriverUsageError, match='no output "out5"'):
        driver.send(SwitchOn(Point("r0", "out5")))
