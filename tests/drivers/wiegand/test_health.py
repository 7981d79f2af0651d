"""drivers.wiegand.health: noise is cut off, a quiet line is believed again, exchanged lines are named."""

from __future__ import annotations

import random

import pytest

from drivers.cards.formats import built_in_formats
from drivers.events import CardRead, DeviceAlarm, DeviceEvent, DeviceOffline, DeviceOnline, ReadError, ReadFault
from drivers.wiegand.decode import ReaderRules, interpret
from drivers.wiegand.frame import Frame
from drivers.wiegand.health import ERRORS_TO_CUT, QUIET, SWAPPED, LineHealth

H10301 = built_in_formats().get_format("H10301")
LENGTH, VALUE = built_in_formats().parse_card("H10301:118:1603")
ERROR = ReadError("yard", ReadFault.BAD_FRAME, 0.0, 12, 5)
CARD = CardRead("yard", LENGTH, VALUE, 0.0)


def after_errors(count: int, every: float) -> tuple[LineHealth, list[DeviceEvent], float]:
    health, events, now = LineHealth("yard", ()), [], 100.0
    for _ in range(count):
        now += every
        events += health.judge(ERROR, now)
    return health, events, now


def test_noise_is_cut_off_and_so_is_what_passes_for_a_card() -> None:
    health, events, now = after_errors(ERRORS_TO_CUT, 0.1)
    assert events.count(ERROR) == ERRORS_TO_CUT
    assert isinstance(events[-1], DeviceOffline)
    assert health.judge(CARD, now + 1.0) == []
    assert health.judge(ERROR, now + 2.0) == []


def test_a_reader_that_errs_now_and_then_is_believed() -> None:
    health, events, now = after_errors(500, 1.3)
    assert set(map(type, events)) == {ReadError}
    assert health.judge(CARD, now) == [CARD]
    assert health.deadline() is None


def test_a_line_that_was_quiet_is_believed_again() -> None:
    health, _, now = after_errors(ERRORS_TO_CUT, 0.1)
    health.judge(ERROR, now + 5.0)
    assert health.deadline() == pytest.approx(now + 5.0 + QUIET)
    assert health.handle_deadline(now + QUIET) == []
    (event,) = health.handle_deadline(now + 5.0 + QUIET)
    assert isinstance(event, DeviceOnline)
    assert health.judge(CARD, now + 60.0) == [CARD]
    assert health.handle_deadline(now + 100.0) == []


def read(value: int) -> CardRead | ReadError:
    event = interpret("yard", Frame(LENGTH, value, 0), ReaderRules(formats=(H10301,)))
    assert isinstance(event, CardRead | ReadError)
    return event


def test_exchanged_lines_are_named_once() -> None:
    health, chance = LineHealth("yard", (H10301,)), random.Random(1)
    events: list[DeviceEvent] = []
    for now in range(10):
        card = H10301.encode(chance.randrange(256), chance.randrange(65536))
        events += health.judge(read(card ^ ((1 << LENGTH) - 1)), 10.0 * now)
    alarms = [event for event in events if isinstance(event, DeviceAlarm)]
    assert len(alarms) == 1
    assert "D0 and D1 may be swapped" in alarms[0].what


def test_a_good_card_between_says_that_the_lines_are_right() -> None:
    health, now = LineHealth("yard", (H10301,)), 0.0
    events: list[DeviceEvent] = []
    for _ in range(SWAPPED):
        for value in (VALUE ^ ((1 << LENGTH) - 1), VALUE):
            now += 10.0
            events += health.judge(read(value), now)
    assert not [event for event in events if isinstance(event, DeviceAlarm)]


def test_damaged_cards_are_no_sign_of_exchanged_lines() -> None:
    health, now = LineHealth("yard", (H10301,)), 0.0
    events: list[DeviceEvent] = []
    for bit in range(1, 13):  # one inverted bit fails one of the two parities, and inverted it still does
        now += 10.0
        events += health.judge(read(VALUE ^ 1 << bit), now)
    assert not [event for event in events if isinstance(event, DeviceAlarm)]
