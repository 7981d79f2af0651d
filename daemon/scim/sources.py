"""Where memberships are read: from groups, users, a filter or single resources; the first that shows anyone. Pure.

docs/scim.md, "The roads to memberships". Nothing here says what an absence means.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from daemon.scim.exchange import Fetch, OutageError, OutageKind, Request
from daemon.scim.listing import read_page
from daemon.scim.lists import CLOSED, Lists, listing_of, some
from daemon.scim.paging import read_list
from daemon.scim.resource import MalformedError
from daemon.scim.settings import ScimSettings
from daemon.scim.single import is_resource, single
from daemon.scim.snapshot import Snapshot
from daemon.scim.users import Users

GROUP_PAGE = 20
"""Groups on one page at most: their members come whole, however many they are."""

GROUP_ATTRIBUTES = ("attributes", "displayName,externalId,members")
_GROUP_HEADS = ("excludedAttributes", "members")

NO_ONE = "00000000-0000-4000-8000-6c6174636864"
"""No group's id: a server that finds users in it does not understand the filter."""

MAX_SINGLE = 200
"""Groups that are asked for one by one where only single resources are whole."""

_COMPARED = 20
"""How many groups that were listed are compared with their single form when a process begins."""

_DOUBTED = 3
"""How many groups, as people's own documents tell them, are compared with a filter at each sync."""

_STRAYS = 20
"""How many members that are no one are asked for by their id."""

_SPLIT = (*CLOSED, OutageKind.TOO_LARGE)
"""How a list of groups may fail because of one group in it."""


def _ignore(id_: str, resource: Mapping[str, object]) -> None:
    del id_, resource


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads groups, and who is in them, into a snapshot that has all users.

    ``first``: lists are compared with single resources, as when a process begins.
    """

    lists: Lists
    users: Users
    first: bool = True

    @property
    def settings(self) -> ScimSettings:
        """What the site file says."""
        return self.lists.settings

    @property
    def snapshot(self) -> Snapshot:
        """What is read so far."""
        return self.lists.snapshot

    # -------------------------------------------------------------- groups

    def memberships(self) -> Fetch[None]:
        """All groups, and who is in them, by the road that the site file names or the first that shows anyone."""
        road, groups, people = self.settings.road, self.snapshot.groups, self.snapshot.people
        if road != "auto":
            self.snapshot.road = road
        size = min(GROUP_PAGE, self.settings.page_size)
        if (yield from self._groups(size)) and road in ("auto", "members", "attributes"):
            self.snapshot.road = "single"
            return
        if road == "auto" and groups.readable(people):
            self.snapshot.road = "members"
            yield from self._compared()
        if road == "attributes" or (road == "auto" and groups.all and not groups.readable(people)):
            yield from self._by_attributes(size)
        yield from self._other_roads()

    def _groups(self, size: int) -> Fetch[bool]:
        """All groups; one by one (``True``) when the list fails because of one of them."""
        groups = self.snapshot.groups
        try:
            yield from self.lists.read("Groups", groups.take, size)
        except OutageError as error:
            if error.kind not in _SPLIT or self.settings.road in ("user_groups", "filter"):
                raise
            try:
                yield from self.lists.read(
                    "Groups", groups.take, self.settings.page_size, (_GROUP_HEADS,), "heads"
                )
            except OutageError:
                raise error from None
            self.snapshot.warnings.append(f"groups are read one by one, for the list of them fails: {error}")
            yield from self._by_single()
            return True
        return False

    def _by_attributes(self, size: int) -> Fetch[None]:
        groups, people = self.snapshot.groups, self.snapshot.people
        try:
            yield from self.lists.read("Groups", groups.take_members, size, (GROUP_ATTRIBUTES,), "members")
        except OutageError as error:
            if error.kind not in CLOSED or self.snapshot.road:
                raise
        if groups.readable(people):
            self.snapshot.road = "attributes"

    def _compared(self) -> Fetch[None]:
        """Read groups one by one if a single one shows a member that the list does not show."""
        groups = self.snapshot.groups
        if not self.first and not self.snapshot.memory.single_groups:
            return
        for id_ in some(sorted(groups.chosen), _COMPARED) if self.first else ():
            listed = {member.value for member in groups.all[id_].members}
            response = yield single("Groups", id_)
            if not is_resource(response, id_):
                return
            if not self._take(id_, response.document):
                continue
            if {member.value for member in groups.all[id_].members} > listed:
                break
        else:
            if self.first:
                return
        yield from self._by_single()
        self.snapshot.road = "single"

    def _other_roads(self) -> Fetch[None]:
        """What users say of their groups, then a filter, then single groups, if no group shows a member."""
        road = self.snapshot.road
        if road in ("members", "attributes") or not self.snapshot.groups.chosen:
            return
        if road in ("", "user_groups"):
            yield from self._by_users()
        if self.snapshot.road in ("", "filter"):
            yield from self._by_filter()
        if self.snapshot.road in ("", "single") and not self.snapshot.single_groups:
            yield from self._by_single(tentative=not self.snapshot.road)
            if self.snapshot.groups.readable(self.snapshot.people):
                self.snapshot.road = "single"

    def _by_users(self) -> Fetch[None]:
        people = self.snapshot.people
        read_so = self.snapshot.user_attributes or self.snapshot.single_users  # a list again would take cards back
        if not people.groups_of and people.people and self.first and not read_so:
            yield from self.users.with_attributes()
            self.snapshot.user_attributes = bool(people.groups_of)
        for person_id in people.groups_of:
            self.snapshot.add_groups_of(person_id)
        if not self.snapshot.memberships:
            return
        if not self.snapshot.road:
            yield from self._doubted()
        self.snapshot.road = "user_groups"

    def _doubted(self) -> Fetch[None]:
        """Warn if a filter finds others in a group than those whose own documents name it.

        docs/decisions/scim-filter-after-user-groups.md says why the filter is not simply believed.
        """
        snapshot = self.snapshot
        said = snapshot.memberships
        try:
            yield from self._understands_filters()
            for group_id in some(sorted(said, key=lambda id_: (len(said[id_]), id_)), _DOUBTED):
                found = yield from filtered_members(snapshot, group_id)
                if found and found != said[group_id]:
                    more, fewer = len(said[group_id] - found), len(found - said[group_id])
                    snapshot.warnings.append(
                        f"{more} people whose own groups name {snapshot.groups.all[group_id].name} are not found "
                        f"in it by a filter, and {fewer} others are: if groups of users are out of date, set "
                        'scim.road = "filter"'
                    )
                    return
        except OutageError:  # the comparison is no part of what is read: a real outage shows in what is
            return

    def _by_filter(self) -> Fetch[None]:
        try:
            members = yield from self._filtered()
        except OutageError as error:
            if error.kind not in CLOSED or self.snapshot.road:
                raise
            return
        if members:
            self.snapshot.road = "filter"
            self.snapshot.memberships = members

    def _filtered(self) -> Fetch[dict[str, set[str]]]:
        """Members by ``groups.value eq "…"`` on Users, once a filter that can match no one finds no one."""
        yield from self._understands_filters()
        members: dict[str, set[str]] = {}
        for group_id in sorted(self.snapshot.groups.chosen):
            found = yield from filtered_members(self.snapshot, group_id)
            if found:
                members[group_id] = found
        return members

    def _understands_filters(self) -> Fetch[None]:
        """Raise ``OutageError`` if a filter that can match no one finds someone, or is refused."""
        request = Request("Users", (("filter", f'groups.value eq "{NO_ONE}"'), ("count", "1")))
        page = read_page(request, (yield request), self.snapshot.trust)
        if page.resources or page.total not in (0, None):
            raise OutageError(
                OutageKind.NOT_SCIM,
                "/Users: the server does not understand a filter on groups.value: set scim.road",
            )

    # -------------------------------------------------------------- members that are no one

    def strays(self) -> Fetch[None]:
        """Ask for a few members that are no one: if they are there after all, the list of users is not whole."""
        snapshot, people = self.snapshot, self.snapshot.people
        if not (self.first or snapshot.one_page) or snapshot.road in ("user_groups", "filter"):
            return
        todo = some(sorted(snapshot.groups.strangers(people)), _STRAYS)
        found = 0
        for id_ in todo:
            response = yield single("Users", id_)
            if is_resource(response, id_):
                people.take(id_, response.document)
                found += 1
        if found and "Users" in snapshot.one_page:
            raise OutageError(
                OutageKind.INCOMPLETE,
                "/Users: the server does not page, and members of groups are missing in what it gives",
            )
        if found:
            snapshot.changed()
            snapshot.warnings.append(
                f"{found} of {len(todo)} members that the list of users lacks are there when asked for by id"
            )

    # -------------------------------------------------------------- single groups

    def _by_single(self, *, tentative: bool = False) -> Fetch[None]:
        """Each chosen group by itself, with those in it; one that cannot be read keeps who is in it.

        ``tentative``: give up when the first few show no one.
        """
        groups = self.snapshot.groups
        todo, seen, asked = deque(sorted(groups.chosen)), set(groups.chosen), 0
        limit = MAX_SINGLE if self.settings.road != "single" else max(MAX_SINGLE, len(todo) * 2)
        while todo and asked < limit:
            if tentative and asked == _COMPARED and not groups.readable(self.snapshot.people):
                return
            id_ = todo.popleft()
            asked += 1
            response = yield single("Groups", id_)
            if not is_resource(response, id_) or not self._take(id_, response.document):
                if not tentative:
                    groups.spoil(id_)
                continue
            inner = [
                one for one in groups.inner(id_, self.snapshot.people) if one in groups.all and one not in seen
            ]
            seen.update(inner)
            todo.extend(inner)
        if todo:
            self.snapshot.warnings.append(
                f"{len(todo)} groups are beyond the {limit} that are asked for one by one: "
                "those in them stay as they are"
            )
            for id_ in todo:
                groups.spoil(id_)
        self.snapshot.single_groups = not tentative or groups.readable(self.snapshot.people)

    def _take(self, id_: str, document: Mapping[str, object]) -> bool:
        try:
            self.snapshot.groups.take(id_, document)
        except MalformedError as error:
            self.snapshot.warnings.append(f"/Groups: one resource was skipped: {error}")
            return False
        return True


def missed_groups(snapshot: Snapshot) -> Fetch[None]:
    """Read the list of groups once more, and take what the first reading missed."""

    def take(id_: str, group: Mapping[str, object]) -> None:
        if id_ not in snapshot.groups.all:
            snapshot.groups.take(id_, group)

    parameters = (GROUP_ATTRIBUTES,) if snapshot.road == "attributes" else ()
    listing = listing_of(snapshot, "Groups", take, min(GROUP_PAGE, snapshot.page_size), parameters)
    yield from read_list(listing, snapshot.paging)


def filtered_members(snapshot: Snapshot, group_id: str) -> Fetch[set[str]]:
    """The people whom a filter on Users finds in a group. Only of use once ``NO_ONE`` was found in none."""
    if '"' in group_id or "\\" in group_id:
        return set()
    parameters = (("filter", f'groups.value eq "{group_id}"'),)
    listing = listing_of(snapshot, "Users", _ignore, snapshot.page_size, parameters)
    yield from read_list(listing, snapshot.paging)
    return listing.seen & snapshot.people.people.keys()
