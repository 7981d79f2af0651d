"""How a line of a table becomes a case of the golden corpus, and a table a file. README.md describes both."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

VERSION = 1

OUTCOMES = {
    "granted": "grant",
    "granted_duress": "grant",
    "granted_apb_soft": "grant",
    "need_pin": "need_pin",
    "need_second_person": "need_second_person",
}
REASONS = {"need_pin": "pin_required", "need_second_person": "second_person_required"}
IN_EXPECT = ("person", "group", "level", "extended", "duress", "mode_by_clock")
INTEGERS = ("occupancy",)

Tables = dict[str, Any]


def site(zone: str = "Europe/Berlin", **tables: Any) -> Tables:
    door = {"entry": "in", "exit": "out", "lock": "main.out1", **tables.pop("door", {})}
    return {
        "site": {"name": "Corpus", "timezone": zone, "key": "env:LATCHD_SITE_KEY"},
        "door": {"lobby": door},
        **tables,
    }


def level(name: str = "Staff", groups: list[str] | None = None, **keys: Any) -> Tables:
    return {"name": name, "groups": groups or ["Staff"], "doors": ["lobby"], **keys}


GROUPS = {"g1": "Staff", "g2": "Cleaning", "g3": "Security", "g4": "Vault"}
PEOPLE: Tables = {
    "anna": {"groups": ["g1"], "cards": [{"card": "a"}]},
    "ben": {"groups": ["g2"], "cards": [{"card": "b"}]},
    "carla": {"groups": ["g3"], "cards": [{"card": "c"}], "extended_time": True},
    "dora": {"groups": ["g1", "g4"], "cards": [{"card": "d"}]},
    "emil": {"groups": [], "cards": [{"card": "e"}]},
}


def cases(name: str, zone: str, table: str) -> Iterator[Tables]:
    """A table as cases; ``note:`` lines name what follows."""
    note, number = "", 0
    for line in filter(None, map(str.strip, table.splitlines())):
        if line.startswith("note: "):
            note = line.removeprefix("note: ")
            continue
        number += 1
        yield case(f"{name}-{number:03}", note, shlex.split(line), zone)


def case(name: str, note: str, words: list[str], zone: str) -> Tables:
    at, reason, *pairs = words
    values = dict(pair.split("=", 1) for pair in pairs)
    expect: Tables = {"outcome": OUTCOMES.get(reason, "deny"), "reason": REASONS.get(reason, reason)}
    for key in IN_EXPECT:
        if key in values:
            value = values.pop(key)
            expect["mode" if key == "mode_by_clock" else key] = {"yes": True, "no": False}.get(value, value)
    made: Tables = {"id": name, "note": note, "at": instant(at, zone), "reader": values.pop("reader", "in")}
    if values.keys().isdisjoint({"pin", "bits"}):
        values.setdefault("card", "a")
    if values.get("card") == "none":
        del values["card"]
    for key, value in values.items():
        made[key] = given(key, value, zone)
    return {**made, "expect": expect}


def given(key: str, value: str, zone: str) -> Any:
    if key == "positions":
        person, area, since = value.split("@")
        return {person: {"area": area, "since": instant(since, zone)}}
    if key == "first_person":
        person, seconds = value.split("@")
        return {"person": person, "seconds_ago": float(seconds)}
    if key == "synced" and value == "never":
        return None
    if key in ("synced", "pin_locked_until"):
        return instant(value, zone)
    return int(value) if key in INTEGERS else value


def instant(text: str, zone: str) -> str:
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo is not None else at.replace(tzinfo=ZoneInfo(zone))).isoformat()


def file(title: str, configuration: Tables, table: str, name: str, people: Tables | None = None) -> Tables:
    zone = configuration["site"]["timezone"]
    return {
        "version": VERSION,
        "title": title,
        "configuration": configuration,
        "directory": {"groups": GROUPS, "people": people or PEOPLE},
        "cases": list(cases(name, zone, table)),
    }


def text(table: Tables) -> str:
    """A file as it is written: one case a line, so that a change shows as one."""
    head = {key: value for key, value in table.items() if key != "cases"}
    lines = ",\n".join("  " + json.dumps(one) for one in table["cases"])
    return json.dumps(head, indent=1)[:-2] + f',\n "cases": [\n{lines}\n ]\n}}\n'
