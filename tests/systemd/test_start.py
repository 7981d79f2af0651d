"""Both programs start with exactly what their unit gives them, and tell systemd that they have."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.daemon.site_text import osdp_door, scim, site_text

ROOT = Path(__file__).parent.parent.parent
SITE = site_text(
    scim("http://127.0.0.1:9/scim/v2", "credential:scim-token"),
    osdp_door("{here}/no-such-port", "credential:scbk-lobby-in"),
    key="credential:latchd-site-key",
)
GIVEN = {"doors": ("latchd-site-key", "scbk-lobby-in"), "sync": ("latchd-site-key", "scim-token")}
SIZE = {"latchd-site-key": 32, "scbk-lobby-in": 16, "scim-token": 24}


def loaded(*files: str) -> set[str]:
    """The names of the credentials that unit files load."""
    text = "\n".join((ROOT / "systemd" / file).read_text() for file in files)
    return {line.partition("=")[2] for line in text.splitlines() if line.startswith("LoadCredentialEncrypted=")}


def test_the_credentials_of_this_test_are_those_of_the_units() -> None:
    assert set(GIVEN["doors"]) <= loaded("latchd-doors.service", "drop-ins/reader-keys.conf")
    assert set(GIVEN["sync"]) == loaded("latchd-sync.service")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a site file and what both processes share."""
    (tmp_path / "state").mkdir()
    (tmp_path / "site.toml").write_text(SITE.format(here=tmp_path))
    return tmp_path


@contextmanager
def started(program: str, place: Path) -> Iterator[tuple[subprocess.Popen[str], socket.socket]]:
    """A program as its unit starts it, and the socket on which it tells how it is."""
    credentials = place / f"credentials-{program}"
    credentials.mkdir()
    for name in GIVEN[program]:
        (credentials / name).write_text(secrets.token_hex(SIZE[name]))
    environment = {
        "PATH": os.environ["PATH"],
        "CREDENTIALS_DIRECTORY": str(credentials),
        "NOTIFY_SOCKET": str(place / "notify"),
        "WATCHDOG_USEC": "3000000",
    }
    command = [Path(sys.executable).with_name("latchd"), program, "--config", place / "site.toml"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(environment["NOTIFY_SOCKET"])
        manager.settimeout(0.1)
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
            try:
                yield process, manager
            finally:
                process.kill()


def heard(word: str, process: subprocess.Popen[str], manager: socket.socket) -> bool:
    """Whether the process says ``word`` within 30 s and while it lives."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if word in manager.recv(4096).decode().splitlines():
                return True
        except TimeoutError:
            continue
    return False


@pytest.mark.parametrize("program", ["doors", "sync"])
def test_it_starts_with_its_own_secrets_alone(program: str, place: Path) -> None:
    """doors does not know the token of the directory, sync not the key of a reader."""
    with started(program, place) as (process, manager):
        if not heard("READY=1", process, manager):
            process.kill()
            pytest.fail(process.communicate()[1])
        assert heard("WATCHDOG=1", process, manager)
        process.terminate()
        assert heard("STOPPING=1", process, manager) or process.wait(30) == 0
        assert process.wait(30) == 0
