"""HTTP for sync: one place that speaks to the SCIM server, and gives up on whatever a server must not do.

TLS is always verified. A redirect to another origin is refused, a body is read with a cap and a deadline also
while it unpacks (docs/scim.md, rule 1), and nothing that is raised here holds a token, a header or a query.
"""

from __future__ import annotations

import json
import random
import ssl
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from daemon.scim.exchange import OutageError, OutageKind, Request, Response
from daemon.scim.settings import ScimSettings
from daemon.sync.connections import Connections

CONNECT_TIMEOUT = 10.0
SILENCE = 60.0
"""Seconds a server may say nothing: some take long to put a page of groups together."""

REQUEST_DEADLINE = 180.0
"""Seconds for one answer, however it trickles."""

CHUNK = 65536
MAX_REDIRECTS = 3

ATTEMPTS = 4
"""How often one request is made before the whole sync gives up; sync itself comes back later."""

PATIENCE = 60.0
"""The longest Retry-After in seconds that is waited for within a sync; a longer one ends it until then."""

_NO_URL = "the server sends us to a place that is not a URL; ask whoever runs it"

LONGEST_RETRY = 3600.0
"""Seconds of Retry-After that are believed at most."""

SYSTEM_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
"""What Debian's update-ca-certificates keeps; without it the certificates that come with requests are trusted."""

_BUSY = (429, 502, 503, 504)
_ACCEPT = "application/scim+json, application/json;q=0.9"


@dataclass(slots=True)
class Deadline:
    """When a whole sync must be done, in seconds of the monotonic clock."""

    at: float

    def left(self) -> float:
        """Seconds left. ``OutageError`` when there are none."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise OutageError(OutageKind.TIMEOUT, "the sync took longer than scim.timeout allows")
        return left


@dataclass(slots=True)
class ScimHttp:
    """A session with the SCIM server. ``token`` gives the bearer token of now; ``fresh`` asks for another one.

    ``wait`` sleeps; it returns ``True`` when the program ends meanwhile.
    """

    settings: ScimSettings
    token: Callable[[bool], str | None]
    wait: Callable[[float], bool]
    session: requests.Session = field(default_factory=requests.Session)
    chance: random.Random = field(default_factory=random.Random)
    connections: Connections = field(default_factory=Connections)
    mark: Callable[[int, bytes], str] | None = None
    """Makes a digest of each answer, for ``marks``."""

    marks: list[tuple[Request, str]] = field(default_factory=list)
    _used: str | None = None

    def __post_init__(self) -> None:
        """Prepare the session: own CA, client certificate, and nothing from the environment (no .netrc)."""
        prepare(self.session, self.settings, self.connections)

    def __enter__(self) -> Self:
        """The session."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.session.close()

    def get(self, request: Request, deadline: Deadline) -> Response:
        """One answer. ``OutageError`` when there is none."""
        status, headers, body = self.fetch(request, deadline)
        if self.mark is not None:
            self.marks.append((request, self.mark(status, body)))
        return Response(status, parse(body), server_date(headers))

    def fetch(self, request: Request, deadline: Deadline) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of one answer, after as many attempts as are reasonable; or ``OutageError``."""
        renewed = False
        for attempt in range(1, ATTEMPTS + 1):
            last = attempt == ATTEMPTS
            try:
                status, headers, body = self._exchange(request, deadline)
            except OutageError as error:
                if last or error.kind not in (OutageKind.UNREACHABLE, OutageKind.TIMEOUT):
                    raise
                self._pause(self._delay(attempt), deadline)
                continue
            if status == 401 and not renewed:
                renewed = True
                if self._renew():
                    continue
            if status not in _BUSY:
                return status, headers, body
            after = retry_after(headers, datetime.now(UTC))
            if last or (after or 0) > min(PATIENCE, deadline.left()):
                raise busy(request, status, after)
            self._pause(max(after or 0.0, self._delay(attempt)), deadline)
        raise OutageError(OutageKind.SERVER_ERROR, f"{request}: no answer in {ATTEMPTS} attempts")

    def _renew(self) -> bool:
        """Whether there is another token to try after a 401."""
        refused = self._used
        return self.token(True) != refused

    def _delay(self, attempt: int) -> float:
        return self.chance.uniform(0.5, 1.0) * 2.0 ** (attempt - 1)

    def _pause(self, seconds: float, deadline: Deadline) -> None:
        if self.wait(min(seconds, deadline.left())):
            raise OutageError(OutageKind.TIMEOUT, "the sync was broken off because the program ends")

    def _exchange(self, request: Request, deadline: Deadline) -> tuple[int, Mapping[str, str], bytes]:
        url = f"{self.settings.url}/{request.path}"
        parameters: Any = list(request.parameters)
        for _ in range(MAX_REDIRECTS + 1):
            seconds = min(REQUEST_DEADLINE, deadline.left())
            with (
                guarded(str(request), self.connections),
                self.connections.answering(seconds),
                self._open(url, parameters, deadline) as answer,
            ):
                if answer.is_redirect or answer.is_permanent_redirect:
                    url, parameters = self._redirected(request, url, answer.headers["Location"]), None
                    continue
                body = read_body(answer, self.settings.max_body, seconds)
                if self.connections.was_cut:  # what was cut in a header or a chunk looks like a whole answer
                    raise OutageError(OutageKind.TIMEOUT, f"{request}: the answer takes too long")
                return answer.status_code, answer.headers, body
        raise OutageError(OutageKind.REDIRECTED, f"{request}: redirected more than {MAX_REDIRECTS} times")

    def _open(self, url: str, parameters: Any, deadline: Deadline) -> requests.Response:
        headers = {"Accept": _ACCEPT, "Accept-Encoding": "gzip"}
        self._used = token = self.token(False)
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        silence = min(SILENCE, deadline.left())
        try:
            return self.session.get(
                url,
                params=parameters,
                headers=headers,
                allow_redirects=False,
                stream=True,
                timeout=(min(CONNECT_TIMEOUT, silence), silence),
            )
        except ValueError as fault:  # requests reads a Location also where it is not to follow it
            if isinstance(fault, requests.RequestException):
                raise
            raise OutageError(OutageKind.REDIRECTED, _NO_URL) from None

    def _redirected(self, request: Request, url: str, location: str) -> str:
        try:
            target = urljoin(url, location)
            elsewhere = origin(target) != origin(self.settings.url)
        except ValueError:
            raise OutageError(OutageKind.REDIRECTED, f"{request}: {_NO_URL}") from None
        if elsewhere:
            raise OutageError(
                OutageKind.REDIRECTED,
                f"{request}: the server sends us to {urlsplit(target).hostname or 'another place'}, which is not "
                "followed; if that is right, write it as scim.url",
            )
        return target


# ------------------------------------------------------------------ parts, also for the token


def prepare(session: requests.Session, settings: ScimSettings, connections: Connections) -> None:
    """TLS as the site file says; proxies, .netrc and CA bundles of the environment are not used.

    The session opens its connections in ``connections``. ``OutageError`` names a file that cannot be read.
    """
    for key in ("ca_file", "client_cert", "client_key"):
        path = getattr(settings, key)
        try:
            if path is not None:
                Path(path).open("rb").close()
        except OSError as error:
            text = f"scim.{key}: {path} cannot be read: {error.strerror}"
            raise OutageError(OutageKind.LOCAL, text) from None
    connections.mount(session)
    session.trust_env = False
    session.verify = settings.ca_file or (SYSTEM_CERTIFICATES if Path(SYSTEM_CERTIFICATES).exists() else True)
    if settings.client_cert is not None and settings.client_key is not None:
        session.cert = (settings.client_cert, settings.client_key)


class guarded:  # noqa: N801  # a context manager, used like a function
    """Turn what requests and urllib3 raise into an ``OutageError`` in our own words."""

    def __init__(self, what: str, connections: Connections) -> None:
        self._what, self._connections = what, connections

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Explain the fault."""
        if isinstance(fault, Exception) and self._connections.was_cut and not isinstance(fault, OutageError):
            raise OutageError(OutageKind.TIMEOUT, f"{self._what}: the answer takes too long") from None
        if isinstance(fault, requests.exceptions.SSLError | ssl.SSLError):
            text = (
                f"{self._what}: TLS failed{_certificate(fault)}; check scim.ca_file and the server's certificate"
            )
            raise OutageError(OutageKind.UNREACHABLE, text) from None
        if isinstance(fault, requests.exceptions.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
            raise OutageError(OutageKind.TIMEOUT, f"{self._what}: the server does not answer in time") from None
        if isinstance(fault, requests.exceptions.RequestException | urllib3.exceptions.HTTPError | OSError):
            text = f"{self._what}: {_reason(fault)}"
            raise OutageError(OutageKind.UNREACHABLE, text) from None


def _chain(fault: BaseException) -> list[BaseException]:
    """The fault and what it was made of; urllib3 keeps the cause as ``reason``."""
    found: list[BaseException] = []
    todo: list[Any] = [fault]
    while todo and len(found) < 20:
        one = todo.pop(0)
        if isinstance(one, BaseException) and one not in found:
            found.append(one)
            todo.extend((getattr(one, "reason", None), one.__cause__, one.__context__, *one.args))
    return found


def _certificate(fault: BaseException) -> str:
    for one in _chain(fault):
        if isinstance(one, ssl.SSLCertVerificationError):
            return f" ({one.verify_message})"
    return ""


def _reason(fault: BaseException) -> str:
    for one in _chain(fault):
        if isinstance(one, urllib3.exceptions.NameResolutionError):
            return "the server's name cannot be resolved"
        if isinstance(one, OSError) and one.strerror and not isinstance(one, requests.RequestException):
            return f"the server cannot be reached: {one.strerror}"
    return "the connection broke off"


def read_body(answer: requests.Response, cap: int, seconds: float) -> bytes:
    """The body, unpacked here so that neither it nor what it unpacks to can exceed ``cap`` bytes."""
    until = time.monotonic() + seconds
    coding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "x-gzip", ""):
        raise OutageError(OutageKind.NOT_SCIM, "the server packs its answers in a way that was not asked for")
    unpack = zlib.decompressobj(31) if coding.endswith("gzip") else None
    body, packed = bytearray(), 0
    while chunk := answer.raw.read1(CHUNK, decode_content=False):
        packed += len(chunk)
        try:
            body += chunk if unpack is None else unpack.decompress(chunk, cap + 1 - len(body))
        except zlib.error:
            raise OutageError(OutageKind.UNREACHABLE, "the packed answer is damaged") from None
        if max(len(body), packed) > cap:
            raise OutageError(OutageKind.TOO_LARGE, f"an answer is larger than scim.max_body allows ({cap} bytes)")
        if time.monotonic() > until:
            raise OutageError(OutageKind.TIMEOUT, "the server sends too slowly")
    if unpack is not None and not unpack.eof:
        raise OutageError(OutageKind.UNREACHABLE, "the packed answer broke off")
    return bytes(body)


def parse(body: bytes) -> Any:
    """The JSON document, or ``None`` if it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds of ``Retry-After`` (RFC 9110 §10.2.3), given as seconds or as a date; 0 to an hour.

    Whoever asks for more is asked again all the same: one wrong header must not end syncing for a day.
    """
    value = headers.get("Retry-After", "").strip()
    if not value:
        return None
    if value.isascii() and value.isdigit():
        seconds = float(value[:9])
    else:
        try:
            at = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY)


def server_date(headers: Mapping[str, str]) -> datetime | None:
    """The server's clock by its ``Date`` (RFC 9110 §6.6.1); ``None`` if it does not say."""
    try:
        at = parsedate_to_datetime(headers.get("Date", ""))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def busy(request: Request, status: int, after: float | None) -> OutageError:
    """The outage of a server that asks for patience."""
    kind = OutageKind.THROTTLED if status == 429 or after is not None else OutageKind.SERVER_ERROR
    words = f", come back in {after:.0f} s" if after else ""
    return OutageError(kind, f"{request}: the server is busy (status {status}{words})", after)


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port, by which two URLs are the same place."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)
