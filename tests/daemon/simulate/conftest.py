"""A stage for short plays: the site and the people of tests/scenarios."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.simulate.runner import Failure, Player
from daemon.simulate.scenario import parse

SCENARIOS = Path(__file__).parents[2] / "scenarios"

Play = Callable[..., tuple[Player, Failure | None]]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Play the steps that follow ``start`` on a Monday at nine; the player, and what failed."""

    def play(
        steps: str, site: str = "site.toml", start: str = "2026-03-02T09:00:00+01:00"
    ) -> tuple[Player, Failure | None]:
        head = f"config {SCENARIOS / site}\ndirectory {SCENARIOS / 'people.json'}\nstart {start}\n"
        file = tmp_path / "play.scenario"
        databases = tmp_path / "databases"
        databases.mkdir()
        player = Player(file, databases)
        return player, player.play(parse(head + steps, "play"))

    return play
