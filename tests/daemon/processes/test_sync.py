"""``latchd sync`` in a process of its own, against the SCIM service provider over HTTP on loopback."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cache.directory.lookup import Lookup
from daemon.control.client import ask_one, is_running
from daemon.errors import ConfigError
from daemon.processes.sync import sync_service
from tests.daemon.simulated import SITE, Bench
from tests.daemon.spawned import environment, latchd, log_of, until
from tests.peers.scim_server import ScimServer, start_scim_server

TOKEN = "a-token-of-this-test"
SCIM = '[scim]\nurl = "{url}"\ntoken = "file:{directory}/token"\ngroups = ["Staff"]\n'


@dataclass
class Office:
    """A bench whose people come from a SCIM server with one person in Staff."""

    bench: Bench
    server: ScimServer

    def once(self, *options: str) -> tuple[int, dict[str, object]]:
        """``latchd sync --once``: its exit code and its outcome."""
        command = [sys.executable, "-m", "daemon.cli.latchd", "sync", "--once", "--json", *options]
        done = subprocess.run(
            [*command, "--config", self.bench.file],
            capture_output=True, text=True, timeout=60, env=environment(), check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        return done.returncode, json.loads(done.stdout)

    def counts(self) -> dict[str, int]:
        with Lookup(self.bench.state / "sync" / "cache.db") as lookup:
            return lookup.counts()


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    server = start_scim_server(token=TOKEN)
    try:
        bench = Bench(tmp_path / "b", SITE + SCIM.replace("{url}", server.url))
        with open(
            bench.directory / "token", "w", opener=lambda p, f: os.open(p, f, 0o600), encoding="ascii"
        ) as file:
            file.write(TOKEN)
        with server.client() as client:
            ada = client.create_user("ada", "Ada", cards="H10301:57:1001")
            client.create_group("Staff", [ada])
        yield Office(bench, server)
    finally:
        server.stop()


def test_once_tells_by_its_outcome_and_exit_code(office: Office) -> None:
    code, outcome = office.once("--dry-run")
    assert (code, outcome["outcome"], office.counts()["people"]) == (0, "dry_run", 0)
    code, outcome = office.once()
    assert (code, outcome["outcome"], outcome["generation"]) == (0, "applied", 1)
    assert office.counts() == {"people": 1, "groups": 1, "memberships": 1, "credentials": 1}
    assert office.once()[1]["outcome"] == "unchanged"
    office.server.stop()
    code, outcome = office.once()
    assert (code, outcome["outcome"]) == (6, "outage")
    assert office.counts()["people"] == 1, "an outage takes nothing away"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_syncs_at_its_start_answers_and_stops(office: Office, number: signal.Signals) -> None:
    control = office.bench.directory / "sync.sock"
    with latchd(office.bench, "sync") as process:
        until("sync answers", lambda: is_running(control))
        until("the first sync", lambda: office.counts()["people"] == 1)
        until("it is over", lambda: ask_one(control, "sync status")["state"]["outcome"] == "complete")
        process.send_signal(number)
        assert process.wait(30) == 0
    assert not control.exists()
    log = log_of(office.bench)
    assert "Traceback" not in log
    assert TOKEN not in log


def test_a_server_that_says_nothing_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v2"
        bench = Bench(tmp_path / "b", SITE + SCIM.replace("{url}", url))
        token = bench.directory / "token"
        token.write_text(TOKEN)
        token.chmod(0o600)
        with latchd(bench, "sync") as process:
            until("it asks", lambda: select.select([silent], [], [], 0)[0])
            connection, _ = silent.accept()
            with connection:
                process.send_signal(signal.SIGTERM)
                assert process.wait(20) == 0
        assert not (bench.directory / "sync.sock").exists()
        assert "Traceback" not in log_of(bench)


def test_a_second_sync_does_not_write_beside_the_first(office: Office) -> None:
    control = office.bench.directory / "sync.sock"
    with latchd(office.bench, "sync"):
        until("sync answers", lambda: is_running(control))
        with latchd(office.bench, "sync") as second:
            assert second.wait(30) in (3, 7)
        assert is_running(control)
    assert "Traceback" not in log_of(office.bench)
    assert "syncing from http://127.0.0.1:" in log_of(office.bench)


def test_a_site_without_scim_has_nothing_to_sync_from(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match=r"no \[scim\] table: there is nothing to sync from"),
        sync_service(Bench(tmp_path).site()),
    ):
        pass
