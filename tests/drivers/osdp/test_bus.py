"""The bus under a fake clock against model readers: found, served, disturbed, lost, found again."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.driver import DriverUsageError, SecretReference
from drivers.events import (
    Buzz,
    CardRead,
    Colour,
    DeviceAlarm,
    DeviceEvent,
    DeviceOffline,
    DeviceOnline,
    Hold,
    InputChanged,
    InputState,
    KeyPress,
    Led,
    Point,
    Pulse,
    ReadError,
    ReadFault,
    Release,
    TamperChanged,
)
from drivers.osdp.bus import Bus
from drivers.osdp.frame import MAX_FRAME, encode
from drivers.osdp.handshake import KeyChange
from drivers.osdp.messages import Cmd, NakCode, Reply
from drivers.osdp.patience import OFFLINE_AFTER, REPLY_DELAY
from drivers.osdp.secure import SCBK_D
from drivers.osdp.session import Session
from drivers.osdp.settings import OsdpReader
from tests.peers.osdp_model import ModelReader, ModelWire, raw_card

KEY = bytes(range(16))
SECRET = SecretReference("env:KEY")
REQUIRED = OsdpReader(address=0, key=SECRET)
CLEAR = OsdpReader(address=0, secure_channel="off", allow_cleartext=True)
INSTALL = OsdpReader(address=0, secure_channel="install", key=SECRET)
CARD = "10110011100011110000111110"


def entropy() -> Callable[[int], bytes]:
    numbers = itertools.count(1)
    return lambda length: next(numbers).to_bytes(length, "big")


def wire(
    *readers: ModelReader, reader: OsdpReader = REQUIRED, key: bytes = KEY, baudrate: int = 9600, seed: int = 0
) -> ModelWire:
    """Readers r0, r1 … at their addresses, as the panel and as models."""
    sessions = [
        Session(
            f"r{model.address}",
            OsdpReader(
                address=model.address,
                secure_channel=reader.secure_channel,
                key=reader.key,
                allow_cleartext=reader.allow_cleartext,
            ),
            [key],
            entropy(),
        )
        for model in readers
    ]
    return ModelWire(Bus(sessions, baudrate), list(readers), baudrate, seed)


T = TypeVar("T")


def of(kind: type[T], events: Sequence[DeviceEvent]) -> list[T]:
    return [event for event in events if isinstance(event, kind)]


def settled(model: ModelReader, reader: OsdpReader = REQUIRED) -> ModelWire:
    """One reader in service for so long that its cards are believed."""
    bench = wire(model, reader=reader)
    assert of(DeviceOnline, bench.run(5.0))
    return bench


# ------------------------------------------------------------------ found


def test_a_reader_is_found_proved_and_named() -> None:
    bench = wire(ModelReader(key=KEY))
    events = bench.run(3.0)
    assert [event for event in events if not isinstance(event, InputChanged)] == [
        DeviceOnline(
            "r0",
            of(DeviceOnline, events)[0].at,
            "vendor 5C2623 model 1.1 serial 00000001 firmware 1.2.3",
            True,
            "vendor 5C2623 model 1 serial 00000001",
        )
    ]
    assert {event.point.line: event.state for event in of(InputChanged, events)} == {
        "in0": InputState.OFF,
        "in1": InputState.OFF,
    }
    assert "secure channel" in bench.bus.sessions[0].status_text()


def test_nothing_but_identification_and_handshake_is_ever_said_in_clear() -> None:
    bench = settled(ModelReader(key=KEY))
    for _, frame in bench.sent:
        if not frame[4] & 0x08:
            assert frame[5] == Cmd.ID


def test_clear_text_when_it_is_allowed() -> None:
    bench = wire(ModelReader(key=None), reader=CLEAR)
    (online,) = of(DeviceOnline, bench.run(3.0))
    assert not online.secure
    assert not any(frame[4] & 0x08 for _, frame in bench.sent)


def test_a_clear_text_setting_never_meets_a_reader_that_demands_a_key() -> None:
    bench = wire(ModelReader(key=KEY), reader=CLEAR)
    offline = of(DeviceOffline, bench.run(3.0))
    assert "demands a secure channel" in offline[0].why


@pytest.mark.parametrize("key", [bytes(15), bytes(17), b""])
def test_a_key_must_have_16_bytes(key: bytes) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Session("r0", REQUIRED, [key], entropy())


def test_a_wrong_key_is_said_at_once_and_tried_less_and_less() -> None:
    bench = wire(ModelReader(key=bytes(16)))
    (offline,) = of(DeviceOffline, bench.run(1.0))
    assert "wrong key" in offline.why
    bench.sent.clear()
    assert bench.run(60.0) == []
    assert len(bench.sent) < 30


def test_the_right_key_later_is_enough() -> None:
    model = ModelReader(key=bytes(16))
    bench = wire(model)
    bench.run(20.0)
    model.key = KEY
    assert of(DeviceOnline, bench.run(11.0))


# ------------------------------------------------------------------ the default key


def test_a_reader_on_the_default_key_is_an_alarm_and_stays_offline() -> None:
    bench = wire(ModelReader(key=SCBK_D, install=True))
    events = bench.run(3.0)
    assert "default key" in of(DeviceAlarm, events)[0].what
    assert "wrong key" in of(DeviceOffline, events)[0].why
    assert not of(DeviceOnline, events)


def test_a_reader_that_also_takes_the_default_key_is_an_alarm() -> None:
    events = wire(ModelReader(key=KEY, install=True)).run(3.0)
    assert "default key" in of(DeviceAlarm, events)[0].what
    assert of(DeviceOnline, events)


def test_install_mode_gives_the_reader_its_key() -> None:
    model = ModelReader(key=None, install=True)
    bench = wire(model, reader=INSTALL)
    events = bench.run(5.0)
    assert model.key == KEY
    assert of(DeviceOnline, events)[0].secure
    assert not any(KEY in frame for _, frame in bench.sent)


def test_install_mode_is_content_with_a_reader_that_has_its_key() -> None:
    model = ModelReader(key=KEY)
    assert of(DeviceOnline, wire(model, reader=INSTALL).run(3.0))[0].secure
    assert model.done == []


def test_no_card_is_taken_over_the_default_key() -> None:
    model = ModelReader(key=None, install=True)
    model.answers[Cmd.KEYSET] = (Reply.NAK, bytes([NakCode.RECORD]))
    model.queue.append((Reply.RAW, raw_card(CARD)))
    events = wire(model, reader=INSTALL).run(5.0)
    assert not of(DeviceOnline, events)
    assert not of(CardRead, events)
    assert "does not take the key" in of(DeviceOffline, events)[0].why


def test_a_key_is_changed_and_proved() -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    session = bench.bus.sessions[0]
    session.change_key(bytes(reversed(KEY)))
    assert session.key_change is KeyChange.WAITING
    events = bench.run(2.0)
    assert session.key_change is KeyChange.DONE
    assert model.key == bytes(reversed(KEY))
    assert session.secure
    assert events == []


def test_a_reader_that_keeps_its_key_is_still_served() -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    session = bench.bus.sessions[0]
    session.change_key(bytes(reversed(KEY)))
    model.answers[Cmd.KEYSET] = (Reply.ACK, b"")
    bench.run(5.0)
    assert session.key_change is KeyChange.FAILED
    assert session.secure


def test_a_key_is_changed_only_over_the_channel() -> None:
    with pytest.raises(DriverUsageError, match="not up"):
        wire(ModelReader(key=KEY)).bus.sessions[0].change_key(KEY)


# ------------------------------------------------------------------ reports


def test_a_card_arrives_bit_for_bit_at_its_last_byte() -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    model.queue.append((Reply.RAW, raw_card(CARD)))
    events = bench.run(1.0)
    (card,) = of(CardRead, events)
    assert (card.reader, card.length, card.value) == ("r0", 26, int(CARD, 2))
    assert bench.now - 1.0 < card.at < bench.now - 0.8


def test_keys_tamper_power_and_inputs() -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    model.queue.extend(
        [
            (Reply.KEYPAD, bytes([0, 4]) + b"12\x7f\x0d"),
            (Reply.LSTATR, b"\x01\x01"),
            (Reply.ISTATR, b"\x01\x02"),
            (Reply.RSTATR, b"\x01"),
        ]
    )
    events = bench.run(1.0)
    assert [key.keys for key in of(KeyPress, events)] == ["12*#"]
    assert [tamper.active for tamper in of(TamperChanged, events)] == [True]
    assert [alarm.what for alarm in of(DeviceAlarm, events)] == [
        "power failed",
        "the reader head is not connected",
    ]
    assert [(change.point.line, change.state) for change in of(InputChanged, events)] == [
        ("in0", InputState.ON),
        ("in1", InputState.OPEN),
    ]


@pytest.mark.parametrize(
    "report",
    [
        (Reply.RAW, b"\0\0"),
        (Reply.RAW, b"\0\0\x1a\0\0\0\0"),
        (Reply.RAW, b"\0\0\0\0"),
        (Reply.RAW, b"\x01\0\x08\0\xff"),
        (Reply.FMT, b"\0\0\x0112"),
        (Reply.KEYPAD, b"\0\x02A"),
        (Reply.KEYPAD, b"\0\x01A"),
        (Reply.KEYPAD, b"\x01\x011"),
    ],
)
def test_a_malformed_read_is_told_and_is_no_card(report: tuple[Reply, bytes]) -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    model.queue.append(report)
    (event,) = bench.run(1.0)
    assert isinstance(event, ReadError)
    assert event.fault is ReadFault.BAD_FRAME


def test_a_malformed_status_is_one_alarm_however_often_it_comes() -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    model.queue.extend([(Reply.LSTATR, b"\x01")] * 20)
    (alarm,) = bench.run(5.0)
    assert isinstance(alarm, DeviceAlarm)
    assert "malformed" in alarm.what


def test_another_device_in_the_same_place_says_who_it_is_even_if_it_was_never_missed() -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    model.serial = 2
    model.restart()
    events = bench.run(2.0)
    assert not of(DeviceOffline, events)
    assert [online.unique for online in of(DeviceOnline, events)] == ["vendor 5C2623 model 1 serial 00000002"]


# ------------------------------------------------------------------ commands


def test_relay_first_and_newest_light_wins() -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    for command in (
        Led("r0", Colour.RED, 1.0),
        Buzz("r0", 2, 0.2),
        Led("r0", Colour.GREEN, 2.0),
        Pulse(Point("r0", "out0"), 5.0),
    ):
        bench.bus.send("r0", command, bench.now)
    bench.run(1.0)
    assert [code for code, _ in model.done] == [Cmd.OUT, Cmd.BUZ, Cmd.LED]
    assert model.done[0][1] == bytes([0, 5, 50, 0])
    assert model.done[1][1] == bytes([0, 2, 2, 2, 2])
    assert model.done[2][1] == bytes([0, 0, 2, 10, 0, 2, 2, 20, 0, 0, 0, 0, 0, 0])


def test_hold_release_and_the_resting_colour() -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    for command in (Hold(Point("r0", "out0")), Led("r0", Colour.BLUE, blink=True)):
        bench.bus.send("r0", command, bench.now)
    bench.run(1.0)
    bench.bus.send("r0", Release(Point("r0", "out0")), bench.now)
    bench.run(1.0)
    resting = bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 3, 4, 0])
    assert model.done == [(Cmd.OUT, bytes([0, 2, 0, 0])), (Cmd.LED, resting), (Cmd.OUT, bytes([0, 1, 0, 0]))]
    model.done.clear()
    model.restart()
    bench.run(2.0)
    assert model.done == [(Cmd.LED, resting)]


def test_a_relay_command_for_an_offline_reader_is_dropped_for_good() -> None:
    model = ModelReader(key=KEY, alive=False)
    bench = wire(model)
    bench.run(1.0)
    bench.bus.send("r0", Pulse(Point("r0", "out0"), 5.0), bench.now)
    model.alive = True
    assert of(DeviceOnline, bench.run(3.0))
    assert model.done == []


def test_a_relay_command_that_cannot_be_sent_in_time_is_dropped_with_an_alarm() -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    model.alive = False
    bench.run(0.1)
    bench.bus.send("r0", Pulse(Point("r0", "out0"), 5.0), bench.now)
    (alarm,) = of(DeviceAlarm, bench.run(3.0))
    model.alive = True
    bench.run(5.0)
    assert "not sent in time" in alarm.what
    assert model.done == []


def test_a_refused_output_is_an_alarm_and_an_unknown_one_an_error() -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    model.answers[Cmd.OUT] = (Reply.NAK, bytes([NakCode.RECORD]))
    bench.bus.send("r0", Pulse(Point("r0", "out0"), 5.0), bench.now)
    (alarm,) = of(DeviceAlarm, bench.run(1.0))
    assert "refuses OUT" in alarm.what
    with pytest.raises(DriverUsageError, match="out0"):
        bench.bus.send("r0", Pulse(Point("r0", "out7"), 5.0), bench.now)


# ------------------------------------------------------------------ lost and found


def test_silence_for_eight_seconds_is_offline_and_return_takes_less_than_one() -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    model.alive = False
    start = bench.now
    (offline,) = bench.run(30.0)
    assert isinstance(offline, DeviceOffline)
    assert OFFLINE_AFTER <= offline.at - start < OFFLINE_AFTER + 1
    assert "no answer" in offline.why
    model.alive = True
    model.restart()
    back = bench.now
    (online, *_) = bench.run(2.0)
    assert isinstance(online, DeviceOnline)
    assert online.at - back < 1.0


def test_a_short_cut_goes_on_in_the_same_session() -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    before = len([frame for _, frame in bench.sent if not frame[4] & 8])
    model.alive = False
    bench.run(0.6)
    model.alive = True
    assert bench.run(2.0) == []
    assert len([frame for _, frame in bench.sent if not frame[4] & 8]) == before


def test_an_unanswered_frame_is_sent_again_as_it_was() -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    model.alive = False
    bench.sent.clear()
    bench.run(1.0)
    frames = [frame for _, frame in bench.sent]
    assert len(frames) >= 3
    assert len(set(frames[-3:])) == 1
    gaps = [later[0] - earlier[0] for earlier, later in itertools.pairwise(bench.sent[-3:])]
    assert min(gaps) >= REPLY_DELAY + len(frames[-1]) * 10 / 9600


def test_a_restarted_reader_is_back_without_going_offline() -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    model.restart()
    model.queue.append((Reply.RAW, raw_card(CARD)))
    events = bench.run(1.0)
    assert not of(DeviceOffline, events)
    assert len(of(CardRead, events)) == 1


def test_a_busy_reader_is_asked_again() -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    model.busy = 5
    model.queue.append((Reply.RAW, raw_card(CARD)))
    assert len(of(CardRead, bench.run(1.0))) == 1


def test_a_reader_that_is_busy_for_ever_is_offline() -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    model.busy = 1_000_000
    (offline, *_) = bench.run(10.0)
    assert isinstance(offline, DeviceOffline)
    assert "busy" in offline.why


def test_a_slow_reader_is_served() -> None:
    model = ModelReader(key=KEY, delay=0.19)
    bench = wire(model)
    assert of(DeviceOnline, bench.run(5.0))
    model.queue.append((Reply.RAW, raw_card(CARD)))
    assert len(of(CardRead, bench.run(2.0))) == 1


def test_a_lost_port_is_offline_at_once_and_starts_at_once_when_it_is_back() -> None:
    bench = settled(ModelReader(key=KEY))
    (offline,) = bench.bus.port_lost(bench.now, "pulled")
    assert offline == DeviceOffline("r0", bench.now, "pulled")
    assert bench.bus.port_lost(bench.now, "pulled") == []
    assert of(DeviceOnline, bench.run(1.0))


# ------------------------------------------------------------------ how old a card may be


def test_a_card_that_waited_out_an_outage_is_refused_with_its_age() -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    model.alive = False
    bench.run(12.0)
    model.queue.append((Reply.RAW, raw_card(CARD)))
    model.alive = True
    model.restart()
    events = bench.run(1.9)
    (refused,) = of(ReadError, events)
    assert (refused.fault, refused.length, refused.value) == (ReadFault.QUEUED, 26, int(CARD, 2))
    assert "may have waited in the reader for 1" in refused.note
    assert not of(CardRead, events)


def test_a_reader_is_believed_again_once_it_was_seen_empty() -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    model.alive = False
    bench.run(12.0)
    model.queue.append((Reply.RAW, raw_card("1" * 26)))
    model.alive = True
    assert len(of(ReadError, bench.run(1.5))) == 1
    model.queue.append((Reply.RAW, raw_card(CARD)))
    assert [card.value for card in of(CardRead, bench.run(0.5))] == [int(CARD, 2)]


def test_a_long_queue_is_refused_to_its_end() -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    model.alive = False
    bench.run(12.0)
    model.queue.extend([(Reply.RAW, raw_card(CARD))] * 100)
    model.alive = True
    events = bench.run(12.0)
    assert len(of(ReadError, events)) == 100
    assert not of(CardRead, events)


def test_a_card_of_a_short_gap_is_not_lost() -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    model.alive = False
    bench.run(1.0)
    model.queue.append((Reply.RAW, raw_card(CARD)))
    model.alive = True
    assert len(of(CardRead, bench.run(1.0))) == 1


def test_keys_that_waited_are_refused_too() -> None:
    model = ModelReader(key=KEY)
    model.queue.append((Reply.KEYPAD, b"\0\x04" + b"1234"))
    (refused,) = of(ReadError, wire(model).run(2.0))
    assert refused.fault is ReadFault.QUEUED
    assert "1234" not in repr(refused)


# ------------------------------------------------------------------ several readers


def test_readers_take_turns_and_an_absent_one_costs_little() -> None:
    models = [ModelReader(address=address, key=KEY) for address in range(4)]
    bench = wire(*models)
    bench.run(10.0)

    def turns() -> list[int]:
        bench.sent.clear()
        bench.run(20.0)
        return [sum(frame[1] == address for _, frame in bench.sent) for address in range(4)]

    together = turns()
    assert max(together) - min(together) <= 0.05 * max(together)
    models[3].alive = False
    bench.run(10.0)
    without = turns()
    # Three share what four had: each would get a third more, and looking for the fourth costs some of it.
    assert min(without[:3]) > 1.05 * min(together)


def test_a_reader_with_a_wrong_key_does_not_disturb_the_others() -> None:
    models = [ModelReader(address=0, key=KEY), ModelReader(address=1, key=bytes(16))]
    bench = wire(*models)
    bench.run(5.0)
    models[0].queue.append((Reply.RAW, raw_card(CARD)))
    assert len(of(CardRead, bench.run(0.5))) == 1


def test_a_relay_command_overtakes_the_turns_of_others() -> None:
    models = [ModelReader(address=address, key=KEY) for address in range(8)]
    bench = wire(*models)
    bench.run(10.0)
    bench.bus.send("r3", Pulse(Point("r3", "out0"), 5.0), bench.now)
    bench.run(0.09)
    assert models[3].done == [(Cmd.OUT, bytes([0, 5, 50, 0]))]


# ------------------------------------------------------------------ a bad wire


@pytest.mark.parametrize(("loss", "flip"), [(0.002, 0.0), (0.0, 0.002), (0.0, 0.005), (0.005, 0.005)])
@pytest.mark.parametrize("seed", range(2))
def test_through_noise_no_card_is_lost_doubled_or_invented(loss: float, flip: float, seed: int) -> None:
    """Each card is read once, or refused once because the noise held it back for longer than the limit."""
    models = [ModelReader(address=address, key=KEY) for address in range(2)]
    bench = wire(*models, baudrate=115200, seed=seed)
    bench.run(6.0)
    bench.loss, bench.flip = loss, flip
    events = []
    for number in range(40):
        models[number % 2].queue.append((Reply.RAW, raw_card(f"{number:026b}")))
        events += bench.run(0.5)
    bench.loss = bench.flip = 0.0
    events += bench.run(3.0)
    read = [card.value for card in of(CardRead, events)]
    refused = [card.value for card in of(ReadError, events) if card.fault is ReadFault.QUEUED]
    assert not of(DeviceOffline, events)
    assert sorted(read + refused) == list(range(40))
    assert len(refused) <= (8 if loss and flip else 2)


@given(st.lists(st.one_of(st.binary(max_size=80), st.integers(0, 400)), max_size=40), st.booleans())
@settings(max_examples=60, deadline=None)
def test_no_bytes_at_any_time_raise_or_make_a_card(script: list[bytes | int], secure: bool) -> None:
    """Raw noise between and instead of answers: the session may suffer, nothing else."""
    model = ModelReader(key=KEY if secure else None)
    bench = wire(model, reader=REQUIRED if secure else CLEAR)
    for step in script:
        events = bench.run(step / 1000) if isinstance(step, int) else bench.bus.receive(step, bench.now)
        assert not of(CardRead, events)
        assert bench.bus._frames.pending < MAX_FRAME
    events = bench.run(12.0)
    assert bench.bus.sessions[0].online


replies = st.builds(
    encode,
    st.integers(0, 1),
    st.integers(0, 3),
    st.sampled_from([*Reply, 0x00, 0xFF]),
    st.binary(max_size=40),
    reply=st.booleans(),
    crc=st.booleans(),
    block=st.sampled_from([b"", b"\x12\x00", b"\x12\x01", b"\x14\x01", b"\x16", b"\x18"]),
    mac=st.sampled_from([None, lambda message: bytes(16)]),
)


@given(st.lists(replies, max_size=60))
@settings(max_examples=60, deadline=None)
def test_forged_answers_never_make_a_card_or_bring_a_reader_online(script: list[bytes]) -> None:
    """Well-formed frames of somebody without the key, in place of every answer."""
    model = ModelReader(key=KEY, alive=False)
    bench = wire(model)
    for forged in script:
        bench.run(0.05)
        events = bench.bus.receive(forged, bench.now)
        assert not of(CardRead, events)
        assert not of(DeviceOnline, events)


def test_an_echo_is_not_an_answer() -> None:
    model = ModelReader(key=KEY)
    bench = wire(model)
    hear = model.hear
    model.hear = lambda data: data + hear(data)  # type: ignore[method-assign]  # the adapter's echo comes first
    assert of(DeviceOnline, bench.run(3.0))
    model.queue.append((Reply.RAW, raw_card(CARD)))
    bench.run(2.0)
    assert bench.bus.sessions[0].retries == 0
