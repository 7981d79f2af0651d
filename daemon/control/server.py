"""The control socket of a process: a Unix stream socket, one request a connection, answered in JSON lines."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cache.errors import LatchdError
from daemon.control import protocol
from daemon.control.permissions import Peer, Permissions, Role
from daemon.control.protocol import Request
from daemon.errors import ControlError, NotPermittedError

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 32
"""At once; ``events --follow`` keeps one each. More are refused, so that a loop in a script harms nobody."""

REQUEST_TIMEOUT = 5.0
"""Seconds in which a connected client must have sent its request."""

STOP_TIMEOUT = 2.0
"""Seconds that running answers have to end when the server stops."""

TURNS_TO_CLOSE = 4
"""Turns of the loop in which a connection that was accepted just now gets its transport and closes it."""

_FULL = f"{MAX_CONNECTIONS} are connected already, as many as there may be; end one (`latchctl events --follow`)"


@dataclass(frozen=True, slots=True)
class Call:
    """One request with who asked."""

    request: Request
    peer: Peer


Handler = Callable[[Call], AsyncIterator[object]]


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the socket: who may give it, and the answers to it, item by item."""

    role: Role
    handler: Handler


def answers(function: Callable[[Call], Awaitable[object]]) -> Handler:
    """A handler that gives one item."""

    async def handler(call: Call) -> AsyncIterator[object]:
        yield await function(call)

    return handler


class ControlServer:
    """Listens at ``path``; the socket's mode admits everybody, what they may do is decided by credentials."""

    def __init__(self, path: Path, permissions: Permissions, commands: Mapping[str, Command]) -> None:
        self._path = path
        self._permissions = permissions
        self._commands = commands
        self._server: asyncio.Server | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def start(self) -> None:
        """Listen. A socket that a killed daemon left behind is replaced; a living one is an error."""
        await self._refuse_if_alive()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        try:
            self._server = await asyncio.start_unix_server(
                self._connected, str(self._path), limit=protocol.MAX_LINE, backlog=MAX_CONNECTIONS
            )
        except OSError as error:
            raise ControlError(f"cannot listen at {self._path}: {error.strerror}") from None
        os.chmod(self._path, 0o666)  # noqa: S103 - SO_PEERCRED decides, not the mode

    async def stop(self) -> None:
        """Stop listening, end running answers, and remove the socket."""
        self._stopping = True
        if self._server is None:
            return
        await self._finish_accepting(self._server)
        self._server.close()
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=STOP_TIMEOUT)
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    async def _finish_accepting(self, server: asyncio.Server) -> None:
        """Accept nothing new and let what was accepted just now get its transport and close it.

        ``Server.close`` alone makes asyncio (3.11) drop such a connection with its descriptor open.
        """
        loop = asyncio.get_running_loop()
        for listening in server.sockets:
            loop.remove_reader(listening.fileno())
        for _ in range(TURNS_TO_CLOSE):
            await asyncio.sleep(0)

    async def _refuse_if_alive(self) -> None:
        try:
            _, writer = await asyncio.open_unix_connection(str(self._path))
        except OSError:
            return
        writer.close()
        await writer.wait_closed()
        raise ControlError(f"another daemon listens at {self._path}; stop it first (systemctl status 'latchd-*')")

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Not a coroutine: a connection that comes while the server stops must not start a task any more."""
        full = len(self._running) >= MAX_CONNECTIONS
        if full and not self._stopping:
            writer.write(protocol.encode_end(ControlError(_FULL)))
        if full or self._stopping:
            writer.close()
            return
        task = asyncio.create_task(self._serve_and_close(reader, writer))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _serve_and_close(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            log.debug("a control connection ended early")
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = self._permissions.peer(writer.get_extra_info("socket"))
        try:
            line = await asyncio.wait_for(reader.readline(), REQUEST_TIMEOUT)
        except (TimeoutError, ValueError):
            return
        if not line:
            return
        try:
            async with contextlib.aclosing(self._answer(line, peer)) as items:
                await _send_until_gone(items, reader, writer)
            writer.write(protocol.encode_end())
        except LatchdError as error:
            writer.write(protocol.encode_end(error))
        except ConnectionError:
            raise
        except Exception:
            log.exception("the control command failed")
            writer.write(protocol.encode_end(LatchdError("the daemon failed in this command; see its log")))
        await writer.drain()

    async def _answer(self, line: bytes, peer: Peer) -> AsyncGenerator[object, None]:
        request = protocol.decode_request(line)
        command = self._commands.get(request.command)
        if command is None:
            raise ControlError(f'this daemon has no command "{request.command}"; is latchctl of another version?')
        if peer.role < command.role:
            needed = self._permissions.operators if command.role is Role.OPERATOR else self._permissions.viewers
            raise NotPermittedError(
                f'the user {peer.user} may not do "{request.command}"; members of {" or ".join(needed)} may'
            )
        async for item in command.handler(Call(request, peer)):
            yield item


async def _send_until_gone(
    items: AsyncIterator[object], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Send each item as it comes; a client that hangs up (``events --follow`` and ^C) ends the answer."""
    gone = asyncio.ensure_future(reader.read(1))
    try:
        while True:
            following = asyncio.ensure_future(anext(items, _END))
            try:
                await asyncio.wait((gone, following), return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not following.done():
                    following.cancel()
                    await asyncio.wait((following,))
            if following.cancelled():
                raise ConnectionResetError("the client hung up")
            item = following.result()
            if item is _END:
                return
            writer.write(protocol.encode_item(item))
            await writer.drain()
    finally:
        gone.cancel()
        await asyncio.wait((gone,))


_END = object()
