"""Runs in the place of a unit's program, under everything else that the unit says, and tries what is forbidden.

Prints one JSON object: each attempt, and "ok" or the name of the error.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)


def connect() -> None:
    """To a port at which nobody listens: who may use the network is told so."""
    with socket.create_connection(("127.0.0.1", 9), timeout=5):
        pass


def new_socket(family: socket.AddressFamily, kind: socket.SocketKind) -> None:
    """Any socket of this family."""
    with socket.socket(family, kind):
        pass


def open_device(path: str) -> None:
    """For reading and writing, as a driver would."""
    os.close(os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK))


def write(folder: str) -> None:
    """A file into a folder."""
    file = Path(folder, f"confinement-{os.getpid()}")
    file.write_text("")
    file.unlink()


def system_call(result: int) -> None:
    """Raise what a call of the C library left in errno."""
    if result < 0:
        raise OSError(ctypes.get_errno(), "")


def set_clock() -> None:
    """Where it stands already."""
    time.clock_settime(time.CLOCK_REALTIME, time.time())


def writable_code() -> None:
    """Memory that can be written and executed."""
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def look_at_others() -> None:
    """At a process of another user: process 1 is always one."""
    os.listdir("/proc/1")


ATTEMPTS: dict[str, Callable[[], object]] = {
    "connect": connect,
    "inet6": lambda: new_socket(socket.AF_INET6, socket.SOCK_DGRAM),
    "packet": lambda: new_socket(socket.AF_PACKET, socket.SOCK_RAW),
    "netlink": lambda: new_socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "gpiochip": lambda: open_device("/dev/gpiochip0"),
    "serial port": lambda: open_device("/dev/ttyS1"),
    "disk": lambda: open_device("/dev/vda"),
    "null": lambda: open_device("/dev/null"),
    "write state": lambda: write("/var/lib/latchd"),
    "write doors": lambda: write("/var/lib/latchd/doors"),
    "write sync": lambda: write("/var/lib/latchd/sync"),
    "write doors' run": lambda: write("/run/latchd/doors"),
    "write sync's run": lambda: write("/run/latchd/sync"),
    "write lock": lambda: write("/run/lock"),
    "write shared memory": lambda: write("/dev/shm"),
    "write etc": lambda: write("/etc/latchd"),
    "write program": lambda: write("/opt/latchd"),
    "home": lambda: os.listdir("/root"),
    "site file": lambda: Path("/etc/latchd/site.toml").read_text(),
    "sealed secrets": lambda: os.listdir("/etc/credstore.encrypted"),
    "set clock": set_clock,
    "read clock state": lambda: system_call(_LIBC.adjtimex(ctypes.create_string_buffer(512))),
    "user namespace": lambda: system_call(_LIBC.unshare(0x10000000)),
    "writable code": writable_code,
    "other processes": look_at_others,
}


def outcome(attempt: Callable[[], object]) -> str:
    """What became of it."""
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "ok"


def main() -> None:
    """All of them."""
    json.dump({name: outcome(attempt) for name, attempt in ATTEMPTS.items()}, sys.stdout)


if __name__ == "__main__":
    main()
