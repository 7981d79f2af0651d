"""Whatever a server drips, a sync ends soon after its deadline, says so, and operators get through meanwhile."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from cache.changes import Delta, GroupHead, Plan
from cache.directory.store import Store
from daemon.scim.exchange import Fetch, OutageError, OutageKind, Request
from daemon.sync import driving
from daemon.sync.connections import Connections
from daemon.sync.driving import within
from daemon.sync.http import Deadline
from daemon.sync.outcome import SyncResult
from daemon.sync.service import SyncService
from tests.cache.directories import NOW
from tests.peers.scim_site import sync_service

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/scim+json\r\n"
DRIPS = {
    "continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "header": (HEAD + b"X: ", b"x"),
    "trailers": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", b"A: b\r\n"),
    "chunk size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "body": (HEAD + b"Content-Length: 99999\r\n\r\n", b" "),
    "nothing": (b"", b""),
}
TIMEOUT = 1.0


@contextmanager
def dripping(first: bytes, drop: bytes) -> Iterator[str]:
    """The URL of a server that sends ``first`` to everyone, and then a drop at a time."""
    end = threading.Event()

    def talk(line: socket.socket) -> None:
        with line, suppress(OSError):
            line.sendall(first)
            while not end.wait(0.02):
                line.sendall(drop)

    def serve() -> None:
        with suppress(OSError):
            while True:
                line, _ = server.accept()
                talks.append(threading.Thread(target=talk, args=(line,), name="talk"))
                talks[-1].start()

    talks: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.listen()
        serving = threading.Thread(target=serve)
        serving.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            end.set()
            server.shutdown(socket.SHUT_RDWR)
            for one in (serving, *talks):
                one.join()


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("drip", DRIPS)
def test_no_drip_outlasts_the_deadline(drip: str, scheme: str, tmp_path: Path) -> None:
    with dripping(*DRIPS[drip]) as place, Store(tmp_path / "cache.db") as store:
        service = sync_service(store, f"{scheme}://{place}", timeout="1s")
        before = time.monotonic()
        outcome = service.run_once()
        assert time.monotonic() - before < TIMEOUT + 3
        assert outcome.outcome is SyncResult.OUTAGE, outcome.text
        if scheme == "http":
            assert outcome.kind == "timeout", outcome.text
        state = service.status().state
        assert (state.outcome, state.failures) == (outcome.kind, 1)
        assert not service.running


def test_one_answer_has_a_deadline_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.sync.http.REQUEST_DEADLINE", 0.3)
    with dripping(*DRIPS["header"]) as place, Store(tmp_path / "cache.db") as store:
        outcome = sync_service(store, f"http://{place}", timeout="30s").run_once()
        assert (outcome.kind, outcome.text.count("the answer takes too long")) == ("timeout", 1)


def test_the_token_server_may_drip_no_longer(tmp_path: Path) -> None:
    with dripping(*DRIPS["header"]) as place, Store(tmp_path / "cache.db") as store:
        oauth = {"token_url": f"http://{place}/token", "client_id": "c", "client_secret": "env:S"}
        service = sync_service(store, "http://127.0.0.1:9", timeout="1s", token=None, oauth=oauth)
        before = time.monotonic()
        assert service.run_once().kind == "timeout"
        assert time.monotonic() - before < TIMEOUT + 3


@contextmanager
def reading(service: SyncService) -> Iterator[list[SyncResult]]:
    """A sync that reads on and on, in a thread of its own; stopped in the end."""
    ended: list[SyncResult] = []
    running = threading.Thread(target=lambda: ended.append(service.run_once().outcome))
    running.start()
    try:
        until(lambda: any(one.name == "talk" for one in threading.enumerate()))
        yield ended
    finally:
        service.stop()
        running.join()


def until(condition: Callable[[], bool]) -> None:
    """Wait for a moment that comes soon."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_operators_get_through_while_a_server_drips_and_what_it_reads_is_dropped(tmp_path: Path) -> None:
    with dripping(*DRIPS["header"]) as place, Store(tmp_path / "cache.db") as store:
        made = store.load()
        store.apply(Plan(Delta(groups=(GroupHead("g", "Staff"),))), NOW)
        service = sync_service(store, f"http://{place}", timeout="60s")
        with reading(service) as ended:
            before = time.monotonic()
            service.disconnect("jo", "unlinked")
            assert time.monotonic() - before < 1
            assert not store.load().groups
            assert store.held() is not None
            service.resume()
            assert not ended
        assert ended == [SyncResult.OUTAGE], "it was broken off"
        assert store.load() == made


def test_the_end_of_the_program_ends_a_reading_at_once(tmp_path: Path) -> None:
    with dripping(*DRIPS["nothing"]) as place, Store(tmp_path / "cache.db") as store:
        service = sync_service(store, f"http://{place}", timeout="60s")
        with reading(service):
            before = time.monotonic()
            service.stop()
            assert service.idle(3.0)
            assert time.monotonic() - before < 3
        assert store.sync_state().failures == 0


def test_what_no_cut_ends_is_left_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reckoning, or a name server, that takes its time: nobody waits for it."""
    monkeypatch.setattr(driving, "GRACE", 0.2)
    released, ended = threading.Event(), threading.Event()

    def work() -> None:
        released.wait(20)
        ended.set()

    before = time.monotonic()
    with pytest.raises(OutageError, match="given up") as caught:
        within(work, Deadline(before + 0.1), Connections(), lambda: False)
    assert caught.value.kind is OutageKind.TIMEOUT
    assert time.monotonic() - before < 2
    released.set()
    assert ended.wait(5)
    until(lambda: all(one.name != "fetch" for one in threading.enumerate()))


def test_reckoning_counts(tmp_path: Path) -> None:
    """A page that takes long to be taken apart: the time is looked at after each answer."""

    def slow() -> Fetch[None]:
        yield Request("Users")
        until(lambda: time.monotonic() > late)
        yield Request("Groups")

    class Quick:
        asked = 0

        def get(self, request: Request, deadline: Deadline) -> None:
            del request, deadline
            self.asked += 1

    http, late = Quick(), time.monotonic() + 0.2
    with pytest.raises(OutageError, match=r"longer than scim\.timeout"):
        driving.drive(slow(), http, Deadline(time.monotonic() + 0.1))  # type: ignore[arg-type]
    assert http.asked == 1
