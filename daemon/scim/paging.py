"""Reading a whole list, by index (RFC 7644 §3.4.2.4) or by cursor (RFC 9865), from a server that may err. Pure.

docs/scim.md, rules 1 (sizes) and 2.

A page counts only if it is a ListResponse that answers the question asked and brings something new. After the
reported end one more page is asked for, because totals are capped on some servers. A page size that is refused
is halved, and at last left out. Whatever cannot be made whole is an ``OutageError``: never half a list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from daemon.scim.exchange import Fetch, OutageError, OutageKind, Request, Response, refuse
from daemon.scim.resource import MalformedError, get, identifier, text

LIST_RESPONSE = "urn:ietf:params:scim:api:messages:2.0:listresponse"

_REFUSALS = (400, 404, 413, 414, 422, 500, 501)
"""Statuses by which servers refuse a page size, or a cursor."""

_SMALLEST_PAGE = 5
_EMPTY_PAGES = 20
"""Pages in a row without anything new that a cursor may pass through (RFC 9865 §2.1 allows empty ones)."""

_MAX_PAGES = 100_000
MAX_RESOURCES = 1_000_000
"""More than any directory that a door controller is for; a list without an end would else fill the memory."""

_MENTIONED = 5
"""Skipped resources of one list that are mentioned one by one."""

_CHURN = 0.02
"""The part of a list that may have moved out of sight while it was read by index; evidence sorts it out."""

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
    seen: set[str] = field(default_factory=set)
    rows: int = 0
    nameless: int = 0
    skipped: int = 0
    warnings: list[str] = field(default_factory=list)

    def request(self, *position: tuple[str, str]) -> Request:
        count = (("count", str(self.size)),) if self.counted else ()
        return Request(self.path, (*self.parameters, *position, *count))

    def shrink(self) -> bool:
        """Ask for less next time; ``False`` when there is nothing less to ask for."""
        if not self.counted:
            return False
        if self.size > _SMALLEST_PAGE:
            self.size = max(_SMALLEST_PAGE, self.size // 2)
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

    def accept(self, resources: list[Any]) -> int:
        """Take what is new of a page; returns how many distinct resources it holds."""
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
        return len(here) + nameless

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


def read_page(request: Request, response: Response) -> Page:
    """The page that ``response`` is. ``OutageError`` if it is none."""
    document = response.document
    if response.status != 200 or not isinstance(document, Mapping):
        raise refuse(request, response)
    schemas = get(document, "schemas")
    names = [schemas] if isinstance(schemas, str) else schemas if isinstance(schemas, list) else []
    if not any(isinstance(name, str) and name.casefold() == LIST_RESPONSE for name in names):
        raise refuse(request, response)
    resources = get(document, "Resources")
    if resources is None:
        resources = []
    if not isinstance(resources, list):
        raise refuse(request, response)
    cursor = get(document, "nextCursor")
    return Page(
        resources,
        _count(get(document, "totalResults")),
        _count(get(document, "startIndex")),
        cursor if isinstance(cursor, str) and cursor else None,
    )


def _count(value: object) -> int | None:
    number = text(value)
    return (
        int(number) if number is not None and number.isascii() and number.isdigit() and len(number) < 12 else None
    )


def read_list(listing: Listing, cursor: bool) -> Fetch[None]:
    """Read the whole list; by cursor if the server has them and they hold what they promise, else by index."""
    if cursor:
        whole = yield from _by_cursor(listing)
        if whole:
            return
        listing.restart()
        listing.warnings.append(f"/{listing.path}: the server's cursors do not work, read by index instead")
    yield from _by_index(listing)


# ------------------------------------------------------------------ index


def _by_index(listing: Listing) -> Fetch[None]:
    start, total = 1, 0
    for _ in range(_MAX_PAGES):
        known, nameless = len(listing.seen), listing.nameless
        page = yield from _index_page(listing, start, beyond=listing.have > 0 and start > total)
        if page is None:
            break
        held = listing.accept(page.resources)
        # A page of nothing but malformed resources is one step on, too; its total says where that ends.
        unnamed = listing.nameless - nameless == held and start <= (page.total or 0)
        new = held if unnamed else len(listing.seen) - known
        if page.total is not None:
            total = page.total
        if not held or not new:
            if held and start <= total and start + held <= total:
                raise OutageError(
                    OutageKind.INCOMPLETE,
                    f"/{listing.path}: the page at startIndex={start} brings nothing new though {total} are "
                    "reported: the server does not page",
                )
            break
        start += held
    else:
        raise OutageError(OutageKind.INCOMPLETE, f"/{listing.path}: the list does not end")
    _check_count(listing, total)


def _index_page(listing: Listing, start: int, beyond: bool) -> Fetch[Page | None]:
    """The page at ``start``; ``None`` when a page ``beyond`` the reported end is refused, which is an end too."""
    while True:
        request = listing.request(("startIndex", str(start)))
        response = yield from _page(listing, request)
        if response is None:
            continue
        if response.status in _REFUSALS:
            if beyond:
                return None
            if listing.shrink():
                continue
        page = read_page(request, response)
        if page.total is None:
            raise OutageError(OutageKind.NOT_SCIM, f"{request}: totalResults is missing or no number")
        if (
            page.start is not None
            and page.start != start
            and page.resources
            and not beyond
            and start <= page.total
        ):
            raise OutageError(
                OutageKind.INCOMPLETE,
                f"{request}: the server answered for startIndex={page.start}: it does not page",
            )
        return page


def _page(listing: Listing, request: Request) -> Fetch[Response | None]:
    """One answer; ``None`` when it was larger than may be read, and a smaller one can be asked for."""
    try:
        return (yield request)
    except OutageError as error:
        if error.kind is OutageKind.TOO_LARGE and listing.shrink():
            return None
        raise


def _check_count(listing: Listing, total: int) -> None:
    """Whether what was read can be the whole list, given what the server said there is."""
    have = listing.have
    slack = max(2, int(total * _CHURN))
    if have + slack >= total or listing.rows >= total:
        if have < total:
            listing.warnings.append(
                f"/{listing.path}: {total} reported, {have} read: the list changed while it was read"
            )
        return
    if abs(total - 2 * have) <= int(total * _CHURN):
        listing.warnings.append(
            f"/{listing.path}: the server reports twice as many as there are ({total} for {have})"
        )
        return
    raise OutageError(OutageKind.INCOMPLETE, f"/{listing.path}: the server reports {total} and delivers {have}")


# ------------------------------------------------------------------ cursor


def _by_cursor(listing: Listing) -> Fetch[bool]:
    """Read by cursor. ``False``: the server does not do it after all, or lost its place twice."""
    for _ in range(2):
        listing.restart()
        finished = yield from _follow(listing)
        if finished is not None:
            return finished
    return False


def _follow(listing: Listing) -> Fetch[bool | None]:
    """Follow cursors from the beginning: ``True`` whole, ``False`` no cursors here, ``None`` one expired."""
    cursor, used, empty, total = "", set[str](), 0, None
    for _ in range(_MAX_PAGES):
        request = listing.request(("cursor", cursor))
        response = yield from _page(listing, request)
        if response is None:
            continue
        if response.status in _REFUSALS:
            if cursor:
                return None
            if listing.shrink():
                continue
            return False
        page = read_page(request, response)
        known = listing.have
        listing.accept(page.resources)
        total = page.total if page.total is not None else total
        if page.next_cursor is None:
            return _cursor_end(listing, total)
        empty = 0 if listing.have > known else empty + 1
        if page.next_cursor in used or empty > _EMPTY_PAGES:
            return False
        used.add(page.next_cursor)
        cursor = page.next_cursor
    return False


def _cursor_end(listing: Listing, total: int | None) -> bool:
    """Whether a list that ended without another cursor is whole; a total is optional here (RFC 9865 §2.1)."""
    if total is None:
        return True
    try:
        _check_count(listing, total)
    except OutageError:
        return False
    return True
