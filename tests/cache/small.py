"""Two people, two groups, four credentials: the smallest directory with every kind of holder."""

from __future__ import annotations

from datetime import timedelta

from cache.changes import Delta, GroupHead
from cache.model import Credential, CredentialState, Person
from tests.cache.directories import NOW

SECOND = timedelta(seconds=1)
ADA = Person("a", name="Ada", user_name="ada@example.com", external_id="7", extended_time=True)
BEA = Person("b", active=False)
STAFF, VAULT = GroupHead("g1", "Staff", "e1"), GroupHead("g2", "Vault")
SMALL = Delta(
    people=(ADA, BEA),
    groups=(STAFF, VAULT),
    credentials=(
        Credential(b"one", "a", label="H10301", valid_from=NOW, valid_until=NOW + SECOND),
        Credential(b"both", "a"),
        Credential(b"both", "b", state=CredentialState.LOST),
        Credential(b"alone", "b"),
    ),
    members={"g1": frozenset("ab"), "g2": frozenset("a")},
)
