"""A journal that keeps no door from starting: opened, begun again, or in memory until the disk takes it.

The decision path needs the cache only. So whatever is wrong with journal.db, ``KeptJournal`` exists: a damaged
file, or one of a newer version, is set aside; where nothing can be written, what was known stands in memory, and
the writer's thread tries again. What the file should hold is compared with ``journal.head`` (head.py).
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cache.errors import JournalError
from cache.journal.head import LOOSE, SEAL, Head, edition_of, guarded, is_sealed, read_head, seal, write_head
from cache.journal.journal import Entry, Journal, Retention
from cache.journal.reader import JournalReader
from cache.journal.records import as_text
from cache.journal.reserve import Reserve
from cache.model import DetailValue, Event, EventName, Record

log = logging.getLogger(__name__)

HEAD_EVERY = 1.0
"""Seconds between two writes of the head while only records were added; what it guards is written at once."""

MOST_ASIDE = 5
"""Files set aside that are kept as evidence; the oldest beyond go, so that they never fill the disk."""

MOST_REMARKS = 20

_REASONS = ("damaged", "replaced", "stray")

_LATER = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
}
"""What is wrong with the disk, its room or its rights: the file is left where it is, and tried again."""

_NO_ROOM = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN}
"""How SQLite says at opening that there is no room for the -wal and -shm files."""


class KeptJournal:
    """What ``JournalWriter`` writes to. Only ``JournalError`` of another writer ends a start."""

    def __init__(
        self,
        path: Path,
        retention: Retention | None = None,
        key: bytes = b"",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Open the file if it can be. ``key`` is for the MACs; ``clock`` names what is set aside.

        Raises ``JournalError`` when another process is writing the file: then its doors are served by that one.
        """
        self.path = path
        self.remarks: list[str] = []
        """What a person should know of this journal, since the process runs."""
        self._retention = retention or Retention()
        self._key = key
        self._clock = clock
        self._journal: Journal | None = None
        self._spoilt = False
        self._marks: list[Event] = []
        self._restore: dict[str, str | None] = {}
        self._state: dict[str, str] = {}
        self._head = self._first_head()
        self._written = self._head.sequence
        self._head_due = 0.0
        self._trouble = ""
        try:
            self._open()
        except JournalError as error:
            if isinstance(error.__cause__, BlockingIOError):
                raise
            self._trouble = str(error)
            self._state = self._read_only_state()
            log.error("%s; the doors go on, and events wait in memory", self._trouble)  # noqa: TRY400 - in words

    # -------------------------------------------------------------- what is known

    def last(self) -> Record | None:
        """Return the newest record of the file."""
        return None if self._journal is None else self._journal.last()

    def newest(self) -> datetime | None:
        """Return the last instant that is known to have passed."""
        last = self.last()
        return self._head.at if last is None or last.sequence < self._head.sequence else last.stamp.at.utc

    def state(self) -> dict[str, str]:
        """Return what holds by name, whether or not the file has it."""
        return {name: body for name, body in self._state.items() if name != SEAL}

    # -------------------------------------------------------------- for the writer

    def append(self, entries: Sequence[Entry], state: Mapping[str, str | None] | None = None) -> list[Record]:
        """As ``Journal.append``; what was noticed of a loss comes first, and what is guarded is sealed."""
        journal = self._opened()
        changes = {name: body if body is None else as_text(body) for name, body in (state or {}).items()}
        marks = [(entries[0][0], event) for event in self._marks] if entries else []
        after = _changed(self._state, changes)
        head = self._head
        edition, sealing = head.edition, self._is_to_be_sealed(after)
        if sealing:
            edition += 1
            changes[SEAL] = after[SEAL] = seal(self._key, edition, after)
        try:
            records = journal.append([*marks, *entries], {**self._restore, **changes})
        except JournalError as error:
            self._spoilt = not _later(error)
            raise
        self._state, self._restore = after, {}
        if marks:
            self._marks = []
        sequence, chain = journal.end()
        at = records[-1].stamp.at.utc if records else head.at
        self._head = Head(sequence, chain, at, edition, guarded(after))
        if sealing or time.monotonic() >= self._head_due:
            self._write_head()
        return records

    def make_room(self) -> None:
        """As ``Journal.make_room``. Raises ``JournalError``."""
        self._opened().make_room()

    def reopen(self) -> None:
        """Open the file afresh, or another one in its place. Raises ``JournalError``."""
        try:
            if self._journal is not None and not self._spoilt:
                self._journal.look()
                self._journal.reopen()  # the same file: it knows what of the last commit reached the disk
                return
        except JournalError as error:
            self._spoilt = not _later(error)
        self._close()
        if self._spoilt:
            self._set_aside("damaged")
            self._spoilt = False
            self._open("damaged")
        else:
            self._open()

    def look(self) -> None:
        """Called about every second: write what is due of the head. ``JournalError``: the file is not there."""
        journal = self._opened()
        journal.look()
        sequence, chain = journal.end()
        if sequence != self._written:
            self._head = replace(self._head, sequence=sequence, chain=chain)
            self._write_head()

    def close(self) -> None:
        """Close the file and let another writer in."""
        if self._journal is not None:
            self._write_head()
        self._close()

    # -------------------------------------------------------------- parts

    def _opened(self) -> Journal:
        if self._journal is None:
            raise JournalError(self._trouble)
        return self._journal

    def _close(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _is_to_be_sealed(self, after: Mapping[str, str]) -> bool:
        return guarded(after) != guarded(self._state) or bool(self._restore) or SEAL not in self._state

    def _first_head(self) -> Head:
        """Return the head as it was written; an empty one where there is none, or none that can be believed."""
        try:
            return read_head(self.path, self._key) or Head()
        except ValueError as fault:
            self._remark(str(fault))
            return Head()

    def _read_only_state(self) -> dict[str, str]:
        """Return what holds while the file cannot be written: what it says, but for what the head guards."""
        with suppress(JournalError), JournalReader(self.path) as reader:
            found = reader.state()
            return found if not self._head.edition else {**_loose(found), **self._head.state}
        return dict(self._head.state)

    def _open(self, gone: str = "lost") -> None:
        try:
            self._journal = self._opened_and_compared(gone)
        except JournalError as error:
            self._trouble = str(error)
            raise
        self._trouble = ""

    def _opened_and_compared(self, gone: str) -> Journal:
        """Open the file, or a new one in its place; ``gone``: why there may be none."""
        missing = not self.path.exists()
        if missing:
            self._set_aside("stray")  # a -wal without its file would be played into the new one
        try:
            journal = self._open_file()
            if not missing:
                why = self._compare_or_close(journal)
                if not why:
                    return journal
                self._set_aside(why)
                journal = self._open_file()
            else:
                why = gone
        except (JournalError, ValueError, TypeError) as error:
            if isinstance(error, JournalError) and _later(error):
                raise
            self._remark(str(error))
            why = "damaged"
            self._set_aside(why)
            journal = self._open_file()
        try:
            self._begin_again(journal, why)
        except BaseException:
            journal.close()
            raise
        return journal

    def _compare_or_close(self, journal: Journal) -> str:
        try:
            why = self._compare(journal)
        except BaseException:
            journal.close()
            raise
        if why:
            journal.close()
        return why

    def _open_file(self) -> Journal:
        """Open the file; where it has no room for that, the reserve is spent. Raises ``JournalError``."""
        try:
            return Journal(self.path, self._retention)
        except JournalError as error:
            if _code(error) not in _NO_ROOM:
                raise
        Reserve(self.path).free()
        return Journal(self.path, self._retention)

    def _compare(self, journal: Journal) -> str:
        """Hold on to what is known where the file is older or was edited; why it is to be set aside, or empty."""
        stored, head = journal.state(), self._head
        sequence, _ = journal.end()
        if not head.sequence and not head.edition:
            self._adopt(journal, stored)
        elif sequence < head.sequence:
            journal.go_on((head.sequence, head.chain))
            self._remark(
                f"{self.path}: it is older than it was: records {sequence + 1} to {head.sequence} are missing"
            )
            self._marks.append(_gap("older", sequence + 1, head))
            self._hold_on(stored)
        elif journal.chain_at(head.sequence) not in (None, head.chain):
            return "replaced"
        elif not self._believed(stored, head):
            self._remark(f"{self.path}: its state was edited; what held before holds")
            self._marks.append(_gap("state edited"))
            self._hold_on(stored)
        else:
            self._take_up(journal, stored)
        return ""

    def _adopt(self, journal: Journal, stored: dict[str, str]) -> None:
        """Nothing is known beside the file: an older version wrote it, or the head is lost."""
        if SEAL in stored and not is_sealed(self._key, stored):
            self._remark(f"{self.path}: its state is not what the doors process wrote; look at the doors' modes")
            del stored[SEAL]  # the next commit seals what is there
        self._take_up(journal, stored)

    def _take_up(self, journal: Journal, stored: dict[str, str]) -> None:
        """Believe the file: it may be ahead of the head where the power failed between the two."""
        sequence, chain = journal.end()
        last = journal.last()
        at = self._head.at if last is None else last.stamp.at.utc
        self._state = stored
        self._head = Head(sequence, chain, at, edition_of(stored), guarded(stored))

    def _believed(self, stored: Mapping[str, str], head: Head) -> bool:
        """Whether a journal's state is the newest that was written: sealed, and not older than the head's."""
        if SEAL not in stored and not head.edition:
            return True
        edition = edition_of(stored)
        same = edition > head.edition or guarded(stored) == dict(head.state)
        return is_sealed(self._key, stored) and edition >= head.edition and same

    def _begin_again(self, journal: Journal, why: str) -> None:
        """A new file in the place of one that is gone: it says so first, and what held still holds."""
        head = self._head
        if head.sequence:
            journal.begin_after((head.sequence, head.chain))
            self._remark(
                f"{self.path}: {why}; a new one goes on after record {head.sequence}, what held still holds"
            )
        if head.sequence or why != "lost":
            self._marks.append(_gap(why, 1, head))
        self._hold_on({})

    def _hold_on(self, stored: Mapping[str, str]) -> None:
        """Take up what is known: all of it while the process runs, what the head guards at a start."""
        known = self._state or {**_loose(stored), **self._head.state}
        self._restore = {**dict.fromkeys(name for name in stored if name not in known), **known}
        self._state = dict(known)

    def _remark(self, text: str) -> None:
        log.error("%s", text)
        self.remarks = [*self.remarks, text][-MOST_REMARKS:]

    def _set_aside(self, why: str) -> None:
        """Move the file away with what belongs to it. Raises ``JournalError``: it cannot be."""
        stamp = f"{self._clock():%Y%m%dT%H%M%SZ}"
        moved = False
        for suffix in ("", "-wal", "-shm"):
            source = self.path.with_name(self.path.name + suffix)
            try:
                os.replace(source, self.path.with_name(f"{self.path.name}.{why}-{stamp}{suffix}"))
                moved = True
            except FileNotFoundError:
                continue
            except OSError as fault:
                raise JournalError(f"{source}: cannot be set aside: {fault.strerror}") from fault
        if moved:
            self._remark(f"{self.path} was set aside as {self.path.name}.{why}-{stamp}; keep it for evidence")
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        for file in set_aside(self.path)[:-MOST_ASIDE]:
            for suffix in ("", "-wal", "-shm"):
                with suppress(OSError):
                    file.with_name(file.name + suffix).unlink()

    def _write_head(self) -> None:
        """Write the head; a disk that refuses costs only what it would have shown."""
        self._head_due = time.monotonic() + HEAD_EVERY
        try:
            write_head(self.path, self._head, self._key)
            self._written = self._head.sequence
        except OSError as fault:
            log.debug("the head of the journal could not be written: %s", fault)


def set_aside(path: Path) -> list[Path]:
    """Return the journals that were set aside beside ``path``, the oldest first."""
    found = [file for why in _REASONS for file in path.parent.glob(f"{path.name}.{why}-*Z")]
    return sorted(found, key=lambda file: file.name.rpartition("-")[2])


def _gap(why: str, first: int = 0, head: Head | None = None) -> Event:
    """Return the record of what is missing from ``first`` up to the head; without one no one knows how many."""
    detail: list[tuple[str, DetailValue]] = [("cause", why)]
    if head is None or not head.sequence:
        detail.append(("lost", 0))
    else:
        lost = head.sequence + 1 - first
        detail += [("first", first), ("last", head.sequence), ("lost", lost), ("chain", head.chain.hex())]
    return Event(EventName.JOURNAL_GAP, detail=tuple(detail))


def _loose(state: Mapping[str, str]) -> dict[str, str]:
    return {name: body for name, body in state.items() if name.startswith(LOOSE)}


def _changed(state: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    return {name: body for name, body in {**state, **changes}.items() if body is not None}


def _code(error: JournalError) -> int:
    return int(getattr(error.__cause__, "sqlite_errorcode", 0)) & 0xFF


def _later(error: JournalError) -> bool:
    """Whether the file may be good, and only cannot be used now."""
    return isinstance(error.__cause__, OSError) or _code(error) in _LATER
