"""What is remembered of a directory from one sync to the next, beside what it holds. Pure.

docs/scim.md, "What is remembered". It is one row of cache.db; a row that cannot be read is an empty memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b

MAX_FORMER = 200_000
"""Ids of former people and groups; beyond them the oldest are forgotten."""

BY_ID = "id"
BY_NAME = "userName"


@dataclass(frozen=True, slots=True)
class Memory:
    """What one directory has shown so far. An empty one knows nothing.

    ``issuer`` is the URL whose ids the cache holds. ``members`` is what members of groups were proven to be
    written by (``BY_ID``, ``BY_NAME``). ``former`` are digests of the ids of people and groups that are gone.
    """

    issuer: str = ""
    members: str = ""
    former: tuple[str, ...] = ()
    said_active: bool = False
    """Whether anyone's ``active`` was ever written out as true."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """The page size that a list accepted, by path; 0 means without a count."""
    user_attributes: bool = False
    """Whether users have to be asked for by ``attributes=``."""
    single_users: bool = False
    """Whether users have to be read one by one."""
    single_groups: bool = False
    """Whether groups have to be read one by one."""
    contradicted: Mapping[str, int] = field(default_factory=dict)
    """Syncs in a row in which a person's own document contradicted a group, by ``contradiction``."""
    gone_since: float | None = None
    """When the whole provider answered 410 first, in seconds of Unix time."""

    def pack(self) -> bytes:
        """Return the memory as a row."""
        return json.dumps(asdict(self), separators=(",", ":"), sort_keys=True).encode()

    def with_former(self, ids: Iterable[str]) -> Memory:
        """Return the memory with these ids among those that are gone."""
        known = dict.fromkeys(self.former)
        known.update(dict.fromkeys(digest(id_) for id_ in sorted(ids)))
        former = tuple(known)[-MAX_FORMER:]
        return self if former == self.former else replace(self, former=former)


def digest(id_: str) -> str:
    """Return the short form in which an id of the past is remembered."""
    return blake2b(id_.encode(), digest_size=8).hexdigest()


def contradiction(group_id: str, person_id: str) -> str:
    """Return the key of one contradiction in ``Memory.contradicted``."""
    return digest(f"{group_id}\n{person_id}")


def unpack(row: bytes | None) -> Memory:
    """Return the memory of a row; an empty one when there is none or it cannot be read."""
    try:
        found = json.loads(row or b"{}")
        gone = found.get("gone_since")
        return Memory(
            issuer=str(found.get("issuer", "")),
            members=str(found.get("members", "")),
            former=tuple(str(one) for one in found.get("former", ())),
            said_active=found.get("said_active") is True,
            sizes={str(path): int(size) for path, size in found.get("sizes", {}).items()},
            user_attributes=found.get("user_attributes") is True,
            single_users=found.get("single_users") is True,
            single_groups=found.get("single_groups") is True,
            contradicted={str(key): int(count) for key, count in found.get("contradicted", {}).items()},
            gone_since=None if gone is None else float(gone),
        )
    except (ValueError, TypeError, AttributeError, RecursionError):
        return Memory()
