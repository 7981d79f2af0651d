"""What carries requests to the board of modbus_board.py, and replies back: a tty, or TCP on loopback.

Requests are decoded and replies built by pymodbus's server side. Frames on the tty are found by their end, as a
real device finds them by the silence after them; pymodbus's own serial server loses requests on a bus where other
boards answer.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import serial
from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.bit_message import WriteSingleCoilRequest


class Device(Protocol):
    """What a wire needs to know of the board."""

    unit: int

    def heard(self, request: ModbusPDU, reply: Callable[[ModbusPDU], None]) -> None:
        """A request for this unit."""

    def garbles(self) -> bool:
        """Whether the next reply has a wrong CRC."""


class RawCoilWrite(WriteSingleCoilRequest):
    """Function 05 with any value; the reply is the request."""

    def decode(self, data: bytes) -> None:
        """Keep the value as it came."""
        self.address, self.count = (int.from_bytes(data[n : n + 2], "big") for n in (0, 2))

    def encode(self) -> bytes:
        """Give it back."""
        return self.address.to_bytes(2, "big") + self.count.to_bytes(2, "big")


def decoder() -> DecodePDU:
    """pymodbus's server decoder, with the raw function 05."""
    decoding = DecodePDU(True)
    decoding.register(RawCoilWrite)
    return decoding


class SerialWire:
    """The board on a tty."""

    def __init__(self, path: str, baud: int, device: Device, echo: bool) -> None:
        """Open it and listen."""
        self.tty = serial.Serial(path, baud, timeout=0)
        self.framer = FramerRTU(decoder())
        self.device = device
        self.echo = echo
        self.own = b""
        self.buffer = b""
        asyncio.get_running_loop().add_reader(self.tty.fileno(), self.readable)

    def readable(self) -> None:
        """Bytes came, or the bus has gone: then this process ends."""
        try:
            data = os.read(self.tty.fileno(), 4096)
        except BlockingIOError:
            return
        except OSError:
            raise SystemExit from None
        for byte in data:
            if self.echo and self.own[:1] == bytes([byte]):
                self.own = self.own[1:]
                continue
            self.buffer = (self.buffer + bytes([byte]))[-260:]
            if (request := self.request()) is not None:
                self.buffer = b""
                self.device.heard(request, self.reply)

    def request(self) -> ModbusPDU | None:
        """A whole request for this unit at the end of what came."""
        unit = self.device.unit
        starts = [len(self.buffer) - 8]
        starts += [n for n in range(len(self.buffer) - 9) if self.buffer[n + 1] in (15, 16)]
        for start in starts:
            frame = self.buffer[start:] if start >= 0 else b""
            if len(frame) < 8 or frame[0] != unit or (frame[1] in (15, 16)) != (len(frame) > 8):
                continue
            if not FramerRTU.check_CRC(frame[:-2], int.from_bytes(frame[-2:], "big")):
                continue
            _, request = self.framer.handleFrame(frame, 0, 0)
            if request is not None:
                return request
        return None

    def reply(self, answer: ModbusPDU) -> None:
        """Send it."""
        frame = self.framer.buildFrame(answer)
        if self.device.garbles():
            frame = frame[:-1] + bytes([frame[-1] ^ 0x55])
        self.own = frame if self.echo else b""
        with suppress(OSError):
            os.write(self.tty.fileno(), frame)


async def serve_tcp(port: int, device: Device) -> int:
    """The board on loopback; the port it listens on."""

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        framer = FramerSocket(decoder())

        def reply(answer: ModbusPDU) -> None:
            writer.write(framer.buildFrame(answer))

        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readexactly(6)
                frame = head + await reader.readexactly(int.from_bytes(head[4:6], "big"))
                _, request = framer.handleFrame(frame, 0, 0)
                if request is not None and request.dev_id == device.unit:
                    device.heard(request, reply)
        writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", port)
    listening: int = server.sockets[0].getsockname()[1]
    return listening
