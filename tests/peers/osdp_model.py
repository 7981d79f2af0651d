"""A reader and a wire as pure values, for tests of the control panel under a fake clock.

The reader keeps the standard's rules that matter to a panel: it repeats its answer to a repeated sequence
number, keeps a card until it has been asked for the next thing, and says NAK in clear when it has no session.
It shares ``frame`` and ``secure`` with the panel, which have published vectors of their own; libosdp is the
independent peer (``osdp_reader.py``).
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass, field

from drivers.events import DeviceEvent
from drivers.osdp.bus import Bus
from drivers.osdp.frame import Frame, FrameReader, encode
from drivers.osdp.messages import Cmd, NakCode, Reply
from drivers.osdp.secure import SCBK_D, Scs, SecureChannel, SecureError, SessionKeys

TURN_ROUND = 0.002


def raw_card(bits: str) -> bytes:
    """RAW's data for a card of these bits."""
    padded = bits.ljust((len(bits) + 7) // 8 * 8, "0")
    return bytes([0, 0]) + len(bits).to_bytes(2, "little") + int(padded, 2).to_bytes(len(padded) // 8, "big")


@dataclass
class ModelReader:
    """A reader that does what it is told, and notes it."""

    address: int = 0
    key: bytes | None = bytes(16)
    install: bool = False
    serial: int = 1
    delay: float = TURN_ROUND
    speed: int | None = None
    """Bits a second; ``None``: that of the bus, whatever the panel sends at."""
    alive: bool = True
    capabilities: bytes = bytes([1, 1, 2, 2, 1, 1, 4, 1, 1, 5, 1, 1, 9, 1, 1])
    queue: deque[tuple[Reply, bytes]] = field(default_factory=deque)
    done: list[tuple[int, bytes]] = field(default_factory=list)
    busy: int = 0
    now: float = 0.0
    on_until: dict[int, float] = field(default_factory=dict)
    """Outputs that are on, and until when."""
    answers: dict[int, tuple[Reply, bytes]] = field(default_factory=dict)
    """Fixed answers to some commands, in place of what the reader would say."""

    def __post_init__(self) -> None:
        self._frames = FrameReader()
        self.restart()

    def restart(self) -> None:
        """Power off and on: the session is gone, the queue is kept here to make the harder case."""
        self.on_until.clear()
        self._channel: SecureChannel | None = None
        self._keys: SessionKeys | None = None
        self._randoms = (b"", b"")
        self._panel_proof = b""
        self._last: tuple[int, int, bytes] | None = None
        self._offered = False
        self._frames.clear()

    def hear(self, data: bytes) -> bytes:
        """Bytes from the panel; the bytes that go back."""
        out = b""
        for frame in self._frames.feed(data):
            if isinstance(frame, Frame) and not frame.reply and frame.address == self.address and self.alive:
                out = self._answer(frame)
        self._frames.clear()
        return out

    def _answer(self, frame: Frame) -> bytes:
        if self.busy:
            self.busy -= 1
            return encode(self.address, 0, Reply.BUSY, reply=True)
        if frame.sequence == 0:
            self._channel = self._last = None
            self._offered = False  # the panel begins anew: it may not have had the last report
        elif self._last is not None and self._last[:2] == (frame.sequence, frame.code):
            return self._last[2]
        if self._offered:
            self.queue.popleft()  # a new command: the last report has arrived
            self._offered = False
        reply = self._obey(frame)
        self._last = (frame.sequence, frame.code, reply)
        return reply

    def _obey(self, frame: Frame) -> bytes:
        match frame.code:
            case Cmd.ID if not frame.block:
                return self._say(frame, Reply.PDID, self._identity())
            case Cmd.CHLNG if self.key or self.install:
                return self._challenged(frame)
            case Cmd.SCRYPT if self._keys is not None:
                return self._proved(frame)
        if frame.block and self._channel is None:
            return self._nak(frame, NakCode.SECURITY_NOT_MET)
        if not frame.block and self.key is not None:
            return self._nak(frame, NakCode.SECURITY_NOT_MET)
        data = frame.data
        if self._channel is not None:
            try:
                data = self._channel.open(frame)
            except SecureError:
                self._channel = None
                return self._nak(frame, NakCode.SECURITY_NOT_MET)
        return self._serve(frame, data)

    def _serve(self, frame: Frame, data: bytes) -> bytes:
        if frame.code in self.answers:
            return self._say(frame, *self.answers[frame.code])
        match frame.code:
            case Cmd.POLL:
                if self.queue:
                    self._offered = True
                    return self._say(frame, *self.queue[0])
                return self._say(frame, Reply.ACK)
            case Cmd.ID:
                return self._say(frame, Reply.PDID, self._identity())
            case Cmd.CAP | Cmd.LSTAT | Cmd.ISTAT | Cmd.OSTAT | Cmd.RSTAT:
                return self._say(frame, *self._status(Cmd(frame.code)))
            case Cmd.OUT:
                until = self.now + int.from_bytes(data[2:4], "little") / 10 if data[1] == 5 else float("inf")
                self.on_until[data[0]] = 0.0 if data[1] == 1 else until
            case Cmd.KEYSET:
                self.done.append((frame.code, data))
                reply = self._say(frame, Reply.ACK)
                self.key, self.install, self._channel = data[2:], False, None
                return reply
        self.done.append((frame.code, data))
        if frame.code == Cmd.COMSET:
            return self._say(frame, Reply.COM, data)
        return self._say(frame, Reply.ACK)

    def _status(self, asked: Cmd) -> tuple[Reply, bytes]:
        return {
            Cmd.CAP: (Reply.PDCAP, self.capabilities),
            Cmd.LSTAT: (Reply.LSTATR, bytes(2)),
            Cmd.ISTAT: (Reply.ISTATR, bytes(2)),
            Cmd.OSTAT: (Reply.OSTATR, bytes([self.on_until.get(0, 0.0) > self.now])),
            Cmd.RSTAT: (Reply.RSTATR, bytes(1)),
        }[asked]

    def _challenged(self, frame: Frame) -> bytes:
        self._channel = None
        default = frame.block[1] == 0 and self.install
        base = SCBK_D if default or self.key is None else self.key
        mine = bytes(range(8))
        self._keys = SessionKeys(base, frame.data)
        self._panel_proof = self._keys.panel_cryptogram(frame.data, mine)
        data = bytes(8) + mine + self._keys.reader_cryptogram(frame.data, mine)
        block = bytes([Scs.CHALLENGE_REPLY, 0 if base == SCBK_D else 1])
        return encode(self.address, frame.sequence, Reply.CCRYPT, data, reply=True, block=block)

    def _proved(self, frame: Frame) -> bytes:
        assert self._keys is not None
        if frame.data != self._panel_proof:
            return self._nak(frame, NakCode.NO_SECURE_CHANNEL)
        first = self._keys.first_mac(frame.data)
        self._channel, self._keys = SecureChannel(self._keys, first), None
        block = bytes([Scs.CRYPTOGRAM_REPLY, 1])
        return encode(self.address, frame.sequence, Reply.RMAC_I, first, reply=True, block=block)

    def _identity(self) -> bytes:
        return bytes([0x5C, 0x26, 0x23, 1, 1]) + self.serial.to_bytes(4, "little") + bytes([1, 2, 3])

    def _say(self, frame: Frame, code: Reply, data: bytes = b"") -> bytes:
        if self._channel is not None:
            return self._channel.seal(self.address, frame.sequence, code, data, reply=True, crc=frame.crc)
        return encode(self.address, frame.sequence, code, data, reply=True, crc=frame.crc)

    def _nak(self, frame: Frame, code: NakCode) -> bytes:
        return encode(self.address, frame.sequence, Reply.NAK, bytes([code]), reply=True, crc=frame.crc)


class ModelWire:
    """Panel and readers on one wire with a clock of its own. ``loss`` and ``flip`` are chances for each byte."""

    def __init__(self, bus: Bus, readers: list[ModelReader], baudrate: int = 9600, seed: int = 0) -> None:
        self.bus = bus
        self.readers = readers
        self.now = 1000.0
        self.loss = self.flip = 0.0
        self.sent: list[tuple[float, bytes]] = []
        self._character = 10 / baudrate
        self._random = random.Random(seed)
        self._arrivals: list[tuple[float, int, bytes]] = []
        self._count = 0

    def run(self, seconds: float) -> list[DeviceEvent]:
        """Let time pass; what the panel reports meanwhile."""
        events: list[DeviceEvent] = []
        end = self.now + seconds
        while True:
            frame = self.bus.bytes_to_send(self.now)
            if frame:
                self._transmit(frame)
            arrival = self._arrivals[0][0] if self._arrivals else float("inf")
            wake = max(self.now, min(arrival, self.bus.deadline()))
            if wake > end:
                self.now = end
                return events
            self.now = wake
            if arrival <= self.now:
                events += self.bus.receive(heapq.heappop(self._arrivals)[2], self.now)
            else:
                events += self.bus.handle_deadline(self.now)

    def _transmit(self, frame: bytes) -> None:
        self.sent.append((self.now, frame))
        heard_at = self.now + len(frame) * self._character
        for reader in self.readers:
            if self.bus.speed != (reader.speed or self.bus.baudrate):
                continue
            reader.now = heard_at
            reply = self._noisy(reader.hear(self._noisy(frame)))
            at = heard_at + reader.delay
            while reply:  # in pieces, as a tty hands them over
                cut = self._random.randrange(len(reply)) + 1
                at += cut * self._character
                self._count += 1
                heapq.heappush(self._arrivals, (at, self._count, reply[:cut]))
                reply = reply[cut:]

    def _noisy(self, data: bytes) -> bytes:
        if not (self.loss or self.flip):
            return data
        kept = (byte for byte in data if self._random.random() >= self.loss)
        return bytes(
            byte ^ (1 << self._random.randrange(8)) if self._random.random() < self.flip else byte for byte in kept
        )
