#!/usr/bin/env python3
"""A relay and input board as a process of its own: Modbus RTU on a tty, or Modbus TCP on loopback.

It speaks through pymodbus's server side (modbus_wires.py) and simulates what a profile describes, the timed pulse
included.

    modbus_board.py --port PTY [--unit 1] [--kind waveshare-8ch] [--baud 9600]
    modbus_board.py --tcp PORT            (0: any, printed in the "ready" line)

It prints JSON lines, each with ``t``, CLOCK_MONOTONIC in seconds: ``ready``, ``request``, ``output``, ``state``.
Control lines come on standard input, or on the Unix datagram socket ``--ctl``:

    input N on|off        level N VALUE       what an input says; the register of a supervised input
    output N on|off       stuck N on|off|no   switch a relay by hand; hold it against every command
    power off|on          no answer, outputs drop; back with everything off
    delay LOW [HIGH]      every reply comes this many seconds late (at random between the two)
    crc P | mute P | deaf P   chance of a reply with a wrong CRC; of a lost reply; of a request not heard
    wrongunit P           chance of a reply under another unit
    exception CODE|off    every request is answered with this exception
    state                 print outputs and inputs
    quit
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from modbus_wires import SerialWire, serve_tcp
from pymodbus.pdu import ExceptionResponse, ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadCoilsResponse,
    ReadDiscreteInputsResponse,
    WriteMultipleCoilsResponse,
)
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersResponse,
    ReadInputRegistersResponse,
    WriteMultipleRegistersResponse,
    WriteSingleRegisterResponse,
)

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3


@dataclass(frozen=True)
class Kind:
    """What a board has, and where."""

    outputs: int = 8
    inputs: int = 8
    flash: bool = False
    registers: bool = False
    """Relays are holding registers from 1 that take commands, as on the R421A08."""
    settings: dict[int, int] = field(default_factory=dict)
    levels: bool = False


KINDS = {
    "generic-coil": Kind(),
    "waveshare-8ch": Kind(flash=True, settings={0x1000 + n: 1 for n in range(8)}),
    "waveshare-8ch-relays": Kind(inputs=0, flash=True),
    "waveshare-io-8ch": Kind(settings={0x1000 + n: 0 for n in range(8)}),
    "relay-4-input-4": Kind(outputs=4, inputs=4),
    "input-16": Kind(outputs=0, inputs=16),
    "r421a08": Kind(inputs=0, registers=True),
    "supervised-4": Kind(outputs=2, inputs=4, levels=True),
}


def tell(event: str, **fields: Any) -> None:
    """Print one line."""
    print(json.dumps({"t": time.monotonic(), "event": event, **fields}), flush=True)


class Board:
    """The device: relays with timers, inputs, registers, and its faults."""

    def __init__(self, kind: Kind, unit: int, seed: int) -> None:
        """Everything off."""
        self.kind = kind
        self.unit = unit
        self.random = random.Random(seed)
        self.outputs = [False] * kind.outputs
        self.inputs = [False] * kind.inputs
        self.levels = [0] * kind.inputs
        self.settings = dict(kind.settings)
        self.timers: dict[int, asyncio.TimerHandle] = {}
        self.stuck: dict[int, bool] = {}
        self.powered = True
        self.delay = (0.0, 0.0)
        self.chance = {"crc": 0.0, "mute": 0.0, "deaf": 0.0, "wrongunit": 0.0}
        self.exception = 0

    def happens(self, fault: str) -> bool:
        """Whether a fault strikes now."""
        return self.random.random() < self.chance[fault]

    def switch(self, index: int, on: bool, cause: str) -> None:
        """A relay moves, unless it is stuck; a running timer of it ends."""
        timer = self.timers.pop(index, None)
        if timer is not None:
            timer.cancel()
        on = self.stuck.get(index, on)
        if self.outputs[index] is not on:
            self.outputs[index] = on
            tell("output", output=index + 1, on=on, cause=cause, unit=self.unit)

    def flash(self, index: int, seconds: float) -> None:
        """On now, off later, by the board's own timer."""
        self.switch(index, True, "pulse")
        loop = asyncio.get_running_loop()
        self.timers[index] = loop.call_later(seconds, self.switch, index, False, "timer")

    def answer(self, request: ModbusPDU) -> ModbusPDU:
        """Carry a request out."""
        code = self.exception or 0
        reply: ModbusPDU | int = code
        if not code:
            match request.function_code:
                case 1:
                    reply = self.bits(request, self.outputs, ReadCoilsResponse) if not self.kind.registers else 1
                case 2:
                    reply = self.bits(request, self.inputs, ReadDiscreteInputsResponse)
                case 3 | 4:
                    reply = self.read_registers(request)
                case 5:
                    reply = self.write_coil(request)
                case 6 | 16:
                    reply = self.write_registers(request)
                case 15:
                    reply = self.write_coils(request)
                case _:
                    reply = ILLEGAL_FUNCTION
        return reply if isinstance(reply, ModbusPDU) else ExceptionResponse(request.function_code, reply)

    def bits(self, request: ModbusPDU, states: list[bool], kind: type[ModbusPDU]) -> ModbusPDU | int:
        """Functions 01 and 02."""
        if not states or request.address + request.count > len(states):
            return ILLEGAL_ADDRESS if states else ILLEGAL_FUNCTION
        return kind(bits=states[request.address : request.address + request.count])

    def read_registers(self, request: ModbusPDU) -> ModbusPDU | int:
        """Functions 03 and 04."""
        addresses = range(request.address, request.address + request.count)
        if request.function_code == 4 and self.kind.levels:
            table = dict(enumerate(self.levels))
        elif self.kind.registers:
            table = {n + 1: int(on) for n, on in enumerate(self.outputs)}
        else:
            table = self.settings
        if any(address not in table for address in addresses):
            return ILLEGAL_ADDRESS
        kind = ReadInputRegistersResponse if request.function_code == 4 else ReadHoldingRegistersResponse
        return kind(registers=[table[address] for address in addresses])

    def write_coil(self, request: ModbusPDU) -> ModbusPDU | int:
        """Function 05, the timed pulse included."""
        index, value = request.address, request.count
        if self.kind.flash and 0x200 <= index < 0x200 + len(self.outputs):
            if not 1 <= value <= 0x7FFF:
                return ILLEGAL_VALUE
            self.flash(index - 0x200, value * 0.1)
        elif self.kind.registers or index >= len(self.outputs):
            return ILLEGAL_ADDRESS
        elif value in (0xFF00, 0):
            self.switch(index, value != 0, "write")
        else:
            return ILLEGAL_VALUE
        return request

    def write_coils(self, request: ModbusPDU) -> ModbusPDU | int:
        """Function 15."""
        if self.kind.registers or request.address + request.count > len(self.outputs):
            return ILLEGAL_ADDRESS
        for n, on in enumerate(request.bits[: request.count]):
            self.switch(request.address + n, bool(on), "write")
        return WriteMultipleCoilsResponse(address=request.address, count=request.count)

    def write_registers(self, request: ModbusPDU) -> ModbusPDU | int:
        """Functions 06 and 16: settings, or relay commands where relays are registers."""
        values = list(request.registers)
        for n, value in enumerate(values):
            address = request.address + n
            if self.kind.registers and 1 <= address <= len(self.outputs):
                self.register_command(address - 1, value)
            elif address in self.settings:
                self.settings[address] = value
            else:
                return ILLEGAL_ADDRESS
        if request.function_code == 6:
            return WriteSingleRegisterResponse(address=request.address, registers=values)
        return WriteMultipleRegistersResponse(address=request.address, count=len(values))

    def register_command(self, index: int, value: int) -> None:
        """The R421A08's commands: 1 on, 2 off, 6 on for the seconds in the low byte."""
        command, operand = value >> 8, value & 0xFF
        if command == 6:
            self.flash(index, float(operand))
        elif command in (1, 2):
            self.switch(index, command == 1, "write")

    def stick(self, index: int, on: bool | None) -> None:
        """A relay that no command moves any more, or one again that moves."""
        self.stuck.pop(index, None)
        if on is not None:
            self.stuck[index] = on
            self.switch(index, on, "stuck")

    def control(self, line: str) -> None:
        """One control line."""
        match line.split():
            case ["input", n, state]:
                self.inputs[int(n) - 1] = state == "on"
                tell("input", input=int(n), on=state == "on", unit=self.unit)
            case ["level", n, value]:
                self.levels[int(n) - 1] = int(value)
            case ["output", n, state]:
                self.switch(int(n) - 1, state == "on", "hand")
            case ["stuck", n, state]:
                self.stick(int(n) - 1, None if state == "no" else state == "on")
            case ["power", state]:
                self.powered = state == "on"
                for n in range(len(self.outputs)):
                    self.switch(n, False, "power")
            case ["state"]:
                tell("state", outputs=self.outputs, inputs=self.inputs, settings=list(self.settings.values()))
            case ["quit"]:
                raise SystemExit
            case words:
                self.fault(words)

    def fault(self, words: list[str]) -> None:
        """A control line that switches a fault."""
        match words:
            case ["delay", low, *high]:
                self.delay = (float(low), float(high[0] if high else low))
            case [("crc" | "mute" | "deaf" | "wrongunit") as fault, chance]:
                self.chance[fault] = float(chance)
            case ["exception", code]:
                self.exception = 0 if code == "off" else int(code)
            case _:
                tell("error", words=words)


class Device:
    """Takes requests in order, one at a time, and answers each as the faults have it."""

    def __init__(self, board: Board, turnaround: float) -> None:
        """``turnaround`` is the seconds between a request's end and the reply."""
        self.board = board
        self.unit = board.unit
        self.turnaround = turnaround
        self.queue: asyncio.Queue[tuple[ModbusPDU, Callable[[ModbusPDU], None]]] = asyncio.Queue()

    def heard(self, request: ModbusPDU, reply: Callable[[ModbusPDU], None]) -> None:
        """A request for this unit."""
        if self.board.powered and not self.board.happens("deaf"):
            self.queue.put_nowait((request, reply))

    def garbles(self) -> bool:
        """Whether the next reply has a wrong CRC."""
        return self.board.happens("crc")

    async def work(self) -> None:
        """Answer for ever."""
        while True:
            request, reply = await self.queue.get()
            board = self.board
            tell(
                "request", unit=board.unit, function=request.function_code, address=request.address,
                count=request.count, values=[int(value) for value in request.registers or request.bits],
            )  # fmt: skip
            answer = board.answer(request)
            answer.dev_id, answer.transaction_id = request.dev_id, request.transaction_id
            await asyncio.sleep(self.turnaround + board.random.uniform(*board.delay))
            if board.happens("wrongunit"):
                answer.dev_id = request.dev_id % 247 + 1
            if board.powered and not board.happens("mute"):
                reply(answer)


def listen_for_control(board: Board, path: str | None) -> None:
    """Control lines from standard input, and from a socket if asked for."""
    loop = asyncio.get_running_loop()

    rest = b""

    def from_stdin() -> None:
        nonlocal rest
        data = os.read(sys.stdin.fileno(), 4096)
        if not data:
            loop.remove_reader(sys.stdin.fileno())
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            board.control(line.decode())

    with suppress(PermissionError):  # /dev/null and files cannot be waited for
        loop.add_reader(sys.stdin.fileno(), from_stdin)
    if path is not None:
        with suppress(FileNotFoundError):
            os.unlink(path)
        control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        control.bind(path)
        loop.add_reader(control.fileno(), lambda: board.control(control.recv(256).decode()))


async def main() -> None:
    """Run the board until the bus goes or ``quit``."""
    parser = argparse.ArgumentParser(description="a simulated Modbus relay and input board")
    parser.add_argument("--port")
    parser.add_argument("--tcp", type=int)
    parser.add_argument("--baud", type=int, default=9600)
    parser.add_argument("--unit", type=int, default=1)
    parser.add_argument("--kind", choices=sorted(KINDS), default="waveshare-8ch")
    parser.add_argument("--turnaround", type=float, default=0.004)
    parser.add_argument("--echo", action="store_true", help="the adapter hears itself")
    parser.add_argument("--ctl")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    board = Board(KINDS[options.kind], options.unit, options.seed)
    device = Device(board, options.turnaround)
    listen_for_control(board, options.ctl)
    if options.tcp is not None:
        tell("ready", tcp=await serve_tcp(options.tcp, device))
    else:
        SerialWire(options.port, options.baud, device, options.echo)
        tell("ready", port=options.port)
    await device.work()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
