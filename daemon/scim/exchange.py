"""What the pure part and the shell say to each other: a request to make, an answer, and why a sync ended. Pure.

Whatever is not a whole, valid answer is an ``OutageError`` (docs/scim.md, rule 4).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """``GET`` of ``path`` below the base URL, with query parameters in order."""

    path: str
    parameters: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """For people: without filters, which may hold names."""
        shown = "&".join(f"{k}={v if k != 'filter' else '…'}" for k, v in self.parameters if k != "cursor")
        return f"GET /{self.path}" + (f"?{shown}" if shown else "")


@dataclass(frozen=True, slots=True)
class Response:
    """An answer that arrived whole. ``document`` is the parsed JSON, ``None`` if the body is no JSON."""

    status: int
    document: Any = None
    date: datetime | None = field(default=None, compare=False)
    """The server's own clock, if it says what that is."""


class OutageKind(StrEnum):
    """Why the directory could not be read as a whole; ``latchctl sync status`` names it."""

    UNREACHABLE = "unreachable"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    THROTTLED = "throttled"
    SERVER_ERROR = "server_error"
    NOT_SCIM = "not_scim"
    INCOMPLETE = "incomplete"
    TOO_LARGE = "too_large"
    TIMEOUT = "timeout"
    REDIRECTED = "redirected"
    LOCAL = "local"
    """Something on this machine: a side file that cannot be read."""
    INTERNAL = "internal"
    """A bug of latchd's own."""
    GONE = "gone"
    """The service provider says that it is no more (410): the beginning of a disconnect, by policy."""


class OutageError(Exception):
    """The fetch ends without a result: the cache is kept. The message is for people and holds no secret."""

    def __init__(self, kind: OutageKind, text: str, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.kind = kind
        self.retry_after = retry_after
        self.leavers: frozenset[str] = frozenset()
        """People who were read as not active, when all users were read before something else failed."""


Fetch = Generator[Request, Response, T]
"""A conversation: yields requests, is sent responses, returns a result or raises ``OutageError``."""


def refuse(request: Request, response: Response) -> OutageError:
    """The outage that an unusable ``response`` means."""
    status = response.status
    if status == 200:
        what = "is no JSON" if response.document is None else "is no SCIM answer of the kind asked for"
        return OutageError(OutageKind.NOT_SCIM, f"{request}: the answer (status 200) {what}")
    kinds = {
        401: (OutageKind.UNAUTHORIZED, "the server does not accept our token (401): renew it"),
        403: (OutageKind.FORBIDDEN, "our token may not read this (403): give it read access to users and groups"),
        410: (OutageKind.GONE, "the service provider is gone (410)"),
        429: (OutageKind.THROTTLED, "the server asks us to slow down (429)"),
    }
    if status in kinds:
        kind, words = kinds[status]
        return OutageError(kind, f"{request}: {words}")
    kind = OutageKind.SERVER_ERROR if status >= 500 else OutageKind.NOT_SCIM
    return OutageError(kind, f"{request}: status {status}")
