"""The text of a recording: what passed on a bus, in lines that a person can read and a machine can replay. Pure.

    latchd recording 1
    driver osdp
    bus {"port": "/dev/ttyRS485-1", "baudrate": 9600, …}
    device lobby-in {"address": 0, …}
    48211.402113 open
    48211.402391 tx 53000900046100c066
    48211.436080 rx 538014000445…
    48211.436533 ev online lobby-in secure

A line is the monotonic time in seconds, what happened, and its words. ``Kind`` lists what may happen. Settings are
those of the site file; a secret stands in neither, only a reference to it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, get_type_hints

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from drivers.events import (
    Buzz,
    CardRead,
    Colour,
    Command,
    DeviceAlarm,
    DeviceEvent,
    DeviceOffline,
    DeviceOnline,
    InputChanged,
    KeyPress,
    Led,
    Point,
    Pulse,
    ReadError,
    SwitchOff,
    SwitchOn,
)
from drivers.settings import parse_duration

MAGIC = "latchd recording 1"
MAX_BYTES = 128 * 1024 * 1024
"""Of a recording that is read: twice what latchd keeps of one bus."""


class RecordingError(ValueError):
    """A file is no recording, or one that cannot be replayed; the message names the line."""


class Kind(StrEnum):
    """What a line tells."""

    OPEN = "open"
    """The port or chip was opened."""
    CLOSE = "close"
    """It was closed, or is gone."""
    SENT = "tx"
    """Bytes that latchd sent, in hexadecimal."""
    RECEIVED = "rx"
    """Bytes that came."""
    EDGE = "edge"
    """``LINE LEVEL NANOSECONDS NUMBER``: an edge as the kernel reported it; edges read together share a time."""
    LEVEL = "level"
    """``LINE LEVEL``: what a line said when it was looked at."""
    COMMAND = "do"
    """A command of the doors loop."""
    EVENT = "ev"
    """What latchd made of it; not needed for a replay, but compared with it."""
    HIDDEN = "hidden"
    """``tx N`` or ``rx N``: bytes under OSDP's default key, which would give away the key they bring."""
    GAP = "gap"
    """``N``: lines were lost, because the disk did not keep up."""
    STOP = "stop"
    """latchd ends: outputs are switched off."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line; ``number`` is its place in the file."""

    at: float
    kind: Kind
    words: str = ""
    number: int = 0

    @property
    def data(self) -> bytes:
        """The bytes of ``tx`` and ``rx``."""
        return bytes.fromhex(self.words)

    def text(self) -> str:
        """As it stands in the file."""
        return f"{self.at:.6f} {self.kind} {self.words}".rstrip()


@dataclass(frozen=True, slots=True)
class Recording:
    """A whole recording: the driver, its settings as JSON, and the lines in order.

    ``boards`` are those of the devices that are no readers, where a driver has both; ``formats`` are the card
    formats of the site file that its readers use.
    """

    driver: str
    bus: str
    devices: Mapping[str, str]
    lines: tuple[Line, ...]
    boards: frozenset[str] = frozenset()
    formats: Mapping[str, str] = field(default_factory=dict)

    @property
    def events(self) -> list[str]:
        """The events that latchd reported when it was recorded, in words."""
        return [line.words for line in self.lines if line.kind is Kind.EVENT]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay tells, and the line that made it so."""

    line: Line
    event: DeviceEvent


def header(
    driver: str,
    bus: Any,
    devices: Mapping[str, Any],
    boards: Container[str] = (),
    formats: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """The first lines of a file."""
    lines = [MAGIC, f"driver {driver}", f"bus {_settings_text(bus)}"]
    lines += [f"format {name} {json.dumps(table)}" for name, table in (formats or {}).items()]
    for name, settings in devices.items():
        lines.append(f"{'board' if name in boards else 'device'} {name} {_settings_text(settings)}")
    return "".join(line + "\n" for line in lines)


def parse(texts: Iterable[str]) -> Recording:
    """Files of one recording in their order, the oldest first. Raises ``RecordingError``.

    Lines before the first ``open`` are left out: what was going on then is in a file that is not there.
    """
    driver, bus, boards, lines = "", "null", set[str](), list[Line]()
    devices, formats = dict[str, str](), dict[str, str]()
    for text in texts:
        if len(text) > MAX_BYTES:
            raise RecordingError(f"a recording has at most {MAX_BYTES} bytes")
        rows = text.splitlines()
        if not rows or rows[0] != MAGIC:
            raise RecordingError(f'line 1: this is no recording: it would begin with "{MAGIC}"')
        for number, row in enumerate(rows[1:], 2):
            match row.split(" ", 2):
                case ["driver", name]:
                    driver = name
                case ["bus", *settings]:
                    bus = " ".join(settings)
                case ["format", name, layout]:
                    formats[name] = layout
                case ["device" | "board" as what, name, settings]:
                    devices[name] = settings
                    boards |= {name} if what == "board" else set()
                case _:
                    lines.append(_line(row, number))
    if not driver:
        raise RecordingError("the recording does not name its driver")
    first = next((at for at, line in enumerate(lines) if line.kind is Kind.OPEN), len(lines))
    return Recording(driver, bus, devices, tuple(lines[first:]), frozenset(boards), formats)


_FORM = re.compile(r"(\d{1,12}\.\d{6}) ([a-z]{2,8})(?: (.*))?")


def _line(row: str, number: int) -> Line:
    found = _FORM.fullmatch(row)
    words = (found[3] or "") if found else ""
    with contextlib.suppress(ValueError):
        if found and (found[2] not in (Kind.SENT, Kind.RECEIVED) or bytes.fromhex(words)):
            return Line(float(found[1]), Kind(found[2]), words, number)
    raise RecordingError(f"line {number}: expected a time, one of {', '.join(Kind)}, and its words")


# ------------------------------------------------------------------ settings


def _settings_text(settings: Any) -> str:
    if settings is None:
        return "null"
    values = dataclasses.asdict(settings)
    for name in _durations(type(settings)):
        if values[name] is not None:
            values[name] = f"{values[name]:.6f}s"
    return json.dumps(values, ensure_ascii=False)


def settings_of(text: str) -> dict[str, Any]:
    """Settings as they stand in a recording. Raises ``RecordingError``."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RecordingError("the recording's settings are no JSON object")
    return found


def restore(kind: type[Any], text: str) -> Any:
    """Settings of the class ``kind``. Raises ``RecordingError``."""
    try:
        return TypeAdapter(kind).validate_json(text)
    except ValidationError as error:
        what = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise RecordingError(f"the recording's settings do not fit this latchd: {what}") from None


def _durations(kind: type[Any]) -> list[str]:
    """The fields that the site file has as ``"300ms"`` and the settings in seconds."""
    hints = get_type_hints(kind, include_extras=True)
    return [name for name, hint in hints.items() if _is_duration(hint)]


def _is_duration(hint: Any) -> bool:
    marks = getattr(hint, "__metadata__", ())
    if any(isinstance(mark, BeforeValidator) and mark.func is parse_duration for mark in marks):
        return True
    return any(_is_duration(inner) for inner in getattr(hint, "__args__", ()))


# ------------------------------------------------------------------ commands and events


def command_words(command: Command) -> str:
    """A command as ``do`` has it."""
    match command:
        case Pulse():
            return f"pulse {command.point} {command.seconds!r}"
        case SwitchOn():
            return f"hold {command.point}"
        case SwitchOff():
            return f"release {command.point}"
        case Led():
            how = "steady" if command.seconds is None else repr(command.seconds)
            return f"led {command.reader} {command.colour} {how}{' blink' if command.blink else ''}"
        case Buzz():
            return f"buzz {command.reader} {command.count} {command.seconds!r}"


def read_command(line: Line) -> Command:
    """The command of a ``do`` line. Raises ``RecordingError``."""
    try:
        match line.words.split():
            case ["pulse", point, seconds]:
                return Pulse(_point(point), float(seconds))
            case ["hold", point]:
                return SwitchOn(_point(point))
            case ["release", point]:
                return SwitchOff(_point(point))
            case ["led", reader, colour, how, *blink]:
                seconds_or_none = None if how == "steady" else float(how)
                return Led(reader, Colour(colour), seconds_or_none, blink == ["blink"])
            case ["buzz", reader, count, seconds]:
                return Buzz(reader, int(count), float(seconds))
    except ValueError:
        pass
    raise RecordingError(f"line {line.number}: this is no command that latchd knows")


def _point(text: str) -> Point:
    device, dot, line = text.rpartition(".")
    if not dot:
        raise ValueError(text)
    return Point(device, line)


def event_words(event: DeviceEvent, *, shown: bool) -> str:
    """An event in words, without its time; card numbers and keys only if they are to be ``shown``."""
    match event:
        case CardRead():
            bits = f" {event.value:0{event.length}b}" if shown else ""
            return f"card {event.reader} {event.length} bits{bits}"
        case ReadError():
            bits = f" {event.value:0{event.length}b}" if shown and event.length else ""
            return f"read-error {event.reader} {event.fault} {event.length} bits{bits}"
        case KeyPress():
            return f"keys {event.reader} {len(event.keys)} keys{f' {event.keys}' if shown else ''}"
        case InputChanged():
            return f"input {event.point} {event.state}"
        case DeviceOnline():
            return f"online {event.device}{' secure' if event.secure else ''} {event.identity}".rstrip()
        case DeviceOffline():
            return f"offline {event.device} {event.why}"
        case DeviceAlarm():
            return f"alarm {event.device} {event.what}"
        case _:
            return f"tamper {event.device} {'on' if event.active else 'off'}"


_SECRET = re.compile(r"((?:card|read-error) .* bits|keys \S+ \d+ keys) \S+")


def comparable(words: str) -> str:
    """An event in words, without what may differ between a bus and its replay: secrets, and why a port is gone."""
    words = " ".join(words.split())
    secret = _SECRET.fullmatch(words)
    if secret is not None:
        return secret[1]
    return " ".join(words.split()[:2]) if words.startswith("offline ") else words


# ------------------------------------------------------------------ what drivers bring to it


class Filter:
    """Sees all bytes in order and says which may be written down; this one says all."""

    def passes(self, data: bytes, *, sent: bool) -> bool:
        """Whether ``data`` may stand in the recording."""
        del data, sent
        return True


def _nothing_secret(bus: Any, devices: Mapping[str, Any]) -> str:
    del bus, devices
    return ""


@dataclass(frozen=True, slots=True)
class RecordingSupport:
    """What a driver that can be recorded and replayed brings. ``replay`` is its pure machine over the lines.

    ``cleartext(bus, devices)`` says why a recording would hold card numbers or keys in clear, or nothing.
    """

    replay: Callable[[Recording, Any, Mapping[str, Any], Any], Iterator[Replayed]]
    cleartext: Callable[[Any, Mapping[str, Any]], str] = _nothing_secret
    filter: Callable[[], Filter] = Filter
    decode: Callable[[Recording], Iterator[tuple[float, str]]] | None = None
    """What passed, with its time, in words that hold no secret."""
    capture: Callable[[Recording, bool], Iterator[bytes]] | None = None
    """The same as a file for Wireshark; secrets are blanked unless the flag says that they may stand in it."""
