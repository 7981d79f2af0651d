"""Each default and range stands once: the tables, the doors and both pages say what bounds.py says."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from daemon.config import bounds, tables
from daemon.config.bounds import Count, Span, in_notation
from daemon.config.load import SiteFileError, read_site
from daemon.doors.door.debounce import Input
from daemon.doors.door.lockout import LockoutRules
from daemon.doors.door.session import SessionConfig
from daemon.doors.door.state import DoorConfig
from drivers.settings import parse_duration
from tests.daemon.config.test_configuration_page import rows
from tests.daemon.config.test_site import GOOD

DOORS_PAGE = (Path(__file__).parents[3] / "docs" / "doors.md").read_text(encoding="utf-8")

WHERE = {
    "STRIKE_TIME": [("`[door.NAME]`", "strike_time")],
    "EXTENDED_TIME": [("`[door.NAME]`", "extended_time")],
    "HELD_OPEN_TIME": [("`[door.NAME]`", "held_open_time")],
    "HELD_OPEN_WARNING": [("`[door.NAME]`", "held_open_warning")],
    "REX_TIME": [("rex", "time")],
    "DEBOUNCE": [("rex", "debounce"), ("contact, fire", "debounce")],
    "TWO_PERSON_WITHIN": [("two_person", "within")],
    "DOUBLE_BADGE_WITHIN": [("double_badge", "within")],
    "GRACE": [("`[[door_schedule]]`", "grace")],
    "TIMED": [("`[area.NAME]`", "timed")],
    "OCCUPANCY": [("`[area.NAME]`", "occupancy")],
    "PIN_LENGTH": [("`[pin]`", "length")],
    "PIN_TIMEOUT": [("`[pin]`", "timeout")],
    "LOCKOUT_AFTER": [("lockout", "after")],
    "LOCKOUT_WITHIN": [("lockout", "within")],
    "LOCKOUT_FOR": [("lockout", "for")],
    "KEEP": [("`[journal]`", "keep")],
    "MAX_SIZE": [("`[journal]`", "max_size")],
}
"""Where docs/configuration.md writes each bound: section and key."""

WRITTEN = {"KEEP": "number of events", "MAX_SIZE": "1 MB or more"}
"""Counts that the page writes in a notation of their own."""

BOUNDS: dict[str, Any] = {name: each for name, each in vars(bounds).items() if isinstance(each, Span | Count)}


def test_each_bound_has_its_place_on_the_page() -> None:
    assert BOUNDS.keys() == WHERE.keys()


@pytest.mark.parametrize("name", WHERE)
def test_the_page_writes_range_and_default(name: str) -> None:
    bound = BOUNDS[name]
    for heading, key in WHERE[name]:
        values, default, _ = rows(heading)[key]
        assert WRITTEN.get(name, bound.words) in values
        if isinstance(bound, Span):
            assert parse_duration(default.strip('`"')) == bound.default


def test_the_page_about_doors_says_the_same() -> None:
    """The head table of docs/doors.md, which said 0 to 120 s of what check-config refused above 60 s."""
    table = dict(re.findall(r"^\| `([a-z_]+)` \| `\w+` \| ([^|]+) \|", DOORS_PAGE, re.MULTILINE))
    for name in ("STRIKE_TIME", "EXTENDED_TIME", "HELD_OPEN_TIME"):
        assert table[name.lower()] == BOUNDS[name].words
    inputs = {"`rex = { release, time }`": bounds.REX_TIME, "`contact`, `rex`: `debounce`": bounds.DEBOUNCE}
    for key, bound in inputs.items():
        [line] = [line for line in DOORS_PAGE.splitlines() if line.startswith(f"| {key} |")]
        assert f"`{in_notation(bound.default)}` | {bound.words} |" in line
    margin = in_notation(bounds.WARNING_MARGIN)
    assert table["held_open_warning"] == f"at least {margin} less than `held_open_time`"
    assert f"at least {margin} less" in rows("`[door.NAME]`")["held_open_warning"][0]


@pytest.mark.parametrize("name", BOUNDS)
def test_a_default_is_within_its_range_and_the_ends_are_allowed(name: str) -> None:
    bound = BOUNDS[name]
    ends = [bound.default, bound.least, *([bound.most] if isinstance(bound, Span) and bound.most < 1e9 else [])]
    assert [bound.checked(end) for end in ends] == ends
    with pytest.raises(ValueError, match="expected"):
        bound.checked(bound.least - 1)


@pytest.mark.parametrize("key", ["strike_time", "extended_time", "held_open_time", "held_open_warning"])
def test_a_door_runs_with_the_defaults_of_its_table(key: str) -> None:
    defaults = {field.name: field.default for field in dataclasses.fields(DoorConfig)}
    table = read_site(GOOD, "site.toml", None).tables.door["lobby"]
    assert defaults[key] == BOUNDS[key.upper()].default
    assert getattr(table, key) == BOUNDS[key.upper()].default


def test_a_reader_runs_with_the_defaults_of_the_pin_table() -> None:
    pin, config = tables.PinTable(), SessionConfig()
    assert (config.pin_length, config.pin_timeout) == (pin.length, pin.timeout)
    lockout = LockoutRules()
    assert (lockout.after, lockout.within, lockout.seconds) == (
        pin.lockout.after,
        pin.lockout.within,
        pin.lockout.for_,
    )


@pytest.mark.parametrize(
    ("key", "seconds"),
    [
        ("strike_time", 0.9),
        ("strike_time", 60.5),
        ("extended_time", 60.5),
        ("held_open_time", 9.9),
        ("held_open_time", 86401.0),
        ("held_open_warning", 59.5),
    ],
)
def test_site_file_and_door_refuse_the_same(key: str, seconds: float) -> None:
    with pytest.raises(ValueError, match=f"door lobby: {key}"):
        DoorConfig(name="lobby", **{key: seconds})
    text = GOOD.replace("[door.lobby]\n", f'[door.lobby]\n{key} = "{in_notation(seconds)}"\n')
    with pytest.raises(SiteFileError, match=r"door\.lobby"):
        read_site(text, "site.toml", None)


def test_a_period_that_could_miss_a_pulse_is_refused() -> None:
    assert Input(period=bounds.DEBOUNCE.most)
    with pytest.raises(ValueError, match="expected up to 90ms, not 91ms"):
        Input(period=0.091)


@pytest.mark.parametrize("zero", ["0", '"0"', '"0s"'])
def test_no_warning_may_be_written_with_quotes_or_without(zero: str) -> None:
    text = GOOD.replace("[door.lobby]\n", f"[door.lobby]\nheld_open_warning = {zero}\n")
    assert read_site(text, "site.toml", None).tables.door["lobby"].held_open_warning == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0"), (0.03, "30ms"), (1, "1s"), (1.5, "1.5s"), (60, "60s"), (90, "90s"), (120, "2m"), (3600, "1h")],
)
def test_the_notation_can_be_read_back(seconds: float, text: str) -> None:
    assert in_notation(seconds) == text
    assert parse_duration(text) == pytest.approx(seconds)
