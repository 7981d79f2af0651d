"""daemon.decision.decide: what a grant tells, the order of the rules, and laws over drawn cases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.model import (
    AccessLevel,
    ClockPolicy,
    ClockQuality,
    CredentialState,
    Freshness,
    Holder,
    Interval,
    Membership,
    Mode,
    Moment,
    Outcome,
    Person,
    Reason,
    Schedule,
    StalenessPolicy,
)
from daemon.decision.decide import RULES, refusal
from daemon.decision.door_rules import AntiPassback, Area, DoorRules, TwoPersonRule
from daemon.decision.request import AccessState, FirstPerson, PinEntry, PinResult
from tests.daemon.decision.asking import (
    BERLIN,
    CARD,
    FRESH,
    HOLDER,
    INSIDE,
    NOW,
    PIN,
    RIGHT,
    STAFF,
    ask,
    holder,
    level,
    said,
)


def test_a_grant_tells_the_whole_path() -> None:
    decision = ask()
    assert (decision.outcome, decision.reason) == (Outcome.GRANT, Reason.GRANTED)
    assert (decision.group, decision.level, decision.freshness) == ("Staff", "Staff weekdays", FRESH)
    assert decision.person is HOLDER.person
    assert decision.references == {"g1", "Staff"}
    assert [(rule.rule, rule.passed, rule.text) for rule in decision.trace] == [
        ("cache", True, "generation 12, last complete sync 3 h ago"),
        ("credential", True, "H10301 of person u1"),
        ("validity", True, "card is active and valid"),
        ("person", True, "person u1 is active"),
        ("mode", True, "the door is locked (by default)"),
        ("access", True, "Staff weekdays: inside 08:00-18:00 Mon-Fri (Europe/Berlin); through group Staff"),
    ]


def test_extended_time_is_for_flagged_people_who_are_granted() -> None:
    flagged = Holder(Person("u1", extended_time=True), CARD, (STAFF,))
    assert ask((flagged,)).extended
    assert not ask().extended
    assert not ask((flagged,), state=AccessState(mode=Mode.BLOCKED)).extended


def test_a_card_without_a_label_is_called_by_its_kind() -> None:
    assert ask((holder(label=""),)).trace[1].text == "card of person u1"


# ------------------------------------------------------------------ order and laws


def test_the_order_of_the_rules() -> None:
    """Everything is wrong at once, and is put right one by one: the reason moves down the list."""
    rules = DoorRules(
        "lobby",
        BERLIN,
        (),
        two_person=TwoPersonRule(frozenset(), 10.0),
        to_area=Area("office", AntiPassback.HARD, occupancy=1),
    )
    state = AccessState(
        Mode.BLOCKED, positions=INSIDE, occupancy=1, interlock="b", pin_locked_until=NOW.utc + timedelta(seconds=9)
    )
    everywhere = replace(rules, levels=(level(),))
    pin_door = replace(state, mode=Mode.CARD_AND_PIN)
    open_pin = replace(pin_door, pin_locked_until=None)
    elsewhere = replace(open_pin, positions={})
    roomy = replace(elsewhere, occupancy=0)
    free = replace(roomy, interlock=None)
    bad = holder(active=False, state=CredentialState.LOST)
    cases: list[tuple[tuple[Holder, ...], DoorRules, AccessState, PinEntry | None, Reason]] = [
        ((), rules, state, None, Reason.UNKNOWN_CREDENTIAL),
        ((bad,), rules, state, None, Reason.CREDENTIAL_INACTIVE),
        ((holder(active=False),), rules, state, None, Reason.PERSON_INACTIVE),
        ((HOLDER,), rules, state, None, Reason.DOOR_BLOCKED),
        ((HOLDER,), rules, replace(state, mode=Mode.LOCKDOWN), None, Reason.LOCKDOWN),
        ((HOLDER,), rules, pin_door, None, Reason.NO_ACCESS_HERE),
        ((HOLDER,), everywhere, pin_door, None, Reason.PIN_LOCKED_OUT),
        ((HOLDER,), everywhere, open_pin, None, Reason.PIN_REQUIRED),
        ((HOLDER,), everywhere, open_pin, PinEntry(PinResult.WRONG), Reason.PIN_WRONG),
        ((HOLDER,), everywhere, open_pin, RIGHT, Reason.APB_VIOLATION),
        ((HOLDER,), everywhere, elsewhere, RIGHT, Reason.OCCUPANCY_FULL),
        ((HOLDER,), everywhere, roomy, RIGHT, Reason.INTERLOCK),
        ((HOLDER,), everywhere, free, RIGHT, Reason.SECOND_PERSON_REQUIRED),
        ((HOLDER,), everywhere, replace(free, first_person=FirstPerson("u2", 999.0)), RIGHT, Reason.GRANTED),
    ]
    for holders, given_rules, given_state, entry, reason in cases:
        assert ask(holders, given_rules, given_state, pin=entry).reason is reason


def test_the_rules_are_named_in_their_order() -> None:
    names = list(RULES)
    assert names == [
        "cache", "credential", "validity", "person", "mode", "access",
        "pin", "anti_passback", "occupancy", "interlock", "two_person",
    ]  # fmt: skip


@pytest.mark.parametrize("reason", [Reason.BAD_FRAME, Reason.PARITY_ERROR, Reason.INTERNAL_ERROR])
def test_a_refusal_before_any_rule(reason: Reason) -> None:
    decision = refusal(reason, "26 bits, parity is wrong", FRESH)
    assert said(decision) == (Outcome.DENY, reason, "26 bits, parity is wrong")
    assert (decision.trace[0].rule, decision.trace[0].passed, decision.freshness) == ("read", False, FRESH)
    assert refusal(reason, "x").freshness == Freshness()


GROUPS = tuple(Membership(f"id-{n}", f"G{n}", frozenset({f"id-{n}", f"G{n}"})) for n in range(4))
references = st.sampled_from([reference for group in GROUPS for reference in sorted(group.references)])
intervals = st.builds(Interval, st.integers(0, 1439), st.integers(0, 1440))
weeks = st.tuples(*[st.lists(intervals, max_size=2).map(tuple)] * 7)
policies = st.builds(StalenessPolicy, st.none() | st.floats(0, 9e3), st.none() | st.floats(0, 9e3))
drawn_levels = st.builds(
    AccessLevel,
    st.uuids().map(str),
    st.frozensets(references, min_size=1, max_size=3),
    st.just(frozenset({"lobby"})),
    st.builds(Schedule, st.just("drawn"), weeks),
    essential=st.booleans(),
    staleness=st.none() | policies,
)
moments = st.builds(
    Moment,
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
    st.just(1000.0),
    st.sampled_from(ClockQuality),
)
drawn_rules = st.builds(
    DoorRules,
    st.just("lobby"),
    st.just(BERLIN),
    st.lists(drawn_levels, max_size=4).map(tuple),
    lockdown_exempt=st.frozensets(references, max_size=2),
    two_person=st.none() | st.builds(TwoPersonRule, st.frozensets(references, max_size=2)),
    staleness=policies,
    clock=st.sampled_from(ClockPolicy),
    to_area=st.none()
    | st.builds(Area, st.just("office"), st.sampled_from(AntiPassback), occupancy=st.integers(0, 2)),
)
drawn_states = st.builds(
    AccessState,
    st.sampled_from(Mode),
    positions=st.sampled_from([{}, INSIDE]),
    occupancy=st.integers(0, 2),
    interlock=st.sampled_from([None, None, "b"]),
    first_person=st.sampled_from([None, FirstPerson("u1", 999.0), FirstPerson("u2", 999.0)]),
)
entries = st.sampled_from(
    [None, RIGHT, PinEntry(PinResult.WRONG), PinEntry(PinResult.LATE), PinEntry(PinResult.DURESS, PIN)]
)
GAIN = {Outcome.DENY: 0, Outcome.NEED_SECOND_PERSON: 1, Outcome.NEED_PIN: 1, Outcome.GRANT: 2}


@settings(max_examples=150, deadline=None)
@given(
    st.sets(st.sampled_from(GROUPS)), drawn_rules, drawn_states, moments, entries, drawn_levels, st.integers(0, 4)
)
def test_adding_a_level_never_takes_access_away(
    groups: set[Membership],
    rules: DoorRules,
    state: AccessState,
    now: Moment,
    entry: PinEntry | None,
    added: AccessLevel,
    where: int,
) -> None:
    person = (holder(groups=tuple(groups)),)
    more = replace(rules, levels=(*rules.levels[:where], added, *rules.levels[where:]))
    before = ask(person, rules, state, now, pin=entry)
    after = ask(person, more, state, now, pin=entry)
    assert GAIN[after.outcome] >= GAIN[before.outcome]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(GROUPS), min_size=1, unique=True), drawn_rules, drawn_states, moments, entries)
def test_removing_a_group_never_gives_access(
    groups: list[Membership], rules: DoorRules, state: AccessState, now: Moment, entry: PinEntry | None
) -> None:
    with_it = ask((holder(groups=tuple(groups)),), rules, state, now, pin=entry)
    without = ask((holder(groups=tuple(groups[1:])),), rules, state, now, pin=entry)
    assert GAIN[without.outcome] <= GAIN[with_it.outcome]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(GROUPS), unique=True), drawn_rules, drawn_states, moments, entries)
def test_outcome_reason_and_trace_belong_together(
    groups: list[Membership], rules: DoorRules, state: AccessState, now: Moment, entry: PinEntry | None
) -> None:
    decision = ask((holder(groups=tuple(groups)),), rules, state, now, pin=entry)
    granted = decision.reason in (Reason.GRANTED, Reason.GRANTED_DURESS, Reason.GRANTED_APB_SOFT)
    assert granted is (decision.outcome is Outcome.GRANT)
    assert decision.trace[-1].passed is granted
    order = list(RULES)
    places = [order.index(rule.rule) for rule in decision.trace]
    assert places == sorted(places)
    if granted:
        assert decision.level in {one.name for one in rules.levels}
        assert decision.group in {group.group_name for group in groups}
        assert state.mode is not Mode.BLOCKED
