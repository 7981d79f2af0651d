"""The brake: which losses of a sync apply now, and which wait for an operator, judged by their effect. Pure.

docs/scim.md, rule 5. The rules:

1. Additions and changes always apply. So does what is positive evidence: a card that is now on someone else, or
   that its holder has replaced.
2. What is gone without an effect at the doors always applies: a group that opens nothing, someone whose doors are
   all open to them by another group or under a new id.
3. One person never waits: neither the only one who is gone, nor the only one whose membership or whose cards
   ended, also while others wait.
4. Everyone else who would lose a door is counted together, over all groups and kinds: how many lose a door, how
   many their last one, how many doors lose everyone; with what passed within the window. Beyond a bound all waits.
5. People who are deactivated explicitly are counted by themselves, by the same bounds. They apply, with an alarm,
   or wait, as the site chooses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cache.changes import Alarm, CredentialId, Delta, Loss, Scope, minus, patched
from cache.model import CredentialState, Directory
from cache.reconcile.effect import NO_ONE, DoorsOf, Effect, each_a_door, effect
from cache.reconcile.limits import Brake


@dataclass(frozen=True, slots=True)
class Braked:
    """A delta in two parts, why one is held, what passed and has to be remembered, and an alarm."""

    applied: Delta
    held: Delta = field(default_factory=Delta)
    reasons: tuple[str, ...] = ()
    passed: tuple[Loss, ...] = ()
    alarm: Alarm | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a delta beside itself.

    ``recent`` passed within the window. ``presumed`` are people whose absence is likely and not proven: they never
    go without an operator. ``successors`` are new ids of people who are gone. ``positive`` are credentials whose
    end is certain.
    """

    recent: tuple[Loss, ...] = ()
    presumed: frozenset[str] = NO_ONE
    successors: Mapping[str, str] = field(default_factory=dict)
    positive: frozenset[CredentialId] = frozenset()


def brake(
    old: Directory,
    whole: Delta,
    settings: Brake,
    doors_of: DoorsOf = each_a_door,
    known: Known | None = None,
) -> Braked:
    """Part ``whole``, which is to change ``old``, by its effect at the doors."""
    return _Judging(old, whole, settings, doors_of, known or Known()).braked()


class _Judging:
    """One delta being judged. Every set of people below holds only those who lose a door."""

    def __init__(self, old: Directory, whole: Delta, settings: Brake, doors_of: DoorsOf, known: Known) -> None:
        self._old, self._whole, self._settings, self._known = old, whole, settings, known
        self._deactivated = deactivated(old, whole)
        self._out_of_groups = NO_ONE.union(
            *whole.members_removed.values(), *(old.groups[id_].members for id_ in whole.groups_removed)
        )
        cards = frozenset(person for _, person in whole.credentials_removed - known.positive)
        moved = frozenset(person for _, person in whole.credentials_removed & known.positive)
        touched = whole.people_removed | self._out_of_groups | cards | moved | self._deactivated
        after = patched(old, whole) if touched else old
        self._effect = effect(old, after, doors_of, touched, known.successors) if touched else Effect()
        self._recent = {scope: sum(one.count for one in known.recent if one.scope is scope) for scope in Scope}
        self._cards = cards

    def braked(self) -> Braked:
        explicit = self._deactivated & self._effect.lost.keys()
        alone, crowd = self._losers(explicit)
        why = self._why(crowd, Scope.PEOPLE, "would lose")
        held = self._held(crowd) if why else Delta()
        passed = alone if why else (alone | crowd) - self._known.presumed
        losses = [Loss(Scope.PEOPLE, len(passed)), Loss(Scope.LAST_DOOR, len(passed & self._effect.last))]
        losses.append(Loss(Scope.DOORS, len(self._emptied(passed))))
        alarm = None
        if many := self._why(explicit, Scope.DEACTIVATED, "are deactivated, and lose"):
            rows = deactivation_of(self._whole, explicit)
            if self._settings.deactivations == "hold":
                held, why = plus_rows(held, rows), why + many
            else:
                alarm = Alarm("; ".join(many), rows, _back(self._old, rows))
        else:
            losses.append(Loss(Scope.DEACTIVATED, len(explicit)))
        applied = keep_active(self._old, minus(self._whole, _removals(held)), held)
        applied = replace(applied, people_removed=applied.people_removed - self._known.presumed)
        return Braked(applied, held, tuple(why), tuple(one for one in losses if one.count), alarm)

    def _losers(self, explicit: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
        """Those who are the only one of their kind (rule 3), and all others; no one who was deactivated."""
        lost = frozenset(self._effect.lost) - explicit
        gone = lost & self._whole.people_removed
        members = lost & self._out_of_groups - gone
        cards = lost & self._cards - gone - members
        alone = NO_ONE.union(*(kind for kind in (gone, members, cards) if len(kind) == 1)) - self._known.presumed
        return alone, (gone | members | cards) - alone

    def _emptied(self, people: frozenset[str]) -> frozenset[str]:
        """The doors that lose everyone, and these people among them."""
        return self._effect.emptied & NO_ONE.union(*(self._effect.lost[one] for one in people))

    def _why(self, people: frozenset[str], scope: Scope, verb: str) -> list[str]:
        """In words, every bound that these people exceed together with what passed lately."""
        if len(people) < 2:
            return []
        total, bounds, found = self._effect.people, self._settings, []
        last, emptied = people & self._effect.last, self._emptied(people)
        by_last = Scope.LAST_DOOR if scope is Scope.PEOPLE else scope
        for lose, bound, which, what in (
            (people, bounds.people, scope, "a door"),
            (last, bounds.last_door, by_last, "their last door"),
        ):
            before = self._recent[which]
            if len(lose) > 1 and bound.trips(len(lose) + before, total + before):
                allowed = int(bound.allowed(total + before))
                found.append(
                    f"{len(lose)} of {total} people with a door {verb} {what}{_lately(before)} (limit: {allowed})"
                )
        before = self._recent[Scope.DOORS] if scope is Scope.PEOPLE else 0
        if emptied and len(emptied) + before > bounds.doors_without_anybody:
            found.append(
                f"{len(emptied)} doors would be left without anyone who may pass{_lately(before)}"
                f" (limit: {bounds.doors_without_anybody})"
            )
        return found

    def _held(self, crowd: frozenset[str]) -> Delta:
        """Every removal that concerns one of ``crowd``, and all absences that are only presumed."""
        whole, groups = self._whole, self._old.groups
        members = {id_: gone & crowd for id_, gone in whole.members_removed.items()}
        cards = whole.credentials_removed - self._known.positive
        return Delta(
            people_removed=whole.people_removed & (crowd | self._known.presumed),
            groups_removed=frozenset(id_ for id_ in whole.groups_removed if groups[id_].members & crowd),
            members_removed={id_: gone for id_, gone in members.items() if gone},
            credentials_removed=frozenset(one for one in cards if one[1] in crowd),
        )


def deactivated(old: Directory, delta: Delta) -> frozenset[str]:
    """Who is deactivated by ``delta``, or has a card suspended or lost: what the directory says explicitly."""
    people = {one.id for one in delta.people if not one.active and _was_active(old, one.id)}
    changed = {(one.key, one.person_id) for one in delta.credentials if one.state is not CredentialState.ACTIVE}
    if changed:
        people |= {
            one.person_id
            for one in old.credentials
            if one.state is CredentialState.ACTIVE and (one.key, one.person_id) in changed
        }
    return frozenset(people) - delta.people_removed


def deactivation_of(delta: Delta, people: frozenset[str]) -> Delta:
    """The rows of ``delta`` that deactivate these people or their cards."""
    return Delta(
        tuple(one for one in delta.people if one.id in people and not one.active),
        credentials=tuple(
            one for one in delta.credentials if one.person_id in people and one.state is not CredentialState.ACTIVE
        ),
    )


def keep_active(old: Directory, delta: Delta, held: Delta) -> Delta:
    """``delta`` without the deactivations of ``held``: whatever else changed of these people applies."""
    if not held.people and not held.credentials:
        return delta
    people, cards = {one.id for one in held.people}, {(one.key, one.person_id) for one in held.credentials}
    rows = (replace(one, active=True) if one.id in people else one for one in delta.people)
    return replace(
        delta,
        people=tuple(one for one in rows if old.people.get(one.id) != one),
        credentials=tuple(one for one in delta.credentials if (one.key, one.person_id) not in cards),
    )


def plus_rows(delta: Delta, rows: Delta) -> Delta:
    """``delta``, which has no rows of people and credentials, with those of ``rows``."""
    return replace(delta, people=rows.people, credentials=rows.credentials)


def _removals(delta: Delta) -> Delta:
    return replace(delta, people=(), credentials=())


def _back(old: Directory, rows: Delta) -> Delta:
    """What leads back from the deactivations in ``rows``."""
    cards = {(one.key, one.person_id) for one in rows.credentials}
    return Delta(
        tuple(old.people[one.id] for one in rows.people),
        credentials=tuple(one for one in old.credentials if (one.key, one.person_id) in cards),
    )


def _was_active(old: Directory, id_: str) -> bool:
    before = old.people.get(id_)
    return before is not None and before.active


def _lately(before: int) -> str:
    return f" after {before} lately" if before else ""
