"""Debounce: what is long enough is always seen, what is too short never is."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.config.bounds import Wiring
from daemon.doors.door.debounce import Input, Settled, contact_of, deadline, lost, signal_of, step
from daemon.doors.door.state import Contact, Signal
from drivers.events import InputState

OFF, ON = InputState.OFF, InputState.ON


def run(edges: list[tuple[float, InputState]], timers: bool, period: float = 0.03) -> list[Settled]:
    """Feed raw levels; with ``timers`` every deadline is served, without only the last one, far too late."""
    state, seen = Input(period, settled=OFF), []
    for at, raw in edges:
        while timers and (due := deadline(state)) is not None and due < at:
            state, settled = step(state, None, due)
            seen += settled
        state, settled = step(state, raw, at)
        seen += settled
    state, settled = step(state, None, edges[-1][0] + 60)
    return seen + list(settled)


gaps = st.floats(0.0005, 0.5, allow_nan=False)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(st.floats(0.01, 0.9), st.floats(0.01, 0.9)), max_size=4),
    st.floats(0.1, 5.0),
    st.booleans(),
    st.floats(0.001, 0.09),
)
def test_a_pulse_of_100_ms_is_always_seen(
    chatter: list[tuple[float, float]], width: float, timers: bool, period: float
) -> None:
    """Also when its beginning chatters, in parts of the period."""
    at, edges = 1.0, []
    for on, off in chatter:
        edges += [(at, ON), (at + on * period, OFF)]
        at += (on + off) * period
    edges += [(at, ON), (at + width, OFF)]
    seen = run(edges, timers, period)
    assert [s.state for s in seen] == [ON, OFF]
    assert seen[0].at == pytest.approx(at + period)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.floats(0.0001, 0.0299), min_size=1, max_size=40), st.booleans())
def test_chatter_below_the_period_is_never_seen(gaps: list[float], timers: bool) -> None:
    at, edges = 1.0, []
    for gap in gaps:
        edges += [(at, ON), (at + gap, OFF)]
        at += gap * 2
    assert run(edges, timers) == []


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(gaps, st.sampled_from(InputState)), min_size=1, max_size=30))
def test_a_late_caller_sees_the_same(steps: list[tuple[float, InputState]]) -> None:
    at, edges = 0.0, []
    for gap, raw in steps:
        at += gap
        edges.append((at, raw))
    punctual, late = run(edges, True), run(edges, False)
    assert punctual == late
    states = [OFF, *(s.state for s in punctual)]
    assert all(a is not b for a, b in pairwise(states))


def test_the_first_level_settles_too_and_an_outage_forgets() -> None:
    state, settled = step(Input(), OFF, 5.0)
    assert settled == ()
    assert deadline(state) == pytest.approx(5.03)
    state, settled = step(state, None, 5.03)
    assert settled == (Settled(OFF, 5.03),)
    assert deadline(state) is None
    state, settled = step(lost(state), OFF, 6.0)
    assert step(state, None, 7.0)[1] == (Settled(OFF, 6.03),)


def test_a_period_of_zero_is_no_debounce() -> None:
    state, settled = step(Input(0.0), ON, 5.0)
    assert settled == (Settled(ON, 5.0),)
    assert deadline(state) is None


@pytest.mark.parametrize("period", [-0.01, 0.091, 1.0])
def test_a_period_that_could_miss_a_pulse_is_refused(period: float) -> None:
    with pytest.raises(ValueError, match="expected up to 90ms"):
        Input(period)


def test_a_supervised_fault_is_debounced_like_any_level() -> None:
    assert run([(1.0, InputState.SHORT), (1.02, OFF)], True) == []
    assert [s.state for s in run([(1.0, InputState.SHORT)], True)] == [InputState.SHORT]


@pytest.mark.parametrize(
    ("raw", "nc", "no"),
    [
        (InputState.ON, Contact.CLOSED, Contact.OPEN),
        (InputState.OFF, Contact.OPEN, Contact.CLOSED),
        (InputState.SHORT, Contact.SHORT, Contact.SHORT),
        (InputState.OPEN, Contact.LINE_OPEN, Contact.LINE_OPEN),
    ],
)
def test_contact_of(raw: InputState, nc: Contact, no: Contact) -> None:
    assert contact_of(raw, Wiring.NC) is nc
    assert contact_of(raw, Wiring.NO) is no


@pytest.mark.parametrize(
    ("raw", "nc", "no"),
    [
        (InputState.ON, Signal.OFF, Signal.ON),
        (InputState.OFF, Signal.ON, Signal.OFF),
        (InputState.SHORT, Signal.SHORT, Signal.SHORT),
        (InputState.OPEN, Signal.LINE_OPEN, Signal.LINE_OPEN),
    ],
)
def test_signal_of(raw: InputState, nc: Signal, no: Signal) -> None:
    assert signal_of(raw, Wiring.NC) is nc
    assert signal_of(raw, Wiring.NO) is no


def test_what_had_not_settled_when_the_device_was_lost_is_forgotten() -> None:
    state, _ = step(Input(0.03, settled=OFF), ON, 1.0)
    state, settled = step(lost(state), None, 2.0)
    assert settled == ()
    assert deadline(state) is None
