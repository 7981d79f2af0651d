"""A whole year of badges, each of them as worked out beforehand; benchmarks/year.py tells how long it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.cli.simulate import HELD, simulate_all
from tests.scenarios.year import BADGES, badges, write

FIRST = ("2026-01-01T01:13:00+01:00", 4, 31)
LAST = ("2026-12-31T23:56:00+01:00", 7, 10)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_year_at_ten_doors_goes_as_worked_out(tmp_path: Path) -> None:
    scenario = write(tmp_path)
    assert scenario.read_text().count("\nbadge ") == BADGES == 10_000
    assert simulate_all((scenario,), as_json=False, trace=False) == HELD


def test_the_year_is_the_same_on_every_machine_and_has_everything_in_it() -> None:
    year = badges()
    first, last = year[0], year[-1]
    assert (first.at.isoformat(), first.door, first.person) == FIRST
    assert (last.at.isoformat(), last.door, last.person) == LAST
    assert {(badge.group, badge.granted) for badge in year} == {
        ("Security", True),
        ("Staff", True),
        ("Staff", False),
        ("Cleaning", True),
        ("Cleaning", False),
    }
    assert {badge.unlocked for badge in year if badge.granted} == {True, False}
