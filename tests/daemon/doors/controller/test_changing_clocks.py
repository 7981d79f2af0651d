"""What runs through a change of the clock: the table of docs/access-rules.md, played on a whole controller."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from cache.model import Mode
from daemon.doors.controller.orders import DoorAction
from daemon.doors.door.table import DoorPosition
from tests.daemon.decision.test_access_rules_page import table
from tests.daemon.doors.controller.bench import Bench

ROWS = table("### What runs through a change of the clock")
TICK = timedelta(milliseconds=1)
SETTLES = timedelta(milliseconds=30)
"""An input counts this long after it changed."""


def strike(bench: Bench) -> Callable[[], bool]:
    bench.badge("ann")
    return bench.released


def held_open(bench: Bench) -> Callable[[], bool]:
    bench.badge("ann")
    bench.line("in1", on=False)
    return lambda: bench.controller.doors["lobby"].state.opening in (DoorPosition.OPEN, DoorPosition.WARNED)


def lockout(bench: Bench) -> Callable[[], bool]:
    for _ in range(2):
        bench.controller.site_state.pins.missed("lobby-in", None, bench.now)
    return lambda: bench.controller.readers["lobby-in"].pins_refused_until(bench.now) is not None


def unlock(bench: Bench) -> Callable[[], bool]:
    bench.order(DoorAction.UNLOCK, until=bench.utc + timedelta(hours=2), seconds=7200.0)
    return lambda: bench.controller.doors["lobby"].state.mode is Mode.UNLOCKED


def double_badge(bench: Bench) -> Callable[[], bool]:
    bench.badge("eve")
    bench.badge("eve")
    return lambda: bench.controller.doors["lobby"].state.mode is Mode.UNLOCKED


def door_schedule(bench: Bench) -> Callable[[], bool]:
    return lambda: bench.controller.doors["lab"].state.mode is Mode.BLOCKED


BEGIN = {
    "strike time of 5 s": strike,
    "held-open time of 60 s": held_open,
    "PIN lockout of 60 s": lockout,
    "unlock for 2 h": unlock,
    "double badge, until midnight": double_badge,
    "door schedule 02:30-04:30": door_schedule,
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]} {row[1]}")
def test_the_table(row: list[str]) -> None:
    begin, end = (datetime.fromisoformat(cell).astimezone(UTC) for cell in row[1:])
    bench = Bench(utc=begin - timedelta(minutes=10))
    what = BEGIN[row[0]]
    bench.wait(
        (begin - bench.utc - TICK).total_seconds() - (SETTLES.total_seconds() if what is held_open else 0.0)
    )
    assert what is not door_schedule or not what(bench)()
    bench.wait(TICK.total_seconds())
    lasting = what(bench)
    assert lasting()
    bench.wait((end - bench.utc - TICK).total_seconds())
    assert lasting()
    bench.wait(2 * TICK.total_seconds())
    assert not lasting()


def test_the_table_has_every_kind_of_row() -> None:
    assert {row[0] for row in ROWS} == set(BEGIN)
    assert {row[1][:10] for row in ROWS} == {"2026-03-29", "2026-10-25"}
