"""kill -9 of the doors process at random moments: no door stays released, and no event that was shown is lost."""

import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.demo.cabinet import Cabinet

KILLS = 10
STRIKE = 1.0
ADA = 1001


def shown_by(lines: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    return {line["sequence"]: line for line in lines if "sequence" in line}


@pytest.mark.timeout(240)
def test_ten_kills_at_random_moments(tmp_path: Path) -> None:
    chance = random.Random(20261124)
    shown: dict[int, dict[str, Any]] = {}
    granted = 0
    with Cabinet(tmp_path / "cabinet", strike_time=STRIKE) as cabinet:
        cabinet.provision({"Staff": {"Ada": ADA}})
        cabinet.start_latchd()
        cabinet.wait_until("people", lambda: cabinet.status()["cache"]["people"] == 1)
        for _ in range(KILLS):
            follower = cabinet.follow()
            cabinet.wait_for_devices()
            cabinet.badge(ADA)
            time.sleep(chance.uniform(0.0, 0.5))  # the random moment itself
            os.kill(cabinet.daemon_pid("doors"), signal.SIGKILL)
            killed = time.monotonic()
            cabinet.wait_until("the relay is off", lambda: not cabinet.relay(), patience=STRIKE + 5)
            moves = [line for line in cabinet.peers["board"].lines if line.get("event") == "output"]
            released = [move for move in moves if move["on"]]
            granted += bool(released and killed - released[-1]["t"] < STRIKE)
            if released and moves[-1]["t"] > killed:
                assert moves[-1]["t"] - released[-1]["t"] < STRIKE + 1.0, "released past its strike time"
            follower.stop()
            shown |= shown_by(follower.lines)
            cabinet.wait_until("doors again", cabinet.answers)
        kept = cabinet.latchctl("events", "--after", "0", "--json").stdout.splitlines()
        durable = shown_by([json.loads(line) for line in kept])
        assert not cabinet.relay()
    assert shown, "the follower saw nothing: this test would prove nothing"
    assert granted, "no kill came while a door was released: this test would prove nothing"
    assert {number: durable.get(number) for number in shown} == shown
    assert sorted(durable) == list(range(1, len(durable) + 1)), "the sequence has holes"
