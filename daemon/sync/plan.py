"""From what a source yielded to a new generation of the cache: one copy, for the sync process and for scenarios.

A source yields a snapshot of the directory and the evidence for what is absent. All after that is done here:
the plan, the brake's answer, the generation, and what is reported of it. Nothing here knows a network or a clock.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from cache.changes import Alarm, Delta, Plan, Quarantine, Rebinding
from cache.directory.store import Store
from cache.errors import CacheError
from cache.keys import key_mark
from cache.model import Directory
from cache.reconcile.brake import Known, brake
from cache.reconcile.held import spoken_of, undone
from cache.reconcile.limits import Brake
from cache.reconcile.reconcile import (
    ANOTHER_DIRECTORY,
    FIRST_SYNC,
    PROVIDER_GONE,
    Evidence,
    Policy,
    disconnect,
    plan,
)
from daemon.config.brake import OLDER_LIMITS
from daemon.doors.sync_events import DISCONNECTED
from daemon.scim.card_file import SideFile, SideFileError, parse_side_file
from daemon.scim.cards import CardMapper
from daemon.scim.exchange import OutageError, OutageKind
from daemon.scim.memory import Memory, unpack
from daemon.scim.report import FetchReport
from daemon.scim.settings import ScimSettings
from daemon.scim.snapshot import Snapshot
from daemon.sync.outcome import SyncOutcome, SyncResult, failure_words

MAX_SIDE_FILE = 64 * 1024 * 1024

GONE_FOR = 300.0
"""Seconds for which a provider has to say that it is gone before it is believed."""

NOTE = "scim"
"""The name under which the cache keeps what is remembered of the directory."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a snapshot would change, and what is to be reported of it."""

    plan: Plan
    report: FetchReport
    unproven: tuple[str, ...] = ()
    """Why the cache is no fresher than before: what is missing and could not be looked into."""
    memory: Memory = field(default_factory=Memory)
    """What the next sync has to know of the directory."""


@dataclass(frozen=True, slots=True)
class CacheUpdates:
    """Brings into the cache what a source, or an operator, says. Not safe for two threads at once.

    ``mapper`` has no card files yet: they are read for each sync, below ``base`` where their path is relative.
    ``references`` are the words of the site file for access groups.
    """

    settings: ScimSettings
    store: Store
    mapper: CardMapper
    references: frozenset[str]
    base: Path = Path()
    brake: Brake = field(default_factory=Brake)
    doors: Mapping[str, frozenset[str]] | None = None
    """The doors that each reference opens; ``None``: each group counts as a door."""

    secret_files: bool = False
    """Whether a card file that other users may read is refused; scenarios have theirs where everybody may."""

    # -------------------------------------------------------------- what the source needs

    def on_hold(self) -> SyncOutcome | None:
        """Return the outcome of a sync that must not happen because syncing is on hold; ``None``: it is not."""
        held = self.store.held()
        if held is None:
            return None
        text = f"syncing is on hold: {held}; `latchctl sync resume` lets it go on"
        return SyncOutcome(SyncResult.ON_HOLD, text, generation=self.store.generation)

    def card_mapper(self) -> CardMapper:
        """Return the mapper with the card files as they are now. Raises ``OutageError``."""
        return replace(self.mapper, side_files=read_card_files(self.settings, self.base, self.secret_files))

    def configured_names(self) -> Mapping[str, frozenset[str]]:
        """Return the words of the site file by the id of the group that each is bound to."""
        names: dict[str, frozenset[str]] = {}
        for binding in self.store.bindings().values():
            names[binding.group_id] = names.get(binding.group_id, frozenset()) | {binding.reference}
        return names

    def memory(self) -> Memory:
        """Return what earlier syncs found out about the directory."""
        return unpack(self.store.note(NOTE))

    def foreign(self) -> bool:
        """Whether the cache was filled from another URL than the site file names now."""
        issuer = self.memory().issuer
        return issuer not in ("", self.settings.url) and self.store.generation > 0

    # -------------------------------------------------------------- one sync

    def prepare(self, snapshot: Snapshot, old: Directory, evidence: Evidence, now: datetime) -> Prepared:
        """Plan the way from ``old``, which is what the cache holds, to the snapshot."""
        new = snapshot.directory()
        report = snapshot.report(new)
        first = self.settings.require_first_approval
        policy = Policy(self.brake, self.references, first, self.doors, foreign=self.foreign())
        bindings = self.store.bindings()
        recent = self.store.recent_losses(now, timedelta(seconds=self.brake.window))
        wanted = plan(old, new, evidence, policy, now, recent, bindings, self.store.quarantine())
        alarm = () if wanted.alarm is None else (alarm_words(wanted.alarm),)
        older = () if self.settings.limits is None else (OLDER_LIMITS,)
        report = replace(report, warnings=(*alarm, *older, *report.warnings, *wanted.warnings))
        # Another directory is taken for ours when an operator accepts it, or when it is the same after all.
        ours = not policy.foreign or wanted.quarantine is None
        remembered = replace(snapshot.remembered(old), issuer=self.settings.url)
        unproven = evidence.unproven if ours else (ANOTHER_DIRECTORY,)
        return Prepared(wanted, report, unproven, remembered if ours else self.memory())

    def preview(self, prepared: Prepared) -> SyncOutcome:
        """Return what ``apply`` would do, and change nothing."""
        wanted = prepared.plan
        changes = bool(wanted.delta or wanted.quarantine)
        return SyncOutcome(
            SyncResult.DRY_RUN,
            "this is what a sync would change now" if changes else "a sync would change nothing now",
            generation=self.store.generation,
            report=prepared.report,
            added=wanted.delta.added,
            removed=wanted.delta.removed,
            held_back=_size(wanted.quarantine),
            diff=wanted.diff,
            held_diff=wanted.quarantine.diff if wanted.quarantine else (),
            reasons=wanted.quarantine.reasons if wanted.quarantine else (),
        )

    def apply(self, prepared: Prepared, now: datetime) -> SyncOutcome:
        """Commit the plan as a generation, and put on record how the sync ended.

        A sync that saw no evidence for what is missing applies the rest, and leaves the cache as old as it was.
        """
        wanted, report = prepared.plan, prepared.report
        before = self.store.generation
        # First: an id that is about to leave the cache must never be taken for a userName.
        self.store.remember(NOTE, prepared.memory.pack())
        proven = not prepared.unproven
        generation = self.store.apply(wanted, now, complete=proven)
        if proven:
            self.store.mark(key_mark(self.mapper.site_key))
        held = self.store.quarantine()
        outcome = _outcome(before, generation, held, proven)
        text = _words(outcome, report, wanted, held, prepared.unproven)
        self._completed(text, report, now, SyncResult.UNPROVEN.value if prepared.unproven else "complete")
        return SyncOutcome(
            outcome,
            text,
            generation=generation,
            report=report,
            added=wanted.delta.added,
            removed=wanted.delta.removed,
            held_back=_size(held),
            diff=wanted.diff,
            held_diff=held.diff if held else (),
            reasons=held.reasons if held else (),
        )

    @staticmethod
    def nothing_changed(report: FetchReport) -> str:
        """Return the words of a sync that changed nothing."""
        return _words(SyncResult.UNCHANGED, report, Plan(), None, ())

    def unchanged(self, text: str, report: FetchReport, now: datetime) -> SyncOutcome:
        """Put on record that a complete sync ended that found the very answers of one that changed nothing."""
        self._completed(text, report, now, "complete")
        return SyncOutcome(SyncResult.UNCHANGED, text, generation=self.store.generation, report=report)

    def _completed(self, text: str, report: FetchReport, now: datetime, outcome: str) -> None:
        unusable = tuple(f"{card.person}: {card.text}" for card in report.unusable)
        self.store.completed(
            now, text, road=report.road, warnings=report.warnings, unusable=unusable, outcome=outcome
        )

    # -------------------------------------------------------------- when it fails

    def failed(self, error: OutageError, now: datetime) -> SyncOutcome:
        """Put an outage on record: the cache stays, and everyone can read since when and why.

        Only those who were read as deactivated, before something else failed, are deactivated all the same.
        """
        state, memory = self.store.sync_state(), self.memory()
        gone = error.kind is OutageKind.GONE
        if gone and memory.gone_since is not None and now.timestamp() - memory.gone_since >= GONE_FOR:
            concluded = self._gone(now)
            if concluded is not None:
                return concluded
        if gone != (memory.gone_since is not None):
            since = now.timestamp() if gone else None
            self.store.remember(NOTE, replace(memory, gone_since=since).pack())
        left = self._leavers(error.leavers, now)
        text = failure_words(error, state)
        if left:
            text += f"; {left} people were read as not active before, and were deactivated"
        self.store.failed(now, error.kind.value, text)
        return outage(error, text, self.store.generation)

    def _leavers(self, leavers: frozenset[str], now: datetime) -> int:
        """Deactivate those who were read as not active, as far as the brake lets it; how many."""
        if not leavers or self.foreign() or self.store.held() is not None:
            return 0
        old, bindings, held = self.store.load(), self.store.bindings(), self.store.quarantine()
        # What an operator has not yet answered, or has refused, is not done by a failure.
        spoken = {one.id for one in (*held.delta.people, *held.refused.people)} if held else set()
        rows = tuple(
            replace(person, active=False)
            for id_, person in sorted(old.people.items())
            if person.active and id_ in leavers and id_ not in spoken
        )
        if not rows:
            return 0
        policy = Policy(self.brake, self.references, doors=self.doors)
        recent = Known(self.store.recent_losses(now, timedelta(seconds=self.brake.window)))
        braked = brake(old, Delta(people=rows), self.brake, policy.doors_of(bindings, Rebinding()), recent)
        wanted = Plan(braked.applied, quarantine=held, losses=braked.passed, alarm=braked.alarm)
        self.store.apply(wanted, now, "deactivated, while the rest could not be read", complete=False)
        return len(braked.applied.people)

    def _gone(self, now: datetime) -> SyncOutcome | None:
        """The provider says that it is no more, and has said so for a while (docs/scim.md, rule 6)."""
        old = self.store.load()
        if not old.groups:
            return None
        self.store.remember(NOTE, self.memory().with_former(old.groups).pack())
        delete = self.settings.on_disconnect == "delete"
        wanted = disconnect(old, now, approved=delete)
        words = f"{DISCONNECTED}: the provider says it is gone"
        generation = self.store.apply(wanted, now, words, complete=False)
        text = "the provider says it is gone (410), to every question and for several minutes: "
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

    def accept(self, token: str, actor: str, now: datetime) -> int:
        """Apply what is held back under ``token``; the new generation. ``CacheError`` if it is not held."""
        held = self.store.quarantine()
        gone = held is not None and PROVIDER_GONE in held.reasons
        words = f"{DISCONNECTED}: the provider is gone, accepted by {actor}" if gone else f"accepted by {actor}"
        left = None if held is None else spoken_of(held)
        if held is None or held.token != token or ANOTHER_DIRECTORY not in held.reasons:
            return self.store.accept(token, now, words, left=left)
        # What the site file's words meant in the other directory says nothing about this one.
        unbound = Rebinding(dropped=frozenset(self.store.bindings()))
        generation = self.store.accept(token, now, words, unbound)
        self.store.remember(NOTE, Memory(self.settings.url).pack())
        return generation

    def reject(self, token: str) -> None:
        """Keep what the directory no longer has, until it changes again. ``CacheError`` if it is not held."""
        self.store.reject(token)

    def undo(self, actor: str, now: datetime) -> int:
        """Take back the last mass deactivation; the new generation. ``CacheError`` if there is none."""
        alarm = self.store.alarm()
        if alarm is None:
            raise CacheError(
                "no mass deactivation is there to be undone; `latchctl sync rollback` restores a whole generation"
            )
        back, quarantine = undone(alarm, self.store.load(), self.store.quarantine(), now)
        return self.store.undo(back, quarantine, now, f"mass deactivation undone by {actor}")

    def rollback(self, generation: int, actor: str, now: datetime) -> int:
        """Restore a generation and put syncing on hold; the new generation. ``CacheError`` if it is too old."""
        return self.store.rollback(generation, now, actor)

    def resume(self) -> None:
        """Let syncing go on after a rollback or a disconnect."""
        self.store.hold(None)

    def disconnect(self, actor: str, reason: str, now: datetime) -> int:
        """The provider was unlinked: delete every access group, and put syncing on hold; the new generation."""
        old = self.store.load()
        self.store.remember(NOTE, self.memory().with_former(old.groups).pack())
        wanted = disconnect(old, now, approved=True)
        words = f"{DISCONNECTED} by {actor}" + (f": {reason}" if reason else "")
        self.store.hold(words)
        return self.store.apply(wanted, now, words, complete=False)


def outage(error: OutageError, text: str, generation: int) -> SyncOutcome:
    """Return the outcome of a sync that failed; the cache stays at ``generation``."""
    kind = SyncResult.UNAUTHORIZED if error.kind is OutageKind.UNAUTHORIZED else SyncResult.OUTAGE
    return SyncOutcome(kind, text, generation=generation, kind=error.kind.value, retry_after=error.retry_after)


def _size(held: Quarantine | None) -> int:
    return 0 if held is None else held.delta.removed + held.delta.added


def _outcome(before: int, generation: int, held: Quarantine | None, proven: bool) -> SyncResult:
    if held is not None and not held.rejected:
        return SyncResult.APPROVAL if FIRST_SYNC in held.reasons else SyncResult.QUARANTINED
    if not proven:
        return SyncResult.UNPROVEN
    return SyncResult.UNCHANGED if generation == before else SyncResult.APPLIED


def alarm_words(alarm: Alarm) -> str:
    """What is said of a mass deactivation that was applied."""
    return f"{alarm.text}: applied; `latchctl sync undo` takes it back"


def _words(
    outcome: SyncResult, report: FetchReport, wanted: Plan, held: Quarantine | None, unproven: tuple[str, ...]
) -> str:
    held_words = ""
    if held is not None:
        why = "rejected by an operator" if held.rejected else "; ".join(held.reasons)
        held_words = f", {held.delta.removed + held.delta.added} changes held back ({why})"
    what = (
        "nothing changed"
        if outcome is SyncResult.UNCHANGED or not (wanted.delta or held)
        else (f"{wanted.delta.added} added or changed, {wanted.delta.removed} removed")
    )
    return (
        f"{what}{held_words}: {report.people} people, {report.groups} groups, {report.memberships} memberships, "
        f"{report.credentials} credentials"
        + (f"; the cache is as old as before: {'; '.join(unproven)}" if unproven else "")
    )


UNSAFE_FILE = "it holds cards or PINs, and other users may read or change it: chmod 0640, group latchd"


def read_card_files(settings: ScimSettings, base: Path = Path(), secret: bool = False) -> Mapping[str, SideFile]:
    """Read the card files of all rules. ``OutageError``: without one every card of it would vanish."""
    files: dict[str, SideFile] = {}
    for rule in settings.credential:
        if rule.side_file is None:
            continue
        try:
            with (base / rule.side_file).open(encoding="utf-8") as file:
                if secret and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & (stat.S_IRWXO | stat.S_IWGRP):
                    raise SideFileError(UNSAFE_FILE)  # noqa: TRY301
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
