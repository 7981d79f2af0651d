"""For every directory and instant: a group's lines, a person's answer and the lists of access agree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.directory.lookup import Lookup
from cache.journal.reader import JournalReader
from cache.model import CredentialKind, Directory, Moment, Outcome
from daemon.config.load import load_site
from daemon.config.site import Site
from daemon.control.questions.access import AccessLister, AccessQuestion
from daemon.control.questions.conditions import QueryContext, conditions_of
from daemon.control.questions.explain import Explainer
from daemon.control.questions.places import ReaderLocation
from daemon.control.reports import GroupReport, MemberReport, PassengerReport, PathReport
from daemon.decision.decide import decide
from daemon.decision.request import AccessRequest
from daemon.decision.schedule import level_open
from daemon.doors.controller.controller import Controller
from daemon.doors.controller.orders import DoorAction, OperatorOrder
from daemon.doors.controller.rules import controller_rules
from tests.cache.directories import directories
from tests.daemon.control.served import SITE_KEY, fill_cache, write_site

SYNCED = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
MORE = """
[[access_level]]
name = "Staff nights"
groups = ["Staff", "Cleaning"]
doors = ["lobby", "vault"]
schedule = "night"
[[access_level]]
name = "Vault days"
groups = ["Vault"]
doors = ["lobby"]
schedule = "office"
"""
"""So that several levels, of several groups, lead through a door."""

EXAMPLES = settings(max_examples=25, deadline=None)


@dataclass(frozen=True, slots=True)
class Instant:
    """When, and what an operator has ordered; ``elsewhen``: the present is another instant."""

    hours: int
    lockdown: bool
    elsewhen: bool


instants = st.builds(Instant, st.integers(0, 24 * 40), st.booleans(), st.booleans())


@dataclass(frozen=True, slots=True)
class Bench:
    """The site, read once, and the directory of its databases."""

    site: Site
    file: Path


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A site whose cache each example fills anew."""
    file = write_site(tmp_path_factory.mktemp("explain"), MORE)
    return Bench(load_site(file, None), file)


@dataclass(frozen=True, slots=True)
class Stage:
    """A cache with the directory, and the conditions of the instant."""

    controller: Controller
    explainer: Explainer
    conditions: QueryContext

    @property
    def places(self) -> Iterator[ReaderLocation]:
        """Every reader."""
        for setup in self.controller.site_state.rules.doors.values():
            for reader in setup.readers:
                yield ReaderLocation(setup, reader)

    def ask(self, **question: object) -> list[object]:
        """The items of ``latchctl access --at``."""
        doors = self.controller.site_state.rules.doors
        asked = AccessQuestion(self.conditions, True, **question)  # type: ignore[arg-type]  # names, for brevity
        return [item for chunk in AccessLister(self.explainer, doors, asked).items() for item in chunk]


@contextmanager
def stage(bench: Bench, directory: Directory, instant: Instant) -> Iterator[Stage]:
    """A doors process that was told what the instant says, without its loop."""
    site, file = bench.site, bench.file
    for old in (file.parent / "sync").glob("cache.*"):
        old.unlink()
    fill_cache(file, directory, SYNCED)
    at = SYNCED + timedelta(hours=instant.hours)
    now = Moment(SYNCED + timedelta(days=3) if instant.elsewhen else at, 1000.0)
    with (
        Lookup(file.parent / "sync" / "cache.db", lambda: now.utc) as lookup,
        JournalReader(file.parent / "none") as journal,
    ):
        controller = Controller(controller_rules(site, SITE_KEY), lookup.find)
        controller.start(now, "")
        if instant.lockdown:
            controller.operate(OperatorOrder("eve", DoorAction.LOCKDOWN, "lobby"), now)
        conditions = conditions_of(controller, now, at if instant.elsewhen else None, running=True)
        yield Stage(controller, Explainer(lookup, journal), conditions)


@EXAMPLES
@given(directories(), instants)
def test_a_line_of_a_group_is_the_answer_for_the_person(
    bench: Bench, directory: Directory, instant: Instant
) -> None:
    with stage(bench, directory, instant) as on:
        for place in on.places:
            for group in on.explainer.lookup.groups():
                chunks = on.explainer.group(place, group, on.conditions)
                head, *members = [item for chunk in chunks for item in chunk]
                assert isinstance(head, GroupReport)
                assert head.members == len(members) == len(directory.groups[head.group].members)
                for member in members:
                    assert isinstance(member, MemberReport)
                    alone = on.explainer.person(place, directory.people[member.person], on.conditions)
                    for name in ("person", "name", "outcome", "reason", "group", "level", "credential"):
                        assert getattr(member, name) == getattr(alone, name), name


@EXAMPLES
@given(directories(), instants)
def test_the_answer_is_the_decision(bench: Bench, directory: Directory, instant: Instant) -> None:
    cards = [one for one in directory.credentials if one.kind is CredentialKind.CARD]
    with stage(bench, directory, instant) as on:
        for place in on.places:
            for person in directory.people.values():
                report = on.explainer.person(place, person, on.conditions)
                own = [one for one in cards if one.person_id == person.id]
                shared = [one for one in cards if one.key in {card.key for card in own} and one not in own]
                assert (report.credential == "assumed") == (not own)
                if len(own) != 1 or shared:
                    continue
                found = on.explainer.lookup.find(own[0].key)
                request = AccessRequest(place.setup.name, exit=place.exit)
                state = on.conditions.state(place)
                decision = decide(request, found, place.setup.rules, state, on.conditions.now)
                assert (report.outcome, report.reason) == (decision.outcome, decision.reason)
                assert [rule.text for rule in report.trace] == [rule.text for rule in decision.trace]


@EXAMPLES
@given(directories(), instants)
def test_who_may_pass_are_those_who_are_not_denied(bench: Bench, directory: Directory, instant: Instant) -> None:
    with stage(bench, directory, instant) as on:
        for setup in on.controller.site_state.rules.doors.values():
            passing = set()
            levels, at = setup.rules.levels, on.conditions.now.utc
            opened = {level.name for level in levels if level_open(level, setup.rules.zone, at)}
            for person in directory.people.values():
                report = on.explainer.person(ReaderLocation(setup, setup.entry), person, on.conditions)
                paths = [i for i in on.ask(door=setup, person=person) if isinstance(i, PathReport)]
                assert bool(paths) == (report.outcome != Outcome.DENY)
                assert all(path.level in opened for path in paths)
                if paths:
                    passing.add(person.id)
                    assert (report.group, report.level) in {(path.group, path.level) for path in paths}
            listed = on.ask(door=setup, members=True)
            assert {item.person for item in listed if isinstance(item, PassengerReport)} == passing
            told = [(i.group_id, i.level) for i in listed if isinstance(i, PathReport)]
            assert len(told) == len(set(told))
            for item in listed:
                if isinstance(item, PassengerReport):
                    assert (item.group_id, item.level) in told
                    assert item.person in directory.groups[item.group_id].members
