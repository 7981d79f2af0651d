"""Absence is a claim: who and what is merely missing from a fetch is asked for one by one. Pure.

docs/scim.md, rule 3.

404 or 410 proves that a person or group is gone. An answer with the resource keeps it, and the answer is used.
Anything else proves nothing, and what is not proven stays as the cache has it. None of it counts unless the server
finds what is certainly there by its id, too. ``daemon.scim.evidence_members`` is about memberships.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cache.changes import Delta
from cache.model import Directory
from cache.reconcile.reconcile import Evidence, missing
from daemon.scim.evidence_members import ended_memberships
from daemon.scim.exchange import Fetch, OutageError, OutageKind
from daemon.scim.probe import Probe
from daemon.scim.snapshot import Snapshot

MANY = 200
"""Missing people of whom so many are asked for, when they are more than may be asked for; an operator decides."""

SAMPLE = 10
"""Of what waits for an operator, how much is asked for in each sync: it may be there again."""

NOTHING = Delta()


def confirm(
    snapshot: Snapshot,
    old: Directory,
    seen_at: datetime | None = None,
    settled: Delta = NOTHING,
) -> Fetch[Evidence]:
    """Look into every absence of ``snapshot`` against ``old``; what is found to exist is added to the snapshot.

    ``seen_at`` is when the last sync ended that saw memberships, if it is known; ``settled`` is what is held back
    or refused already, which is not asked for again but for a few. An outage meanwhile ends the questions, not the
    sync: the rest is unproven. Only a refusal of our token is passed on as ``OutageError``.
    """
    snapshot.learn(old)
    probe = Probe(snapshot, old, settled=settled)
    found = _Found()
    try:
        yield from _people(probe, found)
        yield from _groups(probe, found)
        found.ended = yield from ended_memberships(probe, seen_at)
    except OutageError as error:
        if error.kind is OutageKind.UNAUTHORIZED:
            raise
        snapshot.warnings.append(f"not everything that is missing could be looked into: {error}")
    if probe.unasked:
        snapshot.warnings.append(f"{probe.unasked} more that are missing are looked into next time")
    found.groups |= probe.ended_groups
    unproven = _unproven(probe, found)
    presumed = frozenset(found.presumed)
    return Evidence(frozenset(found.people), frozenset(found.groups), found.ended, presumed, unproven)


@dataclass(slots=True)
class _Found:
    """What was proven so far."""

    people: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    ended: Mapping[str, frozenset[str]] = field(default_factory=dict)
    presumed: set[str] = field(default_factory=set)
    """People of whom too many are missing to ask for each, while all that were asked for are gone."""


def _unproven(probe: Probe, found: _Found) -> tuple[str, ...]:
    """Say what is missing and was neither found nor proven gone. Who waits for an operator is proven already."""
    snapshot = probe.snapshot
    left, settled = missing(probe.old, snapshot.directory()), probe.settled
    words = []
    for count, what in (
        (len(left.people - found.people - found.presumed - settled.people_removed), "people"),
        (len(left.groups - found.groups - settled.groups_removed), "groups"),
        (sum(_undecided(probe, found, group_id, gone) for group_id, gone in left.members.items()), "memberships"),
    ):
        if count:
            words.append(f"{count} {what} are missing and could not be looked into")
    if snapshot.people.unread:
        words.append(
            f"{len(snapshot.people.unread)} people could not be read by their id, and the list does not show "
            "their cards: they stay as they are"
        )
    if snapshot.blind:
        words.append("no group shows a member by any source")
    if snapshot.people.activity.vanished:
        words.append("no one's active is sent any more")
    return tuple(words)


def _undecided(probe: Probe, found: _Found, group_id: str, gone: frozenset[str]) -> int:
    delayed = probe.delayed.get(group_id, set()) | probe.settled.members_removed.get(group_id, frozenset())
    return len(gone - found.ended.get(group_id, frozenset()) - delayed)


def _people(probe: Probe, found: _Found) -> Fetch[None]:
    """Everyone of the cache who was not read. Of those whose removal waits only a few: they are proven already."""
    here = probe.snapshot.people.people
    missed = probe.old.people.keys() - here.keys()
    absent = sorted(missed - probe.settled.people_removed)
    known = sorted(missed & probe.settled.people_removed)[:SAMPLE]
    if not absent and not known:
        return
    if not (yield from probe.answers("Users", here)):
        if absent:
            probe.snapshot.warnings.append(
                "the server does not answer for single users: no one who is missing from its list is taken out"
            )
        return
    asked = _spread(absent, MANY) if len(absent) > max(MANY, probe.left) else absent
    yield from _ask(probe, found, asked)
    rest = sorted(set(absent) - set(asked))
    if len(found.people) == len(asked):
        found.presumed |= set(rest)
    else:
        yield from _ask(probe, found, rest)
    for person_id in known:
        yield from probe.person(person_id)


def _ask(probe: Probe, found: _Found, people: list[str]) -> Fetch[None]:
    for person_id in people:
        if (yield from probe.person(person_id)) is False:
            found.people.add(person_id)


def _spread(ids: list[str], count: int) -> list[str]:
    """``count`` of ``ids``, from all over the list."""
    return [ids[position * len(ids) // count] for position in range(count)]


def _groups(probe: Probe, found: _Found) -> Fetch[None]:
    """Every access group of the cache that was not read. One that was, but is not chosen, is no absence."""
    groups = probe.snapshot.groups
    missed = probe.old.groups.keys() - groups.all.keys()
    absent = [
        *sorted(missed - probe.settled.groups_removed),
        *sorted(missed & probe.settled.groups_removed)[:SAMPLE],
    ]
    found.groups |= probe.old.groups.keys() - groups.chosen - missed
    if not absent:
        return
    if not (yield from probe.answers("Groups", groups.all)):
        probe.snapshot.warnings.append(
            "the server does not answer for single groups: none that is missing from its list is taken out"
        )
        return
    for group_id in absent:
        there = yield from probe.group(group_id)
        if there is False or (there and group_id not in groups.chosen):
            found.groups.add(group_id)
