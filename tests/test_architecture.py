"""docs/architecture.md and docs/glossary.md name what the code has: files, functions, calls, modes, reasons."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from cache.model import Mode, ModeCause, Reason
from daemon.config import bounds
from daemon.config.bounds import Count, Span

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
DIAGRAMS = re.findall(r"^```mermaid\nsequenceDiagram\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@cache
def functions(file: str) -> frozenset[str]:
    """Every function and method that a file defines."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return frozenset(n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


def steps() -> list[tuple[str, str, str]]:
    """Each arrow of the diagrams: the file that calls, the file that is called, and the function."""
    found = []
    for diagram in DIAGRAMS:
        files = dict(re.findall(r"participant (\w+) as (\S+)", diagram))
        for caller, called, name in re.findall(r"(\w+)->>(\w+): (\w+)", diagram):
            found.append((files[caller], files[called], name))
    return found


def test_there_is_a_diagram_of_the_badge_path_and_one_of_the_sync_path() -> None:
    assert [len(re.findall("participant", diagram)) > 8 for diagram in DIAGRAMS] == [True, True]
    assert len(steps()) == PAGE.count("->>")


@pytest.mark.parametrize(("caller", "called", "name"), steps())
def test_each_step_is_a_function_of_its_file_and_its_caller_knows_it(caller: str, called: str, name: str) -> None:
    assert name in functions(called)
    text = (ROOT / caller).read_text(encoding="utf-8")
    assert re.search(rf"\b{name.lstrip('_')}\b", text), f"{caller} does not call {name}"


def test_where_to_start_reading_names_files_and_functions_that_exist() -> None:
    section = PAGE.split("## Where to start reading\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ") and ".py" in line]
    assert len(rows) >= 10
    for row in rows:
        for file, rest in re.findall(r"`([\w/]+\.py)`([^|;]*?)(?=, `[\w/]+\.py`|\||;)", row):
            named = re.findall(r"`(\w+)`", rest)
            assert set(named) <= functions(file), (file, named)


def test_the_glossary_has_every_mode_and_reason_and_no_other() -> None:
    modes = GLOSSARY.split("## Door modes")[1].split("\n## ")[0]
    causes = re.search(r"`cause` says which: (.*)", modes)
    assert causes is not None
    assert re.findall(r"`(\w+)`", causes[1]) == [cause.value for cause in ModeCause]
    assert set(re.findall(r"\*\*, `(\w+)`", modes)) == {mode.value for mode in Mode}
    assert re.findall(r"`(\w+)`", GLOSSARY.split("## Reasons")[1]) == [reason.value for reason in Reason]


NUMBERS: list[tuple[Span | Count, str]] = [
    (bounds.STRIKE_TIME, r"\*\*Strike time\*\*: .*?, default (?P<default>\d+) s, (?P<least>\d+)–(?P<most>\d+)\."),
    (bounds.EXTENDED_TIME, r"Extended \(accessible\) time, (?P<least>\d+)–(?P<most>\d+) s"),
    (bounds.HELD_OPEN_TIME, r"open longer than T \(default (?P<default>\d+) s, ≥ (?P<least>\d+)\)"),
    (bounds.REX_TIME, r"shunt and release \(default (?P<default>\d+) s\)"),
    (bounds.PIN_TIMEOUT, r"PIN within T \(default (?P<default>\d+) s\)"),
    (bounds.LOCKOUT_AFTER, r"after N wrong PINs \(default (?P<default>\d+)\)"),
    (bounds.TWO_PERSON_WITHIN, r"two different valid people within T \(default (?P<default>\d+) s\)"),
    (bounds.DOUBLE_BADGE_WITHIN, r"quick succession \(default (?P<default>\d+) s\)"),
]


@pytest.mark.parametrize(("bound", "pattern"), NUMBERS)
def test_the_glossary_has_the_numbers_of_the_site_file(bound: Span | Count, pattern: str) -> None:
    found = re.search(pattern, GLOSSARY)
    assert found is not None, pattern
    for field, number in found.groupdict().items():
        assert float(number) == getattr(bound, field)
