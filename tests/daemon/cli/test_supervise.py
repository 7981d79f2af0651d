"""``latchd run``: both processes as children, started again when they end, and never outliving their parent."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from daemon.control.client import ask_one, is_running
from tests.daemon.processes import PATIENCE, ROOT, environment, latchd, log_of, until
from tests.daemon.simulated import SITE, Bench

AUDITED = ROOT / "tests" / "demo" / "audited.py"

SCIM = """
[scim]
url = "http://127.0.0.1:9/scim/v2"
groups = ["*"]
"""


def children(process: subprocess.Popen[bytes]) -> dict[str, int]:
    """Command -> process id."""
    found = {}
    for child in psutil.Process(process.pid).children():
        try:
            words = child.cmdline()
        except psutil.Error:
            continue
        if "daemon.cli.latchd" in words:
            found[words[words.index("daemon.cli.latchd") + 1]] = child.pid
    return found


def test_a_killed_child_is_started_again_and_the_end_ends_both(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "b", text=SITE + SCIM)
    bench.fill()
    sockets = [bench.directory / "control.sock", bench.directory / "sync.sock"]
    with latchd(bench, "run") as process:
        until("both answer", lambda: all(map(is_running, sockets)))
        before = children(process)
        assert before.keys() == {"doors", "sync"}
        os.kill(before["doors"], signal.SIGKILL)
        after = until(
            "another doors process",
            lambda: (now := children(process)).get("doors") not in (None, before["doors"]) and now,
        )
        until("it answers", lambda: is_running(sockets[0]))
        assert ask_one(sockets[0], "status")["running"]
        assert after["sync"] == before["sync"], "the other did not notice"
        process.terminate()
        assert process.wait(PATIENCE) == 0
    assert not any(map(psutil.pid_exists, {**before, **after}.values()))
    assert not any(socket.exists() for socket in sockets)
    log = log_of(bench)
    assert "latchd doors ended (signal SIGKILL); starting it again" in log
    assert "Traceback" not in log


def test_children_do_not_outlive_a_parent_that_is_killed(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "b", text=SITE + SCIM)
    with latchd(bench, "run") as process:
        until("doors answers", lambda: is_running(bench.directory / "control.sock"))
        pids = children(process)
        process.kill()
        process.wait()
        until("both ended", lambda: not any(map(psutil.pid_exists, pids.values())))
    assert len(pids) == 2


def test_a_site_without_scim_has_doors_only(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "b")
    with latchd(bench, "run") as process:
        until("doors answers", lambda: is_running(bench.directory / "control.sock"))
        assert children(process).keys() == {"doors"}
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0


# ------------------------------------------------------------------ a wrong site file


WRONG = """
allow_simulation = true
[site]
name = "Wrong"
timezone = "Europe/Berlinn"
key = "file:{directory}/absent"
[bus.io]
driver = "modbus-rtu"
port = "{directory}/tty"
[board.main]
bus = "io"
profile = "waveshare-8ch"
[bus.bench]
driver = "sim"
[reader.lobby-in]
bus = "bench"
[door.lobby]
entry = "lobby-inn"
lock = "main.out9"
strike_tim = "5s"
"""

FAULTS = {
    5: "site.timezone: ",
    6: "site.key: ",
    18: 'door.lobby.entry: there is no reader "lobby-inn"; did you mean "lobby-in"?',
    19: 'door.lobby.lock: there is no output "main.out9"; ',
    20: 'door.lobby.strike_tim: unknown key; did you mean "strike_time"?',
}


@pytest.fixture
def wrong(tmp_path: Path) -> Bench:
    """A site file with five faults beside a port that could be opened."""
    return Bench(tmp_path / "b", text=WRONG)


def check_report(said: str, file: Path) -> None:
    found = {
        int(line): text for line, text in re.findall(rf"^{re.escape(str(file))}:(\d+): (.*)$", said, re.MULTILINE)
    }
    assert found.keys() == FAULTS.keys(), said
    assert all(found[line].startswith(text) for line, text in FAULTS.items()), said
    assert said.count("is refused, 5 faults; no device was opened") == 1
    assert "Traceback" not in said


@pytest.mark.parametrize("command", [["check-config"], ["doors", "--config"], ["run", "--config"]])
def test_every_fault_is_reported_once_with_its_line_and_exit_code_2(wrong: Bench, command: list[str]) -> None:
    arguments = [sys.executable, "-m", "daemon.cli.latchd", *command, str(wrong.file)]
    done = subprocess.run(
        arguments, capture_output=True, text=True, timeout=PATIENCE, env=environment(), check=False
    )
    assert done.returncode == 2, done.stderr
    check_report(done.stderr, wrong.file)


@pytest.mark.parametrize("command", [["check-config"], ["doors", "--config"]])
def test_no_device_is_opened_for_a_wrong_file(wrong: Bench, command: list[str]) -> None:
    """The port exists: a pseudo-terminal, whose opening the audit hook would write down."""
    ours, theirs = os.openpty()
    try:
        (wrong.directory / "tty").symlink_to(os.ttyname(theirs))
        for text, opened in ((WRONG, False), (right(), command[0] == "doors")):
            wrong.file.write_text(text.replace("{directory}", str(wrong.directory)), encoding="utf-8")
            log = wrong.directory / f"audit-{opened}"
            process = subprocess.Popen(
                [sys.executable, AUDITED, log, *command, wrong.file], stderr=subprocess.DEVNULL, env=environment()
            )
            try:
                if opened:
                    until("the port: else this test sees nothing", lambda file=log: "/dev/pts/" in said(file))
                else:
                    process.wait(PATIENCE)
                    assert "open /dev/" not in said(log)
            finally:
                process.terminate()
                process.wait(PATIENCE)
    finally:
        os.close(ours)
        os.close(theirs)


def right() -> str:
    return (
        WRONG.replace("Berlinn", "Berlin")
        .replace("/absent", "/site-key")
        .replace("lobby-inn", "lobby-in")
        .replace("out9", "out1")
        .replace("strike_tim ", "strike_time ")
        + '[state]\ndirectory = "{directory}/state"\n[control]\nsocket = "{directory}/control.sock"\n'
    )


def said(log: Path) -> str:
    return log.read_text(encoding="utf-8") if log.exists() else ""
