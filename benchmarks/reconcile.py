"""What reconciling a large directory costs: the fetched directory, the cached one, and the difference.

Prints, for 100,000 people with five memberships and a card each: seconds of CPU, the resident peak of the process
and the bytes written by the first sync, an unchanged one, and one in which one person in a hundred changed.

    python benchmarks/reconcile.py [PEOPLE]
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from cache.directory.store import Store
from cache.keys import card_key
from cache.model import Credential, Directory, Group, Person
from cache.reconcile.reconcile import Evidence, Policy, missing, plan

GROUPS = 200
EACH = 5


def fetched(people: int, every: int = 0) -> Directory:
    """What a sync would have read; each person whose number divides by ``every`` has another name."""
    persons = {}
    members: dict[str, set[str]] = {f"group-{number:04}": set() for number in range(GROUPS)}
    names = sorted(members)
    cards = []
    for number in range(people):
        id_ = f"{number:08x}-5f3a-4c1d-9e2b-{number:012x}"
        name = f"Person {number}" + (", renamed" if every and number % every == 0 else "")
        persons[id_] = Person(id_, True, name, f"person{number}@example.com", f"{number:08}")
        cards.append(Credential(card_key(bytes(32), 35, number), id_, label="H10301"))
        for step in range(EACH):
            members[names[(number * 7 + step * 31) % GROUPS]].add(id_)
    groups = {id_: Group(id_, id_.title(), None, frozenset(members.pop(id_))) for id_ in names}
    return Directory(persons, groups, tuple(cards))


def sync(path: Path, what: str, people: int, every: int) -> None:
    """One sync from the fetched directory on, in a process that does nothing else."""
    new = fetched(people, every)
    start, before = time.process_time(), written(path)
    with Store(path) as store:
        old = store.load(new)
        claims = missing(old, new)
        evidence = Evidence(claims.people, claims.groups, claims.members)
        now = datetime.now(UTC)
        result = plan(old, new, evidence, Policy(), now, store.recent_losses(now), store.bindings())
        number = store.apply(result, now)
        store.completed(now, "complete")
        size = written(path) - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"reconcile {people} people, {people * EACH} memberships, {what}: "
        f"{time.process_time() - start:.2f} s CPU, peak {peak:.0f} MB, "
        f"{size} bytes written to cache.db, generation {number}"
    )


def written(path: Path) -> int:
    """Bytes of the database and its -wal file."""
    return sum(file.stat().st_size for file in (path, path.with_name(path.name + "-wal")) if file.exists())


def main(arguments: list[str]) -> None:
    """The first sync, an unchanged one, and one with changes, each in a fresh process."""
    if arguments[:1] == ["--sync"]:
        sync(Path(arguments[1]), arguments[2], int(arguments[3]), int(arguments[4]))
        return
    people = arguments[0] if arguments else "100000"
    with tempfile.TemporaryDirectory() as folder:
        for what, every in (("first", 0), ("unchanged", 0), ("1 % changed", 100)):
            command = [sys.executable, __file__, "--sync", str(Path(folder, "cache.db")), what, people, str(every)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
