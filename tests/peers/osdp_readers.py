#!/usr/bin/env python3
"""Many of libosdp's readers in one process on one tap of the paced bus, with people who badge at them.

    osdp_readers.py --port DIR/pd0 --count 8 --baud 9600 --key HEX32

Each is the reader of ``osdp_reader.py``, at addresses 0, 1 … Control lines on stdin:

    rush EVERY SECONDS SEED     a card at each reader about every so many seconds, for so long
    stop                        end

Each card has a number of its own; ``presented`` says when it was in its reader's queue (``t``, CLOCK_MONOTONIC).
One process for all: 32 of them would be woken by each byte.
"""

from __future__ import annotations

import argparse
import os
import random
import select
import sys
import time

from osdp_reader import Reader, Wire, say

IDLE = 0.1


def options_of(options: argparse.Namespace, address: int) -> argparse.Namespace:
    """What ``osdp_reader.py`` would be started with."""
    return argparse.Namespace(
        port=options.port,
        baud=options.baud,
        address=address,
        key=options.key,
        install=False,
        clear=False,
        forgetful=False,
        no_status=True,
        serial=address + 1,
        inputs=2,
        outputs=1,
    )


class Rush:
    """Who badges where and when."""

    def __init__(self, every: float, seconds: float, seed: int, readers: list[Reader]) -> None:
        chance = random.Random(seed)
        begin = time.monotonic()
        self.end = begin + seconds
        self.due: list[tuple[float, int]] = []
        for address in range(len(readers)):
            at = begin + chance.uniform(0.0, every)
            while at < self.end:
                self.due.append((at, address))
                at += every * chance.uniform(0.9, 1.1)
        self.due.sort(reverse=True)
        self._readers = readers
        self._number = seed << 12

    def play(self) -> None:
        while self.due and self.due[-1][0] <= time.monotonic():
            _, address = self.due.pop()
            self._number += 1
            self._readers[address].obey(f"card {self._number:026b}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--baud", type=int, default=9600)
    parser.add_argument("--key", required=True)
    options = parser.parse_args()
    tap = Wire(options.port, options.baud, 0)
    tap.addresses = set(range(options.count))
    while not tap.open():
        time.sleep(0.01)
    readers = [Reader(options_of(options, address)) for address in range(options.count)]
    for reader in readers:
        reader.wire.fd = tap.fd
    say("ready", count=options.count)
    serve(tap, readers)
    return 0


def serve(tap: Wire, readers: list[Reader]) -> None:
    """Answer, badge and obey until told to stop."""
    rush: Rush | None = None
    refreshed, pending = time.monotonic(), b""
    while True:
        wait = IDLE if rush is None or not rush.due else max(0.0, min(IDLE, rush.due[-1][0] - time.monotonic()))
        readable, _, _ = select.select([tap.fd, sys.stdin.fileno()], [], [], wait)
        if tap.fd in readable:
            answer(tap, readers)
        elif time.monotonic() - refreshed > IDLE:
            refreshed = time.monotonic()
            for reader in readers:
                reader.refresh()
        if rush is not None:
            rush.play()
        if sys.stdin.fileno() in readable:
            chunk = os.read(sys.stdin.fileno(), 4096)
            *lines, pending = (pending + chunk).split(b"\n")
            if not chunk or b"stop" in lines:
                return
            for line in lines:
                _, every, seconds, seed = line.decode().split()
                rush = Rush(float(every), float(seconds), int(seed), readers)


def answer(tap: Wire, readers: list[Reader]) -> None:
    """Let each reader answer what came for it."""
    for frame in tap.gather():
        reader = readers[frame[1 + (frame[0] == 0xFF)]]
        reader.wire.last_byte = tap.last_byte
        if not reader.wire.repeats(frame):
            reader.refresh(frame)


if __name__ == "__main__":
    sys.exit(main())
