"""docs/scim.md says what the program does: its words, codes, fields, roads and rules."""

from __future__ import annotations

import json
import re
import tomllib
import typing
from dataclasses import fields
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from daemon.scim.exchange import OutageKind
from daemon.scim.report import FetchReport
from daemon.scim.settings import Road, ScimSettings
from daemon.scim.snapshot import NO_ROAD
from daemon.sync.outcome import EXIT_CODES, SyncOutcome, SyncResult

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "scim.md").read_text(encoding="utf-8")


def rows(heading: str, place: int = 0) -> list[list[str]]:
    """The cells of a table below a heading; ``place`` 1 is the second one."""
    section = PAGE.split(f"\n{heading}\n", 1)[1]
    tables = re.findall(r"(?:^\|.*\n)+", re.split(r"\n## ", section)[0], re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in tables[place].splitlines()[2:]]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_trouble_is_in_the_table_and_no_other() -> None:
    named = [word for row in rows("## When it fails") for word in words(row[0])]
    assert sorted(named) == sorted([*OutageKind, "complete", "never", "unproven"])


def test_every_outcome_has_its_exit_code() -> None:
    table = rows("## For scripts: `latchd sync --once`", 1)
    assert {SyncResult(words(row[0])[0]): int(row[1]) for row in table} == EXIT_CODES


def test_every_field_of_the_summary_is_explained() -> None:
    table = rows("## For scripts: `latchd sync --once`")
    assert {word for row in table for word in words(row[0])} == {field.name for field in fields(SyncOutcome)}
    (report,) = (row[1] for row in table if row[0] == "`report`")
    assert set(words(report)) - {"null"} == {field.name for field in fields(FetchReport)}


def test_every_road_is_there_in_the_order_in_which_they_are_tried() -> None:
    named = [words(row[0])[0] for row in rows("## The roads to memberships")]
    assert named == [*(road for road in typing.get_args(Road) if road != "auto"), NO_ROAD]


def test_every_rule_names_a_module_that_names_the_rule() -> None:
    table = rows("## What is believed, and what is not")
    assert sorted({row[0] for row in table}) == [str(number) for number in range(1, 9)]
    for number, _, module in table:
        text = (ROOT / words(module)[0]).read_text(encoding="utf-8")
        assert re.search(rf"docs/scim\.md, rules? (\d.*)?{number}", text), f"{module} does not name rule {number}"


@pytest.mark.parametrize("example", re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL))
def test_examples_are_good(example: str) -> None:
    table = {"url": "https://directory.example.com/scim/v2", "groups": ["*"], **tomllib.loads(example)["scim"]}
    TypeAdapter(ScimSettings).validate_json(json.dumps(table))
