"""What would be decided, and by which rule: for a card, a person or a whole access group, at any instant.

The answers are those of ``daemon.decision.decide`` on what the cache holds; nothing is done and nothing recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from cache.directory.lookup import GroupSummary, Lookup
from cache.errors import CacheError
from cache.journal.filter import EVERYTHING
from cache.journal.reader import JournalReader
from cache.model import (
    Credential,
    CredentialKind,
    Decision,
    EventName,
    Found,
    Freshness,
    Holder,
    Membership,
    Outcome,
    Person,
    Reason,
)
from daemon.control.questions.conditions import QueryContext
from daemon.control.questions.places import ReaderLocation
from daemon.control.reports import (
    DecisionReport,
    GroupReport,
    HappenedReport,
    MemberReport,
    happened_report,
    rule_reports,
)
from daemon.decision.decide import decide, refusal
from daemon.decision.request import AccessRequest
from daemon.decision.staleness import age

CHUNK = 50
"""People in one item of a long answer: worked out in some milliseconds, and a few kB on the socket."""

ABOUT = timedelta(minutes=1)
"""How far from the instant that was asked for the journal is looked into."""

MOST_HAPPENED = 1000
"""Records of that time: the upper bound for one question."""

_RANK = (Outcome.DENY, Outcome.NEED_SECOND_PERSON, Outcome.NEED_PIN, Outcome.GRANT)


@dataclass(frozen=True, slots=True)
class Presented:
    """What the lookup finds for each card of a person; ``assumed``: for one that they are thought to have."""

    found: tuple[Found, ...]
    assumed: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What would be decided for a person; ``shared``: who else could use the same card."""

    decision: Decision
    shared: tuple[str, ...] = ()

    @property
    def passes(self) -> bool:
        """Whether the person gets through, be it with a PIN or a second person."""
        return self.decision.outcome is not Outcome.DENY


class Explainer:
    """Answers from the two databases. Belongs to the thread of its ``lookup`` and ``journal``."""

    def __init__(self, lookup: Lookup, journal: JournalReader) -> None:
        self.lookup = lookup
        self._journal = journal

    # -------------------------------------------------------------- one decision

    def card(self, place: ReaderLocation, key: bytes, conditions: QueryContext) -> DecisionReport:
        """The answer for the card of this key."""
        decision = _decide(place, self.lookup.find(key), conditions)
        return self._report(place, decision, conditions, "shown", decision.person)

    def person(self, place: ReaderLocation, person: Person, conditions: QueryContext) -> DecisionReport:
        """The answer for a person: with the card of theirs that comes farthest, or with an assumed one."""
        presented = self.presented(person)
        answer = answer_for(place, person, presented, conditions)
        notes: list[str] = []
        if presented.assumed:
            notes.append("the person has no card: decided as if a valid one were shown")
        elif len(presented.found) > 1:
            notes.append(f"the person has {len(presented.found)} cards: this is the one that comes farthest")
        if answer.shared:
            notes.append(f"the same card is also held by {', '.join(answer.shared)}, who could use it")
        report = self._report(place, answer.decision, conditions, _provenance(presented), person)
        return replace(report, notes=(*notes, *report.notes))

    def unreadable(self, place: ReaderLocation, fault: CacheError, conditions: QueryContext) -> DecisionReport:
        """Return the answer for everybody while the cache cannot be read: the one that the door gives too."""
        decision = refusal(Reason.CACHE_UNREADABLE, f"the cache cannot be read: {fault}")
        return self._report(place, decision, conditions, "shown", None)

    def presented(self, person: Person) -> Presented:
        """What this person can show."""
        cards = [one for one in self.lookup.credentials(person.id) if one.kind is CredentialKind.CARD]
        if cards:
            return Presented(tuple(self.lookup.find(card.key) for card in cards))
        return assume_card(person, self.lookup.memberships(person.id), self.lookup.freshness())

    def _report(
        self,
        place: ReaderLocation,
        decision: Decision,
        conditions: QueryContext,
        credential: Literal["shown", "own", "assumed"],
        person: Person | None,
    ) -> DecisionReport:
        happened = self.happened(place, conditions, person.id) if person is not None else []
        return DecisionReport(
            outcome=decision.outcome.value,
            reason=decision.reason.value,
            person=person.id if person is not None else None,
            name=person.name if person is not None else None,
            group=decision.group,
            level=decision.level,
            generation=decision.freshness.generation,
            age=age(decision.freshness, conditions.now.utc),
            trace=rule_reports(decision),
            door=place.setup.name,
            reader=place.reader,
            at=conditions.now.utc.isoformat(),
            live=conditions.snapshot is not None,
            mode=conditions.state(place).mode.value,
            credential=credential,
            notes=conditions.notes,
            happened=tuple(happened),
        )

    # -------------------------------------------------------------- a whole group

    def group(
        self, place: ReaderLocation, group: GroupSummary, conditions: QueryContext
    ) -> Iterator[list[GroupReport | MemberReport]]:
        """The group, then its members by name, a chunk at a time."""
        freshness = self.lookup.freshness()
        head = GroupReport(
            group=group.group.id,
            name=group.group.name,
            members=group.members,
            door=place.setup.name,
            reader=place.reader,
            at=conditions.now.utc.isoformat(),
            live=conditions.snapshot is not None,
            mode=conditions.state(place).mode.value,
            generation=freshness.generation,
            age=age(freshness, conditions.now.utc),
            notes=conditions.notes,
        )
        yield [head]
        happened: dict[str | None, list[HappenedReport]] = {}
        for one in self.happened(place, conditions):
            happened.setdefault(one.person, []).append(one)
        for people in self.members(group.group.id):
            yield [self._member(place, one, conditions, happened.get(one.id, [])) for one in people]

    def members(self, group_id: str) -> Iterator[list[Person]]:
        """The members by name, a chunk at a time; between two chunks nothing is read, so that nothing waits."""
        ids = [person.id for person in self.lookup.members(group_id)]
        for start in range(0, len(ids), CHUNK):
            found = (self.lookup.person(id_) for id_ in ids[start : start + CHUNK])
            yield [person for person in found if person is not None]

    def _member(
        self, place: ReaderLocation, person: Person, conditions: QueryContext, happened: list[HappenedReport]
    ) -> MemberReport:
        presented = self.presented(person)
        decision = answer_for(place, person, presented, conditions).decision
        return MemberReport(
            person.id,
            person.name,
            decision.outcome.value,
            decision.reason.value,
            decision.group,
            decision.level,
            _provenance(presented),
            tuple(happened),
        )

    # -------------------------------------------------------------- what really happened

    def happened(
        self, place: ReaderLocation, conditions: QueryContext, person: str | None = None
    ) -> list[HappenedReport]:
        """What the journal has of the person, or of everybody, at this reader about an instant of the past."""
        if not conditions.past:
            return []
        at = conditions.now.utc
        wanted = replace(
            EVERYTHING,
            names=frozenset({EventName.ACCESS_GRANTED, EventName.ACCESS_DENIED}),
            reader=place.reader,
            person=person,
            since=at - ABOUT,
            until=at + ABOUT,
        )
        return [happened_report(record) for record in self._journal.events(0, MOST_HAPPENED, wanted)]


def assume_card(person: Person, memberships: tuple[Membership, ...], freshness: Freshness) -> Presented:
    """As if the person showed a valid card."""
    holder = Holder(person, Credential(b"", person.id, label="assumed card"), memberships)
    return Presented((Found((holder,), freshness),), assumed=True)


def answer_for(place: ReaderLocation, person: Person, presented: Presented, conditions: QueryContext) -> Answer:
    """What is decided about this person, with the card that comes farthest."""
    answers = [_about(place, person, found, conditions) for found in presented.found]
    return max(answers, key=lambda one: (_RANK.index(one.decision.outcome), len(one.decision.trace)))


def _about(place: ReaderLocation, person: Person, found: Found, conditions: QueryContext) -> Answer:
    """The decision about this holder of a card: where it would open for another one, this one alone."""
    decision = _decide(place, found, conditions)
    if decision.person is None or decision.person.id == person.id:
        return Answer(decision)
    own = replace(found, holders=tuple(one for one in found.holders if one.person.id == person.id))
    return Answer(_decide(place, own, conditions), (decision.person.id,))


def _decide(place: ReaderLocation, found: Found, conditions: QueryContext) -> Decision:
    request = AccessRequest(place.setup.name, exit=place.exit)
    return decide(request, found, place.setup.rules, conditions.state(place), conditions.now)


def _provenance(presented: Presented) -> Literal["own", "assumed"]:
    return "assumed" if presented.assumed else "own"
