"""What a set of access groups means at a door: every word for them, and the levels in their order."""

from __future__ import annotations

from dataclasses import replace

from cache.model import Membership
from daemon.decision.door_rules import REMEMBERED
from tests.daemon.decision.asking import LOBBY, STAFF, VAULT, level

RULES = replace(LOBBY, levels=(level("Third", "g2"), level("First", "Staff", "Vault"), level("Other", "Nobody")))


def test_levels_stand_in_their_order_with_the_first_group_that_reaches_them() -> None:
    paths = RULES.paths((STAFF, VAULT))
    assert paths.references == {"g1", "Staff", "g2", "Vault"}
    assert [(one.name, week, group) for one, week, group in paths.levels] == [
        ("Third", "always", "Vault"),
        ("First", "always", "Staff"),
    ]
    assert RULES.paths((VAULT, STAFF)).levels[1][2] == "Vault"
    assert RULES.paths(()).levels == ()


def test_each_tuple_is_remembered_for_itself_and_never_taken_for_another() -> None:
    groups = (STAFF,)
    assert RULES.paths(groups) is RULES.paths(groups)
    for number in range(2 * REMEMBERED):
        one = (Membership(f"m{number}", f"Group {number}", frozenset({f"m{number}"})),)
        assert RULES.paths(one).references == {f"m{number}"}
        assert RULES.paths((STAFF,)).references == STAFF.references
    assert len(RULES._paths) <= REMEMBERED
