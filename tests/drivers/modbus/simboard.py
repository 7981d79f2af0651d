"""A board and its wire in virtual time, written apart from the driver's codec: no pymodbus, its own CRC."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass

from drivers.events import Command, DeviceEvent, DeviceOffline, DeviceOnline, InputChanged, InputState
from drivers.modbus.board import Board
from drivers.modbus.bus import Bus
from drivers.modbus.codec import RtuFraming, TcpFraming
from drivers.modbus.profile import Profile
from drivers.modbus.store import load_profile
from drivers.modbus.transactions import Line, Timing

CHAR = 10 / 9600


def crc(data: bytes) -> bytes:
    """CRC-16 of Modbus over Serial Line V1.02, section 6.2.2, low byte first."""
    register = 0xFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0xA001 if register & 1 else 0)
    return register.to_bytes(2, "little")


def bits(values: list[bool]) -> bytes:
    """Packed as a read reply has them."""
    number = sum(on << n for n, on in enumerate(values))
    return number.to_bytes((len(values) + 7) // 8, "little")


@dataclass
class Faults:
    """Chances and times of what goes wrong."""

    lose_request: float = 0.0
    lose_reply: float = 0.0
    flip: float = 0.0
    noise: float = 0.0
    late: tuple[float, float] = (0.004, 0.004)


class SimBoard:
    """Eight relays with the timed pulse of a Waveshare board, eight inputs; answers in order."""

    def __init__(self, unit: int, *, timed: bool = True) -> None:
        self.unit = unit
        self.timed = timed
        self.alive = True
        self.refuses = False
        self.inputs = [False] * 8
        self.history: list[tuple[float, tuple[bool, ...]]] = [(-1.0, (False,) * 8)]
        self.on = [False] * 8
        self.off_at = [float("inf")] * 8
        self.busy_until = 0.0

    def set_input(self, index: int, on: bool, now: float) -> None:
        self.inputs[index] = on
        self.history.append((now, tuple(self.inputs)))

    def inputs_between(self, begin: float, end: float) -> set[tuple[bool, ...]]:
        """Every state the inputs had between two instants."""
        before = [state for at, state in self.history if at <= begin][-1:]
        return {*before, *(state for at, state in self.history if begin <= at <= end)}

    def outputs(self, now: float) -> list[bool]:
        return [on and now < off_at for on, off_at in zip(self.on, self.off_at, strict=True)]

    def power(self, alive: bool) -> None:
        self.alive = alive
        self.on = [False] * 8

    def handle(self, frame: bytes, now: float) -> bytes | None:
        """Carry out a request frame; the reply, or nothing for what is not whole or not for this unit."""
        if len(frame) < 4 or frame[0] != self.unit or crc(frame[:-2]) != frame[-2:] or not self.alive:
            return None
        function, address, word = frame[1], frame[2] << 8 | frame[3], frame[4] << 8 | frame[5]
        body = None if self.refuses else self._body(function, address, word, frame, now)
        head = bytes([self.unit, function]) if body is not None else bytes([self.unit, function | 0x80])
        reply = head + (body if body is not None else b"\x02")
        return reply + crc(reply)

    def _body(self, function: int, address: int, word: int, frame: bytes, now: float) -> bytes | None:
        if function in (1, 2) and address + word <= 8:
            states = self.outputs(now) if function == 1 else self.inputs
            packed = bits(list(states[address : address + word]))
            return bytes([len(packed)]) + packed
        if function == 5 and address < 8 and word in (0, 0xFF00):
            self.on[address], self.off_at[address] = word != 0, float("inf")
            return frame[2:6]
        if function == 5 and self.timed and 0x200 <= address < 0x208 and word:
            self.on[address - 0x200], self.off_at[address - 0x200] = True, now + word * 0.1
            return frame[2:6]
        if function == 15 and address == 0 and word == 8:
            self.on = [bool(frame[7] >> n & 1) for n in range(8)]
            self.off_at = [float("inf")] * 8
            return frame[2:6]
        return None


class World:
    """A bus machine, simulated boards and a wire, in virtual time."""

    def __init__(self, bus: Bus, boards: list[SimBoard], seed: int) -> None:
        self.bus = bus
        self.boards = boards
        self.random = random.Random(seed)
        self.faults = Faults()
        self.now = 0.0
        self.events: list[DeviceEvent] = []
        self.sent: list[tuple[float, bytes]] = []
        self._wire: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, when: float, what: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._wire, (when, self._count, what))

    def start(self) -> None:
        self.took(self.bus.connected(self.now))

    def command(self, command: Command) -> None:
        self.took(self.bus.command(command, self.now))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        for _ in range(200_000):
            deadline = self.bus.deadline()
            due = [time for time in (deadline, self._wire[0][0] if self._wire else None) if time is not None]
            if not due or min(due) > end:
                self.now = end
                return
            self.now = max(self.now, min(due))
            if self._wire and self._wire[0][0] <= self.now:
                heapq.heappop(self._wire)[2]()
            else:
                self.took(self.bus.handle_deadline(self.now))
        raise AssertionError("a busy loop: time stands still")

    def took(self, events: list[DeviceEvent]) -> None:
        self.events += events
        frame = self.bus.bytes_to_send()
        if frame:
            self.sent.append((self.now, frame))
            self.at(self.now + len(frame) * CHAR, lambda: self._heard(frame))

    def _heard(self, frame: bytes) -> None:
        """A request is at its end on the wire."""
        if self.random.random() < self.faults.noise:
            self._to_driver(self.random.randbytes(self.random.randint(1, 9)), 0.001)
        if self.random.random() < self.faults.lose_request:
            return
        for board in self.boards:
            reply = board.handle(frame, self.now)  # done at once, told late: what is told may be old by then
            if reply is not None and self.random.random() >= self.faults.lose_reply:
                begin = max(self.now, board.busy_until) + self.random.uniform(*self.faults.late)
                board.busy_until = begin
                self.at(begin, lambda reply=reply: self._reply(reply))

    def _reply(self, reply: bytes) -> None:
        if self.random.random() < self.faults.flip:
            spot = self.random.randrange(len(reply))
            reply = reply[:spot] + bytes([reply[spot] ^ 1 << self.random.randrange(8)]) + reply[spot + 1 :]
        self._to_driver(reply, 0.0)

    def _to_driver(self, data: bytes, after: float) -> None:
        """In two pieces, as a tty hands it over."""
        cut = self.random.randint(0, len(data))
        for piece, end in ((data[:cut], cut), (data[cut:], len(data))):
            if piece:
                when = self.now + after + end * CHAR
                self.at(when, lambda piece=piece: self.took(self.bus.receive(piece, self.now)))


class TcpWorld(World):
    """The same boards behind a gateway that takes one request after the other; it can get stuck."""

    freeze = False

    def __init__(self, bus: Bus, boards: list[SimBoard], seed: int) -> None:
        super().__init__(bus, boards, seed)
        self.stuck: list[bytes] = []

    def _heard(self, frame: bytes) -> None:
        if self.freeze:
            self.stuck.append(frame)
            return
        number, unit_and_body = frame[:4], frame[6:]
        for board in self.boards:
            reply = board.handle(unit_and_body + crc(unit_and_body), self.now)
            if reply is not None:
                answer = number + (len(reply) - 2).to_bytes(2, "big") + reply[:-2]
                self.at(self.now + 0.004, lambda answer=answer: self.took(self.bus.receive(answer, self.now)))


POLL = 0.02
SLOWEST = 2.0
TIMED = load_profile("waveshare-8ch")
PLAIN = load_profile("generic-coil")


def without_settings(profile: Profile) -> Profile:
    return Profile(
        name=profile.name, outputs=profile.outputs, inputs=profile.inputs, safe_state=profile.safe_state
    )


def world(*units: SimBoard, absent: tuple[int, ...] = (), seed: int = 1, profile: Profile | None = None) -> World:
    """A bus with these boards as b<unit>, and with boards that are not there."""
    timing = Timing(char_time=CHAR, reply_timeout=0.15, slowest_reply=SLOWEST, gap=3.5 * 11 / 9600)
    boards = [
        Board(f"b{unit.unit}", unit.unit, profile or without_settings(TIMED if unit.timed else PLAIN), POLL)
        for unit in units
    ]
    boards += [Board(f"b{unit}", unit, without_settings(TIMED), POLL) for unit in absent]
    return World(Bus(Line(RtuFraming(), timing), boards), list(units), seed)


def tcp_world(*units: SimBoard, absent: tuple[int, ...] = ()) -> TcpWorld:
    """The same as ``world``, behind a Modbus/TCP gateway."""
    timing = Timing(char_time=0.0, reply_timeout=0.3, slowest_reply=SLOWEST, gap=0.0)
    numbers = [*(unit.unit for unit in units), *absent]
    boards = [Board(f"b{number}", number, without_settings(TIMED), POLL) for number in numbers]
    return TcpWorld(Bus(Line(TcpFraming(), timing), boards), list(units), 1)


def online(events: list[DeviceEvent]) -> set[str]:
    """The boards whose last word was that they are online."""
    last = {e.device: isinstance(e, DeviceOnline) for e in events if isinstance(e, DeviceOnline | DeviceOffline)}
    return {device for device, on in last.items() if on}


def believed(events: list[DeviceEvent], device: str) -> list[bool]:
    """The inputs as the events have them last."""
    states = {e.point.line: e.state for e in events if isinstance(e, InputChanged) and e.point.device == device}
    return [states[f"in{n + 1}"] is InputState.ON for n in range(8)]


def frames(world: World, function: int) -> list[bytes]:
    """The frames sent of one function."""
    return [frame for _, frame in world.sent if frame[1] == function]
