"""The real journal in a scenario's time: events are durable a little later, and a power cut takes the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cache.journal.journal import Entry, Journal
from cache.model import Record
from daemon.simulate.expectations import Happened

COMMIT_DELAY = 0.03
"""Seconds until an event is durable: the real journal gathers events for 20 ms and then commits them."""

WRITTEN_AT_ONCE = 4096
"""Events that were committed in the scenario's time are written to the journal together, to save real time."""


class Recording:
    """Everything that happened, and how much of it is durable at this moment."""

    def __init__(self, keep: int) -> None:
        """``keep`` is the number of events that the journal retains."""
        self.happened: list[Happened] = []
        self.records: list[Record] = []
        self.commit_at: float | None = None
        """The monotonic time at which what waits becomes durable; ``None``: nothing waits."""
        self.unsaved: dict[str, str | None] = {}
        """State that a power cut would take now."""
        self._pending: list[Entry] = []
        self._durable: list[Entry] = []
        self._state: dict[str, str | None] = {}
        self._together = max(1, min(WRITTEN_AT_ONCE, keep // 20))

    def put(self, entries: Sequence[Entry], state: Mapping[str, str | None], now: float) -> None:
        """Take events and state, as the journal's thread does."""
        self.happened += [Happened(stamp, event) for stamp, event in entries]
        self._pending += entries
        self.unsaved.update(state)
        if self.commit_at is None:
            self.commit_at = now + COMMIT_DELAY

    def commit(self, journal: Journal) -> list[Entry]:
        """From now on what waits survives a power cut; the events that did."""
        committed, self._pending = self._pending, []
        self._durable += committed
        self._state.update(self.unsaved)
        self.unsaved, self.commit_at = {}, None
        if len(self._durable) >= self._together:
            self.write(journal)
        return committed

    def lose(self) -> list[Happened]:
        """Forget what waits, as a power cut does; the events that are lost."""
        durable = len(self.happened) - len(self._pending)
        lost = self.happened[durable:]
        del self.happened[durable:]
        self._pending, self.unsaved, self.commit_at = [], {}, None
        return lost

    def write(self, journal: Journal) -> None:
        """Write what is durable in the scenario's time into the file."""
        written = journal.append(self._durable, self._state)
        gaps = written[len(self._durable) :]
        self.records += written
        self.happened += [Happened(gap.stamp, gap.event) for gap in gaps]
        self._durable, self._state = [], {}
