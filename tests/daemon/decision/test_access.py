"""May they pass here and now: door modes, access levels, staleness and the clock, with the words they leave."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from cache.model import (
    NEVER,
    AccessException,
    ClockPolicy,
    ClockQuality,
    CredentialState,
    Freshness,
    Interval,
    Membership,
    Mode,
    ModeCause,
    Moment,
    Outcome,
    Reason,
    Schedule,
    StalenessPolicy,
)
from daemon.decision.door_rules import AntiPassback, Area, TwoPersonRule
from daemon.decision.request import AccessState, PinEntry, PinResult, Position
from tests.daemon.decision.asking import (
    HOUR,
    INSIDE,
    LOBBY,
    NOW,
    OFFICE,
    PIN,
    PIN_DOOR,
    STAFF,
    VAULT,
    ask,
    holder,
    level,
    never_set,
    said,
)

# ------------------------------------------------------------------ door modes


def test_a_blocked_door_is_blocked_for_everybody() -> None:
    rules = replace(LOBBY, lockdown_exempt=frozenset({"Staff"}))
    state = AccessState(mode=Mode.BLOCKED, mode_cause=ModeCause.OVERRIDE)
    words = "the door is blocked for everybody (by override)"
    assert said(ask(rules=rules, state=state)) == (Outcome.DENY, Reason.DOOR_BLOCKED, words)


def test_lockdown_lets_only_the_exempt_go_on() -> None:
    state = AccessState(mode=Mode.LOCKDOWN, mode_cause=ModeCause.LOCKDOWN)
    words = "lockdown; no access group of the person is exempt"
    assert said(ask(state=state)) == (Outcome.DENY, Reason.LOCKDOWN, words)
    for reference in ("Staff", "g1"):
        rules = replace(LOBBY, lockdown_exempt=frozenset({reference}))
        decision = ask(rules=rules, state=state)
        assert decision.outcome is Outcome.GRANT
        assert decision.trace[4].text == "lockdown; an access group of the person is exempt"
    closed = replace(LOBBY, levels=(), lockdown_exempt=frozenset({"Staff"}))
    assert ask(rules=closed, state=state).reason is Reason.NO_ACCESS_HERE


def test_lockdown_at_a_card_and_pin_door_keeps_the_pin() -> None:
    """Whatever asks for the PIN beneath the lockdown: the default mode, a schedule, an exception, an override."""
    rules = replace(LOBBY, lockdown_exempt=frozenset({"Staff"}))
    state = AccessState(mode=Mode.LOCKDOWN, beneath=Mode.CARD_AND_PIN)
    assert ask(rules=rules, state=state).outcome is Outcome.NEED_PIN
    assert ask(rules=rules, state=replace(state, beneath=Mode.LOCKED)).outcome is Outcome.GRANT
    assert ask(rules=rules, state=replace(state, mode=Mode.LOCKED)).outcome is Outcome.GRANT


def test_lockdown_of_a_blocked_door_lets_nobody_pass() -> None:
    state = AccessState(mode=Mode.LOCKDOWN, beneath=Mode.BLOCKED)
    exempt = replace(LOBBY, lockdown_exempt=frozenset({"Staff"}))
    words = "lockdown; an access group of the person is exempt, but beneath it the door is blocked"
    assert said(ask(rules=exempt, state=state)) == (Outcome.DENY, Reason.DOOR_BLOCKED, words)
    assert ask(state=state).reason is Reason.LOCKDOWN


def test_reads_at_an_unlocked_door_are_decided_but_ask_for_no_second_factor_or_person() -> None:
    rules = replace(LOBBY, two_person=TwoPersonRule(frozenset(), 10.0))
    state = AccessState(mode=Mode.UNLOCKED)
    assert ask(rules=rules, state=state).outcome is Outcome.GRANT
    assert ask((), rules, state).reason is Reason.UNKNOWN_CREDENTIAL


# ------------------------------------------------------------------ access levels


def test_no_level_for_the_groups_of_the_person() -> None:
    outsider = holder(groups=(VAULT, Membership("g3", "Cleaning", frozenset({"g3"}))))
    words = "no access level for lobby names an access group of the person (in: Vault, Cleaning)"
    assert said(ask((outsider,))) == (Outcome.DENY, Reason.NO_ACCESS_HERE, words)
    assert said(ask((holder(groups=()),)))[2].endswith("(in: none)")


def test_outside_the_schedule_names_the_level() -> None:
    decision = ask(now=Moment(NOW.utc + timedelta(hours=10), 0.0))
    words = "Staff weekdays: outside 08:00-18:00 Mon-Fri (Europe/Berlin); through group Staff"
    assert said(decision) == (Outcome.DENY, Reason.OUTSIDE_SCHEDULE, words)
    assert (decision.group, decision.level) == ("Staff", "Staff weekdays")


def test_special_day_and_exception_are_named() -> None:
    closed = replace(LOBBY, levels=(level(schedule=OFFICE, special_days={date(2026, 3, 2): ()}),))
    words = "Staff weekdays: outside special day 2026-03-02: closed (Europe/Berlin); through group Staff"
    assert said(ask(rules=closed)) == (Outcome.DENY, Reason.OUTSIDE_SCHEDULE, words)
    half = replace(LOBBY, levels=(level(special_days={date(2026, 3, 2): (Interval(540, 720),)}),))
    assert "inside special day 2026-03-02: 09:00-12:00" in ask(rules=half).trace[-1].text
    span = NOW.utc, NOW.utc + timedelta(hours=2)
    for access, words in ((True, "gives"), (False, "takes")):
        rules = replace(LOBBY, levels=(level(exceptions=(AccessException(*span, access),)),))
        decision = ask(rules=rules)
        assert (decision.outcome is Outcome.GRANT) is access
        assert f"exception 2026-03-02 10:00 to 2026-03-02 12:00 {words} access" in decision.trace[-1].text


def test_levels_are_a_union_and_the_first_that_grants_is_the_path() -> None:
    levels = (level("Nights", schedule=NEVER), level("By id", "g1", schedule=OFFICE), level("Any"))
    decision = ask(rules=replace(LOBBY, levels=levels))
    assert (decision.outcome, decision.level) == (Outcome.GRANT, "By id")
    assert [(rule.rule, rule.passed) for rule in decision.trace[-2:]] == [("access", False), ("access", True)]


def test_the_nearest_miss_is_what_a_refusal_reports() -> None:
    both = (STAFF, VAULT)
    stale = level("Stale", "Vault", staleness=StalenessPolicy(deny_after=HOUR))
    closed = level("Closed", schedule=NEVER)
    for levels in ((stale, closed), (closed, stale)):
        decision = ask((holder(groups=both),), replace(LOBBY, levels=levels))
        words = "none of 2 access levels grants; the nearest is Stale"
        assert said(decision) == (Outcome.DENY, Reason.STALE_CACHE, words)
        assert (decision.group, decision.level) == ("Vault", "Stale")
    timed = level("Timed", schedule=OFFICE)
    decision = ask(rules=replace(LOBBY, levels=(closed, timed)), now=never_set())
    assert (decision.reason, decision.level) == (Reason.CLOCK_UNTRUSTED, "Timed")


def test_the_first_of_equal_misses_is_named() -> None:
    levels = (level("One", schedule=NEVER), level("Two", schedule=NEVER))
    assert ask(rules=replace(LOBBY, levels=levels)).level == "One"


# ------------------------------------------------------------------ staleness


DEGRADE, DENY = StalenessPolicy(degrade_after=HOUR), StalenessPolicy(deny_after=2 * HOUR)
OLD = Freshness(3, NOW.utc - timedelta(hours=3))


@pytest.mark.parametrize(
    ("site", "own", "essential", "words"),
    [
        (StalenessPolicy(), None, False, None),
        (DEGRADE, None, False, "the cache is 3 h old, and after 1 h only essential levels grant"),
        (DEGRADE, None, True, None),
        (DENY, None, True, "the cache is 3 h old, and access ends after 2 h"),
        (DENY, StalenessPolicy(), False, None),
        (StalenessPolicy(), DENY, False, "the cache is 3 h old, and access ends after 2 h"),
        (DEGRADE, StalenessPolicy(deny_after=4 * HOUR), False, None),
    ],
)
def test_staleness_by_site_door_and_level(
    site: StalenessPolicy, own: StalenessPolicy | None, essential: bool, words: str | None
) -> None:
    rules = replace(LOBBY, levels=(level(essential=essential, staleness=own),), staleness=site)
    decision = ask(rules=rules, freshness=OLD)
    if words is None:
        assert decision.outcome is Outcome.GRANT
    else:
        assert said(decision) == (
            Outcome.DENY,
            Reason.STALE_CACHE,
            f"Staff weekdays: {words}; through group Staff",
        )


def test_the_limit_is_reached_at_its_instant() -> None:
    rules = replace(LOBBY, staleness=StalenessPolicy(deny_after=HOUR))
    at = Freshness(1, NOW.utc - timedelta(hours=1))
    just_before = Freshness(1, NOW.utc - timedelta(hours=1) + timedelta(microseconds=1))
    assert ask(rules=rules, freshness=at).reason is Reason.STALE_CACHE
    assert ask(rules=rules, freshness=just_before).outcome is Outcome.GRANT


def test_a_cache_that_was_never_synced_is_older_than_every_limit() -> None:
    rules = replace(LOBBY, staleness=DENY)
    decision = ask(rules=rules, freshness=Freshness())
    assert "the cache was never synced, and access ends after 2 h" in decision.trace[-1].text
    assert decision.trace[0].text == "generation 0, never synced"
    assert ask(freshness=Freshness()).outcome is Outcome.GRANT


# ------------------------------------------------------------------ the clock


@pytest.mark.parametrize(
    ("policy", "schedule", "reason", "words"),
    [
        (ClockPolicy.DENY_TIME_BOUND, OFFICE, Reason.CLOCK_UNTRUSTED, "but the clock was never set;"),
        (ClockPolicy.DENY_TIME_BOUND, None, Reason.GRANTED, "inside always"),
        (ClockPolicy.DENY_TIME_BOUND, NEVER, Reason.OUTSIDE_SCHEDULE, "outside never"),
        (ClockPolicy.IGNORE_TIME, OFFICE, Reason.GRANTED, "but the clock was never set and time is ignored;"),
        (ClockPolicy.IGNORE_TIME, NEVER, Reason.OUTSIDE_SCHEDULE, "outside never"),
        (ClockPolicy.USE_LAST_KNOWN, OFFICE, Reason.OUTSIDE_SCHEDULE, "outside 08:00-18:00 Mon-Fri"),
    ],
)
def test_levels_under_a_clock_that_was_never_set(
    policy: ClockPolicy, schedule: Schedule | None, reason: Reason, words: str
) -> None:
    one = level() if schedule is None else level(schedule=schedule)
    rules = replace(LOBBY, levels=(one,), clock=policy)
    sunday = never_set(Moment(datetime(2026, 3, 1, 9, tzinfo=UTC), 0.0))
    decision = ask(rules=rules, now=sunday)
    assert decision.reason is reason
    assert words in decision.trace[-1].text
    holdover = replace(sunday, quality=ClockQuality.HOLDOVER)
    assert ask(rules=rules, now=holdover).reason in (Reason.OUTSIDE_SCHEDULE, Reason.GRANTED)
    assert (ask(rules=rules, now=holdover).outcome is Outcome.GRANT) is (schedule is None)


@pytest.mark.parametrize(
    "bound",
    [
        {"special_days": {date(2026, 3, 2): ()}},
        {"exceptions": (AccessException(NOW.utc, NOW.utc + timedelta(hours=1), True),)},
    ],
)
def test_special_days_and_exceptions_bind_a_level_to_time(bound: dict[str, Any]) -> None:
    rules = replace(LOBBY, levels=(level(**bound),))
    assert ask(rules=rules, now=never_set()).reason is Reason.CLOCK_UNTRUSTED
    assert ask(rules=replace(rules, clock=ClockPolicy.IGNORE_TIME), now=never_set()).outcome is Outcome.GRANT
    never = replace(rules, levels=(level(schedule=NEVER, **bound),), clock=ClockPolicy.IGNORE_TIME)
    assert ask(rules=never, now=never_set()).reason is Reason.CLOCK_UNTRUSTED


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (ClockPolicy.DENY_TIME_BOUND, Reason.CLOCK_UNTRUSTED),
        (ClockPolicy.IGNORE_TIME, Reason.GRANTED),
        (ClockPolicy.USE_LAST_KNOWN, Reason.CREDENTIAL_EXPIRED),
    ],
)
def test_a_validity_under_a_clock_that_was_never_set(policy: ClockPolicy, reason: Reason) -> None:
    rules = replace(LOBBY, levels=(level(),), clock=policy)
    decision = ask((holder(valid_until=NOW.utc),), rules, now=never_set())
    assert decision.reason is reason
    if reason is Reason.CLOCK_UNTRUSTED:
        assert decision.trace[-1].text == "card has a validity, and the clock was never set"
    lost = ask((holder(valid_until=NOW.utc, state=CredentialState.LOST),), rules, now=never_set())
    assert lost.reason is Reason.CREDENTIAL_INACTIVE


def test_the_age_under_a_clock_that_was_never_set_is_at_least_what_it_shows() -> None:
    rules = replace(LOBBY, levels=(level(),), staleness=DENY)
    assert ask(rules=rules, freshness=OLD, now=never_set()).reason is Reason.STALE_CACHE
    young = Freshness(3, NOW.utc + timedelta(days=400))
    assert ask(rules=rules, freshness=young, now=never_set()).outcome is Outcome.GRANT


# ------------------------------------------------------------------ anti_passback, occupancy, interlock

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
    known = ask(rules=rules, state=AccessState(positions={"u1": Position("yard", NOW.utc)}), exit=True)
    assert known.reason is Reason.GRANTED_APB_SOFT, "leaving is reported and never refused"
    assert known.apb_violation
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
