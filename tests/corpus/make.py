"""Writes the golden corpus: ``python -m tests.corpus.make``.

The answers are written by hand, line by line, in schedules.py, clocks.py, people.py, doors.py and reads.py; only
those of zones.py are worked out, by tests/daemon/decision/naive_schedule.py.
"""

from __future__ import annotations

from pathlib import Path

from tests.corpus import clocks, doors, people, reads, schedules, zones
from tests.corpus.layout import Tables, text

HERE = Path(__file__).parent


def corpus() -> dict[str, Tables]:
    """Every file by its name."""
    parts = (schedules, clocks, people, doors, reads, zones)
    return {name: table for part in parts for name, table in part.files().items()}


def main() -> None:
    """Write every file."""
    for name, table in corpus().items():
        (HERE / f"{name}.json").write_text(text(table), encoding="utf-8")


if __name__ == "__main__":
    main()
