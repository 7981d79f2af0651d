"""The mass-removal brake: which removals of a sync apply now, and which wait for an operator. Pure.

docs/scim.md, rule 5.

The rules, for each scope (people, groups, the members of each group, credentials) on its own:

1. Additions, changes and explicit deactivations are no removals: they always apply.
2. Removals that concern one person only always apply, also while those of others wait.
3. More than the limit allows in this sync, or together with the last 24 hours: all removals of the scope wait.
4. What follows from another removal (the cards of a person who is gone) is counted with that one.
5. Several groups that lose all their members in one sync are counted as removed groups are: to everybody in them
   it is the same, and it is also what a server shows to a token that may no longer see members.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from cache.changes import CredentialId, Delta, Removal, Scope
from cache.model import Directory
from cache.reconcile.limits import CountLimit, Limits, MemberLimit

T = TypeVar("T")

NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Braked:
    """A delta in two parts, why one is held, and the removals that passed and have to be remembered."""

    applied: Delta
    held: Delta
    reasons: tuple[str, ...] = ()
    passed: tuple[Removal, ...] = ()


def brake(
    old: Directory, whole: Delta, limits: Limits, recent: tuple[Removal, ...], waiting: Delta | None = None
) -> Braked:
    """Part ``whole`` by the limits; ``recent`` are the removals of 24 hours, ``waiting`` those held already."""
    brakes = _Brakes(old, limits, {(one.scope, one.group_id): one.count for one in recent}, waiting or Delta())
    held = Delta(
        people_removed=brakes.people(whole.people_removed),
        groups_removed=brakes.groups(whole.groups_removed),
        members_removed=brakes.members(whole),
        credentials_removed=brakes.credentials(whole.credentials_removed),
    )
    applied = replace(
        whole,
        people_removed=whole.people_removed - held.people_removed,
        groups_removed=whole.groups_removed - held.groups_removed,
        members_removed=_without(whole.members_removed, held.members_removed),
        credentials_removed=whole.credentials_removed - held.credentials_removed,
    )
    return Braked(applied, held, tuple(brakes.reasons), tuple(brakes.passed))


class _Brakes:
    """Each scope's brake: what of its removals is held. Keeps the reasons, and what passed."""

    def __init__(
        self, old: Directory, limits: Limits, recent: Mapping[tuple[Scope, str], int], waiting: Delta
    ) -> None:
        self._old, self._limits, self._recent, self._waiting = old, limits, recent, waiting
        self.reasons: list[str] = []
        self.passed: list[Removal] = []

    def people(self, removed: frozenset[str]) -> frozenset[str]:
        new = removed - self._waiting.people_removed
        trips = self._trips(Scope.PEOPLE, self._limits.people, len(removed), len(self._old.people), removed)
        return self._held(Scope.PEOPLE, trips, removed, new, new)

    def groups(self, removed: frozenset[str]) -> frozenset[str]:
        new = removed - self._waiting.groups_removed
        concerned, limit = self._members_of(removed), self._limits.groups
        trips = self._trips(Scope.GROUPS, limit, len(removed), len(self._old.groups), concerned)
        return self._held(Scope.GROUPS, trips, removed, new, self._members_of(new))

    def credentials(self, removed: frozenset[CredentialId]) -> frozenset[CredentialId]:
        new = removed - self._waiting.credentials_removed
        concerned, limit = _holders(removed), self._limits.credentials
        trips = self._trips(Scope.CREDENTIALS, limit, len(removed), len(self._old.credentials), concerned)
        return self._held(Scope.CREDENTIALS, trips, removed, new, _holders(new))

    def members(self, whole: Delta) -> dict[str, frozenset[str]]:
        held = self._emptied(whole)
        for id_, gone in sorted(whole.members_removed.items()):
            if id_ in held:
                continue
            group, new = self._old.groups[id_], gone - self._waiting.members_removed.get(id_, NOBODY)
            limit = self._limits.members
            trips = self._trips(Scope.MEMBERS, limit, len(gone), len(group.members), gone, id_, group.name)
            held[id_] = self._held(Scope.MEMBERS, trips, gone, new, new, id_)
        return {id_: gone for id_, gone in held.items() if gone}

    def _emptied(self, whole: Delta) -> dict[str, frozenset[str]]:
        """The members of groups that are emptied, if those are too many groups (rule 5)."""
        emptied = {id_: gone for id_, gone in whole.members_removed.items() if self._empties(whole, id_, gone)}
        limit = self._limits.groups
        if len(emptied) < 2 or len(NOBODY.union(*emptied.values())) < 2:
            return {}
        if not limit.trips(len(emptied), len(self._old.groups)):
            return {}
        self.reasons.append(f"{len(emptied)} of {len(self._old.groups)} groups would lose all their members")
        before = self._waiting.members_removed
        waiting = {id_: gone & before.get(id_, NOBODY) for id_, gone in emptied.items()}
        new = NOBODY.union(*(gone - waiting[id_] for id_, gone in emptied.items()))
        return emptied if len(new) > 1 or not any(waiting.values()) else waiting

    def _empties(self, whole: Delta, group_id: str, gone: frozenset[str]) -> bool:
        """Whether nobody would be left in the group, and nobody comes in."""
        left = self._old.groups[group_id].members - gone - whole.people_removed
        return not left and not whole.members.get(group_id)

    def _members_of(self, groups: frozenset[str]) -> frozenset[str]:
        return NOBODY.union(*(self._old.groups[id_].members for id_ in groups))

    def _trips(
        self,
        scope: Scope,
        limit: CountLimit | MemberLimit,
        removed: int,
        total: int,
        concerned: frozenset[str],
        group_id: str = "",
        group_name: str = "",
    ) -> bool:
        before = self._recent.get((scope, group_id), 0)
        now = limit.trips(removed, total)
        if len(concerned) < 2 or not (now or limit.trips(removed + before, total + before)):
            return False
        self.reasons.append(_reason(scope, limit, removed, total, 0 if now else before, group_name))
        return True

    def _held(
        self,
        scope: Scope,
        trips: bool,
        removed: frozenset[T],
        new: frozenset[T],
        concerned: frozenset[str],
        group_id: str = "",
    ) -> frozenset[T]:
        """All, none, or those that wait already when what is ``new`` concerns one person (rule 2)."""
        held: frozenset[T] = frozenset()
        if trips:
            held = removed - new if len(concerned) < 2 and new != removed else removed
        if held != removed:
            self.passed.append(Removal(scope, len(removed) - len(held), group_id))
        return held


def _holders(credentials: frozenset[CredentialId]) -> frozenset[str]:
    return frozenset(person for _, person in credentials)


def _reason(
    scope: Scope, limit: CountLimit | MemberLimit, removed: int, total: int, before: int, group_name: str
) -> str:
    what = f'members of "{group_name}"' if group_name else scope.value
    bound = f"{limit.percent:g} %"
    bound += f" or {limit.count}" if isinstance(limit, CountLimit) else f" of a group above {limit.above}"
    lately = f" and {before} more in the last 24 hours" if before else ""
    return f"{removed} of {total} {what} would be removed{lately} (limit: {bound})"


def _without(whole: Mapping[str, frozenset[str]], held: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    left = {id_: gone - held.get(id_, NOBODY) for id_, gone in whole.items()}
    return {id_: gone for id_, gone in left.items() if gone}
