"""docs/scim.md says what the program does: its words, codes, fields, roads and rules."""

from __future__ import annotations

import json
import re
import tomllib
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from cache.changes import Binding, GroupHead
from cache.directory.store import Store
from cache.model import Person
from cache.reconcile.bindings import bind
from daemon.scim.exchange import OutageKind
from daemon.scim.memory import Memory
from daemon.scim.report import FetchReport
from daemon.scim.settings import Road, ScimSettings
from daemon.scim.snapshot import NO_ROAD
from daemon.sync.outcome import EXIT_CODES, SyncOutcome, SyncResult
from tests.daemon.scim.test_identity import groups, held, people
from tests.daemon.sync.test_another_directory import TENANT, at
from tests.daemon.sync.test_plan import STAFF, sync

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


# ------------------------------------------------------------------ who is active

ABSENT = object()
ALL_SILENT = "missing or null for everyone"
ACTIVE: Mapping[tuple[str, str], tuple[bool, Sequence[object], Sequence[bool]]] = {
    ('true, false, `"True"`, 1', ""): (False, (True, False, "True", 1), (True, False, True, True)),
    ("any other word", ""): (False, ("perhaps", True), (False, True)),
    ("missing or null", "someone's is written out as true"): (False, (ABSENT, None, True), (False, False, True)),
    ("missing or null", "it was written out before, and this is the only one missing"): (
        True,
        (ABSENT, False),
        (False, False),
    ),
    ("missing or null", "someone's is written out as false, and no one's as true"): (
        True,
        (ABSENT, None, False),
        (True, True, False),
    ),
    (ALL_SILENT, "it was written out before"): (True, (ABSENT, None, ABSENT), (True, False, False)),
    (ALL_SILENT, "it was never written out"): (False, (ABSENT, None), (True, True)),
}
"""By the first two cells: whether ``active`` was ever written out, what everyone's is, and who is active then."""

EXPECTED: Mapping[str, set[bool]] = {
    "what it says": set(),
    "not active": {False},
    "active": {True},
    "as the cache has it": {True, False},
}
"""What the last cell says of those whose document does not say it."""


@pytest.mark.parametrize("row", rows("### Who is active"), ids=lambda row: " / ".join(row[:2]))
def test_who_is_active_is_as_the_page_says(row: list[str]) -> None:
    said_before, values, expected = ACTIVE[row[0], row[1]]
    found = people()
    found.activity.said_before = said_before
    found.activity.before = {"0": Person("0", active=True), "1": Person("1", active=False)}
    for number, value in enumerate(values):
        document = {"userName": f"user{number}"} | ({} if value is ABSENT else {"active": value})
        found.take(str(number), document)
    assert [person.active for person in found.settled().values()] == list(expected)
    means = row[2]
    undecided = {one for one, value in zip(expected, values, strict=True) if value not in (True, False, "True")}
    assert undecided == EXPECTED[means.partition(",")[0].partition(":")[0]]
    assert bool(found.warnings()) == ("warning" in means or "unproven" in means)
    assert found.activity.vanished == ("`unproven`" in means)


def test_every_case_of_active_is_in_the_table_and_no_other() -> None:
    assert [(row[0], row[1]) for row in rows("### Who is active")] == list(ACTIVE)


# ------------------------------------------------------------------ who is meant


def an_id(_: Path) -> None:
    found = people(u1="u2", u2="bob")
    made = groups({"g1": ["u1", "g2"], "g2": ["u2"]})
    assert held(made, found) == {"u1", "u2"}
    assert held(groups({"g1": ["u2"]}), found) == {"u2"}, "not u1, who is called so"


def no_ones_id(_: Path) -> None:
    found = people(u1="ada", u2="bob")
    assert held(groups({"g1": ["ada"]}), found) == {"u1"}
    assert held(groups({"g1": ["ada"], "g2": ["u2"]}), found) == set()
    assert held(groups({"g1": ["ada"], "g2": ["u2"]}, "userName"), found) == {"u1"}


def an_id_of_any_time(_: Path) -> None:
    memory = Memory().with_former({"gone"})
    for setting in ("auto", "userName"):
        for written in ("gone", "GONE"):
            assert held(groups({"g1": [written]}, setting, memory), people(u1="gone")) == set()
        assert held(groups({"g1": ["g2"], "g2": []}, setting), people(u1="g2")) == set()


def an_id_of_two_kinds(_: Path) -> None:
    found = people(**{"1": "ada", "2": "bob"})
    made = groups({"1": ["2"], "7": ["1"]})
    assert held(made, found, "7") == set()
    assert "do not say which" in made.warnings[0]


def a_user_name_that_is_an_id(_: Path) -> None:
    for taken in ("u2", "g2"):
        made = groups({"g1": [taken.upper()], "g2": []}, "userName")
        assert held(made, people(u1=taken, u2="bob")) == set()
        assert any("is the id of someone else or of a group" in warning for warning in made.warnings)


def a_groups_name(_: Path) -> None:
    first = Binding("Staff", "g1", None, "Staff")
    assert bind(frozenset({"Staff"}), {}, [GroupHead("g1", "Staff", None)])[0].bound == (first,)
    renamed, other = GroupHead("g1", "Crew", None), GroupHead("g2", "Staff", None)
    assert [one.group_id for one in bind(frozenset({"Staff"}), {"Staff": first}, [renamed, other])[0].bound] == [
        "g1"
    ]


def a_groups_id(_: Path) -> None:
    bound = bind(frozenset({"g1", "id:g1"}), {}, [GroupHead("g1", "Staff", None)])[0].bound
    assert [(one.reference, one.group_id) for one in bound] == [("id:g1", "g1")]


def a_group_like_one_that_is_gone(_: Path) -> None:
    gone, new = Binding("Staff", "g1", "x", "Staff"), GroupHead("g2", "Staff", "x")
    assert bind(frozenset({"Staff"}), {"Staff": gone}, [new])[0].bound == ()
    assert bind(frozenset({"Staff", "id:g2"}), {"Staff": gone}, [new])[0].bound[0].reference == "id:g2"


def an_id_of_another_url(folder: Path) -> None:
    with Store(folder / "cache.db") as store:
        sync(at(store, "https://ours.invalid"), STAFF)
        before = (store.load(), store.bindings())
        assert sync(at(store, "https://theirs.invalid"), TENANT).outcome is SyncResult.QUARANTINED
        assert (store.load(), store.bindings()) == before
        assert sync(at(store, "https://moved.invalid"), STAFF).outcome is SyncResult.UNCHANGED


MEANT: Mapping[tuple[str, str], Callable[[Path], None]] = {
    ("the `value` of a member", "the person, or else the group, of this id"): an_id,
    (
        "a `value` that is no one's id",
        "the person of this userName, if no member of any group is the id of a person, or if "
        '`members = "userName"`',
    ): no_ones_id,
    (
        "a `value` that is, or ever was, the id of a person or group, as it stands or in the other case",
        "never a userName",
    ): an_id_of_any_time,
    (
        "an id that is both a person's and a group's, without `type` or `$ref`",
        "no one, with a warning",
    ): an_id_of_two_kinds,
    (
        "a userName that is the id of someone else, or of a group, in whatever case",
        "nothing, with a warning",
    ): a_user_name_that_is_an_id,
    (
        "a group's name in the site file",
        "the group of this name that was there first; from then on, its id",
    ): a_groups_name,
    ("a group's id in the site file", 'only as `"id:…"`'): a_groups_id,
    (
        "a new group with the name or externalId of one that is gone",
        'another group, until the site file says its `"id:…"`',
    ): a_group_like_one_that_is_gone,
    (
        "any id of another `url` than the cache was filled from",
        "no one: everything waits for `latchctl sync accept`, and nothing is bound before. If it is the same "
        "directory after all, it goes on",
    ): an_id_of_another_url,
}
"""Each row of the table, word for word, and what shows that it is so."""


def test_every_case_of_who_is_meant_is_in_the_table_and_no_other() -> None:
    assert [(row[0], row[1]) for row in rows("## Who is meant")] == list(MEANT)


@pytest.mark.parametrize("shown", MEANT.values(), ids=lambda shown: shown.__name__)
def test_whoever_is_meant_is_as_the_page_says(shown: Callable[[Path], None], tmp_path: Path) -> None:
    shown(tmp_path)
