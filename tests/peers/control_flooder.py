"""A local user who does the worst to a control socket: ``control_flooder PATH UID GID KIND SECONDS``.

It becomes the user (as root; a number that has no name will do), attacks for so long, and prints how often it was
served, refused in words, and cut off without a word. Also for a viewer: GID is then a group that may look.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable

HELD = 40
"""Connections that are held at once, more than there are slots."""

SENDERS = 16
"""Connections that send at once."""

LINE = json.dumps({"command": "status", "arguments": {}}).encode() + b"\n"
HUGE = b'{"command":"status","arguments":{"x":[' + b"{}," * 340_000 + b"{}]}}\n"
LONG_NAME = json.dumps({"command": "why", "arguments": {"door": "x" * 900_000, "person": "y"}}).encode() + b"\n"
FOLLOW = json.dumps({"command": "events", "arguments": {"follow": True}}).encode() + b"\n"
MEMBERS = json.dumps({"command": "access", "arguments": {"door": "lobby", "members": True}}).encode() + b"\n"
SCAN = json.dumps({"command": "events", "arguments": {"after": 0, "person": "no one"}}).encode() + b"\n"


class Flooder:
    """Attacks until ``until`` (monotonic seconds)."""

    def __init__(self, path: str, until: float) -> None:
        """Nothing was tried yet."""
        self.path = path
        self.until = until
        self.seen: Counter[str] = Counter()

    def hold(self, first: bytes) -> None:
        """Hold as many connections as there are, each after saying ``first``; new ones for those that end."""
        held: list[socket.socket] = []
        while time.monotonic() < self.until:
            while len(held) < HELD:
                held.append(self._connected())
                with contextlib.suppress(OSError):
                    held[-1].sendall(first)
            time.sleep(0.02)
            for one in list(held):
                with contextlib.suppress(BlockingIOError, OSError):
                    if one.recv(4096, socket.MSG_DONTWAIT):
                        continue
                    one.close()
                    held.remove(one)
                    self.seen["ended"] += 1
        for one in held:
            one.close()

    def send(self, line: bytes, at_once: int = SENDERS) -> None:
        """Send ``line`` over and over, on as many connections as are open at once."""

        def again() -> None:
            while time.monotonic() < self.until:
                with self._connected() as connection:
                    self.seen[_outcome(connection, line)] += 1

        threads = [threading.Thread(target=again) for _ in range(at_once)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _connected(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self.path)
        connection.settimeout(2)
        return connection


def _outcome(connection: socket.socket, line: bytes) -> str:
    with contextlib.suppress(OSError):
        connection.sendall(line)
    found = b""
    with contextlib.suppress(OSError):
        while chunk := connection.recv(65536):
            found = (found + chunk)[-4096:]
    if b'"end":"ok"' in found:
        return "served"
    return "refused" if b'"end":"error"' in found else "silent"


KINDS: dict[str, Callable[[Flooder], None]] = {
    "hold": lambda flooder: flooder.hold(b""),
    "follow": lambda flooder: flooder.hold(FOLLOW),
    "huge": lambda flooder: flooder.send(HUGE),
    "name": lambda flooder: flooder.send(LONG_NAME),
    "small": lambda flooder: flooder.send(LINE),
    "members": lambda flooder: flooder.send(MEMBERS),
    "scan": lambda flooder: flooder.send(SCAN),
}


def main() -> None:
    """Become the user and attack."""
    path, uid, gid, kind, seconds = sys.argv[1:]
    os.setgroups([])
    os.setgid(int(gid))
    os.setuid(int(uid))
    flooder = Flooder(path, time.monotonic() + float(seconds))
    print("attacking", flush=True)
    KINDS[kind](flooder)
    print(json.dumps(flooder.seen), flush=True)


if __name__ == "__main__":
    main()
