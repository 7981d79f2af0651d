"""``latchd sync --once`` is killed at any instant: cache.db then holds generation N or N+1, whole."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cache.directory.lookup import Lookup
from cache.directory.store import Store
from cache.model import Directory
from tests.daemon.simulated import SITE, Bench
from tests.daemon.spawned import environment
from tests.peers.scim_server import TOKEN, running_scim_server, user_document

PEOPLE = 300
NAMES = "store_names = "
SCIM = """
[scim]
url = "{url}"
token = "file:{directory}/token"
groups = ["*"]
store_names = true
[scim.limits]
credentials = { percent = 100, count = 100000 }
"""


@dataclass
class Victim:
    """A site whose every sync has every row to write anew."""

    bench: Bench
    names: bool = True

    def start(self) -> subprocess.Popen[str]:
        command = [
            sys.executable,
            "-m",
            "daemon.cli.latchd",
            "sync",
            "--once",
            "--json",
            "--config",
            self.bench.file,
        ]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
        )

    def whole(self) -> float:
        """Sync to the end; how many seconds it took."""
        start = time.monotonic()
        with self.start() as process:
            answer, errors = process.communicate(timeout=60)
        assert process.returncode == 0, answer + errors
        assert json.loads(answer)["outcome"] in ("applied", "unchanged")
        return time.monotonic() - start

    def change(self) -> None:
        """Another site key, so that every card has another row, and names come or go, so that every person has."""
        (self.bench.directory / "site-key").write_bytes(os.urandom(32))
        before, self.names = self.names, not self.names
        old, new = (f"{NAMES}{str(names).lower()}" for names in (before, self.names))
        self.bench.file.write_text(self.bench.file.read_text().replace(old, new))

    def cache(self) -> tuple[int, Directory]:
        """What a door sees and what the next sync finds; both have to be able to open it."""
        path = self.bench.state / "sync" / "cache.db"
        with Lookup(path) as lookup:
            seen, counts = lookup.freshness().generation, lookup.counts()
        with Store(path) as store:
            directory, generation = store.load(), store.generation
        assert generation == seen
        assert counts["people"] == len(directory.people) == PEOPLE
        assert counts["credentials"] == len(directory.credentials) == PEOPLE
        return generation, directory

    def written(self) -> tuple[int, int]:
        """What changes as soon as anything is written."""
        found = (
            (self.bench.state / "sync" / "cache.db-wal").stat()
            if (self.bench.state / "sync" / "cache.db-wal").exists()
            else None
        )
        return (0, 0) if found is None else (found.st_size, found.st_mtime_ns)


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Victim]:
    with running_scim_server() as server, server.client() as client:
        bench = Bench(tmp_path / "b", SITE + SCIM.replace("{url}", server.url))
        token = bench.directory / "token"
        token.write_text(TOKEN)
        token.chmod(0o600)
        documents = [user_document(f"user{number}", cards=f"H10301:1:{number}") for number in range(PEOPLE)]
        client.create_group("Staff", client.create_many("Users", documents))
        yield Victim(bench)


def killed(victim: Victim, moment: float | None) -> bool:
    """Kill a sync after so many seconds, or (``None``) as soon as it writes; whether its generation came about."""
    before, old = victim.cache()
    victim.change()
    with victim.start() as process:
        started, quiet = time.monotonic(), victim.written()
        while process.poll() is None:
            if (victim.written() != quiet) if moment is None else (time.monotonic() - started > moment):
                process.kill()
                break
            time.sleep(0.0005)
        process.communicate()
    after, new = victim.cache()
    if after == before:
        assert new == old, "a killed sync left a part of itself"
        return False
    assert after == before + 1
    assert not {one.key for one in new.credentials} & {one.key for one in old.credentials}
    assert {person.name is None for person in new.people.values()} == {not victim.names}
    return True


def attack(victim: Victim, kills: int) -> None:
    whole, chance = victim.whole(), random.Random(1)
    done = [killed(victim, None if turn % 2 else whole * chance.random()) for turn in range(kills)]
    assert not all(done), "no kill came in time"
    victim.whole()


def test_a_sync_that_is_killed_leaves_one_generation_or_the_next(victim: Victim) -> None:
    attack(victim, 4)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_sync_that_is_killed_many_times(victim: Victim) -> None:
    attack(victim, 25)
