"""One resource asked for by its id: the request, and whether the answer is that resource. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from daemon.scim.exchange import Request, Response
from daemon.scim.resource import MalformedError, identifier

GONE = (404, 410)


def single(kind: str, id_: str, *parameters: tuple[str, str], encoded: bool = False) -> Request:
    """Return the request for one resource; ``encoded``: ids of this server are parts of a URL already."""
    return Request(f"{kind}/{quote(id_, safe='%' if encoded else '')}", parameters)


def is_resource(response: Response, wanted: str) -> bool:
    """Whether the answer is the resource of this id, and no other document with status 200."""
    if response.status != 200 or not isinstance(response.document, Mapping):
        return False
    try:
        return identifier(response.document) == wanted
    except MalformedError:
        return False
