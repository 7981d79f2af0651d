"""OSDP sessions, in clear and under the secure channel.

The invariant, secure: nothing that is changed, cut, repeated, invented or said in clear on the wire ever becomes
a card, a key or a state: what is reported is what the reader said. In clear: a card is only what stood on the
wire whole, as this reader's report. Both: nothing is raised, and the session recovers.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence

from drivers.driver import SecretReference
from drivers.events import (
    CardRead,
    DeviceAlarm,
    DeviceEvent,
    DeviceOnline,
    InputChanged,
    InputState,
    KeyPress,
    ReadError,
    TamperChanged,
)
from drivers.osdp.bus import Bus
from drivers.osdp.frame import MAX_FRAME
from drivers.osdp.messages import Reply
from drivers.osdp.session import Session, SessionState
from drivers.osdp.settings import OsdpReader
from tests.fuzz.engine import Harness, Odds
from tests.fuzz.osdp_frame import crc, whole_frames
from tests.peers.osdp_model import ModelReader, raw_card

KEY = bytes(range(16))
ADDRESS = 5


class World:
    """A panel and a model reader; what the panel hears is made by one step of a script at a time."""

    def __init__(self, clear: bool) -> None:
        numbers = itertools.count(1)
        settings = (
            OsdpReader(address=ADDRESS, secure_channel="off", allow_cleartext=True)
            if clear
            else OsdpReader(address=ADDRESS, key=SecretReference("env:KEY"))
        )
        session = Session(
            "r", settings, [] if clear else [KEY], lambda length: next(numbers).to_bytes(length, "big")
        )
        self.clear = clear
        self.bus = Bus([session], 9600)
        self.reader = ModelReader(address=ADDRESS, key=None if clear else KEY)
        self.now = 1000.0
        self.presented: set[tuple[int, int]] = set()
        self.said: list[bytes] = []
        self.frames = 0

    def command(self) -> bytes:
        """The panel's next frame."""
        while not (frame := self.bus.bytes_to_send(self.now)):
            self.now = max(self.now, self.bus.deadline())
            self.check(self.bus.handle_deadline(self.now), b"")
        return frame

    def exchange(self) -> bytes:
        """A command, and what the reader says to it."""
        reply = self.reader.hear(self.command())
        if reply:
            self.said = [*self.said[-7:], reply]
        return reply

    def hear(self, data: bytes, cut: int = 0) -> list[DeviceEvent]:
        """The panel hears ``data``, in two pieces."""
        self.frames += 1
        self.now += 0.01
        cut = cut % len(data) if data else 0
        events = self.bus.receive(data[:cut], self.now) if cut else []
        events += self.bus.receive(data[cut:], self.now)
        self.check(events, data)
        return events

    def present(self, value: int) -> None:
        if len(self.reader.queue) < 4:
            self.presented.add((26, value))
            self.reader.queue.append((Reply.RAW, raw_card(f"{value:026b}")))

    def check(self, events: Sequence[DeviceEvent], data: bytes) -> None:
        """The invariant, for events that ``data`` brought."""
        for event in events:
            if isinstance(event, DeviceOnline):
                assert self.clear or (event.secure and "serial 00000001" in event.identity)
            elif self.clear:
                if isinstance(event, CardRead):
                    assert self._stood(event, data), "a card that was not on the wire"
            elif isinstance(event, CardRead | ReadError):
                assert (event.length, event.value) in self.presented, "a card that was not presented"
            elif isinstance(event, InputChanged):
                assert event.state is InputState.OFF, "an input that never moved"
            else:
                assert not isinstance(event, KeyPress | TamperChanged | DeviceAlarm), event

    @staticmethod
    def _stood(card: CardRead, data: bytes) -> bool:
        bits = f"{card.value:0{card.length}b}"
        report = bytes([Reply.RAW]) + raw_card(bits)[:4]
        return any(raw[1] == 0x80 | ADDRESS and raw[5] == Reply.RAW and report[3:] == raw[8:10]
                   and int.from_bytes(raw[10:-2 if raw[4] & 4 else -1], "big") >> -card.length % 8 == card.value
                   for raw in whole_frames(data))  # fmt: skip

    def play(self, script: bytes) -> None:
        """Each step: a byte that says what becomes of the reader's answer, and the bytes that this takes."""
        left = iter(script)
        for step in left:
            take = [next(left, 0) for _ in range(step >> 6)]
            a, b, c = (*take, 0, 0, 0)[:3]
            self._step(step & 15, a, b, c, left)

    def _step(self, step: int, a: int, b: int, c: int, left: Iterator[int]) -> None:
        match step:
            case 0:
                self.present(a << 16 | b << 8 | c)
                return
            case 1:
                self.reader.restart()
                return
            case 2:
                self.now += a / 10
                return
        reply = self.exchange()
        if reply and step != 3:
            self.hear(self._disturbed(reply, step, (a, b, c), left), c)

    def _disturbed(self, reply: bytes, step: int, take: tuple[int, int, int], left: Iterator[int]) -> bytes:
        """What becomes of the reader's answer on its way."""
        a, b, c = take
        at = a % len(reply)
        match step:
            case 4:
                return reply[:at] + bytes([reply[at] ^ (1 << b % 8)]) + reply[at + 1 :]
            case 5:
                return reply[:at] + reply[at + 1 + b % 4 :]
            case 6:
                return bytes(itertools.islice(left, a % 64))
            case 7:
                return self.said[b % len(self.said)]
            case 8:  # changed by somebody who can compute a CRC
                body = reply[:at] + bytes([b]) + reply[at + 1 : -2]
                return body + crc(body)
            case 9:
                return bytes([a, b]) * (c % 8) + reply
            case 10:
                return reply + reply
            case 11:  # a report of somebody who has no key
                body = bytes([0x53, 0x80 | ADDRESS, 16, 0, reply[4] & 7, (0x50, 0x53, 0x48, 0x41)[a % 4]])
                body += bytes([0, 0, 26, 0, b, c, a, 0])
                return body + crc(body)
            case 12:
                return reply[:-2] + bytes([a, b])
        return reply


class _OsdpSession(Harness):
    """A script of up to some hundred exchanges with a reader in service, and noise at one."""

    clear = False

    def __init__(self) -> None:
        super().__init__()
        self._noisy = self._in_service()

    def _in_service(self) -> World:
        world = World(self.clear)
        for _ in range(12):
            world.hear(world.exchange())
        assert world.bus.sessions[0].online
        return world

    def corpus(self) -> Sequence[bytes]:
        plain = bytes([0x0F] * 12)
        return [
            plain + bytes([0xC0, 1, 2, 3]) + plain,
            plain + bytes([0xC0, 9, 9, 9, 0x0D, 0xC4, 9, 2, 0, 0x44, 4, 0x0F, 0x4C, 7]) + plain,
            plain + bytes([0x01]) + plain + bytes([0x42, 90]) + plain + bytes([0x42, 255]) + plain,
            plain + bytes([0xC0, 5, 5, 5, 0x03, 0x0F, 0xCB, 0, 4, 4, 0x87, 1, 2]) + plain,
            plain
            + bytes([0x46, 30])
            + bytes(30)
            + plain
            + bytes([0x88, 7, 80, 0xC9, 0x53, 0x85, 3, 0x0A])
            + plain,
            bytes(range(256)),
        ]

    def feed(self, data: bytes) -> int:
        world = World(self.clear)
        for _ in range(8):
            world.hear(world.exchange())
        world.play(data)
        world.now += 15.0  # whatever happened: it recovers, and a card is read
        for _ in range(60):
            world.hear(world.exchange())
        assert world.bus.sessions[0].online, world.bus.sessions[0].why_offline
        return world.frames

    def measure(self, chance: random.Random) -> int:
        """An answer with a right header to each of some polls; the true answer to what the panel says then."""
        world = self._noisy
        (odds,) = self.odds.values()
        before = world.frames
        for _ in range(16):
            for _ in range(200):
                if world.bus.sessions[0].step is SessionState.SERVE:
                    break
                world.hear(world.exchange())
            command = world.command()
            world.hear(self._noise(command, chance), chance.randrange(64))
            again = world.command()
            odds.note(again[4] & 3 == (command[4] & 3) % 3 + 1)
            world.hear(world.reader.hear(again))
        return world.frames - before

    def _noise(self, command: bytes, chance: random.Random) -> bytes:
        raise NotImplementedError


class OsdpClear(_OsdpSession):
    """The invariant of the session in clear."""

    name = "osdp-clear"
    share = 12
    clear = True

    def __init__(self) -> None:
        super().__init__()
        self.odds = {"a report taken, CRC of 16 bits": Odds(2**-16)}

    def _noise(self, command: bytes, chance: random.Random) -> bytes:
        rest = chance.randbytes(chance.randint(4, 20))
        return bytes([0x53, 0x80 | ADDRESS, 5 + len(rest), 0, command[4] & 3 | 4]) + rest


class OsdpSecure(_OsdpSession):
    """The invariant of the secure channel; its noise has a right CRC, so that the MAC alone has to stop it."""

    name = "osdp-secure"
    share = 5

    def __init__(self) -> None:
        super().__init__()
        self.odds = {"a report taken, MAC of 32 bits": Odds(2**-32)}

    def _noise(self, command: bytes, chance: random.Random) -> bytes:
        blocks = chance.randrange(3)
        rest = chance.randbytes(1 + 16 * blocks + 4)
        block = bytes([2, 0x18 if blocks else 0x16])
        length = 5 + 2 + len(rest) + 2
        assert length < MAX_FRAME
        body = bytes([0x53, 0x80 | ADDRESS, length, 0, command[4] & 3 | 12]) + block + rest
        return body + crc(body)
