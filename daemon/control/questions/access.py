"""Who may pass which door, and when: ``latchctl access``, from the access levels and the cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from cache.directory.lookup import GroupSummary
from cache.model import Freshness, Membership, Person
from daemon.control.questions.conditions import QueryContext
from daemon.control.questions.explain import Explainer, Presented, answer_for, assume_card
from daemon.control.questions.places import ReaderLocation
from daemon.control.reports import AccessReport, PassengerReport, PathReport
from daemon.decision.staleness import age
from daemon.decision.wording import access_paths
from daemon.doors.controller.setup import DoorSetup

ANY_PERSON = Person("")
"""Stands for any member of a group; no directory has an empty id."""


@dataclass(frozen=True, slots=True)
class AccessQuestion:
    """Whose access to which door; at least one is given, and not both a person and a group.

    Every path is reported, or with ``passing`` those that let a person pass at the instant of ``conditions``.
    ``members``: each path with the people who may take it.
    """

    conditions: QueryContext
    passing: bool = False
    door: DoorSetup | None = None
    person: Person | None = None
    group: GroupSummary | None = None
    members: bool = False


Item = AccessReport | PathReport | PassengerReport


@dataclass(frozen=True, slots=True)
class _Path:
    """One way, and its entry as if the door had no other access level."""

    place: ReaderLocation
    group: GroupSummary
    report: PathReport


class AccessLister:
    """Answers one question. Belongs to the thread of the explainer's files."""

    def __init__(self, explainer: Explainer, doors: Mapping[str, DoorSetup], question: AccessQuestion) -> None:
        self._explainer = explainer
        self._doors = (question.door,) if question.door is not None else tuple(doors.values())
        self._question = question
        self._freshness = Freshness()

    def items(self) -> Iterator[list[Item]]:
        """What is asked, then every path, each followed by its people where they are wanted; in chunks."""
        self._freshness = self._explainer.lookup.freshness()
        yield [self._head()]
        groups = self._groups()
        for setup in self._doors:
            paths = _paths(setup, groups)
            if self._question.person is not None:
                yield list(self._of_person(paths, self._question.person))
                continue
            for path in paths:
                yield from self._of_group(path)
            if self._question.group is None and not self._question.passing:
                yield list(_of_nobody(setup, groups))

    def _head(self) -> AccessReport:
        question, conditions = self._question, self._question.conditions
        notes = conditions.notes if question.passing else ()
        name = None
        if question.person is not None:
            name = question.person.name
            if not question.person.active:
                notes = ("the person is not active in the directory: no door opens", *notes)
        elif question.group is not None:
            name = question.group.group.name
        return AccessReport(
            door=question.door.name if question.door is not None else None,
            person=question.person.id if question.person is not None else None,
            group=question.group.group.id if question.group is not None else None,
            name=name,
            at=conditions.now.utc.isoformat() if question.passing else None,
            live=question.passing and conditions.snapshot is not None,
            generation=self._freshness.generation,
            age=age(self._freshness, conditions.now.utc),
            notes=notes,
        )

    def _groups(self) -> tuple[GroupSummary, ...]:
        if self._question.group is not None:
            return (self._question.group,)
        every = self._explainer.lookup.groups()
        if self._question.person is None:
            return every
        own = {membership.group_id for membership in self._explainer.lookup.memberships(self._question.person.id)}
        return tuple(group for group in every if group.group.id in own)

    def _of_person(self, paths: Iterator[_Path], person: Person) -> Iterator[Item]:
        """The paths of a person, or those that let them pass with what they can show."""
        presented = self._explainer.presented(person)
        for path in paths:
            if self._passes(path, person, presented):
                yield path.report

    def _of_group(self, path: _Path) -> Iterator[list[Item]]:
        """Yield a path and its people; with ``passing``, only if at least one member can pass."""
        member = assume_card(ANY_PERSON, (_membership(path.group),), self._freshness)
        reported = self._passes(path, ANY_PERSON, member)
        if reported:
            yield [path.report]
        if not self._question.members:
            return
        for people in self._explainer.members(path.group.group.id):
            passing = [one for one in people if self._passes(path, one)]
            if passing and not reported:
                reported = True
                yield [path.report]
            yield [_passenger(path, person) for person in passing]

    def _passes(self, path: _Path, person: Person, presented: Presented | None = None) -> bool:
        if not self._question.passing:
            return True
        shown = presented if presented is not None else self._explainer.presented(person)
        return answer_for(path.place, person, shown, self._question.conditions).passes


def _paths(setup: DoorSetup, groups: tuple[GroupSummary, ...]) -> Iterator[_Path]:
    """Every path through a door: levels in the order of the site file, groups by name."""
    for level in setup.rules.levels:
        alone = replace(setup, rules=replace(setup.rules, levels=(level,)))
        for group in groups:
            for path in access_paths(setup.name, (level,), (_membership(group),)):
                report = PathReport(
                    path.door, path.group, group.group.id, path.level, path.when, level.essential, group.members
                )
                yield _Path(ReaderLocation(alone, setup.entry), group, report)


def _of_nobody(setup: DoorSetup, groups: tuple[GroupSummary, ...]) -> Iterator[PathReport]:
    """What the levels of a door name and the directory does not have."""
    known = frozenset().union(*(group.references for group in groups))
    for level in setup.rules.levels:
        for reference in sorted(level.groups - known):
            membership = Membership(reference, reference, frozenset({reference}))
            for path in access_paths(setup.name, (level,), (membership,)):
                yield PathReport(path.door, path.group, None, path.level, path.when, level.essential, 0)


def _membership(group: GroupSummary) -> Membership:
    return Membership(group.group.id, group.group.name, group.references)


def _passenger(path: _Path, person: Person) -> PassengerReport:
    report = path.report
    assert report.group_id is not None
    return PassengerReport(person.id, person.name, person.active, report.door, report.group_id, report.level)
