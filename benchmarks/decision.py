"""How long a whole decision takes: raw bits to key, lookup in the cache, rules, and the answer.

For 1,000 to 1,000,000 people with five access groups each, and a site of 50 access levels with schedules and
special days, prints microseconds (p50, p99) of the decision and of its parts, and the ratio to what runs beside
it in the same breath: the bare SELECT of a credential by its key. The decision ends where the relay command
begins; the sentences that explain it are made in the journal's thread, and stand beside it with what they take.

Then, with 10,000 people, by turns of 50 questions: pycasbin (in memory; groups and doors alone, without validity,
schedules, modes, staleness or an explanation), with a policy for each group and door, and put flat by hand: one
role for the door, to which every group leads, and one policy.

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

import casbin
from casbin.model import Model
from casbin.persist.adapters.string_adapter import StringAdapter

from benchmarks.lookup import GROUPS, SITE_KEY, fill, groups_of, id_of, key, quantiles, timed
from cache.directory.lookup import Lookup
from cache.model import Decision, Found, Moment, Outcome, Reason
from daemon.config.load import read_site
from daemon.decision.decide import decide
from daemon.decision.request import AccessRequest
from daemon.doors.controller.controller import Controller
from daemon.doors.controller.rules import controller_rules

ROUNDS = 8_000
SIZES = (1_000, 10_000, 100_000, 1_000_000)
BESIDE_CASBIN = 10_000
TURNS, QUESTIONS = 60, 50
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


CASBIN = """
[request_definition]
r = sub, obj
[policy_definition]
p = sub, obj
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub) && r.obj == p.obj
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
    names = ("decision", "key", "find", "rules", "select", "unknown", "words")
    took: dict[str, list[int]] = {name: [] for name in names}
    with Lookup(path) as lookup:
        controller = Controller(controller_rules(read_site(site_text(), "benchmark", None), SITE_KEY), lookup.find)
        key_of = controller.site_state.key_of
        bare = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)
        query = "SELECT * FROM credential WHERE key = ?"

        def fetch(one: bytes) -> list[Any]:
            return bare.execute(query, (one,)).fetchall()

        for number in (chance.randrange(people) for _ in range(ROUNDS)):
            one, found = key(number), lookup.find(key(number))
            trace = rules_say(controller, found).trace
            calls: dict[str, Callable[[], object]] = {
                "decision": partial(decision, controller, lookup, number),
                "key": partial(key_of, 35, number),
                "find": partial(lookup.find, one),
                "rules": partial(rules_say, controller, found),
                "select": partial(fetch, one),
                "unknown": partial(unknown, controller, lookup, people + number),
                "words": partial(tuple, trace),
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


def unknown(controller: Controller, lookup: Lookup, number: int) -> None:
    """One whole decision about a card that no one holds."""
    found = lookup.find(controller.site_state.key_of(35, number))
    assert rules_say(controller, found).reason is Reason.UNKNOWN_CREDENTIAL


def show(people: int, took: dict[str, list[int]]) -> None:
    """A line for each part, and the ratio."""
    words = {
        "decision": "whole decision: a grant",
        "key": "of it: bits to key (HMAC-SHA-256)",
        "find": "of it: lookup of holder, groups, references",
        "rules": "of it: rules, 50 levels with schedules",
        "select": "for comparison: bare SELECT by key",
        "unknown": "for comparison: whole decision, unknown card",
        "words": "after the relay command: the explanation in words",
    }
    print(f"\n{people} people{'p50 µs':>50}{'p99 µs':>10}")
    for name, text in words.items():
        p50, p99 = quantiles(took[name])
        print(f"  {text:<52}{p50:>10.1f}{p99:>10.1f}")
    ratio("ratio to the bare SELECT", took["decision"], took["select"])


def ratio(text: str, some: list[int], others: list[int]) -> None:
    """How many times as long some take as others, in the middle and at p99."""
    (p50, p99), (other50, other99) = quantiles(some), quantiles(others)
    print(f"  {text:<52}{p50 / other50:>10.1f}{p99 / other99:>10.1f}")


# ------------------------------------------------------------------ pycasbin


def beside_casbin(path: Path, people: int) -> None:
    """Both sides in turn: the same people, groups and door."""
    flat, plain = enforcer(people, flat=True), enforcer(people, flat=False)
    chance = random.Random(1)
    took: dict[str, list[int]] = {name: [] for name in ("latchd", "plain", "flat")}
    with Lookup(path) as lookup:
        controller = Controller(controller_rules(read_site(site_text(), "benchmark", None), SITE_KEY), lookup.find)
        calls: dict[str, Callable[[int], None]] = {
            "latchd": partial(decision, controller, lookup),
            "plain": partial(allowed, plain),
            "flat": partial(allowed, flat),
        }
        for _ in range(TURNS):
            numbers = [chance.randrange(people) for _ in range(QUESTIONS)]
            for name, call in calls.items():
                took[name] += [timed(partial(call, number)) for number in numbers]
    print(f"\n{people} people, with pycasbin{'p50 µs':>32}{'p99 µs':>10}")
    for name, text in (
        ("latchd", "latchd: card to a grant that knows why"),
        ("plain", "pycasbin: a policy for each group and door"),
        ("flat", "pycasbin: put flat by hand"),
    ):
        p50, p99 = quantiles(took[name])
        print(f"  {text:<52}{p50:>10.1f}{p99:>10.1f}")
    ratio("pycasbin, ratio to latchd", took["plain"], took["latchd"])
    ratio("put flat by hand, ratio to latchd", took["flat"], took["latchd"])


def enforcer(people: int, *, flat: bool) -> casbin.Enforcer:
    """An enforcer with the groups of ``fill`` and the door of the site."""
    groups = [f"Group-{number:04}" for number in range(GROUPS)]
    lines = [f"g, {id_of(number)}, {groups[group]}" for number in range(people) for group in groups_of(number)]
    if flat:
        lines += [f"g, {group}, may-pass-lobby" for group in groups] + ["p, may-pass-lobby, lobby"]
    else:
        by_level = [group for level in range(LEVELS) for group in groups[level::LEVELS]]
        lines += [f"p, {group}, lobby" for group in by_level]
    model = Model()
    model.load_model_from_text(CASBIN)
    made = casbin.Enforcer(model, StringAdapter("\n".join(lines)))
    assert not made.enforce(id_of(0), "vault")
    return made


def allowed(enforcer: casbin.Enforcer, number: int) -> None:
    """One question, whose answer must be yes."""
    assert enforcer.enforce(id_of(number), "lobby")


def main(arguments: list[str]) -> None:
    """Fill a cache for each size and measure it in a fresh process."""
    if arguments[:1] == ["--measure"]:
        measure(Path(arguments[1]), int(arguments[2]))
        return
    if arguments[:1] == ["--casbin"]:
        beside_casbin(Path(arguments[1]), int(arguments[2]))
        return
    sizes = [int(one) for one in arguments] or SIZES
    for people in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "cache.db")
            fill(path, people)
            for what in ("--measure", "--casbin")[: 1 + (people == BESIDE_CASBIN)]:
                subprocess.run([sys.executable, __file__, what, str(path), str(people)], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
