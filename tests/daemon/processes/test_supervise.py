"""``latchd run``: both processes as children, started again when they end, and never outliving their parent."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import psutil

from daemon.control.client import ask_one, is_running
from tests.daemon.simulated import SITE, Bench
from tests.daemon.spawned import PATIENCE, ROOT, latchd, log_of, until

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
