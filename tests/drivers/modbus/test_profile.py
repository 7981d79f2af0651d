"""Profiles: what comes with latchd, what is refused, and what docs/boards.md says of them."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from drivers.events import InputState
from drivers.modbus.driver import RTU, TCP, ModbusBoard, ModbusBus, ModbusTcpBus
from drivers.modbus.profile import (
    Inputs,
    Level,
    OnLoss,
    Outputs,
    Profile,
    PulseForm,
    RegisterArea,
    SafeState,
    Setting,
)
from drivers.modbus.store import built_in, load_profile, sized

DOC = (Path(__file__).resolve().parents[3] / "docs" / "boards.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", built_in())
def test_every_built_in_profile_loads_under_its_own_name_and_is_documented(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert f"| `{name}`" in DOC
    if profile.outputs is not None:
        assert profile.safe_state.note
        assert ("Not for strikes" in profile.safe_state.note) == (profile.outputs.pulse is None)


def test_every_key_is_documented() -> None:
    for kind in (
        Profile,
        Outputs,
        PulseForm,
        Inputs,
        Level,
        SafeState,
        Setting,
        ModbusBus,
        ModbusTcpBus,
        ModbusBoard,
    ):
        for field in dataclasses.fields(kind):
            assert re.search(rf"\b{field.name}\b", DOC), f"{kind.__name__}.{field.name}"


def test_the_profile_in_the_document_is_good(tmp_path: Path) -> None:
    example = DOC.split("```toml")[2].split("```")[0]
    path = tmp_path / "my-board.toml"
    path.write_text(example)
    profile = load_profile(str(path))
    assert profile.lines() == (
        frozenset({"out1", "out2", "out3", "out4"}),
        frozenset({"in1", "in2", "in3", "in4"}),
    )
    assert profile.safe_state.on_loss is OnLoss.UNCHANGED
    assert tomllib.loads(example)["name"] == "my-board"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = 'x'", "expected [outputs], [inputs] or both"),
        ("name = 'x'\n[inputs]\ncount = 0", "inputs.count"),
        ("name = 'x'\n[inputs]\ncount = 8\nadress = 1", "adress"),
        ("name = 'x'\n[outputs]\ncount = 8\narea = 'discrete-input'", "outputs are"),
        ("name = 'x'\n[outputs]\ncount = 8\naddress = 65530", "65535"),
        ("name = 'x'\n[outputs]\ncount = 8\narea = 'holding-register'\nblock_write = true", "block_write"),
        (
            "name='x'\n[outputs]\ncount=1\n[outputs.pulse]\ncommand='coil'\naddress=0\nunit='0s'\nmaximum=1",
            "above zero",
        ),
        (
            "name='x'\n[outputs]\ncount=1\n[outputs.pulse]\n"
            "command='register'\naddress=0\nunit='1s'\nmaximum=256\nprefix=65300",
            "prefix",
        ),
        ("name='x'\n[inputs]\ncount=1\nlevel=[{state='on'}]", "only for registers"),
        (
            "name='x'\n[inputs]\ncount=1\narea='input-register'\n"
            "level=[{state='on',below=9},{state='off',below=3},{state='open'}]",
            "rising",
        ),
        ("name = ,", "line 1"),
    ],
)
def test_what_is_wrong_is_refused_in_words(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(words)) as refused:
        load_profile(str(path))
    assert str(path) in str(refused.value)


def test_what_is_not_there_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="waveshare-8ch"):
        load_profile("waveshare-9ch")
    with pytest.raises(ValueError, match="No such file"):
        load_profile(str(tmp_path / "none.toml"))
    with pytest.raises(ValidationError, match="no profile"):
        ModbusBoard(profile="../profiles/generic-coil")


def test_numbers_of_a_board_replace_the_profiles() -> None:
    board = ModbusBoard(profile="generic-coil", unit=3, outputs=2, inputs=16)
    assert [len(lines) for lines in RTU.lines(board)] == [2, 16]
    assert [len(lines) for lines in TCP.lines(ModbusBoard(profile="input-16"))] == [0, 16]
    with pytest.raises(ValueError, match="has none"):
        sized(load_profile("input-16"), 4, None)


@pytest.mark.parametrize(
    "keys",
    [
        {"port": "/dev/x", "poll": "1ms"},
        {"port": "/dev/x", "reply_timeout": "1ms"},
        {"port": "/dev/x", "slowest_reply": "100ms"},
        {"port": "/dev/x", "parity": "M"},
        {"port": "/dev/x", "bauds": 9600},
    ],
)
def test_settings_that_make_no_sense_are_refused(keys: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(ModbusBus).validate_python(ModbusBus(**keys))  # type: ignore[arg-type]  # that is the test


def test_a_tcp_board_is_given_by_its_address() -> None:
    assert ModbusTcpBus(host="192.0.2.10").port == 502
    with pytest.raises(ValidationError, match="IP address"):
        ModbusTcpBus(host="board.example.com")


@given(st.floats(0.001, 10_000), st.sampled_from([0.01, 0.1, 1.0]), st.integers(1, 0x7FFF))
def test_a_pulse_is_the_nearest_number_of_units(seconds: float, unit: float, maximum: int) -> None:
    form = TypeAdapter(PulseForm).validate_json(
        f'{{"command": "coil", "address": 0, "unit": "{int(unit * 1000)}ms", "maximum": {maximum}}}'
    )
    units = form.units(seconds)
    assert 1 <= units <= maximum
    if 1 < units < maximum:
        assert abs(units * unit - seconds) <= unit / 2 + 1e-9


@given(st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=4), st.integers(1, 64), st.booleans())
def test_bits_of_registers(words: list[int], count: int, inverted: bool) -> None:
    count = min(count, 16 * len(words))
    inputs = Inputs(count=count, area=RegisterArea.INPUT_REGISTER, inverted=inverted)
    number = sum(word << 16 * n for n, word in enumerate(words))
    expected = [bool(number >> n & 1) != inverted for n in range(count)]
    assert [state is InputState.ON for state in inputs.states(tuple(words))] == expected


@given(st.integers(0, 0xFFFF))
def test_levels_cover_every_value(value: int) -> None:
    bounds = {InputState.SHORT: 100, InputState.OFF: 500, InputState.ON: 900, InputState.OPEN: None}
    levels = tuple(Level(state=state, below=below) for state, below in bounds.items())
    (state,) = Inputs(count=1, area=RegisterArea.HOLDING_REGISTER, level=levels).states((value,))
    order = list(bounds)
    assert order.index(state) == sum(value >= bound for bound in bounds.values() if bound is not None)
