"""Whatever a server does wrong, over HTTP: a fault proxy in front of a real SCIM server, and the real sync code.

The same table of faults as in tests/daemon/scim/test_faults.py. The directory is made once: everybody has synced,
then one person is deactivated, one deleted, one taken out of a group, and one is new. Each fault begins there.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cache.directory.store import Store
from cache.model import Directory
from daemon.sync.outcome import SyncOutcome, SyncResult, SyncStatus
from daemon.sync.service import SyncService
from tests.peers.scim_faults.engine import Mode
from tests.peers.scim_faults.modes import MODES, knowable
from tests.peers.scim_faults.proxy import FaultProxy, fault_proxy
from tests.peers.scim_memory import card_attribute, holds
from tests.peers.scim_server import ScimClient, running_scim_server, user_document
from tests.peers.scim_site import sync_service

INDEX = [mode for mode in MODES if not mode.cursor]
CURSOR = [mode for mode in MODES if mode.cursor]
OUTAGES = [mode for mode in MODES if mode.state not in ("complete", "quarantined", "unproven")]
KEYS = {"page_size": 8, "max_body": 1 << 20, "timeout": "20s"}


@dataclass(slots=True)
class Company:
    """Twenty people in Staff, the first ten of them in Guests, which is in Visitors; two in Board.

    And what then happened to a few of them.
    """

    client: ScimClient
    proxy: FaultProxy
    people: list[str]
    staff: str
    guests: str
    visitors: str
    newcomer: str
    folder: Path

    def service(self, store: Store) -> SyncService:
        """A new sync process, as it were, on this cache."""
        return sync_service(store, self.proxy.url, **KEYS)

    def begin(self, folder: Path) -> Path:
        """The cache as the sync before left it."""
        return Path(shutil.copytree(self.folder, folder, dirs_exist_ok=True)) / "cache.db"

    def hold(self, cache: Directory, numbers: list[int], group: str) -> list[int]:
        """Those of ``numbers`` who would be let in by ``group``."""
        return [number for number in numbers if holds(cache, group, self.people[number], number)]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    yield from company(tmp_path_factory.mktemp("index"), cursor=False)


@pytest.fixture(scope="module")
def cursor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    yield from company(tmp_path_factory.mktemp("cursor"), cursor=True)


def company(folder: Path, *, cursor: bool) -> Iterator[Company]:
    with (
        running_scim_server(cursor=cursor) as server,
        server.client() as client,
        fault_proxy(server.url, server.token) as proxy,
    ):
        documents = [user_document(f"user{number}", cards=card_attribute(number)) for number in range(20)]
        people = client.create_many("Users", documents)
        staff, guests = client.create_group("Staff", people), client.create_group("Guests", people[:10])
        visitors = client.create_group("Visitors", [guests])
        client.create_group("Board", people[3:5])
        client.create_group("Empty")
        made = Company(client, proxy, people, staff, guests, visitors, "", folder)
        with Store(folder / "cache.db") as store:
            assert made.service(store).run_once().outcome is SyncResult.APPLIED
        client.set_active(people[0], active=False)
        client.delete(f"Users/{people[1]}")
        client.remove_member(guests, people[2])
        made.newcomer = client.create_user("newcomer", cards=card_attribute(99))
        client.add_member(staff, made.newcomer)
        yield made


def play(company: Company, modes: list[Mode], folder: Path) -> tuple[SyncOutcome, SyncStatus]:
    """One sync with ``modes``, and then a healthy one; what the first led to."""
    with Store(company.begin(folder)) as store:
        before, service = store.load(), company.service(store)
        company.proxy.set(*modes)
        outcome = service.run_once()
        status, cache = service.status(), store.load()
        told = {one for one, active in company.proxy.told.items() if not active}
        company.proxy.set()

        stay = [number for number in range(2, 20) if company.people[number] not in told]
        assert company.hold(cache, stay, company.staff) == stay
        for group in (company.guests, company.visitors):
            inner = [number for number in stay if 3 <= number < 10]
            assert company.hold(cache, inner, group) == inner
        if outcome.complete or outcome.outcome is SyncResult.UNPROVEN:
            assert not any(cache.people[one].active for one in told if one in cache.people)
        else:
            assert (cache.groups, set(cache.credentials)) == (before.groups, set(before.credentials))
            for one, person in before.people.items():
                assert cache.people[one] in (person, replace(person, active=person.active and one not in told))
        assert "a-token-for-tests" not in repr((outcome, status))

        after = service.run_once()
        assert after.outcome in (SyncResult.APPLIED, SyncResult.UNCHANGED), after.text
        cache = store.load()
        assert company.hold(cache, [0, 1], company.staff) == []
        assert company.hold(cache, [2], company.guests) == company.hold(cache, [2], company.visitors) == []
        assert holds(cache, company.staff, company.newcomer, 99)
    return outcome, status


def check(company: Company, mode: Mode, folder: Path) -> None:
    outcome, status = play(company, [mode], folder)
    held = status.quarantine is not None
    assert (status.state.outcome, held) == (
        ("complete", True) if mode.state == "quarantined" else (mode.state, False)
    )
    assert outcome.kind == (mode.state if mode in OUTAGES else "")
    assert status.state.failures == (1 if mode in OUTAGES or mode.state == "unproven" else 0)
    if mode.road is not None:
        assert status.state.road == mode.road


@pytest.mark.parametrize("mode", INDEX, ids=lambda mode: mode.name)
def test_each_fault(index: Company, mode: Mode, tmp_path: Path) -> None:
    check(index, mode, tmp_path)


@pytest.mark.parametrize("mode", CURSOR, ids=lambda mode: mode.name)
def test_each_fault_of_cursors(cursor: Company, mode: Mode, tmp_path: Path) -> None:
    check(cursor, mode, tmp_path)


combinations = st.lists(st.sampled_from(MODES), min_size=2, max_size=4, unique=True).filter(knowable)
slow = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=8, deadline=None, suppress_health_check=slow)
@given(combinations, st.booleans())
def test_faults_combined(index: Company, cursor: Company, modes: list[Mode], by_cursor: bool) -> None:
    with TemporaryDirectory() as folder:
        play(cursor if by_cursor else index, modes, Path(folder))


def test_a_sync_without_evidence_applies_what_it_saw_and_leaves_the_cache_as_old(
    index: Company, tmp_path: Path
) -> None:
    with Store(index.begin(tmp_path)) as store:
        before = store.sync_state()
        index.proxy.set(next(mode for mode in MODES if mode.name == "members_empty"))
        outcome = index.service(store).run_once()
        index.proxy.set()
        assert (outcome.outcome, outcome.exit_code, outcome.complete) == (SyncResult.UNPROVEN, 16, False)
        assert not store.load().people[index.people[0]].active, "what was told is applied"
        state = store.sync_state()
        assert (state.outcome, state.failures) == ("unproven", 1)
        assert before.synced_at is not None
        assert state.synced_at is not None
        assert state.synced_at <= before.synced_at
        assert "the cache is as old as before" in state.text
        assert any("NO MEMBERSHIP" in warning for warning in state.warnings)
        assert store.generations()[0].synced_at <= before.synced_at
        assert index.service(store).run_once().complete


def test_a_first_sync_that_reads_no_membership_says_so(index: Company, tmp_path: Path) -> None:
    with Store(tmp_path / "cache.db") as store:
        index.proxy.set(next(mode for mode in MODES if mode.name == "members_empty"))
        outcome = index.service(store).run_once()
        index.proxy.set()
    assert outcome.outcome is SyncResult.UNPROVEN
    assert outcome.report is not None
    assert outcome.report.warnings[0].startswith("NO MEMBERSHIP COULD BE READ")


@pytest.mark.soak
@pytest.mark.timeout(300)
@settings(max_examples=45, deadline=None, suppress_health_check=slow)
@given(combinations, st.booleans())
def test_many_faults_combined(index: Company, cursor: Company, modes: list[Mode], by_cursor: bool) -> None:
    with TemporaryDirectory() as folder:
        play(cursor if by_cursor else index, modes, Path(folder))
