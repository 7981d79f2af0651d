"""Telling systemd how this process is: the datagrams of sd_notify(3), without its library.

Outside systemd (no ``NOTIFY_SOCKET``) every call does nothing.
"""

from __future__ import annotations

import asyncio
import os
import socket


def notify(*fields: str) -> bool:
    """Send ``fields`` (``READY=1``, ``STATUS=…``) in one datagram; return whether a service manager was there.

    Never raises and never blocks: a service manager that does not listen must not stop a door.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]  # an abstract socket
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as channel:
            channel.sendto("\n".join(fields).encode(), address)
    except OSError:
        return False
    return True


def ready(status: str) -> bool:
    """Start-up is done: what waits for the unit may go on."""
    return notify("READY=1", f"STATUS={_line(status)}")


def alive(status: str | None = None) -> bool:
    """The watchdog's keep-alive; call it from the loop whose death it is to notice, at ``watchdog_interval``."""
    return notify("WATCHDOG=1", *([] if status is None else [f"STATUS={_line(status)}"]))


def stopping() -> bool:
    """The process has begun to stop."""
    return notify("STOPPING=1")


def watchdog_interval() -> float | None:
    """Seconds between two keep-alives: a third of what systemd allows; ``None`` when it does not watch us."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    allowed = os.environ.get("WATCHDOG_USEC", "")
    return int(allowed) / 3_000_000 if allowed.isdecimal() and int(allowed) > 0 else None


async def keep_alive() -> None:
    """Tell the watchdog, until cancelled, that the loop which runs this still turns."""
    interval = watchdog_interval()
    while interval is not None:
        alive()
        await asyncio.sleep(interval)


def _line(text: str) -> str:
    """A status is one line: a line break would begin another field."""
    return " ".join(text.split())
