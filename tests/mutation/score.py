"""What became of the mutants: ``mutmut results --all true | python -m tests.mutation.score``.

Prints a line for each module and the whole as the table of docs/mutation.md, and the names of the survivors; one
whose tests end in nothing but the time limit counts as killed. Ends with 1 if fewer than 90 % were killed.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator

ENOUGH = 0.9
KILLED = frozenset({"killed", "timeout"})

_RESULT = re.compile(r"\s*(?P<module>[\w.]+)\.(?P<function>x[\wǁ]*__mutmut_\d+): (?P<status>[\w ]+)")


def results(lines: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Module, mutant and status of each line; other lines are nothing. ``ValueError``: one was never tried."""
    for line in lines:
        found = _RESULT.fullmatch(line.rstrip("\n"))
        if found is None:
            continue
        if found["status"] == "not checked":
            raise ValueError(f"{line.strip()}: the run was not brought to its end")
        yield found["module"], found["function"], found["status"]


def report(lines: Iterable[str]) -> tuple[list[str], float]:
    """The table and the survivors as text, and the share that was killed."""
    total: Counter[str] = Counter()
    killed: Counter[str] = Counter()
    survivors = []
    for module, function, status in results(lines):
        total[module] += 1
        killed[module] += status in KILLED
        if status not in KILLED:
            survivors.append(f"{status}: {module}.{function}")
    if not total:
        raise ValueError("there are no results: was mutmut run?")
    rows = [_row(module, killed[module], total[module]) for module in sorted(total)]
    share = killed.total() / total.total()
    table = ["| module | mutants | killed | share |", "|---|---|---|---|", *rows]
    return [*table, _row("all", killed.total(), total.total()), "", *survivors], share


def _row(name: str, killed: int, total: int) -> str:
    return f"| {name} | {total} | {killed} | {killed / total:.1%} |"


def main() -> int:
    """Read the results from standard input."""
    lines, share = report(sys.stdin)
    print("\n".join(lines))
    return int(share < ENOUGH)


if __name__ == "__main__":
    sys.exit(main())
