"""The words on a control socket: one JSON object a line, a request and then its answers. Pure.

A request is ``{"command": "events", "arguments": {"follow": true}}``. Each answer line is an item,
``{"item": …}``, and the last one is ``{"end": "ok"}`` or ``{"end": "error", "message": …, "exit_code": n}``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cache.errors import LatchdError
from daemon.errors import ControlError

MAX_REQUEST = 4096
"""Bytes of a request with its newline, whoever sends it."""

LARGEST = 2**63 - 1
"""Numbers beyond are refused: no database takes them."""


@dataclass(frozen=True, slots=True)
class Request:
    """One command with its arguments by name."""

    command: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


def encode_request(request: Request) -> bytes:
    """The line of a request."""
    return _line({"command": request.command, "arguments": dict(request.arguments)})


def decode_request(line: bytes) -> Request:
    """The request of a line; ``ControlError`` if it is none."""
    if len(line) > MAX_REQUEST:
        raise ControlError(f"the request is longer than {MAX_REQUEST} bytes")
    try:
        raw = json.loads(line, parse_constant=_refuse)
        json.dumps(raw, ensure_ascii=False).encode()
        small = _small(raw)
    except UnicodeEncodeError:
        raise ControlError("the request holds text that is not Unicode (half of a surrogate pair)") from None
    except (ValueError, RecursionError):
        raise ControlError("the request is not a line of JSON") from None
    if not small:
        raise ControlError("the request holds a number that is too large")
    arguments = raw.get("arguments", {}) if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or not isinstance(raw.get("command"), str) or not isinstance(arguments, dict):
        raise ControlError('the request is not of the form {"command": NAME, "arguments": {…}}')
    return Request(raw["command"], arguments)


def encode_item(item: object) -> bytes:
    """The line of one item of an answer: a dataclass, or plain JSON values."""
    return _line({"item": plain(item)})


def encode_end(error: LatchdError | None = None) -> bytes:
    """The last line of an answer."""
    if error is None:
        return _line({"end": "ok"})
    return _line({"end": "error", "message": str(error), "exit_code": error.exit_code})


def decode_answer(line: bytes) -> tuple[bool, Any]:
    """``(True, item)``, or ``(False, None)`` at the end; an error that the daemon reported is raised."""
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError):
        raise ControlError("the daemon's answer is not a line of JSON") from None
    match raw:
        case {"item": item}:
            return True, item
        case {"end": "ok"}:
            return False, None
        case {"end": "error", "message": str(message)}:
            error = ControlError(message)
            code = raw.get("exit_code")
            error.exit_code = code if isinstance(code, int) else error.exit_code
            raise error
    raise ControlError("the daemon's answer is not of a form that this latchctl knows")


def plain(value: object) -> Any:
    """A dataclass (and what is inside) as JSON values; bytes as hexadecimal, instants in ISO 8601."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else value


def _line(value: object) -> bytes:
    """Text that UTF-8 cannot carry (half of a surrogate pair) goes as JSON's escapes."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is not JSON")


def _small(value: object) -> bool:
    """Whether every number in it is one that a database takes."""
    if isinstance(value, dict):
        return all(_small(inner) for inner in value.values())
    if isinstance(value, list):
        return all(_small(inner) for inner in value)
    return not isinstance(value, int | float) or abs(value) <= LARGEST
