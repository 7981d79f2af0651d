#!/usr/bin/env python3
"""A second opinion on OSDP in clear text: a reader made of the pure-Python package ``osdp`` (not of libosdp).

    .venv-osdp/bin/python osdp_second.py --port TTY --address 3 [--checksum]

The package is a control panel, so this is turned round: what the panel under test sends is compared, byte for
byte, with what the package would have sent in its place; answers are framed by the package's own reply class. It
runs in an environment of its own, because libosdp's module bears the same name.

One line on stdin, ``card BITS`` or ``keys HEX``, is the answer to the next poll. Each command is a JSON line on
stdout: its name, and ``same``, whether the package would have framed it alike.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import sys
import tty
from typing import Any

import osdp

REPLY_TO = {
    0x61: (0x45, bytes.fromhex("5C2623190200E92A07030201")),
    0x62: (0x46, bytes([1, 1, 2, 2, 1, 1, 4, 1, 1, 5, 1, 1, 6, 1, 1])),
    0x64: (0x48, bytes(2)),
    0x65: (0x49, bytes(2)),
    0x67: (0x4B, bytes(1)),
}
ACK, OSTATR, RAW, KEYPAD = 0x40, 0x4A, 0x50, 0x53
OUT_ON = (2, 4, 5)


def commands(address: int, code: int, data: bytes) -> Any:
    """The package's own command of this meaning, taken apart by the layouts of the standard (6)."""
    plain = {
        0x60: osdp.PollCommand,
        0x61: osdp.IdReportCommand,
        0x62: osdp.DeviceCapabilitiesCommand,
        0x64: osdp.LocalStatusReportCommand,
        0x65: osdp.InputStatusReportCommand,
        0x66: osdp.OutputStatusReportCommand,
        0x67: osdp.ReaderStatusReportCommand,
    }
    if code in plain:
        return plain[code](address)
    timer = int.from_bytes(data[2:4], "little")
    if code == 0x68:
        control = osdp.OutputControl(data[0], osdp.OutputControlCode(data[1]), timer)
        return osdp.OutputControlCommand(address, osdp.OutputControls([control]))
    if code == 0x69:
        # Permanent mode 1 sets the state (table 15); the package calls it 2, libosdp and OSDP.Net 1.
        modes = (osdp.TemporaryReaderControlCode(data[2]), osdp.PermanentReaderControlCode(2 * data[9]))
        colours = [osdp.LedColor(data[at]) for at in (5, 6, 12, 13)]
        timer = int.from_bytes(data[7:9], "little")
        light = osdp.ReaderLedControl(
            *data[:2], modes[0], *data[3:5], *colours[:2], timer, modes[1], *data[10:12], *colours[2:]
        )
        return osdp.ReaderLedControlCommand(address, osdp.ReaderLedControls([light]))
    if code == 0x6A:
        buzzer = osdp.ReaderBuzzerControl(data[0], osdp.ToneCode(data[1]), *data[2:5])
        return osdp.ReaderBuzzerControlCommand(address, buzzer)
    if code == 0x6B:
        text = osdp.ReaderTextOutput(data[0], osdp.TextCommand(data[1]), *data[2:5], data[6:].decode("ascii"))
        return osdp.ReaderTextOutputCommand(address, text)
    return None


class Answer(osdp.Reply):  # type: ignore[misc]  # the package has no types
    """A reply that the package frames."""

    def __init__(self, address: int, code: int, data: bytes) -> None:
        self.address = address
        self.reply_code_, self.data_ = code, data

    @property
    def reply_code(self) -> int:
        return self.reply_code_

    def security_control_block(self) -> bytes:
        return b""

    def data(self) -> bytes:
        return self.data_


class Reader:
    """Answers one frame at a time."""

    def __init__(self, address: int, *, crc: bool) -> None:
        self.address, self.crc = address, crc
        self.waiting: list[tuple[int, bytes]] = []
        self.output = 0

    def hear(self, frame: bytes) -> bytes:
        sequence, code = frame[4] & 3, frame[5]
        data = frame[6 : -2 if self.crc else -1]
        device = osdp.Device(self.address, self.crc, False)
        device.message_control.sequence = sequence
        own = commands(self.address, code, data)
        theirs = own.build_command(device) if own is not None else b""
        if code == 0x69 and theirs[15] == 2:  # the one byte that the package has wrong, and its check characters
            theirs = frame if theirs[:15] == frame[:15] and theirs[16:20] == frame[16:20] else theirs
        say(type(own).__name__, theirs == frame)
        reply = Answer(self.address, *self.reply(code, data))
        return bytes(reply.build_reply(self.address, osdp.Control(sequence, self.crc, False)))

    def reply(self, code: int, data: bytes) -> tuple[int, bytes]:
        if code == 0x60 and self.waiting:
            return self.waiting.pop(0)
        if code == 0x68:
            self.output = int(data[1] in OUT_ON)
        if code in (0x66, 0x68):
            return OSTATR, bytes([self.output])
        return REPLY_TO.get(code, (ACK, b""))

    def obey(self, line: str) -> None:
        kind, value = line.split()
        if kind == "card":
            bits = value.ljust(-(-len(value) // 8) * 8, "0")
            packed = int(bits, 2).to_bytes(len(bits) // 8, "big")
            self.waiting.append((RAW, bytes([0, 1]) + len(value).to_bytes(2, "little") + packed))
        else:
            keys = bytes.fromhex(value)
            self.waiting.append((KEYPAD, bytes([0, len(keys)]) + keys))


def say(command: str, same: bool) -> None:
    print(json.dumps({"event": command, "same": same}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", required=True)
    parser.add_argument("--address", type=int, required=True)
    parser.add_argument("--checksum", action="store_true")
    options = parser.parse_args()
    reader = Reader(options.address, crc=not options.checksum)
    port = os.open(options.port, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(port)
    print(json.dumps({"event": "ready"}), flush=True)
    gathered = bytearray()
    while True:
        readable, _, _ = select.select([port, sys.stdin], [], [])
        if sys.stdin in readable:
            line = sys.stdin.readline()
            if not line:
                return
            reader.obey(line)
        if port in readable:
            gathered += os.read(port, 4096)
            while len(gathered) >= 4 and len(gathered) >= (length := int.from_bytes(gathered[2:4], "little")):
                frame = bytes(gathered[:length])
                del gathered[:length]
                if frame[1] == options.address:
                    os.write(port, reader.hear(frame))


if __name__ == "__main__":
    main()
