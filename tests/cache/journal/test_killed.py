"""A writer that is killed at any instant: no fault is seen where there is none, and no order is lost."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from cache.journal.keeper import KeptJournal
from cache.journal.reader import JournalReader

ROOT = Path(__file__).parents[3]
KEY = bytes(32)

WRITER = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from cache.journal.keeper import KeptJournal
from cache.journal.writer import JournalWriter
from cache.model import Event, EventName, Moment, Stamp

journal = KeptJournal(Path(sys.argv[1]), None, bytes(32))
writer, number = JournalWriter(journal), int(journal.state().get("mode.lobby", 0))
print("up", flush=True)
while True:
    number += 1
    stamp = Stamp(Moment(datetime.now(UTC), float(number)), "boot")
    writer.put([(stamp, Event(EventName.REX))], {"mode.lobby": str(number)} if number % 5 == 0 else None)
    if number % 5 == 0 and writer.flush():
        print(number, flush=True)
"""


def killed(path: Path, trials: range) -> None:
    for trial in trials:
        command = [sys.executable, "-c", WRITER, str(path)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "up\n"
            time.sleep(random.Random(trial).uniform(0.0, 0.3))  # the instant is what is drawn
            child.kill()
            shown = [int(line) for line in child.stdout.read().split() if line.isdecimal()]
        with closing(KeptJournal(path, None, KEY)) as journal:
            assert journal.remarks == [], trial
            assert int(journal.state().get("mode.lobby", 0)) >= max(shown, default=0), trial
    with JournalReader(path) as reader:
        assert reader.verify(KEY).faults == ()


def test_a_killed_writer(tmp_path: Path) -> None:
    killed(tmp_path / "journal.db", range(4))


@pytest.mark.soak
def test_a_writer_that_is_killed_many_times(tmp_path: Path) -> None:
    killed(tmp_path / "journal.db", range(100, 150))
