"""Fixtures of the cache's tests: a file for each database, closed again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cache.directory.lookup import Lookup
from cache.directory.store import Store
from tests.cache.directories import NOW


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where cache.db will be."""
    return tmp_path / "cache.db"


@pytest.fixture
def store(database: Path) -> Iterator[Store]:
    """A new cache, open for writing."""
    with Store(database) as store:
        yield store


@pytest.fixture
def lookup(database: Path) -> Iterator[Lookup]:
    """The same file, open for reading, at the instant ``NOW``."""
    with Lookup(database, lambda: NOW) as lookup:
        yield lookup
