"""One person, one card, one door: what the tests of the decision ask with, and how they read the answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cache.model import (
    AccessLevel,
    ClockQuality,
    Credential,
    CredentialKind,
    Decision,
    Found,
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
)
from daemon.decision.decide import decide
from daemon.decision.door_rules import DoorRules
from daemon.decision.request import AccessRequest, AccessState, PinEntry, PinResult, Position

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
PIN_DOOR = AccessState(mode=Mode.CARD_AND_PIN)
INSIDE = {"u1": Position("office", NOW.utc - timedelta(minutes=5))}


def level(name: str = "Staff weekdays", *groups: str, **changed: Any) -> AccessLevel:
    return AccessLevel(name, frozenset(groups or ("Staff",)), frozenset({"lobby"}), **changed)


LOBBY = DoorRules("lobby", BERLIN, (level(schedule=OFFICE),))


def ask(
    holders: tuple[Holder, ...] = (HOLDER,),
    rules: DoorRules = LOBBY,
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
