"""The control socket: requests, roles by peer credentials, hang-ups, garbage, and the daemon that is not there."""

import asyncio
import contextlib
import os
import pwd
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cache.errors import CacheError
from daemon.control import server
from daemon.control.client import ask, ask_one, is_running
from daemon.control.permissions import Permissions, Role
from daemon.control.protocol import MAX_LINE
from daemon.control.server import Call, Command, ControlServer, answers
from daemon.errors import ControlError

ended: list[str] = []


async def hello(call: Call) -> object:
    return {"hello": call.request.arguments.get("name", "nobody"), "user": call.peer.user}


async def forever(call: Call) -> AsyncIterator[object]:
    try:
        for number in range(10**9):
            yield number
            await asyncio.sleep(0)
    finally:
        ended.append("forever")


async def broken(_: Call) -> object:
    raise CacheError("cache.db is damaged; restore it")


async def bug(_: Call) -> object:
    raise ZeroDivisionError


COMMANDS = {
    "hello": Command(Role.VIEWER, answers(hello)),
    "forever": Command(Role.VIEWER, forever),
    "broken": Command(Role.VIEWER, answers(broken)),
    "bug": Command(Role.VIEWER, answers(bug)),
    "act": Command(Role.OPERATOR, answers(hello)),
}

Talk = Callable[[Callable[[Path], Any]], Any]


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[Talk]:
    """Run a blocking client against a served socket."""
    path = tmp_path / "control.sock"

    async def serve(client: Callable[[Path], Any]) -> Any:
        served = ControlServer(path, Permissions(("root",), ("root",)), COMMANDS)
        await served.start()
        try:
            with ThreadPoolExecutor(1) as pool:
                return await asyncio.get_running_loop().run_in_executor(pool, client, path)
        finally:
            await served.stop()

    yield lambda client: asyncio.run(serve(client))
    assert not path.exists()


def test_one_answer(talk: Talk) -> None:
    answer = talk(lambda path: ask_one(path, "hello", name="Ada"))
    assert answer["hello"] == "Ada"


def test_many_answers_until_the_client_hangs_up(talk: Talk) -> None:
    ended.clear()

    def client(path: Path) -> list[int]:
        items = ask(path, "forever")
        return [next(items) for _ in range(100)]

    assert talk(client) == list(range(100))
    assert ended == ["forever"]


def test_an_error_keeps_its_words_and_exit_code(talk: Talk) -> None:
    def client(path: Path) -> tuple[str, int]:
        with pytest.raises(ControlError) as error:
            ask_one(path, "broken")
        return str(error.value), error.value.exit_code

    assert talk(client) == ("cache.db is damaged; restore it", CacheError.exit_code)


def test_a_bug_in_a_command_shows_no_traceback(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    def client(path: Path) -> str:
        with pytest.raises(ControlError) as error:
            ask_one(path, "bug")
        return str(error.value)

    assert talk(client) == "the daemon failed in this command; see its log"
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    "line", [b"garbage\n", b"[]\n", b'{"command": 5}\n', b'{"command": "hello", "arguments": 3}\n']
)
def test_garbage_is_answered_with_an_error(talk: Talk, line: bytes) -> None:
    def client(path: Path) -> bytes:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(path))
            connection.sendall(line)
            return connection.recv(4096)

    assert b'"end":"error"' in talk(client)


def test_an_unknown_command_and_a_living_neighbour(talk: Talk) -> None:
    def client(path: Path) -> None:
        with pytest.raises(ControlError, match='no command "nonsense"'):
            ask_one(path, "nonsense")
        second = ControlServer(path, Permissions((), ()), {})
        with pytest.raises(ControlError, match="another daemon listens"):
            asyncio.run(second.start())
        assert is_running(path)

    talk(client)


def test_no_daemon(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="no daemon answers at"):
        ask_one(tmp_path / "absent.sock", "hello")
    assert not is_running(tmp_path / "absent.sock")


def test_a_socket_left_by_a_killed_daemon_is_replaced(tmp_path: Path, talk: Talk) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "control.sock"))
    assert talk(lambda path: ask_one(path, "hello"))["hello"] == "nobody"


def test_roles_come_from_unix_groups() -> None:
    permissions = Permissions(("root",), ("daemon",))
    assert permissions.role(0, 0) is Role.OPERATOR
    assert permissions.role(os.getuid(), os.getgid()) is Role.OPERATOR
    assert permissions.role(65534, 65534) is Role.NONE
    assert permissions.role(54321, 1) is Role.VIEWER
    assert permissions.role(54321, 0) is Role.OPERATOR


def test_a_user_without_a_name_is_told_by_number_and_may_what_their_group_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    me = str(os.geteuid())
    with ours, theirs:
        monkeypatch.setattr(pwd, "getpwuid", lambda uid: {}[uid])
        monkeypatch.setattr(os, "getuid", lambda: 54321)
        assert Permissions(("root",), ("no-such-group",)).peer(ours).user == me
        assert Permissions(("no-such-group",), ("root",)).role(54320, 0) is Role.VIEWER


def answer_of(path: Path, sent: bytes) -> bytes:
    """What comes back until the daemon hangs up."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        found = b""
        with contextlib.suppress(ConnectionError):
            connection.sendall(sent)
            while chunk := connection.recv(4096):
                found += chunk
        return found


def test_who_says_nothing_or_never_ends_a_line_is_hung_up_on(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "REQUEST_TIMEOUT", 0.05)
    assert talk(lambda path: answer_of(path, b"")) == b""
    assert talk(lambda path: answer_of(path, b'{"command": "hello"')) == b""
    monkeypatch.setattr(server, "REQUEST_TIMEOUT", 10.0)
    assert talk(lambda path: answer_of(path, b"x" * (2 * MAX_LINE))) == b""


def test_more_connections_than_there_may_be_are_refused_and_later_served(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 1)

    def client(path: Path) -> str:
        items = ask(path, "forever")
        next(items)
        with pytest.raises(ControlError, match="connected already"):
            ask_one(path, "hello")
        items.close()  # type: ignore[attr-defined]  # it is a generator
        deadline = time.monotonic() + 10
        while True:
            try:
                return str(ask_one(path, "hello")["hello"])
            except ControlError:
                assert time.monotonic() < deadline

    assert talk(client) == "nobody"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "no answer at .* within 0.05 s"),
        (b"", "broke off in the middle"),
        (b"garbage\n", "not a line of JSON"),
        (b'{"end": "perhaps"}\n', "not of a form that this latchctl knows"),
        (b'{"end": "ok"}\n', 'gave 0 answers to "hello"'),
        (b'{"end": "error", "message": "no", "exit_code": "x"}\n', "^no$"),
    ],
)
def test_a_daemon_that_answers_otherwise_is_told_in_words(
    tmp_path: Path, answer: bytes | None, words: str
) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(1)

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                if answer is None:
                    connection.recv(1)  # until the client has had enough
                else:
                    connection.sendall(answer)

        with ThreadPoolExecutor(1) as pool:
            serving = pool.submit(serve)
            with pytest.raises(ControlError, match=words):
                ask_one(path, "hello", 0.05 if answer is None else 10.0)
            serving.result(10)


def test_a_path_that_no_socket_can_have_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match=r"cannot be reached: AF_UNIX path too long"):
        is_running(tmp_path / ("x" * 120))
