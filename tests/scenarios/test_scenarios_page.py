"""docs/scenarios.md lists the steps, the events and the files as they are, and its example is one of them."""

from __future__ import annotations

import re
from pathlib import Path

from daemon.simulate.scenario import parse
from daemon.simulate.vocabulary import EVENT_FIELDS, FORMS, FORWARD, STATE_EVENTS

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "scenarios.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the tables between a heading and the next of its rank, without their heads."""
    section = PAGE.split(f"\n{heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line.replace("\\|", "\0") for line in section.splitlines() if line.startswith("| ")]
    cells = [[cell.strip().replace("\0", "|") for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] not in ("step", "event", "file")]


def test_every_step_stands_there_in_all_its_forms() -> None:
    told = [form for row in rows("## Steps") for form in re.findall(r"`([^`]+)`", row[0])]
    known = [f"{word} {form}".strip() for word, forms in FORMS.items() for form in forms]
    assert sorted(told) == sorted([FORWARD, *known])


def test_every_event_stands_there_with_its_fields() -> None:
    told = {row[0]: row[1] for row in rows("## Events")}
    known = {
        f"`{name}`" + "°" * (name in STATE_EVENTS): ", ".join(fields) or "none"
        for name, fields in EVENT_FIELDS.items()
    }
    assert told == known


def first_sentence(file: Path) -> str:
    """What a scenario shows, in its own words."""
    lines = file.read_text(encoding="utf-8").splitlines()
    words = " ".join(line[1:].strip() for line in lines[: next(n for n, s in enumerate(lines) if s[0] != "#")])
    return re.split(r"(?<=[.?!])\s", words, maxsplit=1)[0]


def test_every_file_stands_there_with_what_it_shows() -> None:
    told = {row[0]: row[1] for row in rows("## The files")}
    files = sorted(HERE.glob("*.scenario"))
    assert told == {f"[{f.stem}](../tests/scenarios/{f.name})": first_sentence(f) for f in files}


def test_the_example_is_a_scenario_that_is_played() -> None:
    example = next(part for part in PAGE.split("```\n") if part.startswith("config"))
    played = (HERE / "first-day.scenario").read_text(encoding="utf-8")
    assert played.split("\n", 1)[1] == example
    assert f"first-day.scenario: every expectation held ({len(parse(played, 'first-day'))} steps)" in PAGE
