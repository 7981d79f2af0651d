"""Absence is a claim: who and what is merely missing from a fetch is asked for one by one (SCIM.md rule 3). Pure.

404 or 410 proves that a person or group is gone. An answer with the resource keeps it, and the answer is used.
Anything else proves nothing, and what is not proven stays as the cache has it. A lost member is proven by reading
the group again, and only if this directory shows any member at all by the road that was taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from cache.model import Directory
from cache.reconcile import Evidence, missing
from daemon.scim.fetch import GROUP_ATTRIBUTES, Snapshot, filtered_members
from daemon.scim.resource import MalformedError, identifier
from daemon.scim.wire import Fetch, OutageError, OutageKind, Request, Response

MAX_PROBES = 1000
"""Single requests of one sync; more wait for the next one, which is only ever the case beyond the brake."""

GONE = (404, 410)


def confirm(snapshot: Snapshot, old: Directory) -> Fetch[Evidence]:
    """Look into every absence of ``snapshot`` against ``old``; what is found to exist is added to the snapshot.

    An outage meanwhile ends the questions, not the sync: the rest is unproven. Only a refusal of our token is
    passed on as ``OutageError``.
    """
    probe = _Probe(snapshot, old)
    try:
        yield from probe.people()
        yield from probe.groups()
        yield from probe.members()
    except OutageError as error:
        if error.kind is OutageKind.UNAUTHORIZED:
            raise
        snapshot.warnings.append(f"not everything that is missing could be looked into: {error}")
    return Evidence(frozenset(probe.people_gone), frozenset(probe.groups_gone), probe.ended)


@dataclass(slots=True)
class _Probe:
    snapshot: Snapshot
    old: Directory
    left: int = MAX_PROBES
    people_gone: set[str] = field(default_factory=set)
    groups_gone: set[str] = field(default_factory=set)
    ended: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def warnings(self) -> list[str]:
        return self.snapshot.warnings

    # -------------------------------------------------------------- people

    def people(self) -> Fetch[None]:
        """Everybody of the cache who was not read."""
        here = self.snapshot.people.people
        absent = sorted(self.old.people.keys() - here.keys())
        if not absent:
            return
        trusted = yield from self._answers_for_one(next(iter(here), None))
        if not trusted:
            self.warnings.append(
                "the server does not answer for single users: nobody who is missing from its list is taken out"
            )
            return
        for person_id in self._within(absent, "people"):
            response = yield Request(f"Users/{_quoted(person_id)}")
            self._person(person_id, response)

    def _answers_for_one(self, person_id: str | None) -> Fetch[bool]:
        """Whether a person who is certainly there is found by id; only then does a 404 mean anything."""
        if person_id is None:
            return True
        response = yield Request(f"Users/{_quoted(person_id)}")
        return _is(response, person_id)

    def _person(self, person_id: str, response: Response) -> None:
        if response.status in GONE:
            self.people_gone.add(person_id)
        elif response.status == 401:
            raise OutageError(OutageKind.UNAUTHORIZED, "the server does not accept our token (401) any more")
        elif _is(response, person_id):
            try:
                self.snapshot.people.take(person_id, response.document)
            except MalformedError as error:
                self.warnings.append(f"/Users: one resource was skipped: {error}")

    # -------------------------------------------------------------- groups

    def groups(self) -> Fetch[None]:
        """Every access group of the cache that was not read. One that was, but is not chosen, is no absence."""
        absent = self.old.groups.keys() - self.snapshot.groups.all.keys()
        self.groups_gone.update(self.old.groups.keys() - self.snapshot.groups.chosen - absent)
        for group_id in self._within(sorted(absent), "groups"):
            response = yield self._group_request(group_id)
            if response.status in GONE:
                self.groups_gone.add(group_id)
            elif _is(response, group_id):
                self._take_group(group_id, response)

    def _group_request(self, group_id: str) -> Request:
        wanted = (GROUP_ATTRIBUTES,) if self.snapshot.road == "attributes" else ()
        return Request(f"Groups/{_quoted(group_id)}", wanted)

    def _take_group(self, group_id: str, response: Response) -> bool:
        try:
            self.snapshot.groups.take(group_id, response.document)
        except MalformedError as error:
            self.warnings.append(f"/Groups: one resource was skipped: {error}")
            return False
        if group_id not in self.snapshot.groups.chosen:
            self.groups_gone.add(group_id)
        return True

    # -------------------------------------------------------------- members

    def members(self) -> Fetch[None]:
        """Every membership of the cache that was not read although both the person and the group were."""
        lost = missing(self.old, self.snapshot.directory()).members
        if not lost:
            return
        if not self.snapshot.road:
            count = sum(map(len, lost.values()))
            self.warnings.append(
                f"no group shows a member by any road: {count} memberships are kept; check the rights of our token"
            )
            return
        if self.snapshot.road in ("members", "attributes"):
            unread = yield from self._read_again(lost)
            lost = missing(self.old, self.snapshot.directory()).members
            lost = {group_id: people for group_id, people in lost.items() if group_id not in unread}
        elif self.snapshot.road == "user_groups":
            yield from self._read_users_again(sorted(set().union(*lost.values())))
            lost = missing(self.old, self.snapshot.directory()).members
        elif self.snapshot.road == "filter":
            yield from self._filter_again(lost)
            lost = missing(self.old, self.snapshot.directory()).members
        self.ended = lost

    def _read_again(self, lost: Mapping[str, frozenset[str]]) -> Fetch[set[str]]:
        """Read the groups again, with those nested in them; returns the ones that could not be."""
        unread = set(lost)
        read: dict[str, bool] = {}
        for group_id in self._within(sorted(lost), "groups"):
            whole = True
            for one in self.snapshot.groups.reachable(group_id):
                if one not in read:
                    response = yield self._group_request(one)
                    read[one] = self._group(group_id, one, response)
                whole = whole and read[one]
            if whole:
                unread.discard(group_id)
        return unread

    def _read_users_again(self, people: Iterable[str]) -> Fetch[None]:
        """Ask each person once more which groups they are in."""
        for person_id in self._within(people, "people"):
            response = yield Request(f"Users/{_quoted(person_id)}")
            self._person(person_id, response)
            self.snapshot.add_groups_of(person_id)

    def _filter_again(self, lost: Iterable[str]) -> Fetch[None]:
        """Ask the filter once more; what either answer shows counts."""
        for group_id in self._within(sorted(lost), "groups"):
            found = yield from filtered_members(self.snapshot, group_id)
            self.snapshot.memberships.setdefault(group_id, set()).update(found)

    def _group(self, group_id: str, one: str, response: Response) -> bool:
        """Whether the answer tells who is in ``one``: nobody, if it is a nested group that is gone.

        Who was there at the first reading stays: only what both readings miss has ended.
        """
        if one != group_id and response.status in GONE:
            self.snapshot.groups.forget(one)
            return True
        before = self.snapshot.groups.all.get(one)
        if not (_is(response, one) and self._take_group(one, response)):
            return False
        if before is not None:
            self.snapshot.groups.add_members(one, before.members)
        return True

    def _within(self, ids: Iterable[str], what: str) -> list[str]:
        """As many as may still be asked for in this sync."""
        found = list(ids)
        asked = found[: self.left]
        self.left -= len(asked)
        if len(asked) < len(found):
            self.warnings.append(f"{len(found) - len(asked)} missing {what} are looked into next time")
        return asked


def _is(response: Response, wanted: str) -> bool:
    """Whether the answer is the resource of this id."""
    if response.status != 200 or not isinstance(response.document, Mapping):
        return False
    try:
        return identifier(response.document) == wanted
    except MalformedError:
        return False


def _quoted(identifier_: str) -> str:
    """The id as one path segment."""
    return quote(identifier_, safe="")
