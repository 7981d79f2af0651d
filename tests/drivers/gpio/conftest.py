"""A chip that returns is found quickly here; the second between attempts is for the field."""

from __future__ import annotations

import pytest

from drivers.gpio import link


@pytest.fixture(autouse=True)
def _quick_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "RETRY", 0.01)
