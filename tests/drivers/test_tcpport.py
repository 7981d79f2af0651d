"""A TCP connection as a port: it never blocks, says in words what is wrong, and gives up what nobody confirms."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import pytest

from drivers.driver import NoObserver, PortError
from drivers.tcpport import TcpPort, connect


@contextlib.contextmanager
def listening(backlog: int = 5) -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as server:
        yield server


async def reach(port: int, reply_timeout: float = 0.3) -> TcpPort:
    return await connect("127.0.0.1", port, NoObserver(), reply_timeout)


def test_bytes_pass_and_the_end_of_the_other_side_is_an_error() -> None:
    async def body() -> None:
        with listening() as server:
            port = await reach(server.getsockname()[1])
            board, _ = server.accept()
            with board, contextlib.closing(port):
                assert port.read() == b""
                assert port.write(b"ask") == 3
                assert board.recv(10) == b"ask"
                board.sendall(b"answer")
                assert await arrived(port) == b"answer"
                board.shutdown(socket.SHUT_WR)
                with pytest.raises(PortError, match="the board closed the connection"):
                    await arrived(port)

    asyncio.run(body())


async def arrived(port: TcpPort) -> bytes:
    """What comes next."""
    ready = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(port.fileno(), ready.set)
    await asyncio.wait_for(ready.wait(), 20)
    loop.remove_reader(port.fileno())
    return port.read()


def test_what_nobody_confirms_in_the_time_of_three_requests_ends_the_connection() -> None:
    async def body() -> None:
        with (
            listening() as server,
            contextlib.closing(await reach(server.getsockname()[1], 0.5)) as port,
            socket.socket(fileno=socket.dup(port.fileno())) as same,
        ):
            assert same.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 1500
            assert same.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    asyncio.run(body())


def test_nobody_there_and_nobody_who_answers() -> None:
    async def body() -> None:
        with listening() as server:
            free = server.getsockname()[1]
        with pytest.raises(PortError, match=rf"127\.0\.0\.1:{free}: Connection refused; check the board"):
            await reach(free)
        with listening(backlog=0) as server, contextlib.ExitStack() as stack:
            for _ in range(2):  # more connections than it takes: the kernel does not answer the next
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(server.getsockname())
            with pytest.raises(PortError, match=r"no answer within 0\.2 s"):
                await reach(server.getsockname()[1], 0.1)

    asyncio.run(body())
