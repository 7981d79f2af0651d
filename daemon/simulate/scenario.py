"""Scenario files: one step a line, read and checked as a whole before the first is played. Pure."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from daemon.errors import ConfigError

FIELD = re.compile(r"([a-z_]+)=(.*)", re.DOTALL)

FORMS: Mapping[str, str] = MappingProxyType(
    {
        "config": "FILE",
        "directory": "FILE",
        "start": "INSTANT",
        "at": "INSTANT",
        "badge": "READER CARD",
        "keys": "READER KEYS",
        "contact": "DOOR open|closed|short|cut",
        "rex": "DOOR on|off|short|cut",
        "input": "NAME on|off|short|cut",
        "tamper": "READER on|off",
        "reader": "READER offline|online",
        "board": "BOARD offline|online",
        "sync": "ok|fail",
        "operator": "NAME ACTION DOOR|all|PERSON|accept|reject [for DURATION] [because TEXT]",
        "clock": "jump DURATION | unsynced|synced|unset",
        "restart": "",
        "power-cut": "",
        "expect": "EVENT [KEY=VALUE …]",
        "expect-no": "EVENT [KEY=VALUE …]",
        "quiet": "",
        "clear": "",
        "expect-lock": "DOOR locked|released",
        "expect-mode": "DOOR MODE",
        "expect-output": "NAME on|off",
    }
)
"""Every step with the words that follow it; ``+DURATION`` stands beside them."""

LEAST = {"clock": 1, "operator": 3, "expect": 1, "expect-no": 1}
"""Words that must follow where the form alone does not tell; elsewhere as many as the form has."""

OPEN_ENDED = ("clock", "operator", "expect", "expect-no")


class ScenarioError(ConfigError):
    """A scenario file that cannot be played, or a step that makes no sense; names file and line. Exit code 2."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line: its number, its word, and the words after it."""

    line: int
    word: str
    arguments: tuple[str, ...]
    text: str

    @property
    def fields(self) -> dict[str, str]:
        """The ``key=value`` words."""
        return {match[1]: match[2] for word in self.arguments if (match := FIELD.fullmatch(word))}


def parse(text: str, file: str) -> tuple[Step, ...]:
    """The steps of a scenario. ``ScenarioError`` lists every line that is none."""
    steps, faults = [], []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            faults.append(
                f"{file}:{number}: {error}".replace("No closing quotation", "a quotation mark is missing")
            )
            continue
        if not words:
            continue
        fault = _fault(words)
        if fault:
            faults.append(f"{file}:{number}: {fault}")
        steps.append(Step(number, words[0], tuple(words[1:]), line.strip()))
    if faults:
        raise ScenarioError("\n".join(faults))
    return tuple(steps)


def _fault(words: list[str]) -> str:
    word, count = words[0], len(words) - 1
    if word.startswith("+"):
        return "a step forward in time is one word, such as +10s" if count else ""
    form = FORMS.get(word)
    if form is None:
        near = difflib.get_close_matches(word, FORMS, 1, 0.6)
        hint = f'did you mean "{near[0]}"?' if near else f"there are: {', '.join(FORMS)}"
        return f'there is no step "{word}"; {hint}'
    wanted = LEAST.get(word, len(form.split()))
    if count < wanted or (count > wanted and word not in OPEN_ENDED):
        return f'expected "{word} {form}"'.replace(' "', '"') if not form else f'expected "{word} {form}"'
    return ""
