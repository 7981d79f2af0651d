"""The one place that speaks libgpiod: lines of a chip, requested for this program alone.

``gpiod`` (version 2.2 or later; 1.x is another API) is imported when a driver is made, not before.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from drivers.driver import PortError
from drivers.gpio.settings import GpioInput, GpioOutput

EVENT_BUFFER = 1024
"""Edges that the kernel keeps for us, its own maximum: eight of the longest frames while the loop is held up."""

READS_AT_ONCE = 16
"""Reads of the event buffer before the loop has its turn again."""


@dataclass(frozen=True, slots=True)
class LineChange:
    """An edge: the line, its logical level after it, and the kernel's time (CLOCK_MONOTONIC) and number of it."""

    line: int
    on: bool
    timestamp_ns: int
    seqno: int


@dataclass(frozen=True, slots=True)
class LinePlan:
    """Lines to request together, and which edges of the inputs to report."""

    chip: str
    inputs: tuple[GpioInput, ...] = ()
    outputs: tuple[GpioOutput, ...] = ()
    edges: Literal["both", "falling"] = "both"
    consumer: str = "latchd"

    @property
    def offsets(self) -> tuple[int, ...]:
        """All lines by their numbers."""
        return (*(line.line for line in self.inputs), *(line.line for line in self.outputs))


class Lines:
    """Requested lines; outputs begin off. ``backend`` stands in for the ``gpiod`` module in tests."""

    def __init__(self, plan: LinePlan, backend: Any = None) -> None:
        """Request the lines; raises ``PortError``, which names who holds a line that is taken."""
        gpiod = _gpiod()
        self._active, self._inactive = gpiod.line.Value.ACTIVE, gpiod.line.Value.INACTIVE
        self._rising = gpiod.EdgeEvent.Type.RISING_EDGE
        self._inputs = [line.line for line in plan.inputs]
        self._outputs = [line.line for line in plan.outputs]
        backend = backend or gpiod
        try:
            self._request = backend.request_lines(
                plan.chip,
                config=_configuration(plan, gpiod),
                consumer=plan.consumer,
                event_buffer_size=EVENT_BUFFER if plan.inputs else None,
            )
        except (OSError, ValueError) as error:
            raise PortError(_why(plan, error, backend)) from error

    @property
    def fd(self) -> int:
        """Readable when there are changes, or when the chip is gone."""
        fd: int = self._request.fd
        return fd

    def changes(self) -> list[LineChange]:
        """Return what the kernel has queued, in order. Raise ``OSError`` when the chip is gone."""
        found: list[LineChange] = []
        for _ in range(READS_AT_ONCE):
            if not self._request.wait_edge_events(0):
                break
            found += [
                LineChange(
                    event.line_offset, event.event_type is self._rising, event.timestamp_ns, event.global_seqno
                )
                for event in self._request.read_edge_events()
            ]
        return found

    def levels(self) -> dict[int, bool]:
        """Whether each input is on now; raises ``OSError`` when the chip is gone."""
        if not self._inputs:
            return {}
        values: Sequence[object] = self._request.get_values(self._inputs)
        return {line: value is self._active for line, value in zip(self._inputs, values, strict=True)}

    def switch(self, line: int, on: bool) -> None:
        """Switch an output; raises ``OSError`` when the chip is gone."""
        self._request.set_value(line, self._active if on else self._inactive)

    def release(self) -> None:
        """Every output off, then give the lines back; a chip that is gone is let go in silence."""
        with contextlib.suppress(OSError):
            for line in self._outputs:
                self.switch(line, False)
        with contextlib.suppress(OSError):
            self._request.release()


def preload() -> None:
    """Import ``gpiod`` now, 40 ms, and not while doors are served; ``Lines`` reports what is missing."""
    with contextlib.suppress(ImportError):
        importlib.import_module("gpiod")


def _gpiod() -> Any:
    try:
        module = importlib.import_module("gpiod")
    except ImportError as error:
        raise PortError(
            "GPIO needs the Python package gpiod, version 2.2 or later, which is not installed"
        ) from error
    if not hasattr(module, "request_lines"):
        raise PortError("GPIO needs the Python package gpiod in version 2.2 or later; version 1 is installed")
    return module


def _configuration(plan: LinePlan, gpiod: Any) -> Mapping[int, Any]:
    line = gpiod.line
    config = {
        wanted.line: gpiod.LineSettings(
            direction=line.Direction.OUTPUT,
            drive=line.Drive[wanted.drive.upper()],
            active_low=wanted.active_low,
            output_value=line.Value.INACTIVE,
        )
        for wanted in plan.outputs
    }
    for into in plan.inputs:
        config[into.line] = gpiod.LineSettings(
            direction=line.Direction.INPUT,
            edge_detection=line.Edge[plan.edges.upper()],
            bias=line.Bias[into.bias.upper()],
            active_low=into.active_low,
            event_clock=line.Clock.MONOTONIC,
        )
    return config


def _why(plan: LinePlan, error: OSError | ValueError, backend: Any) -> str:
    """A failed request in words that say what to do."""
    code = getattr(error, "errno", None)
    if code == errno.ENOENT:
        return f"there is no GPIO chip {plan.chip}; gpiodetect lists those that exist"
    if code in (errno.EACCES, errno.EPERM):
        return f"this user may not use {plan.chip}; the user needs its group and the unit DeviceAllow={plan.chip}"
    if code == errno.EBUSY:
        return f"{plan.chip}: {_holders(plan, backend)}; each line has one owner"
    lines = ", ".join(map(str, plan.offsets))
    return f"{plan.chip}: cannot request lines {lines}: {error}"


def _holders(plan: LinePlan, backend: Any) -> str:
    held = []
    with contextlib.suppress(OSError), backend.Chip(plan.chip) as chip:
        for offset in plan.offsets:
            info = chip.get_line_info(offset)
            if info.used:
                held.append(f'line {info.offset} is held by "{info.consumer}"')
    return ", ".join(held) or "a line is held by another program"
