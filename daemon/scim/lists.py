"""Lists of users and groups into a snapshot: page sizes that servers accept, and progress. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from daemon.scim.exchange import Fetch, OutageKind
from daemon.scim.listing import Listing, Take
from daemon.scim.paging import read_list
from daemon.scim.settings import ScimSettings
from daemon.scim.snapshot import Snapshot

CLOSED = (OutageKind.NOT_SCIM, OutageKind.INCOMPLETE, OutageKind.SERVER_ERROR, OutageKind.FORBIDDEN)
"""How a source may turn out to be closed without the server being out."""

Progress = Callable[[str, int], None]
"""Called with what is being read and how many of it are there so far."""


def silent(what: str, count: int) -> None:
    """Report nothing."""
    del what, count


@dataclass(frozen=True, slots=True)
class Lists:
    """Reads lists into a snapshot, which remembers what the server wants to be asked."""

    settings: ScimSettings
    snapshot: Snapshot
    progress: Progress

    def read(
        self,
        path: str,
        take: Take,
        size: int,
        parameters: tuple[tuple[str, str], ...] = (),
        form: str = "",
    ) -> Fetch[None]:
        """Read one list; ``form`` is what is remembered beside its path when it has parameters."""
        count = 0

        def taken(id_: str, resource: Mapping[str, object]) -> None:
            nonlocal count
            take(id_, resource)
            count += 1
            if count % 100 == 0:
                self.progress(path, count)

        key = f"{path} {form}".strip()
        listing = listing_of(self.snapshot, path, taken, size, parameters, key)
        yield from read_list(listing, self.snapshot.paging)
        remember_size(self.snapshot, listing, size, key)
        self.progress(path, count)
        self.snapshot.warnings.extend(listing.warnings)
        if listing.cursors and self.settings.paging == "auto":
            self.snapshot.paging = "cursor"
        if listing.one_page:
            self.snapshot.one_page.add(path)


def listing_of(
    snapshot: Snapshot,
    path: str,
    take: Take,
    size: int,
    parameters: tuple[tuple[str, str], ...] = (),
    key: str | None = None,
) -> Listing:
    """Return a list to read with the page size that the server is known to accept."""
    known = snapshot.memory.sizes.get(key or path, size)
    trust = snapshot.trust
    return Listing(path, take, min(known or size, size), parameters, counted=known > 0, trust=trust)


def remember_size(snapshot: Snapshot, listing: Listing, wanted: int, key: str) -> None:
    """Remember a page size that had to be smaller than was ``wanted``."""
    if not listing.counted or listing.size < wanted:
        snapshot.sizes[key] = listing.size if listing.counted else 0


def some(ids: list[str], count: int) -> list[str]:
    """Return at most so many, evenly spread."""
    step = max(1, -(-len(ids) // count))
    return ids[::step]
