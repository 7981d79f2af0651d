"""Applies one generation after another to the cache named on the command line, until it is killed.

Generation N holds exactly the people 1 to N % 50, each with a card and in one group, so that a reader can tell a
whole generation from a torn one. Prints the number of each generation after it was applied.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from cache.changes import Plan
from cache.directory.store import Store
from cache.model import Directory
from cache.reconcile.reconcile import Evidence, changes, missing
from tests.cache.numbered import large


def generation(number: int) -> Directory:
    """The directory that generation ``number`` holds."""
    return large(number % 50 + 1, groups=3, each=2, spare=str(number))


def main() -> None:
    """Write until killed."""
    with Store(Path(sys.argv[1])) as store:
        while True:
            number = store.generation + 1
            old, new = store.load(), generation(number)
            claims = missing(old, new)
            delta = changes(old, new, Evidence(claims.people, claims.groups, claims.members))
            print(store.apply(Plan(delta), datetime.now(UTC)), flush=True)


if __name__ == "__main__":
    main()
