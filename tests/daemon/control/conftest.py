"""A doors process that answers, with a directory in its cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.doors import clock
from tests.daemon.control.served import DIRECTORY, Ask, Served, fill_cache, serving, write_site


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site file whose cache holds ``DIRECTORY``, synced now; no daemon runs."""
    path = write_site(tmp_path)
    fill_cache(path, DIRECTORY, clock.now().utc)
    return path


@pytest.fixture
def served(site: Path) -> Iterator[Served]:
    """The same, with a doors process."""
    with serving(site) as served:
        yield served


@pytest.fixture
def ask(served: Served) -> Ask:
    """Ask over the control socket: a command, and its arguments by name; the items of the answer."""
    return served.ask
