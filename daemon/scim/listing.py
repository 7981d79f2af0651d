"""One list being read, and what a page of it is (RFC 7644 §3.4.2, RFC 9865 §2). Pure.

A page counts only if it is a ListResponse that answers the question asked. ``trust`` (``scim.trust``) names what
of a server's words about its own pages is believed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from daemon.scim.exchange import Fetch, OutageError, OutageKind, Request, Response, refuse
from daemon.scim.resource import MalformedError, get, identifier, text

LIST_RESPONSE = "urn:ietf:params:scim:api:messages:2.0:listresponse"

REFUSALS = (400, 404, 413, 414, 422, 500, 501)
"""Statuses by which servers refuse a page size, or a cursor."""

MAX_PAGES = 100_000
MAX_RESOURCES = 1_000_000
"""More than any directory that a door controller is for; a list without an end would else fill the memory."""

_MENTIONED = 5
"""Skipped resources of one list that are mentioned one by one."""

CHURN = 0.02
"""The part of a list that may have moved out of sight while it was read; evidence sorts it out."""

Trust = frozenset[str]
ALL: Trust = frozenset({"total", "echo", "schemas"})

Take = Callable[[str, Mapping[str, Any]], None]


@dataclass(slots=True)
class Listing:
    """One list to read: where, with which parameters, and what takes its resources.

    An id that comes again is taken again: between two pages it may have changed, and the later one is the newer.
    """

    path: str
    take: Take
    size: int
    parameters: tuple[tuple[str, str], ...] = ()
    counted: bool = True
    trust: Trust = ALL
    ordered: bool = False
    """Whether the rows are asked for in the order of their ids."""
    base: int = 1
    """What the server calls the first row when it says where it is."""
    cursors: bool = False
    """Whether the server gave a cursor although an index was asked for."""
    one_page: bool = False
    """Whether the server ignores the index, so that what it does not show cannot be asked for."""
    seen: set[str] = field(default_factory=set)
    rows: int = 0
    nameless: int = 0
    skipped: int = 0
    warnings: list[str] = field(default_factory=list)

    def request(self, *position: tuple[str, str]) -> Request:
        count = (("count", str(self.size)),) if self.counted else ()
        order = (("sortBy", "id"),) if self.ordered else ()
        return Request(self.path, (*self.parameters, *position, *count, *order))

    def shrink(self) -> bool:
        """Ask for less next time; ``False`` when there is nothing less to ask for."""
        if not self.counted:
            return False
        if self.size > 1:
            self.size //= 2
        else:
            self.counted = False
        return True

    @property
    def have(self) -> int:
        """How many resources were read, those included that were skipped."""
        return len(self.seen) + self.nameless

    def restart(self) -> None:
        """Begin again: what was taken stays taken, but the list has to be whole in one pass."""
        self.seen.clear()
        self.nameless = self.rows = 0

    def accept(self, resources: list[Any]) -> tuple[int, set[str]]:
        """Take the resources of a page; returns how many distinct ones it holds, and the ids that they have."""
        here: set[str] = set()
        nameless = 0
        for resource in resources:
            try:
                found = identifier(resource if isinstance(resource, Mapping) else {})
            except MalformedError as error:
                nameless += 1
                self._skip(error)
                continue
            self._take(found, resource)
            here.add(found)
        if self.have > MAX_RESOURCES:
            raise OutageError(
                OutageKind.TOO_LARGE, f"/{self.path}: more than {MAX_RESOURCES:,} resources are too many"
            )
        self.rows += len(resources)
        self.nameless += nameless
        return len(here) + nameless, here

    def _take(self, found: str, resource: Mapping[str, Any]) -> None:
        self.seen.add(found)
        try:
            self.take(found, resource)
        except MalformedError as error:
            self._skip(error)

    def _skip(self, error: MalformedError) -> None:
        self.skipped += 1
        if self.skipped <= _MENTIONED:
            self.warnings.append(f"/{self.path}: one resource was skipped: {error}")


@dataclass(frozen=True, slots=True)
class Page:
    """A valid ListResponse."""

    resources: list[Any]
    total: int | None
    start: int | None
    next_cursor: str | None


def read_page(request: Request, response: Response, trust: Trust = ALL) -> Page:
    """The page that ``response`` is. ``OutageError`` if it is none."""
    document = response.document
    if response.status != 200 or not isinstance(document, Mapping):
        raise refuse(request, response)
    schemas = get(document, "schemas")
    names = [schemas] if isinstance(schemas, str) else schemas if isinstance(schemas, list) else []
    named = any(isinstance(name, str) and name.casefold() == LIST_RESPONSE for name in names)
    resources = get(document, "Resources")
    total = _count(get(document, "totalResults"))
    if not named and ("schemas" in trust or (resources is None and total is None)):
        raise refuse(request, response)
    if resources is None:
        resources = []
    if not isinstance(resources, list):
        raise refuse(request, response)
    cursor = get(document, "nextCursor")
    return Page(
        resources,
        total,
        _count(get(document, "startIndex")),
        cursor if isinstance(cursor, str) and cursor else None,
    )


def _count(value: object) -> int | None:
    """A count; some servers write it as ``60.0``."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    number = (text(value) or "").removesuffix(".0") or None
    return (
        int(number) if number is not None and number.isascii() and number.isdigit() and len(number) < 12 else None
    )


def next_page(listing: Listing, request: Request) -> Fetch[Response | None]:
    """One answer; ``None`` when it was larger than may be read, and a smaller one can be asked for."""
    try:
        return (yield request)
    except OutageError as error:
        if error.kind is OutageKind.TOO_LARGE and listing.shrink():
            return None
        raise


def near(listing: Listing, total: int) -> bool:
    """Whether what was read can be the whole list of so many, given that it may change meanwhile."""
    return listing.have + max(2, int(total * CHURN)) >= total


def doubled(listing: Listing, total: int) -> bool:
    """Whether the server reports twice as many as there are, as some do."""
    return abs(total - 2 * listing.have) <= int(total * CHURN)
