"""A chip that goes or returns is found quickly here; the seconds between two looks are for the field."""

from __future__ import annotations

import pytest

from drivers.gpio import link


@pytest.fixture(autouse=True)
def _quick_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "RETRY", 0.01)
    monkeypatch.setattr(link, "LOOK", 0.01)
