"""The running processes: doors opens no network socket, sync no device, and a broken SCIM server hurts nobody."""

import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from daemon.sync.outcome import EXIT_CODES, SyncResult
from tests.demo.cabinet import Cabinet
from tests.demo.peer import Peer

ADA = 1001
BUSY = EXIT_CODES[SyncResult.BUSY]
AUDITED = Path(__file__).with_name("audited.py")

ANSWERS: dict[str, tuple[str, int, str, bytes]] = {
    "garbage": ("not_scim", 200, "application/scim+json", b"\x00\xff not json"),
    "HTML": ("not_scim", 200, "text/html", b"<html><body>Sign in</body></html>"),
    "500": ("server_error", 500, "text/plain", b"internal error"),
    "another object": ("not_scim", 200, "application/scim+json", b"{}"),
    "a list without a list": ("not_scim", 200, "application/scim+json", b'{"totalResults": 0}'),
}
"""What a broken server says to everything, and the trouble that it is."""


@contextmanager
def answering(port: int, status: int, kind: str, body: bytes) -> Iterator[None]:
    """An HTTP server in the place of the SCIM server that says the same to everything."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            del arguments

    with http.server.HTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def listening(port: int) -> socket.socket:
    """A server that takes connections and never says a word."""
    return socket.create_server(("127.0.0.1", port), backlog=16)


def sockets_of(pid: int) -> set[str]:
    """The inodes of the sockets that a process has open."""
    return {target[8:-1] for target in targets_of(pid) if target.startswith("socket:[")}


def devices_of(pid: int) -> set[str]:
    """The devices that a process has open, but for the null device."""
    return {target for target in targets_of(pid) if target.startswith("/dev/") and target != "/dev/null"}


def targets_of(pid: int) -> Iterator[str]:
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            yield os.readlink(entry)
        except FileNotFoundError:
            continue  # it was closed meanwhile


def unix_sockets() -> set[str]:
    """The inodes of all Unix sockets of this machine."""
    return {line.split()[6] for line in Path("/proc/net/unix").read_text().splitlines()[1:]}


def test_the_guard_ends_whoever_asks_for_a_network_socket() -> None:
    """Else the test below would prove nothing."""
    tries = "from tests.demo.audited import forbid_the_network; import socket; forbid_the_network(); "
    for family, code in (("AF_UNIX", 0), ("AF_INET", -signal.SIGSYS), ("AF_NETLINK", -signal.SIGSYS)):
        command = [sys.executable, "-c", f"{tries}socket.socket(socket.{family}, socket.SOCK_DGRAM).close()"]
        assert subprocess.run(command, cwd=AUDITED.parents[2], timeout=30).returncode == code


@pytest.mark.timeout(200)
def test_walls_of_the_running_processes_and_a_broken_server(tmp_path: Path) -> None:
    with Cabinet(tmp_path / "cabinet", strike_time=1.0, more='timeout = "8s"') as cabinet:
        cabinet.provision({"Staff": {"Ada": ADA}})
        logs = {command: tmp_path / f"{command}.audit" for command in ("doors", "sync")}
        processes = {
            command: subprocess.Popen(
                [sys.executable, AUDITED, log, command, "--config", cabinet.site_file], stderr=subprocess.DEVNULL
            )
            for command, log in logs.items()
        }
        try:
            cabinet.wait_until("doors", cabinet.answers)
            follower = cabinet.follow()
            follower.wait_for("the first sync", lambda line: line.get("name") == "sync.applied")
            cabinet.wait_for_devices()
            granted(cabinet, follower)
            check_walls(processes, logs)
            check_broken_servers(cabinet, follower)
            check_walls(processes, logs)
        finally:
            for process in processes.values():
                process.terminate()
            assert [process.wait(20) for process in processes.values()] == [0, 0]


def granted(cabinet: Cabinet, follower: Peer) -> None:
    """Ada badges, and the relay moves."""
    shown, moved = len(follower.lines), len(cabinet.peers["board"].lines)
    cabinet.wait_until("the door is locked", lambda: not cabinet.relay())
    cabinet.badge(ADA)
    follower.wait_for("the grant", lambda line: line.get("name") == "access.granted", shown)
    cabinet.peers["board"].wait_for("the relay", lambda line: line.get("event") == "output" and line["on"], moved)


def check_walls(processes: dict[str, Any], logs: dict[str, Path]) -> None:
    """What the two did since they started, and what they have open now."""
    doors, sync = processes["doors"].pid, processes["sync"].pid
    assert sockets_of(doors) <= unix_sockets(), "doors has a socket that is no Unix socket"
    assert len(devices_of(doors)) == 2, "doors has its two ports open: else this test sees nothing"
    assert devices_of(sync) == set(), "sync has a device open"
    assert "gpiod" not in Path(f"/proc/{sync}/maps").read_text(), "sync has the library of GPIO lines"
    done = {command: log.read_text(encoding="ascii").split("\n") for command, log in logs.items()}
    families = {line for line in done["doors"] if line.startswith("socket")}
    assert families == {f"socket {int(socket.AF_UNIX)}"}
    assert f"socket {int(socket.AF_INET)}" in done["sync"], "sync spoke to the server: else this test sees nothing"
    assert not [line for line in done["sync"] if line.startswith("open")], "sync opened a device"
    assert len([line for line in done["doors"] if line.startswith("open /dev/pts/")]) >= 2


def check_broken_servers(cabinet: Cabinet, follower: Peer) -> None:
    """Whatever answers in the server's place: access stays; the status says what is wrong and how old it is."""
    assert cabinet.scim is not None
    before = cabinet.status()["cache"]
    cabinet.scim.stop()
    outage(cabinet, follower, before, "nothing", "unreachable")
    with listening(cabinet.scim.port):
        outage(cabinet, follower, before, "silence", "timeout")
    for name, (trouble, *answer) in ANSWERS.items():
        with answering(cabinet.scim.port, *answer):
            outage(cabinet, follower, before, name, trouble)


def outage(cabinet: Cabinet, follower: Peer, before: dict[str, Any], name: str, trouble: str) -> None:
    tried = cabinet.status()["sync"]["failures"]
    answers: list[subprocess.CompletedProcess[str]] = []

    def tried_now() -> bool:
        answers.append(cabinet.latchctl("sync", "now", "--json"))
        return (
            answers[-1].returncode != BUSY
        )  # with the scheduler's own attempt, which may have met another server

    cabinet.wait_until("a sync of our own", tried_now, patience=60)
    answer = answers[-1]
    assert (answer.returncode, json.loads(answer.stdout)["outcome"]) == (6, "outage"), f"{name}: {answer}"
    found = cabinet.status()
    assert {**found["cache"], "age": 0} == {**before, "age": 0}, f"{name}: the cache changed"
    assert found["sync"]["outcome"] == trouble, f"{name}: {found['sync']}"
    assert found["sync"]["failures"] > tried
    shown = cabinet.latchctl("status")
    told = re.search(r"^last complete sync: (\d+) (s|min) ago$", shown.stdout, re.MULTILINE)
    assert told, shown.stdout
    age = cabinet.status()["cache"]["age"]
    assert age - 90 < int(told[1]) * (60 if told[2] == "min" else 1) < age + 1
    assert f"sync: {trouble}, " in shown.stdout
    granted(cabinet, follower)
