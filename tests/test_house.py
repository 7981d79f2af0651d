"""The habits of the house that a machine can check: sizes, empty packages, live links, nothing left behind."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOP_LEVEL_PACKAGES = ("cache", "drivers", "daemon")
FOLDERS = (*TOP_LEVEL_PACKAGES, "systemd", "requirements", "tests", "docs", "benchmarks")
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60


def tracked(*patterns: str) -> list[Path]:
    """The files under version control, and those that are new and not ignored."""
    listing = subprocess.run(
        [
            "git",
            "-c",
            "safe.directory=*",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
            *patterns,
        ],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    return [path for name in listing.stdout.split("\0") if name and (path := ROOT / name).exists()]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


SOURCES = tracked("*.py")
PAGES = tracked("*.md")


# ------------------------------------------------------------------ size and shape


def functions(tree: ast.AST) -> list[tuple[str, int]]:
    """Name and length in lines of every function, its decorators and docstring not counted."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            documented = ast.get_docstring(node, clean=False) is not None and len(node.body) > 1
            first = node.body[1 if documented else 0]
            found.append((node.name, (node.end_lineno or 0) - first.lineno + 1))
    return found


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    lines = text.count("\n")
    assert lines <= MAX_FILE_LINES
    assert [(each, size) for each, size in functions(ast.parse(text)) if size > MAX_FUNCTION_LINES] == []


def test_packages_are_literal_and_tests_are_none() -> None:
    inits = [path for path in SOURCES if path.name == "__init__.py"]
    assert [name(path) for path in inits if path.stat().st_size] == []
    assert {path.relative_to(ROOT).parts[0] for path in inits} == set(TOP_LEVEL_PACKAGES)


def test_every_package_directory_has_its_init() -> None:
    """Without one the wheel would still have the files, but the walls would not be watched."""
    folders = {path.parent for path in SOURCES if path.relative_to(ROOT).parts[0] in TOP_LEVEL_PACKAGES}
    assert [name(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if path.relative_to(ROOT).parts[0] in TOP_LEVEL_PACKAGES], ids=name
)
def test_what_is_public_is_documented(path: Path) -> None:
    tree = ast.parse(path.read_text())
    if not tree.body:
        return
    assert ast.get_docstring(tree), "a module says what it owns"
    bare = [
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert bare == []


@pytest.mark.parametrize("folder", ["benchmarks", "tests/peers", "tests/demo"])
def test_no_script_hides_a_package(folder: str) -> None:
    """A script's folder comes first where Python looks for modules, so none there may bear a package's name."""
    scripts = {path.stem for path in (ROOT / folder).glob("*.py")}
    assert scripts, "else this test sees nothing"
    assert scripts & {*TOP_LEVEL_PACKAGES, "tests", *sys.stdlib_module_names} == set()


# ------------------------------------------------------------------ pages

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#{1,6} +(.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)
    return set(plain)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    dead = []
    for match in LINK.finditer(FENCE.sub("", page.read_text())):
        target, _, anchor = (match[1] or match[2]).partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path)):
            dead.append(match[0])
    assert dead == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_that_a_page_names_exist(page: Path) -> None:
    named = re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]+)`", page.read_text())
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_page_of_the_docs_is_reached_from_the_index() -> None:
    docs = ROOT / "docs"
    indexes = [ROOT / "README.md", docs / "README.md", docs / "decisions" / "README.md"]
    linked = {
        (index.parent / (match[1] or match[2]).partition("#")[0]).resolve()
        for index in indexes
        for match in LINK.finditer(index.read_text())
    }
    assert [name(page) for page in PAGES if page.is_relative_to(docs) and page not in {*linked, *indexes}] == []


# ------------------------------------------------------------------ what no file may hold


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    """A path of one machine or a package registry's address in the tree would bind the project to it."""
    home = re.compile(
        r"/work/(?:main|shared)|/tmp/w/|--(?:extra-)?index-url|(?:pypi|pythonhosted)\.org/(?:simple|packages)"
    )
    found = []
    for path in tracked():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        if path != Path(__file__) and home.search(text):
            found.append(name(path))
    assert found == []


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
