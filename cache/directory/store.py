"""The only writer of cache.db: open, load, apply a plan in one transaction, generations, rollback, quarantine.

Every method that writes either does all of it or nothing, also when the process is killed. Whatever SQLite or the
file system refuses is a ``CacheError``.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from cache.changes import (
    MANY_DEACTIVATED,
    Alarm,
    Binding,
    Delta,
    Loss,
    Plan,
    Quarantine,
    Rebinding,
    Scope,
    plus,
)
from cache.directory import codec, healing
from cache.directory.file import CacheFile
from cache.directory.rows import (
    REMEMBERED,
    Generation,
    load_directory,
    read_generations,
    rebind,
    refresh_names,
    write_delta,
)
from cache.directory.sync_state import SyncState, last_complete, read_sync_state, write_sync_state
from cache.errors import CacheDamagedError, CacheError
from cache.model import Directory
from cache.sqlite import transaction

RESTORABLE = 3
"""How many generations back a rollback can go."""

WINDOW = timedelta(hours=24)
"""The rolling time over which the brake adds up losses, where the site file does not say."""

LONGEST_WINDOW = timedelta(days=31)
"""How long losses are remembered: a site file may ask for a longer window at any time."""

NOTHING_BOUND = Rebinding()


class Store(CacheFile):
    """cache.db, opened for writing: the directory, its generations, and what is held back."""

    # -------------------------------------------------------------- reading

    def load(self, known: Directory | None = None) -> Directory:
        """The whole directory, to reconcile. What equals a part of ``known`` is shared with it, to save memory."""
        with self._explained():
            try:
                return load_directory(self._connection, known or Directory())
            except (ValueError, KeyError) as fault:
                raise CacheDamagedError(f"{self.path}: a value in it cannot be read ({fault})") from fault

    def bindings(self) -> dict[str, Binding]:
        """What each reference of the site file is bound to, tombstones included."""
        with self._explained():
            rows = self._connection.execute("SELECT reference, group_id, external_id, name FROM binding")
            return {row[0]: Binding(*row) for row in rows}

    def recent_losses(self, now: datetime, window: timedelta = WINDOW) -> tuple[Loss, ...]:
        """What passed the brake within ``window``, added up; what is dated ahead of ``now`` counts too."""
        found: dict[Scope, int] = {}
        for at, scope, count in self._losses():
            if at > codec.whole_seconds(now - window):
                found[Scope(scope)] = found.get(Scope(scope), 0) + count
        return tuple(Loss(scope, count) for scope, count in found.items())

    def group_names(self) -> dict[str, str]:
        """The names of the access groups by id."""
        with self._explained():
            return dict(self._connection.execute("SELECT id, name FROM access_group"))

    def generations(self) -> tuple[Generation, ...]:
        """The latest generations, newest first."""
        with self._explained():
            return read_generations(self._connection)

    def quarantine(self) -> Quarantine | None:
        """What is held back, if anything."""
        return self._read_quarantine()

    def alarm(self) -> Alarm | None:
        """The last mass deactivation that was applied with an alarm, as long as it can be undone."""
        blob = self._state("alarm")
        with self._explained():
            return None if blob is None else codec.unpack_alarm(blob)

    def held(self) -> str | None:
        """Why syncing is on hold (after a rollback), or ``None``."""
        text = self._state("hold")
        return None if text is None else text.decode()

    def sync_state(self) -> SyncState:
        """How the last sync went, with the time of the last complete one as far as it can be believed."""
        return read_sync_state(self.path)

    def note(self, name: str) -> bytes | None:
        """Return what was stored under ``name`` in addition to the directory, or ``None``."""
        return self._state(f"note.{name}")

    # -------------------------------------------------------------- writing

    def remember(self, name: str, body: bytes) -> None:
        """Remember ``body`` under ``name``; nothing is written when that is what is remembered already."""
        if self.note(name) != body:
            with self._explained(), transaction(self._connection):
                self._put(f"note.{name}", body)

    def apply(self, plan: Plan, now: datetime, summary: str = "sync", *, complete: bool = True) -> int:
        """Carry out ``plan`` in one transaction; the number of the generation that then holds.

        Writes nothing at all when nothing changes. The first complete sync makes generation 1 even when empty.
        ``complete`` is false for a plan that does not come from a complete sync (a disconnect): the cache is then
        no fresher than before.
        """
        with self._explained():
            number = self.generation
            held = self._quarantine_to_write(plan.quarantine)
            changes = bool(plan.delta or plan.rebinding or self.notice or (complete and number == 0))
            if not changes and held is None:
                return number
            with transaction(self._connection):
                if held is not None:
                    self._put("quarantine", held or None)
                if changes:
                    synced = now if complete else self._last_complete(now) or codec.instant(0)
                    if plan.alarm is not None:
                        summary = f"{MANY_DEACTIVATED}: {plan.alarm.text}"
                        self._put("alarm", codec.pack_alarm(plan.alarm))
                    summary = self.notice or summary
                    number = self._next([(plan.delta, plan.rebinding)], now, synced, summary)
                    self._count(plan.losses, now)
            self.notice = "" if changes else self.notice
            return number

    def rollback(self, number: int, now: datetime, actor: str = "") -> int:
        """Restore generation ``number`` as a new generation, and put syncing on hold so that it stays.

        ``actor`` is who ordered it; it is stored with the generation.

        Raises ``CacheError`` when that generation is not one of the last three.
        """
        with self._explained():
            current = self.generation
            undo = dict(
                self._connection.execute(
                    "SELECT number, undo FROM generation WHERE number > ? AND undo IS NOT NULL", (number,)
                )
            )
            numbers = [one.number for one in read_generations(self._connection)]
            wanted = [one for one in numbers if one > number]
            if number not in numbers or number == current or any(step not in undo for step in wanted):
                raise CacheError(
                    f"{self.path}: generation {number} cannot be restored; "
                    "`latchctl sync status` lists those that can"
                )
            steps = [step for back in wanted for step in codec.unpack_steps(undo[back])]
            with transaction(self._connection):
                by = f" by {actor}" if actor else ""
                self._put("hold", f"generation {number} was restored{by}".encode())
                return self._next(steps, now, self._synced_at(number), f"rollback to generation {number}{by}")

    def accept(
        self,
        token: str,
        now: datetime,
        summary: str = "",
        rebinding: Rebinding = NOTHING_BOUND,
        left: Quarantine | None = None,
    ) -> int:
        """Carry out what is held back under ``token``; ``summary`` says who wanted it, ``rebinding`` goes along.

        ``left`` is held still.

        Raises ``CacheError`` when that is not held (any more).
        """
        held = self._expected(token)
        with self._explained(), transaction(self._connection):
            self._put("quarantine", None if left is None else codec.pack_quarantine(left))
            synced = self._last_complete(now) or codec.instant(0)
            return self._next([(held.delta, rebinding)], now, synced, summary or f"accepted {token}")

    def reject(self, token: str) -> None:
        """Keep what is held back under ``token``, without asking again for as long as the directory claims it."""
        held = self._expected(token)
        refused = replace(held, rejected=True, refused=plus(held.refused, held.delta))
        with self._explained(), transaction(self._connection):
            self._put("quarantine", codec.pack_quarantine(refused))

    def undo(self, back: Delta, quarantine: Quarantine | None, now: datetime, summary: str) -> int:
        """Take back the last mass deactivation by ``back``, and hold ``quarantine``; the new generation."""
        with self._explained(), transaction(self._connection):
            self._put("alarm", None)
            self._put("quarantine", None if quarantine is None else codec.pack_quarantine(quarantine))
            synced = self._last_complete(now) or codec.instant(0)
            return self._next([(back, Rebinding())], now, synced, summary)

    def hold(self, reason: str | None) -> None:
        """Put syncing on hold for ``reason``, or let it go on (``None``)."""
        with self._explained(), transaction(self._connection):
            self._put("hold", None if reason is None else reason.encode())

    def mark(self, key_mark: bytes) -> None:
        """Say with which site key the credentials were made; writes only what is new."""
        if self._state("key_mark") != key_mark:
            with self._explained(), transaction(self._connection):
                self._put("key_mark", key_mark)

    def completed(
        self,
        now: datetime,
        text: str,
        *,
        road: str = "",
        warnings: tuple[str, ...] = (),
        unusable: tuple[str, ...] = (),
        outcome: str = "complete",
    ) -> SyncState:
        """Remember that a sync ended at ``now``, without touching cache.db.

        With another ``outcome`` than ``complete`` the directory was read and proved nothing: the cache is as old
        as before, and the sync counts as a failure.
        """
        failures, synced_at = 0, now if outcome == "complete" else self._last_complete(now)
        if outcome != "complete":
            failures = self.sync_state().failures + 1
        state = SyncState(
            self.cache_id, self.generation, synced_at, now, outcome, text, road, failures, warnings, unusable
        )
        write_sync_state(self.path, state)
        return state

    def failed(self, now: datetime, outcome: str, text: str) -> SyncState:
        """Remember that a sync failed at ``now``, without touching cache.db; ``outcome`` is a short code."""
        before = self.sync_state()
        state = replace(
            before,
            cache_id=self.cache_id,
            generation=max(self.generation, before.generation if before.cache_id == self.cache_id else 0),
            synced_at=self._last_complete(now),
            attempted_at=now,
            outcome=outcome,
            text=text,
            failures=before.failures + 1,
        )
        write_sync_state(self.path, state)
        return state

    # -------------------------------------------------------------- parts

    def _synced_at(self, number: int) -> datetime:
        row = self._connection.execute("SELECT synced_at FROM generation WHERE number = ?", (number,)).fetchone()
        return codec.instant(row[0] if row else 0)

    def _last_complete(self, now: datetime) -> datetime | None:
        with self._explained():
            number = self.generation
            committed = self._synced_at(number) if number else None
        return last_complete(committed, self.cache_id, number, read_sync_state(self.path), now)

    def _next(self, steps: list[tuple[Delta, Rebinding]], now: datetime, synced: datetime, summary: str) -> int:
        """Write the steps as the next generation, with what leads back. Inside a transaction."""
        undo: list[tuple[Delta, Rebinding]] = []
        for delta, rebinding in steps:
            back = write_delta(self._connection, delta)
            undo.insert(0, (back, rebind(self._connection, rebinding)))
        refresh_names(self._connection)
        # A number that was given once is not given again: cache.synced may know the generation of that number.
        state, number = read_sync_state(self.path), self.generation
        number = max(number, state.generation if healing.went_back(state, self.cache_id, number) else 0) + 1
        times = (codec.to_seconds(synced), codec.to_seconds(now))
        added = sum(delta.added for delta, _ in steps)
        removed = sum(delta.removed for delta, _ in steps)
        self._connection.execute(
            "INSERT INTO generation VALUES (?, ?, ?, ?, ?, ?, ?)",
            (number, *times, added, removed, summary, codec.pack_steps(undo)),
        )
        self._connection.execute(
            "UPDATE generation SET undo = NULL WHERE undo IS NOT NULL AND number NOT IN"
            " (SELECT number FROM generation ORDER BY number DESC LIMIT ?)",
            (RESTORABLE,),
        )
        self._connection.execute("DELETE FROM generation WHERE number <= ?", (number - REMEMBERED,))
        return number

    def _count(self, losses: tuple[Loss, ...], now: datetime) -> None:
        if not losses:
            return
        at, oldest = codec.whole_seconds(now), codec.whole_seconds(now - LONGEST_WINDOW)
        kept = [one for one in self._losses() if one[0] > oldest]
        kept += [(at, one.scope.value, one.count) for one in losses]
        self._put("losses", codec.pack(kept))

    def _losses(self) -> list[tuple[int, str, int]]:
        """When, what and how many passed the brake."""
        blob = self._state("losses")
        with self._explained():
            return [] if blob is None else [(at, scope, count) for at, scope, count in codec.unpack(blob)]

    def _quarantine_to_write(self, wanted: Quarantine | None) -> bytes | None:
        """The bytes to write, empty to delete, or ``None`` when what is stored already says it."""
        stored = self._read_quarantine()
        if wanted is None:
            return None if stored is None else b""
        if stored is not None and replace(stored, since=wanted.since) == wanted:
            return None
        return codec.pack_quarantine(wanted)

    def _read_quarantine(self) -> Quarantine | None:
        blob = self._state("quarantine")
        with self._explained():
            return None if blob is None else codec.unpack_quarantine(blob)

    def _expected(self, token: str) -> Quarantine:
        held = self._read_quarantine()
        if held is None:
            raise CacheError("nothing is held back; `latchctl sync status` shows how the last sync went")
        if held.token != token:
            raise CacheError(
                f"what is held back has changed: it is now {held.token}, not {token}; "
                "look at `latchctl sync diff` again"
            )
        return held
