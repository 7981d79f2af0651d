"""A namesake of one of latchd's three packages is noticed at start-up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from daemon.names import check_names

ROOT = Path(__file__).parent.parent.parent
SCRIPT = """
from daemon.names import check_names
from daemon.errors import ConfigError
try:
    check_names()
except ConfigError as error:
    print(error)
"""


def test_in_its_own_place_nothing_is_said() -> None:
    check_names()


def said(*path: Path) -> str:
    """What the check prints in a new interpreter that looks for packages along ``path``."""
    run = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path[:0] = {[str(each) for each in path]!r}\n{SCRIPT}"],
        capture_output=True,
        check=True,
        text=True,
    )
    return run.stdout


def test_a_namesake_is_named(tmp_path: Path) -> None:
    (tmp_path / "drivers").mkdir()
    (tmp_path / "drivers" / "__init__.py").touch()
    (tmp_path / "daemon").symlink_to(ROOT / "daemon")
    (tmp_path / "cache").symlink_to(ROOT / "cache")
    text = said(tmp_path)
    assert "'drivers' was expected in" in text
    assert str(tmp_path / "drivers") in text
    assert "virtual environment" in text


def test_a_folder_without_init_takes_nothing_over(tmp_path: Path) -> None:
    (tmp_path / "drivers").mkdir()
    assert said(tmp_path, ROOT) == ""
