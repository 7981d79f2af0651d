"""docs/drivers.md names every driver and every key, and its site files are accepted."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from drivers import registry
from drivers.driver import DriverType
from drivers.gpio.settings import GpioInput, GpioOutput

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "drivers.md").read_text()
BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def section(name: str) -> str:
    (text,) = re.findall(rf"^## {name}\n(.*?)(?=^## )", PAGE, re.DOTALL | re.MULTILINE)
    return text


def keys(text: str) -> set[str]:
    """The keys in the first column of a section's table."""
    rows = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    return {key for row in rows for key in re.findall(r"`(\w+)`", row)}


def fields(*kinds: Any) -> set[str]:
    return {field.name for kind in kinds if kind is not None for field in dataclasses.fields(kind)}


def test_every_built_in_driver_has_its_line() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|.*\|$", PAGE.split("## wiegand")[0], re.MULTILINE)
    assert sorted(rows) == sorted(registry.BUILT_IN)


@pytest.mark.parametrize(("name", "more"), [("wiegand", ()), ("gpio", (GpioInput, GpioOutput)), ("sim", ())])
def test_every_key_has_its_line_and_no_other(name: str, more: tuple[Any, ...]) -> None:
    kind: DriverType = registry.load(name)
    wanted = fields(kind.bus_settings, kind.reader_settings, kind.board_settings, *more)
    assert keys(section(name)) == wanted


@pytest.mark.parametrize("name", ["wiegand", "gpio", "sim"])
def test_the_site_file_of_a_section_is_accepted(name: str) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", section(name), re.DOTALL)
    kind = registry.load(name)
    settings = {"bus": kind.bus_settings, "reader": kind.reader_settings, "board": kind.board_settings}
    for table, members in tomllib.loads(block).items():
        for raw in members.values():
            rest = {key: value for key, value in raw.items() if key not in ("driver", "bus")}
            TypeAdapter(settings[table]).validate_json(json.dumps(rest))


def test_the_entry_point_on_the_page_is_that_of_the_example() -> None:
    (project,) = [block for block in BLOCKS if block.startswith("[project]")]
    entry_points = tomllib.loads(project)["project"]["entry-points"][registry.ENTRY_POINT_GROUP]
    ((name, target),) = entry_points.items()
    module, attribute = target.split(":")
    source = (ROOT / "docs" / "examples" / f"{module}.py").read_text()
    assert f'\n{attribute} = DriverType(\n    name="{name}"' in source


def test_the_files_it_points_at_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
    for target in re.findall(r"`(tests/[\w/.]+)`", PAGE):
        assert (ROOT / target).exists(), target
