"""The mass-removal brake: which removals of a sync apply now, and which wait for an operator. Pure.

docs/scim.md, rule 5.

The rules, for each scope (people, groups, the members of each group, credentials) on its own:

1. Additions, changes and explicit deactivations are no removals: they always apply.
2. Removals that concern one person only always apply.
3. More than the limit allows in this sync, or together with the last 24 hours: all removals of the scope wait.
4. What follows from another removal (the cards of a person who is gone) is counted with that one.
5. Several groups that lose all their members in one sync are counted as removed groups are: to everybody in them
   it is the same, and it is also what a server shows to a token that may no longer see members.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cache.limits import CountLimit, Limits, MemberLimit
from cache.model import Directory
from cache.plan import Delta, Removal, Scope

NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Braked:
    """A delta in two parts, why one is held, and the removals that passed and have to be remembered."""

    applied: Delta
    held: Delta
    reasons: tuple[str, ...] = ()
    passed: tuple[Removal, ...] = ()


def brake(old: Directory, whole: Delta, limits: Limits, recent: tuple[Removal, ...]) -> Braked:
    """Part ``whole`` by the limits; ``recent`` are the removals of the last 24 hours."""
    counter = _Counter({(one.scope, one.group_id): one.count for one in recent})
    held = Delta()
    if whole.people_removed and counter.trips(
        Scope.PEOPLE, limits.people, len(whole.people_removed), len(old.people), whole.people_removed
    ):
        held = replace(held, people_removed=whole.people_removed)
    if whole.groups_removed:
        concerned = NOBODY.union(*(old.groups[id_].members for id_ in whole.groups_removed))
        if counter.trips(Scope.GROUPS, limits.groups, len(whole.groups_removed), len(old.groups), concerned):
            held = replace(held, groups_removed=whole.groups_removed)
    members = _members_held(old, whole, limits, counter)
    if members:
        held = replace(held, members_removed=members)
    if whole.credentials_removed:
        concerned = frozenset(person for _, person in whole.credentials_removed)
        if counter.trips(
            Scope.CREDENTIALS, limits.credentials, len(whole.credentials_removed), len(old.credentials), concerned
        ):
            held = replace(held, credentials_removed=whole.credentials_removed)
    applied = replace(
        whole,
        people_removed=whole.people_removed - held.people_removed,
        groups_removed=whole.groups_removed - held.groups_removed,
        members_removed=_without(whole.members_removed, held.members_removed),
        credentials_removed=whole.credentials_removed - held.credentials_removed,
    )
    return Braked(applied, held, tuple(counter.reasons), tuple(counter.passed))


def _members_held(old: Directory, whole: Delta, limits: Limits, counter: _Counter) -> dict[str, frozenset[str]]:
    held = {}
    emptied = {id_ for id_, gone in whole.members_removed.items() if _empties(old, whole, id_, gone)}
    concerned = NOBODY.union(*(whole.members_removed[id_] for id_ in emptied))
    if len(emptied) > 1 and len(concerned) > 1 and limits.groups.trips(len(emptied), len(old.groups)):
        counter.reasons.append(f"{len(emptied)} of {len(old.groups)} groups would lose all their members")
        held = {id_: whole.members_removed[id_] for id_ in sorted(emptied)}
    for id_, gone in sorted(whole.members_removed.items()):
        group = old.groups[id_]
        if id_ not in held and counter.trips(
            Scope.MEMBERS, limits.members, len(gone), len(group.members), gone, id_, group.name
        ):
            held[id_] = gone
    return held


def _empties(old: Directory, whole: Delta, group_id: str, gone: frozenset[str]) -> bool:
    """Whether nobody would be left in the group, and nobody comes in."""
    return not whole.members.get(group_id) and not old.groups[group_id].members - gone - whole.people_removed


class _Counter:
    """Compares with the limits, and keeps the reasons and what passed."""

    def __init__(self, recent: Mapping[tuple[Scope, str], int]) -> None:
        self._recent = recent
        self.reasons: list[str] = []
        self.passed: list[Removal] = []

    def trips(
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
        if len(concerned) > 1 and (now or limit.trips(removed + before, total + before)):
            self.reasons.append(_reason(scope, limit, removed, total, 0 if now else before, group_name))
            return True
        self.passed.append(Removal(scope, removed, group_id))
        return False


def _reason(
    scope: Scope, limit: CountLimit | MemberLimit, removed: int, total: int, before: int, group_name: str
) -> str:
    what = f'members of "{group_name}"' if group_name else scope.value
    bound = f"{limit.percent:g} %"
    bound += f" or {limit.count}" if isinstance(limit, CountLimit) else f" of a group above {limit.above}"
    lately = f" and {before} more in the last 24 hours" if before else ""
    return f"{removed} of {total} {what} would be removed{lately} (limit: {bound})"


def _without(whole: Mapping[str, frozenset[str]], held: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    return {id_: gone for id_, gone in whole.items() if id_ not in held}
