"""A lost membership is a claim, too: it has ended when two readings by the road that was taken miss it. Pure.

docs/scim.md, rule 3, and docs/decisions/scim-missing-members.md.

By groups: the group, with every group in it, is read again. By users: the person is. By filter: it is asked again.
What could not be read again has not ended. A person whose own document says that they are in the group stays for
some syncs more. A group that is listed and is gone when it is asked for has ended with all its memberships.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from cache.reconcile.reconcile import missing
from daemon.scim.exchange import Fetch
from daemon.scim.memory import contradiction
from daemon.scim.probe import Probe
from daemon.scim.snapshot import Snapshot
from daemon.scim.sources import filtered_members, missed_groups

ASKED_SINGLY = 20
"""Members that are nobody known, up to which each is asked for by itself."""

LAST = 2
"""People who may be the last of all to leave: more at once are what a token shows that sees no members."""

PATIENCE = 3
"""Syncs for which a person's own document keeps them in a group that no longer lists them."""

Ended = dict[str, frozenset[str]]
"""By group id, the people whose membership has ended."""


def ended_memberships(probe: Probe, seen_at: datetime | None) -> Fetch[Ended]:
    """Every membership of the cache that has ended, although both the person and the group are there."""
    lost = _lost(probe)
    if not lost:
        return {}
    road = probe.snapshot.road
    if not road:
        return (yield from _last_of_all(probe, lost, seen_at))
    if road == "user_groups":
        return (yield from _by_users(probe, lost))
    if road == "filter":
        return (yield from _by_filter(probe, lost))
    return (yield from _by_groups(probe, lost))


def _lost(probe: Probe) -> Mapping[str, frozenset[str]]:
    claimed = missing(probe.old, probe.snapshot.directory()).members
    settled = probe.settled.members_removed
    lost = {id_: gone - settled.get(id_, frozenset()) for id_, gone in claimed.items()}
    lost = {id_: gone for id_, gone in lost.items() if gone}
    identity = probe.snapshot.groups.identity
    if not identity.doubtful:
        return lost
    # Whom a group still names by userName stays until an operator says what this directory writes.
    left = {group_id: gone - identity.doubtful.get(group_id, set()) for group_id, gone in lost.items()}
    return {group_id: gone for group_id, gone in left.items() if gone}


def _by_groups(probe: Probe, lost: Mapping[str, frozenset[str]]) -> Fetch[Ended]:
    """Read the groups again, with those nested in them; then ask who contradicts.

    A member that is nobody known may be a group that the list missed. A few are asked for; many are people who
    left long ago, as some servers keep them, and then the list of groups is read again instead.
    """
    groups, people = probe.snapshot.groups, probe.snapshot.people
    read: dict[str, bool] = {}
    if len(groups.unknown(lost, people)) > ASKED_SINGLY:
        yield from missed_groups(probe.snapshot)
        probe.snapshot.changed()
        read = dict.fromkeys(groups.unknown(lost, people), True)
    again = set()
    gone = set()
    for group_id in sorted(lost):
        if (yield from _whole(probe, group_id, read)):
            again.add(group_id)
        elif group_id in read and group_id not in groups.all:
            gone.add(group_id)
    if gone and (yield from _answers(probe, gone)):
        probe.ended_groups |= gone
    ended = {group_id: gone for group_id, gone in _lost(probe).items() if group_id in again}
    return (yield from _uncontradicted(probe, ended))


def _whole(probe: Probe, group_id: str, read: dict[str, bool]) -> Fetch[bool]:
    """Read one group again, with every group in it; whether all told who is in them. ``read`` remembers."""
    whole, todo, seen = True, [group_id], {group_id}
    while todo:
        one = todo.pop()
        if one not in read:
            there = yield from probe.group(one)
            if there is False:
                probe.snapshot.groups.forget(one)  # a group that is gone holds no one
            listed = probe.snapshot.groups.all.get(one)
            readable = listed is None or listed.members_readable
            read[one] = (bool(there) or (there is False and one != group_id)) and readable
        whole = whole and read[one]
        inner = [id_ for id_ in probe.snapshot.groups.inner(one, probe.snapshot.people) if id_ not in seen]
        seen.update(inner)
        todo += inner
    return whole


def _answers(probe: Probe, gone: set[str]) -> Fetch[bool]:
    """Whether the server finds another group by its id, or else a person: a 404 means something then."""
    groups, people = probe.snapshot.groups.all, probe.snapshot.people.people
    others = {id_: group for id_, group in groups.items() if id_ not in gone}
    if others:
        return (yield from probe.answers("Groups", others))
    return bool(people) and (yield from probe.answers("Users", people))


def _uncontradicted(probe: Probe, ended: Ended) -> Fetch[Ended]:
    """Leave out who says otherwise, for ``PATIENCE`` syncs; asked again, because their document may be older.

    Where the site file says what to read, nothing else is listened to.
    """
    if probe.snapshot.fixed:
        return ended
    said = probe.snapshot.people.groups_of
    doubtful = {one for group_id, people in ended.items() for one in people if group_id in said.get(one, ())}
    for person_id in sorted(doubtful):
        yield from probe.person(person_id)
    kept = set()
    for group_id, people in ended.items():
        for one in people & doubtful:
            if group_id in said.get(one, ()) and _delays(probe.snapshot, group_id, one):
                kept.add((group_id, one))
                probe.delayed.setdefault(group_id, set()).add(one)
    if kept:
        count = len({one for _, one in kept})
        probe.snapshot.warnings.append(
            f"{count} people say themselves that they are in a group that no longer lists them: they stay in it "
            f"for {PATIENCE} syncs; set scim.road if the group is right"
        )
    return {g: frozenset(one for one in people if (g, one) not in kept) for g, people in ended.items()}


def _delays(snapshot: Snapshot, group_id: str, person_id: str) -> bool:
    """Whether a contradiction delays the end of a membership once more."""
    key = contradiction(group_id, person_id)
    before = snapshot.memory.contradicted.get(key, 0)
    snapshot.contradicted[key] = before + 1
    return before < PATIENCE


def _by_users(probe: Probe, lost: Mapping[str, frozenset[str]]) -> Fetch[Ended]:
    """Ask each person once more which groups they are in, if single users say that at all."""
    if not probe.snapshot.fixed and not (yield from probe.shows_groups()):
        probe.snapshot.warnings.append("single users do not show their groups: no membership ends")
        return {}
    again = set()
    for person_id in sorted(frozenset().union(*lost.values())):
        if (yield from probe.person(person_id)):
            again.add(person_id)
            probe.snapshot.add_groups_of(person_id)
    return {group_id: people & again for group_id, people in _lost(probe).items() if people & again}


def _by_filter(probe: Probe, lost: Mapping[str, frozenset[str]]) -> Fetch[Ended]:
    """Ask the filter once more; what either answer shows counts."""
    again = set()
    for group_id in sorted(lost):
        if probe.left <= 0:
            probe.unasked += 1
            continue
        probe.left -= 1
        probe.snapshot.changed()
        found = yield from filtered_members(probe.snapshot, group_id)
        probe.snapshot.memberships.setdefault(group_id, set()).update(found)
        again.add(group_id)
    return {group_id: people for group_id, people in _lost(probe).items() if group_id in again}


def _last_of_all(probe: Probe, lost: Mapping[str, frozenset[str]], seen_at: datetime | None) -> Fetch[Ended]:
    """No road shows any member: either our token may not see them, or the last one of all was taken out.

    It is the latter if so few are concerned, and each of their groups was changed since members were seen last.
    """
    concerned = frozenset().union(*lost.values())
    modified = [probe.snapshot.groups.all[group_id].modified for group_id in lost]
    if len(concerned) <= LAST and seen_at and all(at is not None and at > seen_at for at in modified):
        return (yield from _by_groups(probe, lost))
    probe.snapshot.warnings.append(
        f"{sum(map(len, lost.values()))} memberships stay as they are: no source shows any"
    )
    return {}
