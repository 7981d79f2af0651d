"""Code of an attacker's own, in the place of sync: what it may do to doors, tried one by one with the real users.

Doors runs as its user in the folders that tmpfiles.d makes; the attacks run as that of sync. A card that may not
open a door opens none, a lockdown holds, and doors is the same process and carries out orders.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cache.journal.reader import JournalReader
from cache.model import EventName
from daemon.control.client import ask_one, is_running
from tests.daemon.simulated import ADA, NO_ONE, SITE, Bench, card
from tests.systemd.users import DOORS, GROUP, SYNC, controller, process

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")

PATIENCE = 20.0

SERVE = """
sys.argv = ["latchd", "doors", "--config", sys.argv[5]]
from daemon.cli.latchd import main
main()
"""


@dataclass
class Controller:
    """The place, and the doors process in it."""

    place: Path
    bench: Bench
    doors: subprocess.Popen[str] | None = None

    @property
    def control(self) -> Path:
        """The socket of doors."""
        return self.place / "run" / "doors" / "control.sock"

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Doors, from its start to its end."""
        with process(DOORS, SERVE, self.bench.file, packages="encodings cache drivers daemon") as self.doors:
            self.until(lambda: is_running(self.control) and (self.place / "run" / "doors" / "sim.sock").exists())
            yield
            assert self.doors.poll() is None
            self.doors.terminate()
            self.doors.communicate(timeout=PATIENCE)

    def attack(self, program: str) -> str:
        """Run it as sync; what it printed, or the last line of its error."""
        with process(SYNC, program, self.place) as child:
            out, error = child.communicate(timeout=60)
        return (out + error).strip()

    def opens(self, number: int) -> bool:
        """Show a card, and whether the lock was switched on."""
        length, value = card(number)
        return self.play(f"badge lobby-in bits:{value:0{length}b}") == "ok" and self.on()

    def on(self) -> bool:
        """Whether the lock is switched on."""
        return "main.out1 on" in self.play("outputs")

    def play(self, line: str) -> str:
        """Say a line to the simulated devices, and hear the answer."""
        with socket.socket(socket.AF_UNIX) as reader:
            reader.settimeout(PATIENCE)
            reader.connect(str(self.place / "run" / "doors" / "sim.sock"))
            lines = reader.makefile("rw")
            lines.write(f"{line}\n")
            lines.flush()
            return lines.readline().strip()

    def mode(self) -> str:
        """What mode the door has."""
        return str(ask_one(self.control, "status", PATIENCE)["doors"][0]["mode"])

    def until(self, holds: Callable[[], Any]) -> None:
        """Ask until it holds."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert self.doors is not None
            if self.doors.poll() is not None:
                pytest.fail(str(self.doors.communicate()[1]))
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def journal(self, *names: EventName) -> int:
        """How many events of these names are durable."""
        with JournalReader(self.place / "state" / "doors" / "journal.db") as journal:
            return sum(record.event.name in names for record in journal.events())


@pytest.fixture
def site() -> Iterator[Controller]:
    """A controller whose sync has written a cache with Ada, and has ended."""
    with controller() as place:
        text = SITE.replace("{directory}/control.sock", "{directory}/run/doors/control.sock")
        text = text.replace("{directory}/sync.sock", "{directory}/run/sync/control.sock")
        text = text.replace("{directory}/sim.sock", "{directory}/run/doors/sim.sock")
        key = secrets.token_bytes(32)
        bench = object.__new__(Bench)
        bench.directory, bench.text, bench.key = place, text, key
        bench.file.write_text(text.replace("{directory}", str(place)))
        (place / "site-key").write_bytes(key)
        os.chown(place / "site-key", DOORS, GROUP)
        (place / "site-key").chmod(0o640)
        bench.fill()
        for path in (place / "state" / "sync").iterdir():
            os.chown(path, SYNC, GROUP)
            path.chmod(0o640)
        yield Controller(place, bench)


FOREIGN = {
    "the journal's state: the door unlocked for ever": """
import sqlite3
connection = sqlite3.connect(sys.argv[5] + "/state/doors/journal.db")
body = '{\\"override\\": {\\"mode\\": \\"unlocked\\"}}'
connection.execute("INSERT OR REPLACE INTO state VALUES ('mode.lobby', ?)", (body,))
connection.commit()
""",
    "the lockdown's row deleted": """
import sqlite3
connection = sqlite3.connect(sys.argv[5] + "/state/doors/journal.db")
connection.execute("DELETE FROM state")
connection.commit()
""",
    "the journal deleted": "os.unlink(sys.argv[5] + '/state/doors/journal.db')",
    "the journal renamed": "os.rename(sys.argv[5] + '/state/doors/journal.db', sys.argv[5] + '/state/sync/j')",
    "another journal put in its place": """
os.rename(sys.argv[5] + "/state/sync/cache.db", sys.argv[5] + "/state/doors/journal.db")
""",
    "the journal opened for writing": "open(sys.argv[5] + '/state/doors/journal.db', 'r+b')",
    "its -shm opened for writing": "open(sys.argv[5] + '/state/doors/journal.db-shm', 'r+b')",
    "a link where the keys of readers are written": """
os.symlink(sys.argv[5] + "/state/doors/journal.db", sys.argv[5] + "/state/doors/reader-keys.sealed.new")
""",
    "keys of readers of its own": "open(sys.argv[5] + '/state/doors/reader-keys.sealed', 'wb')",
    "the secret of the keys": "open(sys.argv[5] + '/state/doors/reader-keys.secret', 'rb')",
    "the socket removed": "os.unlink(sys.argv[5] + '/run/doors/control.sock')",
    "a socket of its own": """
import socket
os.rename(sys.argv[5] + "/run/doors", sys.argv[5] + "/run/other")
""",
    "the folder of doors replaced": "os.rename(sys.argv[5] + '/state/doors', sys.argv[5] + '/state/other')",
    "a journal for the next start": "open(sys.argv[5] + '/state/journal.db', 'wb')",
}
"""Writes into what belongs to doors: each is refused by the kernel."""


def test_nothing_of_doors_can_be_written_and_no_lock_moves(site: Controller) -> None:
    with site.serving():
        ask_one(site.control, "door", PATIENCE, door="lobby", action="lockdown", because="test")
        (site.place / "state" / "doors" / "reader-keys.secret").write_bytes(bytes(32))
        (site.place / "state" / "doors" / "reader-keys.secret").chmod(0o600)
        before = site.journal(*EventName)
        for what, program in FOREIGN.items():
            said = site.attack(program)
            assert "denied" in said or "readonly" in said or "not permitted" in said, f"{what}: {said}"
        assert site.mode() == "lockdown"
        assert not site.opens(ADA)
        assert site.journal(*EventName) >= before
    with site.serving():
        assert site.mode() == "lockdown", "nothing of it counts after a restart either"
        assert not site.opens(ADA)


def test_no_one_of_the_same_user_looks_into_the_memory_of_doors(site: Controller) -> None:
    """Where no unit forbids it either: the process itself does."""
    with site.serving():
        assert site.doors is not None
        look = f"open('/proc/{site.doors.pid}/mem', 'rb')"
        with process(DOORS, look, site.place) as child:
            assert "Permission denied" in child.communicate(timeout=30)[1]


def test_sync_gets_no_order_through_the_socket(site: Controller) -> None:
    program = """
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[5] + "/run/doors/control.sock")
    connection.sendall(b'{"command": "door", "arguments": {"door": "lobby", "action": "unlock"}}\\n')
    print(connection.makefile().read())
"""
    with site.serving():
        assert "may not use this socket" in site.attack(program)
        assert site.mode() != "unlocked"


OWN = {
    "its age file is a pipe": """
path = sys.argv[5] + "/state/sync/cache.synced"
os.unlink(path)
os.mkfifo(path)
""",
    "what is held back is a hundred thousand brackets": """
import zlib
connection = sqlite3.connect(sys.argv[5] + "/state/sync/cache.db")
connection.execute("INSERT OR REPLACE INTO state VALUES ('quarantine', ?)", (zlib.compress(b"[" * 100_000),))
connection.commit()
""",
    "credential is a view without an end": """
connection = sqlite3.connect(sys.argv[5] + "/state/sync/cache.db")
connection.execute("ALTER TABLE credential RENAME TO mine")
connection.execute(
    "CREATE VIEW credential AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
    "SELECT mine.* FROM mine, n WHERE x < 0"
)
connection.commit()
""",
    "300,000 generations": """
connection = sqlite3.connect(sys.argv[5] + "/state/sync/cache.db")
columns = [row[1] for row in connection.execute("PRAGMA table_info(generation)")]
names = ", ".join(columns)
copied = ", ".join("number + n.x" if name == "number" else name for name in columns)
connection.execute(
    "INSERT INTO generation (" + names + ") WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n "
    "WHERE x < 300000) SELECT " + copied + " FROM generation, n WHERE number = 1"
)
connection.commit()
""",
    "its age file is a link to /dev/zero": """
path = sys.argv[5] + "/state/sync/cache.synced"
os.unlink(path)
os.symlink("/dev/zero", path)
""",
    "its -wal is a pipe": """
path = sys.argv[5] + "/state/sync/cache.db-wal"
os.path.exists(path) and os.unlink(path)
os.mkfifo(path)
""",
    "the cache is a pipe": """
path = sys.argv[5] + "/state/sync/cache.db"
os.unlink(path)
os.mkfifo(path)
""",
    "the cache is a link into doors' folder": """
path = sys.argv[5] + "/state/sync/cache.db"
os.unlink(path)
os.symlink(sys.argv[5] + "/state/doors/journal.db", path)
""",
    "the cache is a folder": """
path = sys.argv[5] + "/state/sync/cache.db"
os.unlink(path)
os.mkdir(path)
""",
    "the cache is rubbish": """
open(sys.argv[5] + "/state/sync/cache.db", "wb").write(b"no database" * 100000)
""",
}
"""What is done to sync's own files: doors goes on, and denies where it cannot read."""


@pytest.mark.parametrize("what", OWN)
def test_whatever_sync_makes_of_its_own_files_doors_serves(site: Controller, what: str) -> None:
    with site.serving():
        assert site.opens(ADA)
        site.until(lambda: not site.on())
        site.attack(OWN[what])
        for _ in range(3):
            assert not site.opens(NO_ONE)
            begin = time.monotonic()
            ask_one(site.control, "door", PATIENCE, door="lobby", action="lock", because="does it serve?")
            assert time.monotonic() - begin < 5
            time.sleep(0.4)  # past the look at the cache, once a second
    with site.serving():  # the start is another moment at which it could hang
        assert ask_one(site.control, "door", PATIENCE, door="lobby", action="lock", because="again")
