"""The sync service against a real SCIM service provider on loopback."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cache.directory.store import Store
from daemon.sync.outcome import SyncResult
from daemon.sync.service import by_server_clock
from tests.peers.scim_server import TOKEN, ScimClient, ScimServer, running_scim_server
from tests.peers.scim_site import card, sync_service


@pytest.fixture(scope="module")
def server() -> Iterator[ScimServer]:
    with running_scim_server() as server:
        yield server


@pytest.fixture
def client(server: ScimServer) -> Iterator[ScimClient]:
    with server.client() as client:
        yield client
        for path in ("Users", "Groups"):
            for resource in client.call("GET", path)["Resources"]:
                client.delete(f"{path}/{resource['id']}")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "cache.db") as store:
        yield store


def unused_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"http://127.0.0.1:{probe.getsockname()[1]}/v2"


def test_a_directory_becomes_the_cache(server: ScimServer, client: ScimClient, store: Store) -> None:
    ada = client.create_user("ada", "Ada", cards="H10301:57:1234")
    bob = client.create_user("bob", extension={"cardFormat": "H10301", "facilityCode": "57", "cardNumber": "7"})
    staff = client.create_group("Staff", [ada, bob])
    service = sync_service(store, server.url)
    outcome = service.run_once()
    assert outcome.outcome is SyncResult.APPLIED, outcome.text
    assert outcome.generation == 1
    directory = store.load()
    assert directory.groups[staff].members == {ada, bob}
    assert {(c.key, c.person_id) for c in directory.credentials} == {(card(57, 1234), ada), (card(57, 7), bob)}
    assert service.run_once().outcome is SyncResult.UNCHANGED

    client.remove_member(staff, bob)
    client.set_active(ada, active=False)
    outcome = service.run_once()
    assert outcome.outcome is SyncResult.APPLIED, outcome.text
    directory = store.load()
    assert directory.groups[staff].members == {ada}
    assert not directory.people[ada].active


def test_a_server_that_is_gone_leaves_the_cache(server: ScimServer, client: ScimClient, store: Store) -> None:
    client.create_group("Staff", [client.create_user("ada", cards="H10301:57:1234")])
    assert sync_service(store, server.url).run_once().outcome is SyncResult.APPLIED
    before = store.load()
    away = sync_service(store, unused_url(), timeout="2s")
    outcome = away.run_once()
    assert outcome.outcome is SyncResult.OUTAGE
    assert outcome.kind in {"unreachable", "timeout"}
    assert store.load() == before
    assert away.status().state.failures == 1
    assert TOKEN not in repr(away.status())


@pytest.mark.parametrize("minutes", [-10, 0, 10])
def test_the_last_member_of_all_leaves_also_when_our_clock_is_not_the_servers(
    minutes: int, server: ScimServer, client: ScimClient, store: Store
) -> None:
    ada = client.create_user("ada")
    staff = client.create_group("Staff", [ada])
    service = sync_service(store, server.url)
    service.clock = lambda: datetime.now(UTC) + timedelta(minutes=minutes)
    assert service.run_once().outcome is SyncResult.APPLIED
    assert service.run_once().outcome is SyncResult.UNCHANGED
    client.remove_member(staff, ada)
    service.run_once()
    assert store.load().groups[staff].members == set()


def test_a_moment_of_ours_on_the_servers_clock() -> None:
    at, now = datetime(2026, 3, 2, 8, 0, tzinfo=UTC), datetime(2026, 3, 2, 8, 5, tzinfo=UTC)
    assert by_server_clock(at, now, now - timedelta(minutes=10)) == at - timedelta(minutes=10)
    assert by_server_clock(at, now, None) == at
    assert by_server_clock(None, now, now) is None
