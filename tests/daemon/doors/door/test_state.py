"""The ranges of a door's times."""

from __future__ import annotations

import pytest

from daemon.doors.door.state import (
    DoorConfig,
)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("strike_time", 0.9),
        ("strike_time", 60.1),
        ("extended_time", -1.0),
        ("extended_time", 61.0),
        ("held_open_time", 9.9),
        ("held_open_warning", 59.5),
        ("held_open_warning", -1.0),
        ("rex_time", 0.5),
        ("rex_time", 61.0),
    ],
)
def test_configuration_out_of_range_names_the_key(key: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"door lobby: {key.replace('_', '.')}"):
        DoorConfig(name="lobby", **{key: value})  # type: ignore[arg-type]


def test_the_ends_of_the_ranges_are_allowed() -> None:
    assert DoorConfig(name="a", strike_time=1.0, extended_time=0.0, held_open_time=10.0, held_open_warning=9.0)
    assert DoorConfig(name="a", strike_time=60.0, extended_time=60.0, rex_time=60.0).longest_release == 120.0
