"""Other people's doors by a userName, end to end: a real SCIM server, the sync process and the doors process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cache.journal.reader import JournalReader
from cache.model import EventName
from daemon.sync.outcome import EXIT_CODES, SyncResult
from tests.daemon.simulated import SITE, Bench, card
from tests.daemon.spawned import environment, latchd, play, until
from tests.peers.scim_server import ScimClient, start_scim_server

TOKEN = "a-token-of-this-test"
SCIM = '[scim]\nurl = "{url}"\ntoken = "file:{directory}/token"\ngroups = ["Staff"]\n'
CARDS = {"mallory": 1001, "alice": 1002, "bob": 1003}


@dataclass
class Building:
    """A door for Staff, held by a running doors process, and the directory that says who is Staff."""

    bench: Bench
    client: ScimClient
    ids: dict[str, str] = field(default_factory=dict)

    def sync(self) -> str:
        """``latchd sync --once``; everything it wrote."""
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
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment(), check=False)
        assert done.returncode in (0, EXIT_CODES[SyncResult.UNPROVEN]), done.stderr
        return done.stdout

    def opens(self, name: str) -> bool:
        """Whether the door opens when this person holds their card to the reader."""
        journal = self.bench.state / "doors" / "journal.db"
        before = len(answers(journal))
        length, value = card(CARDS[name])
        play(self.bench, f"badge lobby-in bits:{value:0{length}b}")
        found = until("an answer at the door", lambda: answers(journal)[before:])
        assert len(found) == 1
        return found[0] is EventName.ACCESS_GRANTED


def answers(journal: Path) -> list[EventName]:
    """What the door answered so far."""
    if not journal.exists():
        return []
    with JournalReader(journal) as reader:
        names = [record.event.name for record in reader.events()]
    return [name for name in names if name in (EventName.ACCESS_GRANTED, EventName.ACCESS_DENIED)]


@pytest.fixture
def building(tmp_path: Path) -> Iterator[Building]:
    server = start_scim_server(token=TOKEN)
    try:
        bench = Bench(tmp_path / "b", SITE + SCIM.replace("{url}", server.url))
        secret = os.open(bench.directory / "token", os.O_WRONLY | os.O_CREAT, 0o600)
        with open(secret, "w", encoding="ascii") as file:
            file.write(TOKEN)
        with server.client() as client, latchd(bench, "doors"):
            made = Building(bench, client)
            for name, number in CARDS.items():
                made.ids[name] = client.create_user(name, cards=f"H10301:57:{number}")
            yield made
    finally:
        server.stop()


def test_the_id_of_someone_who_was_deleted(building: Building) -> None:
    ids, client = building.ids, building.client
    client.create_group("Staff", [ids["alice"], ids["bob"]])
    building.sync()
    assert [building.opens(name) for name in ("alice", "bob", "mallory")] == [True, True, False]
    client.delete(f"Users/{ids['alice']}")  # the server leaves her id in the group
    building.sync()
    client.patch(f"Users/{ids['mallory']}", {"op": "replace", "path": "userName", "value": ids["alice"]})
    assert "may have taken the id of a former member" in building.sync()
    assert [building.opens(name) for name in ("alice", "bob", "mallory")] == [False, True, False]
    building.client.delete(f"Users/{ids['bob']}")  # now no member of any group is there any more
    building.sync()
    assert [building.opens(name) for name in ("bob", "mallory")] == [False, False]


def test_the_id_of_a_group_in_the_group(building: Building) -> None:
    ids, client = building.ids, building.client
    inner = client.create_group("Inner", [ids["bob"]])
    client.create_group("Staff", [inner, ids["alice"]])
    building.sync()
    assert [building.opens(name) for name in ("alice", "bob", "mallory")] == [True, True, False]
    client.patch(f"Users/{ids['mallory']}", {"op": "replace", "path": "userName", "value": inner})
    assert "is the id of someone else or of a group" in building.sync()
    assert [building.opens(name) for name in ("alice", "bob", "mallory")] == [True, True, False]
