"""A scan: what it finds, and that the readers in service hardly notice."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.driver import DriverUsageError, FoundReader, ScanPlan
from drivers.events import CardRead, DeviceOffline, Point, Pulse
from drivers.osdp.messages import Cmd, Reply
from drivers.osdp.scan import Scan
from tests.drivers.osdp.panel import CARD, KEY, entropy, of, wire
from tests.peers.osdp_model import ModelReader, ModelWire, raw_card

BOTH = ScanPlan(range(4), (9600, 115200))


def scanning(bench: ModelWire, plan: ScanPlan = BOTH) -> Scan:
    scan = Scan(plan, bench.bus.baudrate, [one.address for one in bench.bus.sessions], entropy(), crc=True)
    bench.bus.begin_scan(scan)
    return scan


def with_strangers(*strangers: ModelReader) -> ModelWire:
    """One reader in service at address 0 and 9600, and others that the panel does not know."""
    bench = wire(ModelReader(key=KEY))
    bench.run(5.0)
    bench.readers += strangers
    return bench


def test_it_finds_readers_at_other_addresses_and_speeds_and_on_the_default_key() -> None:
    bench = with_strangers(
        ModelReader(address=2, key=bytes(16), serial=2),
        ModelReader(address=0, key=None, install=True, serial=3, speed=115200),
    )
    scan = scanning(bench)
    assert not of(DeviceOffline, bench.run(20.0))
    assert scan.over
    who = "vendor 5C2623 model 1.1 serial {:08X} firmware 1.2.3"
    assert list(scan.found) == [
        FoundReader(2, 9600, who.format(2)),
        FoundReader(0, 115200, who.format(3), default_key=True),
    ]


def test_nobody_there_is_nothing_found() -> None:
    bench = with_strangers()
    scan = scanning(bench)
    bench.run(20.0)
    assert scan.over
    assert not scan.found


def test_two_readers_on_one_address_are_said_to_be_garbled() -> None:
    bench = with_strangers(ModelReader(address=2, key=KEY))
    stranger = bench.readers[-1]
    stranger.hear = lambda data: b"\x53\xff\x08\x00\x12\x34\x56\x78\x9a\xbc" if data[1] == 2 else b""  # type: ignore[method-assign]
    scan = scanning(bench)
    bench.run(20.0)
    assert list(scan.found) == [FoundReader(2, 9600, garbled=True)]


def test_who_does_not_say_its_name_is_still_found() -> None:
    stranger = ModelReader(address=2, key=KEY)
    bench = with_strangers(stranger)
    stranger._identity = lambda: b"?"  # type: ignore[method-assign]  # a malformed answer to ID
    scan = scanning(bench)
    bench.run(20.0)
    assert list(scan.found) == [FoundReader(2, 9600, garbled=True)]
    stranger._obey = lambda frame: stranger._nak(frame, 6)  # type: ignore[method-assign, arg-type]
    scan = scanning_again(bench)
    bench.run(20.0)
    assert list(scan.found) == [FoundReader(2, 9600)]


def scanning_again(bench: ModelWire) -> Scan:
    bench.bus.end_scan()
    return scanning(bench)


def test_cards_are_read_and_relays_move_while_it_runs() -> None:
    bench = with_strangers()
    scan = scanning(bench, ScanPlan(range(127), (9600, 19200, 38400)))
    own = bench.readers[0]
    for _ in range(20):
        own.queue.append((Reply.RAW, raw_card(CARD)))
        began = bench.now
        (card,) = of(CardRead, bench.run(1.0))
        assert card.at - began < 0.5
        bench.bus.send("r0", Pulse(Point("r0", "out0"), 5.0), bench.now)
        bench.run(0.5)
        assert [code for code, _ in own.done] == [Cmd.OUT]
        own.done.clear()
    assert not scan.over
    assert bench.bus.speed in (9600, 19200)


def test_the_readers_in_service_have_the_line_for_half_of_the_time() -> None:
    bench = with_strangers()
    before = sum(frame[1] == 0 for _, frame in bench.sent)
    bench.run(10.0)
    alone = sum(frame[1] == 0 for _, frame in bench.sent) - before
    scanning(bench, ScanPlan(range(127), (9600,)))
    before += alone
    bench.run(10.0)
    assert sum(frame[1] == 0 for _, frame in bench.sent) - before > 0.4 * alone


def test_one_scan_at_a_time_and_a_lost_port_ends_it() -> None:
    bench = with_strangers()
    scan = scanning(bench)
    with pytest.raises(DriverUsageError, match="under way"):
        scanning(bench)
    bench.bus.port_lost(bench.now, "pulled")
    assert scan.over
    assert scan.broken == "pulled"
    assert scanning(bench).over is False


@pytest.mark.parametrize("plan", [ScanPlan((127,), (9600,)), ScanPlan((-1,), (9600,)), ScanPlan((0,), (1200,))])
def test_addresses_and_speeds_that_do_not_exist_are_refused(plan: ScanPlan) -> None:
    with pytest.raises(DriverUsageError, match="are"):
        Scan(plan, 9600, (), entropy(), crc=True)


@given(st.lists(st.binary(max_size=60), max_size=20))
@settings(max_examples=25, deadline=None)
def test_no_bytes_upset_it(noise: list[bytes]) -> None:
    bench = wire(ModelReader(key=KEY))
    scan = scanning(bench, ScanPlan(range(4), (9600,)))
    for piece in noise:
        bench.run(0.05)
        bench.bus.receive(piece, bench.now)
    bench.run(12.0)
    assert scan.over
    assert not any(found.default_key for found in scan.found)
    assert bench.bus.sessions[0].online
