"""What is held back stays so, whole and still, until an operator speaks or the directory shows it again. Pure.

A held removal keeps access and never takes any: a card of who is gone, which someone else has now, is theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from cache.changes import Alarm, CredentialId, Delta, Quarantine, minus, patched, plus
from cache.model import Credential, CredentialState, Directory, Person
from cache.reconcile.diff import describe, token_of

NO_ONE: frozenset[str] = frozenset()
NO_CARD: frozenset[CredentialId] = frozenset()


@dataclass(frozen=True, slots=True)
class Held:
    """What was held back before this sync, and what of it is still claimed by the directory."""

    quarantine: Quarantine | None = None
    waiting: Delta = field(default_factory=Delta)
    refused: Delta = field(default_factory=Delta)

    @property
    def doubtful(self) -> bool:
        """Whether most of what waited is there again: the claim was wrong, and the rest is judged again."""
        if self.quarantine is None or self.quarantine.rejected:
            return False
        return 2 * (self.waiting.added + self.waiting.removed) < self.quarantine.rows

    @property
    def settled(self) -> Delta:
        """What needs no evidence in this sync: it waits for an operator, or was refused by one."""
        return self.refused if self.doubtful else plus(self.waiting, self.refused)

    def without(self, claimed: Delta) -> Held:
        """What is still held when most of it was wrong: all but what is ``claimed``, which is judged again."""
        return replace(self, waiting=minus(self.waiting, claimed)) if self.doubtful else self

    @property
    def people(self) -> frozenset[str]:
        """The people whose removal is held back, waiting or refused."""
        return self.waiting.people_removed | self.refused.people_removed

    def shrunk(self, old: Directory, waiting: Delta) -> Quarantine | None:
        """The quarantine when no more waits than before. The token stays: an operator saw at least this."""
        before = self.quarantine
        if before is None or (before.delta, before.refused) == (waiting, self.refused):
            return before
        return replace(before, delta=waiting, refused=self.refused, diff=describe(old, waiting))

    def only_refused(self, old: Directory) -> Quarantine | None:
        """The quarantine when nothing waits: what operators have rejected, if anything."""
        before = self.quarantine
        if before is None or not self.refused:
            return None
        if before.rejected and before.delta == self.refused:
            return before
        token = before.token if before.rejected else token_of(self.refused)
        diff = describe(old, self.refused)
        return replace(before, token=token, delta=self.refused, refused=self.refused, diff=diff, rejected=True)


def held_before(quarantine: Quarantine | None, old: Directory, new: Directory) -> Held:
    """What of the quarantine the directory ``new`` still claims; ``old`` is what the cache holds."""
    if quarantine is None:
        return Held()
    waiting = Delta() if quarantine.rejected else quarantine.delta
    refused = quarantine.delta if quarantine.rejected else quarantine.refused
    return Held(quarantine, _still(waiting, old, new), _still(refused, old, new))


def spoken_of(quarantine: Quarantine) -> Quarantine | None:
    """What is left of the quarantine once an operator has accepted what waits, or what was refused."""
    if quarantine.rejected or not quarantine.refused:
        return None
    refused = quarantine.refused
    return replace(quarantine, token=token_of(refused), delta=refused, rejected=True, diff=())


def undone(
    alarm: Alarm, now_there: Directory, quarantine: Quarantine | None, now: datetime
) -> tuple[Delta, Quarantine | None]:
    """What takes back the deactivations of ``alarm`` that still stand, and the quarantine that keeps it so."""
    done = {one.id: one for one in alarm.done.people}
    cards = {(one.key, one.person_id): one for one in alarm.done.credentials}
    there = {(one.key, one.person_id): one for one in now_there.credentials}
    back = Delta(
        tuple(one for one in alarm.back.people if now_there.people.get(one.id) == done[one.id]),
        credentials=tuple(
            one
            for one in alarm.back.credentials
            if there.get((one.key, one.person_id)) == cards[one.key, one.person_id]
        ),
    )
    rows = Delta(
        tuple(done[one.id] for one in back.people),
        credentials=tuple(cards[one.key, one.person_id] for one in back.credentials),
    )
    if quarantine is not None and not quarantine.rejected:
        return back, replace(quarantine, refused=plus(quarantine.refused, rows))
    refused = rows if quarantine is None else plus(quarantine.refused, rows)
    if not refused:
        return back, None
    diff = describe(patched(now_there, back), refused)
    return back, Quarantine(token_of(refused), refused, (alarm.text,), diff, now, rejected=True, refused=refused)


def _still(delta: Delta, old: Directory, new: Directory) -> Delta:
    """What of a held delta can still happen, and is not contradicted by what the directory shows."""
    members = {
        id_: frozenset(one for one in gone & old.groups[id_].members if not _shown(new, id_, one))
        for id_, gone in delta.members_removed.items()
        if id_ in old.groups
    }
    cards = delta.credentials_removed
    if cards:
        cards = cards & {(one.key, one.person_id) for one in old.credentials}
        cards -= {(one.key, one.person_id) for one in new.credentials}
    return Delta(
        people=tuple(
            new.people[one.id]
            for one in delta.people
            if _is_active(old.people.get(one.id)) and one.id in new.people and not new.people[one.id].active
        ),
        credentials=_still_inactive(delta, old, new),
        people_removed=delta.people_removed & (old.people.keys() - new.people.keys()),
        groups_removed=delta.groups_removed & (old.groups.keys() - new.groups.keys()),
        members_removed={id_: gone for id_, gone in members.items() if gone},
        credentials_removed=cards,
    )


def _still_inactive(delta: Delta, old: Directory, new: Directory) -> tuple[Credential, ...]:
    """The held suspensions of cards that the directory still says, as it says them now."""
    held = {(one.key, one.person_id) for one in delta.credentials}
    if not held:
        return ()
    active = {
        (one.key, one.person_id)
        for one in old.credentials
        if one.state is CredentialState.ACTIVE and (one.key, one.person_id) in held
    }
    return tuple(
        one
        for one in new.credentials
        if one.state is not CredentialState.ACTIVE and (one.key, one.person_id) in active
    )


def _shown(new: Directory, group_id: str, person_id: str) -> bool:
    return group_id in new.groups and person_id in new.groups[group_id].members


def _is_active(person: Person | None) -> bool:
    return person is not None and person.active


# ------------------------------------------------------------------ the same person, the same card


def successors(old: Directory, new: Directory) -> dict[str, str]:
    """By the id of who is missing, a new id with the same externalId or userName and one of their cards."""
    absent = old.people.keys() - new.people.keys()
    if not absent:
        return {}
    by_name: dict[tuple[str, str], list[str]] = {}
    for id_ in new.people.keys() - old.people.keys():
        for name in _names(new.people[id_]):
            by_name.setdefault(name, []).append(id_)
    alike = {}
    for id_ in absent:
        found = {one for name in _names(old.people[id_]) for one in by_name.get(name, ())}
        if found:
            alike[id_] = found
    if not alike:
        return {}
    holders = _holders(new)
    heirs: dict[str, set[str]] = {}
    for one in old.credentials:
        if one.person_id in alike:
            heirs.setdefault(one.person_id, set()).update(alike[one.person_id] & holders.get(one.key, set()))
    return {id_: found.pop() for id_, found in sorted(heirs.items()) if len(found) == 1}


def moved_cards(old: Directory, new: Directory, gone: frozenset[str]) -> frozenset[CredentialId]:
    """The cards of people who are ``gone`` that someone of the new directory has: they are no longer theirs."""
    if not gone:
        return NO_CARD
    holders = _holders(new)
    return frozenset(
        (one.key, one.person_id)
        for one in old.credentials
        if one.person_id in gone and holders.get(one.key, set()) - {one.person_id}
    )


def certain(old: Directory, new: Directory, ended: frozenset[CredentialId]) -> frozenset[CredentialId]:
    """Credentials whose end is certain: someone else has the card, or its holder has another one for it."""
    if not ended:
        return NO_CARD
    holders, known = _holders(new), {one.key for one in old.credentials}
    replaced = {
        one.person_id for one in new.credentials if one.state is CredentialState.ACTIVE and one.key not in known
    }
    return frozenset((key, one) for key, one in ended if one in replaced or holders.get(key, set()) - {one})


def _holders(directory: Directory) -> Mapping[bytes, set[str]]:
    found: dict[bytes, set[str]] = {}
    for one in directory.credentials:
        found.setdefault(one.key, set()).add(one.person_id)
    return found


def _names(person: Person) -> tuple[tuple[str, str], ...]:
    pairs = (("externalId", person.external_id), ("userName", person.user_name and person.user_name.casefold()))
    return tuple((kind, name) for kind, name in pairs if name)
