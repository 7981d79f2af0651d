"""The thread that makes events durable, so that no door ever waits for a disk.

``put`` takes events into a bounded ring and returns at once. The thread commits whatever has gathered, in one
transaction, well within 100 ms. What the ring cannot take (a full disk, a broken medium, a flood) is counted and
recorded as one ``journal.gap`` in its place as soon as writing works again, and an alarm is raised meanwhile.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from cache.journal.journal import Entry, Journal
from cache.journal.keeper import KeptJournal
from cache.journal.records import row_of
from cache.model import Event, EventName, Record, Stamp
from cache.sqlite import is_full

RING = 4096
"""Events that wait at most: some minutes of the busiest site, and under 10 MB."""

GATHER = 0.02
"""Seconds the thread lets events gather before it commits: one badge makes several."""

LOOK = 1.0
"""Seconds between two looks at whether the file is still there, while nothing is to be written."""

RETRY = 1.0
"""Seconds between attempts while the disk refuses."""

BATCH = 512
"""Events in one transaction at most, so that a long backlog does not need much room at once."""

_T = TypeVar("_T")

_log = logging.getLogger(__name__)

State = Mapping[str, str | None]


@dataclass(slots=True)
class _Batch:
    entries: tuple[Entry, ...]
    state: dict[str, str | None]


@dataclass(slots=True)
class _Loss:
    """Events that were not taken, in their place between those before and those after."""

    first: Stamp
    last: Stamp
    cause: str
    count: int = 0
    state: dict[str, str | None] = field(default_factory=dict)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The record of the gap, stamped with the last event that was lost."""
        detail = (("cause", self.cause), ("lost", self.count), ("since", self.first.at.utc.isoformat()))
        return ((self.last, Event(EventName.JOURNAL_GAP, detail=detail)),)


class JournalWriter:
    """Owns a ``Journal`` from now on, in a thread. ``committed`` and ``alarm`` are called in that thread.

    ``committed(records)`` after each commit that holds events, so never without one; ``alarm(text)`` when events
    cannot be stored, ``alarm(None)`` when they can again. Neither may block for long.
    """

    def __init__(
        self,
        journal: Journal | KeptJournal,
        committed: Callable[[list[Record]], None] = lambda records: None,
        alarm: Callable[[str | None], None] = lambda text: None,
        ring: int = RING,
        retry: float = RETRY,
    ) -> None:
        """Start the thread. ``ring`` events wait at most; ``retry`` seconds pass between attempts."""
        self._journal = journal
        self._committed = committed
        self._alarm = alarm
        self._size = ring
        self._retry = retry
        self._ring: deque[_Batch | _Loss] = deque()
        self._waiting = 0
        self._changed = threading.Condition()
        self._busy = False
        self._closing = False
        self._given_up = False
        self._hurried = 0
        self._alarmed: str | None = None
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def put(self, entries: Sequence[Entry], state: State | None = None) -> None:
        """Take the events and what must become durable with them. Never blocks, never raises.

        ``state``: JSON text by name, ``None`` to delete. It is stored also when the events are lost.
        """
        if not entries and not state:
            return
        with self._changed:
            if self._waiting + len(entries) > self._size:
                self._lose(entries)
            elif entries or not self._ring:
                self._ring.append(_Batch(tuple(entries), {}))
                self._waiting += len(entries)
            for name, body in (state or {}).items():
                self._ring[-1].state[str(name)] = None if body is None else str(body)
            self._changed.notify_all()

    def last(self) -> Record | None:
        """The newest durable record."""
        return self._journal.last()

    @property
    def alarmed(self) -> str | None:
        """Return why events cannot be stored at present, or ``None``."""
        return self._alarmed

    @property
    def remark(self) -> str | None:
        """What a person should know of the journal since the process runs, the newest; ``None``: nothing."""
        return self._journal.remarks[-1] if self._journal.remarks else None

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until everything put so far is durable; ``False`` after ``timeout`` seconds."""
        with self._changed:
            self._hurried += 1
            self._changed.notify_all()
            try:
                return self._changed.wait_for(lambda: not self._ring and not self._busy, timeout)
            finally:
                self._hurried -= 1

    def close(self, timeout: float = 5.0) -> bool:
        """Write what waits, end the thread, close the journal; ``False`` when something could not be written."""
        self.flush(timeout)
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout)
        if self._thread.is_alive():
            return False  # the disk hangs: the journal is still in use
        self._journal.close()
        return not self._ring and not self._given_up

    # -------------------------------------------------------------- parts

    def _lose(self, entries: Sequence[Entry]) -> None:
        """Count events that the ring cannot take. Under the lock."""
        if not self._ring or not isinstance(self._ring[-1], _Loss):
            self._ring.append(_Loss(entries[0][0], entries[-1][0], "overflow"))
        loss = self._ring[-1]
        assert isinstance(loss, _Loss)
        loss.last = entries[-1][0]
        loss.count += len(entries)
        self._alarmed = self._alarmed or "more events than can be stored: some are lost"

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: self._ring or self._closing, LOOK):
                    self._busy = True
                elif not self._ring:
                    return
            if self._busy:
                self._look()
                continue
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._hurried, GATHER)
                entries, state, lossy = self._take()
                self._busy = True
            taken = len(entries)
            written = self._write(entries, state, lossy)
            with self._changed:
                self._waiting -= taken
                self._busy = False
                self._changed.notify_all()
                if not written:
                    self._given_up = True
                    return

    def _look(self) -> None:
        """Nothing is to be written: see whether it could be."""
        try:
            self._journal.look()
        except Exception as fault:  # noqa: BLE001 -- whatever it is, the thread must live on and try again
            self._refused(fault)
        else:
            self._recovered()
        with self._changed:
            self._busy = False
            self._changed.notify_all()

    def _take(self) -> tuple[list[Entry], dict[str, str | None], bool]:
        """What the next transaction holds, and whether it tells of a loss. Under the lock."""
        entries: list[Entry] = []
        state: dict[str, str | None] = {}
        lossy = False
        while self._ring and (not entries or len(entries) + len(self._ring[0].entries) <= BATCH):
            batch = self._ring.popleft()
            if isinstance(batch, _Loss):
                lossy = True
                self._waiting += 1
            entries += batch.entries
            state.update(batch.state)
        return entries, state, lossy

    def _write(self, entries: list[Entry], state: dict[str, str | None], lossy: bool) -> bool:
        """Commit, however long it takes; ``False`` when closing cut it short."""
        if lossy:
            self._tell(self._alarm, self._alarmed)
        readable = False
        while True:
            last_try = self._closing
            try:
                records = self._journal.append(entries, state)
            except Exception as fault:  # noqa: BLE001 -- whatever it is, the thread must live on and try again
                if isinstance(fault, ValueError) and not readable:
                    entries, readable = [_readable(entry) for entry in entries], True
                    continue
                self._refused(fault)
                if last_try:
                    return False
            else:
                if records:
                    self._tell(self._committed, records)
                self._recovered()
                return True

    def _refused(self, fault: Exception) -> None:
        """The disk refuses: say so once, make room or open the file afresh, and wait before the next attempt."""
        if self._alarmed != str(fault):
            self._alarmed = str(fault)
            _log.error("events wait in memory: %s", fault)
            self._tell(self._alarm, self._alarmed)
        remedy = self._journal.make_room if is_full(fault) else self._journal.reopen
        try:
            remedy()
        except Exception as still:  # noqa: BLE001 -- as above
            _log.debug("no remedy: %s", still)
        with self._changed:
            self._changed.wait_for(lambda: self._closing, self._retry)

    def _recovered(self) -> None:
        with self._changed:
            if self._alarmed is None or any(isinstance(one, _Loss) for one in self._ring):
                return
            self._alarmed = None
        _log.info("events are durable again")
        self._tell(self._alarm, None)

    @staticmethod
    def _tell(listener: Callable[[_T], None], what: _T) -> None:
        try:
            listener(what)
        except Exception:  # noqa: BLE001 -- a listener's fault must not end the journal
            _log.exception("a listener of the journal failed")


def _readable(entry: Entry) -> Entry:
    """The entry, or in its place the record of a gap when it holds what the journal cannot say."""
    try:
        row_of(1, *entry)
    except ValueError as fault:
        stamp, event = entry
        detail = (("cause", f"{event.name} cannot be written: {fault}"), ("lost", 1))
        return stamp, Event(EventName.JOURNAL_GAP, detail=detail)
    return entry
