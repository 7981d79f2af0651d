"""Bearer tokens for sync: re-read from where they are stored, or obtained by OAuth 2.0 client credentials."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote_plus

import requests

from daemon.errors import ConfigError
from daemon.scim.exchange import OutageError, OutageKind
from daemon.scim.settings import OAuthSettings, ScimSettings
from daemon.sync.connections import Connections
from daemon.sync.http import guarded, parse, prepare, read_body
from drivers.driver import SecretReference

MAX_ANSWER = 65536
TIMEOUT = 30.0

DEFAULT_LIFE = 300.0
"""Seconds a token is used when the server does not say how long it lives (RFC 6749 §5.1)."""

SecretReader = Callable[[SecretReference], bytes]


def read_token(secret: SecretReader, reference: SecretReference) -> str:
    """The secret as text. ``OutageError`` when it cannot be read now: it may be on its way."""
    try:
        token = secret(reference).decode("ascii").strip()
    except ConfigError as error:
        raise OutageError(OutageKind.UNAUTHORIZED, f"the token cannot be read: {error}") from None
    except UnicodeDecodeError:
        token = ""
    if not token or not token.isprintable():
        raise OutageError(OutageKind.UNAUTHORIZED, "the token is empty or not printable: replace the token")
    return token


@dataclass(slots=True)
class StaticToken:
    """A token in a file, credential or variable; read again for each request, so a new one needs no restart."""

    secret: SecretReader
    reference: SecretReference | None

    def __call__(self, fresh: bool) -> str | None:
        """The token of now; ``fresh`` makes no difference, it always is."""
        del fresh
        return None if self.reference is None else read_token(self.secret, self.reference)


@dataclass(slots=True)
class ClientCredentials:
    """A token by RFC 6749 §4.4, renewed when a tenth of its life, or 30 s, is left; half of a very short life."""

    settings: ScimSettings
    oauth: OAuthSettings
    secret: SecretReader
    clock: Callable[[], float] = time.monotonic
    connections: Connections = field(default_factory=Connections)
    _token: str | None = None
    _until: float = 0.0

    def __call__(self, fresh: bool) -> str:
        """The token of now; ``fresh`` after the server refused ours. ``OutageError`` if there is none."""
        if self._token is None or fresh or self.clock() >= self._until:
            self._token, life = self._obtain()
            self._until = self.clock() + life - min(max(30.0, life / 10), life / 2)
        return self._token

    def _obtain(self) -> tuple[str, float]:
        client_secret = read_token(self.secret, self.oauth.client_secret)
        form = {"grant_type": "client_credentials"}
        if self.oauth.scope:
            form["scope"] = self.oauth.scope
        # RFC 6749 §2.3.1: Basic is what every server must know; some know only the body all the same.
        basic = (quote_plus(self.oauth.client_id), quote_plus(client_secret))
        status, document = self._post(form, basic)
        if status in (400, 401):
            body = {**form, "client_id": self.oauth.client_id, "client_secret": client_secret}
            status, document = self._post(body, None)
        answer = document if isinstance(document, dict) and status == 200 else {}
        token = answer.get("access_token")
        if not isinstance(token, str) or not token:
            kind = OutageKind.UNAUTHORIZED if status in (400, 401, 403) else OutageKind.SERVER_ERROR
            raise OutageError(kind, f"the token server gives no token (status {status}): check scim.oauth")
        if not (token.isascii() and token.isprintable()):
            text = "the token server gives a token that no header can carry (RFC 6750 §2.1): check scim.oauth"
            raise OutageError(OutageKind.SERVER_ERROR, text)
        try:
            life = float(answer.get("expires_in") or DEFAULT_LIFE)
        except (TypeError, ValueError):
            life = DEFAULT_LIFE
        return token, life if math.isfinite(life) and life > 0 else DEFAULT_LIFE

    def _post(self, form: dict[str, str], basic: tuple[str, str] | None) -> tuple[int, object]:
        with (
            guarded("the token server", self.connections),
            self.connections.answering(TIMEOUT),
            requests.Session() as session,
            self._sent(session, form, basic) as answer,
        ):
            body = read_body(answer, MAX_ANSWER, TIMEOUT)
            if self.connections.was_cut:
                raise OutageError(OutageKind.TIMEOUT, "the token server: the answer takes too long")
            return answer.status_code, parse(body)

    def _sent(
        self, session: requests.Session, form: dict[str, str], basic: tuple[str, str] | None
    ) -> requests.Response:
        """The answer to a form, with the same TLS as for the SCIM server itself; a redirect is not followed."""
        prepare(session, self.settings, self.connections)
        return session.post(
            self.oauth.token_url,
            data=form,
            auth=basic,
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            allow_redirects=False,
            stream=True,
            timeout=(TIMEOUT, TIMEOUT),
        )


TokenSource = StaticToken | ClientCredentials


def token_source(
    settings: ScimSettings, secret: SecretReader, connections: Connections | None = None
) -> TokenSource:
    """The tokens of a site file, asked for over ``connections``."""
    if settings.oauth is not None:
        return ClientCredentials(settings, settings.oauth, secret, connections=connections or Connections())
    return StaticToken(secret, settings.token)
