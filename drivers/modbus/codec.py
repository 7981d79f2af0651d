"""Modbus requests and replies as values, their PDUs (through pymodbus), and the two framings.

Modbus Application Protocol V1.1b3 gives the PDUs; Modbus over Serial Line V1.02, section 2.5.1, the RTU
frame; Modbus Messaging on TCP/IP V1.0b, section 3.1, the MBAP header. A reply is believed only when its
unit, function, length and check agree with the one request it can belong to.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadCoilsRequest,
    ReadCoilsResponse,
    ReadDiscreteInputsRequest,
    WriteMultipleCoilsRequest,
)
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadHoldingRegistersResponse,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)


class Function(IntEnum):
    """The function codes that boards are driven with (section 6)."""

    READ_COILS = 1
    READ_DISCRETE_INPUTS = 2
    READ_HOLDING_REGISTERS = 3
    READ_INPUT_REGISTERS = 4
    WRITE_COIL = 5
    WRITE_REGISTER = 6
    WRITE_COILS = 15
    WRITE_REGISTERS = 16


_BIT_READS = (Function.READ_COILS, Function.READ_DISCRETE_INPUTS)
_REGISTER_READS = (Function.READ_HOLDING_REGISTERS, Function.READ_INPUT_REGISTERS)
_ECHOING = (Function.WRITE_COIL, Function.WRITE_REGISTER, Function.WRITE_COILS, Function.WRITE_REGISTERS)

COIL_ON = 0xFF00
COIL_OFF = 0x0000
"""Section 6.5: the only standard values of a single coil. Boards with a timed pulse take others."""

EXCEPTION = 0x80
"""Section 7: the function code of an exception reply is the request's with this bit set."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request to ``unit``: reads have a ``count``, writes have ``values`` (raw words; bits for coils)."""

    unit: int
    function: Function
    address: int
    count: int = 0
    values: tuple[int, ...] = ()

    @property
    def is_read(self) -> bool:
        """Whether the answer tells a state."""
        return self.function in _BIT_READS or self.function in _REGISTER_READS


@dataclass(frozen=True, slots=True)
class Answer:
    """What a device replied: the values that were read (bits as 0 and 1), or the code of its exception."""

    values: tuple[int, ...] = ()
    exception: int = 0


class _WriteCoilRaw(ModbusPDU):
    """Function 05 with any value: pymodbus' own knows on and off only, timed pulses need the rest."""

    function_code = Function.WRITE_COIL

    def encode(self) -> bytes:
        """Address and value."""
        return self.address.to_bytes(2, "big") + self.registers[0].to_bytes(2, "big")


def encode_pdu(request: Request) -> bytes:
    """The request's function code and data."""
    message = _message(request)
    return bytes([request.function]) + message.encode()


def _message(request: Request) -> ModbusPDU:
    address, count, values = request.address, request.count, list(request.values)
    match request.function:
        case Function.READ_COILS:
            return ReadCoilsRequest(address=address, count=count)
        case Function.READ_DISCRETE_INPUTS:
            return ReadDiscreteInputsRequest(address=address, count=count)
        case Function.READ_HOLDING_REGISTERS:
            return ReadHoldingRegistersRequest(address=address, count=count)
        case Function.READ_INPUT_REGISTERS:
            return ReadInputRegistersRequest(address=address, count=count)
        case Function.WRITE_COIL:
            return _WriteCoilRaw(address=address, registers=values)
        case Function.WRITE_REGISTER:
            return WriteSingleRegisterRequest(address=address, registers=values)
        case Function.WRITE_COILS:
            return WriteMultipleCoilsRequest(address=address, bits=[bool(value) for value in values])
        case Function.WRITE_REGISTERS:
            return WriteMultipleRegistersRequest(address=address, registers=values)


def reply_length(request: Request) -> int:
    """Bytes of the PDU of a good reply."""
    if request.function in _BIT_READS:
        return 2 + (request.count + 7) // 8
    if request.function in _REGISTER_READS:
        return 2 + 2 * request.count
    return 5


def decode_reply(request: Request, pdu: bytes) -> Answer | None:
    """What ``pdu`` answers to ``request``; ``None`` when it cannot be its answer."""
    if len(pdu) == 2 and pdu[0] == request.function | EXCEPTION:
        return Answer(exception=pdu[1]) if pdu[1] else None
    if len(pdu) != reply_length(request) or pdu[0] != request.function:
        return None
    if not request.is_read:  # 05 and 06 return the request, 15 and 16 its address and count
        return Answer() if pdu == encode_pdu(request)[:5] else None
    if pdu[1] != len(pdu) - 2:
        return None
    if request.function in _BIT_READS:
        bits = ReadCoilsResponse()
        bits.decode(pdu[1:])
        return Answer(tuple(int(bit) for bit in bits.bits[: request.count]))
    registers = ReadHoldingRegistersResponse()
    registers.decode(pdu[1:])
    return Answer(tuple(registers.registers))


class Framing(Protocol):
    """How a PDU travels, with ``overhead`` bytes around it.

    ``stream``: frames follow each other without silence between them, so a lost beat is never found again.
    ``numbered``: a reply says which request it belongs to.
    """

    overhead: int
    stream: bool
    numbered: bool

    def encode(self, request: Request) -> bytes:
        """The frame of a new request."""

    def extract(self, data: bytes, request: Request) -> Extract:
        """Look for the reply to the newest request at the beginning of ``data``."""


@dataclass(frozen=True, slots=True)
class Extract:
    """``used`` bytes are done with: foreign, or the ``answer``. ``lost``: no frame can be recognised here."""

    used: int = 0
    answer: Answer | None = None
    lost: bool = False


class RtuFraming:
    """Unit, PDU, CRC-16. The length of a frame follows from its function code, as nothing else marks its end."""

    overhead = 3
    stream = numbered = False

    def __init__(self) -> None:
        """Make the framer whose CRC is used."""
        self._framer = FramerRTU(DecodePDU(False))

    def encode(self, request: Request) -> bytes:
        """The frame of a request."""
        return self._framer.encode(encode_pdu(request), request.unit, 0)

    def extract(self, data: bytes, request: Request) -> Extract:
        """Whole frames with a good CRC that answer something else are skipped; anything else is lost."""
        glitch = _glitch(data, request.unit)
        frame = data[glitch:]
        size = _rtu_size(frame)
        if size is None:
            return Extract(lost=True)
        if size == 0 or len(frame) < size:
            return Extract()
        body, check = frame[: size - 2], int.from_bytes(frame[size - 2 : size], "big")
        if not FramerRTU.check_CRC(body, check):
            return Extract(lost=True)
        answer = decode_reply(request, body[1:]) if body[0] == request.unit else None
        return Extract(used=glitch + size, answer=answer)


_GLITCHES = b"\x00\xff"


def _glitch(data: bytes, unit: int) -> int:
    """Up to two bytes that a line without bias resistors shows when its driver switches on."""
    count = 0
    while count < min(2, len(data)) and data[count] in _GLITCHES and data[count] != unit:
        count += 1
    return count


def _rtu_size(frame: bytes) -> int | None:
    """Length of the reply that begins here; 0: not yet known; ``None``: no reply begins like this."""
    if len(frame) < 3:
        return 0
    function = frame[1]
    if function & EXCEPTION:
        return 5
    if function in _BIT_READS or function in _REGISTER_READS:
        return 5 + frame[2] if frame[2] else None
    return 8 if function in _ECHOING else None


class TcpFraming:
    """The MBAP header: a transaction number that the reply must repeat, protocol 0, length, unit."""

    overhead = 7
    stream = numbered = True
    _longest = 260
    """Section 4.1: a Modbus/TCP frame is at most this long."""

    def __init__(self) -> None:
        """Begin with transaction 1."""
        self._framer = FramerSocket(DecodePDU(False))
        self._transaction = 0

    def encode(self, request: Request) -> bytes:
        """The frame of a new request, under a new number."""
        self._transaction = self._transaction % 0xFFFF + 1
        return self._framer.encode(encode_pdu(request), request.unit, self._transaction)

    def extract(self, data: bytes, request: Request) -> Extract:
        """Replies with another number are skipped: they are late ones."""
        if len(data) < 8:
            return Extract()
        size = 6 + int.from_bytes(data[4:6], "big")
        if data[2:4] != b"\x00\x00" or not 9 <= size <= self._longest:
            return Extract(lost=True)
        if len(data) < size:
            return Extract()
        answer = None
        if int.from_bytes(data[:2], "big") == self._transaction and data[6] == request.unit:
            answer = decode_reply(request, data[7:size])
        return Extract(used=size, answer=answer)
