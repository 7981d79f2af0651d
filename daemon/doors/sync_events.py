"""What sync did, reported as events of the journal: doors learns it from the cache, there is no other channel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from cache.changes import MANY_DEACTIVATED
from cache.directory.healing import REBUILT, REPLACED, WENT_BACK
from cache.directory.lookup import Lookup
from cache.errors import CacheError
from cache.model import Event, EventName
from drivers.settings import STRICT

DISCONNECTED = "disconnected"
"""How the summary of a generation begins whose groups were deleted because the provider was unlinked."""

NO_CACHE = 0
"""The generation of a cache that is not there, or was never synced."""


@dataclass(frozen=True, slots=True, config=STRICT)
class Seen:
    """What the journal already tells of: the newest generation, the last trouble, whether a quarantine waits."""

    generation: int = 0
    trouble: str = ""
    quarantined: bool = False


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
        newest = lookup.freshness().generation
        if newest not in (NO_CACHE, self._seen.generation):
            reported = self._seen.generation if newest > self._seen.generation else 0  # else it is another cache
            for generation in reversed(lookup.generations()):
                if generation.number > reported:
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
            self._seen = replace(self._seen, generation=newest)
        state = lookup.sync_state()
        trouble = state.outcome if state.failures else ""
        if trouble and trouble != self._seen.trouble:
            yield Event(
                EventName.SYNC_FAILED, generation=newest, detail=(("outcome", trouble), ("text", state.text))
            )
        quarantined = lookup.quarantine() is not None
        if quarantined and not self._seen.quarantined:
            yield Event(EventName.SYNC_QUARANTINED, generation=newest, detail=(("text", state.text),))
        self._seen = replace(self._seen, trouble=trouble, quarantined=quarantined)
