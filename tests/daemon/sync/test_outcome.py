"""The words and exit codes of a sync's outcome."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cache.directory.sync_state import SyncState
from daemon.scim.exchange import OutageError, OutageKind
from daemon.sync.outcome import EXIT_CODES, SyncOutcome, SyncResult, failure_words

GONE = OutageError(OutageKind.UNREACHABLE, "the server cannot be reached")


def test_every_outcome_has_an_exit_code_and_those_that_need_a_person_differ() -> None:
    assert set(EXIT_CODES) == set(SyncResult)
    quiet = {outcome for outcome, code in EXIT_CODES.items() if code == 0}
    assert quiet == {SyncResult.APPLIED, SyncResult.UNCHANGED, SyncResult.DRY_RUN}
    loud = [code for code in EXIT_CODES.values() if code]
    assert len(set(loud)) == len(loud)
    assert EXIT_CODES[SyncResult.OUTAGE] == 6, "no class of the error tree has this code"
    assert SyncOutcome(SyncResult.BUSY, "").exit_code == EXIT_CODES[SyncResult.BUSY]


@pytest.mark.parametrize("outcome", SyncResult)
def test_only_what_read_everything_makes_the_cache_fresh(outcome: SyncResult) -> None:
    whole = {SyncResult.APPLIED, SyncResult.UNCHANGED, SyncResult.QUARANTINED, SyncResult.APPROVAL}
    assert SyncOutcome(outcome, "").complete is (outcome in whole)


def test_words_of_a_failure_are_still_true_when_they_are_read_later() -> None:
    """They are kept beside the cache and shown for hours: an age in them would be wrong soon."""
    at = datetime(2026, 11, 24, 8, 0, 5, tzinfo=UTC)
    assert failure_words(GONE, SyncState(synced_at=at, failures=3)) == (
        "the server cannot be reached (last complete sync: 2026-11-24 08:00 UTC; attempt 4)"
    )


def test_words_of_a_failure_before_the_first_sync() -> None:
    assert failure_words(GONE, SyncState()).endswith("(no sync was ever complete; attempt 1)")
