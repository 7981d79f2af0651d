"""The wheel, in an empty environment with the locked runtime dependencies and nothing else, is all of latchd.

Needs the package index that pip is set up with, as `make venv` does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOP_LEVEL_PACKAGES = ("cache", "drivers", "daemon")

pytestmark = pytest.mark.timeout(300)

IMPORT_ALL = """
import importlib, pkgutil
for house in ("cache", "drivers", "daemon"):
    package = importlib.import_module(house)
    print(package.__file__)
    for module in pkgutil.walk_packages(package.__path__, house + "."):
        importlib.import_module(module.name)
from daemon.names import check_names
check_names()
"""


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """The standard output of a command that must succeed; Python's own settings do not reach it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by the hatchling of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet")
    run(*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT)
    (built,) = folder.glob("latchd-*.whl")
    return built


@pytest.fixture(scope="module")
def place(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new virtual environment as docs/install.md makes it."""
    place = tmp_path_factory.mktemp("opt") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", place)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", f"--python={place}", "install", "--quiet")
    run(*pip, "--require-hashes", "--no-deps", "-r", ROOT / "requirements" / "runtime.txt")
    run(*pip, "--no-deps", "--no-index", wheel)
    return place


def test_the_wheel_holds_the_code_and_its_data_and_no_more(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    sources = {
        str(path.relative_to(ROOT))
        for house in TOP_LEVEL_PACKAGES
        for path in (ROOT / house).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert inside == sources
    assert {"cache/schema/cache_v1.sql", "drivers/cards/formats.json", "daemon/py.typed"} <= inside


@pytest.mark.parametrize("command", ["latchd", "latchctl"])
def test_the_commands_run(place: Path, tmp_path: Path, command: str) -> None:
    assert "Usage:" in run(place / "bin" / command, "--help", cwd=tmp_path)


def test_every_module_is_importable_without_the_development_tools(place: Path, tmp_path: Path) -> None:
    files = run(place / "bin" / "python", "-c", IMPORT_ALL, cwd=tmp_path).split()
    assert [Path(file).is_relative_to(place) for file in files] == [True] * len(TOP_LEVEL_PACKAGES)


def test_the_requirements_of_the_wheel_are_what_the_lock_installs(place: Path, tmp_path: Path) -> None:
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", f"--python={place}")
    assert "No broken requirements" in run(*pip, "check", cwd=tmp_path)
