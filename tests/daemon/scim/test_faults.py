"""Whatever a server does wrong: nobody who is still there loses access, nobody keeps it who is known to be out.

The same table of faults as in tests/daemon/sync/test_faults.py, here without HTTP, alone and combined.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cache.model import Directory
from tests.peers.scim_faults.engine import Mode
from tests.peers.scim_faults.modes import FOUND, MODES, knowable
from tests.peers.scim_memory import MemoryScim, Result, card_attribute, holds, sync_in_memory
from tests.peers.scim_site import scim_settings

PURE = [mode for mode in MODES if not mode.wire]
READ = ("complete", "quarantined", "unproven")
"""How a sync is called that read the whole directory."""

SETTINGS = scim_settings(page_size=8)


@dataclass(slots=True)
class Story:
    """A directory of a few groups, Guests being in Visitors, and what then happens to it."""

    server: MemoryScim = field(default_factory=MemoryScim)
    people: list[str] = field(default_factory=list)
    staff: str = ""
    guests: str = ""
    visitors: str = ""

    def begin(self, count: int = 20) -> Directory:
        """The first sync, with a healthy server."""
        for number in range(count):
            self.people.append(self.server.create_user(f"user{number}", card_attribute(number)))
        self.staff = self.server.create_group("Staff", self.people)
        self.guests = self.server.create_group("Guests", self.people[: count // 2])
        self.visitors = self.server.create_group("Visitors", [self.guests])
        self.server.create_group("Board", self.people[3:5])
        self.server.create_group("Empty")
        result = sync_in_memory(self.server, [], SETTINGS, Directory())
        assert result.state == "complete"
        return result.cache

    def hold(self, cache: Directory, numbers: list[int], group: str) -> list[int]:
        """Those of ``numbers`` who would be let in by ``group``."""
        return [number for number in numbers if holds(cache, group, self.people[number], number)]


def play(modes: list[Mode], *, cursor: bool = False) -> tuple[Story, Result]:
    """One is deactivated, one deleted, one taken out of a group, one is new; then a sync with ``modes``."""
    story = Story(MemoryScim(cursor=cursor))
    before = story.begin()
    story.server.set_active(story.people[0], active=False)
    story.server.delete(f"Users/{story.people[1]}")
    story.server.remove_member(story.guests, story.people[2])
    newcomer = story.server.create_user("newcomer", card_attribute(99))
    story.server.add_member(story.staff, newcomer)
    result = sync_in_memory(story.server, modes, SETTINGS, before)

    stay = [number for number in range(2, 20) if result.told.get(story.people[number], True)]
    assert story.hold(result.cache, stay, story.staff) == stay
    for group in (story.guests, story.visitors):
        inner = [number for number in stay if 3 <= number < 10]
        assert story.hold(result.cache, inner, group) == inner
    if result.state in READ:
        for person_id, active in result.told.items():
            if not active and person_id in result.cache.people:
                assert not result.cache.people[person_id].active
    else:
        assert result.cache == before
    after = sync_in_memory(story.server, [], SETTINGS, result.cache)
    assert after.state == "complete"
    assert not story.hold(after.cache, [0, 1], story.staff)
    assert not story.hold(after.cache, [2], story.guests)
    assert not story.hold(after.cache, [2], story.visitors)
    assert holds(after.cache, story.staff, newcomer, 99)
    return story, result


@pytest.mark.parametrize("mode", PURE, ids=lambda mode: mode.name)
def test_each_fault(mode: Mode) -> None:
    _, result = play([mode], cursor=mode.cursor)
    assert result.state == mode.state
    if mode.road is not None:
        assert result.road == mode.road


@pytest.mark.parametrize("mode", [m for m in PURE if m.state in READ], ids=lambda mode: mode.name)
def test_a_deactivation_that_was_told_is_believed(mode: Mode) -> None:
    story, result = play([mode], cursor=mode.cursor)
    if story.people[0] in result.told:
        assert not result.cache.people[story.people[0]].active


combinations = st.lists(st.sampled_from(PURE), max_size=4, unique=True).filter(knowable)


@settings(max_examples=60, deadline=None)
@given(combinations, st.booleans())
def test_faults_combined(modes: list[Mode], cursor: bool) -> None:
    play(modes, cursor=cursor)


@pytest.mark.parametrize("cursor", [False, True], ids=["index", "cursor"])
@pytest.mark.parametrize("names", FOUND, ids="+".join)
def test_combinations_that_once_fooled_it(names: tuple[str, ...], cursor: bool) -> None:
    play([mode for name in names for mode in MODES if mode.name == name], cursor=cursor)


@pytest.mark.soak
@pytest.mark.timeout(300)
@settings(max_examples=400, deadline=None, derandomize=False, suppress_health_check=[HealthCheck.too_slow])
@given(combinations, st.booleans())
def test_many_faults_combined(modes: list[Mode], cursor: bool) -> None:
    play(modes, cursor=cursor)
