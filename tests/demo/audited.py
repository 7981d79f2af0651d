"""Runs ``latchd`` under guard: every socket and device it asks for is written down, or forbidden.

    audited.py LOGFILE doors --config FILE

An audit hook writes lines ``socket FAMILY`` and ``open PATH`` (below /dev, or a tty's link): what Python code did,
from the first instruction on. What C libraries do shows in /proc/PID/fd; and for ``doors`` the kernel itself ends
the process with SIGSYS at the first socket that is no Unix socket.
"""

from __future__ import annotations

import ctypes
import os
import platform
import socket
import struct
import sys
from typing import Any

NUMBERS = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
"""Of seccomp(2): the architecture, and the number of socket(2)."""

LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, KILL_PROCESS = 0x7FFF0000, 0x80000000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2


def forbid_the_network() -> None:
    """As RestrictAddressFamilies=AF_UNIX of the unit does, but with death instead of an error."""
    architecture, call = NUMBERS[platform.machine()]
    program = [  # operation, jump if true, jump if false, operand
        (LOAD, 0, 0, 4), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, ALLOW),
        (LOAD, 0, 0, 0), (EQUAL, 1, 0, call), (RETURN, 0, 0, ALLOW),
        (LOAD, 0, 0, 16), (EQUAL, 0, 1, int(socket.AF_UNIX)), (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, KILL_PROCESS),
    ]  # fmt: skip
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("HxxxxxxQ", len(program), ctypes.addressof(code))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header):
        raise OSError(ctypes.get_errno(), "the kernel takes no seccomp filter")


def write_down(path: str) -> None:
    """Install the audit hook."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.__new__":
            os.write(log, f"socket {int(arguments[1])}\n".encode())
        elif event == "open" and isinstance(arguments[0], str):
            path = os.path.realpath(arguments[0])
            if path.startswith("/dev/") and path not in ("/dev/null", "/dev/urandom"):
                os.write(log, f"open {path}\n".encode())

    sys.addaudithook(hook)


def main() -> None:
    write_down(sys.argv[1])
    if sys.argv[2] == "doors":
        forbid_the_network()
    del sys.argv[1]
    from daemon.cli.latchd import main as latchd

    latchd()


if __name__ == "__main__":
    main()
