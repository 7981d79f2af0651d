"""Who is active where active is missing: true only where no one's is ever written out as true."""

from __future__ import annotations

from typing import Any

import pytest

from cache.model import Directory
from daemon.scim.memory import Memory
from tests.daemon.scim.missing import Site


@pytest.fixture
def site() -> Site:
    """Three active people, each of whose active is written out as true."""
    made = Site()
    for name in ("ada", "bob", "eve"):
        made.server.create_user(name)
    return made


def active(site: Site, old: Directory, memory: Memory | None = None) -> list[bool]:
    return [person.active for _, person in sorted(site.sync(old, memory=memory).people.items())]


def remembered(site: Site, old: Directory) -> Memory:
    assert site.snapshot is not None
    return site.snapshot.remembered(old)


def say(site: Site, *values: Any) -> None:
    """What the server says of each: ``...`` leaves it out."""
    for (_, user), value in zip(sorted(site.server.users.items()), values, strict=True):
        user.pop("active", None)
        if value is not ...:
            user["active"] = value


@pytest.mark.parametrize(
    ("now", "means"),
    [
        ((True, True, ...), [True, True, False]),
        ((True, None, True), [True, False, True]),
        ((True, False, ...), [True, False, False]),
        ((..., False, ...), [True, False, True]),
        ((False, False, ...), [False, False, False]),
    ],
    ids=["left out once deactivated", "null", "among others", "left out where true", "the only one left"],
)
def test_a_missing_active_is_believed_by_what_the_others_say(
    site: Site, now: tuple[Any, ...], means: list[bool]
) -> None:
    old = site.sync(Directory())
    memory = remembered(site, old)
    assert memory.said_active
    say(site, *now)
    assert active(site, old, memory) == means


def test_a_server_that_never_sends_active_has_active_people(site: Site) -> None:
    say(site, ..., ..., None)
    assert active(site, Directory(), Memory()) == [True, True, True]
    assert not remembered(site, Directory()).said_active


def test_an_attribute_that_vanished_for_everyone_proves_nothing(site: Site) -> None:
    site.server.set_active(min(site.server.users), active=False)
    old = site.sync(Directory())
    memory = remembered(site, old)
    say(site, ..., ..., ...)
    newcomer = site.server.create_user("zoe")
    del site.server.users[newcomer]["active"]
    assert active(site, old, memory) == [False, True, True, False]
    assert "no one's active is sent any more" in site.confirm(old, memory=memory).unproven
    assert site.snapshot is not None
    assert any("no one's active" in line for line in site.snapshot.people.warnings())


def test_a_second_document_that_is_silent_unsays_nothing(site: Site) -> None:
    site.sync(Directory())
    assert site.snapshot is not None
    people = site.snapshot.people
    first = min(people.people)
    people.take(first, {"userName": "ada"})
    assert people.settled()[first].active
    people.take(first, {"userName": "ada", "active": False})
    people.take(first, {"userName": "ada"})
    assert not people.settled()[first].active


def test_who_is_not_active_for_that_is_named(site: Site) -> None:
    say(site, True, ..., True)
    site.sync(Directory())
    assert site.snapshot is not None
    assert site.snapshot.people.warnings() == ["active is missing for bob, though others have it: not active"]
