"""Users, where a list may lack what single ones show: by ``attributes=``, and one by one as the last way. Pure.

docs/scim.md, "Users one by one".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from daemon.scim.exchange import Fetch, OutageError
from daemon.scim.lists import CLOSED, Lists, some
from daemon.scim.people import People
from daemon.scim.resource import MalformedError
from daemon.scim.single import is_resource, single

MAX_FIRST, MAX_AGAIN = 200, 400
"""Users that are asked for one by one: for the first time, and where that was how they were read before."""

_COMPARED = 20
"""How many of those that were listed are compared with their single form."""


@dataclass(frozen=True, slots=True)
class Users:
    """Reads all users. ``first``: the list is compared with single users, as when a process begins."""

    lists: Lists
    first: bool = True

    def read(self) -> Fetch[None]:
        """Read all users, with the attributes that some servers give only when they are asked for."""
        snapshot = self.lists.snapshot
        by_attributes = snapshot.memory.user_attributes and not snapshot.memory.single_users
        if by_attributes and (yield from self.with_attributes()):
            return
        yield from self._list()
        if snapshot.memory.single_users:
            yield from self._one_by_one(MAX_AGAIN)
            return
        lacking = (self.first or by_attributes) and (yield from self._lacking())
        if lacking and (by_attributes or not (yield from self.with_attributes())):
            yield from self._one_by_one(MAX_FIRST)

    def _list(self, *parameters: tuple[str, str]) -> Fetch[None]:
        people, size = self.lists.snapshot.people, self.lists.settings.page_size
        yield from self.lists.read("Users", people.take, size, parameters)

    def with_attributes(self) -> Fetch[bool]:
        """Read users by ``attributes=``; whether the server does that.

        Someone may have changed between the list and the comparison: it is only believed twice.
        """
        snapshot = self.lists.snapshot
        snapshot.user_attributes = False
        for _ in range(2):
            try:
                yield from self._list(("attributes", snapshot.attributes))
            except OutageError as error:
                if error.kind not in CLOSED:
                    raise
                return False
            if not (yield from self._lacking()):
                snapshot.user_attributes = True
                return True
        return False

    def _lacking(self) -> Fetch[bool]:
        """Whether single users have something that is used and that the list does not show."""
        people = self.lists.snapshot.people
        for id_ in some(list(people.people), _COMPARED):
            found = yield from self._single(id_)
            if found is not None and _shows_more(found[0], people, id_):
                return True
        return False

    def _one_by_one(self, limit: int) -> Fetch[None]:
        """Read users singly. Whoever cannot be read so is as the cache has them, if that is how they were read.

        It goes on so at the next sync, unless this one has shown that the list is whole after all.
        """
        snapshot = self.lists.snapshot
        people, before = snapshot.people, snapshot.memory.single_users
        if len(people.people) > limit:
            rest = "cards of the others stay as they are" if before else "what is missing is not used"
            snapshot.warnings.append(
                f"single users have attributes that the list does not show, also by attributes=, and "
                f"{len(people.people)} are too many to be asked for one by one: {rest}"
            )
            if not before:
                return
        listed, more = bool(people.cards), False
        for position, id_ in enumerate(list(people.people)):
            found = (yield from self._single(id_)) if position < limit else None
            if found is None:
                people.unread.add(id_)
            else:
                more = more or _shows_more(found[0], people, id_)
                people.take(id_, found[1])
        snapshot.single_users = more or not listed or bool(people.unread)

    def _single(self, id_: str) -> Fetch[tuple[People, Mapping[str, Any]] | None]:
        """One user read by their id, apart from all others, and the document; ``None``: it could not be read."""
        people = self.lists.snapshot.people
        response = yield single("Users", id_)
        if not is_resource(response, id_):
            return None
        alone = People(people.mapper, people.store_names)
        try:
            alone.take(id_, response.document)
        except MalformedError:
            return None
        return alone, response.document


def _shows_more(alone: People, listed: People, id_: str) -> bool:
    """Whether a single user shows cards, ``active`` or groups that the list does not show of them."""
    cards = id_ in alone.cards and id_ not in listed.cards
    active = id_ in listed.activity.silent and id_ not in alone.activity.silent
    groups = id_ in alone.groups_of and id_ not in listed.groups_of
    return cards or active or groups
