"""sd_notify against a real datagram socket, the way systemd listens."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon import notify


@pytest.fixture(params=["path", "abstract"])
def manager(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """The service manager's end, at a path in the file system or at an abstract address."""
    abstract = f"latchd-test-{os.getpid()}"
    shown, bound = (f"@{abstract}", f"\0{abstract}") if request.param == "abstract" else (str(tmp_path / "n"),) * 2
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(bound)
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", shown)
        yield listener


def test_each_call_is_one_datagram(manager: socket.socket) -> None:
    assert notify.ready("3 readers")
    assert manager.recv(4096) == b"READY=1\nSTATUS=3 readers"
    assert notify.alive()
    assert manager.recv(4096) == b"WATCHDOG=1"
    assert notify.alive("generation 7")
    assert manager.recv(4096) == b"WATCHDOG=1\nSTATUS=generation 7"
    assert notify.stopping()
    assert manager.recv(4096) == b"STOPPING=1"


def test_a_status_cannot_smuggle_in_a_field(manager: socket.socket) -> None:
    assert notify.alive("Ä\nMAINPID=1\r\nREADY=1")
    assert manager.recv(4096).decode() == "WATCHDOG=1\nSTATUS=Ä MAINPID=1 READY=1"


def test_a_manager_that_does_not_read_never_blocks(manager: socket.socket) -> None:
    sent = 0
    while notify.alive():
        sent += 1
        assert sent < 100_000, "the socket's queue has a bound"
    assert sent > 0


@pytest.mark.parametrize("address", [None, "", "relative", "/nowhere/at/all"])
def test_outside_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch, address: str | None) -> None:
    if address is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not notify.ready("nobody listens")


@pytest.mark.parametrize(
    ("usec", "pid", "interval"),
    [
        ("9000000", None, 3.0),
        ("9000000", "own", 3.0),
        ("9000000", "1", None),
        ("0", None, None),
        ("", None, None),
        ("soon", None, None),
        (None, None, None),
    ],
)
def test_the_watchdog_interval_is_a_third(
    monkeypatch: pytest.MonkeyPatch, usec: str | None, pid: str | None, interval: float | None
) -> None:
    for variable, value in (("WATCHDOG_USEC", usec), ("WATCHDOG_PID", str(os.getpid()) if pid == "own" else pid)):
        if value is None:
            monkeypatch.delenv(variable, raising=False)
        else:
            monkeypatch.setenv(variable, value)
    assert notify.watchdog_interval() == interval
