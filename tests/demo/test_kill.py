"""kill -9 of the doors process at random moments: no door stays released, and no event that was shown is lost."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.demo.cabinet import Cabinet
from tests.demo.peer import UnexpectedError

KILLS = 10
WHILE_STARTING = 3
"""Of the kills: before the process has its devices again. The others come while cards are read."""

STRIKE = 1.0
LATE = 1.0
"""Seconds that the simulated board may be late on a loaded machine."""

ON_ITS_WAY = 0.3
"""Seconds after a kill in which a frame that was written before it may still reach the board."""

ADA, NO_ONE = 1001, 4711


@dataclass
class Life:
    """What goes on at the door until the process is killed, and what was seen of it."""

    cabinet: Cabinet
    chance: random.Random
    shown: dict[int, dict[str, Any]] = field(default_factory=dict)
    killed: int = 0
    killed_at: float = field(default_factory=time.monotonic)
    killed_while_released: int = 0

    @contextmanager
    def badging(self) -> Iterator[None]:
        """Somebody at the reader all the time, in a thread; the door moves too."""
        stop = threading.Event()

        def badge() -> None:
            for number in iter(lambda: self.chance.choice((ADA, NO_ONE, ADA)), None):
                self.cabinet.badge(number)
                self.cabinet.contact(closed=self.chance.random() < 0.5)
                if stop.wait(0.15):
                    return

        thread = threading.Thread(target=badge)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def kill_while_serving(self) -> None:
        """Everything is back, and no door is released by it; then life goes on for a random time."""
        self.cabinet.wait_until("doors", self.cabinet.answers)
        follower = self.cabinet.follow()
        self.cabinet.wait_for_devices()
        self.nothing_was_released()
        with self.badging():
            time.sleep(self.chance.uniform(0.0, 1.2))  # the random moment itself
            self.kill()
        self.killed_while_released += self.cabinet.relay()
        follower.stop()
        for line in follower.lines:
            if "sequence" in line:
                assert self.shown.setdefault(line["sequence"], line) == line, "told otherwise than before"

    def kill_while_starting(self) -> None:
        """The moment is within what a start takes: imports, databases, ports, the first polls."""
        self.cabinet.wait_until("a new process", lambda: self.pid() not in (0, self.killed))
        time.sleep(self.chance.uniform(0.0, 1.5))
        self.kill()

    def pid(self) -> int:
        """The doors process, or 0 while there is none."""
        try:
            return self.cabinet.daemon_pid("doors")
        except UnexpectedError:
            return 0

    def kill(self) -> None:
        """kill -9."""
        self.killed = self.cabinet.daemon_pid("doors")
        os.kill(self.killed, signal.SIGKILL)
        self.killed_at = time.monotonic()

    def nothing_was_released(self) -> None:
        """What was released at the last kill has locked by itself in time, and nothing else was released since."""
        killed = self.killed_at
        moves = [line for line in self.cabinet.peers["board"].lines if line.get("event") == "output"]
        after = [move for move in moves if move["t"] > killed]
        assert not [move for move in after if move["on"] and move["t"] > killed + ON_ITS_WAY], (
            "released by a start"
        )
        assert all(move["t"] < killed + STRIKE + LATE for move in after), "released past its strike time"
        assert not self.cabinet.relay(), "still released"


@pytest.mark.timeout(240)
def test_ten_kills_at_random_moments(tmp_path: Path) -> None:
    chance = random.Random(20261124)
    starting = {*chance.sample(range(1, KILLS), WHILE_STARTING)}
    with Cabinet(tmp_path / "cabinet", strike_time=STRIKE) as cabinet:
        cabinet.provision({"Staff": {"Ada": ADA}})
        cabinet.start_latchd()
        cabinet.wait_until("people", lambda: cabinet.status()["cache"]["people"] == 1)
        life = Life(cabinet, chance)
        for number in range(KILLS):
            life.kill_while_starting() if number in starting else life.kill_while_serving()
        cabinet.wait_until("doors again", cabinet.answers)
        cabinet.wait_for_devices()
        life.nothing_was_released()
        kept = cabinet.latchctl("events", "--after", "0", "--json").stdout.splitlines()
        log = (cabinet.directory / "latchd.log").read_text(encoding="utf-8")
    durable = {event["sequence"]: event for event in map(json.loads, kept)}
    assert life.killed_while_released, "no kill came while a door was released: this test would prove nothing"
    assert {"access.granted", "access.denied", "door.released"} <= {event["name"] for event in life.shown.values()}
    assert {number: durable.get(number) for number in life.shown} == life.shown
    assert sorted(durable) == list(range(1, len(durable) + 1)), "the sequence has holes"
    assert "Traceback" not in log, log
