"""The technician's end of a control socket, blocking."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from daemon.control import protocol
from daemon.control.protocol import Request
from daemon.errors import ControlError, NotPermittedError

CONNECT_TIMEOUT = 5.0
"""Seconds to connect and for the first answer of a short command."""

_NOBODY = (errno.ENOENT, errno.ENOTDIR, errno.ECONNREFUSED)
"""What connecting says where no daemon listens, or where a killed one left its socket behind."""


def ask(path: Path, command: str, timeout: float | None = CONNECT_TIMEOUT, **arguments: Any) -> Iterator[Any]:
    """Give one command and yield the items of its answer; ``ControlError`` names the socket and what to do.

    ``timeout`` is the longest silence in seconds; ``None`` waits for ever (``events --follow``).
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            _connect(connection, path)
            connection.settimeout(timeout)
            with suppress(
                BrokenPipeError, ConnectionResetError
            ):  # refused before it was read: the answer says why
                connection.sendall(protocol.encode_request(Request(command, arguments)))
            with connection.makefile("rb") as stream:
                for line in stream:
                    more, item = protocol.decode_answer(line)
                    if not more:
                        return
                    yield item
        except TimeoutError as error:
            if error.errno is not None:
                raise _unreachable(path, error) from None
            raise ControlError(f"no answer at {path} within {timeout:g} s; is the daemon stuck?") from None
        except OSError as error:
            raise _unreachable(path, error) from None
    raise ControlError(f"the daemon at {path} broke off in the middle of its answer")


def ask_one(path: Path, command: str, timeout: float | None = CONNECT_TIMEOUT, **arguments: Any) -> Any:
    """The only item of the answer to a command."""
    items = list(ask(path, command, timeout, **arguments))
    if len(items) != 1:
        raise ControlError(f'the daemon at {path} gave {len(items)} answers to "{command}" where one was expected')
    return items[0]


def is_running(path: Path) -> bool:
    """Whether a daemon listens at ``path``; ``ControlError`` where that cannot be found out."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            _connect(connection, path)
        except OSError as error:
            if error.errno in _NOBODY:
                return False
            raise _unreachable(path, error) from None
    return True


def _connect(connection: socket.socket, path: Path) -> None:
    """Connect, and wait in the queue while others crowd in: a socket with a timeout would fail at once."""
    limit = struct.pack("ll", int(CONNECT_TIMEOUT), 0)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    try:
        connection.connect(str(path))
    except BlockingIOError:
        raise TimeoutError(errno.ETIMEDOUT, "too many others connect") from None


def _unreachable(path: Path, error: OSError) -> ControlError:
    if isinstance(error, PermissionError):
        return NotPermittedError(f"{path} cannot be reached: permission denied on its folder")
    if error.errno in _NOBODY:
        reason = os.strerror(error.errno)
        return ControlError(f"no daemon answers at {path} ({reason}): systemctl status 'latchd-*'")
    return ControlError(f"{path} cannot be reached: {error.strerror or error}")
