"""What the site file says of GPIO, and what is refused."""

from __future__ import annotations

import json

import pytest
from pydantic import TypeAdapter, ValidationError

from drivers.gpio.board import DRIVER
from drivers.gpio.settings import GpioChip, GpioInput, GpioOutput, WiegandReader


def chip(**keys: object) -> GpioChip:
    return TypeAdapter(GpioChip).validate_json(json.dumps({"chip": "/dev/gpiochip0"} | keys))


def reader(**keys: object) -> WiegandReader:
    raw = {"chip": "/dev/gpiochip0", "d0": 17, "d1": 27} | keys
    return TypeAdapter(WiegandReader).validate_json(json.dumps(raw))


def test_a_number_is_a_line_with_everything_else_as_usual() -> None:
    settings = chip(outputs={"lock": 22}, inputs={"rex": {"line": 6, "bias": "pull_up", "active_low": True}})
    assert settings.outputs == {"lock": GpioOutput(line=22)}
    assert settings.inputs == {"rex": GpioInput(line=6, bias="pull_up", active_low=True)}


def test_the_reader_of_the_configuration_page() -> None:
    settings = reader(formats=["H10301", "C1k35s"], led=22, beeper={"line": 23, "active_low": True})
    assert settings.formats == ("H10301", "C1k35s")
    assert settings.led == GpioOutput(line=22)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"outputs": {"a": 1, "b": 1}}, "line 1 is used twice"),
        ({"outputs": {"a": 1}, "inputs": {"b": 1}}, "line 1 is used twice"),
        ({"outputs": {"a": 1}, "inputs": {"a": 2}}, "the same name"),
        ({"outputs": {"a": True}}, "dataclass"),
        ({"outputs": {"a.b": 1}}, "match pattern"),
        ({"outputs": {"a": -1}}, "greater than or equal to 0"),
        ({"outputs": {"a": {"line": 1, "pull": "up"}}}, "[Uu]nexpected keyword"),
        ({"inputs": {"a": {"line": 1, "bias": "up"}}}, "'as_is', 'pull_up'"),
    ],
)
def test_a_chip_that_contradicts_itself_is_refused(keys: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        chip(**keys)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"d1": 17}, "line 17 is used twice"),
        ({"led": 27}, "line 27 is used twice"),
        ({"keypad": "26-bit"}, "keypad_facility belongs to"),
        ({"keypad": "4-bit", "keypad_facility": 3}, "keypad_facility belongs to"),
        ({"keypad": "6-bit"}, "'4-bit', '8-bit' or '26-bit'"),
        ({"shortest_card": 0}, "greater than or equal to 1"),
    ],
)
def test_a_reader_that_contradicts_itself_is_refused(keys: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        reader(**keys)


def test_the_shorthand_of_a_doors_table_is_a_board_whose_lines_are_called_by_their_numbers() -> None:
    settings = chip(outputs={"22": 22}, inputs={"5": 5})
    assert DRIVER.lines(settings) == ({"22"}, {"5"})
