"""SCIM filters (RFC 7644 §3.4.2.2), parsed and applied here, because a server's own cannot be trusted. Pure.

What a group can be chosen by: ``attribute operator value``, ``pr``, ``and``, ``or``, ``not (…)``, brackets, and
``members[…]`` value paths. Strings compare without regard to case, as displayName and userName do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from daemon.scim.resource import lookup

_TOKEN = re.compile(
    r"""\s*(?:(?P<mark>[()\[\]])
        |(?P<string>"(?:[^"\\]|\\.)*")
        |(?P<number>-?\d+(?:\.\d+)?)(?=[\s)\]]|$)
        |(?P<word>[A-Za-z$][\w$:.\-]*))""",
    re.VERBOSE,
)
_MAX_DEPTH = 16

Predicate = Callable[[Mapping[str, Any]], bool]


class FilterError(ValueError):
    """The filter is not one of RFC 7644; the message says where."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def parse_filter(text: str) -> Predicate:
    """The filter as a function of a resource. ``FilterError`` names the column of what is wrong."""
    parser = _Parser(list(_tokens(text)))
    predicate = parser.either(0)
    if parser.more():
        raise parser.error("expected and, or, or the end")
    return predicate


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while rest := text[at:].lstrip():
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            column = len(text) - len(rest) + 1
            raise FilterError(f"column {column}: expected an attribute, an operator or a value")
        yield _Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup))
        at = match.end()


class _Parser:
    """Recursive descent over the tokens; ``and`` binds tighter than ``or``."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0

    def more(self) -> bool:
        return self._next < len(self._tokens)

    def error(self, text: str) -> FilterError:
        where = f"column {self._tokens[self._next].at + 1}" if self.more() else "at the end"
        return FilterError(f"{where}: {text}")

    def either(self, depth: int) -> Predicate:
        if depth > _MAX_DEPTH:
            raise self.error(f"brackets are nested deeper than {_MAX_DEPTH}")
        terms = [self._both(depth)]
        while self._take("or"):
            terms.append(self._both(depth))
        return terms[0] if len(terms) == 1 else lambda resource: any(term(resource) for term in terms)

    def _both(self, depth: int) -> Predicate:
        terms = [self._term(depth)]
        while self._take("and"):
            terms.append(self._term(depth))
        return terms[0] if len(terms) == 1 else lambda resource: all(term(resource) for term in terms)

    def _term(self, depth: int) -> Predicate:
        if self._take("not"):
            inner = self._bracket("(", ")", depth)
            return lambda resource: not inner(resource)
        if self.more() and self._tokens[self._next].text == "(":
            return self._bracket("(", ")", depth)
        path = self._word()
        if self.more() and self._tokens[self._next].text == "[":
            inside = self._bracket("[", "]", depth)
            return lambda resource: any(inside(v) for v in lookup(resource, path) if isinstance(v, Mapping))
        return self._comparison(path)

    def _comparison(self, path: str) -> Predicate:
        operator = self._word().lower()
        if operator == "pr":
            return lambda resource: any(v not in (None, "", [], {}) for v in _plain(resource, path))
        compare = _OPERATORS.get(operator)
        if compare is None:
            self._next -= 1
            raise self.error(f"expected an operator: {', '.join((*_OPERATORS, 'pr'))}")
        wanted = self._value()
        if operator == "ne":
            return lambda resource: all(compare(v, wanted) for v in _plain(resource, path))
        return lambda resource: any(compare(v, wanted) for v in _plain(resource, path))

    def _bracket(self, first: str, last: str, depth: int) -> Predicate:
        self._mark(first)
        inner = self.either(depth + 1)
        self._mark(last)
        return inner

    def _mark(self, mark: str) -> None:
        if not self.more() or self._tokens[self._next].text != mark:
            raise self.error(f'expected "{mark}"')
        self._next += 1

    def _take(self, word: str) -> bool:
        token = self._tokens[self._next] if self.more() else None
        if token is None or token.kind != "word" or token.text.lower() != word:
            return False
        self._next += 1
        return True

    def _word(self) -> str:
        token = self._tokens[self._next] if self.more() else None
        if token is None or token.kind != "word":
            raise self.error("expected an attribute or an operator")
        self._next += 1
        return token.text

    def _value(self) -> object:
        token = self._tokens[self._next] if self.more() else None
        if token is None or token.kind == "mark":
            raise self.error('expected a value such as "text", 12, true or null')
        value = token.text.lower() if token.kind == "word" else token.text
        try:
            parsed: object = json.loads(value)
        except ValueError:
            raise self.error('expected a value such as "text", 12, true or null') from None
        self._next += 1
        return _fold(parsed)


def _fold(value: object) -> object:
    return value.casefold() if isinstance(value, str) else value


def _plain(resource: Mapping[str, Any], path: str) -> list[object]:
    """The values at ``path``; a complex value stands for its ``value`` (RFC 7644 §3.4.2.2, multi-valued)."""
    found: list[object] = []
    for value in lookup(resource, path):
        inner = lookup(value, "value") if isinstance(value, Mapping) else [value]
        found.extend(_fold(item) for item in inner)
    return found


def _ordered(value: object, wanted: object, test: Callable[[Any, Any], bool]) -> bool:
    number = (int, float)
    if isinstance(value, str) and isinstance(wanted, str):
        return test(value, wanted)
    if isinstance(value, number) and isinstance(wanted, number):
        return test(value, wanted)
    return False


def _text(value: object, wanted: object, test: Callable[[str, str], bool]) -> bool:
    return isinstance(value, str) and isinstance(wanted, str) and test(value, wanted)


_OPERATORS: dict[str, Callable[[object, object], bool]] = {
    "eq": lambda value, wanted: value == wanted and isinstance(value, bool) == isinstance(wanted, bool),
    "ne": lambda value, wanted: value != wanted,
    "co": lambda value, wanted: _text(value, wanted, str.__contains__),
    "sw": lambda value, wanted: _text(value, wanted, str.startswith),
    "ew": lambda value, wanted: _text(value, wanted, str.endswith),
    "gt": lambda value, wanted: _ordered(value, wanted, lambda a, b: a > b),
    "ge": lambda value, wanted: _ordered(value, wanted, lambda a, b: a >= b),
    "lt": lambda value, wanted: _ordered(value, wanted, lambda a, b: a < b),
    "le": lambda value, wanted: _ordered(value, wanted, lambda a, b: a <= b),
}
