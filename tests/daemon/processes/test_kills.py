"""kill -9 of the doors process again and again, its journal damaged in between: doors always decide afterwards.

``make soak`` plays a few dozen; LATCHD_KILLS=1000 plays as many as it says.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cache.model import Record
from tests.daemon.simulated import ADA, NO_ONE, Bench, card
from tests.daemon.spawned import latchd, play, until

KILLS = int(os.environ.get("LATCHD_KILLS", "30"))
SEED = int(os.environ.get("LATCHD_SEED", "7"))


def bits(number: int) -> str:
    length, value = card(number)
    return f"bits:{value:0{length}b}"


def badge(bench: Bench, number: int) -> bool:
    """Present a card; whether the lock is released right after."""
    assert play(bench, f"badge lobby-in {bits(number)}") == "ok"
    return "main.out1 on" in play(bench, "outputs")


def cut(path: Path, chance: random.Random) -> None:
    os.truncate(path, chance.randrange(path.stat().st_size + 1))


def scribble(path: Path, chance: random.Random) -> None:
    with path.open("r+b") as file:
        file.seek(chance.randrange(max(1, path.stat().st_size)))
        file.write(chance.randbytes(chance.choice((1, 20, 4096))))


def remove(path: Path, chance: random.Random) -> None:
    del chance
    path.unlink()


DAMAGES: tuple[Callable[[Path, random.Random], None], ...] = (cut, scribble, remove)


def journal_files(bench: Bench) -> list[Path]:
    return [
        path for path in bench.state.rglob("journal.db*") if path.suffix in (".db", ".db-wal") and path.is_file()
    ]


def same(record: Record) -> tuple[object, ...]:
    return record.sequence, record.stamp.at.utc, record.event.name, record.event.person, record.event.detail


@pytest.mark.soak
@pytest.mark.timeout(60 + 20 * KILLS)
def test_doors_decide_after_every_kill_and_what_was_durable_stays(tmp_path: Path) -> None:
    bench, chance = Bench(tmp_path), random.Random(SEED)
    bench.fill()
    shown: dict[int, tuple[object, ...]] = {}
    released = damaged = 0
    for _ in range(KILLS):
        with latchd(bench, "doors") as process:
            if chance.random() < 0.2:
                time.sleep(chance.uniform(0.0, 0.6))  # the random moment itself
            else:
                until("the hardware", lambda: "main.out1 off" in play(bench, "outputs"))
                assert badge(bench, ADA), "a known card opens after every start"
                assert not badge(bench, NO_ONE) or "main.out1 on" in play(bench, "outputs")
                for _ in range(chance.randrange(6)):
                    badge(bench, chance.choice((ADA, NO_ONE)))
                time.sleep(chance.uniform(0.0, 0.2))  # the random moment itself
                released += "main.out1 on" in play(bench, "outputs")
                shown = {record.sequence: same(record) for record in bench.events()}
            process.send_signal(signal.SIGKILL)
            process.wait()
        if chance.random() < 0.2:
            files = journal_files(bench)
            if files:
                chance.choice(DAMAGES)(chance.choice(files), chance)
                damaged, shown = damaged + 1, {}
            continue
        stored = {record.sequence: same(record) for record in bench.events()}
        assert {number: stored.get(number) for number in shown} == shown
    assert released
    assert damaged
