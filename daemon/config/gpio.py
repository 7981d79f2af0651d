"""``gpio:/dev/gpiochip0/22`` in a door's table, without a board of its own: the board that it stands for. Pure."""

from __future__ import annotations

from typing import Any

from daemon.config.checks import inputs_of
from daemon.config.tables import SiteTables
from daemon.config.values import GPIO
from drivers.events import Point


def gpio_boards(tables: SiteTables | None) -> dict[str, dict[str, Any]]:
    """A board table for each chip that doors name directly; its lines have their number as their name."""
    boards: dict[str, dict[str, Any]] = {}
    for door in tables.door.values() if tables is not None else ():
        _add(boards, "outputs", door.lock)
        for _, point in inputs_of(door):
            _add(boards, "inputs", point)
    return boards


def _add(boards: dict[str, dict[str, Any]], kind: str, point: Point) -> None:
    if not point.device.startswith(GPIO):
        return
    chip = point.device.removeprefix(GPIO)
    board = boards.setdefault(point.device, {"driver": "gpio", "chip": chip, "outputs": {}, "inputs": {}})
    board[kind][point.line] = {"line": int(point.line)}
