"""TCP connections that read and write like a serial port: never blocking, ``PortError`` if gone.

To a board (Modbus/TCP), and to a serial line behind a device server (drivers/remote.py).
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket

from drivers.driver import BusObserver, PortError
from drivers.remote import ComPort, Parity, RefusedError, Remote

_READ_SIZE = 4096
_LINE_PATIENCE = 2.0
"""Seconds in which a device server must take the connection, and again confirm the settings of its line."""


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


class RemotePort:
    """A serial line behind a device server, as the drivers use a ``Port``. ``char_time`` is that of the line."""

    def __init__(
        self, path: str, connection: TcpPort, char_time: float, baudrate: int, com: ComPort | None
    ) -> None:
        """``com`` is the Telnet layer of RFC 2217; without it bytes pass as they are."""
        self.path = path
        self.char_time = char_time
        self._connection = connection
        self._baudrate = baudrate
        self._com = com

    def fileno(self) -> int:
        """The descriptor, for the event loop."""
        return self._connection.fileno()

    def read(self) -> bytes:
        """What has arrived, ``b""`` when nothing has. Raises ``PortError`` when the other side is gone."""
        data = self._connection.read()
        if self._com is None or not data:
            return data
        try:
            line = self._com.receive(data)
        except RefusedError as error:
            raise PortError(errno.EIO, f"{self.path}: {error}") from error
        if answer := self._com.bytes_to_send():
            self._connection.write(answer)
        return line

    def write(self, data: bytes) -> int:
        """Hand over ``data`` whole, or nothing of it; how much. Raises ``PortError`` when it is gone."""
        framed = data if self._com is None else self._com.encode(data)
        return len(data) if self._connection.write(framed) == len(framed) else 0

    def set_baudrate(self, baudrate: int) -> None:
        """Another speed from now on. Raises ``PortError`` where the device server cannot be reached."""
        if baudrate == self._baudrate:
            return
        if self._com is None:
            raise PortError(errno.EIO, f"{self.path}: a line over plain TCP has one speed; use rfc2217://")
        self.char_time *= self._baudrate / baudrate
        self._baudrate = baudrate
        self._com.set_baudrate(baudrate)
        self._connection.write(self._com.bytes_to_send())

    def close(self) -> None:
        """Close at once."""
        self._connection.close()


async def connect_line(
    path: str, remote: Remote, baudrate: int, parity: Parity, stopbits: int, tap: BusObserver
) -> RemotePort:
    """Connect to a serial line behind a device server, and set it up where it can be. Raises ``PortError``."""
    bits = 1 + 8 + (parity != "N") + stopbits
    connection = await connect(remote.host, remote.port, tap, _LINE_PATIENCE / 2)
    com = ComPort(baudrate, parity, stopbits) if remote.negotiates else None
    port = RemotePort(path, connection, bits / baudrate, baudrate, com)
    if com is None:
        return port
    try:
        async with asyncio.timeout(_LINE_PATIENCE):
            connection.write(com.bytes_to_send())
            while not com.settled:
                await _readable(connection)
                port.read()
    except TimeoutError as error:
        connection.close()
        raise PortError(errno.ETIMEDOUT, f"{path}: the device server does not answer as RFC 2217 says") from error
    except BaseException:
        connection.close()
        raise
    return port


async def _readable(connection: TcpPort) -> None:
    ready, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_reader(connection.fileno(), ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(connection.fileno())
