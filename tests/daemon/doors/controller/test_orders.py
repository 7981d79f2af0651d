"""An operator's order on record: who, what, until when, why, and what it came to."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cache.model import EventName, Mode
from daemon.doors.controller.orders import OVERRIDE_MODES, DoorAction, OperatorOrder, operator_event

UNTIL = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("order", "refused", "detail"),
    [
        (OperatorOrder("eve", DoorAction.LOCKDOWN, "lobby"), "", {"name": "eve", "action": "lockdown"}),
        (
            OperatorOrder("eve", DoorAction.UNLOCK, "lobby", UNTIL, reason="delivery"),
            "",
            {"name": "eve", "action": "unlock", "until": "2026-03-02T09:00:00+00:00", "because": "delivery"},
        ),
        (
            OperatorOrder("eve", DoorAction.PULSE, "lobby", seconds=2.5),
            "lockdown",
            {"name": "eve", "action": "pulse", "seconds": 2.5, "refused": "lockdown"},
        ),
    ],
)
def test_what_is_written_down(order: OperatorOrder, refused: str, detail: dict[str, object]) -> None:
    event = operator_event(order, refused)
    assert (event.name, event.door, dict(event.detail)) == (EventName.OPERATOR, "lobby", detail)


def test_lockdown_is_no_override() -> None:
    assert Mode.LOCKDOWN not in OVERRIDE_MODES.values()
    assert set(DoorAction) - set(OVERRIDE_MODES) == {DoorAction.LOCKDOWN, DoorAction.RELEASE, DoorAction.PULSE}
