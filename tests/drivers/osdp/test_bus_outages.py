"""The bus under a fake clock: disturbed, lost, found again, and what cards mean that waited meanwhile."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.events import (
    CardRead,
    DeviceOffline,
    DeviceOnline,
    Point,
    Pulse,
    ReadError,
    ReadFault,
)
from drivers.osdp.bus import LATENCY
from drivers.osdp.frame import MAX_FRAME, encode
from drivers.osdp.messages import Cmd, Reply
from drivers.osdp.secure import Scs
from drivers.osdp.timing import OFFLINE_AFTER, REPLY_DELAY, RETRY_PAUSE, SHORTEST_DELAY
from tests.drivers.osdp.panel import CARD, CLEAR, KEY, REQUIRED, of, settled, wire
from tests.peers.osdp_model import ModelReader, ModelWire, raw_card

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
    bench.run(0.8)
    frames = [frame for _, frame in bench.sent]
    assert len(frames) > 2
    assert len(set(frames)) == 1
    gaps = [later[0] - earlier[0] for earlier, later in itertools.pairwise(bench.sent)]
    on_the_wire = len(frames[-1]) * 10 / 9600
    assert gaps[0] >= REPLY_DELAY + on_the_wire
    assert max(gaps[1:]) <= RETRY_PAUSE + SHORTEST_DELAY + LATENCY + on_the_wire, "it has always been quick"


def test_a_restarted_reader_is_back_without_going_offline() -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    model.restart()
    model.queue.append((Reply.RAW, raw_card(CARD)))
    events = bench.run(1.0)
    assert not of(DeviceOffline, events)
    assert len(of(CardRead, events)) == 1


def test_what_a_reader_has_kept_comes_before_our_questions() -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    model.restart()
    model.queue.extend([(Reply.RAW, raw_card(CARD))] * 3)
    bench.sent.clear()
    assert len(of(CardRead, bench.run(1.0))) == 3
    in_service = [frame[7] for _, frame in bench.sent if frame[4] & 8 and frame[6] >= Scs.COMMAND]
    assert in_service[1:6] == [Cmd.POLL] * 4 + [Cmd.ISTAT], "the first one ended the session that the reader lost"


def test_a_reader_that_never_runs_out_of_reports_is_asked_all_the_same() -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    model.restart()
    model.queue.extend([(Reply.KEYPAD, b"\0\x011")] * 40)
    bench.sent.clear()
    bench.run(2.0)
    assert Cmd.LSTAT in [frame[7] for _, frame in bench.sent if frame[4] & 8]


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


def longest_wait(bench: ModelWire, address: int, seconds: float) -> float:
    """The longest time between two turns of a reader."""
    bench.sent.clear()
    bench.run(seconds)
    turns = [at for at, frame in bench.sent if frame[1] == address]
    return max(later - earlier for earlier, later in itertools.pairwise(turns))


def test_a_reader_that_is_cut_off_holds_up_the_others_in_full_length_once() -> None:
    models = [ModelReader(address=address, key=KEY) for address in range(2)]
    bench = wire(*models)
    bench.run(10.0)
    models[1].alive = False
    bench.run(0.05)
    assert longest_wait(bench, 0, 0.5) < REPLY_DELAY / 2, "beyond the one wait that is under way now"
    assert longest_wait(bench, 0, 9.0) < REPLY_DELAY / 2
    assert {session.address: session.online for session in bench.bus.sessions} == {0: True, 1: False}
    assert longest_wait(bench, 0, 30.0) > REPLY_DELAY, "every half a minute it gets its full time"


def test_a_reader_that_becomes_slow_while_it_is_missed_is_found_again() -> None:
    model = ModelReader(key=KEY)
    bench = settled(model)
    model.alive = False
    bench.run(1.0)
    model.alive, model.delay = True, 0.19
    model.restart()
    assert bench.run(3.0) == []
    assert bench.bus.sessions[0].secure


def test_a_question_takes_no_poll_from_its_reader() -> None:
    models = [ModelReader(address=address, key=KEY) for address in range(8)]
    bench = wire(*models)
    bench.run(40.0)
    bench.sent.clear()
    bench.run(35.0)
    said = [(frame[1], frame[7]) for _, frame in bench.sent]
    questions = [at for at, (address, code) in enumerate(said[:-1]) if address == 3 and code != Cmd.POLL]
    assert {said[at][1] for at in questions} == {Cmd.LSTAT, Cmd.RSTAT, Cmd.ISTAT, Cmd.OSTAT}
    assert {said[at + 1] for at in questions} == {(3, Cmd.POLL)}


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


def test_a_garbled_answer_is_asked_for_again_before_the_others_have_their_turn() -> None:
    models = [ModelReader(address=address, key=KEY) for address in range(8)]
    bench = wire(*models)
    bench.run(10.0)
    hear = models[3].hear
    models[3].queue.append((Reply.RAW, raw_card(CARD)))
    models[3].hear = lambda data: hear(data)[:-1] + b"?" if data[1] == 3 else b""  # type: ignore[method-assign]
    bench.sent.clear()
    bench.run(0.5)
    first = next(at for at, (_, frame) in enumerate(bench.sent) if frame[1] == 3)
    assert [frame[1] == 3 for _, frame in bench.sent[first : first + 3]] == [True, True, False], "once"
    models[3].hear = hear  # type: ignore[method-assign]
    assert len(of(CardRead, bench.run(1.0))) == 1


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
