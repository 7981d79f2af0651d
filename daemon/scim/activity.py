"""Who is active, where ``active`` may be missing (RFC 7643 §4.1.1 lets it be). Pure.

docs/scim.md, "Who is active". Some servers never send it, some leave it out where it is true, and some once
someone is deactivated. So a missing or null ``active`` is true only where no one's is written out as true.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cache.model import Person
from daemon.scim.report import called
from daemon.scim.resource import MalformedError, boolean

_NAMED = 5


@dataclass(slots=True)
class Activity:
    """What was said of everyone's ``active`` in one reading. ``said_before``: it was ever written out as true.

    ``before`` are those whom the cache holds, by id.
    """

    said_before: bool = False
    before: Mapping[str, Person] = field(default_factory=dict)
    said: bool = False
    denied: bool = False
    """Whether anyone's is written out as true, and as false, in this reading."""
    silent: set[str] = field(default_factory=set)
    unreadable: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    """Whose documents say that they are not active."""

    def take(self, person_id: str, value: object, earlier: Person | None = None) -> bool:
        """Return what one document says, and remember when it says nothing; ``settled`` has the last word.

        What an ``earlier`` document of the same reading said is not unsaid by one that is silent.
        """
        if value is None and earlier is not None and person_id not in self.silent:
            return earlier.active
        if self.silent or self.unreadable:
            self.silent.discard(person_id)
            self.unreadable.discard(person_id)
        self.refused.discard(person_id)
        if value is None:
            self.silent.add(person_id)
            return True
        try:
            active = boolean(value, "active")
        except MalformedError:
            self.unreadable.add(person_id)
            return False
        if not active:
            self.refused.add(person_id)
        self.said, self.denied = self.said or active, self.denied or not active
        return active

    def settled(self) -> Mapping[str, bool]:
        """Return ``active`` of those whose documents do not say it, where it is not simply true."""
        if self.said or self.one_alone:
            return dict.fromkeys(self.silent, False)
        if not self.vanished:
            return {}
        return {id_: id_ in self.before and self.before[id_].active for id_ in self.silent}

    @property
    def one_alone(self) -> bool:
        """Whether the only one whose ``active`` is missing is the only one there could be to compare with."""
        return self.said_before and len(self.silent) == 1

    @property
    def vanished(self) -> bool:
        """Whether the server used to say who is active, and now says it of no one: that proves nothing."""
        return self.said_before and not self.said and not self.denied and len(self.silent) > 1

    def words(self, people: Mapping[str, Person]) -> list[str]:
        """Return what is to be said about it."""
        found = []
        if self.vanished:
            found.append(
                "no one's active is sent any more, though it was before: everyone stays as they are, and who is "
                "new is not active; check the rights of our token"
            )
        elif self.silent and (self.said or self.one_alone):
            found.append(f"active is missing for {_some(self.silent, people)}, though others have it: not active")
        if self.unreadable:
            found.append(f"active of {_some(self.unreadable, people)} is neither true nor false: not active")
        return found


def _some(ids: set[str], people: Mapping[str, Person]) -> str:
    names = [called(people[id_]) for id_ in sorted(ids)[:_NAMED] if id_ in people]
    return ", ".join(names) + (f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else "")
