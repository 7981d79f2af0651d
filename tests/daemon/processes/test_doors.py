"""``latchd doors`` in a process of its own: its socket, its end, and what it leaves."""

from __future__ import annotations

import gc
import os
import signal
import socket
from pathlib import Path

import pytest

from cache.model import EventName, Reason
from daemon.control.client import ask_one, is_running
from daemon.processes.doors import settle_memory
from tests.daemon.simulated import ADA, Bench, card
from tests.daemon.spawned import latchd, log_of, play, until


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path / "b")
    made.fill()
    return made


def control(bench: Bench) -> Path:
    return bench.directory / "control.sock"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_in_the_middle_of_a_strike(bench: Bench, number: signal.Signals) -> None:
    with latchd(bench, "doors") as process:
        until("doors", lambda: is_running(control(bench)))
        until("the hardware", (bench.directory / "sim.sock").exists)
        length, value = card(ADA)
        play(bench, f"badge lobby-in bits:{value:0{length}b}")
        assert "main.out1 on" in play(bench, "outputs")
        process.send_signal(number)
        assert process.wait(20) == 0
    names = [record.event.name for record in bench.events()]
    assert names[-1] is EventName.SYSTEM_STOP
    assert EventName.ACCESS_GRANTED in names
    assert not control(bench).exists()
    assert "Traceback" not in log_of(bench)
    assert "serving Bench, doors: 1" in log_of(bench)


def test_a_lockdown_holds_that_was_answered_before_the_process_was_killed(bench: Bench) -> None:
    with latchd(bench, "doors") as process:
        until("doors", lambda: is_running(control(bench)))
        ask_one(control(bench), "door", action="lockdown", door="lobby", because="drill")
        process.kill()
        process.wait()
    with latchd(bench, "doors"):
        until("doors again", lambda: is_running(control(bench)))
        door = ask_one(control(bench), "status")["doors"][0]
        assert (door["mode"], door["because"], door["lock"]) == ("lockdown", "drill", "locked")
        length, value = card(ADA)
        play(bench, f"badge lobby-in bits:{value:0{length}b}")
        denied = until("the denial", lambda: bench.events(EventName.ACCESS_DENIED))
        assert denied[0].event.reason is Reason.LOCKDOWN
        assert "main.out1 off" in play(bench, "outputs")


def test_a_socket_that_a_killed_process_left_is_replaced_and_a_living_one_refused(bench: Bench) -> None:
    with latchd(bench, "doors") as process:
        until("doors", lambda: is_running(control(bench)))
        with latchd(bench, "doors") as second:
            assert second.wait(30) in (4, 7), "the journal or the socket is taken"
        assert "Traceback" not in log_of(bench)
        assert ask_one(control(bench), "status")["running"]
        process.kill()
        process.wait()
    assert control(bench).exists()
    with latchd(bench, "doors"):
        until("doors again", lambda: is_running(control(bench)))


def test_systemd_is_told_that_it_is_ready_alive_and_stopping(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = bytearray()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(bench.directory / "notify"))
        channel.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(bench.directory / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "300000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        with latchd(bench, "doors") as process:
            while not (b"READY=1" in told and told.count(b"WATCHDOG=1") >= 3):
                told += channel.recv(4096) + b"\n"
            assert b"STATUS=1 doors" in told
            os.kill(process.pid, signal.SIGTERM)
            while b"STOPPING=1" not in told:
                told += channel.recv(4096) + b"\n"
            assert process.wait(20) == 0


def test_what_is_there_at_the_start_is_not_looked_through_again() -> None:
    assert gc.get_freeze_count() == 0
    settle_memory()
    try:
        assert gc.get_freeze_count() > 10_000
        assert len(gc.get_objects()) < 1000
    finally:
        gc.unfreeze()
