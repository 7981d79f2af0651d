"""What a board is, as data: its outputs, inputs, timed pulse, read-back and behaviour when no master talks to it.

A profile is a TOML file; docs/boards.md tells a technician how to write one. Addresses are those of the
wire: they start at 0 (Modbus Application Protocol V1.1b3, section 4.4).
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from drivers.events import InputState
from drivers.modbus.codec import Function
from drivers.settings import STRICT, Duration

Address = Annotated[int, Field(ge=0, le=0xFFFF)]
Word = Annotated[int, Field(ge=0, le=0xFFFF)]


class RegisterArea(StrEnum):
    """The four tables of the Modbus data model (section 4.3)."""

    COIL = "coil"
    DISCRETE_INPUT = "discrete-input"
    HOLDING_REGISTER = "holding-register"
    INPUT_REGISTER = "input-register"

    @property
    def read(self) -> Function:
        """The function that reads this table."""
        return _READS[self]


_READS = {
    RegisterArea.COIL: Function.READ_COILS,
    RegisterArea.DISCRETE_INPUT: Function.READ_DISCRETE_INPUTS,
    RegisterArea.HOLDING_REGISTER: Function.READ_HOLDING_REGISTERS,
    RegisterArea.INPUT_REGISTER: Function.READ_INPUT_REGISTERS,
}


class PulseCommand(StrEnum):
    """How a board is ordered to switch an output on for a time."""

    COIL = "coil"
    """Write single coil, with the time where the value stands."""
    REGISTER = "register"
    """Write single register with ``prefix`` plus the time."""
    REGISTERS = "registers"
    """Write two registers: ``prefix``, then the time."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class PulseForm:
    """The timed pulse of output ``n`` (from 0): at ``address + n * stride``, up to ``maximum`` times ``unit``."""

    command: PulseCommand
    address: Address
    unit: Duration
    maximum: Annotated[int, Field(ge=1, le=0xFFFF)]
    stride: Annotated[int, Field(ge=1, le=256)] = 1
    prefix: Word = 0
    reads_back: bool = True
    """Whether the output reads as on while its pulse runs."""

    def __post_init__(self) -> None:
        """A unit of nothing would divide by nothing; a time must not run into the prefix."""
        if self.unit <= 0:
            raise ValueError("unit: expected a duration above zero")
        if self.command is PulseCommand.REGISTER and self.prefix + self.maximum > 0xFFFF:
            raise ValueError("prefix + maximum: expected at most 0xFFFF, one register")

    def units(self, seconds: float) -> int:
        """``seconds`` in whole units, the nearest number from 1 to ``maximum``."""
        return min(self.maximum, max(1, round(seconds / self.unit)))


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Outputs:
    """Relays ``out1`` to ``out<count>``: coils, or registers that take ``on`` or ``off``, read ``reads_on``."""

    count: Annotated[int, Field(ge=1, le=64)]
    area: RegisterArea = RegisterArea.COIL
    address: Address = 0
    on: Word = 1
    off: Word = 0
    reads_on: Word = 1
    read_back: bool = True
    block_write: bool = False
    """All coils can be switched by one write (function 15)."""
    pulse: PulseForm | None = None

    def __post_init__(self) -> None:
        """Only two tables can be written, and only coils in a block here."""
        if self.area not in (RegisterArea.COIL, RegisterArea.HOLDING_REGISTER):
            raise ValueError('area: outputs are "coil" or "holding-register"')
        if self.block_write and self.area is not RegisterArea.COIL:
            raise ValueError('block_write: only for area = "coil"')
        _fits(self.address, self.count)


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Level:
    """A register value ``below`` this, and not below an earlier level, means ``state``; without it, any value."""

    state: InputState
    below: Annotated[int, Field(ge=1, le=0xFFFF)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Inputs:
    """Inputs ``in1`` to ``in<count>``: bits, bits of registers, or one register each with ``level`` thresholds."""

    count: Annotated[int, Field(ge=1, le=64)]
    area: RegisterArea = RegisterArea.DISCRETE_INPUT
    address: Address = 0
    inverted: bool = False
    """A 0 means on."""
    level: tuple[Level, ...] = ()

    def __post_init__(self) -> None:
        """Thresholds rise, cover every value, and belong to registers."""
        if self.level:
            bounds = [one.below for one in self.level[:-1]]
            rising = [bound for bound in bounds if bound is not None]
            if self.area in (RegisterArea.COIL, RegisterArea.DISCRETE_INPUT) or self.inverted:
                raise ValueError("level: only for registers, and not together with inverted")
            if len(rising) != len(bounds) or rising != sorted(set(rising)) or self.level[-1].below is not None:
                raise ValueError("level: expected rising values of below, and a last level without below")
        _fits(self.address, self.words if self.of_registers else self.count)

    @property
    def of_registers(self) -> bool:
        """Whether the inputs are read as 16-bit words."""
        return self.area in (RegisterArea.HOLDING_REGISTER, RegisterArea.INPUT_REGISTER)

    @property
    def words(self) -> int:
        """How many registers hold the inputs."""
        return self.count if self.level else (self.count + 15) // 16

    def states(self, values: tuple[int, ...]) -> list[InputState]:
        """The inputs' states from what the poll block read."""
        if self.level:
            return [self._by_level(value) for value in values[: self.count]]
        if self.of_registers:
            values = tuple(values[n // 16] >> (n % 16) & 1 for n in range(self.count))
        return [InputState.ON if bool(bit) != self.inverted else InputState.OFF for bit in values[: self.count]]

    def _by_level(self, value: int) -> InputState:
        return next(one.state for one in self.level if one.below is None or value < one.below)


class OnLoss(StrEnum):
    """What a board's outputs do when no master talks to it any more."""

    UNCHANGED = "unchanged"
    """They stay: only a timed pulse ends by itself."""
    OFF = "off"
    """The board's own watchdog switches them off."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class SafeState:
    """What to expect of the board when the daemon dies; ``note`` tells the technician what follows from it."""

    on_loss: OnLoss = OnLoss.UNCHANGED
    after: Duration = 0.0
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Setting:
    """Holding registers that must be ``value``: checked at start, written if ``write`` is set, else alarmed."""

    what: str
    address: Address
    value: Word
    count: Annotated[int, Field(ge=1, le=64)] = 1
    write: bool = False

    def __post_init__(self) -> None:
        """The block ends within the table."""
        _fits(self.address, self.count)


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Profile:
    """One kind of board."""

    name: Annotated[str, Field(min_length=1)]
    description: str = ""
    outputs: Outputs | None = None
    inputs: Inputs | None = None
    safe_state: SafeState = Field(default_factory=SafeState)
    setting: tuple[Setting, ...] = ()

    def __post_init__(self) -> None:
        """A board has something to switch or to read."""
        if self.outputs is None and self.inputs is None:
            raise ValueError("expected [outputs], [inputs] or both")

    def lines(self) -> tuple[frozenset[str], frozenset[str]]:
        """Return the names of the outputs and of the inputs."""
        return _lines(self.outputs.count if self.outputs else 0, self.inputs.count if self.inputs else 0)


@lru_cache
def _lines(outputs: int, inputs: int) -> tuple[frozenset[str], frozenset[str]]:
    """Return both sets of names; every relay command asks, so each kind of board gets them once."""
    return (
        frozenset(f"out{n + 1}" for n in range(outputs)),
        frozenset(f"in{n + 1}" for n in range(inputs)),
    )


def _fits(address: int, count: int) -> None:
    if address + count > 0x10000:
        raise ValueError(f"address {address} + count {count}: expected to end by 65535")
