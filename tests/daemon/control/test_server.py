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
from daemon.control import conversation, limits, permissions, server
from daemon.control.client import ask, ask_one, is_running
from daemon.control.conversation import Call, Command, answers
from daemon.control.permissions import Permissions, Role
from daemon.control.protocol import MAX_REQUEST
from daemon.control.server import ControlServer
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


async def silent(_: Call) -> AsyncIterator[object]:
    try:
        yield "x"
        await asyncio.Event().wait()
    finally:
        ended.append("silent")


COMMANDS = {
    "hello": Command(Role.VIEWER, answers(hello)),
    "forever": Command(Role.VIEWER, forever),
    "silent": Command(Role.VIEWER, silent),
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
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {}[uid])
    assert Permissions(("root",), ("no-such-group",)).peer(54320, 1).user == "54320"
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    assert Permissions(("no-such-group",), ("root",)).role(54320, 0) is Role.VIEWER


@pytest.mark.skipif(os.getuid() != 0, reason="the groups of root are known")
def test_supplementary_groups_are_those_of_the_user_database() -> None:
    found = set(os.getgrouplist("daemon", 1))
    assert permissions._group_list("daemon", 1) == found


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
    monkeypatch.setattr(conversation, "REQUEST_TIMEOUT", 0.05)
    assert talk(lambda path: answer_of(path, b"")) == b""
    assert talk(lambda path: answer_of(path, b'{"command": "hello"')) == b""


@pytest.mark.parametrize("size", [MAX_REQUEST + 1, 1 << 20])
def test_a_long_request_is_refused_in_words_whoever_sends_it(talk: Talk, size: int) -> None:
    def client(path: Path) -> str:
        with pytest.raises(ControlError) as error:
            ask_one(path, "hello", name="x" * size)
        return str(error.value)

    assert talk(client) == f"the request is longer than {MAX_REQUEST} bytes"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"command": "\\ud800"}\n', b"not Unicode"),
        (b'{"command": "hello", "arguments": {"name": "\\udfff"}}\n', b"not Unicode"),
        (b'{"command": "hello", "arguments": {"name": 1e999}}\n', b"number that is too large"),
        (b'{"command": "hello", "arguments": {"name": [99999999999999999999]}}\n', b"number that is too large"),
        (b'{"command": "hello", "arguments": {"name": NaN}}\n', b"not a line of JSON"),
        (b"[" * 4000 + b"\n", b"not a line of JSON"),
        (b'{"command": "hello", "arguments": {"name": ' + b"[" * 900 + b"]" * 900 + b"}}\n", b""),
    ],
)
def test_what_no_command_could_use_is_refused_in_words(talk: Talk, line: bytes, words: bytes) -> None:
    answer = talk(lambda path: answer_of(path, line))
    assert words in answer
    assert b"see its log" not in answer


def test_a_client_that_ends_its_own_sending_gets_its_answer(talk: Talk) -> None:
    def client(path: Path) -> bytes:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(path))
            connection.sendall(b'{"command": "hello"}\n')
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(4096), b""))

    assert b'"hello":"nobody"' in talk(client)


def test_one_that_then_goes_altogether_ends_a_long_answer(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent any more, so that nothing but the look at the socket can tell."""
    monkeypatch.setattr(conversation, "HANG_UP_EVERY", 0.01)
    ended.clear()

    def client(path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(b'{"command": "silent"}\n')
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)
        until(lambda: ended == ["silent"])

    talk(client)


def test_a_bug_that_is_met_again_and_again_fills_no_log(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    def client(path: Path) -> None:
        for _ in range(20):
            with pytest.raises(ControlError):
                ask_one(path, "bug")

    talk(client)
    assert caplog.text.count("Traceback") == 1


def until(holds: Callable[[], object]) -> None:
    """Ask until it holds."""
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline


def test_one_user_has_so_many_connections_and_no_more_until_one_ends(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OF_ONE_OPERATOR", 1)

    def client(path: Path) -> None:
        items = ask(path, "forever")
        next(items)
        with pytest.raises(ControlError, match="1 of your connections are open already"):
            ask_one(path, "hello")
        items.close()  # type: ignore[attr-defined]  # it is a generator

        def served() -> bool:
            with contextlib.suppress(ControlError):
                return bool(ask_one(path, "hello"))
            return False

        until(served)

    talk(client)


def test_a_socket_that_cannot_be_made_is_made_as_soon_as_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where root ran the program by hand and was killed, or where the folder is not there yet."""
    monkeypatch.setattr(server, "RETRY", 0.01)
    path = tmp_path / "run" / "control.sock"

    async def scenario() -> None:
        served = ControlServer(path, Permissions((), ()), COMMANDS)
        await served.start_sooner_or_later()
        path.parent.mkdir()
        path.write_text("something else")
        await asyncio.sleep(0.05)
        assert path.read_text() == "something else"
        path.unlink()
        await asyncio.to_thread(until, path.is_socket)
        assert await asyncio.to_thread(ask_one, path, "hello")
        await served.stop()

    asyncio.run(asyncio.wait_for(scenario(), 20))


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
