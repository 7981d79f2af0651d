"""The demo is a test: its story goes to the end, is the one that the README tells, and tells no secret."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from daemon.config.bounds import LONGEST_SOCKET
from tests.demo import day
from tests.demo.peer import PATIENCE, UnexpectedError

ROOT = Path(__file__).resolve().parents[2]
DAY = Path(__file__).with_name("day.py")


@contextmanager
def kept(directory: Path) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """``make demo KEEP=1`` after its day, and the lines it has printed; at the end, it and all it started end."""
    command = [sys.executable, DAY, "--directory", directory, "--keep"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
    ) as process:
        try:
            assert process.stdout is not None
            lines: list[str] = []
            while not lines or not lines[-1].startswith("Cards:"):
                line = process.stdout.readline()
                assert line, "it ended: " + "".join(lines)
                lines.append(line.rstrip("\n"))
            started = psutil.Process(process.pid).children(recursive=True)
            yield process, lines
        finally:
            process.terminate()
            process.wait(PATIENCE)
    assert process.returncode == 128 + 15
    assert psutil.wait_procs(started, PATIENCE)[1] == [], "something of it is still running"


def steps(lines: list[str]) -> list[tuple[str, str]]:
    """What happened and what latchd did, line by line, without the times."""
    found = []
    for line in lines:
        if match := re.match(r"^ +\d+\.\d s +(?:\d+\.\d ms +)?(\S.*)$", line):
            head = len(line) - len(match[1])
            found.append((line[head:67].strip(), line[67:].strip()))
    return found


@pytest.mark.timeout(150)
def test_the_day_goes_as_told_and_what_it_offers_to_try_works(tmp_path: Path) -> None:
    directory = tmp_path / "demo"
    with kept(directory) as (process, lines):
        told = "\n".join(lines)
        assert "went as told" in told
        readme = steps((ROOT / "README.md").read_text(encoding="utf-8").splitlines())
        assert len(readme) > 10
        assert [step for step in readme if step not in steps(lines)] == [], told
        offered = [line.strip() for line in lines if "bin/latchctl" in line]
        assert len(offered) == len(day.TRY)
        for line in offered:
            if "--follow" not in line:
                try_line(line)
        follow(process, next(line for line in offered if "--follow" in line))
    log = (directory / "latchd.log").read_text(encoding="utf-8")
    assert "Traceback" not in log, log
    for secret in ("site-key", "scim-token", "scbk-lobby-in"):
        assert (directory / secret).read_text(encoding="ascii") not in log + told


def try_line(line: str) -> None:
    """A line as it is offered. ``doctor`` says that the SCIM server is gone."""
    done = subprocess.run(shlex.split(line), cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == (1 if line.endswith("doctor") else 0), done.stdout + done.stderr
    assert done.stdout
    assert done.stderr == ""


def follow(process: subprocess.Popen[str], line: str) -> None:
    """A card that is typed shows in what is followed."""
    assert process.stdin is not None
    command = [*shlex.split(line), "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as following:
        try:
            assert following.stdout is not None
            shown = [following.stdout.readline()]
            typed = datetime.now(UTC)
            process.stdin.write(f"{day.NO_ONE}\n")
            process.stdin.flush()
            while not denied_since(typed, shown[-1]):
                shown.append(following.stdout.readline())
        finally:
            following.terminate()


def denied_since(instant: datetime, line: str) -> bool:
    event = json.loads(line)
    return event["name"] == "access.denied" and datetime.fromisoformat(event["at"]) > instant


def test_a_tree_whose_path_is_too_long_for_sockets_has_its_demo_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(day, "ROOT", Path("/srv/latchd"))
    assert day.usual_directory() == Path("/srv/latchd/demo-run")
    monkeypatch.setattr(day, "ROOT", tmp_path / ("x" * LONGEST_SOCKET))
    monkeypatch.setattr(day.tempfile, "tempdir", str(tmp_path))
    assert day.usual_directory().parent == tmp_path


def test_a_step_that_goes_otherwise_ends_the_demo_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def play(self: day.Day) -> None:
        self.say("a card that no one holds", "opens the door")
        raise UnexpectedError("the relay moved")

    monkeypatch.setattr(day.Day, "play", play)
    monkeypatch.setattr(sys, "argv", ["day.py", "--directory", str(tmp_path / "demo"), "--keep"])
    monkeypatch.setattr(day.signal, "signal", lambda *_: None)
    assert day.main() == 1
    assert "NOT AS TOLD: the relay moved" in capsys.readouterr().err
