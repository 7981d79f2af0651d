"""docs/scim-servers.md says of each reported fault what happens when it is put in front of a healthy server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.peers.scim_faults.modes import MODES, REPORTED

PAGE = (Path(__file__).parents[3] / "docs" / "scim-servers.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\| `.*$", PAGE, re.MULTILINE)
]


def test_each_reported_fault_has_its_line_and_no_other() -> None:
    assert [row[0].strip("`") for row in ROWS] == list(REPORTED)
    assert set(REPORTED) <= {mode.name for mode in MODES}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip("`"))
def test_a_line_says_what_the_tests_of_faults_expect(row: list[str]) -> None:
    (mode,) = (mode for mode in MODES if mode.name == row[0].strip("`"))
    _, _, report, ends_as, source, _ = row
    assert ends_as == f"`{mode.state}`"
    assert source == (f"`{mode.road}`" if mode.road else "")
    assert report == mode.row
