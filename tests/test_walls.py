"""The walls of the design hold, and the tool that watches them would notice if one fell."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
TOP_LEVEL_PACKAGES = ("cache", "drivers", "daemon")

SHELLS = {
    "cache.directory.cache_file",
    "cache.directory.lookup",
    "cache.directory.rows",
    "cache.directory.file",
    "cache.directory.healing",
    "cache.directory.store",
    "cache.directory.sync_state",
    "cache.journal.head",
    "cache.journal.journal",
    "cache.journal.keeper",
    "cache.journal.reader",
    "cache.journal.records",
    "cache.journal.reserve",
    "cache.journal.writer",
    "cache.readonly",
    "cache.sqlite",
    "daemon.cli",
    "daemon.config.checks",
    "daemon.config.devices",
    "daemon.config.gpio",
    "daemon.config.load",
    "daemon.config.old_layout",
    "daemon.config.paths",
    "daemon.config.secrets",
    "daemon.config.site",
    "daemon.control.client",
    "daemon.control.conversation",
    "daemon.control.cache_status",
    "daemon.control.doors_commands",
    "daemon.control.peers",
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
    "daemon.doors.core",
    "daemon.doors.hardware",
    "daemon.doors.loop",
    "daemon.doors.reader_keys",
    "daemon.doors.sync_events",
    "daemon.names",
    "daemon.notify",
    "daemon.processes",
    "daemon.simulate.operators",
    "daemon.simulate.record",
    "daemon.simulate.runner",
    "daemon.simulate.world",
    "daemon.sync.connections",
    "daemon.sync.driving",
    "daemon.sync.http",
    "daemon.sync.oauth",
    "daemon.sync.outcome",
    "daemon.sync.plan",
    "daemon.sync.scheduler",
    "daemon.sync.service",
    "daemon.sync.unchanged",
    "drivers.gpio.board",
    "drivers.gpio.lines",
    "drivers.gpio.link",
    "drivers.gpio.sequencer",
    "drivers.gpio.wiegand",
    "drivers.modbus.driver",
    "drivers.modbus.link",
    "drivers.tcpport",
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
    paths = (path.relative_to(ROOT) for package in TOP_LEVEL_PACKAGES for path in (ROOT / package).rglob("*.py"))
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


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=tree,
        env={"COLUMNS": "200"},
        capture_output=True,
        text=True,
    )


def test_the_walls_stand() -> None:
    answer = lint(ROOT)
    assert answer.returncode == 0, answer.stdout + answer.stderr


PLANTS = [
    ("houses", "cache/model.py", "import drivers.events"),
    ("houses", "drivers/events.py", "import cache.model"),
    ("houses", "drivers/driver.py", "import daemon.errors"),
    ("pure", "cache/model.py", "import time"),
    ("pure", "drivers/wiegand/planted.py", "import gpiod"),
    ("pure", "daemon/doors/door/planted.py", "import asyncio"),
    ("pure", "daemon/scim/planted.py", "import daemon.planted"),  # and there: the clock
    ("modbus", "drivers/modbus/board.py", "import random"),
    ("registry", "daemon/planted.py", "import drivers.osdp.planted"),
    ("registry", "drivers/sim/planted.py", "import drivers.modbus.planted"),
    ("core", "daemon/doors/core.py", "import threading"),
    ("network", "drivers/osdp/planted.py", "import http"),
    ("network", "cache/planted.py", "import requests"),
    ("devices", "daemon/sync/service.py", "import serial"),
    ("policy", "daemon/config/policy/tables.py", "import drivers.events"),
    ("acyclic", "daemon/planted.py", "import daemon.planted2"),
]
"""The contract that notices, the file that breaks it, and the line."""

HELPERS = {
    "drivers/osdp/planted.py": "",
    "drivers/modbus/planted.py": "",
    "daemon/planted.py": "import time\n",
    "daemon/planted2.py": "import daemon.planted\n",
}


def test_planted_violations_are_noticed(tmp_path: Path) -> None:
    """All plants at once: each contract is broken, and names the file that breaks it."""
    for package in TOP_LEVEL_PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for helper, text in HELPERS.items():
        (tmp_path / helper).write_text(text)
    for _, file, line in PLANTS:
        path = tmp_path / file
        path.write_text(f"{path.read_text() if path.exists() else ''}\n{line}\n")
    answer = lint(tmp_path)
    assert answer.returncode == 1
    _, *sections = re.split(r"^(.+)\n-{4,}\n", answer.stdout.partition("Broken contracts")[2], flags=re.MULTILINE)
    reported = dict(zip(sections[::2], sections[1::2], strict=True))
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert {wall for wall, _, _ in PLANTS} == {each["id"] for each in contracts}, "each contract has a plant"
    for wall, file, line in PLANTS:
        module = file.removesuffix(".py").replace("/", ".")
        report = reported[next(each["name"] for each in contracts if each["id"] == wall)]
        if wall == "acyclic":  # it names what to remove, not the last link that closed the circle
            assert ".planted2 -> .planted" in report, report
        else:
            assert f"{module} -> {line.removeprefix('import ')}" in report, report
