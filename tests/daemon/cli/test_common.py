"""How errors leave the program: words for people, an exit code for programs, never a traceback."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from cache.errors import CacheError, JournalError, LatchdError
from daemon.cli import common
from daemon.cli.common import counted, fold, local_time, printable_all, show, table
from daemon.errors import ConfigError, ControlError, DriverError, NotPermittedError, RequestError
from daemon.printable import printable, printable_lines

ERRORS = [
    (CacheError("cache.db is damaged"), 3),
    (JournalError("journal.db is damaged"), 4),
    (DriverError("the port is held"), 5),
    (ControlError("no daemon"), 7),
    (NotPermittedError("you may not"), 8),
    (ConfigError("a key is missing"), 2),
    (LatchdError("something else"), 70),
    (click.UsageError("no such option"), 2),
    (click.Abort(), 130),
    (KeyboardInterrupt(), 130),
    (ZeroDivisionError("by nought"), 70),
]


def outcome(raised: BaseException | int | None, capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    """Exit code and standard error of a program whose only command does this."""

    @click.group(invoke_without_command=True)
    def program() -> None:
        if isinstance(raised, BaseException):
            raise raised
        if isinstance(raised, int):
            raise SystemExit(raised)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["latchd"])
        with pytest.raises(SystemExit) as ended:
            common.run("latchd", program)
    return ended.value.code, capsys.readouterr().err


@pytest.mark.parametrize(("error", "code"), ERRORS, ids=lambda value: type(value).__name__)
def test_each_error_has_its_code_and_no_traceback(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LATCHD_DEBUG", raising=False)
    found, said = outcome(error, capsys)
    assert found == code
    assert "Traceback" not in said
    assert str(error) in said


def test_success_and_an_answer_that_is_no(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(None, capsys) == (0, "")
    assert outcome(1, capsys) == (1, "")


def test_an_internal_error_shows_where_it_happened_when_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LATCHD_DEBUG", "1")
    code, said = outcome(ZeroDivisionError("by nought"), capsys)
    assert code == 70
    assert "LATCHD_DEBUG=1" in said
    assert any(record.exc_info for record in caplog.records)


def test_a_reader_that_hangs_up_is_no_error() -> None:
    """As in ``latchctl drivers | head -1``."""
    command = [sys.executable, "-m", "daemon.cli.latchctl", "drivers", "--json"]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("debug", ["", "1"])
@pytest.mark.parametrize("program", ["latchd", "latchctl"])
def test_the_programs_themselves_explain_a_file_that_is_not_there(
    program: str, debug: str, tmp_path: Path
) -> None:
    arguments = (
        ["check-config", "absent.toml"] if program == "latchd" else ["--config", "absent.toml", "sync", "now"]
    )
    command = [sys.executable, "-m", f"daemon.cli.{program}", *arguments]
    environment = {**os.environ, "LATCHD_DEBUG": debug, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr == f"{program}: absent.toml cannot be read: No such file or directory\n"


def test_under_systemd_each_line_has_its_priority(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    try:
        common.start_logging(verbose=True)
        log = logging.getLogger("daemon.test")
        for severity in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
            log.log(severity, "words")
        said = capsys.readouterr().err
        assert [line[:3] for line in said.splitlines()] == ["<7>", "<6>", "<4>", "<3>", "<3>"]
        assert "daemon.test: words" in said
        monkeypatch.delenv("JOURNAL_STREAM")
        common.start_logging()
        log.debug("hidden")
        log.info("shown")
        said = capsys.readouterr().err
        assert "hidden" not in said
        assert "INFO    daemon.test: shown" in said
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        for noisy in ("urllib3", "apscheduler", "pymodbus", "asyncio"):
            logging.getLogger(noisy).setLevel(logging.NOTSET)


def test_a_table_lines_up() -> None:
    assert table([]) == ""
    assert table([["a", "b"], ["long", "c"]], ["X", "Y"]) == "X     Y\na     b\nlong  c"


def test_a_table_lines_up_whatever_its_colours() -> None:
    red = click.style("fault", fg="red")
    assert [click.unstyle(line) for line in table([[red, "x"], ["ok", "y"]]).split("\n")] == [
        "fault  x",
        "ok     y",
    ]


FOLDED = [
    ("short lines\nstay", "short lines\nstay"),
    (
        "fault  hub  the server cannot be reached",
        "fault  hub  the server\n            cannot be\n            reached",
    ),
    ("a sentence that is longer than that", "a sentence that is\n    longer than that"),
    ("one-word-that-is-longer-than-the-line", "one-word-that-is-longer-than-the-line"),
]


@pytest.mark.parametrize(("text", "shown"), FOLDED)
def test_long_lines_are_folded_below_their_last_column(text: str, shown: str) -> None:
    assert fold(text, 24) == shown


def test_colours_take_no_room_when_folding() -> None:
    styled = click.style("stop", fg="red") + " " + click.style("the door is blocked by an order", fg="red")
    assert click.unstyle(fold(styled, 24)) == fold(click.unstyle(styled), 24)
    assert fold(styled, 24).count("\x1b[31m") == 2


def test_only_a_terminal_folds(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    show("word " * 30)
    assert capsys.readouterr().out.count("\n") == 1
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    show("word " * 30)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 60


def test_counting_in_words() -> None:
    assert [counted(number, "door") for number in (0, 1, 2)] == ["0 doors", "1 door", "2 doors"]


def test_instants_in_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        assert local_time("2026-11-24T08:00:00.123456+00:00") == "2026-11-24 13:45:00+05:45"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_json_is_one_line_that_others_read(capsys: pytest.CaptureFixture[str]) -> None:
    common.print_json({"name": "Ünal\n"})
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out) == {"name": "Ünal\n"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ünal Ömer 北京", "Ünal Ömer 北京"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\u202eabc", "\\u202eabc"),
    ],
)
def test_control_characters_are_shown_and_not_obeyed(text: str, shown: str) -> None:
    assert printable(text) == shown


@dataclass(frozen=True, slots=True)
class Told:
    name: str
    parts: tuple[dict[str, str], ...]
    count: int = 3


def test_every_text_of_a_report_is_made_printable() -> None:
    told = Told("a\n", ({"k\x1b": "v\r"},))
    assert printable_all(told) == Told("a\\n", ({"k\\x1b": "v\\r"},))
    assert printable_all([told, None, 4.5]) == [printable_all(told), None, 4.5]


EVIL = "Sam\x1b[2J\x07\x9b31m\u202e\x7f\nlatchd: all is well\ud800"
"""A name that would clear the screen, ring, colour, turn the line round and add one of its own."""


def test_a_name_of_the_directory_in_an_error_is_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    _, said = outcome(RequestError(f'2 people match "Sam": {EVIL}'), capsys)
    assert said.count("\n") == 1
    assert said.rstrip("\n").isprintable()
    assert "Sam\\x1b[2J\\x07\\x9b31m\\u202e\\x7f\\nlatchd" in said


def test_faults_of_a_site_file_keep_their_lines(capsys: pytest.CaptureFixture[str]) -> None:
    _, said = outcome(ConfigError("site.toml:\n  line 3: wrong\x1b"), capsys)
    assert said == "latchd: site.toml:\n  line 3: wrong\\x1b\n"


def test_a_name_of_the_directory_in_the_log_forges_no_line() -> None:
    formatter = common.PrintableFormatter("%(levelname)s %(message)s")
    record = logging.LogRecord("x", logging.WARNING, "x", 1, "group %s is gone\n<3>forged", (EVIL,), None)
    lines = formatter.format(record).split("\n")
    assert all(line.isprintable() for line in lines)
    assert [line for line in lines[1:] if not line.startswith("  ")] == []


def test_a_stack_in_the_log_is_printable() -> None:
    fault = ValueError(EVIL)
    record = logging.LogRecord("x", logging.ERROR, "x", 1, "failed", (), (ValueError, fault, None))
    assert all(line.isprintable() for line in common.PrintableFormatter().format(record).split("\n"))


def test_json_for_programs_is_printable_and_the_same_text(capsys: pytest.CaptureFixture[str]) -> None:
    common.print_json({"name": EVIL, "other": "Zoë"})
    said = capsys.readouterr().out
    assert said.rstrip("\n").isprintable()
    assert json.loads(said) == {"name": EVIL, "other": "Zoë"}
    assert "Zoë" in said


def test_lines_are_lines() -> None:
    assert printable_lines("a\nb\x1b", "  ") == "a\n  b\\x1b"
