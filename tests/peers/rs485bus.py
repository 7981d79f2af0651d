#!/usr/bin/env python3
"""A paced, half-duplex RS-485 segment made of ptys: what one node sends, all others receive at wire speed.

A pty alone has no baud rate, so every latency and most faults of a bus are invisible on it. This process owns
one pty for each ``--link`` and passes each byte on one character time (10 bits / baud) after the one before.
Two nodes that talk at once garble each other (exclusive or), as on a real pair.

    rs485bus.py --baud 9600 --link DIR/cp --link DIR/pd1 [--ctl DIR/ctl] [--tap DIR/tap] [--seed N] [--speeds]

It prints ``ready`` when the links exist. Control lines, one a datagram on the Unix socket ``--ctl``; each is
answered with the statistics if the sender has an address:

    unplug NAME | replug NAME   the node's tty vanishes (its user gets EIO) | is there again
    cut NAME | join NAME        a broken wire: the tty stays, no byte passes | mended
    loss P | flip P             drop a byte | invert one of its bits, with probability P for each byte
    echo 0 | echo 1             the sender hears itself (an adapter without echo suppression)
    baud N                      another speed for the whole segment
    stats                       nothing but the answer

With ``--speeds`` each node sends at the speed that its user has set (tcsetattr), and hears nothing but rubbish
from those of another speed; else the segment has one speed, whatever is set.

``--tap`` writes a line for each delivered byte: CLOCK_MONOTONIC seconds, sender's name, byte in hex, as
``12.345678 cp 53``. A sender of ``?`` is a collision.
"""

from __future__ import annotations

import argparse
import os
import random
import select
import signal
import socket
import sys
import termios
import time
import tty
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

BITS_PER_CHARACTER = 10  # 8N1: start, eight data bits, stop
SPEEDS = {getattr(termios, f"B{speed}"): speed for speed in (9600, 19200, 38400, 57600, 115200, 230400)}


@dataclass(slots=True)
class Node:
    """One tap of the segment: its pty, and the bytes that it has handed over but that are not yet across."""

    link: Path
    master: int = -1
    slave: int = -1
    cut: bool = False
    free_at: float = 0.0
    line: deque[tuple[float, int]] = field(default_factory=deque)

    @property
    def name(self) -> str:
        return self.link.name

    @property
    def speed(self) -> int:
        """What the node's user has set; a master shows the settings of its slave."""
        return SPEEDS.get(termios.tcgetattr(self.master)[5], 0) if self.master >= 0 else 0

    def plug(self) -> None:
        """Make a fresh pty and put the link on it. The slave stays open here, so an idle node gives no EIO."""
        if self.master >= 0:
            return
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        fresh = self.link.with_name(self.link.name + ".new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.ttyname(self.slave))
        fresh.replace(self.link)

    def unplug(self) -> None:
        if self.master < 0:
            return
        self.link.unlink(missing_ok=True)
        os.close(self.slave)
        os.close(self.master)
        self.master = self.slave = -1
        self.line.clear()

    def take(self, character_time: float) -> None:
        """Read what the node's user wrote and give each byte its place on the wire."""
        try:
            data = os.read(self.master, 4096)
        except OSError:
            return
        if self.cut:
            return
        at = max(time.monotonic(), self.free_at)
        for byte in data:
            at += character_time
            self.line.append((at, byte))
        self.free_at = at

    def give(self, data: bytes) -> None:
        if self.master >= 0 and not self.cut and data:
            try:
                os.write(self.master, data)
            except OSError:
                return  # nobody reads: a receiver that is overrun loses bytes, as on a wire


class Segment:
    """All nodes, the faults that are switched on, and the counts."""

    def __init__(
        self, links: list[Path], baud: int, tap: TextIO | None, seed: int | None, speeds: bool = False
    ) -> None:
        self.nodes = {link.name: Node(link) for link in links}
        self.baud = baud
        self.tap = tap
        self.random = random.Random(seed)
        self.speeds = speeds
        self.loss = self.flip = 0.0
        self.echo = False
        self.delivered = self.collisions = 0
        for node in self.nodes.values():
            node.plug()

    @property
    def character_time(self) -> float:
        return BITS_PER_CHARACTER / self.baud

    def time_of(self, node: Node) -> float:
        """Seconds that a character of this node takes."""
        return BITS_PER_CHARACTER / ((self.speeds and node.speed) or self.baud)

    def next_delivery(self) -> float | None:
        return min((node.line[0][0] for node in self.nodes.values() if node.line), default=None)

    def deliver(self, now: float) -> None:
        """Pass on every byte whose time has come, oldest first, in runs of one sender."""
        run: bytearray = bytearray()
        sender: Node | None = None
        while True:
            talking = [node for node in self.nodes.values() if node.line and node.line[0][0] <= now]
            if not talking:
                break
            source = min(talking, key=lambda node: node.line[0][0])
            byte, speaker = self._next_byte(source)
            if speaker is not sender:
                self._spread(run, sender)
                run, sender = bytearray(), speaker
            run += self._through_noise(byte)
        self._spread(run, sender)

    def _next_byte(self, source: Node) -> tuple[int, Node | None]:
        at, byte = source.line.popleft()
        speaker: Node | None = source
        for other in self.nodes.values():
            if other is not source and other.line and other.line[0][0] - at < self.character_time * 0.9:
                byte ^= other.line.popleft()[1]
                speaker = None
                self.collisions += 1
        if self.tap is not None:
            self.tap.write(f"{at:.6f} {speaker.name if speaker else '?'} {byte:02x}\n")
        return byte, speaker

    def _through_noise(self, byte: int) -> bytes:
        self.delivered += 1
        if self.loss and self.random.random() < self.loss:
            return b""
        if self.flip and self.random.random() < self.flip:
            byte ^= 1 << self.random.randrange(8)
        return bytes([byte])

    def _spread(self, run: bytearray, sender: Node | None) -> None:
        for node in self.nodes.values():
            if node is not sender or self.echo:
                alike = not self.speeds or sender is None or node.speed == sender.speed
                node.give(bytes(run) if alike else bytes(byte ^ 0xA5 for byte in run[::3]))

    def control(self, line: str) -> str:
        """Obey one control line; the answer is the statistics, or what was wrong with the line."""
        match line.split():
            case ["unplug", name] if name in self.nodes:
                self.nodes[name].unplug()
            case ["replug", name] if name in self.nodes:
                self.nodes[name].plug()
            case ["cut", name] if name in self.nodes:
                self.nodes[name].cut = True
                self.nodes[name].line.clear()
            case ["join", name] if name in self.nodes:
                self.nodes[name].cut = False
            case ["loss", value]:
                self.loss = float(value)
            case ["flip", value]:
                self.flip = float(value)
            case ["echo", ("0" | "1") as value]:
                self.echo = value == "1"
            case ["baud", value]:
                self.baud = int(value)
            case ["stats"]:
                pass
            case _:
                return f"unknown control line: {line!r}"
        cpu = time.process_time()
        return f"bytes={self.delivered} collisions={self.collisions} cpu={cpu:.2f}"

    def close(self) -> None:
        for node in self.nodes.values():
            node.unplug()
        if self.tap is not None:
            self.tap.close()


def serve(segment: Segment, control: socket.socket | None) -> None:
    """Run the wire until a signal ends the process."""
    while True:
        by_fd = {node.master: node for node in segment.nodes.values() if node.master >= 0}
        due = segment.next_delivery()
        wait = None if due is None else max(0.0, due - time.monotonic())
        watched: list[int | socket.socket] = [*by_fd]
        if control is not None:
            watched.append(control)
        readable, _, _ = select.select(watched, [], [], wait)
        for item in readable:
            if isinstance(item, int):
                by_fd[item].take(segment.time_of(by_fd[item]))
        segment.deliver(time.monotonic())
        if control is not None and control in readable:
            line, peer = control.recvfrom(256)
            answer = segment.control(line.decode("ascii", "replace").strip())
            if peer:
                control.sendto(answer.encode(), peer)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--baud", type=int, default=9600)
    parser.add_argument("--link", action="append", required=True, type=Path, help="path of a node's tty link")
    parser.add_argument("--ctl", type=Path, help="path of the control socket")
    parser.add_argument("--tap", type=Path, help="file for every delivered byte with its time")
    parser.add_argument("--seed", type=int, help="makes loss and flips repeatable")
    parser.add_argument("--speeds", action="store_true", help="each node at the speed that its user has set")
    options = parser.parse_args()

    def stop(_signal: int, _frame: object) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    tap = options.tap.open("w", buffering=1) if options.tap else None
    segment = Segment(options.link, options.baud, tap, options.seed, options.speeds)
    control = None
    if options.ctl:
        options.ctl.unlink(missing_ok=True)
        control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        control.bind(str(options.ctl))
    print("ready", flush=True)
    try:
        serve(segment, control)
    finally:
        segment.close()
        if control is not None:
            control.close()
            options.ctl.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
