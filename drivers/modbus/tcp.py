"""A TCP connection to a board that reads and writes like a serial port: never blocking, ``PortError`` if gone."""

from __future__ import annotations

import asyncio
import errno
import os
import socket

from drivers.driver import BusObserver, PortError

_READ_SIZE = 4096


class TcpPort:
    """An open connection."""

    def __init__(self, name: str, connection: socket.socket, tap: BusObserver) -> None:
        """``name`` is what errors call it: host and port. ``tap`` gets every byte."""
        self._tap = tap
        tap.opened()
        self._name = name
        self._socket = connection

    def fileno(self) -> int:
        """The descriptor, for the event loop."""
        return self._socket.fileno()

    def read(self) -> bytes:
        """What has arrived, ``b""`` when nothing has. Raises ``PortError`` when the other side is gone."""
        try:
            data = self._socket.recv(_READ_SIZE)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise PortError(error.errno, f"{self._name}: {error.strerror}") from error
        if not data:
            raise PortError(errno.ECONNRESET, f"{self._name}: the board closed the connection")
        self._tap.received(data)
        return data

    def write(self, data: bytes) -> int:
        """Hand over ``data``; how much was taken. Raises ``PortError`` when the other side is gone."""
        try:
            taken = self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise PortError(error.errno, f"{self._name}: {error.strerror}") from error
        self._tap.sent(data[:taken])
        return taken

    def close(self) -> None:
        """Close at once."""
        self._tap.closed()
        self._socket.close()


async def connect(host: str, port: int, tap: BusObserver, reply_timeout: float) -> TcpPort:
    """Connect to the board at the IP address ``host``. Raises ``PortError`` in words that name it.

    A board may take ``reply_timeout`` to answer a request, twice that to take the connection. What it does not
    confirm in the time of three requests ends the connection: otherwise TCP itself, which repeats ever more
    rarely, would notice a board's return long after it.
    """
    patience = 2 * reply_timeout
    name = f"{host}:{port}"
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(patience):
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            connection = socket.socket(family, socket.SOCK_STREAM)
            try:
                connection.setblocking(False)
                await loop.sock_connect(connection, (host, port))
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                unconfirmed = int(3 * reply_timeout * 1000)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, unconfirmed)
            except BaseException:
                connection.close()
                raise
    except TimeoutError as error:
        raise PortError(errno.ETIMEDOUT, f"{name}: no answer within {patience:g} s") from error
    except OSError as error:
        number = error.errno or errno.EIO  # asyncio's own words for it are no help
        raise PortError(number, f"{name}: {os.strerror(number)}; check the board's address and port") from error
    return TcpPort(name, connection, tap)
