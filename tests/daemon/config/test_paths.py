"""Each process has a folder below the directory that the site file names; files from before are taken over."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cache.directory.lookup import Lookup
from cache.directory.store import Store
from cache.errors import LatchdError
from cache.journal.journal import Journal
from cache.journal.reader import JournalReader
from cache.model import Event, EventName, Stamp
from daemon.config import old_layout
from daemon.config.paths import Paths
from daemon.doors import clock
from daemon.doors.reader_keys import ReaderKeys
from daemon.errors import ConfigError
from tests.daemon.simulated import SITE, Bench

ROOT = Path(__file__).parent.parent.parent.parent


def test_they_are_below_the_directory_of_the_site_file(tmp_path: Path) -> None:
    site, state = Bench(tmp_path).site(), tmp_path / "state"
    assert Paths.of(site) == Paths(state / "sync" / "cache.db", state / "doors" / "journal.db")


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000])
def test_a_folder_is_made_for_its_process_and_left_if_it_is_there(tmp_path: Path, umask: int) -> None:
    paths = Paths(tmp_path / "new" / "sync" / "cache.db", tmp_path / "new" / "doors" / "journal.db")
    before = os.umask(umask)
    try:
        assert paths.prepare_doors() is paths
    finally:
        os.umask(before)
    doors = tmp_path / "new" / "doors"
    assert stat.S_IMODE(doors.stat().st_mode) == 0o2750
    assert stat.S_IMODE(doors.parent.stat().st_mode) & 0o027 == 0
    assert not (tmp_path / "new" / "sync").exists(), "that is for sync to make"
    doors.chmod(0o700)
    paths.prepare_doors()
    assert stat.S_IMODE(doors.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made_is_a_fault_of_the_site_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file/sync cannot be made: "):
        Paths(tmp_path / "file" / "sync" / "cache.db", tmp_path / "j").prepare_sync()


def test_the_default_is_the_directory_that_the_units_may_write(tmp_path: Path) -> None:
    text = SITE.replace('[state]\ndirectory = "{directory}/state"\n', "")
    assert Paths.of(Bench(tmp_path, text).site()).cache == Path("/var/lib/latchd/sync/cache.db")


# ------------------------------------------------------------------ an installed old layout


class Old:
    """One folder for everything, as it was: a journal with an event, a cache of one generation, a reader's key."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.paths = Paths(state / "sync" / "cache.db", state / "doors" / "journal.db")
        with Journal(state / "journal.db") as journal:
            journal.append([(Stamp(clock.now(), "boot"), Event(EventName.SYSTEM_STOP))], {"mode.lobby": "{}"})
        with Store(state / "cache.db"):
            pass
        with ReaderKeys(state / "reader-keys.sealed", bytes(32)):
            pass
        (state / "reader-keys.sealed").write_bytes(b"sealed")
        (state / "cache.synced").write_text("{}")

    def whole(self) -> bool:
        """Whether the journal is there with its event and state."""
        with JournalReader(self.paths.journal) as journal:
            return journal.state() == {"mode.lobby": "{}"} and len(journal.events()) == 1


@pytest.fixture
def old(tmp_path: Path) -> Old:
    """In a folder of its own."""
    (tmp_path / "state").mkdir()
    return Old(tmp_path / "state")


@pytest.mark.parametrize("doors_first", [True, False])
def test_both_take_over_their_own_in_either_order(old: Old, doors_first: bool) -> None:
    steps = [old.paths.prepare_doors, old.paths.prepare_sync]
    for step in steps if doors_first else reversed(steps):
        step()
    assert old.whole()
    assert (old.state / "doors" / "reader-keys.sealed").read_bytes() == b"sealed"
    assert (old.state / "sync" / "cache.synced").read_text() == "{}"
    with Lookup(old.paths.cache) as lookup:
        assert lookup.changed()
    left = {path.name for path in old.state.iterdir() if path.is_file()}
    assert left <= {"journal.reserve"}
    modes = {stat.S_IMODE((old.state / name).stat().st_mode) for name in ("doors/journal.db", "sync/cache.db")}
    assert modes == {0o640}


def test_doors_reads_the_old_cache_until_sync_has_taken_it_over(old: Old) -> None:
    old.paths.prepare_doors()
    with old.paths.lookup() as lookup:
        assert lookup.changed()
        assert lookup.path == old.state / "cache.db"
        old.paths.prepare_sync()
        assert lookup.changed()
        assert lookup.path == old.paths.cache


def test_what_a_killed_doors_left_in_its_wal_is_taken_over_too(old: Old) -> None:
    """The process ends by _exit with the journal open, so that the event stands in the -wal alone."""
    for path in old.state.glob("journal.db*"):
        path.unlink()
    program = (
        "import os, sys; from pathlib import Path; from cache.journal.journal import Journal; "
        "from cache.model import Event, EventName, Stamp; from daemon.doors import clock; "
        "journal = Journal(Path(sys.argv[1])); "
        "journal.append([(Stamp(clock.now(), 'boot'), Event(EventName.SYSTEM_STOP))], {'mode.lobby': '{}'}); "
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program, old.state / "journal.db"], check=True, cwd=ROOT, timeout=30)
    assert (old.state / "journal.db-wal").stat().st_size > 0
    old.paths.prepare_doors()
    assert old.whole()


def test_where_nothing_may_be_moved_it_is_copied_once(
    old: Old, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As in the unit, which may write in its own folder only: each folder is a mount of its own there."""
    rename = os.rename

    def across(source: Path, target: Path) -> None:
        if Path(source).parent != Path(target).parent:
            raise OSError(18, "Invalid cross-device link")
        rename(source, target)

    monkeypatch.setattr(os, "rename", across)
    old.paths.prepare_doors()
    assert old.whole()
    assert (old.state / "journal.db").exists()
    assert "remove the old one when all is well" in caplog.text
    for path in (old.state / "doors").glob("journal.db*"):
        path.unlink()
    old.paths.prepare_doors()
    assert not old.paths.journal.exists(), "an old copy is not taken for the journal later"


def test_an_old_daemon_that_still_runs_is_not_robbed(old: Old) -> None:
    with open(old.state / "journal.db.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(LatchdError, match="an older latchd is still running"):
            old.paths.prepare_doors()
    old.paths.prepare_doors()
    assert old.whole()


def test_a_link_is_not_taken_for_a_journal(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("secret")
    (tmp_path / "journal.db").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "doors").mkdir()
    assert list(old_layout.take_over(tmp_path / "doors", ("journal.db",))) == []
    assert not (tmp_path / "doors" / "journal.db").exists()


def test_a_start_that_was_cut_off_between_two_files_goes_on(old: Old) -> None:
    with sqlite3.connect(old.state / "journal.db", isolation_level=None) as writing:
        writing.execute("CREATE TABLE more (n)")
        wal = (old.state / "journal.db-wal").read_bytes()
    writing.close()
    (old.state / "doors").mkdir()
    (old.state / "doors" / "journal.db-wal").write_bytes(wal)
    (old.state / "journal.db-wal").unlink(missing_ok=True)
    old.paths.prepare_doors()
    assert old.whole()
