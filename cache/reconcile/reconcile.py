"""What one sync changes: believe additions at once, absences only with evidence, mass removals only with consent.

Pure. The order of a sync is: fetch ``new``; ask ``missing`` what has to be confirmed one by one; merge what turned
out to exist into ``new``; then ``plan``. docs/scim.md, rules 3 to 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cache.changes import Binding, CredentialId, Delta, GroupHead, Loss, Plan, Quarantine, Rebinding, minus, plus
from cache.model import Credential, CredentialState, Directory, Group, Person
from cache.reconcile.bindings import bind
from cache.reconcile.brake import Braked, Known, brake, keep_active
from cache.reconcile.diff import describe, token_of
from cache.reconcile.effect import DoorsOf, each_a_door
from cache.reconcile.held import Held, certain, held_before, moved_cards, successors
from cache.reconcile.limits import Brake

ANOTHER_DIRECTORY = "scim.url names another directory, whose ids are other people's and groups'"
"""Why everything waits when the cache was filled from another URL."""

PROVIDER_GONE = "the provider was disconnected"
"""Why the deletion of all groups waits, when it is not an operator who said that the provider was unlinked."""

FIRST_SYNC = "the first sync needs approval"
"""Why a first sync waits as a whole, additions included."""

NO_ONE: frozenset[str] = frozenset()
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Missing:
    """What the cache has and a fetch does not show: claims that need evidence, one by one.

    ``members``: by group id, people who are still there but no longer listed in a group that is still there.
    """

    people: frozenset[str]
    groups: frozenset[str]
    members: Mapping[str, frozenset[str]]

    def __bool__(self) -> bool:
        """Whether anything is missing."""
        return bool(self.people or self.groups or self.members)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was confirmed to be gone (404 or 410, or the person's or group's own document says so).

    Whatever is missing and not named here stays as it is and is asked for again at the next sync. ``presumed`` are
    people of whom too many are missing to ask for each, while all that were asked for are gone: only an operator
    can take them out.
    """

    people: frozenset[str] = NO_ONE
    groups: frozenset[str] = NO_ONE
    members: Mapping[str, frozenset[str]] = field(default_factory=dict)
    presumed: frozenset[str] = NO_ONE
    unproven: tuple[str, ...] = ()
    """What is missing and could not be proven either way, in words: the cache is then no fresher than before."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the site file says: the brake, the references to groups, and whether the first sync is approved.

    ``doors`` are the doors that each reference gives by the access levels; ``None`` where there are none to speak
    of: each group then counts as a door.
    """

    brake: Brake = field(default_factory=Brake)
    references: frozenset[str] = NO_ONE
    require_first_approval: bool = False
    doors: Mapping[str, frozenset[str]] | None = None
    foreign: bool = False
    """The ids are another directory's: everything waits and nothing is bound until an operator accepts it."""

    def doors_of(self, bindings: Mapping[str, Binding], rebinding: Rebinding) -> DoorsOf:
        """The doors of groups by their ids, by the bindings before and after a sync."""
        if self.doors is None:
            return each_a_door
        opens: dict[str, frozenset[str]] = {}
        for one in (*bindings.values(), *rebinding.bound):
            opens[one.group_id] = opens.get(one.group_id, NO_ONE) | self.doors.get(one.reference, NO_ONE)
        return lambda groups: NO_ONE.union(*(opens.get(id_, NO_ONE) for id_ in groups))


def missing(old: Directory, new: Directory) -> Missing:
    """What ``old`` has and ``new`` does not show."""
    people = frozenset(id_ for id_ in old.people if id_ not in new.people)
    groups = frozenset(id_ for id_ in old.groups if id_ not in new.groups)
    members = {}
    for id_, group in old.groups.items():
        if id_ not in new.groups or group.members is new.groups[id_].members:
            continue
        gone = group.members - new.groups[id_].members - people
        if gone:
            members[id_] = gone
    return Missing(people, groups, members)


def changes(old: Directory, new: Directory, evidence: Evidence) -> Delta:
    """Everything that differs and is believed, before the brake.

    A person or membership of ``old`` that ``new`` does not show is removed only with evidence. A credential is
    removed when its holder's document is there and no longer has it. A member id that no person has is left out.
    """
    claims = missing(old, new)
    people_removed = claims.people & (evidence.people | evidence.presumed)
    groups_removed = claims.groups & evidence.groups
    people = tuple(person for id_, person in new.people.items() if _differs(old.people.get(id_), person))
    groups = tuple(
        GroupHead(id_, group.name, group.external_id)
        for id_, group in new.groups.items()
        if id_ not in old.groups or _head(old.groups[id_]) != _head(group)
    )
    members: dict[str, frozenset[str]] = {}
    for id_, group in new.groups.items():
        before = old.groups[id_].members if id_ in old.groups else NO_ONE
        joined = NO_ONE if group.members is before else group.members - before
        joined = frozenset(one for one in joined if _stays(one, old, new, people_removed))
        if joined:
            members[id_] = joined
    members_removed = {}
    for id_, gone in claims.members.items():
        confirmed = gone & evidence.members.get(id_, NO_ONE)
        if confirmed:
            members_removed[id_] = confirmed
    credentials, credentials_removed = _credential_changes(old, new)
    return Delta(
        people, groups, credentials, members, people_removed, groups_removed, members_removed, credentials_removed
    )


def plan(
    old: Directory,
    new: Directory,
    evidence: Evidence,
    policy: Policy,
    now: datetime,
    recent: tuple[Loss, ...] = (),
    bindings: Mapping[str, Binding] | None = None,
    waiting: Quarantine | None = None,
) -> Plan:
    """Return what applies now and what is held back; ``cache.reconcile.brake`` has the rules of holding back.

    ``recent`` are the losses within the brake's window, ``bindings`` what the cache has, and ``waiting`` what is
    held back already, which stays held until an operator speaks or the directory shows it again: all from the
    store. ``old`` is what the cache holds, loaded from it.
    """
    if policy.foreign:
        return _another_directory(old, new, now, waiting)
    before = bindings or {}
    whole = changes(old, new, evidence)
    first = not old.people and not old.groups
    if first and policy.require_first_approval and whole:
        rebinding, warnings = bind(policy.references, before, ())
        return Plan(
            rebinding=rebinding, quarantine=_all_held(old, whole, FIRST_SYNC, now, waiting), warnings=warnings
        )
    kept = held_before(waiting, old, new).without(whole)
    heirs = successors(old, new)
    fresh = _fresh(old, new, whole, kept, heirs)
    rebinding, _ = bind(policy.references, before, _heads_after(old, fresh))
    known = Known(recent, evidence.presumed - kept.people, heirs, certain(old, new, fresh.credentials_removed))
    braked = brake(old, fresh, policy.brake, policy.doors_of(before, rebinding), known)
    applied = plus(braked.applied, Delta(credentials_removed=moved_cards(old, new, braked.held.people_removed)))
    rebinding, warnings = bind(policy.references, before, _heads_after(old, applied))
    held = _quarantine(old, kept, braked, now, heirs)
    return Plan(applied, rebinding, held, braked.passed, describe(old, applied, heirs), warnings, braked.alarm)


def _all_held(
    old: Directory, whole: Delta, reason: str, now: datetime, waiting: Quarantine | None
) -> Quarantine | None:
    token = token_of(whole)
    if not whole or (waiting is not None and waiting.token == token):
        return waiting if whole else None
    return Quarantine(token, whole, (reason,), describe(old, whole), now)


def _fresh(old: Directory, new: Directory, whole: Delta, kept: Held, heirs: Mapping[str, str]) -> Delta:
    """What is to be judged: without what is held or refused already, with the cards that moved from the absent."""
    held = plus(kept.waiting, kept.refused)
    fresh = keep_active(old, minus(whole, replace(held, people=(), credentials=())), held)
    gone = held.people_removed | (heirs.keys() - whole.people_removed)
    return plus(fresh, Delta(credentials_removed=moved_cards(old, new, gone)))


def _quarantine(
    old: Directory, kept: Held, braked: Braked, now: datetime, heirs: Mapping[str, str]
) -> Quarantine | None:
    """What waits now: what waited before and is still claimed, under its token unless something was added."""
    before, waiting = kept.quarantine, plus(kept.waiting, braked.held)
    if not waiting:
        return kept.only_refused(old)
    if before is not None and not before.rejected and not minus(waiting, before.delta):
        return kept.shrunk(old, waiting)
    reasons = dict.fromkeys((*(before.reasons if before and kept.waiting else ()), *braked.reasons))
    since = before.since if before is not None and kept.waiting else now
    diff = describe(old, waiting, heirs)
    rows = waiting.added + waiting.removed
    return Quarantine(token_of(waiting), waiting, tuple(reasons), diff, since, refused=kept.refused, rows=rows)


def _another_directory(old: Directory, new: Directory, now: datetime, waiting: Quarantine | None) -> Plan:
    """Return a plan that exchanges one directory for another once an operator accepts it, and nothing before."""
    gone = missing(old, new)
    whole = changes(old, new, Evidence(gone.people, gone.groups, gone.members))
    return Plan(quarantine=_all_held(old, whole, ANOTHER_DIRECTORY, now, waiting))


def disconnect(old: Directory, now: datetime, *, approved: bool) -> Plan:
    """The provider was unlinked: every access group goes, people stay without access (docs/scim.md, rule 6).

    ``approved``: an operator confirmed it or the site file says ``on_disconnect = "delete"``; otherwise it waits
    in quarantine. Bindings stay as they are: they are then the tombstones by which a group regains its doors.
    """
    delta = Delta(groups_removed=frozenset(old.groups))
    if approved:
        return Plan(delta, diff=describe(old, delta))
    return Plan(quarantine=_all_held(old, delta, PROVIDER_GONE, now, None))


def _heads_after(old: Directory, delta: Delta) -> tuple[GroupHead, ...]:
    heads = {id_: _head(group) for id_, group in old.groups.items() if id_ not in delta.groups_removed}
    heads.update((head.id, head) for head in delta.groups)
    return tuple(heads.values())


def normalised(credentials: tuple[Credential, ...]) -> dict[CredentialId, Credential]:
    """One credential for each key and holder, with whole seconds (a fraction narrows the validity).

    Of two for the same card of one person, one that is not active wins: deny by default.
    """
    found: dict[CredentialId, Credential] = {}
    for one in credentials:
        before = found.get((one.key, one.person_id))
        if before is None or (before.state is CredentialState.ACTIVE and one.state is not CredentialState.ACTIVE):
            found[one.key, one.person_id] = _whole_seconds(one)
    return found


def _credential_changes(old: Directory, new: Directory) -> tuple[tuple[Credential, ...], frozenset[CredentialId]]:
    before = {(one.key, one.person_id): one for one in old.credentials}
    after = normalised(new.credentials)
    changed = tuple(
        one for id_, one in after.items() if one.person_id in new.people and _differs(before.get(id_), one)
    )
    removed = frozenset(id_ for id_ in before if id_ not in after and id_[1] in new.people)
    return changed, removed


def _whole_seconds(one: Credential) -> Credential:
    start, end = one.valid_from, one.valid_until
    if start is not None and start.microsecond:
        start = start.replace(microsecond=0) + SECOND
    if end is not None and end.microsecond:
        end = end.replace(microsecond=0)
    if start is one.valid_from and end is one.valid_until:
        return one
    return replace(one, valid_from=start, valid_until=end)


def _differs(before: Person | Credential | None, after: Person | Credential) -> bool:
    # What was loaded beside ``new`` is mostly the very same object, and comparing costs more than looking.
    return before is not after and before != after


def _stays(id_: str, old: Directory, new: Directory, removed: frozenset[str]) -> bool:
    return id_ in new.people or (id_ in old.people and id_ not in removed)


def _head(group: Group) -> GroupHead:
    return GroupHead(group.id, group.name, group.external_id)
