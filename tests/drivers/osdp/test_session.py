"""What a reader can answer wrongly at each step, and what becomes of the session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from drivers.events import Buzz, CardRead, DeviceOffline, DeviceOnline
from drivers.osdp.bus import Bus
from drivers.osdp.frame import Frame, encode
from drivers.osdp.handshake import Handshake
from drivers.osdp.messages import Cmd, NakCode, Reply
from drivers.osdp.session import Session
from drivers.osdp.states import SessionState
from tests.drivers.osdp.panel import CARD, INSTALL, KEY, REQUIRED, entropy, of, settled, wire
from tests.peers.osdp_model import ModelReader, ModelWire, raw_card

Wrong = Callable[["Twisted", Frame], bytes | None]


@dataclass
class Twisted(ModelReader):
    """A reader whose answers may be replaced: ``wrong`` gives another one, or ``None`` for the right one."""

    wrong: Wrong = lambda reader, frame: None

    def _obey(self, frame: Frame) -> bytes:
        return self.wrong(self, frame) or super()._obey(frame)


def refuses(code: Cmd, why: NakCode, times: int = 1_000_000) -> Wrong:
    """NAK to a command, so often."""
    left = [times]

    def wrong(reader: Twisted, frame: Frame) -> bytes | None:
        if frame.code != code or not left[0]:
            return None
        left[0] -= 1
        return reader._nak(frame, why)

    return wrong


def in_clear(reader: Twisted, frame: Frame) -> bytes | None:
    """A card in answer to each poll, without any protection."""
    if frame.code != Cmd.POLL:
        return None
    return encode(reader.address, frame.sequence, Reply.RAW, raw_card(CARD), reply=True)


def another_first_mac(reader: Twisted, frame: Frame) -> bytes | None:
    if frame.code != Cmd.SCRYPT:
        return None
    return encode(reader.address, frame.sequence, Reply.RMAC_I, bytes(16), reply=True, block=b"\x14\x01")


def nameless_in_the_channel(reader: Twisted, frame: Frame) -> bytes | None:
    if frame.code != Cmd.ID or reader._channel is None:
        return None
    reader._channel.open(frame)
    return reader._say(frame, Reply.PDID, bytes(3))


# ------------------------------------------------------------------ in the handshake


def test_a_reader_that_does_not_know_the_secure_channel_is_named() -> None:
    bench = wire(Twisted(key=KEY, wrong=refuses(Cmd.CHLNG, NakCode.UNKNOWN_COMMAND)))
    (offline,) = of(DeviceOffline, bench.run(2.0))
    assert "refuses the secure channel" in offline.why


def test_a_reader_that_refuses_the_first_of_two_keys_is_asked_for_the_second() -> None:
    model = Twisted(key=KEY, wrong=refuses(Cmd.CHLNG, NakCode.SECURITY_NOT_MET, times=2))  # and the default key
    proved: list[bytes] = []
    session = Session("r0", REQUIRED, [bytes(16), KEY], entropy(), proved=proved.append)
    assert of(DeviceOnline, ModelWire(Bus([session], 9600), [model]).run(3.0))
    assert proved == [KEY]


def test_a_first_mac_that_the_keys_do_not_give_is_no_channel() -> None:
    events = wire(Twisted(key=KEY, wrong=another_first_mac)).run(2.0)
    assert "does not accept the key" in of(DeviceOffline, events)[0].why
    assert not of(DeviceOnline, events)


def test_a_reader_without_a_name_is_not_taken_into_service() -> None:
    model = Twisted(key=KEY, wrong=nameless_in_the_channel)
    bench = wire(model)
    assert "does not say who it is" in of(DeviceOffline, bench.run(2.0))[0].why
    model.wrong = lambda reader, frame: None
    assert of(DeviceOnline, bench.run(3.0))


def test_a_reader_that_never_gets_beyond_the_handshake_is_offline_all_the_same() -> None:
    model = Twisted(key=None, install=True, wrong=refuses(Cmd.KEYSET, NakCode.RECORD))  # in clear: as if lost
    bench = wire(model, reader=INSTALL)
    assert of(DeviceOffline, bench.run(10.0))
    model.wrong = lambda reader, frame: None
    assert of(DeviceOnline, bench.run(10.0))


# ------------------------------------------------------------------ in service


def test_what_comes_in_clear_is_never_believed_in_service() -> None:
    model = Twisted(key=KEY)
    bench = settled(model)
    model.wrong = in_clear
    events = bench.run(12.0)
    assert not of(CardRead, events)
    assert "do not belong to the secure channel" in of(DeviceOffline, events)[0].why
    model.wrong = lambda reader, frame: None
    bench.run(2.0)
    model.queue.append((Reply.RAW, raw_card(CARD)))
    assert len(of(CardRead, bench.run(1.0))) == 1


def test_a_reader_that_heard_a_damaged_command_is_told_again() -> None:
    model = Twisted(key=KEY)
    bench = settled(model)
    sessions = bench.bus.sessions[0].keys
    assert isinstance(sessions, Handshake)
    before = sessions.count
    nak = encode(0, 0, Reply.NAK, bytes([NakCode.CHECK]), reply=True)
    hear = model.hear
    model.hear = lambda data: nak if data[5:8] == b"\x02\x15\x60" else hear(data)  # type: ignore[method-assign]  # once
    bench.run(0.05)
    model.hear = hear  # type: ignore[method-assign]
    bench.run(1.0)
    assert bench.bus.sessions[0].secure
    assert bench.bus.sessions[0].retries > 0
    assert sessions.count == before, "the session is as it was"


@pytest.mark.parametrize("why", [NakCode.SEQUENCE, NakCode.SECURITY_NOT_MET, NakCode.NO_SECURE_CHANNEL])
def test_a_reader_that_lost_the_session_says_so_in_clear_and_has_a_new_one_at_once(why: NakCode) -> None:
    model = Twisted(key=KEY)
    bench = settled(model)
    model.wrong = refuses(Cmd.POLL, why, times=1)
    assert bench.run(0.6) == []
    assert bench.bus.sessions[0].secure


def test_new_firmware_is_no_new_device() -> None:
    model = Twisted(key=KEY)
    bench = settled(model)
    identity = model._identity
    model._identity = lambda: identity()[:-3] + bytes([9, 9, 9])  # type: ignore[method-assign]  # after an update
    model.restart()
    assert of(DeviceOnline, bench.run(2.0)) == []
    assert "firmware 9.9.9" in bench.bus.sessions[0].status_text()


def test_what_was_on_its_way_when_the_session_ended_is_sent_in_the_next_one() -> None:
    model = Twisted(key=KEY)
    bench = settled(model)
    model.wrong = refuses(Cmd.BUZ, NakCode.SECURITY_NOT_MET, times=1)
    bench.bus.send("r0", Buzz("r0"), bench.now)
    bench.run(2.0)
    assert [code for code, _ in model.done] == [Cmd.BUZ]


# ------------------------------------------------------------------ in words


def test_the_table_of_the_steps_names_each_of_them_once() -> None:
    from drivers.osdp import states

    rows = [line.split()[0] for line in (states.__doc__ or "").splitlines() if line and line.split()[0].isupper()]
    assert rows == [step.name for step in SessionState]


def test_the_status_says_what_is_going_on() -> None:
    model = Twisted(key=KEY)
    bench = wire(model)
    session = bench.bus.sessions[0]
    assert session.status_text() == "not asked yet"
    bench.run(5.0)
    assert session.status_text().startswith("secure channel, ")
    model.wrong = refuses(Cmd.CHLNG, NakCode.CHECK)
    model.restart()
    bench.run(0.5)
    assert session.status_text().startswith("secure channel is being renewed")
