"""Small files in the folder of the databases: how the last sync went (``cache.synced``) and what was uploaded.

They exist so that a sync that changes nothing, or an upload, writes nothing to a database. Each is replaced
atomically. They may be lost, old, damaged or lying (a copied or restored file): whoever reads one falls back to
what the database itself says, which can only be older.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cache.directory.codec import EPOCH, instant
from cache.errors import CacheError

TOLERANCE = timedelta(minutes=5)
"""How far ahead of the clock a time may be: more is a lie or a clock that stepped back."""

MAX_BYTES = 1 << 22
MAX_WARNINGS = 500
MAX_LINE = 200
"""Characters of one warning: 500 of each kind stay below ``MAX_BYTES``, whatever a directory puts into a name."""


@dataclass(frozen=True, slots=True)
class SyncState:
    """How syncing goes. ``outcome`` is a short code, ``text`` says it in words.

    ``synced_at`` is the end of the last complete sync; it counts only for the cache and the generation named here.
    ``failures`` counts attempts since the last complete sync. ``unusable`` are cards that open nothing, each with
    its holder.
    """

    cache_id: str = ""
    generation: int = 0
    synced_at: datetime | None = None
    attempted_at: datetime | None = None
    outcome: str = "never"
    text: str = "no sync has run yet"
    road: str = ""
    failures: int = 0
    warnings: tuple[str, ...] = ()
    unusable: tuple[str, ...] = ()


def sync_state_path(database: Path) -> Path:
    """Return ``cache.synced`` in the folder of ``cache.db``."""
    return database.with_suffix(".synced")


def write_sync_state(database: Path, state: SyncState) -> None:
    """Replace the file. Raises ``CacheError``."""
    values = asdict(state)
    for name in ("synced_at", "attempted_at"):
        values[name] = (values[name] - EPOCH).total_seconds() if values[name] else None
    values["warnings"], values["unusable"] = _some(state.warnings), _some(state.unusable)
    write(sync_state_path(database), values)


def _some(lines: tuple[str, ...]) -> list[str]:
    shown = [line if len(line) <= MAX_LINE else line[: MAX_LINE - 1] + "…" for line in lines[:MAX_WARNINGS]]
    return shown if len(shown) == len(lines) else [*shown, f"and {len(lines) - len(shown)} more"]


def read_sync_state(database: Path) -> SyncState:
    """What the file says; the default when it is absent or damaged. Never raises."""
    values = read(sync_state_path(database))
    try:
        return SyncState(
            cache_id=str(values["cache_id"]),
            generation=int(values["generation"]),
            synced_at=_instant(values["synced_at"]),
            attempted_at=_instant(values["attempted_at"]),
            outcome=str(values["outcome"]),
            text=str(values["text"]),
            road=str(values["road"]),
            failures=int(values["failures"]),
            warnings=tuple(str(one) for one in values["warnings"]),
            unusable=tuple(str(one) for one in values.get("unusable", ())),
        )
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return SyncState()


def last_complete(
    committed: datetime | None, cache_id: str, generation: int, state: SyncState, now: datetime
) -> datetime | None:
    """Return when the last complete sync ended; the file can only make the cache look older.

    ``committed`` is what the database says of its generation. A file of another cache or generation, or a time
    ahead of ``now``, is not believed; when even ``committed`` is ahead, the clock was set back or never set, and
    ``committed`` is the answer: how old that is by other clocks, the caller knows.
    """
    believed = [committed]
    if state.cache_id == cache_id and state.generation == generation:
        believed.append(state.synced_at)
    times = [one for one in believed if one is not None and one <= now + TOLERANCE]
    return max(times, default=committed)


def upload_cursor(journal: Path) -> int:
    """The sequence number up to which sync has uploaded the journal; 0 when nothing is known. Never raises."""
    value = read(journal.with_suffix(".uploaded")).get("sequence")
    return value if isinstance(value, int) and value >= 0 else 0


def write_upload_cursor(journal: Path, sequence: int) -> None:
    """Remember that everything up to ``sequence`` was uploaded. Raises ``CacheError``."""
    write(journal.with_suffix(".uploaded"), {"sequence": sequence})


def write(path: Path, values: Mapping[str, Any]) -> None:
    """Replace ``path`` by JSON so that a reader, or a power cut, finds the old or the new one whole."""
    draft = path.with_name(path.name + ".new")
    try:
        with suppress(FileNotFoundError):
            draft.unlink()
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o660)
        with open(handle, "w", encoding="ascii") as file:
            json.dump(values, file, separators=(",", ":"))
            file.flush()
            os.fsync(handle)
        draft.replace(path)
    except OSError as fault:
        raise CacheError(f"{path}: {fault.strerror}; check the disk, the owner and the mode") from fault


def read(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``; empty when it is absent, no regular file, too long or damaged. Never raises."""
    try:
        values = json.loads(_content(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _content(path: Path) -> bytes:
    """Read the file; never one behind a link, and never a pipe or a device, which could hold up the doors."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        with open(handle, "rb", closefd=False) as file:
            return file.read(MAX_BYTES)
    finally:
        os.close(handle)


def _instant(seconds: object) -> datetime | None:
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError("not a number of seconds")
    return instant(seconds)
