"""``latchd simulate`` as people and programs use it: exit codes, traces, and the same bytes on every run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from daemon.cli.latchd import latchd

SCENARIOS = Path(__file__).parents[2] / "scenarios"
FIRST_DAY = SCENARIOS / "first-day.scenario"
MANY = [SCENARIOS / f"{name}.scenario" for name in ("card", "lockdown", "occupancy", "sync", "quarantine")]
"""Among them several doors, groups and cards at once, which is where an order could differ."""


def simulate(*words: str | Path) -> Result:
    """Run it in this process."""
    return CliRunner().invoke(latchd, ["simulate", *map(str, words)])


@pytest.fixture
def play(tmp_path: Path) -> Path:
    """A play in a folder of its own; its last line does not hold."""
    file = tmp_path / "play.scenario"
    text = FIRST_DAY.read_text().replace("site.toml", str(SCENARIOS / "site.toml"))
    file.write_text(
        text.replace("people.json", str(SCENARIOS / "people.json")) + "expect door.forced door=lobby\n"
    )
    return file


def test_held() -> None:
    result = simulate(FIRST_DAY)
    assert (result.exit_code, result.stderr) == (0, "")


def test_a_file_as_an_editor_on_windows_writes_it(play: Path) -> None:
    lines = play.read_text().splitlines()[:-1]
    play.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert simulate(play).exit_code == 0


def test_unmet(play: Path) -> None:
    result = simulate(play)
    assert result.exit_code == 1
    last = len(play.read_text().splitlines())
    assert result.stderr.startswith(f"{play}:{last}: expect door.forced door=lobby\n  no such event; nothing had")
    assert "of the directory: Lise Meitner: the same card is on Rosalind Franklin" in result.stderr


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"", b"nonsense\n"])
def test_wrong(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "wrong.scenario"
    if content is not None:
        file.write_bytes(content)
    result = simulate(file)
    assert result.exit_code == 2
    assert result.stderr.startswith(str(file))
    assert "Traceback" not in result.output


def test_a_wrong_site_file_is_told_with_its_own_lines(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("[site]\nname = 'x'\n")
    (tmp_path / "a.scenario").write_text("config site.toml\nstart 2026-03-02T08:00:00+01:00\n")
    result = simulate(tmp_path / "a.scenario")
    assert result.exit_code == 2
    assert f"{tmp_path}/site.toml:1: site.timezone" in result.stderr


def test_of_many_files_all_are_played_and_the_worst_counts(play: Path, tmp_path: Path) -> None:
    result = simulate(play, tmp_path / "absent", FIRST_DAY)
    assert result.exit_code == 2
    assert f"{FIRST_DAY}: every expectation held" in result.stdout
    assert f"{play}:" in result.stderr
    assert simulate(play, FIRST_DAY).exit_code == 1


def test_the_trace_is_printed_also_where_an_expectation_does_not_hold(play: Path) -> None:
    lines = simulate(play, "--trace").stdout.splitlines()
    assert any(
        line.startswith("2026-03-02 08:00:00+0100 access.granted door=lobby reader=lobby-in") for line in lines
    )
    assert lines[0] == "2026-03-02 07:59:59+0100 system.start version=simulation clock=synced"


def test_json_is_one_event_a_line_with_the_rules_of_each_decision() -> None:
    result = simulate(FIRST_DAY, "--json")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert "every expectation held" in result.stderr, "which is for people, and not among the events"
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    granted = next(event for event in events if event["name"] == "access.granted")
    assert [rule["rule"] for rule in granted["trace"]] == [
        "cache",
        "credential",
        "validity",
        "person",
        "mode",
        "access",
    ]


def printed(**environment: str) -> bytes:
    """What a process of its own prints for many files."""
    program = [sys.executable, "-c", "from daemon.cli.latchd import main; main()", "simulate", "--json", *MANY]
    return subprocess.run(program, env={**os.environ, **environment}, capture_output=True, check=True).stdout


def test_the_same_bytes_on_every_run_and_machine(tmp_path: Path) -> None:
    one = printed(PYTHONHASHSEED="1", TZ="UTC", LC_ALL="C", TMPDIR=str(tmp_path))
    assert one == printed(PYTHONHASHSEED="4242", TZ="Pacific/Apia", LC_ALL="C.UTF-8")
    assert one.count(b'"access.granted"') > 20
