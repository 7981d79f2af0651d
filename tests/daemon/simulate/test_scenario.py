"""Scenario files are read as a whole, and every fault is told in words for the person who wrote the step."""

from __future__ import annotations

from datetime import timedelta

import pytest

from daemon.simulate.scenario import MOST_FAULTS, ScenarioError, instant, parse, signed_duration, split

HEAD = "config site.toml\nstart 2026-03-02T08:00:00+01:00\n"


def fault(step: str) -> str:
    """What is said about one step, after file and line."""
    with pytest.raises(ScenarioError) as error:
        parse(HEAD + step, "t")
    said = str(error.value)
    assert said.startswith("t:3: ")
    return said.removeprefix("t:3: ")


def test_a_line_is_words() -> None:
    assert split('expect door.mode  because="all clear" # why') == ["expect", "door.mode", "because=all clear"]
    assert split("keys lobby-in 1234# # the hash is a key") == ["keys", "lobby-in", "1234#"]
    assert split('operator "Eve Adams" lockdown all') == ["operator", "Eve Adams", "lockdown", "all"]
    assert split("   # nothing but a comment") == split("") == []


def test_a_step_knows_its_line_and_its_fields() -> None:
    step = parse(HEAD + '\n\nexpect access.granted level="Staff weekdays" door=lobby', "t")[-1]
    assert (step.line, step.word, step.arguments[0]) == (5, "expect", "access.granted")
    assert step.fields == {"level": "Staff weekdays", "door": "lobby"}


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("quiett", 'there is no step "quiett"; did you mean "quiet"?'),
        ("[site]", 'there is no step "[site]"; docs/scenarios.md lists them'),
        ("badge lobby-in", 'expected "badge READER CARD": a word is missing'),
        ("badge lobby-in 1 2", 'expected "badge READER CARD": "2" does not belong there'),
        ('badge lobby-in ""', 'expected "badge READER CARD": a word is empty'),
        ('quiet "', "a quotation mark is missing"),
        ("keys r 12a", 'expected "keys READER KEYS": keys are digits, * and #'),
        (
            "contact d ajar",
            'expected "contact DOOR open|closed|short|cut [for DURATION]": '
            '"ajar" is not open or closed or short or cut',
        ),
        (
            "at noon",
            'expected "at INSTANT": "noon" is no instant with its offset, such as 2026-03-02T08:00:00+01:00',
        ),
        (
            "at 2026-03-02T08:00:00",
            '"2026-03-02T08:00:00" is no instant with its offset, such as 2026-03-02T08:00:00+01:00',
        ),
        ("+10", 'expected a duration such as "300ms", "10s", "5m", "24h" or "30d"'),
        ("+10s later", "a step forward in time is one word, such as +10s"),
        (
            "clock jump 1h",
            'expected "clock jump ±DURATION": expected a duration with its sign such as "+1h" or "-30s", not "1h"',
        ),
        ("clock stopped", "expected one of these:\n    clock jump ±DURATION\n    clock unsynced|synced|unset"),
        (
            "operator eve unlock d for",
            "\n    operator NAME unlock|lock|block DOOR|all until edge [because TEXT]",
        ),
        (
            "operator eve lockdown d for 5m",
            'expected "operator NAME lockdown|release DOOR|all [because TEXT]": "for" does not belong there',
        ),
        (
            "operator eve unlock d until noon",
            'expected "operator NAME unlock|lock|block DOOR|all until edge [because TEXT]": "noon" is not edge',
        ),
        (
            "expect-mode d ajar",
            'there is no mode "ajar"; there are: locked, card_and_pin, unlocked, blocked, lockdown',
        ),
        (
            "expect acces.granted",
            'there is no event "acces.granted"; did you mean "access.granted"?',
        ),
        ("expect access.granted granted", 'expected KEY=VALUE such as door=lobby, not "granted"'),
        ("expect rex person=u1", 'rex has no field "person"; it has: door'),
        ("expect system.stop door=d", 'system.stop has no field "door"; it has: none'),
        ("expect rex door=a door=b", '"door" stands twice'),
        ("expect access.denied reason=pin_worng", 'there is no reason "pin_worng"; did you mean "pin_wrong"?'),
        ("config other.toml", "config stands in line 1 already"),
        ("start 2026-03-02T08:00:00+01:00", "start stands in line 2 already"),
    ],
)
def test_a_wrong_step(step: str, said: str) -> None:
    assert fault(step).endswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "t:1: the file has no step start: nothing would be played"),
        ("config a\nquiet", "t:2: the steps config and start come first"),
        ("start 2026-03-02T08:00:00+01:00", "t:1: the step config comes before start"),
        (
            "config a\ndirectory a\ndirectory b",
            "t:3: before start there is one directory; line 2 names one already",
        ),
    ],
)
def test_what_comes_first(text: str, said: str) -> None:
    with pytest.raises(ScenarioError) as error:
        parse(text, "t")
    assert said in str(error.value).splitlines()


def test_every_wrong_line_is_told_at_once_but_not_a_thousand() -> None:
    with pytest.raises(ScenarioError) as error:
        parse("nonsense\n" * 1000, "t")
    lines = str(error.value).splitlines()
    assert lines[0].startswith("t:1: ")
    assert lines[MOST_FAULTS:] == [f"t: {1000 - MOST_FAULTS} more lines are wrong"]


def test_values() -> None:
    assert instant("2026-03-02T08:00:00+01:00").utcoffset() == timedelta(hours=1)
    assert instant("2026-03-02T07:00:00Z").utcoffset() == timedelta(0)
    assert (signed_duration("+1h"), signed_duration("-300ms")) == (3600.0, -0.3)
