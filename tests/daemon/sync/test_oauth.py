"""Tokens for sync: read again from where they are stored, or obtained by OAuth and renewed before they expire."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from cache.directory.store import Store
from daemon.config.secrets import read_secret
from daemon.errors import ConfigError
from daemon.scim.exchange import OutageError, OutageKind
from daemon.sync.oauth import ClientCredentials, StaticToken, token_source
from daemon.sync.outcome import SyncResult
from daemon.sync.service import SyncService
from tests.peers.http_desk import Asked, Desk, Told, http_desk
from tests.peers.scim_server import running_scim_server
from tests.peers.scim_site import card_mapper, scim_settings
from tests.peers.tls import Authority

SECRET = "s3cr3t/ +%"


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Tokens:
    """A token server: hands out t1, t2, … that live so long."""

    life: Any = 3600
    count: int = 0
    only_body: bool = False
    asked: list[dict[str, str]] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Told:
        form = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
        self.asked.append(form)
        basic = asked.headers.get("Authorization", "")
        if self.only_body and basic:
            return Told(401, {"error": "invalid_client"})
        given = base64.b64decode(basic.removeprefix("Basic ")) if basic else b""
        if given != b"door:s3cr3t%2F+%2B%25" and form.get("client_secret") != SECRET:
            return Told(401, {"error": "invalid_client"})
        self.count += 1
        return Told(200, {"access_token": f"t{self.count}", "token_type": "Bearer", "expires_in": self.life})


def source(desk: Desk, clock: Callable[[], float] = Clock(), **more: Any) -> ClientCredentials:  # noqa: B008
    oauth = {"token_url": desk.url, "client_id": "door", "client_secret": "env:SECRET", **more}
    settings = scim_settings(token=None, oauth=oauth)
    assert settings.oauth is not None
    return ClientCredentials(settings, settings.oauth, lambda _: SECRET.encode(), clock)


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
def desk(tokens: Tokens) -> Iterator[Desk]:
    with http_desk(tokens) as desk:
        yield desk


def refusal(token: Callable[[bool], str | None]) -> OutageError:
    with pytest.raises(OutageError) as caught:
        token(False)
    assert SECRET not in str(caught.value)
    assert caught.value.kind in (OutageKind.UNAUTHORIZED, OutageKind.SERVER_ERROR, OutageKind.UNREACHABLE)
    return caught.value


# ------------------------------------------------------------------ OAuth


@pytest.mark.parametrize(("life", "good_for"), [(3600, 3240), (120, 90), (20, 10), ("600", 540), (None, 270)])
def test_a_token_is_kept_and_renewed_before_it_expires(
    desk: Desk, tokens: Tokens, life: Any, good_for: float
) -> None:
    tokens.life, clock = life, Clock()
    token = source(desk, clock)
    assert token(False) == token(False) == "t1"
    clock.now += good_for - 1
    assert token(False) == "t1"
    clock.now += 1
    assert token(False) == "t2"
    assert tokens.count == 2


@pytest.mark.parametrize("life", [-1, 0, "soon", [], {}, float("nan"), float("inf"), True])
def test_a_life_that_is_none_is_a_short_one(desk: Desk, tokens: Tokens, life: Any) -> None:
    tokens.life, clock = life, Clock()
    token = source(desk, clock)
    token(False)
    clock.now += 300
    assert token(False) == "t2"


def test_a_token_that_was_refused_is_renewed_at_once(desk: Desk) -> None:
    token = source(desk)
    assert token(False) == "t1"
    assert token(True) == "t2"


def test_the_form_is_that_of_client_credentials(desk: Desk, tokens: Tokens) -> None:
    source(desk, scope="scim.read")(False)
    assert tokens.asked == [{"grant_type": "client_credentials", "scope": "scim.read"}]


def test_a_server_that_knows_only_the_body_gets_it_there(desk: Desk, tokens: Tokens) -> None:
    tokens.only_body = True
    assert source(desk)(False) == "t1"
    assert tokens.asked[1] == {"grant_type": "client_credentials", "client_id": "door", "client_secret": SECRET}


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (Told(401, {"error": "invalid_client"}), OutageKind.UNAUTHORIZED),
        (Told(400, {"error": "invalid_scope"}), OutageKind.UNAUTHORIZED),
        (Told(500, b"<html>"), OutageKind.SERVER_ERROR),
        (Told(200, b"<html>"), OutageKind.SERVER_ERROR),
        (Told(200, {"access_token": 7}), OutageKind.SERVER_ERROR),
        (Told(200, {"access_token": ""}), OutageKind.SERVER_ERROR),
        (Told(200, {"access_token": "t\u20ac1"}), OutageKind.SERVER_ERROR),
        (Told(200, {"access_token": "t1\r\nX-Evil: 1"}), OutageKind.SERVER_ERROR),
        (Told(302, b"", {"Location": "http://127.0.0.2/"}), OutageKind.SERVER_ERROR),
    ],
)
def test_a_server_that_gives_no_token_is_an_outage(desk: Desk, told: Told, kind: OutageKind) -> None:
    desk.answer = lambda asked: told
    assert refusal(source(desk)).kind is kind


def test_a_token_server_with_a_private_authority(tmp_path: Path, tokens: Tokens) -> None:
    authority = Authority(tmp_path)
    with http_desk(tokens, authority.server_context()) as desk:
        oauth = {"token_url": desk.url, "client_id": "door", "client_secret": "env:SECRET"}
        for ca_file in (str(authority.certificate), None):
            settings = scim_settings(token=None, oauth=oauth, ca_file=ca_file)
            token = token_source(settings, lambda _: SECRET.encode())
            if ca_file is None:
                assert "TLS failed" in str(refusal(token))
            else:
                assert token(False) == "t1"


def test_syncs_share_a_token_until_it_is_refused(tmp_path: Path, desk: Desk, tokens: Tokens) -> None:
    with running_scim_server(token="t2") as server, Store(tmp_path / "cache.db") as store:
        with server.client() as client:
            client.create_group("Staff")
        oauth = {"token_url": desk.url, "client_id": "door", "client_secret": "env:SECRET"}
        settings = scim_settings(server.url, token=None, oauth=oauth)
        service = SyncService(settings, store, card_mapper(settings), frozenset(), lambda _: SECRET.encode())
        assert service.run_once().outcome is SyncResult.APPLIED, "t1 was refused, t2 is good"
        assert service.run_once().outcome is SyncResult.UNCHANGED
        assert tokens.count == 2
        assert SECRET not in repr(service.status())


# ------------------------------------------------------------------ a token that is kept


def test_a_token_file_that_changes_is_picked_up_without_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "token"

    def write(token: str) -> None:
        file.write_text(token)
        file.chmod(0o600)

    with running_scim_server(token="new-token") as server, Store(tmp_path / "cache.db") as store:
        with server.client() as client:
            client.create_group("Staff")
        settings = scim_settings(server.url, token=f"file:{file}")
        service = SyncService(settings, store, card_mapper(settings), frozenset(), read_secret)
        outcome = service.run_once()
        assert (outcome.outcome, outcome.exit_code) == (SyncResult.UNAUTHORIZED, 14), "there is none yet"
        write("old-token")
        outcome = service.run_once()
        assert outcome.outcome is SyncResult.UNAUTHORIZED
        assert "the server does not accept our token (401)" in outcome.text
        assert service.status().state.outcome == "unauthorized"
        write("new-token\n")
        assert service.run_once().outcome is SyncResult.APPLIED
        assert "old-token" not in repr(service.status())


@pytest.mark.parametrize("content", [b"", b"  \n", "tökén".encode(), b"two\nlines", b"\x00", b"\xff\xfe"])
def test_a_token_that_cannot_be_one_is_refused_and_not_shown(content: bytes) -> None:
    error = refusal(StaticToken(lambda _: content, "file:token"))
    assert error.kind is OutageKind.UNAUTHORIZED
    assert "replace the token" in str(error)


def test_a_token_that_cannot_be_read_says_where(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("shown")
    file.chmod(0o644)
    error = refusal(StaticToken(read_secret, f"file:{file}"))
    assert str(file) in str(error)
    assert "shown" not in str(error)
    with pytest.raises(ConfigError):
        read_secret("env:NOT_THERE", {})


def test_a_site_without_a_token_sends_none() -> None:
    assert token_source(scim_settings(token=None), read_secret)(False) is None
