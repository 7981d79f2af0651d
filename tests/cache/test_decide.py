"""cache.decide: every rule by itself with the words it leaves, their order, and laws over drawn cases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.decide import RULES, decide, refusal
from cache.model import (
    NEVER,
    AccessException,
    AccessLevel,
    ClockPolicy,
    ClockQuality,
    Credential,
    CredentialKind,
    CredentialState,
    Decision,
    Found,
    Freshness,
    Holder,
    Interval,
    Membership,
    Mode,
    ModeCause,
    Moment,
    Outcome,
    Person,
    Reason,
    Schedule,
    StalenessPolicy,
)
from cache.request import AccessRequest, AccessState, FirstPerson, PinEntry, PinResult, Position
from cache.rules import AntiPassback, Area, DoorRules, TwoPersonRule

BERLIN = ZoneInfo("Europe/Berlin")
LOCKED = AccessState()
NOW = Moment(datetime(2026, 3, 2, 9, tzinfo=UTC), 1000.0)  # Monday 10:00 in Berlin
OFFICE = Schedule("office", ((Interval(480, 1080),),) * 5 + ((), ()))
STAFF = Membership("g1", "Staff", frozenset({"g1", "Staff"}))
VAULT = Membership("g2", "Vault", frozenset({"g2", "Vault"}))
CARD = Credential(b"card", "u1", label="H10301")
HOLDER = Holder(Person("u1"), CARD, (STAFF,))
FRESH = Freshness(12, NOW.utc - timedelta(hours=3))
HOUR = 3600.0
PIN = Credential(b"pin", "u1", CredentialKind.PIN)
RIGHT = PinEntry(PinResult.RIGHT, PIN)


def level(name: str = "Staff weekdays", *groups: str, **changed: Any) -> AccessLevel:
    return AccessLevel(name, frozenset(groups or ("Staff",)), frozenset({"lobby"}), **changed)


RULES_OF_DOOR = DoorRules("lobby", BERLIN, (level(schedule=OFFICE),))


def ask(
    holders: tuple[Holder, ...] = (HOLDER,),
    rules: DoorRules = RULES_OF_DOOR,
    state: AccessState = LOCKED,
    now: Moment = NOW,
    freshness: Freshness = FRESH,
    **request: Any,
) -> Decision:
    return decide(AccessRequest("lobby", **request), Found(holders, freshness), rules, state, now)


def holder(
    person: str = "u1", active: bool = True, *, groups: tuple[Membership, ...] = (STAFF,), **card: Any
) -> Holder:
    return Holder(Person(person, active), replace(CARD, person_id=person, **card), groups)


def said(decision: Decision) -> tuple[Outcome, Reason, str]:
    """Outcome, reason and the words of the rule that decided."""
    return decision.outcome, decision.reason, decision.trace[-1].text


def never_set(now: Moment = NOW) -> Moment:
    return replace(now, quality=ClockQuality.NEVER_SET)


# ------------------------------------------------------------------ the grant


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


# ------------------------------------------------------------------ who is it


def test_an_unknown_card() -> None:
    decision = ask(())
    assert said(decision) == (Outcome.DENY, Reason.UNKNOWN_CREDENTIAL, "nobody in the cache holds this card")
    assert decision.person is None
    assert [rule.rule for rule in decision.trace] == ["cache", "credential"]


@pytest.mark.parametrize(
    ("changed", "reason", "words"),
    [
        ({"state": CredentialState.SUSPENDED}, Reason.CREDENTIAL_INACTIVE, "card is suspended"),
        ({"state": CredentialState.LOST}, Reason.CREDENTIAL_INACTIVE, "card is lost"),
        ({"state": CredentialState.EXPIRED}, Reason.CREDENTIAL_EXPIRED, "card is expired"),
        (
            {"valid_from": NOW.utc + timedelta(seconds=1)},
            Reason.CREDENTIAL_NOT_YET_VALID,
            "card is valid from 2026-03-02 10:00 (Europe/Berlin)",
        ),
        (
            {"valid_until": NOW.utc},
            Reason.CREDENTIAL_EXPIRED,
            "card was valid until 2026-03-02 10:00 (Europe/Berlin)",
        ),
        ({"valid_from": NOW.utc, "valid_until": NOW.utc + timedelta(seconds=1)}, None, ""),
    ],
)
def test_validity_of_the_credential(changed: dict[str, Any], reason: Reason | None, words: str) -> None:
    decision = ask((holder(**changed),))
    if reason is None:
        assert decision.outcome is Outcome.GRANT
    else:
        assert said(decision) == (Outcome.DENY, reason, words)
        assert decision.person == Person("u1")


def test_an_inactive_person() -> None:
    words = "person u1 is not active in the directory"
    assert said(ask((holder(active=False),))) == (Outcome.DENY, Reason.PERSON_INACTIVE, words)


def test_a_card_of_two_active_people_opens_for_neither() -> None:
    decision = ask((holder("u1"), holder("u2")))
    words = "2 active people hold this credential; it opens for none of them"
    assert said(decision) == (Outcome.DENY, Reason.DUPLICATE_CREDENTIAL, words)
    assert decision.person is None


@pytest.mark.parametrize(
    "other",
    [
        holder("u2", active=False),
        holder("u2", state=CredentialState.LOST),
        holder("u2", valid_until=NOW.utc),
        holder("u2", valid_from=NOW.utc + timedelta(days=1)),
    ],
)
def test_a_second_holder_who_may_not_use_it_makes_no_duplicate(other: Holder) -> None:
    for holders in ((HOLDER, other), (other, HOLDER)):
        decision = ask(holders)
        assert (decision.outcome, decision.person) == (Outcome.GRANT, HOLDER.person)


def test_of_two_who_may_not_use_it_the_active_person_is_named() -> None:
    decision = ask((holder("u2", active=False), holder("u1", state=CredentialState.LOST)))
    assert (decision.reason, decision.person) == (Reason.CREDENTIAL_INACTIVE, Person("u1"))


def test_one_person_with_the_same_card_twice_is_one_holder() -> None:
    assert ask((holder(state=CredentialState.LOST), HOLDER)).outcome is Outcome.GRANT
    assert ask((HOLDER, holder(state=CredentialState.LOST))).outcome is Outcome.GRANT
    assert ask((HOLDER, HOLDER)).outcome is Outcome.GRANT


def test_a_holder_whose_time_cannot_be_judged_counts_as_one() -> None:
    holders = (HOLDER, holder("u2", valid_until=NOW.utc + timedelta(days=1)))
    rules = replace(RULES_OF_DOOR, levels=(level(),))
    assert ask(holders, rules, now=never_set()).reason is Reason.DUPLICATE_CREDENTIAL


# ------------------------------------------------------------------ door modes


def test_a_blocked_door_is_blocked_for_everybody() -> None:
    rules = replace(RULES_OF_DOOR, lockdown_exempt=frozenset({"Staff"}))
    state = AccessState(mode=Mode.BLOCKED, mode_cause=ModeCause.OVERRIDE)
    words = "the door is blocked for everybody (by override)"
    assert said(ask(rules=rules, state=state)) == (Outcome.DENY, Reason.DOOR_BLOCKED, words)


def test_lockdown_lets_only_the_exempt_go_on() -> None:
    state = AccessState(mode=Mode.LOCKDOWN, mode_cause=ModeCause.LOCKDOWN)
    words = "lockdown; no access group of the person is exempt"
    assert said(ask(state=state)) == (Outcome.DENY, Reason.LOCKDOWN, words)
    for reference in ("Staff", "g1"):
        rules = replace(RULES_OF_DOOR, lockdown_exempt=frozenset({reference}))
        decision = ask(rules=rules, state=state)
        assert decision.outcome is Outcome.GRANT
        assert decision.trace[4].text == "lockdown; an access group of the person is exempt"
    closed = replace(RULES_OF_DOOR, levels=(), lockdown_exempt=frozenset({"Staff"}))
    assert ask(rules=closed, state=state).reason is Reason.NO_ACCESS_HERE


def test_lockdown_at_a_card_and_pin_door_keeps_the_pin() -> None:
    rules = replace(RULES_OF_DOOR, default_mode=Mode.CARD_AND_PIN, lockdown_exempt=frozenset({"Staff"}))
    assert ask(rules=rules, state=AccessState(mode=Mode.LOCKDOWN)).outcome is Outcome.NEED_PIN
    assert ask(rules=rules, state=AccessState(mode=Mode.LOCKED)).outcome is Outcome.GRANT


def test_reads_at_an_unlocked_door_are_decided_but_ask_for_no_second_factor_or_person() -> None:
    rules = replace(RULES_OF_DOOR, default_mode=Mode.CARD_AND_PIN, two_person=TwoPersonRule())
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
    closed = replace(RULES_OF_DOOR, levels=(level(schedule=OFFICE, special_days={date(2026, 3, 2): ()}),))
    words = "Staff weekdays: outside special day 2026-03-02: closed (Europe/Berlin); through group Staff"
    assert said(ask(rules=closed)) == (Outcome.DENY, Reason.OUTSIDE_SCHEDULE, words)
    half = replace(RULES_OF_DOOR, levels=(level(special_days={date(2026, 3, 2): (Interval(540, 720),)}),))
    assert "inside special day 2026-03-02: 09:00-12:00" in ask(rules=half).trace[-1].text
    span = NOW.utc, NOW.utc + timedelta(hours=2)
    for access, words in ((True, "gives"), (False, "takes")):
        rules = replace(RULES_OF_DOOR, levels=(level(exceptions=(AccessException(*span, access),)),))
        decision = ask(rules=rules)
        assert (decision.outcome is Outcome.GRANT) is access
        assert f"exception 2026-03-02 10:00 to 2026-03-02 12:00 {words} access" in decision.trace[-1].text


def test_levels_are_a_union_and_the_first_that_grants_is_the_path() -> None:
    levels = (level("Nights", schedule=NEVER), level("By id", "g1", schedule=OFFICE), level("Any"))
    decision = ask(rules=replace(RULES_OF_DOOR, levels=levels))
    assert (decision.outcome, decision.level) == (Outcome.GRANT, "By id")
    assert [(rule.rule, rule.passed) for rule in decision.trace[-2:]] == [("access", False), ("access", True)]


def test_the_nearest_miss_is_what_a_refusal_reports() -> None:
    both = (STAFF, VAULT)
    stale = level("Stale", "Vault", staleness=StalenessPolicy(deny_after=HOUR))
    closed = level("Closed", schedule=NEVER)
    for levels in ((stale, closed), (closed, stale)):
        decision = ask((holder(groups=both),), replace(RULES_OF_DOOR, levels=levels))
        words = "none of 2 access levels grants; the nearest is Stale"
        assert said(decision) == (Outcome.DENY, Reason.STALE_CACHE, words)
        assert (decision.group, decision.level) == ("Vault", "Stale")
    timed = level("Timed", schedule=OFFICE)
    decision = ask(rules=replace(RULES_OF_DOOR, levels=(closed, timed)), now=never_set())
    assert (decision.reason, decision.level) == (Reason.CLOCK_UNTRUSTED, "Timed")


def test_the_first_of_equal_misses_is_named() -> None:
    levels = (level("One", schedule=NEVER), level("Two", schedule=NEVER))
    assert ask(rules=replace(RULES_OF_DOOR, levels=levels)).level == "One"


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
    rules = replace(RULES_OF_DOOR, levels=(level(essential=essential, staleness=own),), staleness=site)
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
    rules = replace(RULES_OF_DOOR, staleness=StalenessPolicy(deny_after=HOUR))
    at = Freshness(1, NOW.utc - timedelta(hours=1))
    just_before = Freshness(1, NOW.utc - timedelta(hours=1) + timedelta(microseconds=1))
    assert ask(rules=rules, freshness=at).reason is Reason.STALE_CACHE
    assert ask(rules=rules, freshness=just_before).outcome is Outcome.GRANT


def test_a_cache_that_was_never_synced_is_older_than_every_limit() -> None:
    rules = replace(RULES_OF_DOOR, staleness=DENY)
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
    rules = replace(RULES_OF_DOOR, levels=(one,), clock=policy)
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
    rules = replace(RULES_OF_DOOR, levels=(level(**bound),))
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
    rules = replace(RULES_OF_DOOR, levels=(level(),), clock=policy)
    decision = ask((holder(valid_until=NOW.utc),), rules, now=never_set())
    assert decision.reason is reason
    if reason is Reason.CLOCK_UNTRUSTED:
        assert decision.trace[-1].text == "card has a validity, and the clock was never set"
    lost = ask((holder(valid_until=NOW.utc, state=CredentialState.LOST),), rules, now=never_set())
    assert lost.reason is Reason.CREDENTIAL_INACTIVE


def test_the_age_under_a_clock_that_was_never_set_is_at_least_what_it_shows() -> None:
    rules = replace(RULES_OF_DOOR, levels=(level(),), staleness=DENY)
    assert ask(rules=rules, freshness=OLD, now=never_set()).reason is Reason.STALE_CACHE
    young = Freshness(3, NOW.utc + timedelta(days=400))
    assert ask(rules=rules, freshness=young, now=never_set()).outcome is Outcome.GRANT


# ------------------------------------------------------------------ factors


PIN_DOOR = AccessState(mode=Mode.CARD_AND_PIN)
LOCKED_OUT = replace(PIN_DOOR, pin_locked_until=NOW.utc + timedelta(seconds=90))


@pytest.mark.parametrize(
    ("state", "entry", "expected"),
    [
        (PIN_DOOR, None, (Outcome.NEED_PIN, Reason.PIN_REQUIRED, "the door asks for a PIN after the card")),
        (PIN_DOOR, RIGHT, (Outcome.GRANT, Reason.GRANTED, "pin is active and valid")),
        (
            PIN_DOOR,
            PinEntry(PinResult.DURESS, PIN),
            (Outcome.GRANT, Reason.GRANTED_DURESS, "pin is active and valid"),
        ),
        (PIN_DOOR, PinEntry(PinResult.WRONG), (Outcome.DENY, Reason.PIN_WRONG, "the PIN is not this person's")),
        (PIN_DOOR, PinEntry(PinResult.RIGHT), (Outcome.DENY, Reason.PIN_WRONG, "the PIN is not this person's")),
        (
            PIN_DOOR,
            PinEntry(PinResult.RIGHT, replace(PIN, person_id="u2")),
            (Outcome.DENY, Reason.PIN_WRONG, "the PIN is not this person's"),
        ),
        (
            PIN_DOOR,
            PinEntry(PinResult.LATE),
            (Outcome.DENY, Reason.PIN_TIMEOUT, "the PIN was not finished in time"),
        ),
        (
            PIN_DOOR,
            PinEntry(PinResult.RIGHT, replace(PIN, state=CredentialState.SUSPENDED)),
            (Outcome.DENY, Reason.CREDENTIAL_INACTIVE, "pin is suspended"),
        ),
        (
            LOCKED_OUT,
            RIGHT,
            (Outcome.DENY, Reason.PIN_LOCKED_OUT, "the reader takes no PINs for another 1 min 30 s"),
        ),
        (
            LOCKED_OUT,
            None,
            (Outcome.DENY, Reason.PIN_LOCKED_OUT, "the reader takes no PINs for another 1 min 30 s"),
        ),
        (
            AccessState(),
            PinEntry(PinResult.WRONG),
            (Outcome.DENY, Reason.PIN_WRONG, "the PIN is not this person's"),
        ),
    ],
)
def test_card_and_pin(state: AccessState, entry: PinEntry | None, expected: tuple[Outcome, Reason, str]) -> None:
    decision = ask(state=state, pin=entry)
    assert said(decision) == expected
    assert decision.duress is (entry is not None and entry.result is PinResult.DURESS)


def test_a_lockout_ends_at_its_instant_and_does_not_touch_cards_alone() -> None:
    over = replace(PIN_DOOR, pin_locked_until=NOW.utc)
    assert ask(state=over, pin=RIGHT).outcome is Outcome.GRANT
    assert ask(state=replace(LOCKED_OUT, mode=Mode.LOCKED)).outcome is Outcome.GRANT


PIN_HOLDER = Holder(Person("u1"), PIN, (STAFF,))
ALONE = PinEntry(PinResult.RIGHT)


@pytest.mark.parametrize(
    ("holders", "state", "entry", "expected"),
    [
        ((PIN_HOLDER,), AccessState(), ALONE, (Outcome.GRANT, Reason.GRANTED)),
        ((PIN_HOLDER,), AccessState(), PinEntry(PinResult.DURESS), (Outcome.GRANT, Reason.GRANTED_DURESS)),
        ((), AccessState(), ALONE, (Outcome.DENY, Reason.PIN_WRONG)),
        ((PIN_HOLDER,), AccessState(), PinEntry(PinResult.WRONG), (Outcome.DENY, Reason.PIN_WRONG)),
        ((), AccessState(), PinEntry(PinResult.LATE), (Outcome.DENY, Reason.PIN_TIMEOUT)),
        ((), AccessState(), None, (Outcome.DENY, Reason.PIN_TIMEOUT)),
        ((PIN_HOLDER,), LOCKED_OUT, ALONE, (Outcome.DENY, Reason.PIN_LOCKED_OUT)),
        ((PIN_HOLDER,), PIN_DOOR, ALONE, (Outcome.DENY, Reason.PIN_REQUIRED)),
        (
            (PIN_HOLDER, replace(PIN_HOLDER, person=Person("u2"))),
            AccessState(),
            ALONE,
            (Outcome.DENY, Reason.DUPLICATE_CREDENTIAL),
        ),
    ],
)
def test_a_pin_alone(
    holders: tuple[Holder, ...], state: AccessState, entry: PinEntry | None, expected: tuple[Outcome, Reason]
) -> None:
    decision = ask(holders, state=state, card=False, pin=entry)
    assert (decision.outcome, decision.reason) == expected
    if decision.reason is Reason.PIN_LOCKED_OUT:
        assert decision.person is None, "a locked-out reader must not tell whose PIN it was"
        assert decision.trace[-1].text == "the reader takes no PINs for another 1 min 30 s"


def test_a_pin_alone_leaves_words_too() -> None:
    assert ask((), card=False, pin=ALONE).trace[-1].text == "nobody in the cache has this PIN alone"
    assert ask((), card=False, pin=None).trace[-1].text == "the PIN was not finished in time"
    text = ask((PIN_HOLDER,), state=PIN_DOOR, card=False, pin=ALONE).trace[-1].text
    assert text == "a PIN alone is not enough here: card first, then PIN"


def test_duress_is_told_also_where_access_is_denied() -> None:
    decision = ask((PIN_HOLDER,), state=AccessState(interlock="b"), card=False, pin=PinEntry(PinResult.DURESS))
    assert (decision.outcome, decision.duress) == (Outcome.DENY, True)


# ------------------------------------------------------------------ rules over space


HARD = Area("office", AntiPassback.HARD)
INSIDE = {"u1": Position("office", NOW.utc - timedelta(minutes=5))}


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
    decision = ask(rules=replace(RULES_OF_DOOR, to_area=area), state=AccessState(positions=positions))
    assert (decision.reason, decision.trace[-1].text) == (reason, words)
    assert decision.trace[-1].rule == "anti_passback"
    assert decision.apb_violation is (reason in (Reason.APB_VIOLATION, Reason.GRANTED_APB_SOFT))


def test_an_area_without_anti_passback_asks_nothing() -> None:
    decision = ask(rules=replace(RULES_OF_DOOR, to_area=Area("office")), state=AccessState(positions=INSIDE))
    assert (decision.reason, decision.trace[-1].rule) == (Reason.GRANTED, "access")


def test_only_the_area_that_the_way_leads_to_is_asked() -> None:
    rules = replace(RULES_OF_DOOR, to_area=HARD, from_area=Area("yard", AntiPassback.HARD))
    state = AccessState(positions=INSIDE)
    assert ask(rules=rules, state=state, exit=True).outcome is Outcome.GRANT
    assert ask(rules=rules, state=AccessState(positions={"u1": Position("yard", NOW.utc)}), exit=True).reason is (
        Reason.APB_VIOLATION
    )
    outside = replace(rules, from_area=None)
    assert ask(rules=outside, state=state, exit=True).outcome is Outcome.GRANT


def test_duress_goes_before_soft_anti_passback_and_both_are_told() -> None:
    rules = replace(RULES_OF_DOOR, to_area=Area("office", AntiPassback.SOFT))
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
    rules = replace(RULES_OF_DOOR, to_area=Area("office", occupancy=limit))
    decision = ask(rules=rules, state=AccessState(positions=positions, occupancy=count))
    assert decision.reason is reason
    if words is not None:
        assert (decision.trace[-1].rule, decision.trace[-1].text) == ("occupancy", words)
    assert ask(rules=rules, state=AccessState(occupancy=count), exit=True).outcome is Outcome.GRANT


def test_an_interlock_denies_and_names_the_other_door() -> None:
    words = "door sally-b of the same interlock is in use"
    assert said(ask(state=AccessState(interlock="sally-b"))) == (Outcome.DENY, Reason.INTERLOCK, words)


PAIR = replace(RULES_OF_DOOR, two_person=TwoPersonRule(frozenset({"Staff"}), 10.0))


@pytest.mark.parametrize(
    ("first", "outcome", "words"),
    [
        (None, Outcome.NEED_SECOND_PERSON, "first of two people; the second has 10 s"),
        (FirstPerson("u2", 990.0), Outcome.GRANT, "second person, after u2"),
        (FirstPerson("u2", 1000.0), Outcome.GRANT, "second person, after u2"),
        (FirstPerson("u2", 989.9), Outcome.NEED_SECOND_PERSON, "first of two people; the second has 10 s"),
        (FirstPerson("u2", 1000.1), Outcome.NEED_SECOND_PERSON, "first of two people; the second has 10 s"),
        (
            FirstPerson("u1", 995.0),
            Outcome.NEED_SECOND_PERSON,
            "the same person again; a second, different one has 10 s",
        ),
    ],
)
def test_two_people(first: FirstPerson | None, outcome: Outcome, words: str) -> None:
    decision = ask(rules=PAIR, state=AccessState(first_person=first))
    assert (decision.outcome, decision.trace[-1].text) == (outcome, words)
    assert decision.trace[-1].rule == "two_person"
    assert decision.reason is (Reason.GRANTED if outcome is Outcome.GRANT else Reason.SECOND_PERSON_REQUIRED)


def test_somebody_outside_the_groups_is_none_of_the_two() -> None:
    vault = replace(PAIR, two_person=TwoPersonRule(frozenset({"Vault"})))
    words = "the door needs two people, and no access group of this person may be one of them"
    for first in (None, FirstPerson("u2", 995.0)):
        expected = (Outcome.DENY, Reason.SECOND_PERSON_REQUIRED, words)
        assert said(ask(rules=vault, state=AccessState(first_person=first))) == expected
    anybody = replace(PAIR, two_person=TwoPersonRule())
    assert ask(rules=anybody).outcome is Outcome.NEED_SECOND_PERSON


# ------------------------------------------------------------------ order and laws


def test_the_order_of_the_rules() -> None:
    """Everything is wrong at once, and is put right one by one: the reason moves down the list."""
    rules = DoorRules(
        "lobby", BERLIN, (), two_person=TwoPersonRule(), to_area=Area("office", AntiPassback.HARD, occupancy=1)
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
    names = [rule.__name__.removeprefix("_") for rule in RULES]
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
    order = [rule.__name__.removeprefix("_") for rule in RULES]
    places = [order.index(rule.rule) for rule in decision.trace]
    assert places == sorted(places)
    if granted:
        assert decision.level in {one.name for one in rules.levels}
        assert decision.group in {group.group_name for group in groups}
        assert state.mode is not Mode.BLOCKED
