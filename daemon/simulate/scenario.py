"""Scenario files: one step a line, read and checked as a whole before the first is played. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from cache.model import EventName, Mode, Reason
from daemon.errors import ConfigError
from daemon.scim.exchange import OutageKind
from daemon.simulate.vocabulary import EVENT_FIELDS, FORMS
from drivers.settings import did_you_mean, parse_duration
from drivers.simulated import KEYS

MOST_FAULTS = 12
"""Lines that a report shows at most: a file that is no scenario at all has as many faults as lines."""

_FIELD = re.compile(r"([a-z_]+)=(.*)", re.DOTALL)
_WORD = re.compile(r'(?:"[^"]*"|[^\s"])+')
_SIGNED = re.compile(r"([+-])(.+)")
_TOKEN = re.compile(r"\[[^\]]*\]|\S+")
_CHOICES = re.compile(r"[a-z_|]+")


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
        return {match[1]: match[2] for word in self.arguments if (match := _FIELD.fullmatch(word))}


def parse(text: str, file: str) -> tuple[Step, ...]:
    """The steps of a scenario. ``ScenarioError`` lists every line that is none."""
    steps, faults = [], []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            words = split(line)
            if words:
                check(words)
                steps.append(Step(number, words[0], tuple(words[1:]), line.strip()))
        except ValueError as error:
            faults.append(f"{file}:{number}: {error}")
    faults += [f"{file}:{line}: {fault}" for line, fault in _order(steps)] if not faults else []
    if faults:
        more = [f"{file}: {len(faults) - MOST_FAULTS} more lines are wrong"] if len(faults) > MOST_FAULTS else []
        raise ScenarioError("\n".join([*faults[:MOST_FAULTS], *more]))
    return tuple(steps)


def split(line: str) -> list[str]:
    """The words of a line. ``#`` starts a comment where a word could start, so that ``1234#`` are keys.

    Double quotes hold a word with blanks together, also after ``key=``. ``ValueError``: a quote is missing.
    """
    words: list[str] = []
    position = 0
    while position < len(line):
        if line[position].isspace():
            position += 1
            continue
        if line[position] == "#":
            break
        match = _WORD.match(line, position)
        if match is None or line[match.end() : match.end() + 1] == '"':
            raise ValueError("a quotation mark is missing")
        words.append(match[0].replace('"', ""))
        position = match.end()
    return words


# ------------------------------------------------------------------ one step


def check(words: list[str]) -> None:
    """``ValueError``, in words for the person who wrote the step, unless it has one of its forms."""
    word, rest = words[0], words[1:]
    if word.startswith("+"):
        parse_duration(word[1:])
        if rest:
            raise ValueError("a step forward in time is one word, such as +10s")
        return
    if word not in FORMS:
        raise ValueError(f'there is no step "{word}"; {did_you_mean(word, FORMS, "docs/scenarios.md lists them")}')
    faults = []
    for form in FORMS[word]:
        fault = _unlike(form, rest)
        if fault is None:
            break
        faults.append((*fault, form))
    else:
        raise ValueError(_nearest_forms(word, faults))
    if word in ("expect", "expect-no"):
        _check_event(EventName(rest[0]), rest[1:])


def _nearest_forms(word: str, faults: list[tuple[int, str, str]]) -> str:
    """What is wrong with the words, seen from the form that goes furthest with them; from all if several do."""
    furthest = max(position for position, _, _ in faults)
    near = [(text, f"{word} {form}".strip()) for position, text, form in faults if position == furthest]
    if len(near) == 1:
        text, form = near[0]
        return f'expected "{form}": {text}'
    return "expected one of these:" + "".join(f"\n    {form}" for _, form in near)


def _unlike(form: str, words: list[str]) -> tuple[int, str] | None:
    """Where the words leave the form, and how; ``None``: they do not."""
    position = 0
    for token in _TOKEN.findall(form):
        if token.startswith("["):
            name, _, value = token[1:-1].partition(" ")
            if value == "…":
                position = len(words)
            elif words[position : position + 1] == [name]:
                if position + 1 == len(words):
                    return position, f'a word is missing after "{name}"'
                if (fault := _unlike_word(value, words[position + 1])) is not None:
                    return position + 1, fault
                position += 2
        elif position == len(words):
            return position, "a word is missing"
        elif (fault := _unlike_word(token, words[position])) is not None:
            return position, fault
        else:
            position += 1
    return (position, f'"{words[position]}" does not belong there') if position < len(words) else None


def _unlike_word(token: str, word: str) -> str | None:
    try:
        _CHECKS.get(token, _any)(word)
    except ValueError as error:
        return str(error)
    if _CHOICES.fullmatch(token) and word not in token.split("|"):
        return f'"{word}" is not {" or ".join(token.split("|"))}'
    return None


def _any(word: str) -> None:
    if not word:
        raise ValueError("a word is empty")


def instant(text: str) -> datetime:
    """An ISO 8601 instant with its offset. ``ValueError`` otherwise."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ValueError(f'"{text}" is no instant with its offset, such as 2026-03-02T08:00:00+01:00')
    return found


def signed_duration(text: str) -> float:
    """Seconds from ``+1h`` or ``-300ms``. ``ValueError`` otherwise."""
    match = _SIGNED.fullmatch(text)
    if match is None:
        raise ValueError(f'expected a duration with its sign such as "+1h" or "-30s", not "{text}"')
    return parse_duration(match[2]) * (-1 if match[1] == "-" else 1)


def _keys(text: str) -> None:
    if not text or not set(text) <= KEYS:
        raise ValueError("keys are digits, * and #")


def _event(text: str) -> None:
    if text not in list(EventName):
        raise ValueError(f'there is no event "{text}"; {did_you_mean(text, list(EventName))}')


def _mode(text: str) -> None:
    if text not in list(Mode):
        raise ValueError(f'there is no mode "{text}"; {did_you_mean(text, list(Mode))}')


def _kind(text: str) -> None:
    if text not in list(OutageKind):
        raise ValueError(f'there is no failure "{text}"; {did_you_mean(text, list(OutageKind))}')


_CHECKS = {
    "INSTANT": instant,
    "DURATION": parse_duration,
    "±DURATION": signed_duration,
    "KEYS": _keys,
    "EVENT": _event,
    "MODE": _mode,
    "KIND": _kind,
}


def _check_event(name: EventName, words: list[str]) -> None:
    seen: set[str] = set()
    for word in words:
        match = _FIELD.fullmatch(word)
        if match is None:
            raise ValueError(f'expected KEY=VALUE such as door=lobby, not "{word}"')
        key = match[1]
        if key not in EVENT_FIELDS[name]:
            known = ", ".join(EVENT_FIELDS[name]) or "none"
            raise ValueError(f'{name.value} has no field "{key}"; it has: {known}')
        if key in seen:
            raise ValueError(f'"{key}" stands twice')
        seen.add(key)
        if key == "reason" and match[2] not in list(Reason):
            raise ValueError(f'there is no reason "{match[2]}"; {did_you_mean(match[2], list(Reason))}')


# ------------------------------------------------------------------ all of them


def _order(steps: list[Step]) -> Iterator[tuple[int, str]]:
    """What must come first, and once."""
    seen: dict[str, int] = {}
    for step in steps:
        if step.word in ("config", "start") and step.word in seen:
            yield step.line, f"{step.word} stands in line {seen[step.word]} already"
        elif step.word == "directory" and "directory" in seen and "start" not in seen:
            yield step.line, f"before start there is one directory; line {seen['directory']} names one already"
        elif step.word == "start" and "config" not in seen:
            yield step.line, "the step config comes before start"
        elif step.word not in ("config", "directory", "start") and "start" not in seen:
            yield step.line, "the steps config and start come first"
        seen.setdefault(step.word, step.line)
    if "start" not in seen:
        yield max([1, *(step.line for step in steps)]), "the file has no step start: nothing would be played"


def known_name(kind: str, name: str, known: Collection[str]) -> str:
    """The name, if there is such a thing. ``ValueError`` otherwise, with the nearest that there is."""
    if name not in known:
        raise ValueError(f'there is no {kind} "{name}"; {did_you_mean(name, known)}')
    return name
