"""Who a technician means: a person or an access group of the cache, from what was typed."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from cache.directory.lookup import GroupSummary, Lookup
from cache.model import Person
from daemon.errors import RequestError
from drivers.settings import did_you_mean, nearest

SHOWN = 10
"""Candidates that are listed where a text means several."""

PROBED = 2000
"""People who are compared with a name that no one has: enough for a slip, bounded for a large directory."""


def find_person(lookup: Lookup, text: str) -> Person:
    """The person of this SCIM id, else of this userName, externalId or name, else the only person for whom one of
    these contains the text.

    ``RequestError`` lists several candidates, or the nearest name where there is none.
    """
    if not text.strip():
        raise RequestError("say who: a SCIM id, a userName, or a part of a name")
    exact = lookup.person(text)
    if exact is not None:
        return exact
    same: list[Person] = []
    alike: list[Person] = []
    count = 0
    for person in lookup.people(text):
        count += 1
        if text.casefold() in _words(person):
            same.append(person)
        elif len(alike) < SHOWN:
            alike.append(person)
    if len(same) == 1 or (not same and count == 1):
        return (same or alike)[0]
    if count:
        shown = [*same, *alike][:SHOWN]
        more = f", and {count - len(shown)} more" if count > len(shown) else ""
        raise RequestError(f'{count} people match "{text}": {", ".join(map(described, shown))}{more}; say an id')
    raise RequestError(f'the cache has no one like "{text}"; {_nearest_person(lookup, text)}')


def described(person: Person) -> str:
    """A person in a list: name, userName and id, as far as they are known."""
    words = [word for word in (person.name, person.user_name) if word]
    return f"{' '.join(words)} ({person.id})" if words else person.id


def _words(person: Person) -> set[str]:
    return {word.casefold() for word in (person.name, person.user_name, person.external_id) if word}


def _nearest_person(lookup: Lookup, text: str) -> str:
    """The nearest of those who share the beginning or the end of what was typed."""
    people = [*islice(lookup.people(text[:3]), PROBED), *islice(lookup.people(text[-3:]), PROBED)]
    by_word = {word: person for person in people for word in _words(person)}
    near = nearest(text, by_word)
    return f"did you mean {described(by_word[near])}?" if near else "look at the userName in the directory"


def find_group(lookup: Lookup, text: str) -> GroupSummary:
    """The access group of this id or name, or that the site file means by this word."""
    groups = lookup.groups()
    for matches in (
        [one for one in groups if one.group.id == text],
        [one for one in groups if one.group.name == text],
        [one for one in groups if text in one.references],
        [one for one in groups if one.group.name.casefold() == text.casefold()],
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise RequestError(f'{len(matches)} access groups are named "{text}": {_ids(matches)}; say an id')
    names = [one.group.name for one in groups]
    raise RequestError(f'the cache has no access group "{text}"; {did_you_mean(text, names)}')


def _ids(groups: Iterable[GroupSummary]) -> str:
    return ", ".join(one.group.id for one in groups)
