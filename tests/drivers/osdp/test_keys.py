"""Keys of a reader that the daemon keeps: given, changed, in doubt, taken away, under a fake clock."""

from __future__ import annotations

import pytest

from drivers.driver import DriverUsageError
from drivers.events import DeviceAlarm, DeviceOffline, DeviceOnline
from drivers.osdp.bus import Bus
from drivers.osdp.handshake import Handshake, KeyChange
from drivers.osdp.messages import Cmd, NakCode, Reply
from drivers.osdp.secure import SCBK_D
from drivers.osdp.session import Session
from tests.drivers.osdp.panel import CLEAR, KEY, REQUIRED, entropy, of, settled, wire
from tests.peers.osdp_model import ModelReader, ModelWire

NEW = bytes(reversed(KEY))


def keyed(model: ModelReader, *keys: bytes) -> tuple[ModelWire, Session, list[bytes]]:
    """A wire whose panel tries these keys, and what it was told to be proved."""
    proved: list[bytes] = []
    session = Session("r0", REQUIRED, keys, entropy(), proved=proved.append)
    return ModelWire(Bus([session], 9600), [model]), session, proved


def test_without_a_key_a_reader_is_offline_and_only_asked_who_it_is() -> None:
    bench, _, _ = keyed(ModelReader(key=KEY))
    (offline,) = bench.run(30.0)
    assert isinstance(offline, DeviceOffline)
    assert "latchctl reader enrol" in offline.why
    assert {frame[5] for _, frame in bench.sent if not frame[4] & 0x08} == {Cmd.ID}


def test_without_a_key_the_default_key_is_still_an_alarm_and_shown() -> None:
    bench, session, _ = keyed(ModelReader(key=None, install=True))
    assert "default key" in of(DeviceAlarm, bench.run(5.0))[0].what
    assert "default key" in session.status_text()


@pytest.mark.parametrize("away", [0.0, 20.0])
def test_a_reader_in_service_that_is_reset_to_the_default_key_is_an_alarm(away: float) -> None:
    model = ModelReader(key=KEY)
    bench, session, _ = keyed(model, KEY)
    assert not of(DeviceAlarm, bench.run(5.0))
    model.alive = not away
    bench.run(away)
    model.alive, model.key, model.install = True, None, True
    model.restart()
    events = bench.run(5.0)
    assert "default key" in of(DeviceAlarm, events)[0].what
    assert "default key" in session.status_text()
    assert "wrong key" in session.why_offline
    assert len(of(DeviceAlarm, [*events, *bench.run(60.0)])) == 1


def test_a_reader_is_enrolled_while_it_is_refused_and_its_alarm_ends() -> None:
    model = ModelReader(key=None, install=True)
    bench, session, proved = keyed(model)
    bench.run(60.0)
    session.enrol(NEW, bench.now)
    events = bench.run(3.0)
    assert of(DeviceOnline, events)[0].secure
    assert (session.key_change, model.key, proved) == (KeyChange.DONE, NEW, [NEW])
    assert "default key" not in session.status_text()
    assert not of(DeviceAlarm, events)
    assert not any(NEW in frame for _, frame in bench.sent)


def test_a_reader_that_is_not_on_the_default_key_is_not_enrolled() -> None:
    model = ModelReader(key=KEY)
    bench, session, proved = keyed(model)
    session.enrol(NEW, bench.now)
    bench.run(3.0)
    assert (session.key_change, model.key, proved) == (KeyChange.FAILED, KEY, [])


def test_a_reader_that_refuses_its_first_key_is_not_enrolled_and_an_alarm_again() -> None:
    model = ModelReader(key=None, install=True)
    model.answers[Cmd.KEYSET] = (Reply.NAK, bytes([NakCode.RECORD]))
    bench, session, _ = keyed(model)
    session.enrol(NEW, bench.now)
    events = bench.run(3.0)
    assert session.key_change is KeyChange.FAILED
    session.give_up_change()
    assert "default key" in of(DeviceAlarm, [*events, *bench.run(20.0)])[-1].what


def test_the_default_key_is_left_alone_when_nobody_asked_for_it() -> None:
    model = ModelReader(key=None, install=True)
    bench, session, _ = keyed(model, KEY)
    bench.run(30.0)
    session.enrol(NEW, bench.now)
    session.give_up_change()
    bench.run(30.0)
    assert model.key is None
    assert model.done == []


@pytest.mark.parametrize("held", [KEY, NEW])
def test_a_change_in_doubt_is_settled_by_the_reader(held: bytes) -> None:
    """As after a crash between telling the reader and hearing that it did."""
    bench, session, proved = keyed(ModelReader(key=held), NEW, KEY)
    assert of(DeviceOnline, bench.run(3.0))
    assert proved == [held]
    assert session.secure


def test_a_certain_key_is_not_reported_again_and_again() -> None:
    model = ModelReader(key=KEY)
    bench, _, proved = keyed(model, KEY)
    for _ in range(3):
        bench.run(5.0)
        model.restart()
    assert proved == []


def test_a_change_waits_while_the_channel_is_renewed() -> None:
    model = ModelReader(key=KEY)
    bench, session, proved = keyed(model, KEY)
    bench.run(3.0)
    model.alive = False
    bench.run(1.9)  # long enough to begin a new session, too short to be offline
    assert not session.secure
    session.change_key(NEW)
    model.alive = True
    model.restart()
    bench.run(3.0)
    assert (session.key_change, model.key, proved) == (KeyChange.DONE, NEW, [NEW])
    model.alive = False
    bench.run(20.0)
    with pytest.raises(DriverUsageError, match="not up"):
        session.change_key(KEY)


def test_a_refused_change_leaves_the_old_key_in_use() -> None:
    model = ModelReader(key=KEY)
    model.answers[Cmd.KEYSET] = (Reply.NAK, bytes([NakCode.RECORD]))
    bench, session, proved = keyed(model, KEY)
    bench.run(3.0)
    session.change_key(NEW)
    assert "refuses KEYSET" in of(DeviceAlarm, bench.run(3.0))[0].what
    assert (session.key_change, proved, session.secure) == (KeyChange.FAILED, [KEY], True)
    model.restart()
    assert not of(DeviceOffline, bench.run(10.0))


@pytest.mark.parametrize("reaches", [True, False])
def test_a_key_whose_answer_is_lost_in_an_outage_is_settled_afterwards(reaches: bool) -> None:
    model = ModelReader(key=KEY)
    bench, session, proved = keyed(model, KEY)
    bench.run(3.0)
    session.change_key(NEW)
    if reaches:
        model.delay = 5.0  # heard, done, and its answer comes far too late
    else:
        model.alive = False
    bench.run(20.0)
    assert session.key_change is KeyChange.WAITING
    model.delay, model.alive = 0.002, True
    bench.run(12.0)
    assert model.key == (NEW if reaches else KEY)
    assert proved == [model.key]
    assert session.secure
    bench.run(5.0)
    assert len([code for code, _ in model.done if code == Cmd.KEYSET]) == int(reaches)


def test_a_forgotten_key_ends_the_session_at_once() -> None:
    model = ModelReader(key=KEY)
    bench, session, _ = keyed(model, KEY)
    bench.run(3.0)
    (offline,) = session.use_keys((), bench.now)
    assert isinstance(offline, DeviceOffline)
    assert bench.run(30.0) == []
    session.use_keys((KEY,), bench.now)
    assert of(DeviceOnline, bench.run(1.0))


def test_clear_text_and_keys_do_not_go_together() -> None:
    session = wire(ModelReader(key=None), reader=CLEAR).bus.sessions[0]
    with pytest.raises(DriverUsageError, match="not up"):
        session.change_key(NEW)
    with pytest.raises(DriverUsageError, match="needs no key"):
        session.enrol(NEW, 0.0)


def test_every_key_is_looked_at() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Handshake((KEY, KEY[:-1]), entropy())
    with pytest.raises(ValueError, match="everybody knows"):
        Handshake((KEY, SCBK_D), entropy())


def test_an_enrolment_that_is_given_up_at_any_moment_never_leaves_a_session_on_the_default_key() -> None:
    for turns in range(1, 12):
        bench, session, _ = keyed(ModelReader(key=None, install=True), KEY)
        session.enrol(NEW, bench.now)
        bench.run(0.05 * turns)
        if session.key_change is KeyChange.WAITING:
            session.give_up_change()
            assert not of(DeviceOnline, bench.run(3.0)) or bench.readers[0].key == NEW


# ------------------------------------------------------------------ texts and addresses


def test_a_text_and_another_address() -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    session = bench.bus.sessions[0]
    session.outbox.put_service(Cmd.TEXT, b"\0\1\0\1\1\2hi")
    session.outbox.put_service(Cmd.COMSET, bytes([3]) + (115200).to_bytes(4, "little"))
    bench.run(2.0)
    assert model.done == [(Cmd.TEXT, b"\0\1\0\1\1\2hi"), (Cmd.COMSET, b"\x03\x00\xc2\x01\x00")]
    assert session.service.moved == [(3, 115200)]


def test_another_address_is_not_asked_for_in_a_later_session() -> None:
    """The reader may have moved although its answer was lost; what stands in its place then must not move too."""
    model = ModelReader(key=KEY)
    bench = settled(model)
    model.alive = False
    bench.bus.sessions[0].outbox.put_service(Cmd.COMSET, bytes([3]) + (9600).to_bytes(4, "little"))
    bench.run(20.0)
    model.alive = True
    model.restart()
    bench.run(15.0)
    assert bench.bus.sessions[0].secure
    assert model.done == []
