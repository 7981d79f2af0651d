"""Two users, two folders: doors reads what sync writes, in a folder where it may write nothing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.systemd.users import DOORS, GROUP, SYNC, controller, process

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")

WRITE = """
from pathlib import Path
from cache.sqlite import CACHE, open_writer
connection = open_writer(Path(sys.argv[5], "state", "sync", "cache.db"), CACHE)
connection.execute("CREATE TABLE IF NOT EXISTS probe (n)")
print("open", flush=True)
for line in sys.stdin:
    connection.execute("INSERT INTO probe VALUES (1)")
    print("written", flush=True)
connection.close()
"""

READ = """
from pathlib import Path
from cache.sqlite import CACHE, open_reader
place = Path(sys.argv[5])
connection = None
for line in sys.stdin:
    if connection is not None and not connection.current():
        connection.close()
        connection = None
    if connection is None:
        connection = open_reader(place / "state" / "sync" / "cache.db", CACHE, place / "state" / "doors")
    print(connection.execute("SELECT count(*) FROM probe").fetchone()[0], connection.private, flush=True)
"""


def asked(child: subprocess.Popen[str]) -> str:
    """Write a line, and what comes back."""
    assert child.stdin
    assert child.stdout
    assert child.stderr
    child.stdin.write("\n")
    child.stdin.flush()
    line = child.stdout.readline()
    assert line, child.stderr.read()
    return line.strip()


def opened(child: subprocess.Popen[str]) -> None:
    assert child.stdout
    assert child.stderr
    assert child.stdout.readline() == "open\n", child.stderr.read()


@pytest.fixture
def place() -> Iterator[Path]:
    """The folders as tmpfiles.d makes them."""
    with controller() as made:
        yield made


@pytest.fixture
def doors(place: Path) -> Iterator[subprocess.Popen[str]]:
    """A process of doors' user that reads when it is asked."""
    with process(DOORS, READ, place) as child:
        yield child


def test_doors_reads_what_sync_writes_while_it_writes(place: Path, doors: subprocess.Popen[str]) -> None:
    with process(SYNC, WRITE, place) as sync:
        opened(sync)
        for count in range(3):
            assert asked(doors) == f"{count} False"
            asked(sync)


def test_doors_reads_on_while_sync_is_killed_and_comes_back(place: Path, doors: subprocess.Popen[str]) -> None:
    for count in range(1, 4):
        with process(SYNC, WRITE, place) as sync:
            opened(sync)
            asked(sync)
            assert asked(doors).startswith(f"{count} ")
            sync.kill()
        assert asked(doors).startswith(f"{count} ")


def test_without_a_wal_the_file_is_read_until_there_is_one(place: Path, doors: subprocess.Popen[str]) -> None:
    """sync has ended in order, or has never run since the machine started."""
    with process(SYNC, WRITE, place) as sync:
        opened(sync)
        asked(sync)
        assert sync.stdin
        sync.stdin.close()
        sync.wait(20)
    assert not (place / "state" / "sync" / "cache.db-wal").exists()
    assert asked(doors) == "1 True"
    assert asked(doors) == "1 True"
    with process(SYNC, WRITE, place) as sync:
        opened(sync)
        asked(sync)
        assert asked(doors) == "2 False"


def test_after_a_power_cut_the_wal_is_read_before_sync_starts(place: Path, doors: subprocess.Popen[str]) -> None:
    """A -wal without a -shm: whoever may not write there reads a copy, and lets go of it when sync comes."""
    with process(SYNC, WRITE, place) as sync:
        opened(sync)
        asked(sync)
        sync.kill()
    (place / "state" / "sync" / "cache.db-shm").unlink()
    assert asked(doors) == "1 True"
    assert list((place / "state" / "doors").iterdir()) == [], "the copy lies nowhere"
    with process(SYNC, WRITE, place) as sync:
        opened(sync)
        asked(sync)
        assert asked(doors) == "2 False"


def test_what_each_makes_the_other_reads_and_does_not_write(place: Path) -> None:
    with process(SYNC, WRITE, place) as sync:
        opened(sync)
        asked(sync)
        for path in (place / "state" / "sync").iterdir():
            status = path.stat()
            assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (SYNC, GROUP, 0o640), path
