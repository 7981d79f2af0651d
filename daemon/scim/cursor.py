"""Reading a whole list by cursor (RFC 9865), from a server that may err. Pure."""

from __future__ import annotations

from daemon.scim.exchange import Fetch
from daemon.scim.listing import MAX_PAGES, REFUSALS, Listing, doubled, near, next_page, read_page

_EMPTY_PAGES = 20
"""Pages in a row without anything new that a cursor may pass through (RFC 9865 §2.1 allows empty ones)."""


def by_cursor(listing: Listing) -> Fetch[bool]:
    """Read by cursor. ``False``: the server does not do it after all, or lost its place twice."""
    for _ in range(2):
        listing.restart()
        finished = yield from follow(listing)
        if finished is not None:
            return finished
    return False


def follow(listing: Listing, cursor: str = "", total: int | None = None) -> Fetch[bool | None]:
    """Follow cursors, from the beginning or from one that was given without being asked for.

    ``True`` whole, ``False`` no cursors here, ``None`` one expired.
    """
    used, empty = set[str](), 0
    for _ in range(MAX_PAGES):
        request = listing.request(("cursor", cursor))
        response = yield from next_page(listing, request)
        if response is None:
            continue
        if response.status in REFUSALS:
            if cursor:
                return None
            if listing.shrink():
                continue
            return False
        page = read_page(request, response, listing.trust)
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
    if total is None or "total" not in listing.trust or listing.have >= total:
        return True
    if doubled(listing, total):
        listing.warnings.append(
            f"/{listing.path}: the server reports twice as many as there are ({total} for {listing.have})"
        )
        return True
    if near(listing, total):
        listing.warnings.append(
            f"/{listing.path}: {total} reported, {listing.have} read: the list changed while it was read"
        )
        return True
    return False
