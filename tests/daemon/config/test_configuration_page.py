"""docs/configuration.md says what the settings classes say: every table, every key, every default."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from pydantic import TypeAdapter

from cache.reconcile.limits import Bound, Limits, MemberLimit
from daemon.config import tables
from daemon.config.brake import BrakeTable
from daemon.config.load import load_site, read_site
from daemon.config.policy import tables as policy
from daemon.config.tables import SiteTables
from daemon.scim.settings import CredentialRule, OAuthSettings, ScimSettings
from drivers.cards.tables import CardCheck, CardFields, CardFormatTable
from drivers.gpio.settings import GpioInput, GpioOutput
from drivers.registry import BUILT_IN, load

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "configuration.md").read_text(encoding="utf-8")

RTU, TCP, OSDP = load("modbus-rtu"), load("modbus-tcp"), load("osdp")
WIEGAND, GPIO, SIM = load("wiegand"), load("gpio"), load("sim")

SECTIONS: dict[str, tuple[Any, ...]] = {
    "The file": (SiteTables,),
    "`[site]`": (tables.SiteTable,),
    "`[state]`": (tables.StateTable,),
    "`[scim]`": (ScimSettings,),
    "`[scim]` oauth": (OAuthSettings,),
    "`[scim.limits]`": (Limits,),
    "members": (MemberLimit,),
    "`[[scim.credential]]`": (CredentialRule,),
    "`[brake]`": (BrakeTable,),
    "people, last_door": (Bound,),
    "`[staleness]`": (policy.StalenessTable,),
    "`[clock]`": (tables.ClockTable,),
    "`[bus.NAME]` osdp": (OSDP.bus_settings,),
    "`[reader.NAME]` osdp": (OSDP.reader_settings,),
    "`[bus.NAME]` modbus-rtu": (RTU.bus_settings,),
    "`[bus.NAME]` modbus-tcp": (TCP.bus_settings,),
    "`[board.NAME]` modbus-rtu, modbus-tcp": (RTU.board_settings, TCP.board_settings),
    "`[reader.NAME]` wiegand": (WIEGAND.reader_settings,),
    "`[board.NAME]` gpio": (GPIO.board_settings,),
    "An output line": (GpioOutput,),
    "An input line": (GpioInput,),
    "`[bus.NAME]` sim": (SIM.bus_settings,),
    "`[reader.NAME]` sim": (SIM.reader_settings,),
    "`[board.NAME]` sim": (SIM.board_settings,),
    "`[door.NAME]`": (tables.DoorTable,),
    "contact, fire": (tables.ContactTable,),
    "rex": (tables.RexTable,),
    "two_person": (policy.TwoPersonTable,),
    "double_badge": (policy.DoubleBadgeTable,),
    "area": (policy.AreaStepTable,),
    "`[[access_level]]`": (policy.AccessLevelTable,),
    "`[[access_level.exception]]`": (policy.AccessExceptionTable,),
    "`[[door_schedule]]`": (policy.DoorScheduleTable,),
    "`[[door_exception]]`": (policy.DoorExceptionTable,),
    "windows": (policy.DoorWindowTable,),
    "`[area.NAME]`": (policy.AreaTable,),
    "`[[interlock]]`": (tables.InterlockTable,),
    "`[card_format.NAME]`": (CardFormatTable,),
    "fields": (CardFields,),
    "checks": (CardCheck,),
    "`[pin]`": (tables.PinTable,),
    "lockout": (tables.LockoutTable,),
    "`[journal]`": (tables.JournalTable,),
    "`[control]`": (tables.ControlTable,),
}

DRIVERS_OWN = ("driver", "bus")
"""Keys of hardware tables that tell which driver reads the rest."""


def rows(heading: str) -> dict[str, tuple[str, str, str]]:
    """The table below a heading: key -> values, default, meaning."""
    [section] = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert all(len(row) == 4 for row in cells), heading
    return {row[0].strip("`"): (row[1], row[2], row[3]) for row in cells}


def settings_inside(hint: Any) -> Iterator[Any]:
    """The settings classes that a type mentions."""
    if isinstance(hint, type) and hasattr(hint, "__pydantic_fields__"):
        yield hint
    for argument in get_args(hint):
        yield from settings_inside(argument)


def all_settings() -> set[Any]:
    """Every settings class that a site file can reach."""
    roots: list[Any] = [SiteTables]
    for name in BUILT_IN:
        kind = load(name)
        roots += [each for each in (kind.bus_settings, kind.reader_settings, kind.board_settings) if each]
    found: set[Any] = set()
    while roots:
        each = roots.pop()
        if each not in found:
            found.add(each)
            for hint in get_type_hints(each, include_extras=True).values():
                roots += settings_inside(hint)
    return found


def fields(kind: Any) -> dict[str, Any]:
    """Key -> what pydantic knows of it."""
    return {info.alias or name: (name, info) for name, info in kind.__pydantic_fields__.items()}


def read_default(kind: Any, name: str, text: str) -> object:
    """A default as the page writes it, read as the site file would be."""
    hint = get_type_hints(kind, include_extras=True)[name]
    raw = tomllib.loads(f"value = {text}")["value"]
    settings = any(settings_inside(hint))
    adapter: TypeAdapter[object] = TypeAdapter(hint) if settings else TypeAdapter(hint, config={"strict": True})
    return adapter.validate_json(json.dumps(raw))


def test_every_settings_class_has_its_section() -> None:
    described = {kind for kinds in SECTIONS.values() for kind in kinds}
    assert all_settings() == described
    assert all(dataclasses.is_dataclass(kind) for kind in described)


@pytest.mark.parametrize(
    ("heading", "kind"), [(heading, kind) for heading, kinds in SECTIONS.items() for kind in kinds]
)
def test_the_page_names_each_key_and_no_other(heading: str, kind: Any) -> None:
    named = set(rows(heading))
    assert named - set(DRIVERS_OWN) == set(fields(kind))
    hardware = heading.startswith(("`[bus.", "`[reader.", "`[board."))
    assert bool(named & set(DRIVERS_OWN)) is hardware


@pytest.mark.parametrize(
    ("heading", "kind", "key"),
    [(heading, kind, key) for heading, kinds in SECTIONS.items() for kind in kinds for key in fields(kind)],
)
def test_defaults_and_words(heading: str, kind: Any, key: str) -> None:
    values, said, _ = rows(heading)[key]
    name, info = fields(kind)[key]
    assert values, "the page says which values the key may have"
    if info.is_required():
        assert said == "required"
        return
    default = info.get_default(call_default_factory=True)
    if default is None:
        assert said == "absent"
        return
    assert re.fullmatch("`.*`", said), f"write a default as code, not {said}"
    assert read_default(kind, name, said.strip("`")) == default


def choices(hint: Any) -> set[str]:
    """The words of a Literal or an enumeration, wherever it stands in a type."""
    if isinstance(hint, type) and issubclass(hint, str) and hasattr(hint, "__members__"):
        return {str(member.value) for member in hint}  # type: ignore[attr-defined]
    arguments = get_args(hint)
    if arguments and all(isinstance(each, str | int) for each in arguments):
        return {str(each) for each in arguments}
    return set().union(*(choices(each) for each in arguments)) if arguments else set()


@pytest.mark.parametrize(
    ("heading", "kind", "key"),
    [
        (heading, kind, key)
        for heading, kinds in SECTIONS.items()
        for kind in kinds
        for key, (name, _) in fields(kind).items()
        if choices(get_type_hints(kind)[name])
    ],
)
def test_the_words_that_may_be_chosen(heading: str, kind: Any, key: str) -> None:
    said = {word.strip() for word in rows(heading)[key][0].split(",")}
    wanted = choices(get_type_hints(kind)[fields(kind)[key][0]])
    assert said == wanted


def test_the_words_are_really_looked_at() -> None:
    assert choices(get_type_hints(tables.DoorTable)["relock"]) == {"on_open", "on_close", "on_time"}
    assert choices(get_type_hints(tables.ClockTable)["untrusted"])


def test_the_examples_of_the_page_are_together_a_site_file() -> None:
    blocks = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    site = read_site("".join(blocks), "the examples", None)
    headings = set(re.findall(r"^## `\[+([a-z_]+)[.\w]*\]+`", PAGE, re.MULTILINE)) - {"state"}
    assert headings == set(tomllib.loads("".join(blocks))) - {"bus", "board", "reader", "allow_simulation"}
    assert site.tables.door.keys() == {"lobby", "yard"}


def test_the_example_file_is_good() -> None:
    site = load_site(DOCS / "examples" / "site.toml", None)
    assert site.tables.door.keys() == {"lobby"}
    assert {level.name for level in site.levels} == {"Staff by day", "Cleaning by night"}
