"""Single requests of one sync, to look into what is missing: a budget, and what one answer proves. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from cache.changes import Delta
from cache.model import Directory
from daemon.scim.exchange import Fetch, OutageError, OutageKind, Response
from daemon.scim.resource import MalformedError, user_groups
from daemon.scim.single import GONE, is_resource, single
from daemon.scim.snapshot import Snapshot
from daemon.scim.sources import GROUP_ATTRIBUTES

MAX_PROBES = 1000
"""Single requests of one sync; the rest waits for the next one, which is only ever the case beyond the brake."""

WITNESSES = 3
"""How many of those read last are asked for by id, and then others: the last may have been deleted meanwhile."""


@dataclass(slots=True)
class Probe:
    """Asks for single people and groups, and puts what it finds into the snapshot.

    Every method that asks raises ``OutageError``: the server is out, or does not accept our token any more.
    """

    snapshot: Snapshot
    old: Directory
    left: int = field(default_factory=lambda: MAX_PROBES)
    settled: Delta = field(default_factory=Delta)
    """What is held back or was refused by an operator: it needs no proof, and only a few are asked for."""
    ended_groups: set[str] = field(default_factory=set)
    """Groups that a list still shows and that are gone when asked for."""
    delayed: dict[str, set[str]] = field(default_factory=dict)
    """By group, people whose own document contradicts it: their membership ends some syncs later."""
    unasked: int = 0
    """How many questions there was no room for."""
    encoded: bool = False
    """Whether ids of this server are parts of a URL as they are, with ``%20`` and the like in them."""

    def ask(self, kind: str, id_: str) -> Fetch[Response | None]:
        """The answer for one resource; ``None`` when no more may be asked for in this sync."""
        if self.left <= 0:
            self.unasked += 1
            return None
        self.left -= 1
        self.snapshot.changed()
        wanted = (GROUP_ATTRIBUTES,) if kind == "Groups" and self.snapshot.road == "attributes" else ()
        if kind == "Users" and self.snapshot.user_attributes:
            wanted = (("attributes", self.snapshot.attributes),)
        response = yield single(kind, id_, *wanted, encoded=self.encoded)
        if response.status == 401:
            raise OutageError(OutageKind.UNAUTHORIZED, "the server does not accept our token (401) any more")
        return response

    def answers(self, kind: str, read: dict[str, Any]) -> Fetch[bool]:
        """Whether what was just ``read`` is found by its id; only then does a 404 mean anything.

        Those read last are the likeliest to be there still. Where nothing was read, nothing can be compared.
        Ids that are encoded already are asked for as they are, if that is how they are found.
        """
        if (yield from self._answers(kind, read)):
            return True
        if self.encoded or not any("%" in id_ for id_ in _witnesses(read)):
            return False
        self.encoded = True
        self.encoded = yield from self._answers(kind, read)
        return self.encoded

    def _answers(self, kind: str, read: dict[str, Any]) -> Fetch[bool]:
        for id_ in _witnesses(read):
            response = yield from self.ask(kind, id_)
            if response is not None and is_resource(response, id_):
                return True
        return not read

    def shows_groups(self) -> Fetch[bool]:
        """Whether single users show the groups they are in, as the list of them does."""
        for id_ in list(islice(reversed(self.snapshot.people.groups_of), WITNESSES)):
            response = yield from self.ask("Users", id_)
            if response is not None and is_resource(response, id_) and user_groups(response.document):
                return True
        return False

    def person(self, id_: str) -> Fetch[bool | None]:
        """Whether the person is there, and their document then used; ``None``: nothing is proven."""
        response = yield from self.ask("Users", id_)
        if response is None or response.status in GONE:
            return None if response is None else False
        if not is_resource(response, id_):
            return None
        try:
            self.snapshot.people.take(id_, response.document)
        except MalformedError as error:
            self.snapshot.warnings.append(f"/Users: one resource was skipped: {error}")
            return None
        return True

    def group(self, id_: str) -> Fetch[bool | None]:
        """Whether the group is there; members of an earlier reading of it count on. ``None``: unproven."""
        response = yield from self.ask("Groups", id_)
        if response is None or response.status in GONE:
            return None if response is None else False
        if not is_resource(response, id_):
            return None
        before = self.snapshot.groups.all.get(id_)
        try:
            self.snapshot.groups.take(id_, response.document)
        except MalformedError as error:
            self.snapshot.warnings.append(f"/Groups: one resource was skipped: {error}")
            return None
        if before is not None:
            self.snapshot.groups.add_members(id_, before.members)
        return True


def _witnesses(read: dict[str, Any]) -> list[str]:
    """Some who should be there: those read last, and others from all over the list."""
    last = list(islice(reversed(read), WITNESSES))
    step = max(1, len(read) // (2 * WITNESSES))
    return list(dict.fromkeys((*last, *islice(read, 0, None, step))))[: 3 * WITNESSES]


def read_user(person_id: str) -> Fetch[Mapping[str, Any] | None]:
    """Return one person's document; ``None``: there is none. Raise ``OutageError`` for any other answer."""
    response = yield single("Users", person_id)
    if response.status in GONE:
        return None
    if not is_resource(response, person_id):
        raise OutageError(OutageKind.NOT_SCIM, f"status {response.status}, and not the document of this person")
    document: Mapping[str, Any] = response.document
    return document
