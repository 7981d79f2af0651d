"""What one badge runs through: every call of ``Controller.handle`` for a card that is granted, by file.

Prints the calls of latchd's own functions, in how many files they stand, and how often the next call is in
another file than the one before: what a reader of the code has to follow, and how often they turn the page. The
cache is a real one, warm; the site is that of benchmarks/decision.py.

    python benchmarks/badge_path.py [--list]
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from itertools import pairwise
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.decision import NOON, READER, site_text
from benchmarks.lookup import SITE_KEY, fill
from cache.directory.lookup import Lookup
from cache.model import EventName
from daemon.config.load import read_site
from daemon.doors.controller.controller import Controller
from daemon.doors.controller.rules import controller_rules
from drivers.events import CardRead

ROOT = Path(__file__).parent.parent
PEOPLE = 100
Call = tuple[str, str, int]


def calls_of(controller: Controller, number: int) -> list[Call]:
    """File, function and depth of each call, in their order; the badge must be granted."""
    calls: list[Call] = []
    depth = 0

    def note(frame: FrameType, event: str, _: object) -> None:
        nonlocal depth
        if event == "call":
            depth += 1
            file = Path(frame.f_code.co_filename)
            if file.is_relative_to(ROOT) and ".venv" not in file.parts:
                calls.append((str(file.relative_to(ROOT)), frame.f_code.co_qualname, depth))
        elif event == "return":
            depth -= 1

    sys.setprofile(note)
    effects = controller.handle(CardRead(READER, 35, number, NOON.monotonic), NOON)
    sys.setprofile(None)
    assert effects.events[0].name is EventName.ACCESS_GRANTED
    return calls


def main(arguments: list[str]) -> None:
    """Count one badge, the second of the process: the first one opens the cache."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "cache.db")
        fill(path, PEOPLE)
        with Lookup(path) as lookup:
            rules = controller_rules(read_site(site_text(), "benchmark", None), SITE_KEY)
            controller = Controller(rules, lookup.find)
            controller.start(NOON, "benchmark")
            controller.handle(CardRead(READER, 35, 1, NOON.monotonic), NOON)
            calls = calls_of(controller, 1)
    if "--list" in arguments:
        for file, function, depth in calls:
            print(f"{'  ' * depth}{function}  ({file})")
    files = Counter(file for file, _, _ in calls)
    for file, count in files.most_common():
        print(f"  {file:<46}{count:>4}")
    changes = sum(one[0] != other[0] for one, other in pairwise(calls))
    print(f"one badge: {len(calls)} calls in {len(files)} files, {changes} changes of file")


if __name__ == "__main__":
    main(sys.argv[1:])
