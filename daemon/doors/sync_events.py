"""What sync did, reported as events of the journal: doors learns it from the cache, there is no other channel."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from cache.changes import MANY_DEACTIVATED
from cache.directory.codec import whole_seconds
from cache.directory.healing import REBUILT, REPLACED, WENT_BACK
from cache.directory.lookup import Lookup
from cache.directory.rows import Generation
from cache.directory.sync_state import SyncState
from cache.errors import CacheError
from cache.model import Event, EventName, Freshness
from drivers.settings import STRICT

DISCONNECTED = "disconnected"
"""How the summary of a generation begins whose groups were deleted because the provider was unlinked."""

NO_CACHE = 0
"""The generation of a cache that is not there, or was never synced."""


@dataclass(frozen=True, slots=True, config=STRICT)
class Seen:
    """What the journal already tells of: the newest generation, the last trouble, whether a quarantine waits.

    ``cache_id`` is the cache it was seen in, ``synced`` when its generation was synced (seconds since 1970), and
    ``back`` whether the cache has gone back behind that and was not synced since.
    """

    generation: int = 0
    trouble: str = ""
    quarantined: bool = False
    cache_id: str = ""
    synced: int = 0
    back: bool = False


_SEEN = TypeAdapter(Seen)


_MISFORTUNES = {
    WENT_BACK: EventName.CACHE_WENT_BACK,
    REPLACED: EventName.CACHE_REPLACED,
    REBUILT: EventName.CACHE_REBUILT,
}


def _misfortune(summary: str) -> EventName | None:
    """The event of a generation that followed damage to cache.db, if it did."""
    return next((name for words, name in _MISFORTUNES.items() if summary.startswith(words)), None)


class SyncEventSource:
    """Compares what the cache says with what was reported before; the memory survives a restart as ``stored``."""

    STATE_NAME = "sync.seen"

    def __init__(self, stored: str | None = None) -> None:
        """``stored`` is what the journal holds under ``STATE_NAME``; what is unreadable counts as absent."""
        self._seen = Seen()
        if stored is not None:
            with suppress(ValueError):
                self._seen = _SEEN.validate_json(stored)

    @property
    def stored(self) -> str:
        """The memory as text."""
        return json.dumps(asdict(self._seen))

    def read(self, lookup: Lookup) -> tuple[Event, ...]:
        """The events since the last call. Raises ``CacheError``."""
        before = self._seen
        try:
            return tuple(self._events(lookup))
        except CacheError:
            self._seen = before  # nothing of it was reported
            raise

    def _events(self, lookup: Lookup) -> Iterator[Event]:
        # The file before the database: what it names was committed by then, so no race makes a lower generation.
        state, freshness = lookup.sync_state(), lookup.freshness()
        newest, seen = freshness.generation, self._seen
        if newest != NO_CACHE:
            if seen.cache_id not in ("", lookup.cache_id):
                self._seen = seen = replace(seen, generation=0, synced=0, back=False)
            yield from self._went_back(freshness, state, lookup.cache_id)
            if newest > seen.generation:
                yield from _applied(lookup.generations(), seen.generation)
            self._seen = replace(self._seen, generation=newest, cache_id=lookup.cache_id)
            if newest > seen.generation and not self._seen.back and freshness.synced_at is not None:
                self._seen = replace(self._seen, synced=whole_seconds(freshness.synced_at))
        lookup.went_back = self._seen.back
        trouble = state.outcome if state.failures else ""
        if trouble and trouble != self._seen.trouble:
            yield Event(
                EventName.SYNC_FAILED, generation=newest, detail=(("outcome", trouble), ("text", state.text))
            )
        quarantined = lookup.quarantine() is not None
        if quarantined and not self._seen.quarantined:
            yield Event(EventName.SYNC_QUARANTINED, generation=newest, detail=(("text", state.text),))
        self._seen = replace(self._seen, trouble=trouble, quarantined=quarantined)

    def _went_back(self, freshness: Freshness, state: SyncState, cache_id: str) -> Iterator[Event]:
        """Notice a generation behind one that was seen, or that the file of the same cache names; and its end."""
        seen, newest = self._seen, freshness.generation
        claimed = state.generation if state.cache_id == cache_id else 0
        if newest < seen.generation or (not seen.back and newest < claimed):
            later = max(seen.generation, claimed)
            text = f"generation {newest} is in the file, and {later} was there before"
            yield Event(EventName.CACHE_WENT_BACK, generation=newest, detail=(("text", text),))
            claimed_at = whole_seconds(state.synced_at) if claimed and state.synced_at is not None else 0
            self._seen = replace(seen, back=True, synced=max(seen.synced, claimed_at))
        elif seen.back and freshness.synced_at is not None:
            self._seen = replace(seen, back=whole_seconds(freshness.synced_at) <= seen.synced)


def _applied(generations: Iterable[Generation], told: int) -> Iterator[Event]:
    """Return the events of the generations after ``told``, which come newest first."""
    for generation in reversed([one for one in generations if one.number > told]):
        detail = (("added", generation.added), ("removed", generation.removed))
        yield Event(EventName.SYNC_APPLIED, generation=generation.number, detail=detail)
        if generation.summary.startswith(DISCONNECTED):
            why = (("text", generation.summary),)
            yield Event(EventName.SYNC_DISCONNECTED, generation=generation.number, detail=why)
        elif (name := _misfortune(generation.summary)) is not None:
            yield Event(name, generation=generation.number, detail=(("text", generation.summary),))
        elif generation.summary.startswith(MANY_DEACTIVATED):
            why = (("text", f"{generation.summary}; `latchctl sync undo` takes it back"),)
            yield Event(EventName.SYNC_DEACTIVATIONS, generation=generation.number, detail=why)
