"""The sync process: one sync at a time, when it is due or asked for, and a word about each that can be read later.

Reads the directory over HTTP (``daemon.sync.http``) and lets the pure parts say what the answers mean; what then
becomes of the cache is in ``daemon.sync.plan``. Whatever fails leaves the cache as it was.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from cache.directory.codec import whole_seconds
from cache.directory.store import Store
from cache.directory.sync_state import SyncState
from cache.errors import CacheDamagedError, CacheError
from cache.model import Directory
from cache.reconcile.held import held_before
from cache.reconcile.limits import Brake
from cache.reconcile.reconcile import Evidence
from daemon.config.brake import brake_of
from daemon.scim.card_explain import CardExplanation, explain_cards
from daemon.scim.cards import CardMapper
from daemon.scim.evidence import confirm
from daemon.scim.exchange import Fetch, OutageError, OutageKind, Request
from daemon.scim.fetch import read_directory
from daemon.scim.memory import Memory
from daemon.scim.probe import read_user
from daemon.scim.report import FetchReport
from daemon.scim.settings import ScimSettings
from daemon.scim.snapshot import NO_ROAD, Snapshot
from daemon.sync.connections import Connections
from daemon.sync.driving import drive, within
from daemon.sync.http import Deadline, ScimHttp
from daemon.sync.oauth import SecretReader, TokenSource, token_source
from daemon.sync.outcome import HeldBack, SyncOutcome, SyncResult, SyncStatus
from daemon.sync.plan import CacheUpdates, Prepared, outage
from daemon.sync.unchanged import Answers, is_steady, key_of, marker, read_answers, same_answers, write_answers

T = TypeVar("T")

log = logging.getLogger(__name__)

Progress = Callable[[str, int], None]


@dataclass(slots=True)
class SyncService:
    """Syncs one site. ``mapper`` has no side files yet: they are read again for each sync.

    ``references`` are the words of the site file for access groups. All methods may be called from any thread.
    """

    settings: ScimSettings
    store: Store
    mapper: CardMapper
    references: frozenset[str]
    secret: SecretReader
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    brake: Brake | None = None
    doors: Mapping[str, frozenset[str]] | None = None
    """The brake of the site (else that of ``settings``), and the doors that each reference opens."""

    patience: float = 1.0
    """Factor on the pauses between attempts of one request; tests have none."""

    _busy: threading.Lock = field(default_factory=threading.Lock)
    """Held by the one sync that runs, however long its server takes."""

    _cache: threading.RLock = field(default_factory=threading.RLock)
    """Held by whoever uses the cache, which is never for long: operators do not wait for a server."""

    _orders: int = 0
    """How many orders of operators changed the cache: a sync that began before one does not apply."""

    _connections: Connections = field(default_factory=Connections)
    _stop: threading.Event = field(default_factory=threading.Event)
    _progress: tuple[str, int] | None = None
    _report: FetchReport | None = None
    _last: SyncOutcome | None = None
    _compares: bool = True
    """Whether the next sync looks into what lists do not show, as the first of a process does."""
    _token: TokenSource = field(init=False)
    _updates: CacheUpdates = field(init=False)
    next_at: datetime | None = None

    def __post_init__(self) -> None:
        """One source of tokens for all syncs: a token that is still good is not asked for again."""
        self._token = token_source(self.settings, self.secret, self._connections)
        brake = self.brake or brake_of(None, self.settings.limits)
        self._updates = CacheUpdates(
            self.settings,
            self.store,
            self.mapper,
            self.references,
            brake=brake,
            doors=self.doors,
            secret_files=True,
        )

    # -------------------------------------------------------------- one sync

    def run_once(self, dry_run: bool = False, progress: Progress | None = None) -> SyncOutcome:
        """Sync now and say how it went; blocks. Never raises for what a server, a network or a disk does.

        While another sync runs, the outcome is ``busy``.
        """
        if not self._busy.acquire(blocking=False):
            return SyncOutcome(SyncResult.BUSY, "a sync is running already", generation=self.store.generation)
        started = time.monotonic()
        try:
            outcome = self._healed(dry_run, progress)
        except OutageError as error:
            outcome = self._failed(error, dry_run)
        except CacheError as error:
            outcome = SyncOutcome(SyncResult.CACHE_ERROR, str(error), kind="cache")
        except Exception as error:  # noqa: BLE001  # a bug is reported like an outage, and syncing continues
            outcome = self._failed(_internal(error), dry_run)
        finally:
            self._progress = None
            self._busy.release()
        outcome = replace(outcome, seconds=round(time.monotonic() - started, 3))
        if not dry_run:
            self._last = outcome
        return outcome

    def _healed(self, dry_run: bool, progress: Progress | None) -> SyncOutcome:
        """Sync with the file that is there; a damaged one is moved aside, and all of it fetched again."""
        try:
            with self._cache:
                notice = self.store.look()
            if notice:
                log.error("%s", notice)
            return self._run(dry_run, progress)
        except CacheDamagedError as error:
            if dry_run:
                raise
            log.error("%s", error)  # noqa: TRY400 - its words are enough
            with self._cache:
                notice = self.store.rebuild(self.clock())
            log.error("%s", notice)  # noqa: TRY400
            return self._run(dry_run, progress)

    def _run(self, dry_run: bool, progress: Progress | None) -> SyncOutcome:
        with self._cache:
            orders, on_hold = self._orders, self._updates.on_hold()
        if on_hold is not None and not dry_run:
            return on_hold

        def tell(what: str, count: int) -> None:
            self._progress = (what, count)
            if progress is not None:
                progress(what, count)

        deadline = Deadline(time.monotonic() + self.settings.timeout)
        mark = marker(self.mapper.site_key)
        with ScimHttp(self.settings, self._token, self._wait, connections=self._connections, mark=mark) as http:
            key = None if dry_run else self._key()
            if key is not None and (same := self._same(key, http, deadline, tell)) is not None:
                return same
            snapshot, old, evidence = self._fetch(http, deadline, tell)
        with self._cache:
            if orders != self._orders:
                text = "an operator changed the cache meanwhile: the sync was dropped, and the next one is due"
                return SyncOutcome(SyncResult.BUSY, text, generation=self.store.generation)
            if self.store.look() and self.store.load() != old:
                text = "cache.db was replaced meanwhile: the sync was dropped, and the next one is due"
                return SyncOutcome(SyncResult.BUSY, text, generation=self.store.generation)
            now = self.clock()
            prepared = self._updates.prepare(snapshot, old, evidence, now)
            self._report = prepared.report
            if dry_run:
                return self._updates.preview(prepared)
            outcome = self._updates.apply(prepared, now)
            self._expect(key, prepared, http.marks, now)
            return outcome

    # -------------------------------------------------------------- the very same answers

    def _key(self) -> str | None:
        """What a sync depends on but the answers; ``None`` while something waits for an operator, or is amiss."""
        with self._cache:
            if self.store.notice or self.store.quarantine() is not None or self._updates.foreign():
                return None
            more = (sorted(self.references), self._updates.brake, self._doors(), self._updates.memory())
            return key_of(self.store, self.settings, self._updates.card_mapper(), more)

    def _expect(
        self, before: str | None, prepared: Prepared, asked: list[tuple[Request, str]], now: datetime
    ) -> None:
        """Store the answers of a sync after which the same answers change nothing."""
        key = None if before is None or prepared.unproven else self._key()
        if before is None or key is None or not is_steady(before, key, prepared.plan.delta, asked):
            return
        text = self._updates.nothing_changed(prepared.report)
        write_answers(self.store.path, Answers(key, whole_seconds(now), text, prepared.report, tuple(asked)))

    def _doors(self) -> list[tuple[str, list[str]]]:
        return [(word, sorted(doors)) for word, doors in sorted((self.doors or {}).items())]

    def _same(self, key: str, http: ScimHttp, deadline: Deadline, tell: Progress) -> SyncOutcome | None:
        """The outcome when the directory answers as it did when nothing changed; ``None``: read everything."""
        answers = read_answers(self.store.path, key, self.clock())
        if answers is None:
            return None
        work = partial(same_answers, answers, http, deadline, tell)
        if not within(work, deadline, self._connections, self._stop.is_set):
            return None
        with self._cache:
            if self.store.look() or key != self._key():
                return None
            self._report = answers.report
            return self._updates.unchanged(answers.text, answers.report, self.clock())

    def _fetch(self, http: ScimHttp, deadline: Deadline, tell: Progress) -> tuple[Snapshot, Directory, Evidence]:
        with self._cache:
            before, foreign = self.store.sync_state(), self._updates.foreign()
            mapper, names = self._updates.card_mapper(), self._updates.configured_names()
            memory = Memory() if foreign else self._updates.memory()
            known_as = {} if foreign else self.store.group_names()
        seen_at = before.synced_at if before.road and before.road != NO_ROAD else None
        reading = read_directory(self.settings, mapper, names, tell, memory, known_as, first=self._compares)
        began = self.clock()
        snapshot = self._driven(reading, http, deadline)
        self._compares = False
        seen_at = by_server_clock(seen_at, began, snapshot.server_date)
        with self._cache:
            # What equals a part of what was read is shared with it: the memory of one directory, not of two.
            old = self.store.load(snapshot.directory())
            held = self.store.quarantine()
        if foreign:  # no answer of this directory says anything about the ids of the other one
            return snapshot, old, Evidence()
        tell("what is missing", 0)
        settled = held_before(held, old, snapshot.directory()).settled
        return snapshot, old, self._driven(confirm(snapshot, old, seen_at, settled), http, deadline)

    def _driven(self, fetch: Fetch[T], http: ScimHttp, deadline: Deadline) -> T:
        work = partial(drive, fetch, http, deadline)
        return within(work, deadline, self._connections, self._stop.is_set)

    # -------------------------------------------------------------- when it fails

    def _failed(self, error: OutageError, dry_run: bool) -> SyncOutcome:
        """Put the failure on record, unless nothing was to be changed or we were asked to stop."""
        if dry_run or self._stop.is_set():
            return outage(error, str(error), self.store.generation)
        with self._cache:
            return self._updates.failed(error, self.clock())

    # -------------------------------------------------------------- what an operator does

    def accept(self, token: str, actor: str) -> int:
        """As ``CacheUpdates.accept``; a sync that is reading meanwhile does not apply."""
        with self._order():
            return self._updates.accept(token, actor, self.clock())

    def reject(self, token: str) -> None:
        """As ``CacheUpdates.reject``; a sync that is reading meanwhile does not apply."""
        with self._order():
            self._updates.reject(token)

    def undo(self, actor: str) -> int:
        """As ``CacheUpdates.undo``; a sync that is reading meanwhile does not apply."""
        with self._order():
            return self._updates.undo(actor, self.clock())

    def rollback(self, generation: int, actor: str) -> int:
        """As ``CacheUpdates.rollback``; a sync that is reading meanwhile does not apply."""
        with self._order():
            return self._updates.rollback(generation, actor, self.clock())

    def resume(self) -> None:
        """As ``CacheUpdates.resume``; a sync that is reading meanwhile does not apply."""
        with self._order():
            self._updates.resume()

    def disconnect(self, actor: str, reason: str) -> int:
        """As ``CacheUpdates.disconnect``; a sync that is reading meanwhile does not apply."""
        with self._order():
            return self._updates.disconnect(actor, reason, self.clock())

    @contextmanager
    def _order(self) -> Iterator[None]:
        with self._cache:
            self._orders += 1
            yield

    # -------------------------------------------------------------- what can be read

    def status(self) -> SyncStatus:
        """Everything that ``latchctl sync status`` shows."""
        state: SyncState = self.store.sync_state()
        return SyncStatus(
            state=state,
            running=self.running,
            progress=self._progress,
            next_at=self.next_at,
            report=self._report,
            last=self._last,
            quarantine=HeldBack.of(self.store.quarantine()),
            hold=self.store.held(),
            generations=self.store.generations(),
        )

    def explain_cards(self, person: str) -> CardExplanation:
        """Read one person's document now, and say how each rule read their cards. Changes nothing; blocks.

        ``person`` is an id, or the userName or externalId of a cached person. Raises ``OutageError`` if the
        document cannot be read.
        """
        person_id = self._person_id(person)
        mapper = self._updates.card_mapper()
        with ScimHttp(self.settings, self._token, self._wait) as http:
            user = drive(read_user(person_id), http, Deadline(time.monotonic() + self.settings.timeout))
        if user is None:
            return CardExplanation(person_id, False, ())
        return CardExplanation(person_id, True, tuple(explain_cards(mapper, user)))

    def _person_id(self, words: str) -> str:
        """Return the id of the only cached person of this userName or externalId, else the words as an id."""
        people = self.store.load().people
        if words in people:
            return words
        folded = words.casefold()
        named = [
            one.id for one in people.values() if folded in ((one.user_name or "").casefold(), one.external_id)
        ]
        return named[0] if len(named) == 1 else words

    @property
    def running(self) -> bool:
        """Whether a sync runs now."""
        return self._busy.locked()

    def idle(self, seconds: float) -> bool:
        """Wait at most so long for a running sync to end; whether none runs."""
        if not self._busy.acquire(timeout=seconds):
            return False
        self._busy.release()
        return True

    def _wait(self, seconds: float) -> bool:
        return self._stop.wait(seconds * self.patience)

    def stop(self) -> None:
        """Break off what runs at its next request, and let waiting end."""
        self._stop.set()


def by_server_clock(at: datetime | None, now: datetime, server_now: datetime | None) -> datetime | None:
    """Return what the server's clock showed ``at`` our own: it dates what it changes by its own."""
    return at if at is None or server_now is None else at + (server_now - now)


def _internal(error: Exception) -> OutageError:
    """A bug must not end syncing in silence. Its message may hold a secret, so only its place is reported."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    place = "" if step is None else f" at {Path(step.tb_frame.f_code.co_filename).name}:{step.tb_lineno}"
    text = f"internal error ({type(error).__name__}{place}): please report it"
    log.error("%s", text)
    return OutageError(OutageKind.INTERNAL, text)
