"""How long a whole decision takes: raw bits to key, lookup in the cache, rules, and the answer with its trace.

For 1,000 and 100,000 people with five access groups each, and a site of 50 access levels with schedules and
special days, prints microseconds (p50, p99) of the decision and of its parts, and the ratios to what runs beside
it in the same breath: the bare SELECT of a credential by its key, and a decision about a card that nobody holds.

    python benchmarks/decision.py [PEOPLE …]
"""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.lookup import GROUPS, SITE_KEY, fill, key, quantiles, timed
from cache.directory.lookup import Lookup
from cache.model import Decision, Found, Moment, Outcome
from daemon.config.load import read_site
from daemon.decision.decide import decide
from daemon.decision.request import AccessRequest
from daemon.doors.controller.controller import Controller
from daemon.doors.controller.rules import controller_rules

ROUNDS = 8_000
LEVELS = 50
READER = "lobby-in"
NOON = Moment(datetime(2026, 11, 24, 12, 0, tzinfo=UTC), 0.0)

SITE = """
allow_simulation = true
[site]
name = "Benchmark"
timezone = "Europe/Berlin"
key = "env:UNUSED"
[bus.bench]
driver = "sim"
[reader.lobby-in]
bus = "bench"
[board.main]
bus = "bench"
[door.lobby]
entry = "lobby-in"
lock = "main.out1"
[schedule.office]
mon-fri = ["07:00-19:00"]
[special_days.holidays]
"2026-12-25" = []
"""

LEVEL = """
[[access_level]]
name = "Level {number}"
groups = [{groups}]
doors = ["lobby"]
schedule = "office"
special_days = ["holidays"]
"""


def site_text() -> str:
    """The site: every group of the directory is in one of the levels."""
    levels = []
    for number in range(LEVELS):
        groups = ", ".join(f'"Group-{group:04}"' for group in range(number, GROUPS, LEVELS))
        levels.append(LEVEL.format(number=number, groups=groups))
    return SITE + "".join(levels)


def measure(path: Path, people: int) -> None:
    """The figures for one cache, from a process that does nothing else."""
    chance = random.Random(1)
    rules = controller_rules(read_site(site_text(), "benchmark", None), SITE_KEY)
    took: dict[str, list[int]] = {name: [] for name in ("decision", "key", "find", "rules", "nobody", "select")}
    with Lookup(path) as lookup:
        controller = Controller(rules, lookup.find)
        key_of = controller.site_state.key_of
        bare = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)
        query = "SELECT * FROM credential WHERE key = ?"
        nobody = Found((), lookup.freshness())

        def fetch(one: bytes) -> list[Any]:
            return bare.execute(query, (one,)).fetchall()

        for number in (chance.randrange(people) for _ in range(ROUNDS)):
            one, found = key(number), lookup.find(key(number))
            calls: dict[str, Callable[[], object]] = {
                "decision": partial(decision, controller, lookup, number),
                "key": partial(key_of, 35, number),
                "find": partial(lookup.find, one),
                "rules": partial(rules_say, controller, found),
                "nobody": partial(rules_say, controller, nobody),
                "select": partial(fetch, one),
            }
            for name, call in calls.items():
                took[name].append(timed(call))
        bare.close()
    show(people, took)


def rules_say(controller: Controller, found: Found) -> Decision:
    """Return what the reader asks of the rules, for a card alone."""
    reader = controller.readers[READER]
    request = AccessRequest(reader.door.setup.name, exit=reader.exiting)
    state = controller.site_state.access_state(reader.door, reader.exiting)
    return decide(request, found, reader.door.setup.rules, state, NOON)


def decision(controller: Controller, lookup: Lookup, number: int) -> None:
    """One whole decision, which must be a grant."""
    found = lookup.find(controller.site_state.key_of(35, number))
    assert rules_say(controller, found).outcome is Outcome.GRANT


def show(people: int, took: dict[str, list[int]]) -> None:
    """A line for each part, and the two ratios."""
    words = {
        "decision": "whole decision: a grant, with its trace",
        "key": "of it: bits to key (HMAC-SHA-256)",
        "find": "of it: lookup of holder, groups, references",
        "rules": "of it: rules, 50 levels with schedules",
        "nobody": "beside it: decision about an unknown card",
        "select": "beside it: bare SELECT by key",
    }
    print(f"\n{people} people{'p50 µs':>46}{'p99 µs':>10}")
    for name, text in words.items():
        p50, p99 = quantiles(took[name])
        print(f"  {text:<46}{p50:>10.1f}{p99:>10.1f}")
    whole, select, nobody = (quantiles(took[name]) for name in ("decision", "select", "nobody"))
    for text, other in (("the bare SELECT", select), ("the decision about an unknown card", nobody)):
        print(f"  {'ratio to ' + text:<46}{whole[0] / other[0]:>10.1f}{whole[1] / other[1]:>10.1f}")


def main(arguments: list[str]) -> None:
    """Fill a cache for each size and measure it in a fresh process."""
    if arguments[:1] == ["--measure"]:
        measure(Path(arguments[1]), int(arguments[2]))
        return
    for people in [int(one) for one in arguments] or [1_000, 100_000]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "cache.db")
            fill(path, people)
            subprocess.run([sys.executable, __file__, "--measure", str(path), str(people)], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
