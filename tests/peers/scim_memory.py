"""A healthy SCIM directory in memory, and a whole sync against it without HTTP or a database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cache.changes import patched
from cache.model import CredentialState, Directory
from cache.reconcile.limits import Brake
from cache.reconcile.reconcile import Policy, plan
from daemon.scim.evidence import confirm
from daemon.scim.exchange import Fetch, OutageError, Request, Response
from daemon.scim.fetch import read_directory
from daemon.scim.settings import ScimSettings
from daemon.scim.snapshot import Snapshot
from tests.peers.scim_faults.engine import LIST, Mode, answer
from tests.peers.scim_server import group_document, user_document
from tests.peers.scim_site import card, card_mapper

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


@dataclass(slots=True)
class MemoryScim:
    """Users and groups by id; ``ask`` answers as a well-behaved server does."""

    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    cursor: bool = False
    _next: int = 1000

    def _id(self) -> str:
        self._next += 1
        return str(self._next)

    def create_user(self, user_name: str, cards: str | None = None, **attributes: Any) -> str:
        """A new user; returns the id."""
        user_id = self._id()
        self.users[user_id] = {**user_document(user_name, None, cards, None, attributes), "id": user_id}
        return user_id

    def create_group(self, name: str, members: Sequence[str] = ()) -> str:
        """A new group; returns the id."""
        group_id = self._id()
        self.groups[group_id] = {**group_document(name, members), "id": group_id}
        return group_id

    def add_member(self, group_id: str, user_id: str) -> None:
        """Put a person into a group."""
        self.groups[group_id]["members"].append({"value": user_id})

    def remove_member(self, group_id: str, user_id: str) -> None:
        """Take a person out of a group."""
        members = self.groups[group_id]["members"]
        members[:] = [m for m in members if m["value"] != user_id]

    def set_active(self, user_id: str, active: bool) -> None:
        """Deactivate a person, or activate again."""
        self.users[user_id]["active"] = active

    def delete(self, path: str) -> None:
        """Delete ``Users/ID`` or ``Groups/ID``; a deleted user stays in ``members``, as on real servers."""
        kind, _, id_ = path.partition("/")
        del (self.users if kind == "Users" else self.groups)[id_]

    def ask(self, path: str, query: Mapping[str, str]) -> tuple[int, Any]:
        """The answer to ``GET``."""
        kind, _, id_ = path.partition("/")
        if kind == "ServiceProviderConfig":
            return 200, {"pagination": {"cursor": self.cursor, "index": True}}
        table = {"Users": self.users, "Groups": self.groups}.get(kind)
        if table is None:
            return 404, {"status": "404"}
        if id_:
            return (200, json.loads(json.dumps(table[id_]))) if id_ in table else (404, {"status": "404"})
        rows = [] if "filter" in query else [table[key] for key in sorted(table)]
        count = int(query.get("count", 7))
        start = int(query.get("cursor") or query.get("startIndex") or 1)
        page = json.loads(json.dumps(rows[start - 1 : start - 1 + count]))
        document = {"schemas": [LIST], "totalResults": len(rows), "Resources": page}
        if "cursor" in query:
            if start - 1 + len(page) < len(rows):
                document["nextCursor"] = str(start + len(page))
        else:
            document["startIndex"] = start
        return 200, document


@dataclass(frozen=True, slots=True)
class Result:
    """What one sync in memory led to: the cache afterwards, and what ``sync status`` would call it."""

    cache: Directory
    state: str
    road: str = ""
    told: Mapping[str, bool] = field(default_factory=dict)
    """What the server said of anybody's ``active`` in a way that can be understood."""


def sync_in_memory(
    server: MemoryScim, modes: Sequence[Mode], settings: ScimSettings, old: Directory, brake: Brake | None = None
) -> Result:
    """Fetch, confirm, plan and apply."""
    memory: dict[str, Any] = {}
    told: dict[str, bool] = {}

    def get(request: Request) -> Response:
        exchange = answer(modes, server.ask, memory, request.path, dict(request.parameters))
        document = None if exchange.body is not None else exchange.document
        told.update(exchange.told())
        return Response(exchange.status or 500, document)

    try:
        snapshot: Snapshot = converse(read_directory(settings, card_mapper(settings)), get)
        evidence = converse(confirm(snapshot, old), get)
    except OutageError as error:
        return Result(old, error.kind.value, told=told)
    wanted = plan(old, snapshot.directory(), evidence, Policy(brake or Brake()), NOW)
    state = "quarantined" if wanted.quarantine else "unproven" if evidence.unproven else "complete"
    return Result(patched(old, wanted.delta), state, snapshot.road or "none", told)


def converse(fetch: Fetch[Any], get: Any) -> Any:
    """Carry a conversation of the pure part to its end."""
    try:
        request = next(fetch)
        while True:
            request = fetch.send(get(request))
    except StopIteration as end:
        return end.value


def holds(cache: Directory, group_id: str, user_id: str, number: int) -> bool:
    """Whether a person has everything that opens the doors of a group: active, in it, with an active card."""
    person, group = cache.people.get(user_id), cache.groups.get(group_id)
    return (
        person is not None
        and person.active
        and group is not None
        and user_id in group.members
        and any(
            one.key == card(1, number) and one.person_id == user_id and one.state is CredentialState.ACTIVE
            for one in cache.credentials
        )
    )


def card_attribute(number: int) -> str:
    """The compact string of an H10301 card of facility 1."""
    return f"H10301:1:{number}"
