"""docs/access-rules.md says what the code does: reasons, order of the rules, and the table of changing clocks."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cache.model import Interval, Reason, Schedule
from daemon.decision.decide import RULES
from daemon.decision.schedule import instant_of, next_edge

PAGE = (Path(__file__).parents[3] / "docs" / "access-rules.md").read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, cells stripped, without the head."""
    section = PAGE.split(f"{heading}\n", 1)[1]
    lines = section[section.index("\n|") + 1 :].split("\n\n", 1)[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


CLOCKS = table("### Days on which the clock changes")


def test_the_reasons_are_the_closed_list() -> None:
    assert [row[0].strip("`") for row in table("## Reasons")] == [reason.value for reason in Reason]
    assert all(all(row) for row in table("## Reasons"))


def test_the_rules_stand_in_their_order() -> None:
    rows = table("## Order of the rules")
    assert [row[1] for row in rows] == list(RULES)
    assert [row[0] for row in rows] == [str(number) for number in range(1, len(RULES) + 1)]


def test_every_refusal_stands_at_a_rule_and_has_a_meaning() -> None:
    at_rules = set(re.findall(r"`(\w+)`", " ".join(row[2] for row in table("## Order of the rules"))))
    elsewhere = {"granted", "granted_duress", "granted_apb_soft", "bad_frame", "parity_error"}
    elsewhere |= {"cache_unreadable", "internal_error"}
    assert at_rules | elsewhere == {reason.value for reason in Reason}


@pytest.mark.parametrize("row", CLOCKS, ids=lambda row: f"{row[0]} {row[1]} {row[2][:10]}")
def test_the_clock_table(row: list[str]) -> None:
    zone, day = ZoneInfo(row[0]), date.fromisoformat(row[2][:10])
    start, end = (int(part[:2]) * 60 + int(part[3:]) for part in row[1].split("-"))
    week = [()] * 7
    week[day.weekday()] = (Interval(start, end),)  # type: ignore[call-overload]
    schedule = Schedule("row", tuple(week))
    at = instant_of(datetime.combine(day, datetime.min.time()), zone) - timedelta(seconds=1)
    stretches = []
    while (opened := next_edge(schedule, {}, zone, at)) is not None and opened - at < timedelta(days=2):
        closed = next_edge(schedule, {}, zone, opened)
        assert closed is not None
        at = closed
        stretches.append(f"{shown(opened, zone)} to {shown(closed, zone)}")
    said = re.findall(r"[\d:]{5}[+-][\d:]{5} to [\d:]{5}[+-][\d:]{5}", row[3])
    assert said == stretches
    assert (row[3] == "not at all") is (not stretches)


def test_the_clock_table_has_its_rows() -> None:
    assert len(CLOCKS) == 16


def shown(at: datetime, zone: ZoneInfo) -> str:
    text = at.astimezone(zone).isoformat()
    return text[11:16] + text[19:25]
