"""docs/dependencies.md, pyproject.toml and the lock say the same, and nothing is installed that nothing uses."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

DATA = {"tzdata"}
"""Read by the standard library's zoneinfo, imported by nobody."""


def names(requirements: list[str]) -> set[str]:
    """The packages of a list of requirements."""
    return {re.split(r"[\s<>=;!~\[]", each)[0] for each in requirements}


def section(heading: str) -> str:
    return PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]


def locked(lock: str) -> dict[str, str]:
    """Package -> version of a lock file."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))


RUNTIME = names(PROJECT["project"]["dependencies"])
DEVELOPMENT = names(PROJECT["dependency-groups"]["dev"])


def test_the_page_says_of_each_dependency_why_it_is_there_and_names_no_other() -> None:
    rows = [line.strip("|").split("|") for line in section("At run time").splitlines() if line.startswith("| `")]
    found = {cells[0].split("`")[1]: cells[1:] for cells in rows}
    assert found.keys() - {"sqlite3"} == RUNTIME
    assert [
        name for name, (purpose, rejected) in found.items() if not (purpose.strip() and rejected.strip())
    ] == []


def test_what_is_imported_is_declared() -> None:
    """A package that only comes with another may go with it."""
    imported = set()
    for package in ("cache", "drivers", "daemon"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                modules = [each.name for each in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.module:
                    modules = [node.module]
                imported |= {module.partition(".")[0] for module in modules}
    ours = {"cache", "drivers", "daemon"}
    distributions = importlib.metadata.packages_distributions()
    foreign = {name for each in imported - ours - sys.stdlib_module_names for name in distributions[each]}
    assert {name.lower() for name in foreign} <= RUNTIME


def test_the_page_names_every_tool_of_development() -> None:
    named = set(re.findall(r"`([\w-]+)`", section("To develop")))
    stubs = {name for name in DEVELOPMENT if name.startswith("types-")}
    assert DEVELOPMENT - stubs - named == set()
    assert "`mypy` with its stubs" in section("To develop")


def test_the_table_of_processors_has_the_versions_of_the_lock() -> None:
    table = section("Processors")
    versions = dict(re.findall(r"^\| `([\w-]+)` (\S+) \|", table, re.MULTILINE))
    lock = locked("runtime")
    assert versions == {name: lock[name] for name in versions}
    counts = re.search(r"pure Python \((\d+) of (\d+)\)", table)
    assert counts
    assert (int(counts[1]), int(counts[2])) == (len(lock) - len(versions), len(lock))


def test_every_dependency_is_imported_somewhere_in_what_is_installed() -> None:
    provided = importlib.metadata.packages_distributions()
    statement = re.compile(r"^ *(?:import|from) (\w+)|import_module\(\"(\w+)", re.MULTILINE)
    sources = [path for house in ("cache", "drivers", "daemon") for path in (ROOT / house).rglob("*.py")]
    imported = {
        match[1] or match[2] for path in sources for match in statement.finditer(path.read_text(encoding="utf-8"))
    }
    used = {name.lower().replace("_", "-") for module in imported for name in provided.get(module, ())}
    assert RUNTIME - DATA - used == set()
