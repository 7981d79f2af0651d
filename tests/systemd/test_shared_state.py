"""Two users, one folder: what doors and sync share works with the modes that the units and tmpfiles.d give it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SYNC, DOORS, GROUP = 61_001, 61_002, 61_000
"""Numbers that nobody has: a user need not have a name to own a file."""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")

PROCESS = """
import os, sqlite3, sys
from pathlib import Path

user, group, role, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
sys.path.insert(0, folder + "/code")
from cache.sqlite import CACHE, open_reader, open_writer

CACHE.script("cache_v1.sql")  # imports what only root may be able to read, when Python lies in root's home

os.setgroups([])
os.setgid(group)
os.setuid(user)
os.umask(0o007)

path = Path(folder, "state", "cache.db")
connection = (open_writer if role == "write" else open_reader)(path, CACHE)
if role == "write":
    connection.execute("CREATE TABLE IF NOT EXISTS probe (n)")
    connection.execute("INSERT INTO probe VALUES (1)")
print(connection.execute("SELECT count(*) FROM probe").fetchone()[0], flush=True)
sys.stdin.read()
connection.close()
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """The state folder as tmpfiles.d makes it, and the code where every user can read it."""
    place = Path(tempfile.mkdtemp(prefix="latchd-shared-"))
    place.chmod(0o755)
    shutil.copytree(ROOT / "cache", place / "code" / "cache", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (place / "code").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    state = place / "state"
    state.mkdir()
    os.chown(state, 0, GROUP)
    state.chmod(0o2770)
    yield place
    shutil.rmtree(place)


@contextmanager
def process(user: int, role: str, place: Path) -> Iterator[subprocess.Popen[str]]:
    """One of the two processes, with its database open until the block ends."""
    arguments = [sys.executable, "-c", PROCESS, str(user), str(GROUP), role, str(place)]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def rows(child: subprocess.Popen[str]) -> int:
    """How many rows the process said it sees, once it has opened its database."""
    assert child.stdout
    assert child.stderr
    line = child.stdout.readline()
    assert line, child.stderr.read()
    return int(line)


def test_doors_reads_what_sync_writes_while_it_writes(place: Path) -> None:
    with process(SYNC, "write", place) as sync:
        assert rows(sync) == 1
        with process(DOORS, "read", place) as doors:
            assert rows(doors) == 1


def test_doors_reads_after_sync_was_killed_and_sync_writes_after_doors_was(place: Path) -> None:
    with process(SYNC, "write", place) as sync:
        assert rows(sync) == 1
        sync.kill()
    (place / "state" / "cache.db-shm").unlink()  # as after a power cut: doors must make it anew
    with process(DOORS, "read", place) as doors:
        assert rows(doors) == 1
        assert (place / "state" / "cache.db-shm").stat().st_uid == DOORS
        with process(SYNC, "write", place) as sync:
            assert rows(sync) == 2


def test_everything_beside_the_database_belongs_to_the_group(place: Path) -> None:
    with process(SYNC, "write", place) as sync:
        assert rows(sync) == 1
        for path in (place / "state").iterdir():
            assert path.stat().st_gid == GROUP
            assert path.stat().st_mode & 0o777 == 0o660, path
