"""Runs ``latchd`` with an audit hook that writes down every socket and every device it asks for.

    audited.py LOGFILE doors --config FILE

Each line is ``socket FAMILY`` or ``open PATH`` (below /dev, or a tty's link). It tells what the process really
did, from its first instruction on; what C libraries open by themselves shows in /proc/PID/fd instead.
"""

from __future__ import annotations

import os
import sys
from typing import Any


def main() -> None:
    log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.__new__":
            os.write(log, f"socket {int(arguments[1])}\n".encode())
        elif event == "open" and isinstance(arguments[0], str):
            path = os.path.realpath(arguments[0])
            if path.startswith("/dev/") and path not in ("/dev/null", "/dev/urandom"):
                os.write(log, f"open {path}\n".encode())

    sys.addaudithook(hook)
    del sys.argv[1]
    from daemon.cli.latchd import main as latchd

    latchd()


if __name__ == "__main__":
    main()
