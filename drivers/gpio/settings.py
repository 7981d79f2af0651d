"""What the site file says of GPIO lines: chips as boards, Wiegand readers on two lines. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic.dataclasses import dataclass

from drivers.settings import STRICT
from drivers.wiegand.decode import SHORTEST_CARD

Offset = Annotated[int, Field(ge=0, le=1023)]
"""A line's number on its chip, as gpioinfo prints it."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class GpioOutput:
    """An output line. ``active_low``: on is the low level."""

    line: Offset
    active_low: bool = False
    drive: Literal["push_pull", "open_drain", "open_source"] = "push_pull"


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class GpioInput:
    """An input line. ``active_low``: on is the low level; ``bias``: the chip's own resistor, where it has one."""

    line: Offset
    active_low: bool = False
    bias: Literal["as_is", "pull_up", "pull_down", "disabled"] = "as_is"


def _table(value: object) -> object:
    """A bare number is a line with everything else as usual."""
    return {"line": value} if isinstance(value, int) and not isinstance(value, bool) else value


Output = Annotated[GpioOutput, BeforeValidator(_table)]
Input = Annotated[GpioInput, BeforeValidator(_table)]
LineName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class GpioChip:
    """``[board.NAME]`` with ``driver = "gpio"``: lines of one chip under names of one's own.

    ``gpio:/dev/gpiochip0/22`` in a door's table stands for the line called ``22`` of such a board.
    """

    chip: str
    outputs: dict[LineName, Output] = Field(default_factory=dict)
    inputs: dict[LineName, Input] = Field(default_factory=dict)
    record: str | None = None

    @model_validator(mode="after")
    def _each_line_once(self) -> GpioChip:
        used = [output.line for output in self.outputs.values()] + [into.line for into in self.inputs.values()]
        _once(used)
        if len(set(self.outputs) | set(self.inputs)) != len(used):
            raise ValueError("an output and an input have the same name")
        return self


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class WiegandReader:
    """``[reader.NAME]`` with ``driver = "wiegand"``.

    ``formats`` are for display and for the parity check: a frame of a length that they know must satisfy
    one of them (unless ``check_parity`` is false), and with ``only_formats`` every frame must. ``inverted``: the
    lines idle low, as behind an inverting level shifter. ``led`` is the green one, or the only one. The keypad
    keys are explained in docs/drivers.md.
    """

    chip: str
    d0: Offset
    d1: Offset
    formats: tuple[str, ...] = ()
    check_parity: bool = True
    only_formats: bool = False
    shortest_card: Annotated[int, Field(ge=1, le=128)] = SHORTEST_CARD
    inverted: bool = False
    bias: Literal["as_is", "pull_up", "pull_down", "disabled"] = "as_is"
    keypad: Literal["4-bit", "8-bit", "26-bit"] | None = None
    keypad_facility: Annotated[int, Field(ge=0, le=255)] | None = None
    keypad_digits: Annotated[int, Field(ge=0, le=5)] = 0
    led: Output | None = None
    led_red: Output | None = None
    beeper: Output | None = None
    record: str | None = None
    record_cleartext: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> WiegandReader:
        outputs = [line.line for line in (self.led, self.led_red, self.beeper) if line is not None]
        _once([self.d0, self.d1, *outputs])
        if self.only_formats and not (self.formats and self.check_parity):
            raise ValueError("only_formats needs formats, and check_parity that is not false")
        if (self.keypad == "26-bit") != (self.keypad_facility is not None):
            raise ValueError('keypad_facility belongs to keypad = "26-bit": the facility code of its entries')
        return self


def _once(lines: list[int]) -> None:
    twice = sorted({line for line in lines if lines.count(line) > 1})
    if twice:
        raise ValueError(f"line {twice[0]} is used twice; each line has one use")
