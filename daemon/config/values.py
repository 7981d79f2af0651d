"""The small notations of the hardware half: sizes, counts, sockets, points. Pure."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, PlainValidator

from daemon.config.bounds import KEEP, LONGEST_SOCKET, MAX_SIZE
from drivers.events import Point

GPIO = "gpio:"
"""How a line of a chip is named directly."""

_SIZE = re.compile(r"(\d{1,9})(B|kB|MB|GB)")
_SIZE_UNITS = {"B": 1, "kB": 1000, "MB": 1000_000, "GB": 1000_000_000}


def check_socket(path: str) -> str:
    """The path of a Unix socket, as far as it can be seen from it."""
    if len(path.encode()) > LONGEST_SOCKET:
        raise ValueError(f"expected the path of a Unix socket, {LONGEST_SOCKET} bytes at most")
    return path


def parse_size(text: object) -> int:
    """Bytes from ``512MB``; kB, MB and GB are powers of 1000. What is smaller than 1 MB could hold no history."""
    match = _SIZE.fullmatch(text) if isinstance(text, str) else None
    size = 0 if match is None else int(match[1]) * _SIZE_UNITS[match[2]]
    if size < MAX_SIZE.least:
        raise ValueError('expected a size such as "512MB", at least "1MB"')
    return size


def parse_count(text: object) -> int:
    """A number of events; written as a number or, as in ``keep = "1000000"``, as digits."""
    if isinstance(text, int) and not isinstance(text, bool) and text >= KEEP.least:
        return text
    if isinstance(text, str) and text.isascii() and text.isdigit() and int(text) >= KEEP.least:
        return int(text)
    raise ValueError('expected a count above 0 such as "1000000"')


def parse_point(text: object) -> Point:
    """An output or input: ``main.out1``, ``reader:lobby-in/out0`` or ``gpio:/dev/gpiochip0/22``."""
    if isinstance(text, str):
        if text.startswith(GPIO):
            chip, slash, line = text.removeprefix(GPIO).rpartition("/")
            if slash and chip and line.isdigit():
                return Point(GPIO + chip, line)
        elif text.startswith("reader:"):
            device, slash, line = text.removeprefix("reader:").partition("/")
            if slash and device and line:
                return Point(device, line)
        else:
            device, dot, line = text.rpartition(".")
            if dot and device and line:
                return Point(device, line)
    raise ValueError('expected "board.out1", "reader:NAME/out0" or "gpio:/dev/gpiochip0/22"')


Size = Annotated[int, PlainValidator(parse_size)]
Count = Annotated[int, PlainValidator(parse_count)]
Line = Annotated[Point, PlainValidator(parse_point)]
SocketPath = Annotated[str, AfterValidator(check_socket)]
