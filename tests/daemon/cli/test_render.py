"""What a technician reads on the terminal: trouble stands out, and nothing is left unsaid."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import click
import pytest

from cache.model import EventName
from daemon.cli.common import local_time
from daemon.cli.render import doors_text, event_text, status_text
from daemon.control.reports import (
    CacheReport,
    DeviceReport,
    DoorReport,
    EventReport,
    JournalReport,
    LineReport,
    StatusReport,
    SyncReport,
)

STATUS = StatusReport(
    site="Berlin HQ",
    version="1.0",
    running=True,
    clock="synced",
    cache=CacheReport(7, "2026-11-24T08:00:00+00:00", 130.0, 100, 5, 200, 110),
    sync=SyncReport("complete", "100 people", None, 0, "members", False),
    journal=JournalReport(42, None),
    doors=(DoorReport("lobby", "locked", "default", "locked", "closed", "closed"),),
    devices=(DeviceReport("readers", "lobby-in", True, "secure channel"),),
)
LINE = LineReport(round=0.284, slowest=0.012, answers=4711, retries=7, late=1, garbled=3, left_out=2)
EVENT = EventReport(
    sequence=3,
    at="2026-11-24T08:00:00+00:00",
    name="access.denied",
    door="lobby",
    reader="lobby-in",
    person=None,
    reason="unknown_credential",
    group=None,
    level=None,
    generation=7,
    clock="synced",
    boot_id="b",
    monotonic=1.0,
)


def shown(report: StatusReport) -> list[str]:
    return click.unstyle(status_text(report)).splitlines()


def test_a_door_under_an_order_says_whose_it_is() -> None:
    plain = DoorReport("lobby", "locked", "default", "locked", "closed", "closed")
    lockdown = DoorReport("vault", "lockdown", "lockdown", "locked", "closed", "none", "eve", "drill")
    until = "2026-11-24T08:30:00+00:00"
    override = DoorReport("gate", "unlocked", "override", "unlocked", "closed", "closed", "eve", "", until)
    lines = doors_text((plain, lockdown, override)).splitlines()
    assert lines[0].endswith("CONTACT  ORDERED BY")
    assert lines[1].endswith("closed")
    assert lines[2].endswith("eve: drill")
    assert lines[3].endswith(f"eve, until {local_time(until)}")
    assert "ORDERED" not in doors_text((plain,))


def test_an_order_that_is_not_durable_says_so() -> None:
    door = DoorReport("lobby", "locked", "default", "locked", "closed", "closed", durable=False)
    assert "a power cut now would undo it" in doors_text((door,))


def test_status_when_all_is_well() -> None:
    lines = shown(STATUS)
    assert lines[0] == "Berlin HQ: doors running, latchd 1.0, clock synced"
    assert lines[1] == "cache: generation 7, 100 people, 5 groups, 200 memberships, 110 credentials"
    assert "last complete sync: 2 min 10 s ago" in lines
    assert "sync: complete: 100 people" in lines
    assert "journal: 42 events" in lines
    assert any(line.split() == ["lobby", "locked", "default", "locked", "closed", "closed"] for line in lines)
    assert any(line.split() == ["readers", "lobby-in", "online", "secure", "channel"] for line in lines)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"running": False}, "doors not running"),
        ({"cache": replace(STATUS.cache, age=None)}, "last complete sync: never"),
        ({"cache": replace(STATUS.cache, trouble="it is damaged")}, "every card is denied: it is damaged"),
        (
            {"sync": replace(STATUS.sync, outcome="outage", failures=3, text="gone")},
            "outage, 3 failed since: gone",
        ),
        ({"sync": replace(STATUS.sync, quarantine=True)}, "latchctl sync diff"),
        ({"journal": JournalReport(42, "events wait in memory: full")}, "events wait in memory: full"),
        ({"devices": (DeviceReport("io", "main", False, "no reply"),)}, "OFFLINE"),
    ],
)
def test_each_trouble_is_told_in_colour(change: dict[str, Any], words: str) -> None:
    text = status_text(replace(STATUS, **change))
    assert words in click.unstyle(text)
    assert words not in click.unstyle(status_text(STATUS))


def test_an_event_on_one_line() -> None:
    line = click.unstyle(event_text(EVENT))
    assert line.split()[0] == "3"
    assert "door=lobby reader=lobby-in reason=unknown_credential" in line
    assert "person" not in line
    assert "\n" not in line


def test_an_event_without_fields_ends_with_its_name() -> None:
    line = event_text(replace(EVENT, name="system.stop", door=None, reader=None, reason=None))
    assert click.unstyle(line).endswith(" system.stop")


def test_values_with_blanks_are_quoted_and_empty_ones_left_out() -> None:
    line = click.unstyle(event_text(replace(EVENT, detail={"why": "cable cut", "note": "", "count": 0})))
    assert 'why="cable cut"' in line
    assert "note" not in line
    assert "count=0" in line


def test_an_event_cannot_forge_a_second_line() -> None:
    """Text comes from directories and devices: a line break in it must not look like another event."""
    line = event_text(replace(EVENT, detail={"text": "gone\n     4 2026-11-24 access.granted \x1b[2J"}))
    assert "\n" not in line
    assert "\x1b[2J" not in line


@pytest.mark.parametrize("name", EventName)
def test_every_event_can_be_shown(name: EventName) -> None:
    assert name.value in click.unstyle(event_text(replace(EVENT, name=name.value)))


def test_a_line_is_shown_in_numbers() -> None:
    device = DeviceReport("readers", "lobby-in", True, "secure channel", LINE)
    shown = status_text(replace(STATUS, devices=(device,)))
    assert re.search(r"ROUND +SLOWEST ANSWER +ANSWERS +RETRIES +LATE +GARBLED +LEFT OUT", shown)
    assert re.search(r"readers +lobby-in +0.28 s +12 ms +4711 +7 +1 +3 +2", shown)
    assert "SLOWEST ANSWER" not in status_text(STATUS)
