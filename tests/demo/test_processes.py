"""The running processes: doors opens no network socket, sync no device, and a broken SCIM server hurts nobody."""

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.demo.cabinet import Cabinet
from tests.demo.peer import Peer

ADA = 1001
AUDITED = Path(__file__).with_name("audited.py")

ANSWERS = {
    "garbage": (200, "application/scim+json", b"\x00\xff not json"),
    "html": (200, "text/html", b"<html><body>Sign in</body></html>"),
    "error": (500, "text/plain", b"internal error"),
    "empty": (200, "application/scim+json", b"{}"),
    "no list": (200, "application/scim+json", b'{"totalResults": 0}'),
}


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


def sockets_of(pid: int) -> set[str]:
    """The inodes of the sockets that a process has open."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(entry)
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found


def devices_of(pid: int) -> set[str]:
    """The devices that a process has open, but for the null device."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(entry)
        except FileNotFoundError:
            continue
        if target.startswith("/dev/") and target != "/dev/null":
            found.add(target)
    return found


def unix_sockets() -> set[str]:
    """The inodes of all Unix sockets of this machine."""
    return {line.split()[6] for line in Path("/proc/net/unix").read_text().splitlines()[1:]}


@pytest.mark.timeout(150)
def test_walls_of_the_running_processes_and_a_broken_server(tmp_path: Path) -> None:
    with Cabinet(tmp_path / "cabinet", strike_time=1.0) as cabinet:
        cabinet.provision({"Staff": {"Ada": ADA}})
        logs = {command: tmp_path / f"{command}.audit" for command in ("doors", "sync")}
        processes = {
            command: subprocess.Popen(
                [sys.executable, AUDITED, log, command, "--config", cabinet.site_file], stderr=subprocess.DEVNULL
            )
            for command, log in logs.items()
        }
        try:
            follower = wait_until_granted(cabinet)
            follower.stop()
            check_walls(processes, logs)
            check_broken_servers(cabinet)
            check_walls(processes, logs)
        finally:
            for process in processes.values():
                process.terminate()
            assert [process.wait(20) for process in processes.values()] == [0, 0]


def wait_until_granted(cabinet: Cabinet) -> Peer:
    cabinet.wait_until("doors", cabinet.answers)
    follower = cabinet.follow()
    follower.wait_for("the first sync", lambda line: line.get("name") == "sync.applied")
    cabinet.wait_for_devices()
    cabinet.badge(ADA)
    follower.wait_for("the grant", lambda line: line.get("name") == "access.granted")
    return follower


def check_walls(processes: dict[str, Any], logs: dict[str, Path]) -> None:
    """What the two did since they started, and what they have open now."""
    doors, sync = processes["doors"].pid, processes["sync"].pid
    assert sockets_of(doors) <= unix_sockets(), "doors has a socket that is no Unix socket"
    assert len(devices_of(doors)) == 2, "doors has its two ports open: else this test sees nothing"
    assert devices_of(sync) == set(), "sync has a device open"
    done = {command: log.read_text(encoding="ascii").split("\n") for command, log in logs.items()}
    families = {line for line in done["doors"] if line.startswith("socket")}
    assert families == {f"socket {int(socket.AF_UNIX)}"}
    assert f"socket {int(socket.AF_INET)}" in done["sync"], "sync spoke to the server: else this test sees nothing"
    assert not [line for line in done["sync"] if line.startswith("open")], "sync opened a device"
    assert len([line for line in done["doors"] if line.startswith("open /dev/pts/")]) >= 2


def check_broken_servers(cabinet: Cabinet) -> None:
    """Whatever answers in the server's place: access stays; the status says what is wrong and how old it is."""
    assert cabinet.scim is not None
    before = cabinet.status()["cache"]
    cabinet.scim.stop()
    outages = 0
    for name, (status, kind, body) in [*ANSWERS.items(), ("nothing", (0, "", b""))]:
        if status:
            with answering(cabinet.scim.port, status, kind, body):
                outages += outage(cabinet, name)
        else:
            outages += outage(cabinet, name)
        found = cabinet.status()
        assert {**found["cache"], "age": 0} == {**before, "age": 0}, f"{name}: the cache changed"
        assert found["cache"]["age"] > before["age"]
        assert found["sync"]["failures"] >= outages
        assert "last complete sync:" in cabinet.latchctl("status").stdout
    relays = len(cabinet.peers["board"].lines)
    cabinet.badge(ADA)
    cabinet.peers["board"].wait_for("the relay", lambda line: line.get("event") == "output" and line["on"], relays)


def outage(cabinet: Cabinet, name: str) -> int:
    answer = cabinet.latchctl("sync", "now", "--json")
    if answer.returncode == 13:  # the scheduler's own attempt is under way: it meets the same server
        return 0
    assert answer.returncode == 6, f"{name}: {answer.stdout}{answer.stderr}"
    assert json.loads(answer.stdout)["outcome"] == "outage"
    return 1
