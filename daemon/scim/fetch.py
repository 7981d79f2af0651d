"""One whole fetch of a directory: capabilities, groups, users, and a road by which memberships can be read. Pure.

The result is everything that was read; what its absences mean is for ``daemon.scim.evidence`` and
``cache.reconcile.reconcile`` to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from cache.model import Directory
from daemon.scim.cards import CardMapper
from daemon.scim.exchange import Fetch, OutageError, OutageKind, Request
from daemon.scim.groups import Chooser, Groups
from daemon.scim.identity import Identity
from daemon.scim.memory import Memory
from daemon.scim.paging import Listing, Take, read_list, read_page
from daemon.scim.people import People
from daemon.scim.report import FetchReport, summarise
from daemon.scim.resource import MalformedError, boolean, get, lookup
from daemon.scim.settings import ScimSettings

GROUP_PAGE = 20
"""Groups on one page at most: their members come whole, however many they are."""

GROUP_ATTRIBUTES = ("attributes", "displayName,externalId,members")

NO_ONE = "00000000-0000-4000-8000-6c6174636864"
"""No group's id: a server that finds users in it does not understand the filter."""

NO_ROAD = "none"
"""The road of a directory that shows no member."""

NO_MEMBERSHIP = (
    "NO MEMBERSHIP COULD BE READ: no group shows a member by any road, so that no one can be let in or put out; "
    "check the rights of our token, or set scim.road if the groups are really empty"
)

_DEAD_ROADS = (OutageKind.NOT_SCIM, OutageKind.INCOMPLETE, OutageKind.SERVER_ERROR, OutageKind.FORBIDDEN)
"""How a road may turn out to be closed without the server being out."""

Progress = Callable[[str, int], None]
"""Told what is being read and how many of it are there so far."""


def _silent(what: str, count: int) -> None:
    del what, count


def _ignore(id_: str, resource: Mapping[str, object]) -> None:
    del id_, resource


@dataclass(slots=True)
class Snapshot:
    """What one fetch read. ``road`` is empty when no membership could be read and the site file names no road."""

    people: People
    groups: Groups
    road: str = ""
    paging: str = "index"
    page_size: int = 100
    warnings: list[str] = field(default_factory=list)
    memory: Memory = field(default_factory=Memory)
    """What was known of this directory before; ``remembered`` is what is known now."""
    contradicted: dict[str, int] = field(default_factory=dict)
    """Contradictions that delay the end of a membership, and for how many syncs they have done so."""
    fixed: bool = False
    """Whether the site file says where memberships are read: nothing else then says anything about them."""
    memberships: dict[str, set[str]] = field(default_factory=dict)
    """Members by road ``user_groups`` or ``filter``: raw user ids by group id."""

    _made: Directory | None = None

    def changed(self) -> None:
        """Something was read after ``directory`` was made."""
        self._made = None

    def learn(self, old: Directory) -> None:
        """Take in which ids the cache knows: none of them is a userName, also if it is gone by now."""
        self.groups.identity.people_before = old.people.keys()
        self.groups.identity.groups_before = old.groups.keys()
        self.people.activity.before = old.people
        self.changed()

    def remembered(self, old: Directory) -> Memory:
        """Return what the next sync has to know of this directory, of which ``old`` was in the cache."""
        gone = (old.people.keys() - self.people.people.keys()) | (old.groups.keys() - self.groups.all.keys())
        proven = self.groups.identity.proven or self.memory.members
        said = self.memory.said_active or self.people.activity.said
        remembered = replace(self.memory, members=proven, said_active=said, contradicted=self.contradicted)
        return remembered.with_former(gone)

    def add_groups_of(self, person_id: str) -> None:
        """Believe what a user says of their own groups, also if it was said late."""
        for group_id in self.people.groups_of.get(person_id, ()):
            if group_id in self.groups.chosen:
                self.memberships.setdefault(group_id, set()).add(person_id)

    def directory(self) -> Directory:
        """The snapshot as a directory; the very same one until something has ``changed``."""
        if self._made is None:
            self._made = self._make()
        return self._made

    def _make(self) -> Directory:
        groups = self.groups.resolved(self.people)
        if self.road in ("user_groups", "filter"):
            for group_id, group in groups.items():
                found = self.memberships.get(group_id, set())
                groups[group_id] = replace(group, members=frozenset(found & self.people.people.keys()))
        return Directory(self.people.settled(), groups, self.people.credentials())

    @property
    def blind(self) -> bool:
        """Whether there are people, and groups are chosen, and no membership could be read by any road."""
        return not self.road and bool(self.groups.chosen) and bool(self.people.people)

    def report(self, directory: Directory) -> FetchReport:
        """The report to go with ``directory``."""
        blind = (NO_MEMBERSHIP,) if self.blind else ()
        warnings = (*blind, *self.warnings, *self.people.warnings(), *self.groups.warnings)
        return summarise(directory, self.road or NO_ROAD, self.paging, warnings, self.people.unusable_cards())


def read_directory(
    settings: ScimSettings,
    mapper: CardMapper,
    configured_names: Mapping[str, frozenset[str]] | None = None,
    progress: Progress = _silent,
    memory: Memory | None = None,
    known_as: Mapping[str, str] | None = None,
) -> Fetch[Snapshot]:
    """Read everything. ``configured_names`` are the site file's words for groups, by group id (see ``Chooser``).

    ``memory`` is what earlier syncs found out about this directory; ``known_as`` are the names of the groups that
    the cache has, by id.
    Raises ``OutageError`` when the directory cannot be read as a whole.
    """
    memory = memory or Memory()
    identity = Identity.of(settings.members, memory)
    groups = Groups(Chooser(settings, configured_names), identity=identity, known_as=known_as or {})
    snapshot = Snapshot(People(mapper, settings.store_names), groups, memory=memory)
    snapshot.people.activity.said_before = memory.said_active
    snapshot.fixed = settings.road != "auto"
    snapshot.page_size = settings.page_size
    if (yield from _has_cursors()):
        snapshot.paging = "cursor"
    reader = _Reader(settings, snapshot, progress)
    yield from reader.users()
    yield from reader.groups()
    yield from reader.other_roads()
    return snapshot


def _has_cursors() -> Fetch[bool]:
    """Whether ServiceProviderConfig announces cursors (RFC 9865 §4); a server without one pages by index."""
    response = yield Request("ServiceProviderConfig")
    if response.status != 200 or not isinstance(response.document, Mapping):
        return False
    found = lookup(response.document, "pagination.cursor")
    try:
        return bool(found) and boolean(found[0], "pagination.cursor")
    except MalformedError:
        return False


@dataclass(slots=True)
class _Reader:
    settings: ScimSettings
    snapshot: Snapshot
    progress: Progress

    def users(self) -> Fetch[None]:
        """All users."""
        yield from self._list("Users", self.snapshot.people.take, self.settings.page_size)

    def groups(self) -> Fetch[None]:
        """All groups, by the roads that go through them."""
        groups, people, road = self.snapshot.groups, self.snapshot.people, self.settings.road
        size = min(GROUP_PAGE, self.settings.page_size)
        yield from self._list("Groups", groups.take, size)
        if road != "auto":
            self.snapshot.road = road
        elif groups.readable(people):
            self.snapshot.road = "members"
        if road == "attributes" or (road == "auto" and groups.all and not groups.readable(people)):
            yield from self._list("Groups", groups.take_members, size, (GROUP_ATTRIBUTES,))
            if groups.readable(people):
                self.snapshot.road = "attributes"

    def other_roads(self) -> Fetch[None]:
        """What users themselves say of their groups, then a filter on users, if no group shows a member."""
        road = self.snapshot.road
        if road in ("members", "attributes") or not self.snapshot.groups.chosen:
            return
        if road != "filter":
            for person_id in self.snapshot.people.groups_of:
                self.snapshot.add_groups_of(person_id)
            if self.snapshot.memberships:
                self.snapshot.road = "user_groups"
                return
        if road != "user_groups":
            yield from self._by_filter()

    def _by_filter(self) -> Fetch[None]:
        try:
            members = yield from self._filtered()
        except OutageError as error:
            if error.kind not in _DEAD_ROADS or self.snapshot.road:
                raise
            return
        if members:
            self.snapshot.road = "filter"
            self.snapshot.memberships = members

    def _filtered(self) -> Fetch[dict[str, set[str]]]:
        """Members by ``groups.value eq "…"`` on Users, once a filter that can match nobody finds nobody."""
        request = Request("Users", (("filter", f'groups.value eq "{NO_ONE}"'), ("count", "1")))
        page = read_page(request, (yield request))
        if page.resources or page.total != 0:
            raise OutageError(
                OutageKind.NOT_SCIM,
                "/Users: the server does not understand a filter on groups.value: set scim.road",
            )
        members: dict[str, set[str]] = {}
        for group_id in sorted(self.snapshot.groups.chosen):
            found = yield from filtered_members(self.snapshot, group_id)
            if found:
                members[group_id] = found
        return members

    def _list(self, path: str, take: Take, size: int, parameters: tuple[tuple[str, str], ...] = ()) -> Fetch[None]:
        count = 0

        def taken(id_: str, resource: Mapping[str, object]) -> None:
            nonlocal count
            take(id_, resource)
            count += 1
            if count % 100 == 0:
                self.progress(path, count)

        listing = Listing(path, taken, size, parameters)
        yield from read_list(listing, self.snapshot.paging == "cursor")
        self.progress(path, count)
        self.snapshot.warnings.extend(listing.warnings)


def missed_groups(snapshot: Snapshot) -> Fetch[None]:
    """Read the list of groups once more, and take what the first reading missed."""

    def take(id_: str, group: Mapping[str, object]) -> None:
        if id_ not in snapshot.groups.all:
            snapshot.groups.take(id_, group)

    parameters = (GROUP_ATTRIBUTES,) if snapshot.road == "attributes" else ()
    listing = Listing("Groups", take, min(GROUP_PAGE, snapshot.page_size), parameters)
    yield from read_list(listing, snapshot.paging == "cursor")


def filtered_members(snapshot: Snapshot, group_id: str) -> Fetch[set[str]]:
    """The people whom a filter on Users finds in a group. Only of use once ``NO_ONE`` was found in none."""
    if '"' in group_id or "\\" in group_id:
        return set()
    parameters = (("filter", f'groups.value eq "{group_id}"'), ("attributes", "userName"))
    listing = Listing("Users", _ignore, snapshot.page_size, parameters)
    yield from read_list(listing, snapshot.paging == "cursor")
    return listing.seen & snapshot.people.people.keys()


def directory_of(
    document: Mapping[str, object],
    settings: ScimSettings,
    mapper: CardMapper,
    configured_names: Mapping[str, frozenset[str]] | None = None,
) -> Snapshot:
    """A snapshot of ``{"Users": […], "Groups": […]}``: the same mapping without a server, for scenarios.

    ``MalformedError`` names the first resource that cannot be read: a scenario has no excuse.
    """
    groups = Groups(Chooser(settings, configured_names), identity=Identity.of(settings.members, Memory()))
    snapshot = Snapshot(People(mapper, settings.store_names), groups, road="members")
    for name, take in (("Groups", snapshot.groups.take), ("Users", snapshot.people.take)):
        resources = get(document, name) or []
        if not isinstance(resources, list):
            raise MalformedError(f"{name} is not a list")
        for position, resource in enumerate(resources, start=1):
            try:
                if not isinstance(resource, Mapping):
                    raise MalformedError("it is not an object")  # noqa: TRY301
                take(str(get(resource, "id") or ""), resource)
            except MalformedError as error:
                raise MalformedError(f"{name}, entry {position}: {error}") from None
    return snapshot
