"""From what a reader reports to events: what changed, and only that."""

from __future__ import annotations

import pytest

from drivers.events import CardRead, DeviceAlarm, InputState, KeyPress, ReadError, ReadFault, TamperChanged
from drivers.osdp.messages import MessageError, Reply
from drivers.osdp.reports import CARDS_APART, ReadFreshness, Reports
from drivers.osdp.timing import ROUNDS_MISSED, ROUNDS_QUEUED, Pace
from tests.drivers.osdp.panel import of
from tests.peers.osdp_model import raw_card


def reports(limit: float = 2.0, inputs: int = 2) -> Reports:
    """Of a reader whose queue was last seen empty at 100."""
    made = Reports("r0", inputs, limit)
    made.freshness.queue_empty(100.0)
    return made


# ------------------------------------------------------------------ age


def test_a_read_is_no_older_than_the_last_empty_queue() -> None:
    freshness = ReadFreshness(2.0)
    assert "since before it came online" in freshness.objection(100.0)
    freshness.queue_empty(100.0)
    assert freshness.objection(102.0) == ""
    freshness.queue_empty(100.0)
    assert freshness.objection(102.5) == "may have waited in the reader for 2.5 s"


def polled(freshness: ReadFreshness, interval: float, reads: int) -> list[str]:
    """What is objected to reads that come at each poll, in such intervals, after an empty queue at 100."""
    freshness.queue_empty(100.0)
    return [freshness.objection(100.0 + interval * (number + 1)) for number in range(reads)]


def test_a_rush_at_one_reader_is_served_though_its_queue_is_never_seen_empty() -> None:
    assert polled(ReadFreshness(2.0), CARDS_APART, 100) == [""] * 100


def test_reads_that_come_faster_than_people_badge_may_all_have_waited() -> None:
    objections = polled(ReadFreshness(2.0), 0.1, 40)
    assert objections[:20] == [""] * 20
    assert all(objections[20:])


def test_after_a_time_without_polls_nothing_counts_until_the_queue_was_empty() -> None:
    freshness = ReadFreshness(2.0)
    freshness.queue_empty(100.0)
    objections = [freshness.objection(112.0 + number) for number in range(30)]
    assert all(objections)
    freshness.queue_empty(142.0)
    assert freshness.objection(142.5) == ""


def test_the_limit_follows_the_round_of_the_bus() -> None:
    freshness = ReadFreshness(2.0, Pace(round=1.5))
    freshness.queue_empty(100.0)
    assert freshness.objection(103.0) == ""
    assert freshness.limit == ROUNDS_QUEUED * 1.5
    freshness = ReadFreshness(2.0, Pace(round=1.5))
    freshness.queue_empty(100.0)
    assert freshness.objection(100.1 + ROUNDS_MISSED * 1.5) != "", "it was not polled in the meantime"


@pytest.mark.parametrize(("at", "kinds"), [(101.9, [CardRead, KeyPress]), (102.1, [ReadError, ReadError])])
def test_cards_and_keys_are_judged_alike(at: float, kinds: list[type]) -> None:
    made = reports()
    events = [
        *made.understand(Reply.RAW, raw_card("1" * 26), at),
        *made.understand(Reply.KEYPAD, b"\0\x021#".replace(b"#", b"\x0d"), at),
    ]
    assert [type(event) for event in events] == kinds
    assert {event.fault for event in of(ReadError, events)} <= {ReadFault.QUEUED}


# ------------------------------------------------------------------ states


def test_tamper_and_power_are_told_when_they_change() -> None:
    made = reports()
    told = [made.understand(Reply.LSTATR, data, 101.0) for data in (b"\0\0", b"\1\0", b"\1\1", b"\1\1", b"\0\0")]
    assert told == [
        [],
        [TamperChanged("r0", True, 101.0)],
        [DeviceAlarm("r0", 101.0, "power failed")],
        [],
        [TamperChanged("r0", False, 101.0), DeviceAlarm("r0", 101.0, "power is back")],
    ]


def test_the_case_and_the_reader_head_are_one_tamper_contact() -> None:
    made = reports()

    def tamper(code: Reply, data: bytes) -> list[bool]:
        return [event.active for event in of(TamperChanged, made.understand(code, data, 101.0))]

    assert tamper(Reply.RSTATR, b"\2") == [True]
    assert tamper(Reply.LSTATR, b"\0\0") == [], "the head is still open"
    assert tamper(Reply.LSTATR, b"\1\0") == []
    assert tamper(Reply.RSTATR, b"\0") == [], "the case is still open"
    assert tamper(Reply.LSTATR, b"\0\0") == [False]


def test_a_missing_reader_head_is_told_once_and_once_when_it_is_back() -> None:
    made = reports()
    told = [made.understand(Reply.RSTATR, data, 101.0) for data in (b"\1", b"\1", b"\0", b"\0")]
    assert [[event.what for event in of(DeviceAlarm, events)] for events in told] == [
        ["the reader head is not connected"],
        [],
        ["the reader head is connected again"],
        [],
    ]


def test_inputs_are_told_once_and_a_strange_value_is_a_fault() -> None:
    made = reports()

    def inputs(data: bytes) -> list[tuple[str, InputState]]:
        return [(e.point.line, e.state) for e in made.understand(Reply.ISTATR, data, 101.0)]  # type: ignore[union-attr]  # nothing else comes from ISTATR

    assert inputs(b"\0\1\1") == [("in0", InputState.OFF), ("in1", InputState.ON)]
    assert inputs(b"\0\1") == []
    assert inputs(b"\2\1") == [("in0", InputState.OPEN)]
    made.forget_inputs()
    assert len(inputs(b"\0\1")) == 2


@pytest.mark.parametrize(("code", "data"), [(Reply.LSTATR, b"\0"), (Reply.RSTATR, b"")])
def test_a_malformed_status_is_an_error(code: Reply, data: bytes) -> None:
    with pytest.raises(MessageError):
        reports().understand(code, data, 101.0)


def test_what_is_no_report_says_nothing() -> None:
    assert reports().understand(Reply.ACK, b"", 101.0) == []
