#!/usr/bin/env python3
"""An OSDP reader made of libosdp's peripheral-device side, in its own process, on one tty of the paced bus.

    osdp_reader.py --port DIR/pd1 --address 0 --key HEX32 [--baud 9600] [--ctl DIR/reader.sock] [--serial N]
                   [--outputs 1] [--inputs 2] [--install] [--no-status] [--forgetful]

libosdp's wheels drop a frame that reaches them in pieces, so this process gathers whole frames and hands over
only those; the answer leaves two character times after the command's last byte, as the standard asks. They also
end the secure channel when a command is damaged on its way, or comes again because its answer was lost, and have
let go of the card that was in that answer. So this process passes on only frames whose check characters fit, and
repeats the answer to a repeated command, both as the standard asks (5.9), unless it is ``--forgetful``.

Control lines on stdin, or one a datagram on the Unix socket ``--ctl``:

    card BITS           present a card, ``0`` and ``1``, first bit first
    keys 1234#          press keys
    input N on|off      switch an input        tamper on|off, power on|off    local status
    mute on|off         hear nothing and say nothing, with the queue kept (a cut in the reader's own wire)
    stop                end

The wheel cannot answer ISTAT, LSTAT and the like (it drops the report that Python gives it, and says NAK), so
inputs and local status are reported unasked, when the channel comes up and at each change.

It prints JSON lines: ``ready``, ``secure`` (channel up or down), ``led``, ``buzzer``, ``output``, ``text``,
``keyset``, ``comset`` (settings as received), ``presented`` (a card, keys or status is in the reader's queue) and
``sent`` (a card has left it, in an answer), each with ``t``, CLOCK_MONOTONIC seconds. Never use this as a
reference for how a reader keeps a key.
"""

from __future__ import annotations

import argparse
import binascii
import ctypes
import json
import os
import select
import socket
import sys
import termios
import time
import tty
from pathlib import Path
from typing import Any

import osdp

SOM = 0x53
BROADCAST = 0x7F
INTER_CHARACTER_TIMEOUT = 0.05  # the standard says 20 ms; a loaded test machine needs more
REFRESH_INTERVAL = 0.05
KEYS = {"*": 0x7F, "#": 0x0D}
VENDOR = int.from_bytes(bytes.fromhex("5C2623"), "little")
"""The OUI 5C-26-23. The standard puts its first octet first (7.4); libosdp sends the number's low byte first."""
NAMES = {
    osdp.Command.LED: "led",
    osdp.Command.Buzzer: "buzzer",
    osdp.Command.Output: "output",
    osdp.Command.Text: "text",
    osdp.Command.Keyset: "keyset",
    osdp.Command.Comset: "comset",
    osdp.Command.ComsetDone: "comset_done",
}


def say(what: str, **fields: object) -> None:
    print(json.dumps({"event": what, "t": time.monotonic(), **fields}), flush=True)


def intact(frame: bytes) -> bool:
    """Whether the check characters fit."""
    if frame[4] & 0x04:
        return binascii.crc_hqx(frame[:-2], 0x1D0F) == int.from_bytes(frame[-2:], "little")
    return sum(frame) & 0xFF == 0


class Wire(osdp.Channel):
    """The tty: gathers whole frames for this reader, and holds the answer until the line is free."""

    def __init__(self, port: str, baud: int, address: int) -> None:
        super().__init__()
        self.id = address
        self.addresses = {address, BROADCAST}
        """Whose frames are taken; an answer bears its address and 0x80."""
        self.port = port
        self.baud = baud
        self.character_time = 10 / baud
        self.gathered = bytearray()
        self.last_byte = 0.0
        self.frame = b""
        self.remembers = True
        self.last_exchange = (b"", b"")
        self.muted = False
        self.fd = -1

    def open(self) -> bool:
        try:
            self.fd = os.open(self.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            tty.setraw(self.fd)
            settings = termios.tcgetattr(self.fd)
            settings[4] = settings[5] = getattr(termios, f"B{self.baud}")
            termios.tcsetattr(self.fd, termios.TCSANOW, settings)
            termios.tcflush(self.fd, termios.TCIFLUSH)  # what was said while nobody was there
        except (OSError, termios.error):
            self.close()
        return self.fd >= 0

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1

    # what libosdp calls
    def read(self, max_bytes: int) -> bytes:
        chunk, self.frame = self.frame[:max_bytes], self.frame[max_bytes:]
        return chunk

    def write(self, buf: bytes) -> int:
        self.last_exchange = (self.last_exchange[0], bytes(buf))
        return self._put(buf)

    def repeats(self, frame: bytes) -> bool:
        """Answer a command that came again as it was with the same answer (5.9); whether it was one."""
        if not self.remembers or frame != self.last_exchange[0] or not self.last_exchange[1]:
            self.last_exchange = (frame, b"")
            return False
        self._put(self.last_exchange[1])
        return True

    def _put(self, buf: bytes) -> int:
        wait = self.last_byte + 2 * self.character_time - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        if self.fd >= 0 and not self.muted:
            try:
                os.write(self.fd, buf)
            except OSError:
                self.close()
        return len(buf)

    def flush(self) -> None:
        pass

    def gather(self) -> list[bytes]:
        """Whole frames addressed to this reader that have arrived by now."""
        now = time.monotonic()
        if self.gathered and now - self.last_byte > INTER_CHARACTER_TIMEOUT:
            self.gathered.clear()
        try:
            data = os.read(self.fd, 4096)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self.close()
            return []
        self.last_byte = now
        self.gathered += data
        return [] if self.muted else self._whole_frames()

    def _whole_frames(self) -> list[bytes]:
        frames = []
        buffer = self.gathered
        while (start := buffer.find(SOM)) >= 0 and len(buffer) >= start + 5:
            length = int.from_bytes(buffer[start + 2 : start + 4], "little")
            if not 7 <= length <= 1440:
                del buffer[: start + 1]
                continue
            if len(buffer) < start + length:
                break
            marked = start > 0 and buffer[start - 1] == 0xFF
            frame = bytes(buffer[start - marked : start + length])
            if self.remembers and not intact(frame[marked:]):
                del buffer[: start + 1]
                continue
            del buffer[: start + length]
            if frame[marked + 1] in self.addresses:
                frames.append(frame)
        return frames


class Reader:
    """libosdp's peripheral device, its lines and status, and what is said about it on stdout."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.wire = Wire(options.port, options.baud, options.address)
        self.inputs = [0] * options.inputs
        self.tamper = self.power = 0
        self.secure = False
        self.undelivered = 0
        self.tells_status = not options.no_status
        self.wire.remembers = not options.forgetful
        key = bytes.fromhex(options.key) if options.key else None
        flags = [osdp.LibFlag.InstallMode] if options.install or key is None else [osdp.LibFlag.EnforceSecure]
        if options.clear:
            flags = []
        capabilities = osdp.PDCapabilities(
            [
                (osdp.Capability.ContactStatusMonitoring, 1, options.inputs),
                (osdp.Capability.OutputControl, 1, options.outputs),
                (osdp.Capability.LEDControl, 1, 1),
                (osdp.Capability.AudibleControl, 1, 1),
                (osdp.Capability.TextOutput, 1, 1),
            ]
        )
        identity = osdp.PdId(1, 1, VENDOR, options.serial, 0x010203)
        info = osdp.PDInfo(options.address, self.wire, scbk=key, flags=flags, id=identity)
        self.device = osdp.PeripheralDevice(
            info,
            capabilities,
            log_level=osdp.LogLevel.Emergency,
            command_handler=self.command,
            event_completion_handler=self.delivered,
        )

    def command(self, command: dict[str, Any]) -> tuple[int, None]:
        while not self.device.command_queue.empty():  # libosdp's wrapper also queues each command: unbounded
            self.device.command_queue.get_nowait()
        if command["command"] != osdp.Command.Status:
            plain = {k: v for k, v in command.items() if not isinstance(v, bytes) and k != "command"}
            say(NAMES.get(command["command"], "other"), **plain)
        # The wheel gives back one reference too many for the second item of this pair: without this one more
        # for each call the interpreter dies when the count of None has run out, after about 4,500 commands.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(None))
        return 0, None

    def delivered(self, event: dict[str, Any], status: int) -> None:
        if event["event"] == osdp.Event.Status:
            self.undelivered -= 1
        elif event["event"] == osdp.Event.CardRead and status == 0:
            say("sent", value=int.from_bytes(event["data"], "big") >> (-event["length"] % 8))

    def refresh(self, frame: bytes = b"") -> None:
        self.wire.frame = frame
        for _ in range(3 if frame else 1):
            self.device.ctx.refresh()
        if self.device.is_sc_active() != self.secure:
            self.secure = not self.secure
            say("secure", active=self.secure)
            if self.secure and self.tells_status and not self.undelivered:
                self._status(osdp.StatusReportType.Input, bytes(self.inputs))
                self._status(osdp.StatusReportType.Local, bytes([self.tamper, self.power]))

    def obey(self, line: str) -> bool:
        """Act on one control line; False ends the process."""
        match line.split():
            case ["card", bits]:
                padded = bits.ljust((len(bits) + 7) // 8 * 8, "0")
                self._submit(
                    {
                        "event": osdp.Event.CardRead,
                        "reader_no": 0,
                        "direction": 0,
                        "format": osdp.CardFormat.Unspecified,
                        "length": len(bits),
                        "data": int(padded, 2).to_bytes(len(padded) // 8, "big"),
                    },
                    value=int(bits, 2),
                )
            case ["keys", keys]:
                data = bytes(KEYS.get(key, ord(key)) for key in keys)
                self._submit({"event": osdp.Event.KeyPress, "reader_no": 0, "data": data})
            case ["input", number, ("on" | "off") as state]:
                self.inputs[int(number)] = int(state == "on")
                self._status(osdp.StatusReportType.Input, bytes(self.inputs))
            case [("tamper" | "power") as what, ("on" | "off") as state]:
                setattr(self, what, int(state == "on"))
                self._status(osdp.StatusReportType.Local, bytes([self.tamper, self.power]))
            case ["mute", ("on" | "off") as state]:
                self.wire.muted = state == "on"
            case ["stop"]:
                return False
            case _:
                say("error", line=line)
        return True

    def _status(self, kind: int, report: bytes) -> None:
        self.undelivered += 1
        self._submit({"event": osdp.Event.Status, "type": kind, "report": report})

    def _submit(self, event: dict[str, Any], **more: int) -> None:
        say("presented", kind=event["event"], accepted=self.device.ctx.submit_event(event), **more)

    def run(self, control: socket.socket | None) -> None:
        pending = b""
        stdin: list[int] = [sys.stdin.fileno()]
        while True:
            if self.wire.fd < 0 and not self.wire.open():
                select.select([], [], [], REFRESH_INTERVAL)
            watched: list[Any] = [*stdin, *([control] if control else [])]
            if self.wire.fd >= 0:
                watched.append(self.wire.fd)
            readable, _, _ = select.select(watched, [], [], REFRESH_INTERVAL)
            if self.wire.fd in readable:
                for frame in self.wire.gather():
                    if not self.wire.repeats(frame):
                        self.refresh(frame)
            elif not readable:
                self.refresh()
            lines: list[str] = []
            if control is not None and control in readable:
                lines.append(control.recv(512).decode())
            if stdin and stdin[0] in readable:
                chunk = os.read(stdin[0], 4096)
                if not chunk:
                    stdin = []
                pending += chunk
                *whole, pending = pending.split(b"\n")
                lines += [line.decode() for line in whole]
            if not all(self.obey(line) for line in lines if line.strip()):
                return


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", required=True)
    parser.add_argument("--baud", type=int, default=9600, help="the speed that it sets, and its turn-around time")
    parser.add_argument("--address", type=int, default=0)
    parser.add_argument("--key", help="secure channel base key, 32 hex digits; absent: the default key")
    parser.add_argument("--install", action="store_true", help="accept the default key beside its own")
    parser.add_argument("--clear", action="store_true", help="accept clear text too")
    parser.add_argument(
        "--forgetful", action="store_true", help="lose the session by a damaged or repeated command"
    )
    parser.add_argument("--no-status", action="store_true", help="no status when the channel comes up")
    parser.add_argument("--serial", type=int, default=1)
    parser.add_argument("--inputs", type=int, default=2)
    parser.add_argument("--outputs", type=int, default=1)
    parser.add_argument("--ctl", type=Path, help="path of the control socket")
    options = parser.parse_args()
    control = None
    if options.ctl:
        options.ctl.unlink(missing_ok=True)
        control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        control.bind(str(options.ctl))
    reader = Reader(options)
    say("ready", address=options.address)
    try:
        reader.run(control)
    except KeyboardInterrupt:
        pass
    finally:
        reader.wire.close()
        if control is not None:
            control.close()
            options.ctl.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
