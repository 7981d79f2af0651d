"""What a fetch found, in figures and words for ``latchctl sync status``. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cache.model import Credential, CredentialState, Directory, Person


@dataclass(frozen=True, slots=True)
class UnusableCard:
    """A card that opens nothing, with its holder and the reason; never its number."""

    person_id: str
    person: str
    text: str


@dataclass(frozen=True, slots=True)
class FetchReport:
    """How much the directory held, by which road memberships were read, and what is to be said about it."""

    people: int = 0
    groups: int = 0
    memberships: int = 0
    credentials: int = 0
    road: str = ""
    paging: str = "index"
    warnings: tuple[str, ...] = ()
    unusable: tuple[UnusableCard, ...] = field(default=())


def summarise(
    directory: Directory, road: str, paging: str, warnings: Iterable[str], unusable: Iterable[UnusableCard]
) -> FetchReport:
    """The report of ``directory``, with the cards that two active people hold among the unusable ones."""
    return FetchReport(
        people=len(directory.people),
        groups=len(directory.groups),
        memberships=sum(len(group.members) for group in directory.groups.values()),
        credentials=len(directory.credentials),
        road=road,
        paging=paging,
        warnings=tuple(dict.fromkeys(warnings)),
        unusable=(*unusable, *duplicates(directory.people, directory.credentials)),
    )


def duplicates(people: Mapping[str, Person], credentials: Iterable[Credential]) -> list[UnusableCard]:
    """Active cards that more than one active person holds: every one of them is denied (docs/scim.md, rule 8)."""
    holders: dict[bytes, list[str]] = defaultdict(list)
    for credential in credentials:
        person = people.get(credential.person_id)
        if person is not None and person.active and credential.state is CredentialState.ACTIVE:
            holders[credential.key].append(person.id)
    found = []
    for ids in holders.values():
        for one in ids if len(ids) > 1 else ():
            others = ", ".join(called(people[other]) for other in ids if other != one)
            found.append(
                UnusableCard(one, called(people[one]), f"the same card is on {others}: nobody may use it")
            )
    return found


def called(person: Person) -> str:
    """What to call a person in a report: the name, or the id when names are not kept."""
    return person.name or person.user_name or person.id
