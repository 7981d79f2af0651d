"""What one fetch of a directory read, and the directory that it makes. Pure.

What its absences mean is for ``daemon.scim.evidence`` and ``cache.reconcile.reconcile`` to say.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from cache.model import Directory
from daemon.scim.groups import Groups
from daemon.scim.memory import Memory
from daemon.scim.people import People
from daemon.scim.report import FetchReport, summarise

NO_ROAD = "none"
"""The road of a directory that shows no member."""

NO_MEMBERSHIP = (
    "NO MEMBERSHIP COULD BE READ: no group shows a member by any source, so that no one can be let in or put out; "
    "check the rights of our token, or set scim.road if the groups are really empty"
)


@dataclass(slots=True)
class Snapshot:
    """What one fetch read. ``road`` is empty when no membership could be read and the site file names no road."""

    people: People
    groups: Groups
    road: str = ""
    paging: str = "index"
    page_size: int = 100
    warnings: list[str] = field(default_factory=list)
    trust: frozenset[str] = frozenset({"total", "echo", "schemas"})
    """What the server is believed in of what it says about its own pages (``scim.trust``)."""
    server_date: datetime | None = None
    """The server's clock when reading began."""
    one_page: set[str] = field(default_factory=set)
    """Lists of which the server gives one page only, whatever is asked for."""
    sizes: dict[str, int] = field(default_factory=dict)
    user_attributes: bool = False
    attributes: str = ""
    single_users: bool = False
    single_groups: bool = False
    """Page sizes that it accepts, and what is whole only when it is asked for so: for the next sync to know.

    ``attributes`` are those of users that are used.
    """
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
        """Take in what the cache knows: its ids, which are no userNames, and those who could not be read."""
        self.groups.identity.people_before = old.people.keys()
        self.groups.identity.groups_before = old.groups.keys()
        self.people.activity.before = old.people
        self.people.retain_unread(old)
        self.changed()

    def remembered(self, old: Directory) -> Memory:
        """Return what the next sync has to know of this directory, of which ``old`` was in the cache."""
        gone = (old.people.keys() - self.people.people.keys()) | (old.groups.keys() - self.groups.all.keys())
        proven = self.groups.identity.proven or self.memory.members
        said = self.memory.said_active or self.people.activity.said
        remembered = replace(
            self.memory,
            members=proven,
            said_active=said,
            contradicted=self.contradicted,
            sizes=self.sizes,
            user_attributes=self.user_attributes,
            single_users=self.single_users,
            single_groups=self.single_groups,
            gone_since=None,
        )
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
