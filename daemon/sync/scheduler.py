"""When to sync: on the interval with jitter, later and later while it fails, at once when asked.

Each reads everything (docs/scim.md, rule 7). APScheduler keeps the appointments. It keeps them on the wall clock,
which may step back by years on a controller without a battery, so a guard on the monotonic clock brings an overdue
sync forward.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger

from daemon.sync.outcome import SyncOutcome, SyncResult
from daemon.sync.service import Progress, SyncService

JITTER = 0.1
"""The part of every delay that is left to chance, so that many controllers do not come at once."""

FIRST_DELAY = 15.0
CEILING = 900.0
"""Seconds after the first failure, and the most that failures add up to (the interval, if that is longer)."""

GUARD_PERIOD = 15.0
OVERDUE = 30.0

_JOB = "sync"

log = logging.getLogger(__name__)


def delay_after(outcome: SyncOutcome, failures: int, interval: float, chance: float) -> float:
    """Seconds until the next sync; ``failures`` in a row, ``chance`` within -1..1.

    A refused token is no reason to hurry: it comes back on the interval. ``Retry-After`` is a lower bound.
    """
    if outcome.outcome is SyncResult.BUSY:
        delay = FIRST_DELAY
    elif outcome.outcome in (SyncResult.OUTAGE, SyncResult.CACHE_ERROR):
        delay = min(FIRST_DELAY * 2.0 ** min(max(failures - 1, 0), 30), max(CEILING, interval))
    else:
        delay = interval
    return max(delay * (1 + JITTER * chance), outcome.retry_after or 0.0)


@dataclass(slots=True)
class SyncLoop:
    """Runs a ``SyncService`` until cancelled. One event loop owns it; syncs run in a thread."""

    service: SyncService
    chance: random.Random = field(default_factory=random.Random)
    _scheduler: AsyncIOScheduler | None = None
    _due: float = 0.0
    _failures: int = 0

    async def serve(self) -> None:
        """Sync at once and then on schedule. Cancel it to end; a sync is then broken off at its next request."""
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._failures = self.service.status().state.failures
        self._scheduler.start()
        self._appoint(0.0)
        try:
            while True:
                await asyncio.sleep(GUARD_PERIOD)
                if time.monotonic() > self._due + OVERDUE and not self.service.running:
                    self._appoint(0.0)
        finally:
            self.service.stop()
            self._scheduler.shutdown(wait=False)
            self._scheduler = None

    async def now(self, dry_run: bool = False, progress: Progress | None = None) -> SyncOutcome:
        """Sync at once; ``progress`` is called in the sync's thread. ``busy`` while another one runs."""
        outcome = await asyncio.to_thread(self.service.run_once, dry_run, progress)
        if not dry_run and outcome.outcome is not SyncResult.BUSY:
            self._settle(outcome)
        return outcome

    async def _appointment(self) -> None:
        with suppress(asyncio.CancelledError):  # the process ends: APScheduler would log it as an error
            self._settle(await asyncio.to_thread(self.service.run_once))

    def _settle(self, outcome: SyncOutcome) -> None:
        """Make the next appointment after a sync, and leave a line in the log when there is something to say."""
        if outcome.outcome is not SyncResult.UNCHANGED or self._failures:
            log.log(logging.INFO if outcome.complete else logging.WARNING, "%s: %s", outcome.outcome, outcome.text)
        self._failures = 0 if outcome.complete else self._failures + 1
        chance = self.chance.uniform(-1, 1)
        self._appoint(delay_after(outcome, self._failures, self.service.settings.interval, chance))

    def _appoint(self, delay: float) -> None:
        if self._scheduler is None:
            return
        self._due = time.monotonic() + delay
        self.service.next_at = datetime.now(UTC) + timedelta(seconds=delay)
        self._scheduler.add_job(
            self._appointment,
            DateTrigger(self.service.next_at),
            id=_JOB,
            replace_existing=True,
            misfire_grace_time=None,
            max_instances=1,
        )
