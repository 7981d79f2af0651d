"""The walls of the design hold, and the tool that watches them would notice if one fell."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOP_LEVEL_PACKAGES = ("cache", "drivers", "daemon")

SHELLS = {
    "cache.directory.lookup",
    "cache.directory.rows",
    "cache.directory.store",
    "cache.directory.sync_state",
    "cache.journal.journal",
    "cache.journal.reader",
    "cache.journal.records",
    "cache.journal.reserve",
    "cache.journal.writer",
    "cache.sqlite",
    "daemon.cli",
    "daemon.config.checks",
    "daemon.config.devices",
    "daemon.config.faults",
    "daemon.config.gpio",
    "daemon.config.lines",
    "daemon.config.load",
    "daemon.config.paths",
    "daemon.config.secrets",
    "daemon.config.site",
    "daemon.config.tables",
    "daemon.config.values",
    "daemon.control.client",
    "daemon.control.doors_commands",
    "daemon.control.permissions",
    "daemon.control.questions.access",
    "daemon.control.questions.explain",
    "daemon.control.questions.question",
    "daemon.control.questions.subjects",
    "daemon.control.reader_commands",
    "daemon.control.reports",
    "daemon.control.server",
    "daemon.control.sync_commands",
    "daemon.doors.clock",
    "daemon.doors.hardware",
    "daemon.doors.loop",
    "daemon.doors.reader_keys",
    "daemon.doors.sync_events",
    "daemon.names",
    "daemon.notify",
    "daemon.processes",
    "daemon.simulate.operators",
    "daemon.simulate.runner",
    "daemon.simulate.world",
    "daemon.sync.http",
    "daemon.sync.oauth",
    "daemon.sync.outcome",
    "daemon.sync.plan",
    "daemon.sync.scheduler",
    "daemon.sync.service",
    "drivers.gpio.board",
    "drivers.gpio.lines",
    "drivers.gpio.link",
    "drivers.gpio.sequencer",
    "drivers.gpio.wiegand",
    "drivers.modbus.driver",
    "drivers.modbus.link",
    "drivers.modbus.tcp",
    "drivers.osdp.commissioning",
    "drivers.osdp.driver",
    "drivers.osdp.link",
    "drivers.recorder",
    "drivers.registry",
    "drivers.serialport",
    "drivers.sim.driver",
}
"""Modules, or whole packages, that may block, await, or ask what time it is. All others are pure."""


def contract(name: str) -> dict[str, list[str]]:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    found: dict[str, list[str]] = next(each for each in contracts if each["id"] == name)
    return found


def modules() -> list[str]:
    """Every module that has something in it, by its dotted name."""
    paths = (path.relative_to(ROOT) for house in TOP_LEVEL_PACKAGES for path in (ROOT / house).rglob("*.py"))
    return sorted(".".join(path.with_suffix("").parts) for path in paths if path.name != "__init__.py")


def within(module: str, names: set[str]) -> bool:
    return any(module == name or module.startswith(name + ".") for name in names)


def test_every_module_is_either_pure_or_a_shell() -> None:
    pure = set(contract("pure")["source_modules"])
    undecided = [module for module in modules() if within(module, pure) == within(module, SHELLS)]
    assert undecided == [], (
        "name each in pyproject.toml under the contract 'pure', or here under SHELLS, and not in both"
    )


def test_what_the_design_calls_pure_is_in_the_contract() -> None:
    pure = set(contract("pure")["source_modules"])
    for module in (
        "cache.model",
        "daemon.decision.schedule",
        "daemon.decision.decide",
        "cache.reconcile.reconcile",
        "drivers.events",
        "drivers.wiegand",
        "drivers.osdp.frame",
        "drivers.osdp.secure",
        "drivers.osdp.session",
        "drivers.osdp.bus",
        "daemon.doors.door",
        "daemon.scim",
    ):
        assert within(module, pure), module


def test_no_shell_is_listed_that_does_not_exist() -> None:
    existing = set(modules()) | {module.rpartition(".")[0] for module in modules()}
    assert existing >= SHELLS


# ------------------------------------------------------------------ the watchman is awake


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the tree in which a wall may be broken."""
    for house in TOP_LEVEL_PACKAGES:
        shutil.copytree(ROOT / house, tmp_path / house, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=tree,
        env={"COLUMNS": "200"},
        capture_output=True,
        text=True,
    )


def test_the_walls_stand(copy: Path) -> None:
    answer = lint(copy)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("cache/model.py", "import drivers.events", "daemon imports drivers and cache"),
        ("drivers/events.py", "import cache.model", "daemon imports drivers and cache"),
        ("drivers/driver.py", "import daemon.errors", "daemon imports drivers and cache"),
        ("cache/model.py", "import time", "pure modules"),
        ("drivers/wiegand/planted.py", "import gpiod", "pure modules"),
        ("daemon/doors/door/planted.py", "from asyncio import sleep", "pure modules"),
        ("daemon/scim/planted.py", "import daemon.planted\n# and there: the clock", "pure modules"),
        ("daemon/planted.py", "import drivers.osdp.planted", "only drivers.registry"),
        ("drivers/sim/planted.py", "import drivers.modbus.planted", "only drivers.registry"),
        ("drivers/osdp/planted.py", "import http.client", "what opens doors"),
        ("cache/planted.py", "import requests", "what opens doors"),
        ("daemon/sync/service.py", "import serial", "what talks to the network"),
        ("daemon/planted.py", "import daemon.planted2", "no import cycles"),
    ],
)
def test_a_planted_violation_is_noticed(copy: Path, file: str, line: str, broken: str) -> None:
    for helper, text in (
        ("drivers/osdp/planted.py", ""),
        ("drivers/modbus/planted.py", ""),
        ("daemon/planted.py", "import time"),
        ("daemon/planted2.py", "import daemon.planted"),
    ):
        (copy / helper).write_text(text)
    path = copy / file
    path.write_text(f"{path.read_text() if path.exists() else ''}\n{line}\n")
    answer = lint(copy)
    verdicts = [text for text in answer.stdout.splitlines() if "BROKEN" in text]
    assert answer.returncode == 1
    assert [text for text in verdicts if text.startswith(broken)], answer.stdout
