"""A segment with libosdp's readers for a test, ended with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.peers.osdp_bench import Peers


@pytest.fixture
def segment(tmp_path: Path) -> Iterator[Callable[..., Peers]]:
    """Starts the wire: ``segment(baudrate, readers=1)``."""
    started: list[Peers] = []

    def start(baudrate: int, readers: int = 1) -> Peers:
        started.append(Peers(tmp_path, baudrate, readers))
        return started[-1]

    yield start
    for each in started:
        each.close()
