"""A server in memory for tests of evidence, and what stands in front of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cache.changes import patched
from cache.model import Directory
from cache.reconcile.reconcile import Evidence, changes
from daemon.scim.evidence import confirm
from daemon.scim.exchange import Request, Response
from daemon.scim.fetch import read_directory
from daemon.scim.memory import Memory
from daemon.scim.snapshot import Snapshot
from tests.peers.scim_memory import MemoryScim, converse
from tests.peers.scim_site import card_mapper, scim_settings

Change = Callable[[str, Mapping[str, str], int, Any], tuple[int, Any]]
"""Path, query, status and document to another status and document."""


@dataclass(slots=True)
class Site:
    """A server in memory, what stands in front of it, and what was asked."""

    server: MemoryScim = field(default_factory=MemoryScim)
    change: Change | None = None
    asked: list[str] = field(default_factory=list)
    keys: dict[str, Any] = field(default_factory=dict)
    snapshot: Snapshot | None = None

    def get(self, request: Request) -> Response:
        self.asked.append(request.path)
        status, document = self.server.ask(request.path, dict(request.parameters))
        if self.change is not None:
            status, document = self.change(request.path, dict(request.parameters), status, document)
        return Response(status, document)

    def confirm(self, old: Directory, memory: Memory | None = None, **more: Any) -> Evidence:
        settings = scim_settings(**self.keys)
        known_as = {id_: group.name for id_, group in old.groups.items()}
        reading = read_directory(settings, card_mapper(settings), memory=memory, known_as=known_as)
        self.snapshot = converse(reading, self.get)
        self.asked.clear()
        result: Evidence = converse(confirm(self.snapshot, old, **more), self.get)
        return result

    def sync(self, old: Directory, **more: Any) -> Directory:
        """The cache after a sync without a brake."""
        evidence = self.confirm(old, **more)
        assert self.snapshot is not None
        return patched(old, changes(old, self.snapshot.directory(), evidence))

    @property
    def warnings(self) -> str:
        assert self.snapshot is not None
        return "\n".join(self.snapshot.warnings)


def hide(*ids: str) -> Change:
    """Lists do not show these; one by one they are there."""

    hidden: dict[str, set[str]] = {}

    def change(path: str, query: Mapping[str, str], status: int, document: Any) -> tuple[int, Any]:
        if "Resources" in document:
            known = hidden.setdefault(path, set())
            known.update(row["id"] for row in document["Resources"] if row["id"] in ids)
            document["Resources"] = [row for row in document["Resources"] if row["id"] not in ids]
            document["totalResults"] -= len(known)
        return status, document

    return change


def refuse_single(change: Change, status: int, kind: str = "") -> Change:
    """What ``change`` does, and every single resource of a kind is refused."""

    def both(path: str, query: Mapping[str, str], found: int, document: Any) -> tuple[int, Any]:
        if "/" in path and path.startswith(kind):
            return status, None
        return change(path, query, found, document)

    return both


def whole(path: str, query: Mapping[str, str], status: int, document: Any) -> tuple[int, Any]:
    return status, document
