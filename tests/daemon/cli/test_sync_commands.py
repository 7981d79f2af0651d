"""``latchctl sync …`` against a real sync process and a real SCIM server: the brake, and what an operator does."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from daemon.cli.latchctl import latchctl
from daemon.control.client import is_running
from tests.daemon.site_text import level, scim, sim_door, site_text
from tests.peers.scim_faults.modes import MODES
from tests.peers.scim_faults.proxy import FaultProxy, fault_proxy
from tests.peers.scim_server import ScimClient, start_scim_server

PEOPLE = 30
SITE = site_text(
    scim("{url}", "file:{here}/token", 'interval = "24h"\npage_size = 8\nmax_body = 65536\n'),
    sim_door(),
    level("Always"),
    timezone="Europe/Berlin",
    simulated=True,
)


@dataclass
class Stage:
    """A sync process with its server, and the command line to it."""

    site: Path
    client: ScimClient
    proxy: FaultProxy
    people: list[str]
    group: str

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(latchctl, ["--config", str(self.site), "sync", *arguments])

    def json(self, *arguments: str) -> Any:
        result = self.run(*arguments, "--json")
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return json.loads(result.stdout)

    def now(self) -> tuple[int, dict[str, Any]]:
        result = self.run("now", "--json")
        return result.exit_code, json.loads(result.stdout)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    server = start_scim_server()
    site = tmp_path / "site.toml"
    try:
        for name, content in (("key", "ab" * 32), ("token", server.token)):
            (tmp_path / name).write_text(content)
            (tmp_path / name).chmod(0o600)
        with server.client() as client, fault_proxy(server.url, server.token) as proxy:
            site.write_text(SITE.format(here=tmp_path, url=proxy.url))
            people = [client.create_user(f"user{n}", f"User {n}", cards=f"H10301:1:{n}") for n in range(PEOPLE)]
            group = client.create_group("Staff", people)
            command = [sys.executable, "-m", "daemon.cli.latchd", "sync", "--config", site]
            with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
                try:
                    wait_for(lambda: is_running(tmp_path / "sync.sock"))
                    stage = Stage(site, client, proxy, people, group)
                    wait_for(lambda: stage.json("status")["state"]["outcome"] == "complete")
                    yield stage
                finally:
                    process.terminate()
                    assert b"Traceback" not in (process.stderr.read() if process.stderr else b"")
    finally:
        server.stop()


def wait_for(holds: Any) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_mass_removal_waits_for_an_operator(stage: Stage) -> None:
    assert stage.now() == (0, stage.json("status")["last"])
    for person in stage.people[:15]:
        stage.client.delete(f"Users/{person}")

    dry = stage.run("now", "--dry-run")
    assert dry.exit_code == 0
    assert "User 3" in dry.stdout
    assert stage.json("status")["quarantine"] is None, "a dry run changes nothing"

    code, outcome = stage.now()
    assert (code, outcome["outcome"]) == (10, "quarantined")
    held = stage.json("diff")
    assert stage.json("status")["quarantine"] == held, "who looks sees words, and no keys of cards"
    assert any("User 3" in line for line in held["diff"])
    assert "in quarantine" in stage.run("status").stdout

    wrong = stage.run("accept", "not-the-token")
    assert "not-the-token" in str(wrong.exception) or "held" in str(wrong.exception)
    assert stage.run("accept", held["token"]).exit_code == 0
    assert stage.json("diff") is None
    generations = stage.json("status")["generations"]
    assert generations[0]["number"] == 2

    assert stage.run("rollback").exit_code == 0
    code, outcome = stage.now()
    assert (code, outcome["outcome"]) == (12, "on_hold")
    assert stage.run("resume").exit_code == 0
    assert stage.now()[0] in (0, 10)


def test_rejecting_keeps_people_and_disconnecting_asks_first(stage: Stage) -> None:
    for person in stage.people[:15]:
        stage.client.delete(f"Users/{person}")
    assert stage.now()[0] == 10
    assert stage.run("reject", stage.json("diff")["token"]).exit_code == 0
    assert stage.now()[1]["held_back"] > 0

    refused = CliRunner().invoke(latchctl, ["--config", str(stage.site), "sync", "disconnect"], input="n\n")
    assert refused.exit_code == 1
    assert stage.json("status")["hold"] is None
    assert stage.run("disconnect", "--yes", "--because", "contract ended").exit_code == 0
    assert "contract ended" in stage.json("status")["hold"]
    assert stage.now()[0] == 12


TROUBLES = (
    "ignores_paging",
    "switched_off",
    "html",
    "token_refused",
    "token_too_weak",
    "bomb",
    "no_schemas",
    "wrong_echo",
    "throttled",
    "sent_away",
    "gone",
)
"""Modes in front of the server that need no pauses; tests/daemon/sync/test_faults.py has them all."""


def test_the_status_names_each_trouble(stage: Stage) -> None:
    for name in TROUBLES:
        mode = next(mode for mode in MODES if mode.name == name)
        stage.proxy.set(mode)
        assert stage.run("now").exit_code == (14 if mode.state == "unauthorized" else 6), name
        assert stage.run("status").stdout.startswith(f"{mode.state}: "), name
        assert stage.json("status")["state"]["failures"] == TROUBLES.index(name) + 1
    stage.proxy.set(next(mode for mode in MODES if mode.name == "members_on_request"))
    assert stage.now()[0] == 0
    status = stage.run("status").stdout
    assert status.startswith("complete: ")
    assert "source of memberships: attributes" in status


def test_what_is_read_and_what_cannot_be_used_is_shown(stage: Stage) -> None:
    stage.client.set_cards(stage.people[3], "H10301:1:99999")
    shown = stage.run("now")
    assert "reading Users: 30" in shown.stderr
    assert "unusable card: User 3: cards, entry 1: " in shown.stdout
    assert "unusable card: User 3: cards, entry 1: " in stage.run("status").stdout
    assert "99999" not in stage.run("status").stdout
    assert stage.json("status")["report"]["unusable"][0]["person_id"] == stage.people[3]
