"""HTTP for sync, on loopback: what a server must not do is refused in words, and no secret is in them."""

from __future__ import annotations

import gzip
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.scim.exchange import OutageError, OutageKind, Request, Response
from daemon.sync.http import ATTEMPTS, Deadline, ScimHttp, origin, parse, retry_after, server_date
from tests.peers.http_desk import Asked, Desk, Told, http_desk
from tests.peers.scim_site import scim_settings
from tests.peers.tls import Authority

TOKEN = "s3cret-t0ken"
USERS = Request("Users", (("filter", 'userName eq "ada"'), ("startIndex", "1")))
NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


class Client:
    """Reads from a server; ``waits`` are the pauses it wanted to make."""

    def __init__(self, url: str, token: str | None = TOKEN, **keys: Any) -> None:
        self.waits: list[float] = []
        self.tokens = [token]
        self.settings = scim_settings(url, max_body=65536, **keys)
        self.ends = False

    def token(self, fresh: bool) -> str | None:
        if fresh and len(self.tokens) > 1:
            self.tokens.pop(0)
        return self.tokens[0]

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        return self.ends

    def get(self, request: Request = USERS, seconds: float = 20.0) -> Response:
        with ScimHttp(self.settings, self.token, self.wait) as http:
            return http.get(request, Deadline(time.monotonic() + seconds))

    def outage(self, request: Request = USERS, seconds: float = 20.0) -> OutageError:
        with pytest.raises(OutageError) as caught:
            self.get(request, seconds)
        assert TOKEN not in str(caught.value)
        assert "ada" not in str(caught.value)
        assert caught.value.__cause__ is None
        return caught.value


@contextmanager
def server(answer: Callable[[Asked], Told]) -> Iterator[tuple[Desk, Client]]:
    with http_desk(answer) as desk:
        yield desk, Client(desk.url)


def always(*args: Any, **keys: Any) -> Callable[[Asked], Told]:
    return lambda asked: Told(*args, **keys)


def test_a_request_carries_the_token_and_what_it_accepts() -> None:
    with server(always(200, {"id": "1"})) as (desk, client):
        assert client.get() == Response(200, {"id": "1"})
        (asked,) = desk.asked
    assert asked.headers["Authorization"] == f"Bearer {TOKEN}"
    assert asked.headers["Accept-Encoding"] == "gzip"
    assert asked.path == "/v2/Users?filter=userName+eq+%22ada%22&startIndex=1"


def test_without_a_token_there_is_no_authorization() -> None:
    with http_desk(always(200, {})) as desk:
        assert Client(desk.url, None).get().status == 200
        assert "Authorization" not in desk.asked[0].headers


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{", b'{"a": 1} trailing', b"[" * 100_000, b"1" * 5000, b"\xff"]
)
def test_what_is_no_json_is_none(body: bytes) -> None:
    assert parse(body) is None
    with server(always(200, body[:60000])) as (_, client):
        assert client.get() == Response(200, None)


# ------------------------------------------------------------------ bodies


def endless(head: bytes, piece: bytes) -> Callable[[Asked], Told]:
    """Never stops sending."""

    def pieces() -> Iterator[bytes]:
        yield head
        while True:
            yield piece

    return lambda asked: Told(200, pieces(), {"Content-Encoding": "gzip"} if head else {})


def test_a_body_is_read_up_to_its_cap() -> None:
    with server(always(200, b" " * 65000 + b"{}")) as (_, client):
        assert client.get().document == {}
    for answer in (always(200, b" " * 70000), endless(b"", b" " * 9000)):
        with server(answer) as (_, client):
            assert client.outage().kind is OutageKind.TOO_LARGE


def test_a_packed_body_counts_unpacked_and_bombs_are_refused() -> None:
    gzipped = {"Content-Encoding": "gzip"}
    with server(always(200, gzip.compress(b" " * 65000 + b"{}"), gzipped)) as (_, client):
        assert client.get().document == {}
    with server(always(200, gzip.compress(b" " * (1 << 24)), gzipped)) as (_, client):
        assert client.outage().kind is OutageKind.TOO_LARGE
    with server(endless(gzip.compress(b"{}"), b"junk" * 4096)) as (_, client):
        assert client.outage().kind is OutageKind.TOO_LARGE


@pytest.mark.parametrize(
    ("body", "coding", "kind"),
    [
        (b"no gzip at all", "gzip", OutageKind.UNREACHABLE),
        (gzip.compress(b"{}" + b" " * 9000, mtime=0)[:-9], "gzip", OutageKind.UNREACHABLE),
        (b"{}", "br", OutageKind.NOT_SCIM),
        (b"{}", "gzip, gzip", OutageKind.NOT_SCIM),
    ],
)
def test_packing_that_is_damaged_or_was_not_asked_for(body: bytes, coding: str, kind: OutageKind) -> None:
    with server(always(200, body, {"Content-Encoding": coding})) as (_, client):
        assert client.outage().kind is kind


def test_a_body_that_breaks_off_is_asked_for_again_and_then_an_outage() -> None:
    with server(always(200, b"{", {"Content-Length": "100"})) as (desk, client):
        assert client.outage().kind is OutageKind.UNREACHABLE
        assert len(desk.asked) == ATTEMPTS


def test_a_server_that_trickles_is_given_up_at_the_deadline() -> None:
    def slowly() -> Iterator[bytes]:
        while True:
            time.sleep(0.05)
            yield b" "

    with server(lambda asked: Told(200, slowly())) as (_, client):
        start = time.monotonic()
        assert client.outage(seconds=0.4).kind is OutageKind.TIMEOUT
        assert time.monotonic() - start < 5


def test_a_server_that_says_nothing_is_given_up_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = Client(f"http://127.0.0.1:{silent.getsockname()[1]}/v2")
        assert client.outage(seconds=0.3).kind is OutageKind.TIMEOUT


# ------------------------------------------------------------------ redirects


def test_a_redirect_within_the_origin_is_followed_a_few_times() -> None:
    def moved(asked: Asked) -> Told:
        return Told(200, {"id": "1"}) if asked.path == "/v2/new" else Told(302, b"", {"Location": "/v2/new"})

    with server(moved) as (desk, client):
        assert client.get().document == {"id": "1"}
        assert desk.asked[1].headers["Authorization"] == f"Bearer {TOKEN}"
    with server(always(308, b"", {"Location": "/v2/Users"})) as (_, client):
        assert client.outage().kind is OutageKind.REDIRECTED


@pytest.mark.parametrize(
    "place",
    ["http://127.0.0.2:{port}/v2", "https://127.0.0.1:{port}/v2", "http://127.0.0.1:1/v2", "//evil.example"],
)
def test_a_redirect_to_another_origin_is_refused_before_anything_is_sent_there(place: str) -> None:
    with http_desk(always(200, {})) as desk:
        port = desk.url.rpartition(":")[2].partition("/")[0]
        desk.answer = always(307, b"", headers={"Location": place.format(port=port)})
        error = Client(desk.url).outage()
        assert error.kind is OutageKind.REDIRECTED
        assert "write it as scim.url" in str(error)
        assert len(desk.asked) == 1


@pytest.mark.parametrize("place", ["http://127.0.0.1:99999/", "http://[::1", "http://127.0.0.1:port/", "//[x]/"])
def test_a_redirect_to_what_is_no_url_is_said_in_words(place: str) -> None:
    with server(always(302, b"", {"Location": place})) as (_, client):
        error = client.outage()
    assert error.kind is OutageKind.REDIRECTED
    assert "not a URL" in str(error) or "not followed" in str(error)


def test_an_origin_is_scheme_host_and_port() -> None:
    assert origin("https://a.example/x") == origin("https://A.example:443/y")
    assert origin("https://a.example") != origin("http://a.example:443")
    assert origin("https://a.example") != origin("https://a.example.evil")
    assert origin("https://a.example@evil.example/") == origin("https://evil.example/")


# ------------------------------------------------------------------ tokens and patience


def test_a_refused_token_is_tried_once_more_if_there_is_a_new_one() -> None:
    def wants_new(asked: Asked) -> Told:
        return Told(200 if asked.headers["Authorization"] == "Bearer new" else 401, {})

    with server(wants_new) as (desk, client):
        client.tokens = ["old", "new"]
        assert client.get().status == 200
        assert client.get().status == 200
        assert len(desk.asked) == 3
        client.tokens = ["old"]
        assert client.get().status == 401


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_server_is_asked_again_after_as_long_as_it_says(status: int) -> None:
    answers = [Told(status, b"", {"Retry-After": "7"}), Told(status, b""), Told(200, {})]
    with server(lambda asked: answers.pop(0)) as (_, client):
        assert client.get().status == 200
    first, second = client.waits
    assert 7.0 <= first <= 7.0
    assert 1.0 <= second <= 2.0


@pytest.mark.parametrize("as_date", [False, True])
def test_a_server_that_wants_more_patience_than_a_sync_has_ends_it_until_then(as_date: bool) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True) if as_date else "7200"
    with server(always(503, b"", {"Retry-After": later})) as (desk, client):
        error = client.outage()
        assert len(desk.asked) == 1
    assert error.kind is OutageKind.THROTTLED
    assert error.retry_after == pytest.approx(3600, abs=5)


def test_a_server_that_stays_busy_is_an_outage() -> None:
    with server(always(503, b"")) as (desk, client):
        assert client.outage().kind is OutageKind.SERVER_ERROR
        assert len(desk.asked) == ATTEMPTS
    assert len(client.waits) == ATTEMPTS - 1


def test_a_program_that_ends_does_not_wait() -> None:
    with server(always(503, b"")) as (desk, client):
        client.ends = True
        assert "the program ends" in str(client.outage())
        assert len(desk.asked) == 1


@settings(deadline=None)
@given(st.text(max_size=30))
def test_any_retry_after_is_seconds_or_nothing(value: str) -> None:
    found = retry_after({"Retry-After": value}, NOW)
    assert found is None or 0 <= found <= 3600


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 5 ", 5.0),
        ("9" * 40, 3600.0),
        ("Mon, 02 Mar 2026 08:01:00 GMT", 60.0),
        ("Mon, 02 Mar 2026 07:00:00 GMT", 0.0),
        ("Mon, 02 Mar 2026 09:01:00 +0100", 60.0),
        ("-5", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": value}, NOW) == seconds


def test_a_name_that_nobody_has_and_a_port_that_nobody_opens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    error = Client(f"http://127.0.0.1:{port}/v2").outage()
    assert error.kind is OutageKind.UNREACHABLE
    assert "Connection refused" in str(error)


# ------------------------------------------------------------------ TLS


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def over_tls(context: ssl.SSLContext, **keys: Any) -> Response | OutageError:
    with http_desk(always(200, {}), context) as desk:
        try:
            return Client(desk.url, **keys).get()
        except OutageError as error:
            return error


def test_a_private_authority_is_trusted_when_the_site_file_names_it(authority: Authority) -> None:
    context = authority.server_context()
    assert over_tls(context, ca_file=str(authority.certificate)) == Response(200, {})
    refused = over_tls(context)
    assert isinstance(refused, OutageError)
    assert "TLS failed" in str(refused)
    assert "check scim.ca_file" in str(refused)


@pytest.mark.parametrize(
    ("more", "words"),
    [({"address": "127.0.0.2"}, "IP address mismatch"), ({"life": -timedelta(hours=1)}, "expired")],
)
def test_a_certificate_for_another_place_or_time_is_refused(
    authority: Authority, more: dict[str, Any], words: str
) -> None:
    refused = over_tls(authority.server_context("wrong", **more), ca_file=str(authority.certificate))
    assert isinstance(refused, OutageError)
    assert words in str(refused)


def test_another_authority_of_the_same_name_is_refused(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    impostor = Authority(tmp_path / "other", authority.name)
    assert isinstance(over_tls(impostor.server_context(), ca_file=str(authority.certificate)), OutageError)


def test_mutual_tls(authority: Authority, tmp_path: Path) -> None:
    context = authority.server_context(clients=True)
    certificate, key = map(str, authority.issue("client"))
    keys = {"ca_file": str(authority.certificate)}
    assert over_tls(context, client_cert=certificate, client_key=key, **keys) == Response(200, {})
    assert isinstance(over_tls(context, **keys), OutageError), "without a certificate of ours"
    (tmp_path / "other").mkdir()
    strange = map(str, Authority(tmp_path / "other").issue("client"))
    assert isinstance(
        over_tls(context, **keys, **dict(zip(("client_cert", "client_key"), strange, strict=True))), OutageError
    )


@pytest.mark.parametrize("key", ["ca_file", "client_cert", "client_key"])
def test_a_file_that_is_not_there_is_named(authority: Authority, key: str) -> None:
    certificate, private = map(str, authority.issue("client"))
    keys = {"ca_file": str(authority.certificate), "client_cert": certificate, "client_key": private}
    refused = over_tls(authority.server_context(), **{**keys, key: "/nowhere/file.pem"})
    assert isinstance(refused, OutageError)
    assert refused.kind is OutageKind.LOCAL
    assert f"scim.{key}: /nowhere/file.pem cannot be read" in str(refused)


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ("Mon, 02 Mar 2026 08:00:00 GMT", datetime(2026, 3, 2, 8, 0, tzinfo=UTC)),
        ("Mon, 02 Mar 2026 08:00:00 -0000", datetime(2026, 3, 2, 8, 0, tzinfo=UTC)),
        ("yesterday", None),
        ("", None),
    ],
)
def test_the_servers_clock(value: str, at: datetime | None) -> None:
    assert server_date({"Date": value}) == at
    assert server_date({}) is None
