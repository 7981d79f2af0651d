"""What passed on an OSDP bus, frame by frame, in words that hold no secret. Pure.

    48211.402391 -> 0 seq 0 ID
    48211.436080 <- 0 seq 0 PDID vendor 5C2623 model 1.1 serial 00000001 firmware 1.2.3
    48214.110302 <- 0 seq 2 RAW 8 bytes not shown
    48214.201877 <- noise, 3 bytes: check characters do not fit

Only data that cannot be a card number, a PIN or a key are put in words: those of the messages named here, in
exactly the layout they have. All else, noise and damaged frames included, is told by its length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from drivers.osdp.frame import (
    CRC,
    HEADER_LENGTH,
    MARK,
    MAX_FRAME,
    SHORTEST_FRAME,
    SOM,
    Damage,
    Frame,
    decode,
)
from drivers.osdp.messages import (
    TICK,
    Capability,
    Cmd,
    MessageError,
    NakCode,
    OutputControl,
    Reply,
    parse_capabilities,
    parse_com,
    parse_identity,
    parse_local_status,
)
from drivers.osdp.secure import Scs
from drivers.recording import Kind, Line, Recording

# Messages that latchd neither sends nor reads, tables 6 and 30; another panel or a monitor may bring them.
_OTHER_COMMANDS = {
    0x6C: "RMODE",
    0x6D: "TDSET",
    0x73: "BIOREAD",
    0x74: "BIOMATCH",
    0x7B: "ACURXSIZE",
    0x7C: "FILETRANSFER",
    0x80: "MFG",
    0xA1: "XWR",
    0xA2: "ABORT",
    0xA3: "PIVDATA",
    0xA4: "GENAUTH",
    0xA5: "CRAUTH",
    0xA7: "KEEPACTIVE",
}
_OTHER_REPLIES = {
    0x57: "BIOREADR",
    0x58: "BIOMATCHR",
    0x7A: "FTSTAT",
    0x80: "PIVDATAR",
    0x81: "GENAUTHR",
    0x82: "CRAUTHR",
    0x83: "MFGSTATR",
    0x84: "MFGERRR",
    0x90: "MFGREP",
    0xB1: "XRD",
}
_COMMANDS: Mapping[int, str] = {**{each.value: each.name for each in Cmd}, **_OTHER_COMMANDS}
_REPLIES: Mapping[int, str] = {**{each.value: each.name for each in Reply}, **_OTHER_REPLIES}


@dataclass(frozen=True, slots=True)
class Passed:
    """A frame, or bytes that are in no frame, with the time of their first byte; ``why`` says why it is none."""

    at: float
    sent: bool
    raw: bytes = field(repr=False)
    frame: Frame | None = None
    why: str = ""


# ------------------------------------------------------------------ from bytes to frames


class _Direction:
    """One direction of the bus: finds the same frames as ``FrameReader``, and keeps what is between them."""

    def __init__(self, *, sent: bool) -> None:
        self._sent = sent
        self._bytes = bytearray()
        self._times: list[float] = []
        self._noise = bytearray()
        self._noise_at = 0.0
        self._why = ""

    def feed(self, data: bytes, at: float) -> Iterator[Passed]:
        self._bytes += data
        self._times += [at] * len(data)
        yield from self._scan(last=False)

    def end(self) -> Iterator[Passed]:
        """What has begun will not go on; a frame inside it still counts."""
        yield from self._scan(last=True)
        yield from self._quiet()

    def _scan(self, *, last: bool) -> Iterator[Passed]:
        while self._bytes:
            start = self._bytes.find(SOM)
            if start:
                yield from self._lose(start if start > 0 else len(self._bytes), "no start of a frame")
                continue
            length = int.from_bytes(self._bytes[2:4], "little") if len(self._bytes) >= HEADER_LENGTH else MAX_FRAME
            if length > MAX_FRAME or length < SHORTEST_FRAME + self._has_crc():
                yield from self._lose(1, f"a length of {length} is impossible")
            elif len(self._bytes) >= length:
                yield from self._whole(bytes(self._bytes[:length]))
            elif last:
                yield from self._lose(1, "a frame that did not end")
            else:
                break

    def _has_crc(self) -> bool:
        return len(self._bytes) >= HEADER_LENGTH and bool(self._bytes[HEADER_LENGTH - 1] & CRC)

    def _whole(self, raw: bytes) -> Iterator[Passed]:
        frame = decode(raw)
        if isinstance(frame, Damage):
            yield from self._lose(1, frame.why)
            return
        yield from self._quiet()
        yield Passed(self._times[0], self._sent, raw, frame)
        self._drop(len(raw))

    def _lose(self, count: int, why: str) -> Iterator[Passed]:
        if not self._noise:
            self._noise_at, self._why = self._times[0], why
        self._noise += self._bytes[:count]
        self._drop(count)
        if len(self._noise) >= MAX_FRAME:
            yield from self._quiet()

    def _quiet(self) -> Iterator[Passed]:
        """The bytes since the last frame, unless they are the marks that may stand before one."""
        if self._noise.strip(MARK):
            yield Passed(self._noise_at, self._sent, bytes(self._noise), None, self._why)
        self._noise.clear()

    def _drop(self, count: int) -> None:
        del self._bytes[:count], self._times[:count]


class Tracer:
    """Takes what a ``BusObserver`` is given, with the time, and gives what is complete. OSDP is half duplex: who
    speaks ends what the other had begun."""

    def __init__(self) -> None:
        self._out = _Direction(sent=True)
        self._in = _Direction(sent=False)

    def sent(self, data: bytes, at: float) -> list[Passed]:
        """Bytes went out."""
        return [*self._in.end(), *self._out.feed(data, at)]

    def received(self, data: bytes, at: float) -> list[Passed]:
        """Bytes came."""
        return [*self._out.end(), *self._in.feed(data, at)]

    def end(self) -> list[Passed]:
        """The port is closed, or the trace ends."""
        return [*self._out.end(), *self._in.end()]


# ------------------------------------------------------------------ from frames to words


def _nothing(data: bytes) -> str | None:
    return None if data else ""


def _standard(data: bytes) -> str | None:
    return "" if data == b"\x00" else None


def _out(data: bytes) -> str | None:
    rows = _rows(data, 4)
    if rows is None or any(row[1] > 6 for row in rows):
        return None
    names = {each.value: each.name.lower().replace("_", " ") for each in OutputControl}
    return ", ".join(
        f"output {row[0]} {names.get(row[1], f'control {row[1]}')} {_seconds(row[2:4])}".rstrip() for row in rows
    )


def _led(data: bytes) -> str | None:
    """LED, 6.9: reader, LED, then the temporary and the permanent light."""
    rows = _rows(data, 14)
    if rows is None or any(row[2] > 2 or row[9] > 1 or max(*row[5:7], *row[12:14]) > 7 for row in rows):
        return None
    return ", ".join(_light(row) for row in rows)


_COLOURS = ("off", "red", "green", "amber", "blue", "magenta", "cyan", "white")


def _light(row: bytes) -> str:
    lights = [f"LED {row[1]}"]
    if row[2] == 1:
        lights.append("as it was")
    if row[2] == 2:
        lights.append(f"{_COLOURS[row[5]]}/{_COLOURS[row[6]]} for {_seconds(row[7:9]) or '0 s'}")
    if row[9]:
        lights.append(f"{_COLOURS[row[12]]}/{_COLOURS[row[13]]} for good")
    return " ".join(lights)


def _buz(data: bytes) -> str | None:
    if len(data) != 5 or data[1] > 2:
        return None
    tone = ("no tone", "off", "default tone")[data[1]]
    return f"{tone}, {data[4]} times {data[2] * TICK:.1f} s on {data[3] * TICK:.1f} s off"


def _com(data: bytes) -> str | None:
    address, speed = parse_com(data)
    return f"address {address} at {speed} baud"


def _nak(data: bytes) -> str | None:
    names = {each.value: each.name.lower().replace("_", " ") for each in NakCode}
    return names.get(data[0], f"error {data[0]}") if len(data) == 1 else None


def _capabilities(data: bytes) -> str | None:
    names = {each.value: each.name.lower() for each in Capability}
    return ", ".join(
        f"{names.get(code, f'function {code}')} {level}/{count}"
        for code, (level, count) in parse_capabilities(data).items()
    )


def _local_status(data: bytes) -> str | None:
    opened, failed = parse_local_status(data)
    return f"case {'open' if opened else 'closed'}, power {'failed' if failed else 'good'}"


def _states(data: bytes) -> str | None:
    return (
        " ".join(f"{number}={state}" for number, state in enumerate(data)) if max(data, default=0) <= 4 else None
    )


# TEXT is not here because it may name a person; nor is what brings cards, keys and challenges.
_WORDS: Mapping[tuple[bool, int], Callable[[bytes], str | None]] = {
    **{(False, code): _nothing for code in (Cmd.POLL, Cmd.LSTAT, Cmd.ISTAT, Cmd.OSTAT, Cmd.RSTAT)},
    **{(False, code): _standard for code in (Cmd.ID, Cmd.CAP)},
    (False, Cmd.OUT): _out,
    (False, Cmd.LED): _led,
    (False, Cmd.BUZ): _buz,
    (False, Cmd.COMSET): _com,
    **{(True, code): _nothing for code in (Reply.ACK, Reply.BUSY)},
    (True, Reply.NAK): _nak,
    (True, Reply.PDID): lambda data: str(parse_identity(data)),
    (True, Reply.PDCAP): _capabilities,
    (True, Reply.LSTATR): _local_status,
    **{(True, code): _states for code in (Reply.ISTATR, Reply.OSTATR, Reply.RSTATR)},
    (True, Reply.COM): _com,
}


def _rows(data: bytes, length: int) -> list[bytes] | None:
    if not data or len(data) % length:
        return None
    return [data[at : at + length] for at in range(0, len(data), length)]


def _seconds(ticks: bytes) -> str:
    count = int.from_bytes(ticks, "little")
    return f"{count * TICK:.1f} s" if count else ""


def _said(frame: Frame) -> str | None:
    """The data in words, or ``None`` where they are not to be shown."""
    if not frame.data:
        return ""
    if frame.block and frame.block[0] not in (Scs.COMMAND, Scs.REPLY):
        return None
    try:
        say = _WORDS.get((frame.reply, frame.code))
        return say(frame.data) if say is not None else None
    except MessageError:
        return None


def is_secret(passed: Passed) -> bool:
    """Whether these bytes might give away a card, a PIN or a key: all that cannot be said in words."""
    return passed.frame is None or _said(passed.frame) is None or len(passed.frame.block) > 2


def words(passed: Passed) -> str:
    """What passed, without its time: direction, address, sequence, name, and the data in words or their length."""
    arrow = "->" if passed.sent else "<-"
    frame = passed.frame
    if frame is None:
        return f"{arrow} noise, {len(passed.raw)} bytes: {passed.why}"
    name = (_REPLIES if frame.reply else _COMMANDS).get(frame.code, f"unknown code {frame.code:#04x}")
    said = _said(frame)
    data = f"{len(frame.data)} bytes {'encrypted' if _encrypted(frame) else 'not shown'}" if said is None else said
    parts = [arrow, f"{frame.address} seq {frame.sequence} {name}", data, _security(frame)]
    if frame.reply == passed.sent:
        parts.append("(a reply that latchd sent)" if passed.sent else "(a command that came: an echo?)")
    return " ".join(part for part in parts if part)


def _encrypted(frame: Frame) -> bool:
    return bool(frame.block) and frame.block[0] in (Scs.COMMAND_ENCRYPTED, Scs.REPLY_ENCRYPTED)


def _security(frame: Frame) -> str:
    if not frame.block:
        return ""
    key = {b"\x00": ", default key", b"\x01": ", own key"}.get(frame.block[1:], "")
    return f"[SCS_{frame.block[0]:02X}{key if frame.block[0] <= Scs.CRYPTOGRAM else ''}]"


# ------------------------------------------------------------------ of a recording


_NOTES = {
    Kind.OPEN: "the port was opened",
    Kind.CLOSE: "the port was closed",
    Kind.STOP: "latchd ends",
}


def trace(recording: Recording) -> Iterator[Passed | Line]:
    """What passed in a recording, and those of its lines that are no bytes, in order."""
    tracer = Tracer()
    for line in recording.lines:
        match line.kind:
            case Kind.SENT:
                yield from tracer.sent(line.data, line.at)
            case Kind.RECEIVED:
                yield from tracer.received(line.data, line.at)
            case Kind.OPEN | Kind.CLOSE | Kind.STOP | Kind.HIDDEN | Kind.GAP:
                yield from tracer.end()
                yield line
    yield from tracer.end()


def decoded(recording: Recording) -> Iterator[tuple[float, str]]:
    """A recording for people: the time of each frame, and what it says."""
    for each in trace(recording):
        yield each.at, words(each) if isinstance(each, Passed) else _note(each)


def _note(line: Line) -> str:
    way, _, count = line.words.partition(" ")
    if line.kind is Kind.HIDDEN:
        return f"{'->' if way == Kind.SENT else '<-'} {_number(count)} bytes under the default key, not recorded"
    if line.kind is Kind.GAP:
        return f"{_number(way)} lines of the recording are missing"
    return _NOTES[line.kind]


def _number(text: str) -> str:
    """A number of the file, which anyone may write."""
    return text if text.isascii() and text.isdigit() and len(text) < 10 else "some"
