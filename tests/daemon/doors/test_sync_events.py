"""What sync did becomes events of the journal: each thing once, also across a restart."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cache.changes import Alarm, Delta, Plan, Quarantine, Rebinding
from cache.directory.lookup import Lookup
from cache.directory.store import Store
from cache.model import Event, EventName, Person
from daemon.doors.sync_events import SyncEventSource

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
APPLIED, FAILED = EventName.SYNC_APPLIED, EventName.SYNC_FAILED
HELD = Quarantine("12345678", Delta(), ("too many people",), ("person ada goes",), NOW)


@dataclass
class Desk:
    """A cache, who writes it, and who reads the news of it."""

    path: Path
    store: Store
    lookup: Lookup
    news: SyncEventSource

    def change(self, *people: str, summary: str = "sync", complete: bool = True) -> None:
        delta = Delta(people=tuple(map(Person, people)))
        self.store.apply(Plan(delta, Rebinding()), NOW, summary, complete=complete)

    def told(self) -> list[tuple[EventName, int | None]]:
        return [(event.name, event.generation) for event in self.read()]

    def read(self) -> tuple[Event, ...]:
        return self.news.read(self.lookup)

    def restart(self) -> None:
        """As after a restart of the doors process: only what was stored is known."""
        self.news = SyncEventSource(self.news.stored)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    path = tmp_path / "cache.db"
    with Lookup(path, lambda: NOW + timedelta(hours=2)) as lookup:
        made = Desk(path, Store(path), lookup, SyncEventSource())
        yield made
        made.store.close()


def test_each_generation_is_told_once_in_order_with_how_much_changed(desk: Desk) -> None:
    assert desk.told() == []
    desk.change("ada")
    desk.change("ken", "eve")
    first, second = desk.read()
    assert (first.name, first.generation) == (APPLIED, 1)
    assert (second.generation, dict(second.detail)) == (2, {"added": 2, "removed": 0})
    desk.restart()
    assert desk.told() == []
    desk.change("bob")
    assert desk.told() == [(APPLIED, 3)]


def test_a_trouble_is_told_once_for_each_kind_and_again_after_it_was_over(desk: Desk) -> None:
    desk.store.failed(NOW, "outage", "no answer")
    [event] = desk.read()
    assert (event.name, dict(event.detail)) == (FAILED, {"outcome": "outage", "text": "no answer"})
    desk.store.failed(NOW, "outage", "still no answer")
    desk.restart()
    assert desk.told() == []
    desk.store.failed(NOW, "unauthorized", "the token is refused")
    assert desk.told() == [(FAILED, 0)]
    desk.store.completed(NOW, "complete")
    assert desk.told() == []
    desk.store.failed(NOW, "outage", "no answer")
    assert desk.told() == [(FAILED, 0)]


def test_what_is_held_back_is_told_once_until_it_is_settled(desk: Desk) -> None:
    desk.change("ada")
    desk.store.apply(Plan(Delta(), Rebinding(), HELD), NOW)
    assert desk.told() == [(APPLIED, 1), (EventName.SYNC_QUARANTINED, 1)]
    desk.restart()
    assert desk.told() == []


def test_a_disconnect_is_told_with_its_generation(desk: Desk) -> None:
    desk.change("ada")
    desk.change("ken", summary="disconnected by root", complete=False)
    assert desk.told() == [(APPLIED, 1), (APPLIED, 2), (EventName.SYNC_DISCONNECTED, 2)]
    desk.restart()
    assert desk.told() == []


def test_another_cache_in_its_place_is_told_from_its_beginning(desk: Desk) -> None:
    """Somebody moved a damaged cache.db away and sync filled a new one, whose generations begin at 1."""
    for number in range(5):
        desk.change(f"p{number}")
    assert len(desk.told()) == 5
    desk.store.close()
    for file in desk.path.parent.glob("cache.*"):
        file.unlink()
    desk.lookup.changed()
    assert desk.told() == []
    with Store(desk.path) as store:
        desk.store = store
        desk.change("ada")
        desk.lookup.changed()
        assert desk.told() == [(APPLIED, 1)]


def test_a_cache_that_comes_back_is_not_told_again(desk: Desk) -> None:
    desk.change("ada")
    assert len(desk.told()) == 1
    aside = [file.rename(file.with_name("aside-" + file.name)) for file in desk.path.parent.glob("cache.db*")]
    desk.lookup.changed()
    assert desk.told() == []
    for file in aside:
        file.rename(file.with_name(file.name.removeprefix("aside-")))
    desk.lookup.changed()
    assert desk.told() == []


@pytest.mark.parametrize(
    "kept",
    [
        "",
        "no json",
        "[]",
        "null",
        '{"generation": "1"}',
        '{"generation": true}',
        '{"trouble": 1}',
        '{"quarantined": 0}',
        '{"else": 1}',
    ],
)
def test_a_memory_that_cannot_be_read_counts_as_nothing_told(kept: str, desk: Desk) -> None:
    desk.change("ada")
    desk.news = SyncEventSource(kept)
    assert desk.told() == [(APPLIED, 1)]


def test_a_mass_deactivation_is_an_event_that_says_how_to_undo_it(desk: Desk) -> None:
    desk.change("ada")
    desk.told()
    gone = Delta(people=(Person("ada", active=False),))
    alarm = Alarm("60 of 60 people", gone, Delta(people=(Person("ada"),)))
    desk.store.apply(Plan(gone, alarm=alarm), NOW)
    applied, event = desk.read()
    assert (applied.name, event.name, event.generation) == (APPLIED, EventName.SYNC_DEACTIVATIONS, 2)
    assert dict(event.detail)["text"] == "many deactivated: 60 of 60 people; `latchctl sync undo` takes it back"
    assert desk.told() == []


def restore(desk: Desk, copy: bytes) -> None:
    """Put an older copy in the place of the cache, as a careless or a wicked hand does."""
    desk.store.close()
    desk.lookup.close()
    for file in desk.path.parent.glob("cache.db-*"):
        file.unlink()
    desk.path.write_bytes(copy)
    desk.store = Store(desk.path)


def whole(desk: Desk) -> bytes:
    """The whole cache as bytes, its ``-wal`` taken in."""
    with closing(sqlite3.connect(desk.path)) as one:
        one.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return desk.path.read_bytes()


@pytest.mark.parametrize("forgotten", [False, True])
def test_a_cache_that_went_back_is_told_once_and_until_a_later_sync(desk: Desk, forgotten: bool) -> None:
    """By the journal's memory, and where that is lost by what ``cache.synced`` names."""
    desk.change("ada")
    desk.store.completed(NOW, "complete")
    copy = whole(desk)
    desk.change("ken")
    later = NOW + timedelta(hours=1)
    desk.store.completed(later, "complete")
    assert [name for name, _ in desk.told()] == [APPLIED, APPLIED]
    restore(desk, copy)
    if forgotten:
        desk.news = SyncEventSource()
    [event] = [one for one in desk.read() if one.name is not APPLIED]
    assert (event.name, event.generation, dict(event.detail)) == (
        EventName.CACHE_WENT_BACK,
        1,
        {"text": "generation 1 is in the file, and 2 was there before"},
    )
    desk.restart()
    assert desk.told() == []
    assert desk.lookup.went_back
    desk.store.failed(later, "outage", "no answer")
    desk.read()
    assert desk.lookup.went_back, "a sync that failed fetches nothing"
    desk.store.completed(NOW, "complete")
    desk.read()
    assert desk.lookup.went_back, "the file that belongs to the copy proves nothing either"
    desk.store.completed(later + timedelta(seconds=1), "complete")
    assert desk.told() == []
    assert not desk.lookup.went_back
    desk.change("eve")
    assert desk.told() == [(APPLIED, 2)]


def test_another_cache_has_not_gone_back(desk: Desk) -> None:
    desk.change("ada")
    desk.change("ken")
    desk.read()
    desk.store.close()
    desk.lookup.close()
    for file in desk.path.parent.glob("cache.*"):
        file.unlink()
    desk.store = Store(desk.path)
    desk.change("ada")
    assert desk.told() == [(APPLIED, 1)]
    assert not desk.lookup.went_back


def test_an_older_memory_is_understood(desk: Desk) -> None:
    desk.news = SyncEventSource('{"generation": 1, "trouble": "", "quarantined": false}')
    desk.change("ada")
    assert desk.told() == []
    desk.change("ken")
    assert desk.told() == [(APPLIED, 2)]
