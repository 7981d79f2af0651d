"""How long a reader is waited for, and when it is asked again."""

from __future__ import annotations

import itertools

import pytest

from drivers.osdp.timing import (
    ATTEMPTS,
    FULL_LOOK,
    IMMEDIATE_ATTEMPTS,
    QUICK_DELAY,
    QUICK_INTERVAL,
    REFUSED_INTERVAL,
    REFUSED_PAUSE,
    REPLY_DELAY,
    RETRY_PAUSE,
    SHORTEST_DELAY,
    RetryTimer,
)


def after(*delays: float) -> RetryTimer:
    """That of a reader which answered with these delays."""
    patience = RetryTimer()
    for delay in delays:
        patience.answered(delay)
    return patience


@pytest.mark.parametrize("delays", [(), (0.003,), (0.15,)])
def test_a_reader_that_is_not_missed_has_the_time_of_the_standard(delays: tuple[float, ...]) -> None:
    assert after(*delays).reply_delay(0.0) == REPLY_DELAY == 0.2


@pytest.mark.parametrize(
    ("delay", "short"), [(0.0, SHORTEST_DELAY), (0.008, 0.016), (0.02, QUICK_DELAY), (0.021, REPLY_DELAY)]
)
def test_once_missed_a_quick_reader_has_twice_what_it_needed_and_a_slow_one_all(
    delay: float, short: float
) -> None:
    patience = after(delay)
    patience.missed(1, 100.0)
    assert patience.reply_delay(100.1) == pytest.approx(short)
    assert patience.reply_delay(100.0 + FULL_LOOK) == REPLY_DELAY


def test_any_good_answer_gives_the_full_time_again() -> None:
    patience = after(0.003)
    patience.missed(1, 100.0)
    patience.answered(0.003)
    assert patience.reply_delay(100.1) == REPLY_DELAY


def test_who_answers_garbled_is_there_and_has_its_full_time() -> None:
    patience = after(0.003)
    patience.missed(1, 100.0)
    patience.missed(2, 100.1, silent=False)
    assert patience.reply_delay(100.1) == REPLY_DELAY
    patience.not_found(101.0, offline=True)
    assert patience.reply_delay(101.1) == SHORTEST_DELAY
    patience.not_found(101.1, offline=True, silent=False)
    assert patience.reply_delay(101.2) == REPLY_DELAY


def test_one_slow_answer_is_remembered_for_a_while() -> None:
    patience = after(0.1)
    patience.missed(1, 0.0)
    assert patience.reply_delay(0.1) == REPLY_DELAY
    for _ in range(400):
        patience.answered(0.001)
    patience.missed(1, 0.0)
    assert patience.reply_delay(0.1) == SHORTEST_DELAY


def test_retries_follow_at_once_and_then_with_pauses() -> None:
    patience = RetryTimer()
    dues = []
    for attempt in range(1, ATTEMPTS + 1):
        patience.missed(attempt, 50.0)
        dues.append(round(patience.due - 50.0, 3))
    assert dues == [0.0] * (IMMEDIATE_ATTEMPTS - 1) + [RETRY_PAUSE] * (ATTEMPTS - IMMEDIATE_ATTEMPTS + 1)


def full_looks(patience: RetryTimer, seconds: float) -> list[int]:
    """Whole seconds between the full-length looks for an absent reader."""
    now, found = 0.0, []
    while now < seconds:
        if patience.reply_delay(now) == REPLY_DELAY:
            found.append(now)
        patience.not_found(now, offline=True)
        assert patience.absent
        assert patience.due == now + QUICK_INTERVAL
        now = patience.due
    return [int(later - earlier + 0.001) for earlier, later in itertools.pairwise(found)]


def test_an_unknown_reader_is_looked_for_in_full_length_less_and_less() -> None:
    assert full_looks(RetryTimer(), 48.0) == [1, 2, 4, 8, 10, 10, 10]


def test_a_quick_reader_is_looked_for_in_full_length_every_half_a_minute() -> None:
    assert full_looks(after(0.003), 65.0) == [30, 30]


def test_a_reader_heard_too_late_is_given_its_time_at_once() -> None:
    patience = after(0.003)
    patience.not_found(100.0, offline=True)
    patience.look_now(100.2)
    assert patience.due == 100.2
    assert patience.reply_delay(100.2) == REPLY_DELAY


def tries(patience: RetryTimer, seconds: float) -> list[int]:
    """Whole seconds between the attempts to prove a reader that is refused each time."""
    now, tried = 0.0, []
    while now < seconds:
        if not patience.still_refused(now):
            tried.append(now)
            patience.refused(now)
        assert now < patience.due <= now + REFUSED_INTERVAL
        now = patience.due
    return [round(later - earlier) for earlier, later in itertools.pairwise(tried)]


def test_a_refused_reader_is_looked_at_often_and_tried_now_and_then() -> None:
    patience = RetryTimer()
    assert set(tries(patience, 46.0)) == {round(REFUSED_PAUSE)}
    patience.stranger()
    assert not patience.still_refused(0.0)


def test_a_slow_reader_that_is_absent_is_looked_for_in_full_length_often() -> None:
    assert set(full_looks(after(0.15), 10.0)) <= {1, 2}


def test_a_short_look_does_not_count_as_one_in_full_length() -> None:
    patience = after(0.003)
    patience.not_found(100.0, offline=True)
    assert patience.reply_delay(129.99) == SHORTEST_DELAY
    patience.not_found(130.01, offline=True)
    assert patience.reply_delay(130.4) == REPLY_DELAY


def test_a_refused_reader_that_was_away_is_tried_at_once() -> None:
    patience = RetryTimer()
    patience.refused(100.0)
    assert patience.still_refused(100.5)
    patience.not_found(100.5, offline=True)
    assert not patience.still_refused(100.9)


def test_after_a_lost_port_everything_starts_at_once() -> None:
    patience = after(0.003)
    patience.not_found(100.0, offline=True)
    patience.forget()
    assert not patience.absent
    assert patience.due == float("-inf")
    assert patience.reply_delay(100.1) == REPLY_DELAY
