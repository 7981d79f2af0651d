"""docs/osdp.md says what the code does: keys of the tables, times, words, commands."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from daemon.cli.reader import reader
from drivers.osdp import outbox, patience, service, steps, technician
from drivers.osdp.bus import INTER_CHARACTER
from drivers.osdp.link import REOPEN_PAUSE
from drivers.osdp.settings import BAUDRATES, OsdpBus, OsdpReader

PAGE = (Path(__file__).parents[3] / "docs" / "osdp.md").read_text()


def table(heading: str) -> dict[str, str]:
    """The rows below a table's first cell, keys in backquotes taken apart."""
    (body,) = re.findall(rf"^\| {re.escape(heading)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in body.splitlines()]
    return {name: " | ".join(rest) for first, *rest in rows for name in (re.findall(r"`(\w+)`", first) or [first])}


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
        ("wait for an answer", [f"{patience.REPLY_DELAY * 1000:.0f} ms"]),
        ("silence that ends a frame in its middle", [f"{INTER_CHARACTER * 1000:.0f} ms"]),
        (
            "same frame again",
            [
                f"at once {patience.IMMEDIATE_ATTEMPTS - 1} times",
                f"every {seconds(patience.RETRY_PAUSE)}",
                f"after {patience.ATTEMPTS} attempts",
            ],
        ),
        ("offline", [seconds(patience.OFFLINE_AFTER)]),
        (
            "a reader that is missed and was always quick",
            [
                f"{patience.SHORTEST_DELAY * 1000:.0f} to {patience.QUICK_DELAY * 1000:.0f} ms",
                f"every {seconds(patience.FULL_LOOK)}",
            ],
        ),
        (
            "look for an absent reader",
            [
                f"every {seconds(patience.QUICK_INTERVAL)}",
                "after 1, 2, 4, 8",
                f"every {seconds(patience.BACK_OFF[1])}",
            ],
        ),
        (
            "a refused reader",
            [
                f"every {seconds(patience.REFUSED_INTERVAL)}",
                "after 1, 2, 4, 8",
                f"every {seconds(patience.BACK_OFF[1])}",
            ],
        ),
        ("questions in a new session", [f"after {service.POLLS_FIRST} polls"]),
        ("port gone", [seconds(pause) for pause in REOPEN_PAUSE]),
        ("relay command not sent", [seconds(outbox.RELAY_PATIENCE)]),
        (
            "inputs; outputs, local status, reader head",
            [seconds(service.INPUT_INTERVAL), seconds(service.STATUS_INTERVAL)],
        ),
    ],
)
def test_the_times_are_those_of_the_code(row: str, words: list[str]) -> None:
    text = table("what")[row]
    for word in words:
        assert re.search(rf"(?<![\d.]){re.escape(word)}", text.replace("or after", "after")), (word, text)


def test_the_words_for_the_technician_are_those_of_the_code() -> None:
    shown = re.findall(r"^- \*\*(.+?)\*\*|\*\*(answers arrive .+?|refuses .+?)\*\*", PAGE, re.MULTILINE)
    code = "\n".join(path.read_text() for path in Path(steps.__file__).parent.glob("*.py"))
    assert len(shown) > 4
    for words in (one or other for one, other in shown):
        assert words in code


def test_every_command_for_keys_and_readers_is_told() -> None:
    told = set(re.findall(r"latchctl reader (\w+)", PAGE))
    assert told == set(reader.commands) - {"text"}
    assert f"after {technician.KEY_CHANGE_TIME:.0f} s" in PAGE
