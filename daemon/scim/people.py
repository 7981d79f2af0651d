"""Users as they come in: each becomes a person and their cards at once, and the document is let go. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from cache.model import Credential, Directory, Person
from daemon.scim.activity import Activity
from daemon.scim.cards import CardMapper
from daemon.scim.report import UnusableCard, called
from daemon.scim.resource import MalformedError, boolean, display_name, get, lookup, text, user_groups
from daemon.scim.settings import LATCHD_URN


@dataclass(slots=True)
class People:
    """Everybody read so far. ``groups_of`` is what users say of their own groups, if their server fills it."""

    mapper: CardMapper
    store_names: bool = True
    people: dict[str, Person] = field(default_factory=dict)
    cards: dict[str, tuple[Credential, ...]] = field(default_factory=dict)
    unusable: dict[str, tuple[UnusableCard, ...]] = field(default_factory=dict)
    groups_of: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    """Those in the list whom only single resources show whole, and who could not be read so."""
    _undecided: dict[str, Mapping[bytes, tuple[int, str]]] = field(default_factory=dict)
    _hexadecimal: set[int] = field(default_factory=set)
    activity: Activity = field(default_factory=Activity)
    unreadable: int = 0
    """Attributes that could not be read, but for ``active``: each counts as if it were absent."""

    _by_user_name: dict[str, str | None] = field(default_factory=dict)

    def take(self, person_id: str, user: Mapping[str, Any]) -> None:
        """Read one User; a person read again is replaced. An attribute that cannot be read spoils no other."""
        user_name = text(get(user, "userName"))
        person = Person(
            id=person_id,
            active=self.activity.take(person_id, get(user, "active"), self.people.get(person_id)),
            name=display_name(user) if self.store_names else None,
            user_name=user_name if self.store_names else None,
            external_id=text(get(user, "externalId")),
            extended_time=self._flag(user),
        )
        cards = self.mapper.read(person_id, user)
        self.people[person_id] = person
        self.cards.pop(person_id, None)
        self.unusable.pop(person_id, None)
        self.groups_of.pop(person_id, None)
        self._undecided.pop(person_id, None)
        self.unread.discard(person_id)
        if cards.credentials:
            self.cards[person_id] = cards.credentials
        if cards.unusable:
            self.unusable[person_id] = tuple(
                UnusableCard(person_id, called(person), why) for why in cards.unusable
            )
        if cards.undecided:
            self._undecided[person_id] = cards.undecided
        self._hexadecimal |= cards.hexadecimal
        groups = user_groups(user)
        if groups is not None:
            self.groups_of[person_id] = groups
        if user_name is not None:
            folded = user_name.casefold()
            self._remember(user_name if folded == user_name else folded, person_id)

    def retain_unread(self, old: Directory) -> None:
        """Leave what the list does not show of those who could not be read as the cache has it."""
        if not self.unread:
            return
        cards: dict[str, list[Credential]] = {}
        for card in old.credentials:
            if card.person_id in self.unread:
                cards.setdefault(card.person_id, []).append(card)
        for person_id in self.unread & old.people.keys():
            before, person = old.people[person_id], self.people[person_id]
            if person_id in cards and person_id not in self.cards:
                self.cards[person_id] = tuple(cards[person_id])
            silent = person_id in self.activity.silent
            self.activity.silent.discard(person_id)
            self.people[person_id] = replace(
                person,
                active=before.active if silent else person.active,
                extended_time=person.extended_time or before.extended_time,
            )

    def credentials(self) -> tuple[Credential, ...]:
        """Return all cards but those of a rule whose values are all decimal digits, though it takes raw reads.

        Read as hexadecimal they would be other people's cards; which base is meant only the site file can say.
        """
        doubtful = self._doubtful()
        return tuple(
            card
            for person_id, cards in self.cards.items()
            for card in cards
            if self._undecided.get(person_id, {}).get(card.key, (None, ""))[0] not in doubtful
        )

    def unusable_cards(self) -> list[UnusableCard]:
        """Return why cards cannot be used, those in doubt included."""
        found = [card for cards in self.unusable.values() for card in cards]
        doubtful = self._doubtful()
        for person_id, cards in self._undecided.items() if doubtful else ():
            for rule, where in cards.values():
                if rule in doubtful:
                    why = f"{where}: every value of this rule is decimal digits; say base = 10 or base = 16 in it"
                    found.append(UnusableCard(person_id, called(self.people[person_id]), why))
        return found

    def _doubtful(self) -> set[int]:
        rules = {rule for cards in self._undecided.values() for rule, _ in cards.values()}
        return rules - self._hexadecimal

    def _remember(self, user_name: str, person_id: str) -> None:
        """Two people of one userName: it then names nobody."""
        other = self._by_user_name.setdefault(user_name, person_id)
        if other != person_id:
            self._by_user_name[user_name] = None

    def named(self, value: str) -> str | None:
        """Return the only person of this userName. Whether a userName means anything is for ``Groups`` to say."""
        return self._by_user_name.get(value.casefold())

    def called_by_ids(self, groups: Iterable[str]) -> list[str]:
        """Return those whose userName is the id of someone else, or of one of ``groups``."""
        found = set()
        for id_ in chain(self.people, groups):
            holder = self._by_user_name.get(id_.casefold())
            if holder is not None and holder != id_:
                found.add(holder)
        return sorted(found)

    def _flag(self, user: Mapping[str, Any]) -> bool:
        """``extendedTime`` of latchd's extension: this person needs the door longer."""
        found = lookup(user, f"{LATCHD_URN}:extendedTime")
        try:
            return bool(found) and boolean(found[0], "extendedTime")
        except MalformedError:
            self.unreadable += 1
            return False

    def settled(self) -> dict[str, Person]:
        """Return everyone with ``active`` as far as all the others let it be known."""
        people = dict(self.people)
        for person_id, active in self.activity.settled().items():
            if person_id in people and people[person_id].active != active:
                people[person_id] = replace(people[person_id], active=active)
        return people

    def warnings(self) -> list[str]:
        """Return what is to be said of attributes that are missing or cannot be read."""
        found = self.activity.words(self.people)
        if self.unreadable:
            found.append(f"extendedTime of {self.unreadable} people is neither true nor false: it counts as false")
        return found
