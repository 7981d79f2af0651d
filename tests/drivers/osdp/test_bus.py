"""The bus under a fake clock against model readers: found, proved, served and commanded."""

from __future__ import annotations

import pytest

from drivers.driver import DriverUsageError
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
    SwitchOff,
    SwitchOn,
    TamperChanged,
)
from drivers.osdp.handshake import KeyChange
from drivers.osdp.messages import Cmd, NakCode, Reply
from drivers.osdp.secure import SCBK_D
from drivers.osdp.session import Session
from tests.drivers.osdp.panel import CARD, CLEAR, INSTALL, KEY, REQUIRED, entropy, of, settled, wire
from tests.peers.osdp_model import ModelReader, raw_card

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


def test_a_wrong_key_is_said_at_once_and_tried_now_and_then() -> None:
    bench = wire(ModelReader(key=bytes(16)))
    (offline,) = of(DeviceOffline, bench.run(1.0))
    assert "wrong key" in offline.why
    bench.sent.clear()
    assert bench.run(60.0) == []
    assert 25 < sum(frame[5] != Cmd.ID for _, frame in bench.sent) < 60


def test_the_right_key_later_is_enough() -> None:
    model = ModelReader(key=bytes(16))
    bench = wire(model)
    bench.run(20.0)
    model.key = KEY
    assert of(DeviceOnline, bench.run(11.0))


@pytest.mark.parametrize("serial", [1, 2])
def test_the_right_reader_in_the_place_of_a_wrong_one_is_in_service_soon(serial: int) -> None:
    model = ModelReader(key=bytes(16))
    bench = wire(model)
    bench.run(30.0)
    if serial == 1:  # the same one, after it was away for a moment
        model.alive = False
        bench.run(0.8)
        model.alive = True
    model.key, model.serial = KEY, serial
    model.restart()
    assert of(DeviceOnline, bench.run(1.0))


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
    for command in (SwitchOn(Point("r0", "out0")), Led("r0", Colour.BLUE, blink=True)):
        bench.bus.send("r0", command, bench.now)
    bench.run(1.0)
    bench.bus.send("r0", SwitchOff(Point("r0", "out0")), bench.now)
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
