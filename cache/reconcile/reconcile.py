"""What one sync changes: believe additions at once, absences only with evidence, mass removals only with consent.

Pure. The order of a sync is: fetch ``new``; ask ``missing`` what has to be confirmed one by one; merge what turned
out to exist into ``new``; then ``plan``. docs/scim.md, rules 3 to 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cache.changes import Binding, CredentialId, Delta, GroupHead, Plan, Quarantine, Removal
from cache.model import Credential, CredentialState, Directory, Group, Person
from cache.reconcile.bindings import bind
from cache.reconcile.brake import Braked, brake
from cache.reconcile.diff import describe, token_of
from cache.reconcile.limits import Limits

ANOTHER_DIRECTORY = "scim.url names another directory, whose ids are other people's and groups'"
"""Why everything waits when the cache was filled from another URL."""

PROVIDER_GONE = "the provider was disconnected"
"""Why the deletion of all groups waits, when it is not an operator who said that the provider was unlinked."""

NOBODY: frozenset[str] = frozenset()
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

    Whatever is missing and not named here stays as it is and is asked for again at the next sync.
    """

    people: frozenset[str] = NOBODY
    groups: frozenset[str] = NOBODY
    members: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unproven: tuple[str, ...] = ()
    """What is missing and could not be proven either way, in words: the cache is then no fresher than before."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the site file says: the brake, the references to groups, and whether the first sync is approved."""

    limits: Limits = field(default_factory=Limits)
    references: frozenset[str] = NOBODY
    require_first_approval: bool = False
    foreign: bool = False
    """The ids are another directory's: everything waits and nothing is bound until an operator accepts it."""


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
    removed when its holder's document is there and no longer has it. A member who is nobody's id is left out.
    """
    claims = missing(old, new)
    people_removed = claims.people & evidence.people
    groups_removed = claims.groups & evidence.groups
    people = tuple(person for id_, person in new.people.items() if _differs(old.people.get(id_), person))
    groups = tuple(
        GroupHead(id_, group.name, group.external_id)
        for id_, group in new.groups.items()
        if id_ not in old.groups or _head(old.groups[id_]) != _head(group)
    )
    members: dict[str, frozenset[str]] = {}
    for id_, group in new.groups.items():
        before = old.groups[id_].members if id_ in old.groups else NOBODY
        joined = NOBODY if group.members is before else group.members - before
        joined = frozenset(one for one in joined if _stays(one, old, new, people_removed))
        if joined:
            members[id_] = joined
    members_removed = {}
    for id_, gone in claims.members.items():
        confirmed = gone & evidence.members.get(id_, NOBODY)
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
    recent: tuple[Removal, ...] = (),
    bindings: Mapping[str, Binding] | None = None,
    waiting: Quarantine | None = None,
) -> Plan:
    """Return what applies now and what is held back; ``cache.reconcile.brake`` has the rules of holding back.

    ``recent`` are the removals of the last 24 hours, ``bindings`` what the cache has, and ``waiting`` what is held
    back already: all from the store.
    ``old`` is what the cache holds, loaded from it.
    """
    if policy.foreign:
        return _another_directory(old, new, now)
    whole = changes(old, new, evidence)
    first = not old.people and not old.groups
    if first and policy.require_first_approval and whole:
        braked = Braked(Delta(), whole, ("the first sync needs approval",))
    else:
        braked = brake(old, whole, policy.limits, recent, None if waiting is None else waiting.delta)
    applied = braked.applied
    rebinding, warnings = bind(policy.references, bindings or {}, _heads_after(old, applied))
    held = _quarantine(old, braked.held, braked.reasons, now)
    return Plan(applied, rebinding, held, braked.passed, describe(old, applied), warnings)


def _another_directory(old: Directory, new: Directory, now: datetime) -> Plan:
    """Return a plan that exchanges one directory for another once an operator accepts it, and nothing before."""
    gone = missing(old, new)
    whole = changes(old, new, Evidence(gone.people, gone.groups, gone.members))
    return Plan(quarantine=_quarantine(old, whole, (ANOTHER_DIRECTORY,), now))


def disconnect(old: Directory, now: datetime, *, approved: bool) -> Plan:
    """The provider was unlinked: every access group goes, people stay without access (docs/scim.md, rule 6).

    ``approved``: an operator confirmed it or the site file says ``on_disconnect = "delete"``; otherwise it waits
    in quarantine. Bindings stay as they are: they are then the tombstones by which a group regains its doors.
    """
    delta = Delta(groups_removed=frozenset(old.groups))
    if approved:
        return Plan(delta, diff=describe(old, delta))
    return Plan(quarantine=_quarantine(old, delta, (PROVIDER_GONE,), now))


def _quarantine(old: Directory, held: Delta, reasons: tuple[str, ...], now: datetime) -> Quarantine | None:
    return Quarantine(token_of(held), held, reasons, describe(old, held), now) if held else None


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
