"""The golden corpus of tests/corpus, run through the real configuration reader, PIN comparison and decision.

Cases that begin with a raw read go through the reader's frames and the whole controller.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cache.errors import CacheError
from cache.keys import card_key as read_key
from cache.keys import pin_key
from cache.model import (
    ClockQuality,
    Credential,
    CredentialKind,
    CredentialState,
    EventName,
    Found,
    Freshness,
    Holder,
    Membership,
    Mode,
    Moment,
    Person,
    Reason,
)
from daemon.config.devices import Devices
from daemon.config.faults import parse
from daemon.config.site import Site, build_site
from daemon.config.tables import SiteTables
from daemon.decision.decide import decide
from daemon.decision.pin import compare_pin, find_pin
from daemon.decision.request import AccessRequest, AccessState, FirstPerson, PinEntry, PinResult, Position
from daemon.decision.schedule import scheduled_mode
from daemon.doors.controller.controller import Controller
from daemon.doors.controller.rules import controller_rules
from daemon.doors.controller.setup import DoorSetup, door_setups
from drivers.cards.formats import built_in_formats
from drivers.wiegand.decode import ReaderRules, interpret
from drivers.wiegand.frame import Frame
from tests.corpus import layout, make

CORPUS = Path(make.__file__).parent
FILES = sorted(CORPUS.glob("*.json"))
SITE_KEY = bytes(range(32))
UPTIME = 1000.0

Table = dict[str, Any]


@cache
def contents(file: Path) -> Table:
    table: Table = json.loads(file.read_text(encoding="utf-8"))
    return table


@cache
def site_of(file: Path) -> Site:
    parsed = parse(SiteTables, contents(file)["configuration"])
    assert parsed.value is not None, parsed.faults
    return build_site(parsed.value, Devices())


@cache
def doors(file: Path) -> dict[str, DoorSetup]:
    return door_setups(site_of(file))


def card_key(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()[:16]


def key_of(card: Table) -> bytes:
    if "bits" in card:
        return read_key(SITE_KEY, len(card["bits"]), int(card["bits"], 2))
    return card_key(card["card"])


class Directory:
    """The directory of a file, looked up by key as the cache is."""

    def __init__(self, table: Table, freshness: Freshness) -> None:
        self.freshness = freshness
        self.holders: dict[bytes, list[Holder]] = {}
        for name, person in table["people"].items():
            who = Person(name, person.get("active", True), extended_time=person.get("extended_time", False))
            groups = tuple(self.membership(group, table["groups"][group]) for group in person["groups"])
            for item in person.get("cards", ()):
                self.add(who, key_of(item), CredentialKind.CARD, item, groups)
            for item in person.get("pins", ()):
                key = pin_key(SITE_KEY, item["digits"], "" if item.get("alone", False) else name)
                self.add(who, key, CredentialKind.PIN, item, groups)

    def membership(self, group: str, name: str) -> Membership:
        return Membership(group, name, frozenset({group, name}))

    def add(
        self, who: Person, key: bytes, kind: CredentialKind, item: Table, groups: tuple[Membership, ...]
    ) -> None:
        state = CredentialState(item.get("state", "active"))
        credential = Credential(
            key, who.id, kind, state, instant(item.get("valid_from")), instant(item.get("valid_until"))
        )
        self.holders.setdefault(key, []).append(Holder(who, credential, groups))

    def find(self, key: bytes) -> Found:
        return Found(tuple(self.holders.get(key, ())), self.freshness)


def instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def asked(case: Table, table: Table, directory: Directory, door: DoorSetup) -> tuple[AccessRequest, Found]:
    """The request of a case and what its lookup finds."""
    duress = table["configuration"].get("pin", {}).get("duress") == "last_digit_plus_one"
    pin = case.get("pin")
    entry = PinEntry(PinResult.LATE) if pin == "late" else None
    if "card" in case:
        found = directory.find(card_key(case["card"]))
        if pin is not None and entry is None:
            entry = compare_pin(directory.find, SITE_KEY, pin, found, duress=duress)
    elif entry is None:
        found, entry = find_pin(directory.find, SITE_KEY, pin, duress=duress)
    else:
        found = directory.find(b"")
    return AccessRequest(door.name, "card" in case, entry, case["reader"] == door.exit), found


def state_of(case: Table, by_clock: Mode) -> AccessState:
    first = case.get("first_person")
    positions = case.get("positions", {})
    return AccessState(
        mode=Mode(case.get("mode", by_clock)),
        positions={
            who: Position(at["area"], datetime.fromisoformat(at["since"])) for who, at in positions.items()
        },
        occupancy=case.get("occupancy", 0),
        interlock=case.get("interlock"),
        first_person=FirstPerson(first["person"], UPTIME - first["seconds_ago"]) if first is not None else None,
        pin_locked_until=instant(case.get("pin_locked_until")),
        beneath=Mode(case.get("beneath", by_clock)),
    )


CASES = [pytest.param(file, case, id=case["id"]) for file in FILES for case in contents(file)["cases"]]


@pytest.mark.parametrize(("file", "case"), CASES)
def test_case(file: Path, case: Table) -> None:
    table = contents(file)
    if "bits" in case:
        read(file, case)
        return
    (door,) = (door for door in doors(file).values() if case["reader"] in door.readers)
    now = Moment(datetime.fromisoformat(case["at"]), UPTIME, ClockQuality(case.get("clock", "synced")))
    directory = Directory(table["directory"], Freshness(1, instant(case.get("synced", case["at"]))))
    mode = scheduled_mode(door.modes.plan, door.rules.zone, now.utc).mode
    request, found = asked(case, table, directory, door)
    decision = decide(request, found, door.rules, state_of(case, mode), now)
    answer = {
        "outcome": decision.outcome.value,
        "reason": decision.reason.value,
        "person": decision.person.id if decision.person is not None else None,
        "group": decision.group,
        "level": decision.level,
        "extended": decision.extended,
        "duress": decision.duress,
        "mode": mode.value,
    }
    expected = case["expect"]
    told = "\n".join(f"{rule.rule}: {rule.text}" for rule in decision.trace)
    assert {key: answer[key] for key in expected} == expected, f"{case['note']}\n{told}"


def read(file: Path, case: Table) -> None:
    """A case that begins with a raw read: the frame of a reader, and what the controller records of it."""
    table = contents(file)
    now = Moment(datetime.fromisoformat(case["at"]), UPTIME)
    directory = Directory(table["directory"], Freshness(1, now.utc))

    def find(key: bytes) -> Found:
        if case.get("cache") == "broken":
            raise CacheError("the file is torn")
        if case.get("cache") == "failing":
            raise RuntimeError("a fault of ours")
        return directory.find(key)

    controller = Controller(controller_rules(site_of(file), SITE_KEY), find)
    controller.start(now, "corpus")
    frame = Frame(len(case["bits"]), int(case["bits"], 2), 0)
    rules = ReaderRules(built_in_formats().select(table["formats"]))
    event = controller.handle(interpret(case["reader"], frame, rules), now).events[0]
    answer = {
        "outcome": "grant" if event.name is EventName.ACCESS_GRANTED else "deny",
        "reason": event.reason,
        "person": event.person,
    }
    assert {key: answer[key] for key in case["expect"]} == case["expect"], case["note"]


def test_the_files_are_what_make_writes() -> None:
    made = {f"{name}.json": layout.text(table) for name, table in make.corpus().items()}
    assert {file.name: file.read_text(encoding="utf-8") for file in FILES} == made


def test_the_corpus_is_large_and_names_every_reason() -> None:
    cases = [case for file in FILES for case in contents(file)["cases"]]
    assert len(cases) >= 300
    assert [name for name, count in Counter(case["id"] for case in cases).items() if count > 1] == []
    assert {case["expect"]["reason"] for case in cases} == {reason.value for reason in Reason}


def test_every_file_has_the_version_and_a_zone_that_exists() -> None:
    for file in FILES:
        assert contents(file)["version"] == layout.VERSION
        assert ZoneInfo(contents(file)["configuration"]["site"]["timezone"])
        assert all(datetime.fromisoformat(case["at"]).utcoffset() is not None for case in contents(file)["cases"])


def test_an_expectation_that_is_wrong_is_noticed() -> None:
    """The runner itself: turn one answer round, and its case must fail."""
    file = next(file for file in FILES if file.name == "weekly.json")
    case = contents(file)["cases"][0]
    turned = {**case, "expect": {**case["expect"], "outcome": "grant"}}
    with pytest.raises(AssertionError):
        test_case(file, turned)
    later = {**case, "at": (datetime.fromisoformat(case["at"]) + timedelta(seconds=1)).isoformat()}
    with pytest.raises(AssertionError):
        test_case(file, later)


BY_NAME = ("door", "schedule", "special_days", "area")
"""Tables of the site file whose first keys are names."""


def configured(table: Table) -> Iterator[str]:
    """The keys of a configuration, without names and dates."""
    for key, value in table.items():
        yield key
        if key in ("schedule", "special_days"):
            continue
        for one in value.values() if key in BY_NAME else value if isinstance(value, list) else [value]:
            yield from one
            yield from (name for inner in one.values() if isinstance(inner, dict) for name in inner)


def test_the_page_names_every_key() -> None:
    """README.md is all that another implementation has: no key stands in a file that it does not explain."""
    page = (CORPUS / "README.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"`(\w+)`", page))
    used: set[str] = set()
    for file in FILES:
        table = contents(file)
        used |= table.keys() | table["directory"].keys() | set(configured(table["configuration"]))
        for person in table["directory"]["people"].values():
            used |= person.keys() | {
                key for kind in ("cards", "pins") for item in person.get(kind, ()) for key in item
            }
        for case in table["cases"]:
            used |= case.keys() | case["expect"].keys() | {case["expect"]["outcome"]}
    assert used - explained == set()
