"""The sync process: one sync at a time, when it is due or asked for, and a word about each that can be read later.

Reads the directory over HTTP (``daemon.sync.http``), lets the pure parts say what the answers mean, and applies
the plan in one transaction. Whatever fails leaves the cache as it was.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from cache.changes import Plan, Quarantine
from cache.directory.store import Store
from cache.directory.sync_state import SyncState
from cache.errors import CacheError
from cache.model import Directory
from cache.reconcile.reconcile import PROVIDER_GONE, Evidence, Policy, disconnect, plan
from daemon.doors.sync_events import DISCONNECTED
from daemon.scim.card_file import SideFile, SideFileError, parse_side_file
from daemon.scim.cards import CardMapper
from daemon.scim.evidence import confirm
from daemon.scim.exchange import Fetch, OutageError, OutageKind
from daemon.scim.fetch import NO_ROAD, Snapshot, read_directory
from daemon.scim.report import FetchReport
from daemon.scim.settings import ScimSettings
from daemon.sync.http import Deadline, ScimHttp
from daemon.sync.oauth import SecretReader, TokenSource, token_source
from daemon.sync.outcome import HeldBack, SyncOutcome, SyncResult, SyncStatus, failure_words

T = TypeVar("T")

log = logging.getLogger(__name__)

MAX_SIDE_FILE = 64 * 1024 * 1024

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
    patience: float = 1.0
    """Factor on the pauses between attempts of one request; tests have none."""

    _busy: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)
    _progress: tuple[str, int] | None = None
    _report: FetchReport | None = None
    _last: SyncOutcome | None = None
    _token: TokenSource = field(init=False)
    next_at: datetime | None = None

    def __post_init__(self) -> None:
        """One source of tokens for all syncs: a token that is still good is not asked for again."""
        self._token = token_source(self.settings, self.secret)

    # -------------------------------------------------------------- one sync

    def run_once(self, dry_run: bool = False, progress: Progress | None = None) -> SyncOutcome:
        """Sync now and say how it went; blocks. Never raises for what a server, a network or a disk does.

        While another sync runs, the outcome is ``busy``.
        """
        if not self._busy.acquire(blocking=False):
            return SyncOutcome(SyncResult.BUSY, "a sync is running already", generation=self.store.generation)
        started = time.monotonic()
        try:
            outcome = self._run(dry_run, progress)
        except OutageError as error:
            outcome = self._failed(error, dry_run)
        except CacheError as error:
            outcome = SyncOutcome(SyncResult.CACHE_ERROR, str(error), kind="cache")
        except Exception as error:  # noqa: BLE001  # a bug is told like an outage, and syncing goes on
            outcome = self._failed(_internal(error), dry_run)
        finally:
            self._progress = None
            self._busy.release()
        outcome = replace(outcome, seconds=round(time.monotonic() - started, 3))
        if not dry_run:
            self._last = outcome
        return outcome

    def _run(self, dry_run: bool, progress: Progress | None) -> SyncOutcome:
        held = self.store.held()
        if held is not None and not dry_run:
            return SyncOutcome(
                SyncResult.ON_HOLD,
                f"syncing is on hold: {held}; `latchctl sync resume` lets it go on",
                generation=self.store.generation,
            )
        snapshot, old, evidence = self._fetch(progress)
        new = snapshot.directory()
        report = snapshot.report(new)
        now = self.clock()
        policy = Policy(self.settings.limits, self.references, self.settings.require_first_approval)
        bindings = self.store.bindings()
        recent, waiting = self.store.recent_removals(now), self.store.quarantine()
        wanted = plan(old, new, evidence, policy, now, recent, bindings, waiting)
        report = replace(report, warnings=(*report.warnings, *wanted.warnings))
        self._report = report
        return self._preview(wanted, report) if dry_run else self._apply(wanted, report, now)

    def _fetch(self, progress: Progress | None) -> tuple[Snapshot, Directory, Evidence]:
        mapper = replace(self.mapper, side_files=read_side_files(self.settings))
        configured_names: dict[str, frozenset[str]] = {}
        for binding in self.store.bindings().values():
            configured_names[binding.group_id] = configured_names.get(binding.group_id, frozenset()) | {
                binding.reference
            }

        def tell(what: str, count: int) -> None:
            self._progress = (what, count)
            if progress is not None:
                progress(what, count)

        deadline = Deadline(time.monotonic() + self.settings.timeout)
        before = self.store.sync_state()
        seen_at = before.synced_at if before.road and before.road != NO_ROAD else None
        with ScimHttp(self.settings, self._token, self._wait) as http:
            snapshot = drive(read_directory(self.settings, mapper, configured_names, tell), http, deadline)
            # What equals a part of what was read is shared with it: the memory of one directory, not of two.
            old = self.store.load(snapshot.directory())
            tell("what is missing", 0)
            held = self.store.quarantine()
            waiting = frozenset() if held is None else held.delta.people_removed
            return snapshot, old, drive(confirm(snapshot, old, seen_at, waiting), http, deadline)

    def _preview(self, wanted: Plan, report: FetchReport) -> SyncOutcome:
        changes = bool(wanted.delta or wanted.quarantine)
        return SyncOutcome(
            SyncResult.DRY_RUN,
            "this is what a sync would change now" if changes else "a sync would change nothing now",
            generation=self.store.generation,
            report=report,
            added=wanted.delta.added,
            removed=wanted.delta.removed,
            held_back=wanted.quarantine.delta.removed if wanted.quarantine else 0,
            diff=wanted.diff,
            held_diff=wanted.quarantine.diff if wanted.quarantine else (),
            reasons=wanted.quarantine.reasons if wanted.quarantine else (),
        )

    def _apply(self, wanted: Plan, report: FetchReport, now: datetime) -> SyncOutcome:
        before = self.store.generation
        generation = self.store.apply(wanted, now)
        held = self.store.quarantine()
        outcome = _outcome(before, generation, held)
        text = _words(outcome, report, wanted, held)
        unusable = tuple(f"{card.person}: {card.text}" for card in report.unusable)
        self.store.completed(now, text, road=report.road, warnings=report.warnings, unusable=unusable)
        return SyncOutcome(
            outcome,
            text,
            generation=generation,
            report=report,
            added=wanted.delta.added,
            removed=wanted.delta.removed,
            held_back=0 if held is None else held.delta.removed + held.delta.added,
            diff=wanted.diff,
            held_diff=held.diff if held else (),
            reasons=held.reasons if held else (),
        )

    # -------------------------------------------------------------- when it fails

    def _failed(self, error: OutageError, dry_run: bool) -> SyncOutcome:
        """Record an outage: the cache stays, and everybody can read since when and why."""
        now = self.clock()
        state = self.store.sync_state()
        outcome = SyncResult.UNAUTHORIZED if error.kind is OutageKind.UNAUTHORIZED else SyncResult.OUTAGE
        generation = self.store.generation
        if dry_run or self._stop.is_set():
            return SyncOutcome(outcome, str(error), generation=generation, kind=error.kind.value)
        if error.kind is OutageKind.GONE and state.outcome == OutageKind.GONE.value:
            concluded = self._gone(now)
            if concluded is not None:
                return concluded
        text = failure_words(error, state)
        self.store.failed(now, error.kind.value, text)
        return SyncOutcome(
            outcome, text, generation=generation, kind=error.kind.value, retry_after=error.retry_after
        )

    def _gone(self, now: datetime) -> SyncOutcome | None:
        """The provider said twice that it is no more: do what the site file says (docs/scim.md, rule 6)."""
        old = self.store.load()
        if not old.groups:
            return None
        delete = self.settings.on_disconnect == "delete"
        wanted = disconnect(old, now, approved=delete)
        words = f"{DISCONNECTED}: the provider says it is gone"
        generation = self.store.apply(wanted, now, words, complete=False)
        text = "the provider says it is gone (410), twice in a row: "
        held = wanted.quarantine
        text += (
            "every access group of it was deleted"
            if held is None
            else "deleting its access groups waits for `latchctl sync accept`"
        )
        self.store.failed(now, OutageKind.GONE.value, text)
        return SyncOutcome(
            SyncResult.DISCONNECTED if held is None else SyncResult.QUARANTINED,
            text,
            generation=generation,
            kind=OutageKind.GONE.value,
            removed=wanted.delta.removed,
            held_back=0 if held is None else held.delta.removed,
            diff=wanted.diff,
            held_diff=() if held is None else held.diff,
            reasons=() if held is None else held.reasons,
        )

    # -------------------------------------------------------------- what an operator does

    def accept(self, token: str, actor: str) -> int:
        """Let what is held back under ``token`` happen; the new generation. ``CacheError`` if it is not held."""
        with self._busy:
            held = self.store.quarantine()
            gone = held is not None and PROVIDER_GONE in held.reasons
            words = (
                f"{DISCONNECTED}: the provider is gone, accepted by {actor}" if gone else f"accepted by {actor}"
            )
            return self.store.accept(token, self.clock(), words)

    def reject(self, token: str) -> None:
        """Keep what the directory no longer has, until it changes again. ``CacheError`` if it is not held."""
        with self._busy:
            self.store.reject(token)

    def rollback(self, generation: int, actor: str) -> int:
        """Restore a generation and put syncing on hold; the new generation. ``CacheError`` if it is too old."""
        with self._busy:
            return self.store.rollback(generation, self.clock(), actor)

    def resume(self) -> None:
        """Let syncing go on after a rollback or a disconnect."""
        with self._busy:
            self.store.hold(None)

    def disconnect(self, actor: str, reason: str) -> int:
        """The provider was unlinked: delete every access group, and put syncing on hold; the new generation."""
        with self._busy:
            now = self.clock()
            wanted = disconnect(self.store.load(), now, approved=True)
            words = f"{DISCONNECTED} by {actor}" + (f": {reason}" if reason else "")
            self.store.hold(words)
            return self.store.apply(wanted, now, words, complete=False)

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


def _outcome(before: int, generation: int, held: Quarantine | None) -> SyncResult:
    if held is not None and not held.rejected:
        return SyncResult.APPROVAL if generation <= 1 and held.delta.added else SyncResult.QUARANTINED
    return SyncResult.UNCHANGED if generation == before else SyncResult.APPLIED


def _words(outcome: SyncResult, report: FetchReport, wanted: Plan, held: Quarantine | None) -> str:
    held_words = ""
    if held is not None:
        why = "rejected by an operator" if held.rejected else "; ".join(held.reasons)
        held_words = f", {held.delta.removed + held.delta.added} changes held back ({why})"
    what = (
        "nothing changed"
        if outcome is SyncResult.UNCHANGED
        else (f"{wanted.delta.added} added or changed, {wanted.delta.removed} removed")
    )
    return (
        f"{what}{held_words}: {report.people} people, {report.groups} groups, {report.memberships} memberships, "
        f"{report.credentials} credentials"
    )


def _internal(error: Exception) -> OutageError:
    """A bug must not end syncing in silence. What the error says may hold a secret, so only its place is told."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    place = "" if step is None else f" at {Path(step.tb_frame.f_code.co_filename).name}:{step.tb_lineno}"
    text = f"internal error ({type(error).__name__}{place}): please report it"
    log.error("%s", text)
    return OutageError(OutageKind.INTERNAL, text)


def drive(fetch: Fetch[T], http: ScimHttp, deadline: Deadline) -> T:
    """Carry a conversation of the pure part to its end: requests out, answers or outages in."""
    try:
        request = next(fetch)
        while True:
            try:
                response = http.get(request, deadline)
            except OutageError as error:
                request = fetch.throw(error)
            else:
                request = fetch.send(response)
    except StopIteration as end:
        result: T = end.value
        return result


def read_side_files(settings: ScimSettings) -> Mapping[str, SideFile]:
    """The side files of all rules, read anew. ``OutageError``: without one every card of it would vanish."""
    files: dict[str, SideFile] = {}
    for rule in settings.credential:
        if rule.side_file is None:
            continue
        try:
            with Path(rule.side_file).open(encoding="utf-8") as file:
                content = file.read(MAX_SIDE_FILE + 1)
            if len(content) > MAX_SIDE_FILE:
                raise SideFileError("it is larger than any side file")  # noqa: TRY301
            files[rule.side_file] = parse_side_file(content, rule.key)
        except OSError as error:
            raise OutageError(OutageKind.LOCAL, f"{rule.side_file} cannot be read: {error.strerror}") from None
        except (SideFileError, UnicodeDecodeError) as error:
            words = str(error) if isinstance(error, SideFileError) else "it is not UTF-8"
            raise OutageError(OutageKind.LOCAL, f"{rule.side_file}: {words}") from None
    return files
