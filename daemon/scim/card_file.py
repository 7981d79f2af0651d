"""Side files: cards and PINs kept beside a directory that carries none, as CSV or JSON, keyed on a person. Pure.

CSV has a header line: first column the key (``externalId``, ``userName`` or ``employeeNumber``), the others
latchd's attribute names (``cardFormat``, ``facilityCode``, ``cardNumber``, ``cards`` …) and ``pin``. JSON is an
object from key to such an object, or to a list of them.
"""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from daemon.scim.resource import text


class SideFileError(ValueError):
    """The side file cannot be read; the message names the line and the column, never a value."""


@dataclass(frozen=True, slots=True)
class SideFile:
    """Rows of card attributes by key, without regard to case."""

    table: Mapping[str, Sequence[Mapping[str, Any]]]

    def rows(self, owner: object) -> Sequence[Mapping[str, Any]]:
        """The rows of one person, by the value of the key attribute."""
        key = text(owner)
        return () if key is None else self.table.get(key.casefold(), ())


def parse_side_file(content: str, key: str) -> SideFile:
    """Read CSV, or JSON when the content begins with ``{``. ``key`` is the expected first column."""
    content = content.removeprefix("\ufeff")
    return _json(content) if content.lstrip().startswith("{") else _csv(content, key)


def _json(content: str) -> SideFile:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise SideFileError(f"line {line}: this is no JSON") from None
    table: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for owner, entry in document.items():
        for row in entry if isinstance(entry, list) else [entry]:
            if not isinstance(row, Mapping):
                raise SideFileError(
                    f"entry {len(table) + 1}: expected an object of card attributes, or a list of them"
                )
            table[owner.strip().casefold()].append(row)
    return SideFile(dict(table))


def _csv(content: str, key: str) -> SideFile:
    delimiter = ";" if ";" in content.partition("\n")[0] else ","
    reader = csv.DictReader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
    table: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    try:
        columns = [(name or "").strip() for name in reader.fieldnames or ()]
        reader.fieldnames = columns
        if not columns or columns[0].casefold() != key.casefold():
            raise SideFileError(f'line 1: expected a header line whose first column is "{key}"')
        for row in reader:
            if None in row or None in row.values():
                raise SideFileError(f"line {reader.line_num}: expected {len(columns)} columns as in the header")
            owner = str(row[columns[0]]).strip().casefold()
            if owner:
                table[owner].append({name: row[name] for name in columns[1:] if row[name]})
    except csv.Error:
        raise SideFileError(f"line {reader.line_num}: this is no CSV") from None
    return SideFile(dict(table))
