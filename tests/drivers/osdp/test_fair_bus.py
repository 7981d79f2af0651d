"""A bus that is fair by time: long buses, busy ones, and readers that are ill, to the byte under a fake clock."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from drivers.driver import ScanPlan
from drivers.events import Buzz, CardRead, Colour, DeviceEvent, Led, Point, Pulse, SwitchOff
from drivers.osdp.frame import Frame, encode
from drivers.osdp.messages import Cmd, NakCode, Reply
from drivers.osdp.scan import Scan
from tests.drivers.osdp.hostile import line_of, play, up
from tests.drivers.osdp.panel import CLEAR, KEY, entropy, of
from tests.peers.osdp_line import Line
from tests.peers.osdp_model import ModelReader, raw_card

REPLY_TIME = 0.22
"""Seconds that the panel waits for one answer of an ill reader."""


@dataclass
class Forgetful(ModelReader):
    """Drops its secure channel when it was not asked anything for so many seconds, as libosdp up to 3.0.0 does."""

    drops_after: float = 0.8
    heard_at: float = 0.0

    def hear(self, data: bytes) -> bytes:
        if len(data) > 1 and data[1] == self.address:
            if self.now - self.heard_at > self.drops_after:
                self._channel = None
            self.heard_at = self.now
        return super().hear(data)


@dataclass
class Ill(ModelReader):
    """A reader whose ``twist`` says something else, once it is set; ``None``: as a good one."""

    twist: Callable[[Ill, Frame], bytes | None] | None = None

    def _obey(self, frame: Frame) -> bytes:
        said = self.twist(self, frame) if self.twist is not None else None
        return super()._obey(frame) if said is None else said


# ------------------------------------------------------------------ F1: long and busy


@pytest.mark.parametrize(
    ("readers", "baudrate", "every"),
    [
        (8, 9600, 0.47),
        pytest.param(12, 9600, 2.0, marks=pytest.mark.soak),
        pytest.param(16, 9600, 2.0, marks=pytest.mark.soak),
        (24, 9600, 2.0),
        pytest.param(32, 9600, 5.0, marks=pytest.mark.soak),
        pytest.param(48, 9600, 5.0, marks=pytest.mark.soak),
    ],
)
def test_no_honest_card_is_refused_because_the_bus_is_long_or_busy(
    readers: int, baudrate: int, every: float
) -> None:
    models = [ModelReader(address=address, key=KEY) for address in range(readers)]
    line = up(line_of(models, baudrate=baudrate), readers, 60.0)
    cards = play(line, models, 10.0, every)
    assert cards.refused == 0
    assert len(cards.waits) == len(cards.presented)
    assert cards.p99 < max(2.0, 2 * line.bus.pace.round)


def test_lights_and_sounds_make_room_for_cards() -> None:
    models = [ModelReader(address=address, key=KEY) for address in range(12)]
    line = up(line_of(models), 12, 20.0)
    receive = line.bus.receive

    def feedback(data: bytes, now: float) -> list[DeviceEvent]:
        events = receive(data, now)
        for card in of(CardRead, events):
            line.bus.send(card.reader, Led(card.reader, Colour.GREEN, 3.0), now)
            line.bus.send(card.reader, Buzz(card.reader, 1, 0.2), now)
        return events

    line.bus.receive = feedback  # type: ignore[method-assign]
    cards = play(line, models, 10.0, 1.0)
    assert cards.refused == 0
    assert len(cards.waits) == len(cards.presented)
    assert sum(session.outbox.shed for session in line.bus.sessions) > 10
    assert "lights and sounds left out" in line.bus.sessions[0].status_text()


@pytest.mark.soak
@pytest.mark.parametrize("baudrate", [38400, 115200])
def test_126_readers_are_served_within_two_rounds(baudrate: int) -> None:
    models = [ModelReader(address=address, key=KEY) for address in range(126)]
    line = up(line_of(models, baudrate=baudrate), 126, 45.0)
    line.run(5.0)
    calm = line.bus.pace.round
    cards = play(line, models, 8.0, 5.0)
    assert cards.refused == 0
    assert len(cards.waits) == len(cards.presented)
    assert max(cards.waits) < 2 * max(calm, line.bus.pace.round)


# ------------------------------------------------------------------ F2: urgent, and cannot be sent


def neighbours_wait(line: Line, ill: int, seconds: float) -> float:
    """The longest time between two turns of any reader but the ill one."""
    line.sent.clear()
    line.run(seconds)
    waits = [0.0]
    for address in {frame[1] for _, frame in line.sent} - {ill}:
        turns = [at for at, frame in line.sent if frame[1] == address]
        waits += [later - earlier for earlier, later in itertools.pairwise(turns)]
    return max(waits)


@pytest.mark.parametrize("order", [SwitchOff(Point("r3", "out0")), Pulse(Point("r3", "out0"), 5.0)])
@pytest.mark.parametrize("nak", [NakCode.SEQUENCE, NakCode.SECURITY_NOT_MET])
def test_a_relay_command_that_cannot_be_sent_takes_nobody_s_turn(order: SwitchOff | Pulse, nak: NakCode) -> None:
    models = [Ill(address=address, key=KEY) for address in range(4)]
    line = up(line_of(models), 4, 10.0)
    models[3].twist = lambda reader, frame: (
        encode(3, frame.sequence, Reply.NAK, bytes([nak]), reply=True) if frame.block else None
    )
    line.bus.send("r3", order, line.now)
    assert neighbours_wait(line, 3, 7.0) < 0.5


# ------------------------------------------------------------------ F3: a storm of handshakes


@pytest.mark.parametrize(
    ("readers", "drops_after"),
    [
        (12, 0.8),
        pytest.param(8, 0.4, marks=pytest.mark.soak),
        pytest.param(16, 0.8, marks=pytest.mark.soak),
    ],
)
def test_readers_that_drop_their_channel_early_are_all_back_after_a_cut(readers: int, drops_after: float) -> None:
    models = [Forgetful(address=address, key=KEY, drops_after=drops_after) for address in range(readers)]
    line = up(line_of(models), readers, 40.0)
    line.cut = True
    line.run(1.0)
    line.cut = False
    line.run(30.0)
    line.sent.clear()
    cards = play(line, models, 10.0, 5.0)
    assert len(cards.waits) == len(cards.presented)
    assert sum(1 for _, frame in line.sent if frame[5:8] == b"\x03\x11\x01") <= readers / 4, "no more handshakes"
    assert all(session.online for session in line.bus.sessions)


# ------------------------------------------------------------------ F18, F22 and others: ill in other ways


def busy(reader: Ill, frame: Frame) -> bytes:
    return encode(reader.address, 0, Reply.BUSY, reply=True)


def slow(reader: Ill, frame: Frame) -> None:
    reader.delay = 0.199


def mute(reader: Ill, frame: Frame) -> bytes:
    return b"\0"


def too_late(reader: Ill, frame: Frame) -> None:
    reader.delay = 0.3


def rubbish(reader: Ill, frame: Frame) -> bytes:
    reader.delay = 0.15
    return b"\x53" + bytes([reader.address | 0x80, 60, 0, 4]) + bytes(60)


def no_channel(reader: Ill, frame: Frame) -> bytes | None:
    nak = encode(reader.address, frame.sequence, Reply.NAK, bytes([NakCode.NO_SECURE_CHANNEL]), reply=True)
    return nak if frame.block else None


def wrong_sequence(reader: Ill, frame: Frame) -> bytes:
    return encode(reader.address, frame.sequence, Reply.NAK, bytes([NakCode.SEQUENCE]), reply=True)


def wrong_mac(reader: Ill, frame: Frame) -> bytes | None:
    if frame.code != Cmd.POLL:
        return None
    return encode(
        reader.address, frame.sequence, Reply.ACK, reply=True, block=b"\x16", mac=lambda message: bytes(16)
    )


def slow_and_wrong(reader: Ill, frame: Frame) -> bytes | None:
    reader.delay = 0.199
    if frame.code == Cmd.POLL:
        return wrong_sequence(reader, frame)
    wrong = encode(reader.address, frame.sequence, Reply.CCRYPT, bytes(32), reply=True, block=b"\x12\x01")
    return wrong if frame.code == Cmd.CHLNG else None


def card_spam(reader: Ill, frame: Frame) -> bytes | None:
    polled = frame.code == Cmd.POLL and frame.sequence != 0
    return reader._say(frame, Reply.RAW, raw_card("1" * 26)) if polled else None


ILLNESSES = [busy, slow, mute, too_late, rubbish, no_channel, wrong_sequence, wrong_mac, slow_and_wrong]


@pytest.mark.parametrize("illness", ILLNESSES)
def test_the_neighbours_of_an_ill_reader_fare_well_and_it_is_back_soon(
    illness: Callable[[Ill, Frame], bytes | None],
) -> None:
    models = [Ill(address=address, key=KEY) for address in range(4)]
    line = up(line_of(models), 4, 10.0)
    calm = play(line, models[:3], 15.0, 0.7)
    models[3].twist = illness
    ill = play(line, models[:3], 20.0, 0.7, seed=2)
    models[3].twist, models[3].delay = None, 0.002
    assert ill.refused == 0
    assert len(ill.waits) == len(ill.presented)
    assert ill.p99 <= 2 * calm.p99 + REPLY_TIME
    line.run(2.0)
    assert {session.name: session.secure for session in line.bus.sessions}["r3"]


def test_a_reader_that_never_runs_out_of_cards_takes_no_more_than_its_turns() -> None:
    models = [Ill(address=address, key=None) for address in range(4)]
    line = up(line_of(models, reader=CLEAR), 4, 10.0)
    calm = play(line, models[:3], 10.0, 0.7)
    models[3].twist = card_spam
    spammed = play(line, models[:3], 10.0, 0.7, seed=2)
    assert len(spammed.waits) == len(spammed.presented)
    assert spammed.p99 <= 2 * calm.p99


def test_one_lost_answer_costs_its_reader_no_more_than_a_round_of_a_long_bus() -> None:
    models = [ModelReader(address=address, key=KEY) for address in range(16)]
    line = up(line_of(models), 16, 25.0)
    line.run(5.0)
    models[6].alive = False
    line.run(line.bus.pace.round * 1.1)
    models[6].alive = True
    line.sent.clear()
    line.run(10.0)
    turns = [at for at, frame in line.sent if frame[1] == 6]
    assert max(later - earlier for earlier, later in itertools.pairwise(turns)) < 1.5 * line.bus.pace.round


def test_a_reader_that_is_busy_in_its_handshake_is_begun_with_anew() -> None:
    reader = Ill(key=KEY)
    reader.twist = lambda reader, frame: None if frame.code == Cmd.ID else busy(reader, frame)
    line = line_of([reader])
    line.run(10.0)
    assert sum(frame[5] == Cmd.ID for _, frame in line.sent) > 5


# ------------------------------------------------------------------ a scan that is ended


def test_a_scan_that_is_ended_in_the_middle_of_its_turn_leaves_the_bus_alive() -> None:
    model = ModelReader(key=KEY)
    for step in range(40):
        line = up(line_of([model]), 1, 3.0)
        scan = Scan(ScanPlan(range(127), [9600, 115200]), 9600, [0], entropy(), crc=True)
        line.bus.begin_scan(scan)
        line.run(0.4 + step * 0.01)
        scan.stop("")
        line.bus.end_scan()
        assert len(of(CardRead, line.run(0.5))) == 0
        line.sent.clear()
        line.run(0.5)
        assert len(line.sent) > 5
        model.restart()
