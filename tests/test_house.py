"""The lint of tests/house.py holds and would notice a fault; so do the leak check, the locks and the Makefile."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.house import ROOT, RULES, SCRIPT_FOLDERS, Tree, faults, tree_of


@pytest.fixture(scope="module")
def tree() -> Tree:
    """This tree, read and parsed once."""
    return tree_of()


def test_the_house_is_in_order(tree: Tree) -> None:
    assert faults(tree) == []


BROKEN = {
    "cache/__init__.py": "X = 1\n",
    "cache/long.py": '"""Long."""\n' + "\n" * 400,
    "daemon/bare.py": "def public():\n    return 1\n",
    "drivers/far/lost.py": '"""In a folder without an __init__."""\n',
    "drivers/tall.py": '"""Tall."""\n\n\ndef tall():\n    """Documented."""\n' + "    print()\n" * 61,
    "tests/__init__.py": "",
    "tests/peers/socket.py": "",
    "README.md": "[gone](gone.md) [no heading](docs/page.md#absent) `daemon/gone.py`\n",
    "docs/page.md": "# Here\n[fine](#here)\n",
    "docs/unlinked.md": "# Alone\n",
    "Makefile": "install:\n\tpip --" + "index-url x\n",
}

NOTICED = {
    "files_are_small": ["cache/long.py: 401 lines", "drivers/tall.py: tall has 61 lines"],
    "packages_are_plain": [
        "cache/__init__.py: expected to be empty",
        "tests/__init__.py: only packages",
        "daemon: expected an __init__.py",
        "drivers: expected an __init__.py",
        "drivers/far: expected an __init__.py",
    ],
    "public_is_documented": [
        "daemon/bare.py: no docstring",
        "daemon/bare.py: public has no",
        "cache/__init__.py: no",
    ],
    "scripts_hide_no_package": ["tests/peers/socket.py: hides"],
    "links_lead_somewhere": ["README.md: [gone](gone.md)", "README.md: [no heading](docs/page.md#absent)"],
    "named_files_exist": ["README.md: `daemon/gone.py` does not exist"],
    "pages_are_reached": ["docs/unlinked.md: linked from none"],
    "no_file_knows_its_machine": ["Makefile: names"],
}


def test_each_rule_notices_what_breaks_it(tmp_path: Path) -> None:
    for name, text in BROKEN.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    tree = tree_of(tmp_path)
    assert {rule.__name__ for rule in RULES} == NOTICED.keys()
    for rule in RULES:
        found, expected = list(rule(tree)), NOTICED[rule.__name__]
        assert len(found) == len(expected), found
        assert all(any(fault.startswith(start) for fault in found) for start in expected), found


def test_the_lint_sees_the_whole_tree(tree: Tree) -> None:
    assert {"cache/model.py", "docs/README.md", "Makefile", ".ci/run", "tests/test_house.py"} <= set(tree.names)
    assert all(any(name.startswith(f"{folder}/") for name in tree.modules) for folder in SCRIPT_FOLDERS)


# ------------------------------------------------------------------ the leak check of conftest.py

LEAKS = """
import asyncio, os, sqlite3, subprocess, threading

KEPT = {}


def test_clean():
    connection = sqlite3.connect(":memory:")
    connection.close()
    subprocess.run(["true"], check=True)

    async def main():
        await asyncio.create_task(asyncio.sleep(0))

    asyncio.run(main())


def test_descriptor():
    KEPT["descriptor"] = os.open("/dev/null", os.O_RDONLY)


def test_thread():
    KEPT["thread"] = threading.Event()
    threading.Thread(target=KEPT["thread"].wait, name="forgotten").start()


def test_child():
    KEPT["child"] = subprocess.Popen(["cat"], stdin=subprocess.PIPE)


def test_zombie():
    KEPT["zombie"] = subprocess.Popen(["true"])


def test_sqlite():
    KEPT["sqlite"] = sqlite3.connect(":memory:")


def test_task():
    async def main():
        KEPT["task"] = asyncio.create_task(asyncio.sleep(60), name="forgotten")

    asyncio.run(main())


def test_let_go():
    KEPT["thread"].set()
    KEPT["child"].communicate()
    KEPT["zombie"].wait()
"""


def test_the_leak_check_names_each_kind_of_leak(tmp_path: Path) -> None:
    conftest = (ROOT / "tests" / "conftest.py").read_text()
    (tmp_path / "conftest.py").write_text(re.sub(r"^GRACE = .*$", "GRACE = 0.1", conftest, flags=re.MULTILINE))
    (tmp_path / "test_leaks.py").write_text(LEAKS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--rootdir={tmp_path}",
        str(tmp_path),
    ]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    reported = dict(re.findall(r"ERROR at teardown of test_(\w+) _+\nleft behind: (\S+ \S+)", run.stdout))
    assert reported.keys() == {"descriptor", "thread", "child", "zombie", "sqlite", "task"}, run.stdout
    assert reported["thread"] == "thread forgotten"
    assert reported["sqlite"] == "SQLite handle"
    assert "8 passed, 6 errors" in run.stdout


@pytest.mark.parametrize("lock", ["runtime", "dev", "mutation"])
def test_the_lock_has_every_dependency(lock: str) -> None:
    """`make lock` was not forgotten after a change of pyproject.toml, and each line is bound by its hashes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = project["project"]["dependencies"] + project["dependency-groups"].get(lock, [])
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    locked = re.findall(r"^([\w.-]+)==(\S+) .*\\\n +--hash=sha256:", text, re.MULTILINE)
    assert {re.split(r"[\s<>=;!~\[]", each)[0] for each in wanted} <= {package for package, _ in locked}
    assert len(locked) == len(re.findall(r"^\w", text, re.MULTILINE))


def test_the_tools_that_make_needs_are_in_the_lock() -> None:
    makefile = (ROOT / "Makefile").read_text()
    tools = set(re.findall(r"\$\(BIN\)/([\w-]+)", makefile)) - {"python"}
    assert tools >= {"ruff", "mypy", "lint-imports", "pip-audit"}
    assert [tool for tool in tools if shutil.which(tool, path=str(Path(sys.executable).parent)) is None] == []


def test_the_rooms_whose_branches_are_measured_are_tested_by_the_folders_that_measure_them() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["coverage"]
    rooms = re.search(r"^ROOMS := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert rooms is not None
    assert [f"tests/{package.replace('.', '/')}" for package in project["run"]["source_pkgs"]] == rooms[1].split()
    assert (project["run"]["branch"], project["report"]["fail_under"]) == (True, 100)
