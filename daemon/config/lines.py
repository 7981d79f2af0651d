"""Where each key of a TOML text stands, so that a fault can name its line. Pure."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping

Path = tuple[str | int, ...]
"""The way to a value: table and key names, and the index inside an array of tables."""


def key_lines(text: str) -> dict[Path, int]:
    """The line (from 1) at which each key, table and array element of a *valid* TOML text is written.

    A value that is spread over several lines, and all that is inside an inline table or an array, stands
    at the line where its key is.
    """
    lines: dict[Path, int] = {}
    elements: dict[Path, int] = {}
    table: Path = ()
    for number, statement in _statements(text):
        parsed = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            table = _header(parsed, elements)
            lines.setdefault(table, number)
        else:
            for path in _paths(parsed, ()):
                lines.setdefault(table + path, number)
    return lines


def nearest_line(lines: Mapping[Path, int], path: Path) -> int:
    """The line of ``path`` or, where that was never written, of the closest table around it (else 1)."""
    for end in range(len(path), 0, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return 1


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each statement with the line where it starts: the fewest lines that are valid TOML by themselves."""
    pending: list[str] = []
    first = 1
    for number, line in enumerate(text.split("\n"), 1):
        if not pending:
            first = number
            if not line.strip() or line.lstrip().startswith("#"):
                continue
        pending.append(line)
        try:
            tomllib.loads("\n".join(pending))
        except tomllib.TOMLDecodeError:
            continue
        yield first, "\n".join(pending)
        pending.clear()


def _header(parsed: dict[str, object], elements: dict[Path, int]) -> Path:
    """The path of ``[a.b]`` or ``[[a.b]]``, through the newest element of each array on the way."""
    path: Path = ()
    value: object = parsed
    while isinstance(value, dict) and value:
        [(name, value)] = value.items()
        path += (name,)
        if isinstance(value, list):
            elements[path] = elements.get(path, -1) + 1
            return (*path, elements[path])
        if path in elements:
            path = (*path, elements[path])
    return path


def _paths(value: object, path: Path) -> Iterator[Path]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _paths(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _paths(inner, (*path, index))
