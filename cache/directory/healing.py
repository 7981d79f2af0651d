"""A cache.db that is damaged, replaced or older than it was: what is saved of it, and where the rest goes.

Everything in cache.db can be fetched again but the words of the site file for groups (bindings), an operator's
hold, and what earlier syncs found out about the directory. These are saved as far as they can be read.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cache.directory.sync_state import SyncState

SAVED = ("hold", "note.%")
"""The names in ``state`` that are saved: why syncing is on hold, and notes of earlier syncs."""

WENT_BACK = "cache went back"
REPLACED = "cache file replaced"
REBUILT = "cache rebuilt"
"""How the summary of a generation begins that follows such a misfortune: doors makes an event of it."""

HIGHEST = 1 << 53
"""No real cache counts so far: a larger number in ``cache.synced`` is damage."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What could be read of a file that is given up: rows of ``binding`` and of ``state``."""

    bindings: tuple[tuple[object, ...], ...] = ()
    state: tuple[tuple[object, ...], ...] = ()


def save(connection: sqlite3.Connection) -> Saved:
    """Read what is to be saved; what cannot be read is left out. Never raises."""
    bindings: list[tuple[object, ...]] = []
    state: list[tuple[object, ...]] = []
    # What was read before the damage counts: ``extend`` keeps the rows that came before an error.
    with suppress(sqlite3.Error):
        bindings.extend(connection.execute("SELECT reference, group_id, external_id, name FROM binding"))
    for name in SAVED:
        with suppress(sqlite3.Error):
            state.extend(connection.execute("SELECT name, body FROM state WHERE name LIKE ?", (name,)))
    return Saved(tuple(bindings), tuple(state))


def save_from(path: Path) -> Saved:
    """As ``save``, from a file that no one has open. Never raises."""
    with (
        suppress(sqlite3.Error, OSError),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection,
    ):
        return save(connection)
    return Saved()


def restore(connection: sqlite3.Connection, saved: Saved) -> None:
    """Put into a new file what was saved of the one before; inside a transaction."""
    connection.executemany("INSERT OR IGNORE INTO binding VALUES (?, ?, ?, ?)", saved.bindings)
    connection.executemany("INSERT OR IGNORE INTO state VALUES (?, ?)", saved.state)


def set_aside(path: Path, now: datetime) -> Path:
    """Rename the database, -wal and -shm to ``NAME.damaged-DATE``; where it lies now. Raises ``OSError``."""
    aside = path.with_name(f"{path.name}.damaged-{now:%Y%m%dT%H%M%S}")
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    return aside


def went_back(state: SyncState, cache_id: str, generation: int) -> bool:
    """Whether ``cache.synced`` knows a later generation of this very cache: an older copy, or a lost -wal."""
    return state.cache_id == cache_id and generation < state.generation < HIGHEST
