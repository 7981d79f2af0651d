"""The doors process on simulated hardware: the badge path, and what may break beside it."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Coroutine
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cache.journal.journal import Journal
from cache.model import ClockQuality, Event, EventName, Moment, Reason, Stamp
from daemon.doors.controller.orders import DoorAction
from daemon.doors.loop import TICK, clock
from daemon.doors.operators import DoorRequest, order_doors
from tests.daemon.simulated import ADA, KEN, NO_ONE, Bench, Running, running, until

GRANTED, DENIED = EventName.ACCESS_GRANTED, EventName.ACCESS_DENIED


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.fill()
    return made


def play(bench: Bench, story: Callable[[Running], Coroutine[Any, Any, None]]) -> None:
    """Run the doors of this bench for as long as the story takes."""

    async def whole() -> None:
        async with running(bench) as now:
            await story(now)

    asyncio.run(whole())


def reasons(bench: Bench) -> list[Reason | None]:
    return [record.event.reason for record in bench.events(GRANTED, DENIED)]


# ------------------------------------------------------------------ the badge path


def test_a_badge_releases_the_lock_in_the_same_turn_and_is_durable_soon(bench: Bench) -> None:
    async def story(now: Running) -> None:
        assert not now.released()
        assert now.badge(ADA), "the relay command leaves before the driver's call returns"
        await until("durable", lambda: bench.events(GRANTED))
        [granted] = bench.events(GRANTED)
        assert granted.event.person == "ada"
        assert (granted.event.group, granted.event.level, granted.event.generation) == ("Staff", "Always", 1)
        await until("locked", lambda: bench.events(EventName.DOOR_LOCKED))
        assert not now.released()

    play(bench, story)


def test_a_card_that_nobody_holds_moves_nothing(bench: Bench) -> None:
    async def story(now: Running) -> None:
        assert not now.badge(NO_ONE)
        await until("durable", lambda: bench.events(DENIED))

    play(bench, story)
    assert reasons(bench) == [Reason.UNKNOWN_CREDENTIAL]


def test_the_start_and_the_end_are_on_record_and_the_sequence_goes_on(bench: Bench) -> None:
    async def story(now: Running) -> None:
        del now

    play(bench, story)
    play(bench, story)
    names = [record.event.name for record in bench.events()]
    assert names.count(EventName.SYSTEM_START) == names.count(EventName.SYSTEM_STOP) == 2
    assert names[-1] is EventName.SYSTEM_STOP
    assert [record.sequence for record in bench.events()] == list(range(1, len(names) + 1))


def test_an_end_in_the_middle_of_a_strike_leaves_the_lock_off(bench: Bench) -> None:
    seen: list[Running] = []

    async def story(now: Running) -> None:
        assert now.badge(ADA)
        seen.append(now)

    play(bench, story)
    assert not seen[0].released()
    assert reasons(bench) == [Reason.GRANTED], "what was put before the end is durable"


# ------------------------------------------------------------------ the cache


def test_a_new_generation_is_noticed_and_told_once(bench: Bench) -> None:
    assert TICK <= 1.0, "at most 1 s later, says the design"

    async def story(now: Running) -> None:
        await until("the first", lambda: bench.events(EventName.SYNC_APPLIED))
        assert not now.badge(NO_ONE)
        bench.fill({"new": NO_ONE})
        assert now.badge(NO_ONE), "a decision rests on what is committed, noticed or not"
        await until("the second", lambda: len(bench.events(EventName.SYNC_APPLIED)) == 2)

    play(bench, story)
    play(bench, lambda now: until("started", lambda: bench.events(EventName.SYSTEM_START)))
    assert [record.event.generation for record in bench.events(EventName.SYNC_APPLIED)] == [1, 2]


def test_without_any_cache_everybody_is_denied(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    async def story(now: Running) -> None:
        assert not now.badge(ADA)
        bench.fill()
        await until("opens after the first sync", lambda: now.badge(ADA))

    play(bench, story)
    assert reasons(bench)[0] is Reason.UNKNOWN_CREDENTIAL


def test_a_damaged_cache_denies_and_is_said_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    cache = bench.state / "sync" / "cache.db"

    async def story(now: Running) -> None:
        good = cache.with_suffix(".good")
        cache.rename(good)
        for suffix in ("-wal", "-shm"):
            cache.with_name(cache.name + suffix).unlink(missing_ok=True)
        cache.write_bytes(b"this is no database\n" * 400)
        await until("noticed", lambda: now.doors.cache_trouble)
        for _ in range(3):
            now.doors._watch(now.doors.now())
        assert not now.badge(ADA)
        await until("durable", lambda: bench.events(DENIED))
        good.replace(cache)
        await until("good again", lambda: now.doors.cache_trouble is None)
        assert now.badge(ADA)

    with caplog.at_level(logging.WARNING, "daemon.doors.loop"):
        play(bench, story)
    assert reasons(bench) == [Reason.CACHE_UNREADABLE, Reason.GRANTED]
    said = [record.message for record in caplog.records if "cache" in record.message]
    assert ["cannot be read" in text for text in said] == [True, False]
    assert "every card is denied" in said[0]


# ------------------------------------------------------------------ the journal


def test_a_journal_that_cannot_be_written_stops_no_door(bench: Bench) -> None:
    async def story(now: Running) -> None:
        await until("started", lambda: bench.events(EventName.SYSTEM_START))
        other = sqlite3.connect(bench.state / "doors" / "journal.db", isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            for _ in range(3):
                assert now.badge(ADA)
            await until("the alarm", lambda: now.doors.writer.alarmed)
            assert now.badge(ADA)
            assert not bench.events(GRANTED)
        finally:
            other.close()
        await until("durable after all", lambda: len(bench.events(GRANTED)) == 4)
        await until("no alarm", lambda: now.doors.writer.alarmed is None)

    play(bench, story)


def lock_down(now: Running) -> None:
    """An operator's lockdown, durable."""
    order_doors(now.doors, DoorRequest("eve", DoorAction.LOCKDOWN, "all"), now.doors.now())
    assert now.doors.writer.flush()


@pytest.mark.parametrize("wrong", ["damaged", "lost", "newer", "unlocked by hand"])
def test_whatever_became_of_the_journal_the_doors_start_and_a_lockdown_holds(bench: Bench, wrong: str) -> None:
    journal = bench.state / "doors" / "journal.db"

    async def before(now: Running) -> None:
        lock_down(now)

    async def after(now: Running) -> None:
        assert not now.badge(ADA)
        assert now.doors.writer.flush()
        assert now.doors.writer.remark
        order_doors(now.doors, DoorRequest("eve", DoorAction.RELEASE, "all"), now.doors.now())
        assert now.badge(ADA)

    play(bench, before)
    match wrong:
        case "damaged":
            journal.write_bytes(journal.read_bytes()[:5000])
        case "lost":
            journal.unlink()
        case "newer":
            with closing(sqlite3.connect(journal)) as other:
                other.execute("PRAGMA user_version = 9")
        case _:
            with closing(sqlite3.connect(journal, isolation_level=None)) as other:
                other.execute("DELETE FROM state WHERE name LIKE 'mode.%'")
    play(bench, after)
    assert Reason.LOCKDOWN in reasons(bench)
    assert reasons(bench)[-1] is Reason.GRANTED
    assert len(bench.events(EventName.JOURNAL_GAP)) == 1


def test_a_journal_that_cannot_be_opened_keeps_the_events_in_memory_until_it_can(bench: Bench) -> None:
    in_the_way = bench.state / "doors" / "journal.db.lock"
    in_the_way.mkdir()

    async def story(now: Running) -> None:
        assert now.badge(ADA)
        await until("the alarm", lambda: now.doors.writer.alarmed)
        assert now.doors.writer.last() is None
        in_the_way.rmdir()
        await until("durable after all", lambda: bench.events(GRANTED))
        await until("no alarm", lambda: now.doors.writer.alarmed is None)

    play(bench, story)
    assert bench.events()[0].event.name is EventName.SYSTEM_START


def test_a_journal_that_is_removed_while_the_doors_run_is_made_again_within_seconds(bench: Bench) -> None:
    async def story(now: Running) -> None:
        lock_down(now)
        for file in (bench.state / "doors").glob("journal.db*"):
            file.unlink()
        await until("made again", (bench.state / "doors" / "journal.db").exists, 10.0)
        assert not now.badge(ADA)
        await until("recorded", lambda: bench.events(EventName.JOURNAL_GAP))
        assert "lost" in str(now.doors.writer.remark)

    async def later(now: Running) -> None:
        assert not now.badge(ADA), "the lockdown went into the new file"

    play(bench, story)
    play(bench, later)
    assert set(reasons(bench)) == {Reason.LOCKDOWN}


# ------------------------------------------------------------------ what fails inside


def test_a_failure_of_one_event_is_logged_and_the_next_badge_opens(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(now: Running) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(now.doors.controller, "handle", broken)
            patch.setattr(now.doors.controller, "handle_deadline", broken)
            now.doors._due()
            assert not now.badge(ADA)
        assert now.badge(ADA)

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    play(bench, story)
    assert [one.message.split(":")[0] for one in caplog.records if one.exc_info] == [
        "a timer could not be served",
        "an event of a device could not be handled",
    ]
    bits = f"{ADA}"
    assert bits not in caplog.text


def test_listeners_hear_of_commits_until_they_stop(bench: Bench) -> None:
    heard: list[int] = []

    async def story(now: Running) -> None:
        stop = now.doors.listen(lambda: heard.append(1))
        now.badge(NO_ONE)
        await until("heard", lambda: heard)
        stop()
        count = len(heard)
        now.badge(NO_ONE)
        await until("durable", lambda: len(bench.events(DENIED)) == 2)
        assert len(heard) == count

    play(bench, story)


# ------------------------------------------------------------------ the clock


@pytest.fixture(params=[timedelta(hours=1), timedelta(days=400)])
def from_the_future(request: pytest.FixtureRequest, bench: Bench) -> Bench:
    """The journal's newest event is later than the clock."""
    with Journal(bench.state / "doors" / "journal.db") as journal:
        stamp = Stamp(Moment(datetime.now(UTC) + request.param, 1.0, ClockQuality.SYNCED), "an earlier boot")
        journal.append([(stamp, Event(EventName.SYSTEM_STOP))])
    return bench


def test_a_clock_before_the_newest_event_is_not_believed(
    from_the_future: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = from_the_future
    monkeypatch.setattr(clock, "kernel_synchronised", lambda: False)

    async def story(now: Running) -> None:
        for number in (1, 2):
            assert not now.badge(KEN), "his rule has times"
            await until("durable", lambda n=number: len(bench.events(DENIED)) == n)
            assert now.doors.now().quality is ClockQuality.NEVER_SET, "also after events of this clock are kept"
        assert now.badge(ADA), "a rule without times still works"

    play(bench, story)
    assert set(reasons(bench)) == {Reason.GRANTED, Reason.CLOCK_UNTRUSTED}
    [jump] = bench.events(EventName.CLOCK_JUMP)
    assert float(dict(jump.event.detail)["seconds"]) < -3500


def test_a_clock_that_is_synchronised_is_believed_and_the_jump_recorded(
    from_the_future: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event from the future was the mistake."""
    bench = from_the_future
    monkeypatch.setattr(clock, "kernel_synchronised", lambda: True)

    async def story(now: Running) -> None:
        assert now.badge(KEN)

    play(bench, story)
    assert reasons(bench) == [Reason.GRANTED]
    assert len(bench.events(EventName.CLOCK_JUMP)) == 1
