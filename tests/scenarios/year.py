"""A year at ten doors as a scenario: 200 people, 10,000 badges, and what must come of every one of them.

What is expected is worked out here in a few lines of wall-clock arithmetic, without latchd. The same file comes
out on every machine.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/Berlin")
YEAR = 2026
DOORS = 10
SHOPS = 3
"""The first doors are unlocked in office hours, but for holidays."""

PEOPLE = 200
BADGES = 10_000
SEED = 4
HOLIDAYS = (date(2026, 1, 1), date(2026, 5, 1), date(2026, 10, 3), date(2026, 12, 25))
URN = "urn:ietf:params:scim:schemas:extension:latchd:2.0:User"

SITE = """\
allow_simulation = true
[site]
name = "A year"
timezone = "Europe/Berlin"
key = "env:NOT_NEEDED"
[staleness]
degrade_after = "72h"
[bus.bench]
driver = "sim"
[board.main]
bus = "bench"
outputs = 16
inputs = 16
[schedule.office]
mon-fri = ["08:00-18:00"]
[schedule.nights]
mon-fri = ["22:00-02:00"]
[special_days.holidays]
{holidays}
[[access_level]]
name = "Staff"
groups = ["Staff"]
doors = [{doors}]
schedule = "office"
special_days = ["holidays"]
[[access_level]]
name = "Cleaning"
groups = ["Cleaning"]
doors = [{doors}]
schedule = "nights"
[[access_level]]
name = "Security"
groups = ["Security"]
doors = [{doors}]
"""

DOOR = """\
[reader.r{n}]
bus = "bench"
[door.d{n}]
entry = "r{n}"
lock = "main.out{n}"
contact = {{ input = "main.in{n}", sense = "nc" }}
"""

SHOP = """\
[[door_schedule]]
door = "d{n}"
schedule = "office"
mode = "unlocked"
special_days = ["holidays"]
"""


@dataclass(frozen=True, slots=True)
class Badge:
    """One badge: when, at which door, and by whom (from 1; one in ten is of the security, one in ten cleans)."""

    at: datetime
    door: int
    person: int

    @property
    def group(self) -> str:
        """The access group of the person."""
        return {0: "Security", 1: "Cleaning"}.get(self.person % 10, "Staff")

    @property
    def granted(self) -> bool:
        """Whether they may pass."""
        match self.group:
            case "Security":
                return True
            case "Staff":
                return _in_office_hours(self.at)
            case _:
                evening = self.at.hour >= 22 and self.at.weekday() < 5
                morning = self.at.hour < 2 and (self.at - timedelta(days=1)).weekday() < 5
                return evening or morning

    @property
    def unlocked(self) -> bool:
        """Whether the door stands open to everybody at this hour."""
        return self.door <= SHOPS and _in_office_hours(self.at)


def _in_office_hours(at: datetime) -> bool:
    return at.weekday() < 5 and 8 <= at.hour < 18 and at.date() not in HOLIDAYS


def badges() -> list[Badge]:
    """All of them, in order; never two in one minute."""
    chance = random.Random(SEED)
    begin = datetime(YEAR, 1, 1, tzinfo=ZONE).timestamp()
    minutes = chance.sample(range(365 * 24 * 60 - 1), BADGES)
    return [
        Badge(
            datetime.fromtimestamp(begin + minute * 60, ZONE), chance.randint(1, DOORS), chance.randint(1, PEOPLE)
        )
        for minute in sorted(minutes)
    ]


def lines() -> Iterator[str]:
    """The scenario, line by line: sync every day, badge, and most of those who may go through."""
    yield "# A year at ten doors, made by tests/scenarios/year.py."
    yield "config site.toml"
    yield "directory people.json"
    yield f"start {YEAR}-01-01T00:00:00+01:00 trusted"
    day = date(YEAR, 1, 1)
    for number, badge in enumerate(badges()):
        yield f"at {badge.at.isoformat()}"
        if badge.at.date() != day:
            day = badge.at.date()
            yield "sync ok"
            yield "clear"
        yield f"badge r{badge.door} H10301:57:{badge.person}"
        if not badge.granted:
            yield f"expect access.denied door=d{badge.door} person=u{badge.person} reason=outside_schedule"
            continue
        yield f"expect access.granted door=d{badge.door} person=u{badge.person} group={badge.group}"
        yield f"expect-lock d{badge.door} released"
        if number % 5:
            yield f"contact d{badge.door} open"
            if not badge.unlocked:  # at a door that is held unlocked the read counts as the entry
                yield f"expect access.taken door=d{badge.door} person=u{badge.person}"
            yield f"contact d{badge.door} closed"
        else:
            yield "+11s"
        yield f"expect-lock d{badge.door} {'released' if badge.unlocked else 'locked'}"
    yield f"at {YEAR + 1}-01-01T00:00:00+01:00"
    yield "expect-no door.forced"
    yield "expect-no cache.stale"


def write(directory: Path) -> Path:
    """Site, people and scenario in ``directory``; the path of the scenario."""
    doors = ", ".join(f'"d{n}"' for n in range(1, DOORS + 1))
    holidays = "\n".join(f'"{day.isoformat()}" = []' for day in HOLIDAYS)
    site = SITE.format(doors=doors, holidays=holidays)
    site += "".join(DOOR.format(n=n) for n in range(1, DOORS + 1))
    site += "".join(SHOP.format(n=n) for n in range(1, SHOPS + 1))
    (directory / "site.toml").write_text(site, encoding="utf-8")
    users = [
        {"id": f"u{n}", "userName": f"u{n}", "active": True, URN: {"cards": f"H10301:57:{n}"}}
        for n in range(1, PEOPLE + 1)
    ]
    groups = [
        {"id": name, "displayName": name, "members": [{"value": f"u{n}"} for n in numbers]}
        for name, numbers in (
            ("Security", range(10, PEOPLE + 1, 10)),
            ("Cleaning", range(1, PEOPLE + 1, 10)),
            ("Staff", [n for n in range(1, PEOPLE + 1) if n % 10 > 1]),
        )
    ]
    (directory / "people.json").write_text(json.dumps({"Users": users, "Groups": groups}), encoding="utf-8")
    scenario = directory / "year.scenario"
    scenario.write_text("\n".join(lines()) + "\n", encoding="utf-8")
    return scenario
