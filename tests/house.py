"""The habits of the house that a machine can check, as one lint: sizes, empty packages, live links, nothing left.

``python -m tests.house`` prints every fault and exits with 1 if there is one. A rule is a function that takes the
tree and yields faults in words; tests/test_house.py runs them all, and each on a tree in which it is broken.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parent.parent
TOP_LEVEL_PACKAGES = ("cache", "drivers", "daemon")
FOLDERS = (*TOP_LEVEL_PACKAGES, "systemd", "requirements", "tests", "docs", "benchmarks")
SCRIPT_FOLDERS = ("benchmarks", "tests/peers", "tests/demo")
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
NAMED_FILE = re.compile(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]+)`")
ONE_MACHINE = re.compile(
    r"/work/(?:main|shared|wt)|/tmp/w/|--(?:extra-)?index-url|(?:pypi|pythonhosted)\.org/(?:simple|packages)"
)
"""A path of one machine or a package registry's address would bind the project to it."""


@dataclass(frozen=True)
class Tree:
    """The files under version control, and those that are new and not ignored, below ``root``."""

    root: Path
    names: tuple[str, ...]
    texts: dict[str, str] = field(default_factory=dict, repr=False)

    def ending(self, end: str) -> Iterator[str]:
        """The names that end so."""
        return (name for name in self.names if name.endswith(end))

    def text(self, name: str) -> str:
        """The text of a file, read once; empty for what is not text."""
        if name not in self.texts:
            self.texts[name] = (self.root / name).read_bytes().decode("utf-8", "ignore")
        return self.texts[name]

    @cached_property
    def modules(self) -> dict[str, ast.Module]:
        """Every Python file, parsed."""
        return {name: ast.parse(self.text(name)) for name in self.ending(".py")}


def tree_of(root: Path = ROOT) -> Tree:
    """The tree of a checkout."""
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    return Tree(root, tuple(name for name in listing.split("\0") if name and (root / name).is_file()))


def package_of(name: str) -> str | None:
    """The top-level package that a file belongs to."""
    first = name.partition("/")[0]
    return first if first in TOP_LEVEL_PACKAGES else None


def documented(node: ast.AsyncFunctionDef | ast.FunctionDef | ast.ClassDef | ast.Module) -> bool:
    """Whether there is a docstring."""
    return ast.get_docstring(node, clean=False) is not None


def function_lines(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Name and length in lines of every function, its decorators and docstring not counted."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[1 if documented(node) and len(node.body) > 1 else 0]
            yield node.name, (node.end_lineno or 0) - first.lineno + 1


# ------------------------------------------------------------------ rules


def files_are_small(tree: Tree) -> Iterator[str]:
    """Files up to 400 lines, functions up to 60."""
    for name, module in tree.modules.items():
        lines = tree.text(name).count("\n")
        if lines > MAX_FILE_LINES:
            yield f"{name}: {lines} lines, expected at most {MAX_FILE_LINES}"
        for function, size in function_lines(module):
            if size > MAX_FUNCTION_LINES:
                yield f"{name}: {function} has {size} lines, expected at most {MAX_FUNCTION_LINES}"


def packages_are_plain(tree: Tree) -> Iterator[str]:
    """Every folder of a package has an empty ``__init__.py``, and no other folder has one.

    Without one the wheel would still have the files, but the walls would not be watched.
    """
    inits = {name for name in tree.modules if name.rpartition("/")[2] == "__init__.py"}
    yield from (f"{name}: expected to be empty" for name in inits if tree.text(name))
    yield from (f"{name}: only packages have one" for name in inits if package_of(name) is None)
    folders = {name.rpartition("/")[0] for name in tree.modules if package_of(name)}
    yield from (f"{folder}: expected an __init__.py" for folder in folders if f"{folder}/__init__.py" not in inits)


def public_is_documented(tree: Tree) -> Iterator[str]:
    """A module says what it owns, and each public class and function what it does."""
    for name, module in tree.modules.items():
        if package_of(name) is None or not module.body:
            continue
        if not documented(module):
            yield f"{name}: no docstring that says what it owns"
        for node in module.body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if not node.name.startswith("_") and not documented(node):
                yield f"{name}: {node.name} has no docstring"


def scripts_hide_no_package(tree: Tree) -> Iterator[str]:
    """A script's folder comes first where Python looks for modules, so none there may bear a package's name."""
    taken = {*TOP_LEVEL_PACKAGES, "tests", *sys.stdlib_module_names}
    for name in tree.modules:
        folder, _, file = name.rpartition("/")
        if folder in SCRIPT_FOLDERS and file.removesuffix(".py") in taken:
            yield f"{name}: hides the package of this name"


def anchors(text: str) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#{1,6} +(.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(tree: Tree, page: str) -> Iterator[tuple[str, str, str]]:
    """Each relative link of a page: as written, the file it leads to, and its anchor."""
    for match in LINK.finditer(FENCE.sub("", tree.text(page))):
        target, _, anchor = (match[1] or match[2]).partition("#")
        if re.match(r"[a-z]+:", target) is None:
            path = (tree.root / page).parent / target if target else tree.root / page
            yield match[0], str(path.resolve()), anchor


def links_lead_somewhere(tree: Tree) -> Iterator[str]:
    """Every relative link leads to a file and, where it has one, to a heading."""
    for page in tree.ending(".md"):
        for written, target, anchor in links(tree, page):
            path = Path(target)
            if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path.read_text())):
                yield f"{page}: {written} leads nowhere"


def named_files_exist(tree: Tree) -> Iterator[str]:
    """A file or folder that a page names by its path is there."""
    for page in tree.ending(".md"):
        for path in NAMED_FILE.findall(tree.text(page)):
            if not (tree.root / path).exists():
                yield f"{page}: `{path}` does not exist"


def pages_are_reached(tree: Tree) -> Iterator[str]:
    """Every page of the docs is linked from an index."""
    indexes = ("README.md", "docs/README.md", "docs/decisions/README.md")
    reached = {target for index in indexes if index in tree.names for _, target, _ in links(tree, index)}
    for page in tree.ending(".md"):
        if page.startswith("docs/") and page not in indexes and str((tree.root / page).resolve()) not in reached:
            yield f"{page}: linked from none of {', '.join(indexes)}"


def no_file_knows_its_machine(tree: Tree) -> Iterator[str]:
    """No path of one machine and no registry's address is in the tree."""
    for name in tree.names:
        if name not in ("tests/house.py", "tests/test_house.py") and ONE_MACHINE.search(tree.text(name)):
            yield f"{name}: names a path of one machine, or a package registry"


RULES: tuple[Callable[[Tree], Iterator[str]], ...] = (
    files_are_small,
    packages_are_plain,
    public_is_documented,
    scripts_hide_no_package,
    links_lead_somewhere,
    named_files_exist,
    pages_are_reached,
    no_file_knows_its_machine,
)


def faults(tree: Tree) -> list[str]:
    """Every fault of a tree, by every rule."""
    return [fault for rule in RULES for fault in rule(tree)]


if __name__ == "__main__":
    found = faults(tree_of())
    print("\n".join(found) or "the house is in order")
    sys.exit(bool(found))
