"""docs/osdp.md says what the code does: keys of the tables, times, words, commands."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from daemon.cli.reader import reader
from drivers.driver import SecretReference
from drivers.osdp import commissioning, polling, queue, states, timing
from drivers.osdp.bus import INTER_CHARACTER
from drivers.osdp.capacity import refusals, round_time
from drivers.osdp.link import REOPEN_PAUSE
from drivers.osdp.profiles import LEARNED, profiles
from drivers.osdp.reports import CARDS_APART
from drivers.osdp.settings import BAUDRATES, OsdpBus, OsdpReader
from drivers.osdp.turns import REST

PAGE = (Path(__file__).parents[3] / "docs" / "osdp.md").read_text()


def table(heading: str) -> dict[str, str]:
    """The rows below a table's first cell, keys in backquotes taken apart."""
    (body,) = re.findall(rf"^\| {re.escape(heading)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in body.splitlines()]
    return {
        name: " | ".join(rest) for first, *rest in rows for name in (re.findall(r"`([\w.-]+)`", first) or [first])
    }


@pytest.mark.parametrize(("heading", "kind"), [("`[bus.NAME]`", OsdpBus), ("`[reader.NAME]`", OsdpReader)])
def test_the_tables_have_every_key_and_its_default(heading: str, kind: Any) -> None:
    rows = table(heading)
    assert set(rows) == {field.name for field in dataclasses.fields(kind)}
    for field in dataclasses.fields(kind):
        if isinstance(field.default, str | bool):
            shown = f'"{field.default}"' if isinstance(field.default, str) else str(field.default).lower()
            assert rows[field.name].startswith(f"{shown} |")
    assert ", ".join(map(str, BAUDRATES[:-1])) in PAGE


def seconds(value: float) -> str:
    return f"{value:g} s"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("wait for an answer", [f"{timing.REPLY_DELAY * 1000:.0f} ms"]),
        ("silence that ends a frame in its middle", [f"{INTER_CHARACTER * 1000:.0f} ms"]),
        (
            "same frame again",
            [
                f"at once {timing.IMMEDIATE_ATTEMPTS - 1} times",
                f"every {seconds(timing.RETRY_PAUSE)}",
                f"after {timing.ATTEMPTS} attempts",
                f"after {timing.ATTEMPTS} attempts or {seconds(timing.RESTART_AFTER)}".replace(
                    "or after", "after"
                ),
            ],
        ),
        ("offline", [seconds(timing.OFFLINE_AFTER)]),
        (
            "a reader that is missed and was always quick",
            [
                f"{timing.SHORTEST_DELAY * 1000:.0f} to {timing.QUICK_DELAY * 1000:.0f} ms",
                f"every {seconds(timing.FULL_LOOK)}",
            ],
        ),
        (
            "look for an absent reader",
            [
                f"every {seconds(timing.QUICK_INTERVAL)}",
                "after 1, 2, 4, 8",
                f"every {seconds(timing.BACK_OFF[1])}",
                f"every {seconds(timing.SLOW_LOOK)}",
            ],
        ),
        (
            "a refused reader",
            [f"every {seconds(timing.REFUSED_INTERVAL)}", f"every {seconds(timing.REFUSED_PAUSE)}"],
        ),
        ("questions in a new session", [f"after {polling.POLLS_FIRST} polls"]),
        ("port gone", [seconds(pause) for pause in REOPEN_PAUSE]),
        ("relay command not sent, or sent and not confirmed", [seconds(queue.RELAY_PATIENCE)]),
        (
            "inputs; outputs, local status, reader head",
            [seconds(polling.INPUT_INTERVAL), seconds(polling.STATUS_INTERVAL), seconds(timing.QUESTION_ROUND)],
        ),
    ],
)
def test_the_times_are_those_of_the_code(row: str, words: list[str]) -> None:
    text = table("what")[row]
    for word in words:
        assert re.search(rf"(?<![\d.]){re.escape(word)}", text.replace("or after", "after")), (word, text)


def test_the_rule_for_reads_that_waited_has_the_numbers_of_the_code() -> None:
    assert f"read before it and {seconds(CARDS_APART)}" in PAGE
    assert (
        f"never less than {timing.ROUNDS_QUEUED:g} rounds ({timing.ROUNDS_MISSED:g} since the last poll)" in PAGE
    )
    assert f"rests {REST:.0f} times as long".replace("2 times", "twice") in PAGE


def test_the_rounds_are_those_that_check_config_reckons_with() -> None:
    rows = table("readers with a secure channel")
    speeds = (9600, 19200, 38400, 115200)
    key = SecretReference("env:K")

    def readers(count: int) -> dict[str, OsdpReader]:
        return {f"r{n}": OsdpReader(address=n, key=key) for n in range(count)}

    for count in (8, 32, 126):
        told = [f"{round_time(speed, readers(count)):.2f} s" for speed in speeds]
        assert rows[f"a round of {count} takes"] == " | ".join(told)
    fit = [
        max(n for n in range(1, 127) if not list(refusals(OsdpBus(port="x", baudrate=speed), readers(n))))
        for speed in speeds
    ]
    assert rows[["that fit with the default ", "queued_limit", ""][1]] == " | ".join(map(str, fit))


def test_the_profiles_are_those_of_the_file() -> None:
    assert set(table("profile")) == set(profiles())


def test_what_is_found_by_itself_is_in_the_words_of_the_report() -> None:
    rows = table("found by itself")
    assert set(LEARNED.values()) <= set(rows)
    assert f"{polling.ENDS} times in a row" in PAGE


def test_the_words_for_the_technician_are_those_of_the_code() -> None:
    shown = re.findall(r"^- \*\*(.+?)\*\*|\*\*(answers arrive .+?|refuses .+?)\*\*", PAGE, re.MULTILINE)
    code = "\n".join(path.read_text() for path in Path(states.__file__).parent.glob("*.py"))
    assert len(shown) > 4
    for words in (one or other for one, other in shown):
        assert words in code


def test_every_command_for_keys_and_readers_is_told() -> None:
    told = set(re.findall(r"latchctl reader (\w+)", PAGE))
    assert told == set(reader.commands) - {"text"}
    assert f"after {commissioning.KEY_CHANGE_TIME:.0f} s" in PAGE
