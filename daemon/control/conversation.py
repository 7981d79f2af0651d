"""One connection of a control socket, by whoever was let in: its request, and the answer item by item."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import select
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cache.errors import LatchdError
from daemon.control import protocol
from daemon.control.limits import Pace
from daemon.control.permissions import Peer, Permissions, Role
from daemon.control.protocol import Request
from daemon.errors import ControlError, NotPermittedError

log = logging.getLogger(__name__)

REQUEST_TIMEOUT = 5.0
"""Seconds in which a connected client must have sent its request."""

ANSWER_TIMEOUT = 10.0
"""Seconds in which a client must have taken the end of its answer."""

LINGER = 1.0
"""Seconds for which a connection stays open whose request was refused unread."""

VIEWERS_PACE, VIEWERS_BURST = 0.05, 40
"""Seconds between two requests of one viewer in the long run, and how many may come at once: others wait."""

STACKS_EVERY = 60.0
"""Seconds between two stacks in the log for one command: a request can be repeated at will."""

HANG_UP_EVERY = 0.5
"""Seconds between two looks whether a client that has ended its own sending is gone altogether."""


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


class Conversations:
    """What is said on connections that were let in; ``permissions`` has the names of the groups that may."""

    def __init__(self, permissions: Permissions, commands: Mapping[str, Command]) -> None:
        self._permissions = permissions
        self._commands = commands
        self._parsing = ThreadPoolExecutor(1, "requests")
        self._pace = Pace(VIEWERS_PACE, VIEWERS_BURST)
        self._stacks = Pace(STACKS_EVERY)

    def close(self) -> None:
        """Parse no more."""
        self._parsing.shutdown(wait=False, cancel_futures=True)

    async def converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: socket.socket, peer: Peer
    ) -> None:
        """Read one request and send the answer to it."""
        try:
            request = await self._request(reader, peer)
        except ControlError as error:
            writer.write(protocol.encode_end(error))
            writer.write_eof()
            await asyncio.sleep(LINGER)  # a close with more of it unread would overtake the sentence
            return
        if request is None:
            return
        try:
            async with contextlib.aclosing(self._answer(request, peer)) as items:
                await _send_until_gone(items, reader, writer, connection)
            writer.write(protocol.encode_end())
        except LatchdError as error:
            writer.write(protocol.encode_end(error))
        except ConnectionError:
            raise
        except Exception:  # a command with a bug must not end the doors
            if self._stacks.now(request.command, time.monotonic()):
                log.exception('the control command "%s" failed', request.command)
            writer.write(protocol.encode_end(LatchdError("the daemon failed in this command; see its log")))
        await writer.drain()

    async def _request(self, reader: asyncio.StreamReader, peer: Peer) -> Request | None:
        """The request, parsed in a thread, when it is this user's turn; none from who says nothing."""
        try:
            line = await asyncio.wait_for(reader.readline(), REQUEST_TIMEOUT)
        except TimeoutError:
            return None
        except ValueError:
            raise ControlError(f"the request is longer than {protocol.MAX_REQUEST} bytes") from None
        if not line:
            return None
        if peer.role is not Role.OPERATOR:
            await asyncio.sleep(self._pace.turn(peer.uid, time.monotonic()))
        return await asyncio.get_running_loop().run_in_executor(self._parsing, protocol.decode_request, line)

    async def _answer(self, request: Request, peer: Peer) -> AsyncGenerator[object, None]:
        command = self._commands.get(request.command)
        if command is None:
            raise ControlError(f'this daemon has no command "{request.command}"; is latchctl of another version?')
        if peer.role < command.role:
            raise not_permitted(self._permissions, peer, f'do "{request.command}"', command.role)
        async for item in command.handler(Call(request, peer)):
            yield item


def not_permitted(permissions: Permissions, peer: Peer, what: str, role: Role) -> NotPermittedError:
    """The refusal of ``what``, which needs ``role``, and who may."""
    groups = permissions.operators
    if role is not Role.OPERATOR:
        groups += permissions.viewers
    return NotPermittedError(f"the user {peer.user} may not {what}; members of {' or '.join(groups)} may")


async def _send_until_gone(
    items: AsyncIterator[object],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    connection: socket.socket,
) -> None:
    """Send each item as it comes; a client that hangs up (``events --follow`` and ^C) ends the answer."""
    gone = asyncio.ensure_future(_until_gone(reader, connection))
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


async def _until_gone(reader: asyncio.StreamReader, connection: socket.socket) -> None:
    """Return when the client has hung up, or sends more. One that has only ended its sending gets its answer."""
    with contextlib.suppress(ConnectionError):
        if await reader.read(1):
            return
    poll = select.poll()
    poll.register(connection.fileno(), 0)
    while True:
        if poll.poll(0):
            return
        await asyncio.sleep(HANG_UP_EVERY)


_END = object()
