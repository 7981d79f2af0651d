"""Bus, board and reader tables: each belongs to its driver, and what fits none is a fault with its key."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.config.devices import read_devices
from drivers.events import Point

BUSES: dict[str, Any] = {
    "io": {"driver": "modbus-rtu", "port": "/dev/a"},
    "readers": {"driver": "osdp", "port": "/dev/b"},
}
BOARDS: dict[str, Any] = {"main": {"bus": "io", "profile": "waveshare-8ch", "unit": 1}}
READERS: dict[str, Any] = {
    "lobby-in": {"bus": "readers", "address": 0, "key": "env:KEY"},
    "yard-in": {"driver": "wiegand", "chip": "/dev/gpiochip0", "d0": 17, "d1": 27},
}


def faults(buses: Any = BUSES, boards: Any = BOARDS, readers: Any = READERS) -> dict[str, str]:
    """What is wrong with these tables, by key."""
    return {fault.key: fault.text for fault in read_devices(buses, boards, readers)[1]}


def test_tables_become_buses_with_their_devices_and_points() -> None:
    devices, wrong = read_devices(BUSES, BOARDS, READERS)
    assert wrong == ()
    assert {bus.name: (bus.type.name, set(bus.devices)) for bus in devices.buses} == {
        "io": ("modbus-rtu", {"main"}),
        "readers": ("osdp", {"lobby-in"}),
        "yard-in": ("wiegand", {"yard-in"}),
    }
    assert devices.readers == {"lobby-in", "yard-in"}
    assert {Point("main", "out1"), Point("lobby-in", "out0")} <= devices.outputs
    assert Point("main", "in8") in devices.inputs


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"buses": {**BUSES, "more": 5}}, "bus.more", "expected a table"),
    ({"boards": {"main": 5}}, "board.main", "expected a table"),
    ({"buses": {**BUSES, "more": {"port": "/dev/c"}}}, "bus.more.driver", "this key is missing"),
    ({"buses": {**BUSES, "more": {"driver": "ospd"}}}, "bus.more.driver", 'did you mean "osdp"'),
    ({"buses": {**BUSES, "more": {"driver": "wiegand"}}}, "bus.more.driver", "has no bus"),
    ({"readers": {"main": READERS["lobby-in"]}}, "reader.main", "names of devices are unique"),
    ({"readers": {"in": {"driver": "osdp"}}}, "reader.in.driver", 'write bus = "NAME"'),
    ({"readers": {"in": {"address": 0}}}, "reader.in.bus", "this key is missing"),
    ({"readers": {"in": {"bus": "reader"}}}, "reader.in.bus", "there is no [bus.reader]; buses here: io, readers"),
    ({"buses": {}, "boards": {}, "readers": {"in": {"bus": "x"}}}, "reader.in.bus", "the file has no bus at all"),
    ({"readers": {"in": {"bus": "io"}}}, "reader.in", 'the driver "modbus-rtu" has no readers'),
    ({"boards": {"main": {"bus": "readers"}}}, "board.main", 'the driver "osdp" has no boards'),
    ({"boards": {"main": {"bus": "io", "profil": "x"}}}, "board.main.profil", 'did you mean "profile"'),
]


@pytest.mark.parametrize(("tables", "key", "words"), WRONG, ids=[f"{key}-{words[:20]}" for _, key, words in WRONG])
def test_each_fault_names_its_key_and_what_was_expected(tables: dict[str, Any], key: str, words: str) -> None:
    found = faults(**tables)
    assert key in found, found
    assert words in found[key]


def test_faults_of_all_tables_come_together() -> None:
    assert faults({"a": 1, "b": {"driver": "x"}}, {"c": 1}, {"d": {}}).keys() == {
        "bus.a",
        "bus.b.driver",
        "board.c",
        "reader.d.bus",
    }
