"""What a change of the directory does at the doors: who loses one, or the last; which lose everyone. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from cache.model import CredentialState, Directory

DoorsOf = Callable[[frozenset[str]], frozenset[str]]
"""The doors that access groups (by id) open together, whatever the hour."""

NO_ONE: frozenset[str] = frozenset()


def each_a_door(groups: frozenset[str]) -> frozenset[str]:
    """Where it is not known what groups open, each counts as a door of its own."""
    return groups


@dataclass(frozen=True, slots=True)
class Effect:
    """``lost``: by person, the doors that they lose. ``emptied``: doors that some had and no one has any more.

    ``people`` is how many had a door before.
    """

    people: int = 0
    lost: Mapping[str, frozenset[str]] = field(default_factory=dict)
    last: frozenset[str] = NO_ONE
    emptied: frozenset[str] = NO_ONE


def effect(
    old: Directory,
    new: Directory,
    doors_of: DoorsOf = each_a_door,
    touched: frozenset[str] | None = None,
    successors: Mapping[str, str] | None = None,
) -> Effect:
    """Compare who can open what. ``touched`` are the people of ``old`` to look at (all of them if ``None``).

    ``successors`` are new ids of the same people: what those can open was not lost. Someone without an active card
    before counts by their groups alone: the card may be on its way.
    """
    followed = successors or {}
    watched = frozenset(old.people) if touched is None else touched & old.people.keys()
    heirs = frozenset(followed[one] for one in watched if one in followed)
    doors = {id_: doors_of(frozenset({id_})) for id_ in {**old.groups, **new.groups}}
    before = _doors(old, doors, watched)
    after = _doors(new, doors, watched | heirs)
    disarmed = _armed(old, watched) - _armed(new, watched | heirs)
    lost, last = {}, set()
    for one, had in before.items():
        heir = followed.get(one, one)
        has = NO_ONE if one in disarmed and heir == one else after.get(heir, NO_ONE)
        if gone := had - has:
            lost[one] = gone
            if not has:
                last.add(one)
    if not lost:
        return Effect()
    emptied = frozenset(d for d in NO_ONE.union(*lost.values()) if not _opened(new, doors, d, lost))
    return Effect(_with_a_door(old, doors), lost, frozenset(last), emptied)


def _doors(
    directory: Directory, doors: Mapping[str, frozenset[str]], watched: frozenset[str]
) -> dict[str, frozenset[str]]:
    """The doors of each of ``watched`` who is active and has any."""
    found: dict[str, frozenset[str]] = {}
    for id_, group in directory.groups.items():
        if opens := doors[id_]:
            for one in group.members & watched:
                found[one] = found[one] | opens if one in found else opens
    return {one: opens for one, opens in found.items() if _active(directory, one)}


def _armed(directory: Directory, watched: frozenset[str]) -> frozenset[str]:
    """Who of ``watched`` has an active credential."""
    return frozenset(
        one.person_id
        for one in directory.credentials
        if one.person_id in watched and one.state is CredentialState.ACTIVE
    )


def _opened(
    directory: Directory, doors: Mapping[str, frozenset[str]], door: str, lost: Mapping[str, frozenset[str]]
) -> bool:
    """Whether anyone can still open ``door``."""
    return any(
        _active(directory, one) and door not in lost.get(one, NO_ONE)
        for id_, group in directory.groups.items()
        if door in doors[id_]
        for one in group.members
    )


def _with_a_door(directory: Directory, doors: Mapping[str, frozenset[str]]) -> int:
    """How many active people have any door."""
    members: Iterable[frozenset[str]] = (group.members for id_, group in directory.groups.items() if doors[id_])
    return sum(_active(directory, one) for one in NO_ONE.union(*members))


def _active(directory: Directory, id_: str) -> bool:
    person = directory.people.get(id_)
    return person is not None and person.active
