"""The bench on which the parts of a controller are tried."""

from __future__ import annotations

import pytest

from tests.daemon.doors.controller.bench import Bench


@pytest.fixture
def bench() -> Bench:
    """A controller at seven on a Monday morning, every door closed."""
    return Bench()
