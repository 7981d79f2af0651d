"""Readers that differ from the standard: recognised, reported, used. Under a fake clock, to the byte."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from drivers.cards.formats import built_in_formats
from drivers.events import (
    CardRead,
    Colour,
    DeviceAlarm,
    DeviceOffline,
    DeviceOnline,
    InputChanged,
    Led,
    Point,
    Pulse,
    ReadError,
    ReadFault,
)
from drivers.osdp.bus import Bus
from drivers.osdp.echo import ECHO_FOUND
from drivers.osdp.frame import Frame, encode
from drivers.osdp.messages import CardBits, Cmd, NakCode, Reply, parse_card
from drivers.osdp.profiles import profile_named, profiles
from drivers.osdp.session import Session
from drivers.osdp.settings import OsdpReader
from tests.drivers.osdp.hostile import line_of, play, up
from tests.drivers.osdp.panel import CLEAR, KEY, REQUIRED, SECRET, entropy, of
from tests.peers.osdp_line import Line
from tests.peers.osdp_model import ModelReader, raw_card

Wrong = Callable[["Odd", Frame], bytes | None]


@dataclass
class Odd(ModelReader):
    """A reader that says something else where ``odd`` says so."""

    odd: Wrong = lambda reader, frame: None
    asked: list[int] = field(default_factory=list)

    def _obey(self, frame: Frame) -> bytes:
        self.asked.append(frame.code)
        return self.odd(self, frame) or super()._obey(frame)

    def nak(self, frame: Frame, code: NakCode) -> bytes:
        """A refusal inside the session."""
        if self._channel is not None:
            self._channel.open(frame)
        return self._say(frame, Reply.NAK, bytes([code]))


def alarms(events: list[object]) -> list[str]:
    return [event.what for event in events if isinstance(event, DeviceAlarm)]


def alone(model: ModelReader, settings: OsdpReader = REQUIRED, **more: object) -> Line:
    """One reader and its panel."""
    session = Session("r0", settings, [KEY], entropy(), **more)  # type: ignore[arg-type]  # as the test says
    return Line(Bus([session], 9600), [model], 9600)


def in_service(line: Line) -> bool:
    return line.bus.sessions[0].online is True


# ------------------------------------------------------------------ F4: POLL before ID


@pytest.mark.parametrize("clear", [False, True])
def test_a_reader_that_wants_a_poll_before_it_says_who_it_is_is_found_and_said_to_be_one(clear: bool) -> None:
    def only_after_a_poll(reader: Odd, frame: Frame) -> bytes | None:
        polled = Cmd.POLL in reader.asked
        return b"\0" if frame.code == Cmd.ID and not polled else None

    model = Odd(key=None if clear else KEY, odd=only_after_a_poll)
    line = alone(model, CLEAR if clear else REQUIRED)
    events = line.run(8.0)
    assert len(of(DeviceOnline, events)) == 1
    assert any("says who it is only after a poll" in what for what in alarms(events))
    model.restart()
    model.asked.clear()
    line.run(3.0)
    assert in_service(line)


def test_the_profile_says_it_beforehand() -> None:
    model = Odd(key=KEY)
    model.odd = lambda reader, frame: b"\0" if frame.code == Cmd.ID and len(reader.asked) < 2 else None
    settings = OsdpReader(address=0, key=SECRET, profile="inner-range-sifer")
    events = alone(model, settings).run(1.0)
    assert of(DeviceOnline, events)
    assert alarms(events) == []
    assert model.asked[0] == Cmd.POLL


def test_a_reader_that_was_heard_is_never_polled_before_its_key_is_proved() -> None:
    """A poll in clear would make a reader let go of the card that it holds."""
    model = Odd(key=KEY)
    line = alone(model)
    line.run(5.0)
    model.alive = False
    line.run(5.0)
    line.sent.clear()
    line.run(20.0)
    assert {frame[5] for _, frame in line.sent} == {Cmd.ID}


# ------------------------------------------------------------------ F5: an adapter that echoes


@pytest.mark.parametrize("delay", [0.003, 0.06, 0.1, 0.15])
@pytest.mark.parametrize("declared", [False, True])
def test_an_echo_shortens_no_wait_and_costs_no_card(delay: float, declared: bool) -> None:
    models = [ModelReader(address=0, key=KEY, delay=delay), ModelReader(address=1, key=KEY)]
    settings = [OsdpReader(address=address, key=SECRET) for address in range(2)]
    sessions = [Session(f"r{n}", each, [KEY], entropy()) for n, each in enumerate(settings)]
    line = Line(Bus(sessions, 9600, echo=declared), models, 9600, echo=True)
    events = line.run(8.0)
    assert len(of(DeviceOnline, events)) == 2
    assert alarms(events) == ([] if declared else [ECHO_FOUND])
    cards = play(line, models, 10.0, 1.0)
    assert len(cards.waits) == len(cards.presented)
    assert sum(session.retries for session in sessions) == 0


def test_an_echo_with_a_lost_byte_does_not_cost_the_answer() -> None:
    model = ModelReader(key=KEY)
    line = Line(Bus([Session("r0", REQUIRED, [KEY], entropy())], 9600, echo=True), [model], 9600, echo=True)
    line.run(5.0)
    line.loss = 0.002
    line.run(20.0)
    line.loss = 0.0
    assert in_service(line)
    cards = play(line, [model], 5.0, 1.0)
    assert len(cards.waits) == len(cards.presented)


# ------------------------------------------------------------------ F12: refusals and their consequences


@pytest.mark.parametrize("clear", [False, True])
def test_a_refusal_is_kept_for_the_device_and_a_sequence_that_stands_still_is_recognised(clear: bool) -> None:
    def osm(reader: Odd, frame: Frame) -> bytes | None:
        expected = getattr(reader, "expected", None)
        if expected is not None and frame.sequence not in (0, expected):
            return encode(0, frame.sequence, Reply.NAK, bytes([NakCode.SEQUENCE]), reply=True)
        reader.expected = None  # type: ignore[attr-defined]
        if frame.code == Cmd.LED or (frame.block and frame.code == Cmd.RSTAT):
            reader.expected = frame.sequence  # type: ignore[attr-defined]
            return reader.nak(frame, NakCode.UNKNOWN_COMMAND)
        return None

    model = Odd(key=None if clear else KEY, odd=osm)
    line = alone(model, CLEAR if clear else REQUIRED)
    line.bus.send("r0", Led("r0", Colour.RED), line.now)
    events = line.run(10.0)
    line.sent.clear()
    cards = play(line, [model], 10.0, 1.0)
    assert len(cards.waits) == len(cards.presented)
    assert cards.p50 < 0.1
    sessions = sum(1 for _, frame in line.sent if frame[4] & 3 == 0)
    assert sessions == 0
    assert sum("refuses LED" in what for what in alarms(events)) == 1
    assert any("sequence number" in what for what in alarms(events))


def test_a_light_that_ends_the_session_each_time_is_not_sent_any_more() -> None:
    def dies(reader: Odd, frame: Frame) -> bytes | None:
        return (
            encode(0, frame.sequence, Reply.NAK, bytes([NakCode.UNKNOWN_COMMAND]), reply=True)
            if frame.code == Cmd.LED
            else None
        )

    model = Odd(key=KEY, odd=dies)
    line = alone(model)
    line.bus.send("r0", Led("r0", Colour.RED), line.now)
    events = line.run(8.0)
    assert sum("ends its session over LED" in what for what in alarms(events)) == 1
    cards = play(line, [model], 10.0, 1.0)
    assert len(cards.waits) == len(cards.presented)


def test_another_device_is_asked_again() -> None:
    model = Odd(key=KEY, odd=lambda reader, frame: None)
    model.answers[Cmd.LED] = (Reply.NAK, bytes([NakCode.UNKNOWN_COMMAND]))
    line = alone(model)
    line.bus.send("r0", Led("r0", Colour.RED), line.now)
    line.run(4.0)
    model.answers.clear()
    line.bus.send("r0", Led("r0", Colour.GREEN), line.now)
    line.run(2.0)
    assert Cmd.LED not in [code for code, _ in model.done]
    model.serial = 2
    model.restart()
    line.run(3.0)
    line.bus.send("r0", Led("r0", Colour.GREEN), line.now)
    line.run(1.0)
    assert Cmd.LED in [code for code, _ in model.done]


# ------------------------------------------------------------------ F17: clear text, and the reader wants a
# channel


def test_a_reader_that_wants_a_channel_is_offline_and_stays_so_in_clear_text() -> None:
    def wants_channel(reader: Odd, frame: Frame) -> bytes | None:
        if frame.code == Cmd.ID:
            return None
        return encode(0, frame.sequence, Reply.NAK, bytes([NakCode.NO_SECURE_CHANNEL]), reply=True)

    line = alone(Odd(key=None, odd=wants_channel), CLEAR)
    events = line.run(60.0)
    assert of(DeviceOnline, events) == []
    assert len(of(DeviceOffline, events)) == 1
    assert sum(frame[5] == Cmd.POLL for _, frame in line.sent) < 50


def test_a_reader_that_refuses_every_poll_is_not_online() -> None:
    model = Odd(key=KEY)
    model.answers[Cmd.POLL] = (Reply.NAK, bytes([NakCode.UNKNOWN_COMMAND]))
    line = alone(model)
    events = line.run(6.0)
    assert "refuses to be polled" in of(DeviceOffline, events)[-1].why


# ------------------------------------------------------------------ F11, F19: inputs and outputs


@pytest.mark.parametrize(
    "answer",
    [
        (Reply.NAK, bytes([NakCode.UNKNOWN_COMMAND])),
        (Reply.PDCAP, bytes([2, 1, 1, 4, 1, 1])),
        (Reply.PDCAP, bytes([1, 1, 2, 2, 1, 1, 4])),
    ],
)
def test_an_input_in_use_is_asked_for_whatever_the_reader_says_of_itself(answer: tuple[Reply, bytes]) -> None:
    model = Odd(key=KEY)
    model.answers[Cmd.CAP] = answer
    line = alone(model, in_use=frozenset({"in0"}))
    events = line.run(5.0)
    assert "in0" in {event.point.line for event in of(InputChanged, events)}


@pytest.mark.parametrize(
    "answer", [(Reply.NAK, bytes([NakCode.UNKNOWN_COMMAND])), (Reply.ACK, b""), (Reply.ISTATR, b"")]
)
def test_an_input_in_use_that_is_not_told_is_an_alarm(answer: tuple[Reply, bytes]) -> None:
    model = Odd(key=KEY)
    model.answers[Cmd.ISTAT] = answer
    events = alone(model, in_use=frozenset({"in0"})).run(10.0)
    assert sum("does not tell the state of in0" in what for what in alarms(events)) == 1


def test_inputs_that_nobody_uses_are_no_alarm() -> None:
    model = Odd(key=KEY)
    model.answers[Cmd.ISTAT] = model.answers[Cmd.CAP] = (Reply.NAK, bytes([NakCode.UNKNOWN_COMMAND]))
    assert alarms(alone(model, in_use=frozenset()).run(10.0)) == []


def test_an_output_in_use_that_the_reader_has_not_is_an_alarm() -> None:
    model = Odd(key=KEY)
    model.answers[Cmd.CAP] = (Reply.PDCAP, bytes([1, 1, 2, 2, 1, 0]))
    line = alone(model, in_use=frozenset({"out0"}))
    assert sum("has 0 outputs" in what for what in alarms(line.run(5.0))) == 1
    line = alone(Odd(key=KEY, answers=dict(model.answers)))
    assert alarms(line.run(5.0)) == []
    line.bus.send("r0", Pulse(Point("r0", "out0"), 1.0), line.now)
    assert sum("has 0 outputs" in what for what in alarms(line.run(2.0))) == 1


# ------------------------------------------------------------------ F20: never empty


def test_a_reader_that_answers_every_poll_with_its_status_has_its_cards_accepted() -> None:
    def never_empty(reader: Odd, frame: Frame) -> bytes | None:
        return reader._say(frame, Reply.LSTATR, bytes(2)) if frame.code == Cmd.POLL and not reader.queue else None

    model = Odd(key=None, odd=never_empty)
    line = alone(model, CLEAR)
    events = line.run(5.0)
    assert any("answers every poll with its status" in what for what in alarms(events))
    cards = play(line, [model], 10.0, 1.0)
    assert len(cards.waits) == len(cards.presented)


# ------------------------------------------------------------------ F24: formats, bits, check characters


def test_a_card_that_its_format_does_not_accept_is_a_parity_error() -> None:
    layout = built_in_formats().get_format("H10301")
    value = layout.encode(57, 1234)
    model = ModelReader(key=KEY)
    line = alone(model, formats=(layout,))
    line.run(5.0)
    model.queue.append((Reply.RAW, raw_card(f"{value:026b}")))
    model.queue.append((Reply.RAW, raw_card(f"{value ^ 4:026b}")))
    events = line.run(2.0)
    assert [card.value for card in of(CardRead, events)] == [value]
    assert [error.fault for error in of(ReadError, events)] == [ReadFault.PARITY_ERROR]


@pytest.mark.parametrize(
    ("order", "data"),
    [
        (CardBits.STANDARD, bytes([0b10110011, 0b10000000])),
        (CardBits.RIGHT, bytes([0b00000001, 0b01100111])),
        (CardBits.REVERSED, bytes([0b11100110, 0b10000000])),
        (CardBits.BYTES_REVERSED, bytes([0b10000000, 0b10110011])),
    ],
)
def test_the_bits_of_a_card_in_each_order(order: CardBits, data: bytes) -> None:
    assert parse_card(bytes([0, 0, 9, 0]) + data, order).value == 0b101100111


@pytest.mark.parametrize("crc", [True, False])
def test_answers_end_as_the_bus_says(crc: bool) -> None:
    class OtherCheck(ModelReader):
        def _say(self, frame: Frame, code: Reply, data: bytes = b"") -> bytes:
            return encode(0, frame.sequence, code, data, reply=True, crc=not frame.crc)

    line = alone(OtherCheck(key=None), CLEAR, crc=crc)
    (offline,) = of(DeviceOffline, line.run(5.0))
    assert "other kind of check characters" in offline.why


# ------------------------------------------------------------------ profiles


def test_a_profile_that_does_not_exist_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match='did you mean "inner-range-sifer"'):
        OsdpReader(address=0, key=SECRET, profile="inner-range")
    assert profile_named("standard").lacks == frozenset()
    assert Cmd.LED in profiles()["osm-1000"].lacks


def test_a_reader_slower_than_the_standard_is_served_with_its_reply_time() -> None:
    for settings in (
        OsdpReader(address=0, key=SECRET, profile="slow"),
        OsdpReader(address=0, key=SECRET, reply_time="350ms"),  # type: ignore[arg-type]  # as the site file has it
    ):
        model = ModelReader(key=KEY, delay=0.3)
        line = alone(model, settings)
        assert of(DeviceOnline, line.run(6.0))
    up(line_of([ModelReader(key=KEY)]), 1, 5.0)
