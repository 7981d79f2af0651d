"""The control socket of a process: a Unix stream socket, one request a connection, answered in JSON lines.

Every local user may connect, so what a connection costs before its right is known is little: the kernel says whose
it is, and who has no right is let go with a sentence, before anything is read and before a slot is taken.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import stat
from collections.abc import Coroutine, Mapping
from pathlib import Path

from cache.errors import LatchdError
from daemon.control import protocol
from daemon.control.conversation import ANSWER_TIMEOUT, Command, Conversations, not_permitted
from daemon.control.limits import Slots
from daemon.control.peers import Peers
from daemon.control.permissions import Peer, Permissions, Role, credentials
from daemon.errors import ControlError

log = logging.getLogger(__name__)

BACKLOG = 128
"""Connections that wait to be accepted; more wait in ``connect``."""

AT_ONCE, REST = 8, 0.004
"""Connections accepted in one turn of the loop, and the seconds until the next ones when there are more: 2,000 a
second, which costs a flooded process a tenth of its time and an operator behind a full backlog 64 ms."""

UNKNOWN = 32
"""Connections that wait at once for the user database to say whose they are."""

PARTING, PARTINGS = 1.0, 32
"""Seconds for which a refused connection stays open, so that a client that is still sending reads why; and how
many do so at once. What is beyond is closed at once: it can still be read then, by who does not send before."""

STOP_TIMEOUT = 2.0
"""Seconds that running answers have to end when the server stops."""

RETRY = 10.0
"""Seconds between two attempts to listen where the socket cannot be made."""


class ControlServer:
    """Listens at ``path``; the socket's mode admits everybody, what they may do is decided by credentials."""

    def __init__(self, path: Path, permissions: Permissions, commands: Mapping[str, Command]) -> None:
        self._path = path
        self._permissions = permissions
        self._conversations = Conversations(permissions, commands)
        self._peers = Peers(permissions)
        self._slots = Slots()
        self._listening: socket.socket | None = None
        self._retrying: asyncio.Task[None] | None = None
        self._resting: asyncio.TimerHandle | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._unknown = 0
        self._open: set[socket.socket] = set()
        self._parting: dict[socket.socket, asyncio.TimerHandle] = {}

    # -------------------------------------------------------------- listening

    async def start(self) -> None:
        """Listen. A socket that a killed daemon left behind is replaced; a living one is an error."""
        await self._refuse_if_alive()
        try:
            with contextlib.suppress(FileNotFoundError):
                if not stat.S_ISSOCK(self._path.lstat().st_mode):
                    raise ControlError(
                        f"cannot listen at {self._path}: it is there, and not a socket; move it away"
                    )
                self._path.unlink()
            self._listening = _listen(self._path)
        except OSError as error:
            raise ControlError(f"cannot listen at {self._path}: {error.strerror}") from None
        asyncio.get_running_loop().add_reader(self._listening, self._accept)

    async def start_sooner_or_later(self) -> None:
        """Listen, now or as soon as it can be done: no door waits for the socket of its technician."""
        try:
            await self.start()
        except ControlError as error:
            log.warning("%s; tried again every %g s", error, RETRY)
            self._retrying = asyncio.create_task(self._retry(), name="control socket")

    async def _retry(self) -> None:
        while self._listening is None:
            await asyncio.sleep(RETRY)
            try:
                await self.start()
            except ControlError as error:
                log.debug("%s", error)
        log.warning("listening at %s now", self._path)

    async def stop(self) -> None:
        """Stop listening, end running answers, and remove the socket."""
        if self._retrying is not None:
            self._retrying.cancel()
            await asyncio.wait((self._retrying,))
        if self._resting is not None:
            self._resting.cancel()
        if self._listening is not None:
            asyncio.get_running_loop().remove_reader(self._listening)
            self._listening.close()
            with contextlib.suppress(OSError):
                self._path.unlink()
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=STOP_TIMEOUT)
        for connection in tuple(self._open):
            self._close(connection)
        self._peers.close()
        self._conversations.close()

    async def _refuse_if_alive(self) -> None:
        try:
            _, writer = await asyncio.open_unix_connection(str(self._path))
        except OSError:
            return
        writer.close()
        await writer.wait_closed()
        raise ControlError(f"another daemon listens at {self._path}; stop it first (systemctl status 'latchd-*')")

    # -------------------------------------------------------------- who is let in

    def _accept(self) -> None:
        """Take what has connected, a few at a time: the loop has doors to serve."""
        assert self._listening is not None
        for _ in range(AT_ONCE):
            try:
                connection, _address = self._listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                log.debug("a connection cannot be accepted: %s", error)
                break
            connection.setblocking(False)
            self._open.add(connection)
            self._admit(connection)
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listening)
        self._resting = loop.call_later(REST, self._accept_again)

    def _accept_again(self) -> None:
        assert self._listening is not None
        asyncio.get_running_loop().add_reader(self._listening, self._accept)

    def _admit(self, connection: socket.socket) -> None:
        """Let go who has no right, as soon as that is known; serve the others if there is a slot."""
        uid, gid = credentials(connection)
        peer = self._peers.fresh(uid, gid)
        if peer is not None:
            self._admit_peer(connection, peer)
        elif self._unknown >= UNKNOWN and self._peers.trusted(uid, gid) is None:
            self._refuse(connection, ControlError("too many unknown users connect at once; try again"))
        else:
            self._run(self._find_out(connection, uid, gid))

    async def _find_out(self, connection: socket.socket, uid: int, gid: int) -> None:
        self._unknown += 1
        try:
            peer = await self._peers.find(uid, gid)
        except ControlError as error:
            self._refuse(connection, error)
        else:
            self._admit_peer(connection, peer)
        finally:
            self._unknown -= 1

    def _admit_peer(self, connection: socket.socket, peer: Peer) -> None:
        if peer.role is Role.NONE:
            self._refuse(connection, not_permitted(self._permissions, peer, "use this socket", Role.VIEWER))
            return
        slot = (peer.uid, peer.role is Role.OPERATOR)
        full = self._slots.take(*slot)
        if full is not None:
            self._refuse(connection, ControlError(full))
        else:
            task = self._run(self._serve(connection, peer))
            task.add_done_callback(lambda _: self._slots.release(*slot))

    def _run(self, serving: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(serving)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def _refuse(self, connection: socket.socket, why: LatchdError) -> None:
        """Say why and hang up, so that the sentence arrives: a close with a request unread would overtake it."""
        with contextlib.suppress(OSError):
            connection.send(protocol.encode_end(why))
            connection.shutdown(socket.SHUT_WR)
        if len(self._parting) >= PARTINGS:
            self._close(connection)
        else:
            later = asyncio.get_running_loop().call_later(PARTING, self._close, connection)
            self._parting[connection] = later

    def _close(self, connection: socket.socket) -> None:
        self._open.discard(connection)
        later = self._parting.pop(connection, None)
        if later is not None:
            later.cancel()
        connection.close()

    # -------------------------------------------------------------- one request

    async def _serve(self, connection: socket.socket, peer: Peer) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=protocol.MAX_REQUEST)
        machine = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await loop.connect_accepted_socket(lambda: machine, connection)
            writer = asyncio.StreamWriter(transport, machine, reader, loop)
            try:
                await self._conversations.converse(reader, writer, connection, peer)
                writer.close()
                await asyncio.wait_for(writer.wait_closed(), ANSWER_TIMEOUT)
            except (ConnectionError, TimeoutError, asyncio.CancelledError):
                log.debug("a control connection ended early")
            finally:
                transport.abort()
                await asyncio.sleep(0)  # the transport lets go of the socket in the next turn
        finally:
            self._close(connection)


def _listen(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        listening.bind(str(path))
        os.chmod(path, 0o666)  # noqa: S103 - SO_PEERCRED decides, not the mode
        listening.listen(BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening
