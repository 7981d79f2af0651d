"""Reading a whole list, by index (RFC 7644 §3.4.2.4) or by cursor, from a server that may err. Pure.

docs/scim.md, rules 1 (sizes) and 2.

After the reported end one more page is asked for, because totals are capped on some servers. A list in which
rows are missing is read again, in the order of ids, and all readings count together; it is whole when nothing is
missing, or when two readings differ, so that it changes meanwhile, and nearly nothing is. A page size that is
refused is halved, and at last left out. Whatever cannot be made whole is an ``OutageError``: never half a list.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from daemon.scim.cursor import by_cursor, follow
from daemon.scim.exchange import Fetch, OutageError, OutageKind
from daemon.scim.listing import MAX_PAGES, REFUSALS, Listing, Page, doubled, near, next_page, read_page
from daemon.scim.resource import MalformedError, identifier

MAX_PASSES = 6
"""How often a list is read in which rows are missing, as long as each time brings some."""

_BARREN = 3
"""Pages in a row without anything new, before the reported end, that end a reading."""


def read_list(listing: Listing, paging: str = "index") -> Fetch[None]:
    """Read the whole list; by cursor if the server has them and they hold what they promise, else by index."""
    if paging == "cursor":
        size, counted = listing.size, listing.counted
        whole = yield from by_cursor(listing)
        if whole:
            return
        listing.restart()
        listing.size, listing.counted = size, counted
        listing.warnings.append(f"/{listing.path}: the server's cursors do not work, read by index instead")
    yield from _by_index(listing)


@dataclass(slots=True)
class _Pass:
    """One reading from the first row to the last."""

    seen: set[str] = field(default_factory=set)
    total: int = 0
    first: str = ""
    """The id of the first row, and how many rows the first page had."""
    first_rows: int = 0
    round: bool = False
    """Whether a page past the end brought rows again: the index is ignored, or wraps round."""
    stuck: bool = False
    cursor: str = ""
    """A cursor that came without being asked for."""


def _by_index(listing: Listing) -> Fetch[None]:
    before: set[str] = set()
    reading = _Pass()
    for turn in range(MAX_PASSES):
        known, listing.nameless, listing.ordered = len(listing.seen), 0, turn > 0
        reading = yield from _read(listing, _Pass(set() if turn else listing.seen))
        if reading.cursor:
            yield from _by_unasked_cursor(listing, reading)
            return
        if "total" not in listing.trust or listing.have >= reading.total:
            yield from _round(listing, reading)
            if turn:
                listing.warnings.append(f"/{listing.path}: the list changed while it was read, and was read again")
            return
        if turn and len(listing.seen) == known:
            break
        before = before or set(reading.seen)
    listing.ordered = False
    yield from _from_zero(listing, reading)
    _judge(listing, reading, changed=before != reading.seen)


def _read(listing: Listing, reading: _Pass) -> Fetch[_Pass]:
    """Read from the first row on until a page brings nothing, or nothing new past the reported end."""
    start, barren = 1, 0
    for _ in range(MAX_PAGES):
        beyond = bool(reading.seen or listing.nameless) and start > reading.total
        page = yield from _index_page(listing, start, beyond)
        if page is None:
            return reading
        nameless, known = listing.nameless, len(reading.seen)
        held, here = listing.accept(page.resources)
        reading.seen |= here
        if page.total is not None:
            reading.total = page.total
        if start == 1:
            reading.first, reading.first_rows = _first(page), len(page.resources)
            if page.next_cursor is not None:
                reading.cursor = page.next_cursor
                return reading
        if not held:
            return reading
        # A page of nothing but malformed resources is one step on, too; its total says where that ends.
        unnamed = listing.nameless - nameless == held and start <= (page.total or 0)
        barren = 0 if unnamed or len(reading.seen) > known else barren + 1
        if barren and start > reading.total:
            reading.round = True
            return reading
        if barren == _BARREN:
            reading.stuck = True
            return reading
        start += held
    raise OutageError(OutageKind.INCOMPLETE, f"/{listing.path}: the list does not end")


def _first(page: Page) -> str:
    try:
        return identifier(page.resources[0])
    except (IndexError, MalformedError, AttributeError):
        return ""


def _index_page(listing: Listing, start: int, beyond: bool) -> Fetch[Page | None]:
    """The page at ``start``; ``None`` when a page ``beyond`` the reported end is refused, which is an end too."""
    while True:
        request = listing.request(("startIndex", str(start)))
        response = yield from next_page(listing, request)
        if response is None:
            continue
        if response.status in REFUSALS:
            if beyond:
                return None
            if listing.ordered:
                listing.ordered = False
                continue
            if listing.shrink():
                continue
        page = read_page(request, response, listing.trust)
        if page.total is None and page.next_cursor is None and "total" in listing.trust:
            raise OutageError(OutageKind.NOT_SCIM, f"{request}: totalResults is missing or no number")
        if page.start is None or not page.resources or beyond or start > (page.total or 0):
            return page
        if start == 1 and page.start == 0:
            listing.base = 0  # this server counts from 0 when it says where it is
        if "echo" in listing.trust and page.start != start - 1 + listing.base:
            raise OutageError(
                OutageKind.INCOMPLETE,
                f"{request}: the server answered for startIndex={page.start}: it does not page",
            )
        return page


def _by_unasked_cursor(listing: Listing, reading: _Pass) -> Fetch[None]:
    """Follow the cursor that the first page brought although an index was asked for."""
    listing.cursors = True
    whole = yield from follow(listing, reading.cursor, reading.total or None)
    if not whole:
        raise OutageError(
            OutageKind.INCOMPLETE, f"/{listing.path}: the server pages by cursor, and its cursors do not work"
        )


def _round(listing: Listing, reading: _Pass) -> Fetch[None]:
    """Tell a list that wraps round past its end from one whose index is ignored: that one may have more rows."""
    if not reading.round or listing.have < 2:
        return
    request = listing.request(("startIndex", "2"))
    response = yield from next_page(listing, request)
    if response is None or response.status in REFUSALS:
        return
    page = read_page(request, response, listing.trust)
    if not page.resources or _first(page) != reading.first:
        return
    if listing.counted and reading.first_rows >= listing.size:
        raise OutageError(
            OutageKind.INCOMPLETE,
            f"/{listing.path}: the server does not page and gives a full page of {reading.first_rows}: there may "
            "be more; set scim.page_size above the number of all of them",
        )
    listing.one_page = True


def _from_zero(listing: Listing, reading: _Pass) -> Fetch[None]:
    """Ask for the row before the first one: some servers count from 0."""
    request = listing.request(("startIndex", "0"))
    response = yield from next_page(listing, request)
    if response is None or response.status != 200:
        return
    known = len(listing.seen)
    _, here = listing.accept(read_page(request, response, listing.trust).resources)
    reading.seen |= here
    if len(listing.seen) > known:
        listing.warnings.append(f"/{listing.path}: the server counts rows from 0, against RFC 7644 §3.4.2.4")


def _judge(listing: Listing, reading: _Pass, changed: bool) -> None:
    """Whether what was read can be the whole list, given what the server says there is and that it may change."""
    have, total = listing.have, reading.total
    if have >= total:
        return
    if doubled(listing, total):
        listing.warnings.append(
            f"/{listing.path}: the server reports twice as many as there are ({total} for {have})"
        )
        return
    if changed and near(listing, total):
        listing.warnings.append(
            f"/{listing.path}: {total} reported, {have} read: the list changed while it was read"
        )
        return
    if reading.stuck:
        text = f"pages bring nothing new though {total} are reported: the server does not page"
    else:
        text = f"the server reports {total} and delivers {have}; if it counts what it hides, see scim.trust"
    raise OutageError(OutageKind.INCOMPLETE, f"/{listing.path}: {text}")
