"""Puts numbered events into the journal named on the command line until it is killed; prints what is durable.

Each event carries its number, and the state of the same transaction says the newest one. A line is printed after
the commit: the sequence number of the last record. With a second argument, the journal keeps so many records.
"""

from __future__ import annotations

import itertools
import random
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from cache.journal.journal import Journal, Retention
from cache.journal.writer import JournalWriter
from cache.model import Event, EventName, Moment, Record, Stamp


def committed(records: list[Record]) -> None:
    """Tell what is on the disk."""
    numbers = [value for record in records for name, value in record.event.detail if name == "number"]
    print(records[-1].sequence, numbers[-1], flush=True)


def main() -> None:
    """Write until killed."""
    keep = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    journal = Journal(Path(sys.argv[1]), Retention(keep=keep))
    start = int(journal.state().get("newest", "0"))
    writer = JournalWriter(journal, committed)
    for number in itertools.count(start + 1):
        stamp = Stamp(Moment(datetime.now(UTC), time.monotonic()), "boot")
        event = Event(EventName.ACCESS_DENIED, "lobby", detail=(("number", number),))
        writer.put([(stamp, event)], {"newest": str(number)})
        time.sleep(random.random() / 500)


if __name__ == "__main__":
    main()
