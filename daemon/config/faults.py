"""Faults of a site file: what pydantic found, said in words with line, key and the nearest known key. Pure."""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from daemon.config.lines import Path
from drivers.settings import did_you_mean

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: where (a path of keys) and what, in words that say what was expected."""

    path: Path
    text: str

    @property
    def key(self) -> str:
        """The path as a person would write it: ``door.lobby.strike_time``, ``access_level[2].doors``."""
        key = ""
        for step in self.path:
            key += f"[{step + 1}]" if isinstance(step, int) else f".{step}" if key else step
        return key


@dataclass(frozen=True, slots=True)
class Parsed(Generic[T]):
    """A value, or the faults that prevented it."""

    value: T | None
    faults: tuple[Fault, ...] = ()


def parse(kind: type[T], raw: Mapping[str, object], path: Path = ()) -> Parsed[T]:
    """Read ``raw`` (what tomllib returned) as the settings class ``kind``; every fault, not just the first."""
    try:
        return Parsed(TypeAdapter(kind).validate_json(json.dumps(raw, default=_text)))
    except ValidationError as error:
        return Parsed(None, tuple(_fault(kind, found, path) for found in error.errors(include_url=False)))


def _text(value: object) -> str:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not a TOML value")


def _fault(kind: Any, found: Any, path: Path) -> Fault:
    """One error of pydantic as a fault; the input itself is left out, it may be a secret."""
    loc = tuple(step for step in found["loc"] if step != "[key]")
    where = (*path, *loc)
    code = found["type"]
    if code in ("unexpected_keyword_argument", "extra_forbidden"):
        return Fault(where, unknown_key(str(loc[-1]), known_keys(kind, loc[:-1])))
    if code in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return Fault(where, "this key is missing")
    if code == "value_error":
        return Fault(where, str(found["ctx"]["error"]))
    if code == "dataclass_type":
        return Fault(where, "expected a table")
    return Fault(where, str(found["msg"]).replace("Input should be", "expected"))


def unknown_key(key: str, known: list[str]) -> str:
    """What to say of a key that nothing reads."""
    listed = f"known here: {', '.join(sorted(known)) or 'none'}"
    return f"unknown key; {did_you_mean(key, known, listed)}"


def known_keys(kind: Any, path: Path) -> list[str]:
    """The keys that the table at ``path`` below the settings class ``kind`` may have."""
    for step in path:
        kind = _inner(kind, step)
    kind = _plain(kind)
    if not dataclasses.is_dataclass(kind):
        return []
    return [_alias(field) for field in dataclasses.fields(kind)]


def _inner(kind: Any, step: str | int) -> Any:
    kind = _plain(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return next((hints[f.name] for f in dataclasses.fields(kind) if _alias(f) == step), None)
    arguments = get_args(kind)
    if get_origin(kind) in (dict, Mapping):
        return arguments[1]
    return arguments[0] if arguments else None


def _plain(kind: Any) -> Any:
    """``X`` of ``X | None``."""
    if get_origin(kind) in (Union, types.UnionType):
        return next((a for a in get_args(kind) if a is not type(None)), None)
    return kind


def _alias(field: dataclasses.Field[Any]) -> str:
    alias = getattr(field.default, "alias", None)
    return alias if isinstance(alias, str) else field.name
