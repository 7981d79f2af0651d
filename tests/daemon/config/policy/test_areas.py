"""Which areas lie inside which: every way from outside leads through the outer one."""

from __future__ import annotations

import pytest

from daemon.config.policy.build import areas_around

OFFICE, LAB, SAFE = ("street", "office"), ("office", "lab"), ("lab", "safe")


@pytest.mark.parametrize(
    ("ways", "around"),
    [
        ((OFFICE,), {"office": set()}),
        ((OFFICE, LAB), {"office": set(), "lab": {"office"}}),
        ((OFFICE, LAB, SAFE), {"lab": {"office"}, "safe": {"office", "lab"}}),
        ((OFFICE, OFFICE, LAB, LAB), {"lab": {"office"}}),
        ((OFFICE, LAB, ("street", "lab")), {"lab": set(), "office": set()}),
        ((OFFICE, LAB, ("street", "yard"), ("yard", "lab")), {"lab": set(), "yard": set()}),
        ((OFFICE, LAB, ("lab", "yard"), ("street", "yard")), {"lab": set()}),  # back through the door of the yard
        ((OFFICE, LAB, ("office", "archive"), ("archive", "lab")), {"lab": {"office"}, "archive": {"office"}}),
        ((("a", "b"), ("b", "a")), {"a": set(), "b": set()}),  # there is no outside
    ],
)
def test_areas_around(ways: tuple[tuple[str, str], ...], around: dict[str, set[str]]) -> None:
    found = areas_around(ways)
    assert {name: set(found[name]) for name in around} == around
