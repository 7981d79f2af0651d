"""Faults of SCIM servers as data: what a ``Mode`` is, and how several of them stand in front of a server.

A mode changes the question before it reaches the server, or the answer on its way back. Modes are put in front of
a real server by ``proxy`` (HTTP on loopback) or of a directory in memory by ``answer``; they combine.
``wire`` modes exist only on a real connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"

Ask = Callable[[str, Mapping[str, str]], tuple[int, Any]]
"""The healthy server: path and query to status and document."""


@dataclass(slots=True)
class Exchange:
    """One request and its answer. ``body`` replaces the document with bytes that are no JSON."""

    path: str
    query: dict[str, str]
    ask: Ask
    memory: dict[str, Any]
    request_headers: Mapping[str, str] = field(default_factory=dict)
    status: int | None = None
    document: Any = None
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """``Users``, ``Groups``, ``ServiceProviderConfig``."""
        return self.path.partition("/")[0]

    @property
    def single(self) -> bool:
        """Whether one resource is asked for by id."""
        return "/" in self.path

    @property
    def listing(self) -> bool:
        """Whether a list of users or groups is asked for, not filtered."""
        return self.kind in ("Users", "Groups") and not self.single and "filter" not in self.query

    @property
    def resources(self) -> list[Any]:
        """The resources of the answer, to be changed in place; a single one as a list."""
        if self.status != 200 or not isinstance(self.document, dict):
            return []
        if self.single:
            return [self.document]
        found = self.document.get("Resources", [])
        return found if isinstance(found, list) else []

    def told(self) -> Iterator[tuple[str, bool]]:
        """What the answer says of anyone's ``active``; a word that cannot be understood is a no.

        Of a filtered list latchd wants ids, and asks for nothing else.
        """
        document = self.document
        if self.kind != "Users" or "filter" in self.query or self.body is not None or self.status != 200:
            return
        rows = (
            document.get("Resources", document.get("RESOURCES", [document])) if isinstance(document, dict) else []
        )
        for row in rows if isinstance(rows, list) else []:
            low = {str(key).casefold(): value for key, value in row.items()} if isinstance(row, dict) else {}
            active = low.get("active", True)
            if isinstance(low.get("id"), str | int):
                yield str(low["id"]), isinstance(active, bool | str) and active in (True, "True")

    def number(self, name: str, default: int) -> int:
        """An integer of the query."""
        return int(self.query.get(name, default))

    def answer(self, status: int, document: Any = None, **headers: str) -> None:
        """Answer at once, without the server."""
        self.status, self.document = status, document
        self.headers.update({name.replace("_", "-"): value for name, value in headers.items()})


Change = Callable[[Exchange], None]


@dataclass(frozen=True, slots=True)
class Mode:
    """One fault. ``state`` is what ``sync status`` must call it: ``complete`` or a kind of outage.

    ``road`` is the road that must be found, where the mode closes the others. ``cursor`` modes need a server with
    cursors. ``always`` modes are how a server is from the beginning, not something that befalls it.
    """

    name: str
    row: str
    before: Change | None = None
    after: Change | None = None
    state: str = "complete"
    road: str | None = None
    wire: bool = False
    cursor: bool = False
    always: bool = False


def answer(
    modes: Sequence[Mode], ask: Ask, memory: dict[str, Any], path: str, query: Mapping[str, str], **headers: str
) -> Exchange:
    """What the server says with these modes in front of it, the first one closest to the client."""
    exchange = Exchange(path, dict(query), ask, memory, headers)
    for mode in modes:
        if mode.before is not None and exchange.status is None:
            mode.before(exchange)
    if exchange.status is None:
        exchange.status, exchange.document = exchange.ask(exchange.path, exchange.query)
        for mode in reversed(modes):
            if mode.after is not None:
                # A fault that does not fit what another one has made of the answer has no effect.
                with suppress(KeyError, TypeError, AttributeError, ValueError):
                    mode.after(exchange)
    return exchange
