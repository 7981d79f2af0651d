"""A sync heals its cache: a damaged file is rebuilt in the same run, an older one is brought up to date."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from cache.changes import Delta, Plan
from cache.directory.lookup import Lookup
from cache.directory.store import Store
from cache.model import Credential, EventName, Person
from daemon.doors.sync_events import SyncEventSource
from daemon.sync.outcome import SyncResult
from tests.cache.directory.test_healing import copy, damage, put_back
from tests.peers.scim_server import running_scim_server
from tests.peers.scim_site import card, sync_service


def test_a_sync_heals_what_befell_its_cache(tmp_path: Path) -> None:
    database = tmp_path / "cache.db"
    references = frozenset({"Staff"})
    with running_scim_server() as server, server.client() as client, Store(database) as store:
        people = [client.create_user(f"user{n}", f"User {n}" * 40, cards=f"H10301:1:{n}") for n in range(40)]
        staff = client.create_group("Staff", people)
        service = sync_service(store, server.url, references)
        assert service.run_once().outcome is SyncResult.APPLIED
        with Lookup(database) as lookup:
            news = SyncEventSource()
            assert [event.name for event in news.read(lookup)] == [EventName.SYNC_APPLIED]

            backup = copy(database, tmp_path / "backup")
            client.set_active(people[0], active=False)
            assert service.run_once().generation == 2
            put_back(backup, database)
            outcome = service.run_once()
            assert (outcome.outcome, outcome.generation) == (SyncResult.APPLIED, 3)
            assert not store.load().people[people[0]].active
            lookup.changed()
            assert EventName.CACHE_WENT_BACK in [event.name for event in news.read(lookup)]
            assert service.run_once().outcome is SyncResult.UNCHANGED

            damage(database, from_byte=8 * 4096)
            outcome = service.run_once()
            assert outcome.outcome is SyncResult.APPLIED, outcome.text
            assert len(store.load().people) == 40
            assert store.bindings()["Staff"].group_id == staff
            lookup.changed()
            assert EventName.CACHE_REBUILT in [event.name for event in news.read(lookup)]
            assert [one.person.id for one in lookup.find(card(1, 7)).holders] == people[7:8]
        assert list(tmp_path.glob("cache.db.damaged-*"))


def test_a_date_beyond_2038_is_stored_and_read(tmp_path: Path) -> None:
    """Where ``time_t`` has 32 bits ``fromtimestamp`` fails: nothing here may use it."""
    until = datetime(2099, 12, 31, tzinfo=UTC)
    with Store(tmp_path / "cache.db") as store:
        one = Credential(b"k", "u", valid_until=until)
        store.apply(Plan(Delta(people=(Person("u"),), credentials=(one,))), until)
        assert store.load().credentials == (one,)
        assert store.generations()[0].applied_at == until
        with Lookup(tmp_path / "cache.db") as lookup:
            assert lookup.find(b"k").holders[0].credential == one
