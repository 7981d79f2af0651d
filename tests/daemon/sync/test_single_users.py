"""Where only single users show cards, none is lost: at a later sync, by a restart, or when one cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import daemon.scim.users as users_module
from cache.directory.store import Store
from daemon.scim.memory import Memory, unpack
from daemon.sync.outcome import SyncOutcome, SyncResult
from daemon.sync.plan import NOTE
from daemon.sync.service import SyncService
from tests.peers.scim_faults.engine import Change, Exchange, Mode
from tests.peers.scim_faults.modes import MODES
from tests.peers.scim_faults.proxy import FaultProxy, fault_proxy
from tests.peers.scim_memory import card_attribute, holds
from tests.peers.scim_server import ScimClient, running_scim_server
from tests.peers.scim_site import sync_service

PEOPLE = 6
(NEVER_IN_LISTS,) = (mode for mode in MODES if mode.name == "extension_never_in_lists")
SETTLED = (SyncResult.APPLIED, SyncResult.UNCHANGED)


@dataclass(slots=True)
class House:
    """A few people with cards, read from a server whose lists show none; everyone is in Staff."""

    client: ScimClient
    proxy: FaultProxy
    store: Store
    people: list[str] = field(default_factory=list)
    staff: str = ""

    def process(self) -> SyncService:
        """The sync process after a restart."""
        return sync_service(self.store, self.proxy.url)

    def no_card_is_lost(self, outcome: SyncOutcome) -> None:
        assert outcome.outcome in (*SETTLED, SyncResult.UNPROVEN), outcome.text
        assert self.store.quarantine() is None
        cache = self.store.load()
        for number, one in enumerate(self.people):
            assert holds(cache, self.staff, one, number), f"{number} lost a card: {outcome.text}"

    def memory(self) -> Memory:
        return unpack(self.store.note(NOTE))

    def asked_singly(self, sync: Callable[[], SyncOutcome]) -> int:
        """How many single users one sync asks for."""
        self.proxy.requests.clear()
        self.no_card_is_lost(sync())
        return sum(request.startswith("/v2/Users/") for request in self.proxy.requests)

    def with_fault(self, change: Change) -> None:
        self.proxy.set(NEVER_IN_LISTS, Mode("", "", before=change))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with (
        running_scim_server() as server,
        server.client() as client,
        fault_proxy(server.url, server.token) as proxy,
        Store(tmp_path / "cache.db") as store,
    ):
        made = House(client, proxy, store)
        for number in range(PEOPLE):
            made.people.append(client.create_user(f"user{number}", cards=card_attribute(number)))
        made.staff = client.create_group("Staff", made.people)
        proxy.set(NEVER_IN_LISTS)
        yield made


def touch(house: House) -> None:
    """Something else changes, so that the answers are not those of the sync before."""
    house.client.create_group(f"Group {len(house.proxy.requests)}")


def test_no_card_is_lost_over_syncs_and_restarts(house: House) -> None:
    for _ in range(3):
        process = house.process()
        for _ in range(3):
            touch(house)
            house.no_card_is_lost(process.run_once())
    assert house.memory().single_users


def test_a_new_card_and_the_end_of_a_card_are_seen_at_a_later_sync(house: House) -> None:
    process = house.process()
    process.run_once()
    newcomer = house.client.create_user("newcomer", cards=card_attribute(99))
    house.client.add_member(house.staff, newcomer)
    house.client.delete(f"Users/{house.people.pop()}")
    house.no_card_is_lost(process.run_once())
    assert holds(house.store.load(), house.staff, newcomer, 99)
    assert len(house.store.load().credentials) == PEOPLE


@pytest.mark.parametrize("restart", [False, True])
def test_who_cannot_be_read_stays_as_they_are_and_the_sync_is_unproven(house: House, restart: bool) -> None:
    process = house.process()
    process.run_once()

    def fail(exchange: Exchange) -> None:
        if exchange.path == f"Users/{house.people[2]}":
            exchange.answer(500)

    house.with_fault(fail)
    process = house.process() if restart else process
    outcome = process.run_once()
    house.no_card_is_lost(outcome)
    assert outcome.outcome is SyncResult.UNPROVEN
    assert "1 people could not be read by their id" in outcome.text
    house.proxy.set(NEVER_IN_LISTS)
    assert process.run_once().complete


def test_a_server_that_shows_cards_in_its_list_again_is_read_by_it(house: House) -> None:
    process = house.process()
    process.run_once()
    house.proxy.set()
    assert house.asked_singly(process.run_once) == PEOPLE
    assert not house.memory().single_users
    touch(house)
    assert house.asked_singly(process.run_once) == 0


def test_a_directory_that_grows_too_large_for_it_loses_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = house.process()
    process.run_once()
    monkeypatch.setattr(users_module, "MAX_AGAIN", PEOPLE - 2)
    touch(house)
    outcome = process.run_once()
    house.no_card_is_lost(outcome)
    assert outcome.outcome is SyncResult.UNPROVEN
    assert "too many to be asked for one by one" in "\n".join(outcome.report.warnings if outcome.report else ())


def test_attributes_that_are_not_answered_any_more_are_read_one_by_one(house: House) -> None:
    (on_request,) = (mode for mode in MODES if mode.name == "extension_only_in_single_user")
    house.proxy.set(on_request)
    process = house.process()
    house.no_card_is_lost(process.run_once())
    assert house.memory().user_attributes
    house.proxy.set(NEVER_IN_LISTS)
    for _ in range(3):
        touch(house)
        house.no_card_is_lost(process.run_once())
    assert house.memory().single_users


def test_a_card_given_while_a_list_is_read_does_not_end_the_way_by_attributes(house: House) -> None:
    (on_request,) = (mode for mode in MODES if mode.name == "extension_only_in_single_user")
    house.proxy.set(on_request)
    process = house.process()
    late = house.client.create_user("late")
    process.run_once()
    given: list[str] = []

    def give(exchange: Exchange) -> None:
        if exchange.path == f"Users/{late}" and not given:
            given.append(late)
            house.client.set_cards(late, card_attribute(77))

    house.proxy.set(on_request, Mode("", "", before=give))
    touch(house)
    house.no_card_is_lost(process.run_once())
    assert given
    assert house.memory().user_attributes
