"""A directory that changes while it is read: whoever is in it throughout never loses anything.

Users and group members come and go between any two pages of a real server, and everything behind them moves.
Index paging (RFC 7644 §3.4.2.4) then misses people who existed all the time; cursors (RFC 9865) do not.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cache.directory.store import Store
from daemon.sync.outcome import SyncResult
from daemon.sync.service import SyncService
from tests.peers.scim_faults.engine import Exchange, Mode
from tests.peers.scim_faults.proxy import fault_proxy
from tests.peers.scim_memory import card_attribute, holds
from tests.peers.scim_server import ScimClient, running_scim_server, user_document
from tests.peers.scim_site import sync_service

RESIDENTS = 24
PAGE = 6
NO_BRAKE = {
    "people": {"percent": 100, "count": 100_000},
    "groups": {"percent": 100, "count": 100_000},
    "members": {"percent": 100, "above": 100_000},
    "credentials": {"percent": 100, "count": 100_000},
}
"""Evidence alone has to protect people here."""


@dataclass(slots=True)
class Town:
    """Residents stay in Staff and in a group of their own; visitors come and go, and so do groups of visitors."""

    client: ScimClient
    chance: random.Random
    residents: list[str] = field(default_factory=list)
    staff: str = ""
    own: list[str] = field(default_factory=list)
    visitors: list[str] = field(default_factory=list)
    passing: list[str] = field(default_factory=list)
    moves: int = 0

    def settle(self) -> None:
        names = [user_document(self.name(), cards=card_attribute(number)) for number in range(RESIDENTS)]
        self.residents = self.client.create_many("Users", names)
        self.staff = self.client.create_group(self.name(), self.residents)
        self.own = [self.client.create_group(self.name(), [one]) for one in self.residents[:6]]
        for _ in range(14):
            self.come()
        for _ in range(5):
            self.passing.append(self.client.create_group(self.name()))

    def name(self) -> str:
        """Anywhere in the order of names."""
        return f"{self.chance.randbytes(6).hex()}"

    def come(self) -> None:
        visitor = self.client.create_user(self.name())
        self.client.add_member(self.staff, visitor)
        self.visitors.append(visitor)

    def leave(self) -> None:
        if self.visitors:
            visitor = self.visitors.pop(self.chance.randrange(len(self.visitors)))
            self.client.remove_member(self.staff, visitor)
            self.client.delete(f"Users/{visitor}")

    def move(self, exchange: Exchange) -> None:
        """Something changes before this page is read."""
        if not exchange.listing:
            return
        exchange.query["sortBy"] = "userName" if exchange.kind == "Users" else "displayName"
        self.moves += 1
        for _ in range(self.chance.randrange(3)):
            self.leave() if len(self.visitors) > 8 and self.chance.random() < 0.6 else self.come()
        if self.passing and self.chance.random() < 0.5:
            self.client.delete(f"Groups/{self.passing.pop()}")
        elif len(self.passing) < 6:
            self.passing.append(self.client.create_group(self.name(), self.visitors[:3]))


@contextmanager
def town(folder: Path, *, cursor: bool) -> Iterator[tuple[Town, Store, SyncService]]:
    with (
        running_scim_server(cursor=cursor) as server,
        server.client() as client,
        fault_proxy(server.url, server.token) as proxy,
        Store(folder / "cache.db") as store,
    ):
        made = Town(client, random.Random(1))
        made.settle()
        service = sync_service(store, proxy.url, page_size=PAGE, limits=NO_BRAKE)
        assert service.run_once().complete
        proxy.set(Mode("churn", "users come and go between pages", before=made.move))
        yield made, store, service
        proxy.set()


def live(town: Town, store: Store, service: SyncService, syncs: int) -> int:
    """So many syncs; how often a list missed someone although they were there. A healthy server proves it all."""
    missed = outages = 0
    for turn in range(syncs):
        outcome = service.run_once()
        if not outcome.complete:
            # Too many moved out of sight for the list to be believed, or all who could have borne witness left.
            assert outcome.kind == "incomplete" or outcome.outcome is SyncResult.UNPROVEN, outcome.text
            outages += 1
        cache = store.load()
        for number, one in enumerate(town.residents):
            assert holds(cache, town.staff, one, number), f"sync {turn}: resident {number} lost access"
        for group, one in zip(town.own, town.residents, strict=False):
            assert cache.groups[group].members == {one}, f"sync {turn}: a group lost its member"
        warnings = outcome.report.warnings if outcome.report else ()
        missed += sum("changed while it was read" in warning for warning in warnings)
    assert outages <= syncs // 6
    return missed


@pytest.mark.parametrize("cursor", [False, True], ids=["index", "cursor"])
def test_nobody_who_stays_loses_anything(cursor: bool, tmp_path: Path) -> None:
    with town(tmp_path, cursor=cursor) as (made, store, service):
        live(made, store, service, 6)
        assert made.moves > 6 * (RESIDENTS // PAGE)


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("cursor", [False, True], ids=["index", "cursor"])
def test_nobody_who_stays_loses_anything_in_80_syncs(cursor: bool, tmp_path: Path) -> None:
    with town(tmp_path, cursor=cursor) as (made, store, service):
        missed = live(made, store, service, 80)
        assert cursor or missed, "the test would prove nothing if the lists never missed anybody"
