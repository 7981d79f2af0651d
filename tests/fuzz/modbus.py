"""Modbus: the line with its two framings, and whole boards on a bad wire.

The invariant of the line: an answer is believed only if it stands in the bytes whole, as the answer of this unit
to this request, with a CRC that another computation confirms, or with this request's transaction number. The
invariant of the boards: an input state that is told was the board's at some instant since it was asked. Both:
nothing is raised, and no buffer grows beyond two frames.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from drivers.events import InputChanged, InputState, Point, Pulse, SwitchOff, SwitchOn
from drivers.modbus.codec import Answer, Framing, Function, Request, RtuFraming, TcpFraming, reply_length
from drivers.modbus.transactions import Line, Timing
from tests.drivers.modbus.simboard import Faults, SimBoard, World, crc, online, world
from tests.fuzz.engine import Harness, Odds

REQUESTS = (
    Request(1, Function.READ_COILS, 0, 8),
    Request(1, Function.READ_DISCRETE_INPUTS, 0, 16),
    Request(7, Function.READ_HOLDING_REGISTERS, 2, 3),
    Request(7, Function.READ_INPUT_REGISTERS, 0, 4),
    Request(1, Function.WRITE_COIL, 3, values=(0xFF00,)),
    Request(1, Function.WRITE_REGISTER, 9, values=(0x0102,)),
    Request(1, Function.WRITE_COILS, 0, values=(1, 0, 1)),
    Request(1, Function.WRITE_REGISTERS, 0, values=(1, 2)),
)


def pdu(request: Request, filler: bytes) -> bytes:
    """A right reply, with ``filler`` as the values that it tells."""
    if request.is_read:
        size = reply_length(request) - 2
        return bytes([request.function, size]) + filler[:size].ljust(size, b"\0")
    second = request.values[0] if request.function in (5, 6) else len(request.values)
    return bytes([request.function]) + request.address.to_bytes(2, "big") + second.to_bytes(2, "big")


def values(request: Request, reply: bytes) -> tuple[int, ...]:
    """What a reply's PDU tells, read here by hand."""
    if not request.is_read:
        return ()
    data = reply[2:]
    if request.function <= 2:
        return tuple(data[n // 8] >> n % 8 & 1 for n in range(request.count))
    return tuple(data[n] << 8 | data[n + 1] for n in range(0, len(data), 2))


class _Line(Harness):
    """Input: which request, where the bytes are cut, and the bytes that come."""

    framing: type[Framing]

    def frame(self, request: Request, body: bytes) -> bytes:
        raise NotImplementedError

    def believable(self, request: Request, data: bytes, answer: Answer) -> bool:
        """Whether the answer stands in what came."""
        right = {bytes([request.function | 0x80, answer.exception])} if answer.exception else set()
        for reply in self.replies(request, data):
            if reply in right or (
                not answer.exception
                and reply[:1] == bytes([request.function])
                and len(reply) == reply_length(request)
                and values(request, reply) == answer.values
            ):
                return True
        return False

    def replies(self, request: Request, data: bytes) -> list[bytes]:
        raise NotImplementedError

    def corpus(self) -> Sequence[bytes]:
        found = []
        for number, request in enumerate(REQUESTS):
            good = self.frame(request, pdu(request, bytes(range(9))))
            refused = self.frame(request, bytes([request.function | 0x80, 2]))
            found += [bytes([number, 3]) + each for each in (good, refused, b"\0" + good, good + good)]
        other = self.frame(REQUESTS[2], pdu(REQUESTS[2], b""))
        found.append(bytes([0, 9]) + other + self.frame(REQUESTS[0], pdu(REQUESTS[0], b"\xa5")))
        return found

    def feed(self, data: bytes) -> int:
        request = REQUESTS[data[0] % len(REQUESTS)] if data else REQUESTS[0]
        cut, came = (data[1] % 32 if len(data) > 1 else 0), data[2:]
        self.hear(request, came, cut)
        return 1

    def hear(self, request: Request, came: bytes, cut: int) -> Answer | None:
        line = Line(self.framing(), Timing(0.001, 0.15, 2.0, 0.004))
        line.send(request, 0.0)
        line.bytes_to_send()
        done = None
        for piece, now in ((came[:cut], 0.02), (came[cut:], 0.03)):
            done = done or (line.receive(piece, now) if piece else None)
        done = done or line.handle_deadline(9.0)
        assert done is not None
        assert done.request == request
        assert len(line._buffer) <= 600 + len(came)
        if done.answer is not None:
            assert self.believable(request, came, done.answer), done.answer
        return done.answer


class ModbusRtu(_Line):
    """The invariant of the line, over RTU."""

    name = "modbus-rtu"
    share = 18
    framing = RtuFraming

    def __init__(self) -> None:
        super().__init__()
        self.odds = {"CRC of 16 bits": Odds(2**-16)}

    def frame(self, request: Request, body: bytes) -> bytes:
        frame = bytes([request.unit]) + body
        return frame + crc(frame)

    def replies(self, request: Request, data: bytes) -> list[bytes]:
        return [
            data[at + 1 : at + size - 2]
            for size in (reply_length(request) + 3, 5)
            for at in range(len(data) - size + 1)
            if data[at] == request.unit and crc(data[at : at + size - 2]) == data[at + size - 2 : at + size]
        ]

    def measure(self, chance: random.Random) -> int:
        """A right unit, function and size, and then anything."""
        request = REQUESTS[chance.randrange(4)]
        size = reply_length(request) - 2
        head = bytes([request.unit, request.function, size])
        answer = self.hear(request, head + chance.randbytes(size + 2), chance.randrange(5))
        self.odds["CRC of 16 bits"].note(answer is not None)
        return 1


class ModbusTcp(_Line):
    """The invariant of the line, over TCP, which has a check of its own: here a late reply has to be stopped."""

    name = "modbus-tcp"
    share = 12
    framing = TcpFraming

    def __init__(self) -> None:
        super().__init__()
        self.odds = {"transaction number of 16 bits": Odds(2**-16)}

    def frame(self, request: Request, body: bytes, transaction: int = 1) -> bytes:
        head = transaction.to_bytes(2, "big") + b"\0\0" + (len(body) + 1).to_bytes(2, "big")
        return head + bytes([request.unit]) + body

    def replies(self, request: Request, data: bytes) -> list[bytes]:
        head = b"\0\1\0\0"
        found = []
        for at in range(len(data) - 8):
            size = int.from_bytes(data[at + 4 : at + 6], "big")
            if data[at : at + 4] == head and data[at + 6] == request.unit and at + 6 + size <= len(data):
                found.append(data[at + 7 : at + 6 + size])
        return found

    def measure(self, chance: random.Random) -> int:
        request = REQUESTS[chance.randrange(len(REQUESTS))]
        reply = self.frame(request, pdu(request, chance.randbytes(9)), chance.randrange(1 << 16))
        answer = self.hear(request, reply, chance.randrange(12))
        self.odds["transaction number of 16 bits"].note(answer is not None)
        return 1


class ModbusBoards(Harness):
    """The invariant of the boards. A step of the script is a fault or a change, and then some time."""

    name = "modbus-boards"
    share = 1

    def corpus(self) -> Sequence[bytes]:
        return [
            bytes([0, 9, 2, 20, 5, 0, 0, 9, 2, 60, 0, 8, 1, 4, 7, 9, 0, 0]),
            bytes([6, 3, 0, 9, 0, 8, 0, 9, 6, 4, 0, 8, 0, 9, 5, 0, 0, 9]),
            bytes(range(0, 250, 3)),
            bytes([8, 1, 3, 3, 8, 2, 0, 1, 8, 1, 0, 0, 9, 255, 0, 1]) * 4,
        ]

    def feed(self, data: bytes) -> int:
        here = world(SimBoard(1), seed=int.from_bytes(data[:4], "big"))
        here.start()
        here.run(0.3)
        for at in range(0, min(len(data), 128) - 1, 2):
            self._step(here, data[at], data[at + 1])
            here.run(0.02 + data[at + 1] / 2000)
        here.boards[0].alive = True
        here.faults = Faults()
        here.run(6.0)
        self._check(here)
        return len(here.sent)

    def _step(self, here: World, what: int, how: int) -> None:
        (board,) = here.boards
        point, rate = Point("b1", f"out{how % 8 + 1}"), how / 512
        match what % 10:
            case 0 | 9:
                board.set_input(how % 8, how & 8 != 0, here.now)
            case 1:
                here.faults.lose_reply = rate
            case 2:
                here.faults.flip = rate
            case 3:
                here.faults.noise = rate
            case 4:
                here.faults.lose_request = rate
            case 5:
                here.faults.late = (0.004, 0.004)
            case 6:
                here.faults.late = (0.004 + how % 7 / 20, 0.1 + how / 800)
            case 7:
                here.command(Pulse(point, 0.2 + how / 100) if how & 64 else SwitchOn(point))
            case 8 if how & 1:
                board.power(not board.alive)
            case 8:
                here.command(SwitchOff(point))

    def _check(self, here: World) -> None:
        (board,) = here.boards
        questions = [at for at, frame in here.sent if frame[1] == 2]
        asked = 0
        for event in here.events:
            if isinstance(event, InputChanged):
                while asked + 1 < len(questions) and questions[asked + 1] < event.at:
                    asked += 1
                states = board.inputs_between(questions[asked], event.at)
                index = int(event.point.line[2:]) - 1
                assert (event.state is InputState.ON) in {state[index] for state in states}
        assert online(here.events) == {"b1"}
