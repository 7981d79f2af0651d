"""The one place that opens a tty: exclusive, raw, never blocking, RS-485 direction by the kernel where asked.

A port has one owner. Opening takes an advisory lock (``flock``) and the tty's own exclusive mode (``TIOCEXCL``);
whoever comes second gets an error that names the process which holds the port. A device that vanishes, such as a
USB adapter that is pulled, is a ``PortError`` from ``read`` or ``write``; the owner closes and opens again.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import struct
import termios
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import serial
from serial.rs485 import RS485Settings

from drivers.driver import BusObserver, NoObserver, PortError
from drivers.remote import Parity, parse_remote
from drivers.tcpport import connect_line

_READ_SIZE = 4096
_PTY_MAJORS = range(136, 144)
"""Unix98 pseudo-terminals (Linux devices.txt)."""


class Port:
    """An open tty. ``char_time`` is the seconds that one character takes on the wire, all its bits counted."""

    def __init__(self, path: str, tty: serial.Serial, char_time: float, tap: BusObserver) -> None:
        """Take over an open ``tty``; ``open_port`` is the way to make one."""
        self._tap = tap
        tap.opened()
        self.path = path
        self.char_time = char_time
        self._tty = tty
        self._fd: int = tty.fileno()

    def __enter__(self) -> Self:
        """Use as a context: the port is closed at its end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def fileno(self) -> int:
        """The descriptor, for the event loop; -1 after ``close``."""
        return self._fd

    def read(self) -> bytes:
        """What has arrived, ``b""`` when nothing has. Raises ``PortError`` when the device is gone."""
        try:
            data = os.read(self._fd, _READ_SIZE)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._gone(error) from error
        if not data:  # the terminal was hung up: with VMIN = 1, nothing else reads as end of file
            raise PortError(errno.EIO, f"{self.path}: the device is gone (hung up)")
        self._tap.received(data)
        return data

    def write(self, data: bytes) -> int:
        """Hand over as much of ``data`` as the kernel takes now; how much. Raises ``PortError`` when gone."""
        try:
            taken = os.write(self._fd, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._gone(error) from error
        self._tap.sent(data[:taken])
        return taken

    def set_baudrate(self, baudrate: int) -> None:
        """Another speed from now on, for what is still to be sent too. Raises ``PortError`` when gone."""
        if self._tty.baudrate == baudrate:
            return
        self.char_time *= self._tty.baudrate / baudrate
        try:
            self._tty.baudrate = baudrate
        except (OSError, ValueError, termios.error) as error:
            raise PortError(errno.EIO, f"{self.path}: cannot work at {baudrate} baud ({error})") from error

    def drain_time(self) -> float:
        """Seconds until what was written has left, by the kernel's count of bytes that still wait."""
        waiting = bytearray(4)
        try:
            fcntl.ioctl(self._fd, termios.TIOCOUTQ, waiting)
        except OSError as error:
            raise self._gone(error) from error
        return float(struct.unpack("i", waiting)[0]) * self.char_time

    def discard_input(self) -> None:
        """Throw away what arrived and was not read. Raises ``PortError`` when the device is gone."""
        try:
            termios.tcflush(self._fd, termios.TCIFLUSH)
        except termios.error as error:
            raise PortError(errno.EIO, f"{self.path}: the device is gone ({error.args[-1]})") from error

    def close(self) -> None:
        """Let go of the port at once, dropping what still waits to be sent; a second call does nothing."""
        if self._fd < 0:
            return
        self._tap.closed()
        # The last close of a tty waits for its output, half a minute on a stalled line: drop it first.
        with contextlib.suppress(OSError, termios.error):
            termios.tcflush(self._fd, termios.TCOFLUSH)
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._fd, termios.TIOCNXCL)
        self._fd = -1
        with contextlib.suppress(OSError, termios.error):
            self._tty.close()

    def _gone(self, error: OSError) -> PortError:
        return PortError(error.errno or errno.EIO, f"{self.path}: the device is gone ({error.strerror})")


def open_port(
    path: str,
    baudrate: int,
    *,
    parity: Parity = "N",
    stopbits: int = 1,
    rs485: bool = False,
    tap: BusObserver | None = None,
) -> Port:
    """Open ``path`` raw with 8 data bits, for this process alone.

    ``rs485`` makes the kernel switch the transmitter (``TIOCSRS485``); leave it off for adapters that
    switch by themselves. ``tap`` gets every byte. Raises ``PortError`` in words that name the path, and the
    process that holds it.
    """
    tty = serial.Serial(exclusive=True, timeout=0, write_timeout=0)
    tty.port, tty.baudrate, tty.parity, tty.stopbits = path, baudrate, parity, stopbits
    try:
        tty.open()
    except (OSError, ValueError, termios.error) as error:
        tty.close()
        raise _refusal(path, baudrate, error) from error
    try:
        _make_ours(tty)
        if rs485:
            _switch_direction(path, tty)
    except (OSError, termios.error) as error:
        tty.close()
        if isinstance(error, PortError):
            raise
        raise _refusal(path, baudrate, error) from error
    bits = 1 + 8 + (parity != "N") + stopbits
    return Port(path, tty, bits / baudrate, tap or NoObserver())


class BusPort(Protocol):
    """What a bus needs of its line: a tty, or a serial line behind a device server."""

    char_time: float

    def fileno(self) -> int:
        """The descriptor, for the event loop."""

    def read(self) -> bytes:
        """What has arrived, ``b""`` when nothing has. Raises ``PortError`` when it is gone."""

    def write(self, data: bytes) -> int:
        """Hand over as much of ``data`` as is taken now; how much. Raises ``PortError`` when it is gone."""

    def set_baudrate(self, baudrate: int) -> None:
        """Another speed from now on. Raises ``PortError``."""

    def close(self) -> None:
        """Let go of it at once."""


async def open_beside(
    path: str,
    baudrate: int,
    *,
    parity: Parity = "N",
    stopbits: int = 1,
    rs485: bool = False,
    tap: BusObserver | None = None,
) -> BusPort:
    """``open_port`` in a thread of its own: setting up a USB adapter takes long, and so does finding who holds it.

    A ``path`` such as ``tcp://192.0.2.10:4001`` is a line behind a device server (drivers/remote.py). A port that
    is open only after the caller was cancelled is closed again.
    """
    remote = parse_remote(path)
    if remote is not None:
        return await connect_line(path, remote, baudrate, parity, stopbits, tap or NoObserver())
    thread = ThreadPoolExecutor(1, "open-port")
    opening = asyncio.get_running_loop().run_in_executor(
        thread, lambda: open_port(path, baudrate, parity=parity, stopbits=stopbits, rs485=rs485, tap=tap)
    )
    thread.shutdown(wait=False)  # it ends when the port is open
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        with contextlib.suppress(PortError):
            (await opening).close()
        raise


def holders(path: str) -> list[tuple[int, str]]:
    """The processes that have the device ``path`` open, as (pid, name), as far as this user may see."""
    try:
        device = os.stat(path).st_rdev
    except OSError:
        return []
    processes = (entry for entry in Path("/proc").iterdir() if entry.name.isdecimal())
    return sorted((int(entry.name), _name_of(entry)) for entry in processes if _has_open(entry, device))


def _has_open(process: Path, device: int) -> bool:
    try:
        descriptors = list((process / "fd").iterdir())
    except OSError:  # another user's process, or one that has just ended
        return False
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            if descriptor.stat().st_rdev == device:
                return True
    return False


def _name_of(process: Path) -> str:
    try:
        return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "?"


def _make_ours(tty: serial.Serial) -> None:
    """Exclusive mode; reads that tell "nothing yet" from "hung up"; no buffering in a USB adapter."""
    fd = tty.fileno()
    # A pty outlives its users when its other side keeps it open, and so would the flag of a killed owner.
    if os.major(os.fstat(fd).st_rdev) not in _PTY_MAJORS:
        fcntl.ioctl(fd, termios.TIOCEXCL)
    attributes = termios.tcgetattr(fd)
    attributes[6][termios.VMIN] = 1  # pyserial's 0 makes "nothing yet" read as end of file
    termios.tcsetattr(fd, termios.TCSANOW, attributes)
    termios.tcflush(fd, termios.TCIOFLUSH)
    with contextlib.suppress(OSError, ValueError):
        tty.set_low_latency_mode(True)


def _switch_direction(path: str, tty: serial.Serial) -> None:
    try:
        tty.rs485_mode = RS485Settings()
    except (OSError, ValueError) as error:
        raise PortError(
            errno.ENOTTY,
            f"{path}: the kernel cannot switch the direction of this port; leave out rs485 = true if its"
            " adapter switches by itself",
        ) from error


def _number_of(error: BaseException) -> int:
    """The errno at the bottom of what pyserial raises, which often keeps it only in the context."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    if isinstance(error, termios.error):
        return int(error.args[0])
    return _number_of(error.__context__) if error.__context__ is not None else errno.EIO


def _refusal(path: str, baudrate: int, error: Exception) -> PortError:
    number = _number_of(error)
    held = [(pid, name) for pid, name in holders(path) if pid != os.getpid()]
    if number in (errno.EBUSY, errno.EAGAIN) or "exclusively lock" in str(error):
        who = ", ".join(f"{name} (pid {pid})" for pid, name in held) or "this process or one of another user"
        return PortError(errno.EBUSY, f"{path}: the port is held by {who}; stop it, one bus has one owner")
    if number == errno.ENOENT:
        return PortError(number, f"{path}: there is no such port; check the cable and the udev name")
    if number in (errno.EACCES, errno.EPERM):
        return PortError(number, f"{path}: no permission; add the service's user to the group of the port")
    if number == errno.ENOTTY:
        return PortError(number, f"{path}: this is not a serial port")
    return PortError(number, f"{path}: cannot be opened at {baudrate} baud: {error}")
