"""Writes both databases on the second disk and says after each commit that it is durable, until the power goes.

Two processes, as on a controller: events into the journal and orders into its head here, as the doors process
writes them, generations into the cache by the peer that the tests of the store kill (tests/peers/cache_writer.py).
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from report import say

from cache.journal.head import head_key
from cache.journal.keeper import KeptJournal
from cache.model import Event, EventName, Moment, Stamp
from tests.cache.numbered import SITE_KEY

PLACE = Path("/mnt")
SITE = Path(__file__).parent


def write_journal() -> None:
    """One event after the other, each with an order (its number) in the state and so in ``journal.head``."""
    with closing(KeptJournal(PLACE / "journal.db", key=head_key(SITE_KEY))) as journal:
        for number in itertools.count(int(journal.state().get("newest", "0")) + 1):
            stamp = Stamp(Moment(datetime.now(UTC), time.monotonic()), "boot")
            event = Event(EventName.ACCESS_DENIED, "lobby", detail=(("number", number), ("padding", "x" * 200)))
            records = journal.append([(stamp, event)], {"newest": str(number)})
            say("durable", "event", str(records[-1].sequence))


def write_cache() -> None:
    """One generation after the other."""
    command = [sys.executable, "-m", "tests.peers.cache_writer", PLACE / "cache.db"]
    with subprocess.Popen(command, cwd=SITE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            say("durable", "generation", line)


def main() -> None:
    """Write until the power goes."""
    subprocess.run(["mount", "-t", "ext4", "/dev/vdb", PLACE], check=True)
    threading.Thread(target=write_cache, daemon=True).start()
    write_journal()


if __name__ == "__main__":
    main()
