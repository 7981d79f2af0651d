"""A cache that was filled from another directory: nothing is believed, everything waits for an operator."""

from __future__ import annotations

from dataclasses import replace

from cache.changes import patched
from cache.model import Directory
from cache.reconcile.reconcile import ANOTHER_DIRECTORY, Evidence, Policy, missing, plan
from tests.cache.directories import NOW
from tests.cache.numbered import large

OTHERS = Policy(foreign=True)
OURS = large(6, groups=2)
THEIRS = replace(large(9, groups=2), groups={})


def test_nothing_applies_and_the_exchange_waits_as_a_whole() -> None:
    result = plan(OURS, THEIRS, Evidence(), OTHERS, NOW)
    assert not result.delta
    assert result.quarantine is not None
    assert result.quarantine.reasons == (ANOTHER_DIRECTORY,)
    assert patched(OURS, result.quarantine.delta) == THEIRS


def test_the_same_exchange_waits_under_the_same_token() -> None:
    first = plan(OURS, THEIRS, Evidence(), OTHERS, NOW).quarantine
    assert plan(OURS, THEIRS, Evidence(), OTHERS, NOW, waiting=first).quarantine is first


def test_a_directory_that_is_the_same_after_all_needs_no_one() -> None:
    assert plan(OURS, OURS, Evidence(), OTHERS, NOW).quarantine is None


def test_something_is_missing_or_it_is_not() -> None:
    assert not missing(OURS, OURS)
    assert missing(OURS, Directory())
    assert missing(OURS, replace(OURS, groups={}))
