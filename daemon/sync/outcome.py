"""How a sync went: a closed list of outcomes with exit codes, because people script ``latchd sync --once``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cache.changes import Quarantine
from cache.directory.rows import Generation
from cache.directory.sync_state import SyncState
from daemon.scim.exchange import OutageError
from daemon.scim.report import FetchReport


class SyncResult(StrEnum):
    """How a sync went; docs/scim.md says what to do about each."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    DRY_RUN = "dry_run"
    QUARANTINED = "quarantined"
    APPROVAL = "approval_required"
    UNPROVEN = "unproven"
    ON_HOLD = "on_hold"
    BUSY = "busy"
    DISCONNECTED = "disconnected"
    OUTAGE = "outage"
    UNAUTHORIZED = "unauthorized"
    CACHE_ERROR = "cache_error"


EXIT_CODES = {
    SyncResult.APPLIED: 0,
    SyncResult.UNCHANGED: 0,
    SyncResult.DRY_RUN: 0,
    SyncResult.CACHE_ERROR: 3,
    SyncResult.OUTAGE: 6,
    SyncResult.QUARANTINED: 10,
    SyncResult.APPROVAL: 11,
    SyncResult.ON_HOLD: 12,
    SyncResult.BUSY: 13,
    SyncResult.UNAUTHORIZED: 14,
    SyncResult.DISCONNECTED: 15,
    SyncResult.UNPROVEN: 16,
}
"""Exit codes of ``latchd sync --once``; the others are those of the error tree."""


@dataclass(frozen=True, slots=True)
class SyncOutcome:
    """One sync, for people and scripts. ``kind`` is the kind of outage; ``retry_after`` is in seconds."""

    outcome: SyncResult
    text: str
    generation: int = 0
    kind: str = ""
    report: FetchReport | None = None
    added: int = 0
    removed: int = 0
    held_back: int = 0
    diff: tuple[str, ...] = ()
    held_diff: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    retry_after: float | None = None
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        """The exit code of ``latchd sync --once``."""
        return EXIT_CODES[self.outcome]

    @property
    def complete(self) -> bool:
        """Whether the directory was read as a whole, so that the cache is as fresh as it can be."""
        return self.outcome in (
            SyncResult.APPLIED,
            SyncResult.UNCHANGED,
            SyncResult.QUARANTINED,
            SyncResult.APPROVAL,
        )


@dataclass(frozen=True, slots=True)
class HeldBack:
    """What the brake holds back. ``token`` names exactly this diff: an operator accepts what they have seen."""

    token: str
    reasons: tuple[str, ...]
    diff: tuple[str, ...]
    since: datetime
    rejected: bool

    @classmethod
    def of(cls, held: Quarantine | None) -> HeldBack | None:
        """A quarantine in words, without the rows that it is made of."""
        return None if held is None else cls(held.token, held.reasons, held.diff, held.since, held.rejected)


@dataclass(frozen=True, slots=True)
class SyncStatus:
    """What ``latchctl sync status`` shows. ``progress`` is what is being read now and how many of it so far."""

    state: SyncState
    running: bool
    progress: tuple[str, int] | None
    next_at: datetime | None
    report: FetchReport | None
    last: SyncOutcome | None
    quarantine: HeldBack | None
    hold: str | None
    generations: tuple[Generation, ...]


def failure_words(error: OutageError, before: SyncState) -> str:
    """What failed, and since when: the time of the last complete sync, and how many attempts there were.

    The words are stored and shown for as long as it lasts, so they hold no age.
    """
    since = before.synced_at
    last = "no sync was ever complete" if since is None else f"last complete sync: {since:%Y-%m-%d %H:%M} UTC"
    return f"{error} ({last}; attempt {before.failures + 1})"
