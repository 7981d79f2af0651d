"""daemon.decision.wording: rules in words, and who may pass a door when."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from cache.model import ALWAYS, AccessException, AccessLevel, Freshness, Interval, Membership, Schedule
from daemon.decision.wording import AccessPath, access_paths, describe_age, describe_freshness, describe_level

DAY = (Interval(480, 1080),)
OFFICE = Schedule("office", (*(DAY,) * 5, (Interval(540, 780),), ()))
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def test_freshness_in_words() -> None:
    freshness = Freshness(12, NOW - timedelta(hours=3))
    assert describe_freshness(freshness, NOW) == "generation 12, last complete sync 3 h ago"
    assert describe_freshness(Freshness(), NOW) == "generation 0, never synced"


def test_a_level_in_words_says_what_else_binds_it() -> None:
    exception = AccessException(NOW, NOW + timedelta(hours=1), False)
    level = AccessLevel("L", frozenset({"G"}), frozenset({"lobby"}), OFFICE)
    assert describe_level(level) == "08:00-18:00 Mon-Fri, 09:00-13:00 Sat"
    bound = AccessLevel(
        "L", level.groups, level.doors, ALWAYS, {date(2026, 3, 2): (), date(2026, 3, 3): ()}, (exception,)
    )
    assert describe_level(bound) == "always, but 2 special days and 1 exception"


def test_who_may_pass_a_door_when() -> None:
    staff = Membership("g1", "Staff", frozenset({"g1", "Staff"}))
    guards = Membership("g2", "Guards", frozenset({"g2", "Guards"}))
    levels = (
        AccessLevel("Weekdays", frozenset({"Staff", "g2"}), frozenset({"lobby", "yard"}), OFFICE),
        AccessLevel("Elsewhere", frozenset({"Staff"}), frozenset({"yard"})),
        AccessLevel("Guards", frozenset({"Guards"}), frozenset({"lobby"})),
    )
    paths = access_paths("lobby", levels, (staff, guards))
    week = "08:00-18:00 Mon-Fri, 09:00-13:00 Sat"
    assert paths == (
        AccessPath("lobby", "Staff", "Weekdays", week),
        AccessPath("lobby", "Guards", "Weekdays", week),
        AccessPath("lobby", "Guards", "Guards", "always"),
    )
    assert str(paths[0]) == f"Staff, {week}, through Weekdays"
    assert access_paths("cellar", levels, (staff, guards)) == ()


def test_a_cache_that_went_back_is_said_with_its_age() -> None:
    freshness = Freshness(12, NOW, went_back=True)
    later = NOW + timedelta(hours=3)
    assert describe_freshness(freshness, later) == (
        "generation 12, last complete sync 3 h ago; it went back: a later one was here before"
    )
    assert describe_age(freshness, later) == "the cache went back to a generation 3 h old"
    assert describe_age(Freshness(12, NOW), later) == "the cache is 3 h old"
    assert describe_age(Freshness(12), later) == "the cache was never synced"
