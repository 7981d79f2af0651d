"""What operators rely on: approval, quarantine, rollback, disconnect and re-linking, renames, unusable cards."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cache.directory.lookup import Lookup
from cache.directory.store import Store
from cache.errors import CacheError
from cache.model import EventName
from daemon.doors.sync_events import SyncEventSource
from daemon.sync.outcome import SyncOutcome, SyncResult
from daemon.sync.service import SyncService
from tests.peers.scim_faults.engine import Mode
from tests.peers.scim_faults.modes import MODES
from tests.peers.scim_faults.proxy import FaultProxy, fault_proxy
from tests.peers.scim_server import ScimClient, ScimServer, running_scim_server
from tests.peers.scim_site import sync_service

GONE = next(mode for mode in MODES if mode.name == "gone")


@dataclass
class Site:
    """A cache, its sync service at a clock of its own, and the client of the directory."""

    store: Store
    client: ScimClient
    proxy: FaultProxy
    now: datetime = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
    references: frozenset[str] = frozenset({"Staff"})
    keys: dict[str, object] = field(default_factory=dict)

    def service(self, **keys: object) -> SyncService:
        service = sync_service(self.store, self.proxy.url, self.references, **{**self.keys, **keys})
        service.clock = lambda: self.now
        return service

    def sync(self, **keys: object) -> SyncOutcome:
        return self.service(**keys).run_once()

    def people(self, count: int) -> list[str]:
        return [self.client.create_user(f"user{n}", f"User {n}", cards=f"H10301:1:{n}") for n in range(count)]

    def doors_of(self, group: str) -> str | None:
        """The group that the site file's word for an access group means now, if it is there."""
        binding = self.store.bindings().get(group)
        return binding.group_id if binding and binding.group_id in self.store.load().groups else None

    def events(self, news: SyncEventSource) -> list[EventName]:
        with Lookup(self.store.path) as lookup:
            return [event.name for event in news.read(lookup)]


@pytest.fixture(scope="module")
def server() -> Iterator[ScimServer]:
    with running_scim_server() as server:
        yield server


@pytest.fixture
def site(server: ScimServer, tmp_path: Path) -> Iterator[Site]:
    with (
        server.client() as client,
        fault_proxy(server.url, server.token) as proxy,
        Store(tmp_path / "cache.db") as store,
    ):
        yield Site(store, client, proxy)
        for path in ("Users", "Groups"):
            for resource in client.call("GET", path)["Resources"]:
                client.delete(f"{path}/{resource['id']}")


# ------------------------------------------------------------------ approval and quarantine


def test_the_first_sync_waits_for_an_operator_only_if_the_site_file_says_so(site: Site) -> None:
    staff = site.client.create_group("Staff", site.people(3))
    outcome = site.sync(require_first_approval=True)
    assert (outcome.outcome, outcome.exit_code, outcome.held_back) == (SyncResult.APPROVAL, 11, 10)
    assert site.store.load().people == {}
    assert site.sync(require_first_approval=True).outcome is SyncResult.APPROVAL, "it waits on"
    service = site.service(require_first_approval=True)
    held = service.status().quarantine
    assert held
    assert any("User 1" in line for line in held.diff)
    service.accept(held.token, "jo")
    assert site.store.load().groups[staff].members.__len__() == 3
    assert site.sync(require_first_approval=True).complete
    assert site.doors_of("Staff") == staff


def test_a_quarantine_survives_a_restart_and_is_rejected_for_good_until_it_changes(site: Site) -> None:
    people = site.people(30)
    staff = site.client.create_group("Staff", people)
    site.sync()
    for person in people[:12]:
        site.client.delete(f"Users/{person}")
    newcomer = site.client.create_user("newcomer")
    site.client.add_member(staff, newcomer)
    site.client.set_active(people[20], active=False)
    outcome = site.sync()
    assert (outcome.outcome, outcome.held_back) == (SyncResult.QUARANTINED, 12)
    assert newcomer in site.store.load().groups[staff].members
    assert not site.store.load().people[people[20]].active

    path = site.store.path
    site.store.close()
    site.store.__init__(path)  # type: ignore[misc]  # the process was started anew
    held = site.store.quarantine()
    assert held
    with pytest.raises(CacheError, match="not 12345678"):
        site.service().accept("12345678", "jo")
    site.service().reject(held.token)
    assert site.sync().outcome is SyncResult.UNCHANGED
    assert people[0] in site.store.load().people
    site.client.delete(f"Users/{people[12]}")
    assert site.sync().removed == 1, "one leaver does not wait behind others"
    for person in people[13:17]:
        site.client.delete(f"Users/{person}")
    assert site.sync().outcome is SyncResult.QUARANTINED, "it changed, so it is asked again"
    again = site.store.quarantine()
    assert again
    site.service().accept(again.token, "jo")
    assert set(people[:17]) & site.store.load().people.keys() == set(people[:12]), "what was rejected stays so"
    assert site.store.generations()[0].summary == "accepted by jo"
    assert site.sync().outcome is SyncResult.UNCHANGED
    rejected = site.store.quarantine()
    assert rejected
    site.service().accept(rejected.token, "jo")
    assert not set(people[:17]) & site.store.load().people.keys()
    assert site.sync().outcome is SyncResult.UNCHANGED


def test_removals_of_a_day_add_up(site: Site) -> None:
    people = site.people(60)
    site.client.create_group("Staff", people)
    site.sync()
    for part in (people[:3], people[3:6]):
        for person in part:
            site.client.delete(f"Users/{person}")
        outcome = site.sync()
        site.now += timedelta(hours=1)
    assert (outcome.outcome, outcome.held_back) == (SyncResult.QUARANTINED, 3)
    assert "3 of 57 people with a door would lose their last door after 3 lately (limit: 5)" in outcome.reasons[0]
    site.now += timedelta(hours=23)
    assert site.sync().outcome is SyncResult.QUARANTINED, "what is held waits for an operator"


# ------------------------------------------------------------------ generations


def test_a_rollback_holds_until_it_is_resumed_and_says_who_wanted_it(site: Site) -> None:
    ada, bob = site.people(2)
    staff = site.client.create_group("Staff", [ada, bob])
    site.sync()
    site.client.remove_member(staff, bob)
    site.sync()
    service = site.service()
    assert service.rollback(1, "jo") == 3
    assert site.store.load().groups[staff].members == {ada, bob}
    outcome = service.run_once()
    assert (outcome.outcome, outcome.exit_code) == (SyncResult.ON_HOLD, 12)
    assert "restored by jo" in outcome.text
    assert service.run_once(dry_run=True).removed == 1
    service.resume()
    assert service.run_once().removed == 1
    assert site.store.generations()[1].summary == "rollback to generation 1 by jo"


# ------------------------------------------------------------------ disconnect


def test_an_operators_disconnect_takes_every_group_and_re_linking_gives_the_doors_back(site: Site) -> None:
    people = site.people(15)
    staff = site.client.create_group("Staff", people)
    site.sync()
    news = SyncEventSource()
    site.events(news)
    service = site.service()
    service.disconnect("jo", "the contract ended")
    assert site.store.load().groups == {}
    assert site.events(news) == [EventName.SYNC_APPLIED, EventName.SYNC_DISCONNECTED]
    assert site.store.bindings()["Staff"].group_id == staff, "a tombstone"
    assert site.sync().outcome is SyncResult.ON_HOLD
    service.resume()
    assert service.run_once().outcome is SyncResult.APPLIED
    assert site.doors_of("Staff") == staff


def test_a_group_made_again_has_its_doors_when_the_site_file_says_its_id(site: Site) -> None:
    people = site.people(2)
    first = site.client.create_group("Staff", people[:1], externalId="ext-1")
    site.sync()
    site.client.delete(f"Groups/{first}")
    other = site.client.create_group("Staff", people)
    outcome = site.sync()
    assert site.doors_of("Staff") is None
    assert outcome.report
    assert any('the group meant by "Staff"' in warning and other in warning for warning in outcome.report.warnings)
    again = site.client.create_group("Personnel", people, externalId="ext-1")
    outcome = site.sync()
    assert site.doors_of("Staff") is None, "whoever makes a group chooses its externalId"
    assert outcome.report
    assert any(f'"id:{again}"' in warning for warning in outcome.report.warnings)
    site.references = frozenset({f"id:{again}"})
    site.sync()
    assert site.doors_of(f"id:{again}") == again


@pytest.mark.parametrize(
    ("policy", "outcome"), [("delete", SyncResult.DISCONNECTED), ("quarantine", SyncResult.QUARANTINED)]
)
def test_a_provider_that_says_for_minutes_that_it_is_gone_is_unlinked_by_policy(
    site: Site, policy: str, outcome: SyncResult
) -> None:
    people = site.people(5)
    staff = site.client.create_group("Staff", people)
    site.sync()
    news = SyncEventSource()
    site.events(news)
    site.proxy.set(GONE)
    assert site.sync(on_disconnect=policy).outcome is SyncResult.OUTAGE, "once is not yet confirmed"
    assert site.store.load().groups.keys() == {staff}
    site.now += timedelta(minutes=6)
    done = site.sync(on_disconnect=policy)
    assert done.outcome is outcome
    assert any("Staff" in line for line in (done.diff or done.held_diff))
    if policy == "quarantine":
        assert site.store.load().groups.keys() == {staff}
        assert site.sync(on_disconnect=policy).outcome is SyncResult.QUARANTINED, "it waits on"
        held = site.store.quarantine()
        assert held
        site.service().accept(held.token, "jo")
    assert site.store.load().groups == {}
    assert EventName.SYNC_DISCONNECTED in site.events(news)
    site.proxy.set()
    assert site.sync().outcome is SyncResult.APPLIED, "the provider is back"
    assert site.doors_of("Staff") == staff


def test_a_provider_that_comes_back_before_it_was_unlinked_takes_the_question_with_it(site: Site) -> None:
    site.client.create_group("Staff", site.people(3))
    site.sync()
    site.proxy.set(GONE)
    site.sync()
    site.now += timedelta(minutes=6)
    assert site.sync().outcome is SyncResult.QUARANTINED
    site.proxy.set()
    assert site.sync().outcome is SyncResult.UNCHANGED
    assert site.store.quarantine() is None


# ------------------------------------------------------------------ groups and cards


def test_a_renamed_group_keeps_its_doors_and_two_of_one_name_are_told(site: Site) -> None:
    ada, bob = site.people(2)
    staff = site.client.create_group("Staff", [ada])
    site.sync(groups=["Staff"])
    site.client.rename_group(staff, "Personnel")
    site.sync(groups=["Staff"])
    assert site.doors_of("Staff") == staff
    assert site.store.load().groups[staff].name == "Personnel"
    twins = [site.client.create_group("Vault", [one]) for one in (ada, bob)]
    site.references = frozenset({"Staff", "Vault", "Absent"})
    outcome = site.sync()
    assert outcome.report
    warnings = "\n".join(outcome.report.warnings)
    assert '2 groups are named "Vault"' in warnings
    assert all(one in warnings for one in twins)
    assert site.doors_of("Vault") is None
    assert 'no access group is called "Absent"' in warnings


def test_nested_groups_are_opened_to_eight_and_cycles_are_harmless(site: Site) -> None:
    people = site.people(11)
    inner = site.client.create_group("Level 10", people[10:])
    cycle = inner
    for depth in range(9, -1, -1):
        inner = site.client.create_group(f"Level {depth}", [people[depth], inner])
    site.client.add_member(cycle, inner)
    site.client.add_member(cycle, cycle)
    outcome = site.sync(groups=["Level 0"])
    assert site.store.load().groups[inner].members == set(people[:9])
    assert outcome.report
    assert any("deeper than 8" in warning for warning in outcome.report.warnings)


def test_every_card_that_cannot_be_used_is_in_the_status_with_its_person(site: Site) -> None:
    site.client.create_user("ada", "Ada", cards="H10301:1:70000;NOSUCH:1:2;RAW26:1A2B3C")
    site.client.create_user("bob", "Bob", cards="H10301:1:7")
    site.client.create_user("eve", "Eve", cards="H10301:1:7")
    site.client.create_group("Staff")
    site.sync()
    unusable = "\n".join(site.service().status().state.unusable)
    assert "Ada: cards, entry 1: " in unusable
    assert "Ada: cards, entry 2: " in unusable
    assert "Bob: the same card is on Eve" in unusable
    assert "Eve: the same card is on Bob" in unusable
    assert "70000" not in unusable


# ------------------------------------------------------------------ the service itself


def test_never_two_syncs_at_once_and_an_operator_waits_for_its_end(site: Site) -> None:
    site.client.create_group("Staff", site.people(1))
    service, reading, go_on = site.service(), threading.Event(), threading.Event()

    def progress(what: str, count: int) -> None:
        reading.set()
        assert go_on.wait(20)

    running = threading.Thread(target=service.run_once, kwargs={"progress": progress})
    running.start()
    assert reading.wait(20)
    assert service.status().progress == ("Users", 1)
    other = service.run_once()
    assert (other.outcome, other.exit_code) == (SyncResult.BUSY, 13)
    go_on.set()
    running.join()
    assert service.status().progress is None
    assert service.status().last != other


def test_a_bug_is_told_like_an_outage_and_leaks_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.client.create_group("Staff", site.people(1))
    site.sync()
    before = site.store.load()

    def broken(*arguments: object, **keys: object) -> None:
        raise TypeError("card 4711")

    monkeypatch.setattr("daemon.sync.service.read_directory", broken)
    outcome = site.sync()
    assert (outcome.outcome, outcome.kind) == (SyncResult.OUTAGE, "internal")
    assert "TypeError at test_operators.py" in outcome.text
    assert "4711" not in outcome.text
    assert site.store.load() == before
    assert site.service().status().state.failures == 1


def test_a_side_file_that_cannot_be_read_is_an_outage(site: Site, tmp_path: Path) -> None:
    cards = tmp_path / "cards.csv"
    ada = site.client.create_user("ada", externalId="e1")
    site.client.create_group("Staff", [ada])
    keys = {"credential": [{"side_file": str(cards)}]}
    assert site.sync(**keys).kind == "local"
    cards.write_text("externalId,cards\ne1,H10301:1:7\n")
    for mode in (0o644, 0o660, 0o604):
        cards.chmod(mode)
        refused = site.sync(**keys)
        assert (refused.kind, "chmod 0640" in refused.text) == ("local", True)
    cards.chmod(0o640)
    assert site.sync(**keys).outcome is SyncResult.APPLIED
    assert len(site.store.load().credentials) == 1
    for broken in (b"externalId,cards\ne1\n", b"\xff\xfe", b"name,cards\n"):
        cards.write_bytes(broken)
        outcome = site.sync(**keys)
        assert (outcome.kind, str(cards) in outcome.text) == ("local", True)
    assert len(site.store.load().credentials) == 1


def test_an_unchanged_directory_writes_nothing_to_the_cache(site: Site) -> None:
    people = site.people(3)
    site.client.create_group("Staff", people)
    site.sync()

    def content() -> list[bytes]:
        files = (site.store.path, site.store.path.with_name("cache.db-wal"))
        return [file.read_bytes() for file in files]

    before = content()
    assert site.sync().outcome is SyncResult.UNCHANGED
    site.proxy.set(Mode("down", "", before=lambda exchange: exchange.answer(500)))
    assert site.sync().outcome is SyncResult.OUTAGE
    assert content() == before


def test_cards_are_explained_from_the_document_as_it_is_now(site: Site) -> None:
    (ada,) = site.people(1)
    site.client.create_group("Staff", [ada])
    site.sync()
    explained = site.service().explain_cards(ada)
    assert explained.found
    assert [step.rule for step in explained.steps] == [1]
    assert "H10301, 26 bits" in explained.steps[0].cards[0]
    site.client.delete(f"Users/{ada}")
    assert not site.service().explain_cards(ada).found
