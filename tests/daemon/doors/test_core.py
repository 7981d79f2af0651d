"""The core of the doors process, and that it is the same one in the daemon and in a scenario."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cache.changes import Delta, Plan, Rebinding
from cache.directory.lookup import Lookup
from cache.directory.store import Store
from cache.journal.journal import Entry
from cache.keys import key_mark
from cache.model import ClockQuality, EventName, Moment, Person, Reason
from daemon.cli.simulate import HELD, UNMET, simulate_all
from daemon.doors.core import OTHER_KEY, WENT_BACK, DoorsCore, Nowhere, Remembered
from daemon.doors.sync_events import SyncEventSource
from drivers.events import CardRead, Command, Pulse, SwitchOff
from tests.daemon.doors.controller.bench import KEY, rules
from tests.daemon.simulated import ADA, Bench, Running, running

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SCENARIO = Path(__file__).parents[2] / "scenarios" / "disconnect.scenario"


@dataclass
class Outlet:
    """Remembers what left the core, in order."""

    left: list[Command | Entry] = field(default_factory=list)
    state: dict[str, str | None] = field(default_factory=dict)

    def send(self, command: Command, now: Moment) -> None:
        """A command."""
        del now
        self.left.append(command)

    def keep(self, entries: Sequence[Entry], state: Mapping[str, str | None]) -> None:
        """A record."""
        self.left += entries
        self.state.update(state)

    def names(self) -> list[EventName]:
        """The names of the events."""
        return [one[1].name for one in self.left if isinstance(one, tuple)]


@dataclass
class Rig:
    """A core with its cache, which has one generation, and what left it."""

    core: DoorsCore
    store: Store
    outlet: Outlet

    def change(self, person: str) -> None:
        """One more generation."""
        self.store.apply(Plan(Delta(people=(Person(person),)), Rebinding()), NOW)


def moment(seconds: float = 0.0, quality: ClockQuality = ClockQuality.HOLDOVER) -> Moment:
    return Moment(NOW + timedelta(seconds=seconds), 1000.0 + seconds, quality)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    path, outlet = tmp_path / "cache.db", Outlet()
    with Store(path) as store, Lookup(path, lambda: NOW) as lookup:
        yield Rig(DoorsCore(rules(), lookup, Remembered(), outlet, "boot-1"), store, outlet)


def test_the_start_switches_every_lock_off_before_anything_is_recorded(rig: Rig) -> None:
    rig.core.start(moment(), "1.0")
    kinds = [isinstance(one, tuple) for one in rig.outlet.left]
    assert kinds == sorted(kinds), "commands first: a person may wait at a door"
    assert any(isinstance(one, SwitchOff) for one in rig.outlet.left)
    assert rig.outlet.names()[0] is EventName.SYSTEM_START
    assert rig.outlet.left[-1][0].boot_id == "boot-1"  # type: ignore[index]


def test_a_command_leaves_before_the_record_of_it(rig: Rig) -> None:
    rig.core.start(moment(), "1.0")
    rig.outlet.left.clear()
    rig.core.handle(CardRead("lobby-in", 26, 1, 1000.0), moment())
    assert rig.outlet.names() == [EventName.ACCESS_DENIED]
    assert isinstance(rig.outlet.left[-1], tuple), "the feedback at the reader comes first"
    assert not any(isinstance(one, Pulse) for one in rig.outlet.left)


def test_what_sync_did_is_recorded_once_and_remembered(rig: Rig) -> None:
    rig.core.start(moment(), "1.0")
    rig.change("ada")
    rig.core.look_at_cache(moment(1))
    rig.core.look_at_cache(moment(2))
    assert rig.outlet.names().count(EventName.SYNC_APPLIED) == 1
    assert '"generation": 1' in str(rig.outlet.state[SyncEventSource.STATE_NAME])


def test_a_cache_that_cannot_be_read_is_a_trouble_until_it_can(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.core.start(moment(), "1.0")
    path = rig.core.lookup.path
    rig.store.close()
    good = path.read_bytes()
    rig.core.lookup.close()
    path.write_bytes(b"this is no database\n" * 400)
    rig.core.look_at_cache(moment(1))
    assert rig.core.cache_trouble
    path.write_bytes(good)
    rig.core.look_at_cache(moment(2))
    assert rig.core.cache_trouble is None


def test_what_sync_wrote_about_itself_may_be_unreadable_and_the_cache_is_not(rig: Rig) -> None:
    rig.core.start(moment(), "1.0")
    rig.change("ada")
    path = rig.core.lookup.path
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("INSERT OR REPLACE INTO state VALUES ('quarantine', x'00')")
    rig.core.look_at_cache(moment(1))
    assert rig.core.cache_trouble is None, "every card is decided as before"
    assert "the quarantine cannot be read" in str(rig.core.sync_trouble)
    assert EventName.SYNC_APPLIED not in rig.outlet.names()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("DELETE FROM state WHERE name = 'quarantine'")
    rig.core.look_at_cache(moment(2))
    assert rig.core.sync_trouble is None
    assert rig.outlet.names().count(EventName.SYNC_APPLIED) == 1, "nothing of it was lost"


def test_a_cache_that_cannot_be_read_is_an_event_and_the_reason_of_a_denial(rig: Rig) -> None:
    rig.core.start(moment(), "1.0")
    path = rig.core.lookup.path
    rig.store.close()
    good = path.read_bytes()
    rig.core.lookup.close()
    path.write_bytes(b"this is no database\n" * 400)
    rig.core.handle(CardRead("lobby-in", 26, 1, 1000.0), moment())
    denied = next(one[1] for one in rig.outlet.left if isinstance(one, tuple) and one[1].reason is not None)
    assert (denied.name, denied.reason) == (EventName.ACCESS_DENIED, Reason.CACHE_UNREADABLE)
    assert "cache.db" in denied.trace[0].text
    for second in (1, 2):
        rig.core.look_at_cache(moment(second))
    path.write_bytes(good)
    for second in (3, 4):
        rig.core.look_at_cache(moment(second))
    said = [name for name in rig.outlet.names() if name in (EventName.CACHE_UNREADABLE, EventName.CACHE_READABLE)]
    assert said == [EventName.CACHE_UNREADABLE, EventName.CACHE_READABLE]


def test_a_cache_that_went_back_degrades_until_a_later_sync(rig: Rig, tmp_path: Path) -> None:
    rig.change("ada")
    rig.core.lookup.changed()
    old = tmp_path / "old.db"
    with closing(sqlite3.connect(rig.core.lookup.path)) as one, closing(sqlite3.connect(old)) as other:
        one.backup(other)
    rig.change("eve")
    rig.core.start(moment(), "1.0")
    assert rig.core.cache_doubt is None
    rig.store.close()
    rig.core.lookup.close()
    for path in tmp_path.glob("cache.db-*"):
        path.unlink()
    old.replace(rig.core.lookup.path)
    for second in (1, 2):
        rig.core.look_at_cache(moment(second))
    assert rig.outlet.names().count(EventName.CACHE_WENT_BACK) == 1
    assert (rig.core.cache_doubt, rig.core.lookup.find(b"").freshness.went_back) == (WENT_BACK, True)
    assert rig.core.controller.site_state.freshness.went_back
    with Store(rig.core.lookup.path) as store:
        store.completed(NOW + timedelta(seconds=5), "complete")
        rig.core.look_at_cache(moment(5))
    assert (rig.core.cache_doubt, rig.core.lookup.find(b"").freshness.went_back) == (None, False)


def test_a_cache_of_another_site_key_is_said_once(rig: Rig) -> None:
    rig.core.start(moment(), "1.0")
    for key, doubt in ((KEY, None), (b"x" * 32, OTHER_KEY), (b"x" * 32, OTHER_KEY), (KEY, None)):
        rig.store.mark(key_mark(key))
        rig.core.look_at_cache(moment())
        assert rig.core.cache_doubt == doubt
    assert rig.outlet.names().count(EventName.CACHE_OTHER_KEY) == 1


def test_a_clock_is_believed_as_far_as_the_journal_lets_it(rig: Rig) -> None:
    assert rig.core.believe(moment()).quality is ClockQuality.HOLDOVER
    rig.core.durable(replace(moment(), utc=NOW + timedelta(hours=1)))
    assert rig.core.believe(moment()).quality is ClockQuality.NEVER_SET
    assert rig.core.believe(moment(quality=ClockQuality.SYNCED)).quality is ClockQuality.SYNCED
    rig.core.durable(moment(quality=ClockQuality.SYNCED))
    assert rig.core.believe(moment()).quality is ClockQuality.HOLDOVER, "NTP took a wrong future back"


def test_a_core_that_only_answers_questions_leaves_nothing(tmp_path: Path) -> None:
    with Lookup(tmp_path / "cache.db", lambda: NOW) as lookup:
        core = DoorsCore(rules(), lookup, Remembered(newest=NOW + timedelta(hours=1)), Nowhere(), "")
        assert core.believe(moment()).quality is ClockQuality.NEVER_SET
        core.start(moment(), "")
        assert core.controller.doors


# ------------------------------------------------------------------ one program


def doors_hold(directory: Path) -> bool:
    """Whether a real doors process opens for a card, records it, and records what sync did."""
    bench = Bench(directory)
    bench.fill()

    async def story() -> bool:
        async with running(bench) as now:
            return badged(now)

    def badged(now: Running) -> bool:
        opened = now.badge(ADA)
        assert now.doors.writer.flush()
        return opened and bool(bench.events(EventName.ACCESS_GRANTED) and bench.events(EventName.SYNC_APPLIED))

    return asyncio.run(story())


def no_commands(real: Callable[..., None]) -> Callable[..., None]:
    """A core that sends nothing to the devices."""

    def act(core: DoorsCore, effects: Any, now: Moment) -> None:
        real(core, type(effects)((), effects.events, effects.state), now)

    return act


def no_grants(real: Callable[..., None]) -> Callable[..., None]:
    """A core that forgets to record who was let in."""

    def act(core: DoorsCore, effects: Any, now: Moment) -> None:
        events = tuple(event for event in effects.events if event.name is not EventName.ACCESS_GRANTED)
        real(core, type(effects)(effects.commands, events, effects.state), now)

    return act


def no_look(real: Callable[..., None]) -> Callable[..., None]:
    """A core that never looks at the cache."""
    del real
    return lambda core, now: None


@pytest.mark.parametrize(("method", "bug"), [("act", no_commands), ("act", no_grants), ("look_at_cache", no_look)])
def test_a_bug_in_the_core_fails_the_scenarios_and_the_daemon_alike(
    method: str,
    bug: Callable[[Callable[..., None]], Callable[..., None]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def play() -> int:
        return simulate_all((SCENARIO,), as_json=False, trace=False)

    good, bad = tmp_path / "good", tmp_path / "bad"
    assert (play(), doors_hold(good)) == (HELD, True)
    monkeypatch.setattr(DoorsCore, method, bug(getattr(DoorsCore, method)))
    assert (play(), doors_hold(bad)) == (UNMET, False)
