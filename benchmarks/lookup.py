"""How long the lookup of a decision takes, compared with a bare SELECT by primary key in the same run.

Prints, for 1,000 and 100,000 people with five access groups each: microseconds (p50, p99) of ``Lookup.find``, of
the bare SELECT, their ratio, the resident size of the reading process, and what the lookup added to it.

    python benchmarks/lookup.py [PEOPLE …]
"""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from cache.changes import Binding, Delta, GroupHead, Plan, Rebinding
from cache.directory.lookup import Lookup
from cache.directory.store import Store
from cache.keys import card_key
from cache.model import Credential, Person

SITE_KEY = bytes(32)
GROUPS = 200
EACH = 5
ROUNDS = 20_000


def fill(path: Path, people: int) -> None:
    """A cache of so many people with a card and five groups each; every group is meant by its name."""
    names = [f"group-{number:04}" for number in range(GROUPS)]
    ids = [id_of(number) for number in range(people)]
    members: dict[str, set[str]] = {name: set() for name in names}
    for number, id_ in enumerate(ids):
        for group in groups_of(number):
            members[names[group]].add(id_)
    delta = Delta(
        tuple(Person(id_, name=f"Person {number}", user_name=f"p{number}") for number, id_ in enumerate(ids)),
        tuple(GroupHead(name, name.title()) for name in names),
        tuple(Credential(key(number), id_, label="H10301") for number, id_ in enumerate(ids)),
        {name: frozenset(some) for name, some in members.items()},
    )
    bindings = tuple(Binding(name.title(), name, None, name.title()) for name in names)
    now = datetime.now(UTC)
    with Store(path) as store:
        store.apply(Plan(delta, Rebinding(bindings)), now)
        store.completed(now, "complete")


def id_of(number: int) -> str:
    """The SCIM id of one person."""
    return f"{number:08x}-5f3a-4c1d-9e2b-{number:012x}"


def groups_of(number: int) -> tuple[int, ...]:
    """The numbers of the groups that one person is in."""
    return tuple((number * 7 + step * 31) % GROUPS for step in range(EACH))


def key(number: int) -> bytes:
    """The key of one person's card."""
    return card_key(SITE_KEY, 35, number)


def measure(path: Path, people: int) -> None:
    """One line of figures, from a process that does nothing else."""
    before = resident()
    rolls = random.Random(1)
    keys = [key(rolls.randrange(people)) for _ in range(ROUNDS)]
    with Lookup(path) as lookup:
        bare = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)
        query = "SELECT * FROM credential WHERE key = ?"
        found: list[int] = []
        plain: list[int] = []
        for one in keys:
            found.append(timed(lambda one=one: lookup.find(one)))  # type: ignore[misc]  # bound on purpose
            plain.append(timed(lambda one=one: bare.execute(query, (one,)).fetchall()))  # type: ignore[misc]
        bare.close()
    (p50, p99), (bare50, bare99) = quantiles(found), quantiles(plain)
    print(
        f"lookup {people:>7} people   find p50 {p50:6.1f} µs p99 {p99:6.1f} µs   "
        f"bare SELECT p50 {bare50:5.1f} µs p99 {bare99:5.1f} µs   ratio {p50 / bare50:4.1f} (p50) "
        f"{p99 / bare99:4.1f} (p99)   resident {resident() / 1024:.0f} MB (+{(resident() - before) / 1024:.1f})"
    )


def timed(call: Callable[[], object]) -> int:
    """Nanoseconds of one call."""
    start = time.perf_counter_ns()
    call()
    return time.perf_counter_ns() - start


def quantiles(samples: list[int]) -> tuple[float, float]:
    """Microseconds: the middle, and what 99 of 100 stay under."""
    ordered = sorted(samples)
    return ordered[len(ordered) // 2] / 1000, ordered[len(ordered) * 99 // 100] / 1000


def resident() -> int:
    """Kilobytes that this process holds in memory now."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0])


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
