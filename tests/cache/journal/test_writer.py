"""JournalWriter: nobody waits for a disk; what it refuses is kept, or counted and told in its place."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cache.errors import JournalError
from cache.journal.filter import EventFilter
from cache.journal.journal import Entry, Journal
from cache.journal.reader import JournalReader
from cache.journal.writer import JournalWriter, State
from cache.model import Event, EventName, Moment, Record, Stamp

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
PATIENCE = 20.0


def entry(number: int, size: int = 0) -> Entry:
    """The event of this number, a second after the one before."""
    moment = Moment(NOW + timedelta(seconds=number), float(number))
    return Stamp(moment, "boot"), Event(EventName.REX, detail=(("number", number), ("padding", "x" * size)))


def numbers(records: list[Record]) -> list[int | str]:
    """Which events these are; a gap is told by how many are lost."""
    return [
        f"{dict(one.event.detail)['lost']} lost" if one.event.name is EventName.JOURNAL_GAP
        else int(dict(one.event.detail)["number"])
        for one in records
    ]  # fmt: skip


class Balky(Journal):
    """A real journal whose appends can be made to wait or to fail, as a sick disk does."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.gate = threading.Event()
        self.gate.set()
        self.broken = False
        self.reopened = 0

    def append(self, entries: list[Entry], state: State | None = None) -> list[Record]:  # type: ignore[override]  # narrower
        assert self.gate.wait(PATIENCE)
        if self.broken:
            raise JournalError("journal.db: the disk reports an error")
        return super().append(entries, state)

    def reopen(self) -> None:
        super().reopen()
        self.reopened += 1


class Bench:
    """A writer over a balky journal, and everything it said."""

    def __init__(self, path: Path, ring: int, retry: float = 0.01) -> None:
        self.journal = Balky(path)
        self.reader = JournalReader(path)
        self.committed: list[Record] = []
        self.alarms: list[str | None] = []
        self.writer = JournalWriter(self.journal, self.committed.extend, self.alarms.append, ring, retry)

    def close(self) -> bool:
        self.journal.gate.set()
        done = self.writer.close(PATIENCE)
        self.reader.close()
        return done


@contextmanager
def bench(path: Path, ring: int = 100) -> Iterator[Bench]:
    """A bench that is closed at the end."""
    made = Bench(path, ring)
    try:
        yield made
    finally:
        made.close()


def until(condition: Callable[[], object]) -> None:
    """Wait for it, with patience."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where journal.db will be."""
    return tmp_path / "journal.db"


def test_events_become_durable_in_order_with_their_state(database: Path) -> None:
    with bench(database) as one:
        for number in range(1, 51):
            one.writer.put([entry(number)], {"newest": str(number)})
        assert one.writer.flush(PATIENCE)
        assert numbers(one.reader.events()) == list(range(1, 51))
        assert one.reader.state() == {"newest": "50"}
        until(lambda: len(one.committed) == 50)
        assert one.committed == one.reader.events()
        assert one.writer.last() == one.committed[-1]
        assert one.alarms == []


def test_an_event_is_durable_without_anybody_asking(database: Path) -> None:
    with bench(database) as one:
        one.writer.put([entry(1)])
        until(lambda: one.committed)
        assert numbers(one.reader.events()) == [1]


def test_close_writes_what_waits(database: Path) -> None:
    with bench(database) as one:
        one.writer.put([entry(number) for number in range(90)])
        assert one.close()
        with JournalReader(database) as reader:
            assert len(reader.events()) == 90


def test_nothing_put_is_nothing(database: Path) -> None:
    with bench(database) as one:
        one.writer.put([])
        assert one.writer.flush(PATIENCE)
        assert one.reader.events() == []


def test_a_waiting_disk_never_blocks_and_what_does_not_fit_is_told_in_its_place(database: Path) -> None:
    with bench(database, ring=10) as one:
        one.journal.gate.clear()
        for number in range(1, 31):
            one.writer.put([entry(number)], {"newest": str(number)})
        assert one.writer.alarmed is not None
        assert not one.writer.flush(0.01)
        one.journal.gate.set()
        assert one.writer.flush(PATIENCE)
        one.writer.put([entry(31)], {"later": "1"})
        assert one.writer.flush(PATIENCE)
        assert numbers(one.reader.events()) == [*range(1, 11), "20 lost", 31]
        (gap,) = one.reader.events(wanted=EventFilter(frozenset({EventName.JOURNAL_GAP})))
        assert gap.stamp == entry(30)[0]
        assert dict(gap.event.detail)["since"] == (NOW + timedelta(seconds=11)).isoformat()
        assert one.reader.state() == {"newest": "30", "later": "1"}
        assert one.reader.verify().faults == ()
        until(lambda: len(one.alarms) == 2)
        assert one.alarms[0] is not None
        assert one.alarms[1] is None


def test_a_disk_that_refuses_raises_one_alarm_and_loses_nothing_that_fits(database: Path) -> None:
    with bench(database) as one:
        one.journal.broken = True
        for number in range(1, 41):
            one.writer.put([entry(number)], {"newest": str(number)})
        until(lambda: one.journal.reopened > 3)
        assert one.alarms == ["journal.db: the disk reports an error"]
        assert one.writer.alarmed
        one.journal.broken = False
        assert one.writer.flush(PATIENCE)
        assert numbers(one.reader.events()) == list(range(1, 41))
        until(lambda: one.alarms[-1] is None)
        assert one.writer.alarmed is None


def test_closing_over_a_broken_disk_ends_and_says_so(database: Path) -> None:
    one = Bench(database, 10)
    one.journal.broken = True
    one.writer.put([entry(1)])
    until(lambda: one.alarms)
    assert one.writer.close(0.1) is False
    one.reader.close()


def test_what_is_written_at_the_last_moment_counts(database: Path) -> None:
    one = Bench(database, 10, retry=PATIENCE)
    one.journal.broken = True
    one.writer.put([entry(1)])
    until(lambda: one.journal.reopened)
    one.journal.broken = False
    assert one.writer.close(2.0)
    assert numbers(one.reader.events()) == [1]
    one.reader.close()


def test_an_event_that_cannot_be_written_does_not_stop_the_others(database: Path) -> None:
    with bench(database) as one:
        bad = (entry(2)[0], Event(EventName.REX, door=object()))  # type: ignore[arg-type]  # a mistake elsewhere
        one.writer.put([entry(1), bad, entry(3)], {"state": "1"})
        assert one.writer.flush(PATIENCE)
        assert numbers(one.reader.events()) == [1, "1 lost", 3]
        assert one.reader.state() == {"state": "1"}


def test_state_alone_becomes_durable_and_there_is_no_record_to_tell_of(database: Path) -> None:
    told: list[int] = []
    writer = JournalWriter(Journal(database), lambda records: told.append(len(records)))
    writer.put([], {"position": "1"})
    assert writer.flush(PATIENCE)
    writer.put([entry(1)], {"position": "2"})
    assert writer.close(PATIENCE)
    assert told == [1]
    with JournalReader(database) as reader:
        assert reader.state() == {"position": "2"}


def test_a_listener_that_fails_does_not_stop_the_journal(database: Path, caplog: pytest.LogCaptureFixture) -> None:
    def fail(records: list[Record]) -> None:
        raise RuntimeError(f"a listener that fails over {len(records)} records")

    writer = JournalWriter(Journal(database), fail)
    writer.put([entry(1)])
    assert writer.flush(PATIENCE)
    writer.put([entry(2)])
    assert writer.close(PATIENCE)
    with JournalReader(database) as reader:
        assert numbers(reader.events()) == [1, 2]
    assert "a listener of the journal failed" in caplog.text


def test_state_alone_does_not_grow_while_the_disk_refuses(database: Path) -> None:
    with bench(database, ring=2) as one:
        one.journal.broken = True
        for number in range(1000):
            one.writer.put([], {"position": str(number)})
        assert len(one.writer._ring) <= 2
        one.journal.broken = False
        assert one.writer.flush(PATIENCE)
        assert one.reader.state() == {"position": "999"}


def test_a_full_disk_costs_old_events_not_new_ones(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12M", "tmpfs", str(folder)]
    if (done := subprocess.run(mount, capture_output=True, text=True)).returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    ballast = folder / "ballast"
    try:
        with bench(folder / "journal.db", ring=4096) as one:
            for number in range(1, 3001):
                if number == 1200:
                    ballast.write_bytes(bytes(4 << 20))  # somebody else fills the disk,
                if number == 2200:
                    ballast.unlink()  # and makes room again
                one.writer.put([entry(number, size=3000)])
                if number % 20 == 0:
                    assert one.writer.flush(PATIENCE)
            assert numbers(one.reader.latest(limit=1)) == [3000]
            assert one.reader.verify().faults == ()
            assert any("disk is full" in (alarm or "") for alarm in one.alarms)
            until(lambda: one.writer.alarmed is None)
            assert len(one.reader.events(limit=10**6)) > 500
    finally:
        subprocess.run(["umount", str(folder)], check=True)
