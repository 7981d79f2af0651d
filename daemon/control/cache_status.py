"""What the cache holds and how syncing goes, said also where the cache cannot be read: just then it is asked."""

from __future__ import annotations

from cache.directory.lookup import Lookup
from cache.errors import CacheError
from cache.model import Freshness, Moment
from daemon.control.reports import CacheReport, SyncReport, cache_report, sync_report

_NOTHING = dict.fromkeys(("people", "groups", "memberships", "credentials"), 0)

_BEHIND = "the cache went back: cache.synced names a later generation; `latchctl sync now` fetches all again"


def read_cache(
    lookup: Lookup, now: Moment, trouble: str | None = None, doubt: str | None = None
) -> tuple[CacheReport, SyncReport]:
    """Return both reports of the file that is there now; never raises for a cache that cannot be read.

    ``trouble`` and ``doubt`` are what the doors process knows of it, where one is asked.
    """
    state = lookup.sync_state()
    try:
        lookup.changed()
        freshness = lookup.freshness()
        behind = state.cache_id == lookup.cache_id and freshness.generation < state.generation
        cache = cache_report(freshness, lookup.counts(), now, trouble, doubt or (_BEHIND if behind else None))
    except CacheError as fault:
        return cache_report(Freshness(), _NOTHING, now, str(fault)), sync_report(state, False)
    try:
        held = lookup.quarantine() is not None
    except CacheError:  # something waits, and `latchctl sync diff` says what is wrong with it
        held = True
    return cache, sync_report(state, held)
