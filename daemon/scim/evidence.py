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

from cache.model import Directory
from cache.reconcile.reconcile import Evidence, missing
from daemon.scim.evidence_members import ended_memberships
from daemon.scim.exchange import Fetch, OutageError, OutageKind
from daemon.scim.probe import Probe
from daemon.scim.snapshot import Snapshot


def confirm(
    snapshot: Snapshot,
    old: Directory,
    seen_at: datetime | None = None,
    waiting: frozenset[str] = frozenset(),
) -> Fetch[Evidence]:
    """Look into every absence of ``snapshot`` against ``old``; what is found to exist is added to the snapshot.

    ``seen_at`` is when the last sync ended that saw memberships, if it is known; ``waiting`` are people whose
    removal is held back already, who are asked for last. An outage meanwhile ends the questions, not the sync: the
    rest is unproven. Only a refusal of our token is passed on as ``OutageError``.
    """
    snapshot.learn(old)
    probe = Probe(snapshot, old)
    found = _Found()
    try:
        yield from _people(probe, found, waiting)
        yield from _groups(probe, found)
        found.ended = yield from ended_memberships(probe, seen_at)
    except OutageError as error:
        if error.kind is OutageKind.UNAUTHORIZED:
            raise
        snapshot.warnings.append(f"not everything that is missing could be looked into: {error}")
    if probe.unasked:
        snapshot.warnings.append(f"{probe.unasked} more that are missing are looked into next time")
    found.groups |= probe.ended_groups
    unproven = _unproven(probe, found, waiting)
    return Evidence(frozenset(found.people), frozenset(found.groups), found.ended, unproven=unproven)


@dataclass(slots=True)
class _Found:
    """What was proven so far."""

    people: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    ended: Mapping[str, frozenset[str]] = field(default_factory=dict)


def _unproven(probe: Probe, found: _Found, waiting: frozenset[str]) -> tuple[str, ...]:
    """Say what is missing and was neither found nor proven gone. Who waits for an operator is proven already."""
    snapshot = probe.snapshot
    left = missing(probe.old, snapshot.directory())
    words = []
    for count, what in (
        (len(left.people - found.people - waiting), "people"),
        (len(left.groups - found.groups), "groups"),
        (sum(_undecided(probe, found, group_id, gone) for group_id, gone in left.members.items()), "memberships"),
    ):
        if count:
            words.append(f"{count} {what} are missing and could not be looked into")
    if snapshot.blind:
        words.append("no group shows a member by any source")
    if snapshot.people.activity.vanished:
        words.append("no one's active is sent any more")
    return tuple(words)


def _undecided(probe: Probe, found: _Found, group_id: str, gone: frozenset[str]) -> int:
    delayed = probe.delayed.get(group_id, set())
    return len(gone - found.ended.get(group_id, frozenset()) - delayed)


def _people(probe: Probe, found: _Found, waiting: frozenset[str]) -> Fetch[None]:
    """Everybody of the cache who was not read; a leaver of today before a thousand whose removal waits."""
    here = probe.snapshot.people.people
    absent = sorted(probe.old.people.keys() - here.keys(), key=lambda id_: (id_ in waiting, id_))
    if not absent:
        return
    if not (yield from probe.answers("Users", here)):
        probe.snapshot.warnings.append(
            "the server does not answer for single users: nobody who is missing from its list is taken out"
        )
        return
    for person_id in absent:
        if (yield from probe.person(person_id)) is False:
            found.people.add(person_id)


def _groups(probe: Probe, found: _Found) -> Fetch[None]:
    """Every access group of the cache that was not read. One that was, but is not chosen, is no absence."""
    groups = probe.snapshot.groups
    absent = sorted(probe.old.groups.keys() - groups.all.keys())
    found.groups |= probe.old.groups.keys() - groups.chosen - set(absent)
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
