"""Every scenario of this folder is played, and together they show every event, every reason and every step."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from cache.model import EventName, Mode, ModeCause, Reason
from daemon.cli.latchd import latchd
from daemon.simulate.scenario import Step, parse
from daemon.simulate.vocabulary import EVENT_FIELDS, FORMS, FORWARD

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*.scenario"))

NOT_TO_BE_SHOWN = {
    EventName.JOURNAL_GAP: "a scenario's disk is never full; tests/cache/journal/test_writer.py fills one",
    **dict.fromkeys(
        (name for name in EventName if name.value.startswith("cache.") and name is not EventName.CACHE_STALE),
        "a scenario's cache is never damaged; tests/cache and tests/daemon/doors damage one",
    ),
    Reason.CACHE_UNREADABLE: "the same",
    EventName.SYNC_DEACTIVATIONS: "the brake's own tests show it; the site of the scenarios is too small",
    Reason.INTERNAL_ERROR: "the site file and the directory cannot make the decision fail",
}
"""What no scenario can show, and why."""

COLUMNS = ("door", "reader", "person", "reason", "group", "level", "generation")
"""What an event has beside its detail."""


def steps(file: Path) -> tuple[Step, ...]:
    """The steps of a scenario."""
    return parse(file.read_text(encoding="utf-8"), str(file))


EXPECTED = [step for file in FILES for step in steps(file) if step.word == "expect"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_scenario(file: Path) -> None:
    result = CliRunner().invoke(latchd, ["simulate", "--json", str(file)])
    assert (result.exit_code, result.stderr) == (0, f"{file}: every expectation held ({len(steps(file))} steps)\n")
    for event in map(json.loads, result.stdout.splitlines()):
        fields = {name for name in COLUMNS if event[name] is not None} | set(event["detail"])
        assert fields <= set(EVENT_FIELDS[event["name"]]), "a field that cannot be expected"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_says_first_what_it_shows(file: Path) -> None:
    first = file.read_text(encoding="utf-8").splitlines()[0]
    assert re.fullmatch(r"# \S.{20,}", first), "a scenario begins with a comment: it doubles as documentation"


@pytest.mark.parametrize("name", [name for name in EventName if name not in NOT_TO_BE_SHOWN])
def test_every_event_is_expected_somewhere(name: EventName) -> None:
    assert any(step.arguments[0] == name for step in EXPECTED)


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason not in NOT_TO_BE_SHOWN])
def test_every_reason_is_expected_somewhere(reason: Reason) -> None:
    assert any(step.fields.get("reason") == reason for step in EXPECTED)


def test_every_mode_and_what_it_comes_from_is_expected_somewhere() -> None:
    modes = [step for step in EXPECTED if step.arguments[0] == EventName.DOOR_MODE]
    assert {step.fields.get("mode") for step in modes} >= set(Mode)
    assert {step.fields.get("cause") for step in modes} >= set(ModeCause) - {ModeCause.EGRESS}


def test_every_step_is_used_in_every_form() -> None:
    used = [step for file in FILES for step in steps(file)]
    assert {FORWARD if step.word.startswith("+") else step.word for step in used} == {FORWARD, *FORMS}
    orders = {step.arguments[1] for step in used if step.word == "operator"}
    assert orders == {"lockdown", "release", "unlock", "lock", "pulse", "block", "forgive", "sync"}


def test_nothing_lies_about_that_no_scenario_uses() -> None:
    text = "\n".join(file.read_text(encoding="utf-8") for file in [*FILES, *HERE.glob("site*.toml")])
    others = {file.name for file in HERE.iterdir() if file.suffix in (".json", ".toml", ".csv")}
    assert {name for name in others if name not in text} == set()
