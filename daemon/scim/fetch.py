"""One whole fetch of a directory: capabilities, users, groups, and a road by which memberships can be read. Pure.

The result is everything that was read; what its absences mean is for ``daemon.scim.evidence`` and
``cache.reconcile.reconcile`` to say.
"""

from __future__ import annotations

from collections.abc import Mapping

from daemon.scim.attributes import user_attributes
from daemon.scim.cards import CardMapper
from daemon.scim.exchange import Fetch, OutageError, OutageKind, Request
from daemon.scim.groups import Chooser, Groups
from daemon.scim.identity import Identity
from daemon.scim.lists import Lists, Progress, silent
from daemon.scim.memory import Memory
from daemon.scim.people import People
from daemon.scim.resource import MalformedError, boolean, get, lookup
from daemon.scim.settings import ScimSettings
from daemon.scim.snapshot import Snapshot
from daemon.scim.sources import Reader
from daemon.scim.users import Users


def read_directory(
    settings: ScimSettings,
    mapper: CardMapper,
    configured_names: Mapping[str, frozenset[str]] | None = None,
    progress: Progress = silent,
    memory: Memory | None = None,
    known_as: Mapping[str, str] | None = None,
    *,
    first: bool = True,
) -> Fetch[Snapshot]:
    """Read everything. ``configured_names`` are the site file's words for groups, by group id (see ``Chooser``).

    ``memory`` is what earlier syncs found out about this directory; ``known_as`` are the names of the groups that
    the cache has, by id; ``first`` is the first sync of a process, which looks into what lists do not show.
    Raises ``OutageError`` when the directory cannot be read as a whole; it names those who were read as
    deactivated, if at least the users were whole.
    """
    memory = memory or Memory()
    identity = Identity.of(settings.members, memory)
    groups = Groups(Chooser(settings, configured_names), identity=identity, known_as=known_as or {})
    snapshot = Snapshot(People(mapper, settings.store_names), groups, memory=memory)
    snapshot.people.activity.said_before = memory.said_active
    snapshot.fixed = settings.road != "auto"
    snapshot.page_size = settings.page_size
    snapshot.trust = frozenset(settings.trust)
    snapshot.user_attributes = memory.user_attributes
    snapshot.attributes = ",".join(user_attributes(settings))
    snapshot.sizes = dict(memory.sizes)
    cursors = yield from _has_cursors(snapshot)
    snapshot.paging = settings.paging if settings.paging != "auto" else "cursor" if cursors else "index"
    lists = Lists(settings, snapshot, progress)
    users = Users(lists, first)
    reader = Reader(lists, users, first)
    try:
        yield from users.read()
    except OutageError as error:
        raise (yield from _really_gone(error)) from None
    try:
        yield from reader.memberships()
        yield from reader.strays()
    except OutageError as error:
        found = yield from _really_gone(error)
        found.leavers = frozenset(snapshot.people.activity.refused)
        raise found from None
    return snapshot


def _has_cursors(snapshot: Snapshot) -> Fetch[bool]:
    """Whether ServiceProviderConfig announces cursors (RFC 9865 §4); a server without one pages by index."""
    response = yield Request("ServiceProviderConfig")
    snapshot.server_date = response.date
    if response.status != 200 or not isinstance(response.document, Mapping):
        return False
    found = lookup(response.document, "pagination.cursor")
    try:
        return bool(found) and boolean(found[0], "pagination.cursor")
    except MalformedError:
        return False


def _really_gone(error: OutageError) -> Fetch[OutageError]:
    """Return what a 410 means: that the provider is gone only if it is the answer to everything."""
    if error.kind is not OutageKind.GONE:
        return error
    for path in ("ServiceProviderConfig", "Users", "Groups"):
        try:
            response = yield Request(path, () if path == "ServiceProviderConfig" else (("count", "1"),))
        except OutageError as other:
            return other
        if response.status != 410:
            text = f"{error}, but /{path} answers with status {response.status}: that is no disconnect"
            return OutageError(OutageKind.SERVER_ERROR, text)
    return error


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
