"""Anti-passback, occupancy and interlock, with the words they leave."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cache.model import (
    Outcome,
    Reason,
)
from daemon.decision.door_rules import AntiPassback, Area
from daemon.decision.request import AccessState, PinEntry, PinResult, Position
from tests.daemon.decision.asking import INSIDE, LOBBY, NOW, PIN, PIN_DOOR, ask, said

HARD = Area("office", AntiPassback.HARD)


@pytest.mark.parametrize(
    ("area", "positions", "reason", "words"),
    [
        (HARD, {}, Reason.GRANTED, "the person is not known to be in office"),
        (HARD, {"u1": Position("lab", NOW.utc)}, Reason.GRANTED, "the person is not known to be in office"),
        (HARD, {"u2": INSIDE["u1"]}, Reason.GRANTED, "the person is not known to be in office"),
        (HARD, INSIDE, Reason.APB_VIOLATION, "the person entered office 5 min ago and has not left"),
        (
            Area("office", AntiPassback.SOFT),
            INSIDE,
            Reason.GRANTED_APB_SOFT,
            "the person entered office 5 min ago and has not left; reported, not refused",
        ),
        (
            Area("office", timed=300.1),
            INSIDE,
            Reason.APB_VIOLATION,
            "the person entered office 5 min ago and has not left",
        ),
        (Area("office", timed=300.0), INSIDE, Reason.GRANTED, "the entry into office 5 min ago is forgiven"),
        (
            Area("office", AntiPassback.HARD, 300.0),
            INSIDE,
            Reason.GRANTED,
            "the entry into office 5 min ago is forgiven",
        ),
        (
            Area("office", AntiPassback.HARD, reset=598),
            INSIDE,
            Reason.GRANTED,
            "the entry into office 5 min ago is forgiven",
        ),
        (
            Area("office", AntiPassback.HARD, reset=602),
            INSIDE,
            Reason.APB_VIOLATION,
            "the person entered office 5 min ago and has not left",
        ),
    ],
)
def test_anti_passback(area: Area, positions: dict[str, Position], reason: Reason, words: str) -> None:
    decision = ask(rules=replace(LOBBY, to_area=area), state=AccessState(positions=positions))
    assert (decision.reason, decision.trace[-1].text) == (reason, words)
    assert decision.trace[-1].rule == "anti_passback"
    assert decision.apb_violation is (reason in (Reason.APB_VIOLATION, Reason.GRANTED_APB_SOFT))


def test_an_area_without_anti_passback_asks_nothing() -> None:
    decision = ask(rules=replace(LOBBY, to_area=Area("office")), state=AccessState(positions=INSIDE))
    assert (decision.reason, decision.trace[-1].rule) == (Reason.GRANTED, "access")


def test_only_the_area_that_the_way_leads_to_is_asked() -> None:
    rules = replace(LOBBY, to_area=HARD, from_area=Area("yard", AntiPassback.HARD))
    state = AccessState(positions=INSIDE)
    assert ask(rules=rules, state=state, exit=True).outcome is Outcome.GRANT
    assert ask(rules=rules, state=AccessState(positions={"u1": Position("yard", NOW.utc)}), exit=True).reason is (
        Reason.APB_VIOLATION
    )
    outside = replace(rules, from_area=None)
    assert ask(rules=outside, state=state, exit=True).outcome is Outcome.GRANT


def test_duress_goes_before_soft_anti_passback_and_both_are_told() -> None:
    rules = replace(LOBBY, to_area=Area("office", AntiPassback.SOFT))
    state = replace(PIN_DOOR, positions=INSIDE)
    decision = ask(rules=rules, state=state, pin=PinEntry(PinResult.DURESS, PIN))
    assert (decision.reason, decision.duress, decision.apb_violation) == (Reason.GRANTED_DURESS, True, True)


@pytest.mark.parametrize(
    ("limit", "count", "positions", "reason", "words"),
    [
        (0, 99, {}, Reason.GRANTED, None),
        (3, 2, {}, Reason.GRANTED, "2 of 3 people are in office"),
        (3, 3, {}, Reason.OCCUPANCY_FULL, "3 of 3 people are in office"),
        (3, 4, {}, Reason.OCCUPANCY_FULL, "4 of 3 people are in office"),
        (3, 3, INSIDE, Reason.GRANTED, "3 of 3 people are in office"),
    ],
)
def test_occupancy(
    limit: int, count: int, positions: dict[str, Position], reason: Reason, words: str | None
) -> None:
    rules = replace(LOBBY, to_area=Area("office", occupancy=limit))
    decision = ask(rules=rules, state=AccessState(positions=positions, occupancy=count))
    assert decision.reason is reason
    if words is not None:
        assert (decision.trace[-1].rule, decision.trace[-1].text) == ("occupancy", words)
    assert ask(rules=rules, state=AccessState(occupancy=count), exit=True).outcome is Outcome.GRANT


@pytest.mark.parametrize(
    ("count", "coming", "reason", "words"),
    [
        (1, {"u2"}, Reason.GRANTED, "1 of 3 people are in office, 1 more on the way"),
        (1, {"u2", "u3"}, Reason.OCCUPANCY_FULL, "1 of 3 people are in office, 2 more on the way"),
        (2, {"u1"}, Reason.GRANTED, "2 of 3 people are in office"),
    ],
)
def test_who_is_on_the_way_takes_a_place_too(count: int, coming: set[str], reason: Reason, words: str) -> None:
    rules = replace(LOBBY, to_area=Area("office", occupancy=3))
    decision = ask(rules=rules, state=AccessState(occupancy=count, coming=frozenset(coming)))
    assert (decision.reason, decision.trace[-1].text) == (reason, words)


def test_an_interlock_denies_and_names_the_other_door() -> None:
    words = "door sally-b of the same interlock is in use"
    assert said(ask(state=AccessState(interlock="sally-b"))) == (Outcome.DENY, Reason.INTERLOCK, words)
