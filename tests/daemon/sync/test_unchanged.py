"""The very same answers are only hashed; whatever differs, in them or in what reads them, is read as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cache.changes import Delta, GroupHead
from cache.directory.store import Store
from cache.model import Person
from daemon.scim.exchange import Request
from daemon.sync import service as service_module
from daemon.sync.outcome import SyncOutcome, SyncResult
from daemon.sync.service import SyncService
from daemon.sync.unchanged import LONGEST, answers_path, is_steady, marker, read_answers
from tests.peers.scim_server import ScimClient, running_scim_server
from tests.peers.scim_site import SITE_KEY, sync_service


@dataclass
class Site:
    """A directory of ten people, its cache, and whether the last sync read or only hashed."""

    store: Store
    client: ScimClient
    url: str
    people: list[str]
    staff: str
    now: datetime = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
    read: int = 0

    def service(self, **keys: object) -> SyncService:
        service = sync_service(self.store, self.url, **keys)
        service.clock = lambda: self.now
        return service

    def sync(self, **keys: object) -> tuple[SyncOutcome, bool]:
        """One sync in a process of its own, as it were; and whether everything was read."""
        before = self.read
        return self.service(**keys).run_once(), self.read > before

    def settle(self) -> None:
        """Sync until nothing is left to change or to find out."""
        for _ in range(4):
            if not self.sync()[1]:
                return
        raise AssertionError("the answers are never the same")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with running_scim_server() as server, server.client() as client, Store(tmp_path / "cache.db") as store:
        people = [client.create_user(f"user{n}", f"User {n}", cards=f"H10301:1:{n}") for n in range(10)]
        made = Site(store, client, server.url, people, client.create_group("Staff", people))
        reading = service_module.read_directory

        def counted(*arguments: object, **keys: object) -> object:
            made.read += 1
            return reading(*arguments, **keys)  # type: ignore[arg-type]

        monkeypatch.setattr(service_module, "read_directory", counted)
        yield made


def test_the_same_answers_are_not_read_and_all_is_reported_as_before(site: Site) -> None:
    site.settle()
    full = site.store.sync_state()
    site.now += timedelta(minutes=5)
    outcome, read = site.sync()
    assert not read
    assert outcome.outcome is SyncResult.UNCHANGED
    assert outcome.report is not None
    assert (outcome.report.people, outcome.report.memberships, outcome.report.credentials) == (10, 10, 10)
    state = site.store.sync_state()
    assert (state.synced_at, state.failures) == (site.now, 0)
    assert (state.text, state.road, state.warnings) == (full.text, full.road, full.warnings)


def test_any_change_is_seen_at_once_and_the_next_sync_may_be_short_again(site: Site) -> None:
    site.settle()
    changes = (
        lambda: site.client.set_active(site.people[0], active=False),
        lambda: site.client.remove_member(site.staff, site.people[1]),
        lambda: site.client.delete(f"Users/{site.people[2]}"),
        lambda: site.client.create_user("newcomer"),
        lambda: site.client.create_group("Vault"),
    )
    for change in changes:
        before = site.store.generation
        change()
        outcome, read = site.sync()
        assert (read, outcome.outcome, outcome.generation) == (True, SyncResult.APPLIED, before + 1)
        site.settle()
    cache = site.store.load()
    assert not cache.people[site.people[0]].active
    assert site.people[1] not in cache.groups[site.staff].members
    assert site.people[2] not in cache.people


def test_whatever_reads_the_answers_counts_as_well(site: Site, tmp_path: Path) -> None:
    site.settle()
    assert site.sync(store_names=False)[1], "another setting"
    site.settle()
    cards = tmp_path / "cards.csv"
    cards.touch(mode=0o600)
    side_file = {"side_file": str(cards), "key": "userName", "format": "H10301", "facility_code": 1}
    rule = [{"preset": "latchd"}, side_file]
    site.client.create_user("no card yet")
    cards.write_text("userName,cardNumber\nno card yet,77\n")
    assert site.sync(credential=rule)[1]
    for _ in range(3):
        site.sync(credential=rule)
    assert not site.sync(credential=rule)[1]
    cards.write_text("userName,cardNumber\nno card yet,78\n")
    outcome, read = site.sync(credential=rule)
    assert (read, outcome.outcome) == (True, SyncResult.APPLIED), "a card file that changed"
    site.settle()
    service = site.service()
    service.references = frozenset({"Staff"})
    before = site.read
    service.run_once()
    assert site.read > before, "another word of the site file"


def test_an_order_a_rollback_and_a_day_make_it_read_everything(site: Site) -> None:
    site.settle()
    site.client.create_user("newcomer")
    site.sync()
    site.settle()
    service = site.service()
    service.rollback(site.store.generation - 1, "jo")
    service.resume()
    outcome, read = site.sync()
    assert (read, outcome.outcome) == (True, SyncResult.APPLIED)
    site.settle()
    site.now += timedelta(seconds=LONGEST)
    assert site.sync()[1]
    site.settle()
    site.now -= timedelta(days=2)
    assert site.sync()[1], "a clock that was set back"


def test_a_dry_run_and_a_damaged_file_read_everything(site: Site) -> None:
    site.settle()
    before = site.read
    assert site.service().run_once(dry_run=True).outcome is SyncResult.DRY_RUN
    assert site.read > before
    for content in (
        "",
        "{",
        "[]",
        '{"key": 5}',
        answers_path(site.store.path).read_text().replace('"at"', '"bt"'),
    ):
        answers_path(site.store.path).write_text(content)
        assert site.sync()[1], content
        site.settle()


def test_nothing_is_expected_while_something_waits_for_an_operator(site: Site) -> None:
    site.settle()
    for person in site.people[:6]:
        site.client.delete(f"Users/{person}")
    for _ in range(3):
        outcome, read = site.sync()
        assert (read, outcome.outcome) == (True, SyncResult.QUARANTINED)


def test_the_file_holds_no_answer_and_no_digest_that_can_be_guessed(site: Site) -> None:
    site.settle()
    content = answers_path(site.store.path).read_text()
    assert "H10301" not in content
    assert marker(SITE_KEY)(200, b"x") != marker(bytes(32))(200, b"x")
    assert marker(SITE_KEY)(200, b"x") != marker(SITE_KEY)(404, b"x")
    assert read_answers(site.store.path, "another key", site.now) is None


def test_what_is_steady() -> None:
    lists, single = [(Request("Users"), "m")], [(Request("Users/1"), "m")]
    joined = Delta(people=(Person("u"),), members={"g": frozenset("u")})
    assert is_steady("k 1", "k 1", Delta(), single)
    assert not is_steady("k 1", "k 2", Delta(), lists)
    assert is_steady("k 1", "k 2", joined, lists)
    assert not is_steady("k 1", "l 2", joined, lists)
    assert not is_steady("k 1", "k 2", joined, single)
    for more in (
        Delta(people_removed=frozenset("u")),
        Delta(groups_removed=frozenset("g")),
        Delta(members_removed={"g": frozenset("u")}),
        Delta(groups=(GroupHead("g", "G"),)),
    ):
        assert not is_steady("k 1", "k 2", replace(more, people=(Person("u"),)), lists)
