"""The trace: equal to the results it stands for, worded once and only when it is read."""

from __future__ import annotations

import pytest

from cache.model import Event, EventName, RuleResult
from daemon.decision.evaluation import Trace

RESULTS = (RuleResult("cache", True, "generation 1"), RuleResult("access", False, "closed"))


def test_it_equals_the_results_and_reads_like_them() -> None:
    trace = Trace([("cache", True, "generation 1"), ("access", False, lambda: "closed")])
    assert trace == RESULTS
    assert tuple(trace) == RESULTS
    assert trace == Trace([(one.rule, one.passed, one.text) for one in RESULTS])
    assert trace != RESULTS[:1]
    assert (len(trace), trace[-1], trace[:1]) == (2, RESULTS[1], RESULTS[:1])
    assert hash(trace) == hash(RESULTS)
    assert repr(trace) == repr(RESULTS)
    assert Event(EventName.ACCESS_DENIED, trace=trace) == Event(EventName.ACCESS_DENIED, trace=RESULTS)


def test_nothing_is_worded_before_it_is_read_and_then_once() -> None:
    made: list[str] = []

    def words() -> str:
        made.append("once")
        return "closed"

    trace = Trace([("access", False, words)])
    assert (len(trace), made) == (1, [])
    assert [one.text for one in trace] == [one.text for one in trace] == ["closed"]
    assert made == ["once"]


@pytest.mark.parametrize("error", [OverflowError("date value out of range"), ValueError("no zone")])
def test_words_that_cannot_be_found_cost_only_themselves(error: Exception) -> None:
    def words() -> str:
        raise error

    trace = Trace([("validity", False, words), ("person", True, "active")])
    assert [one.text for one in trace] == [f"(no words for this: {type(error).__name__}: {error})", "active"]
