"""Wiegand readers on a chip: recorded edges in, cards, keys and read errors out; LED and beeper."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import gpiod
import pytest

from drivers.cards.formats import UnknownFormatError, built_in_formats
from drivers.driver import DriverUsageError
from drivers.events import Buzz, CardRead, Colour, KeyPress, Led, Point, ReadError, ReadFault, SwitchOn
from drivers.gpio import wiegand
from drivers.gpio.settings import GpioOutput, WiegandReader
from drivers.gpio.wiegand import DRIVER, WiegandDriver
from drivers.wiegand import health
from tests.drivers.conformance import eventually, running
from tests.drivers.gpio.fake_chip import FALLING, RISING
from tests.drivers.gpio.test_gpio_conformance import ChipRig

YARD, GATE = "yard-in", "gate-in"
LENGTH, VALUE = built_in_formats().parse_card("H10301:118:1603")
BITS = f"{VALUE:0{LENGTH}b}"


class Rig(ChipRig):
    """Two readers on one chip; settings of the first can be chosen."""

    devices = frozenset({YARD, GATE})

    def __init__(self, **settings: object) -> None:
        super().__init__()
        self.chip.levels.update({17: True, 27: True, 5: True, 6: True})
        yard = WiegandReader(chip=self.chip.path, d0=17, d1=27, **settings)  # type: ignore[arg-type]  # a test's choice
        gate = WiegandReader(chip=self.chip.path, d0=5, d1=6)
        self.driver = WiegandDriver({YARD: yard, GATE: gate}, self.context(), self.chip)

    def play(self, body: Callable[[], Awaitable[None]]) -> None:
        async def _body() -> None:
            async with running(self):
                await body()

        asyncio.run(_body())

    def wire(self, line: int) -> bool:
        return self.chip.levels[line]

    def reads(self) -> list[CardRead | ReadError | KeyPress]:
        return [event for event in self.events if isinstance(event, CardRead | ReadError | KeyPress)]


def test_two_readers_at_once_do_not_mix() -> None:
    rig = Rig()

    async def body() -> None:
        rig.chip.pulse_bits(17, 27, BITS)
        rig.chip.pulse_bits(5, 6, BITS[::-1])
        await eventually(lambda: len(rig.reads()) == 2)
        values = {read.reader: (read.length, read.value) for read in rig.reads() if isinstance(read, CardRead)}
        assert values == {YARD: (26, VALUE), GATE: (26, int(BITS[::-1], 2))}

    rig.play(body)


def test_events_that_are_read_out_of_order_are_put_in_order() -> None:
    rig = Rig(formats=("H10301",))

    async def body() -> None:
        rig.chip.pulse_bits(17, 27, BITS)
        rig.chip.requests[0].events.sort(key=lambda event: (event.line_offset, event.timestamp_ns))
        await eventually(rig.reads)
        (read,) = rig.reads()
        assert isinstance(read, CardRead)
        assert (read.length, read.value) == (26, VALUE)

    rig.play(body)


def test_a_merged_edge_is_a_read_error_and_the_next_card_is_read() -> None:
    rig = Rig()

    async def body() -> None:
        rig.chip.pulse_bits(17, 27, BITS)
        del rig.chip.requests[0].events[7]
        await eventually(rig.reads)
        (error,) = rig.reads()
        assert isinstance(error, ReadError)
        assert error.fault is ReadFault.BAD_FRAME
        assert (error.length, error.value) == (25, int(BITS[:7] + BITS[8:], 2))
        rig.chip.pulse_bits(17, 27, BITS)
        await eventually(lambda: len(rig.reads()) == 2)
        assert isinstance(rig.reads()[1], CardRead)

    rig.play(body)


def test_wrong_parity_is_a_read_error_unless_it_is_not_checked() -> None:
    for check, kind in ((True, ReadError), (False, CardRead)):
        rig = Rig(formats=("H10301",), check_parity=check)

        async def body(rig: Rig = rig, kind: type = kind) -> None:
            rig.chip.pulse_bits(17, 27, BITS[:-1] + "1")
            await eventually(rig.reads)
            assert isinstance(rig.reads()[0], kind)

        rig.play(body)


def test_a_loop_that_was_held_up_does_not_cut_a_card_in_two() -> None:
    """The timer is due while the rest of the frame waits in the kernel: it is taken before the verdict."""
    rig = Rig()

    async def body() -> None:
        gap = 2_000_000
        start = time.monotonic_ns() - 25 * gap - 40_000_000
        edges = [
            gpiod.EdgeEvent(FALLING.value, start + index * gap, 27 if bit == "1" else 17, index + 1, 0)
            for index, bit in enumerate(BITS)
        ]
        request, reader = rig.chip.requests[0], cast("Any", rig.driver)._readers[YARD]
        request.push(*edges[:12])
        reader.link.poll()
        request.push(*edges[12:])
        reader._due()
        (read,) = rig.reads()
        assert isinstance(read, CardRead)
        assert (read.length, read.value) == (26, VALUE)

    rig.play(body)


def test_a_keypad_beside_the_reader() -> None:
    rig = Rig(keypad="4-bit")

    async def body() -> None:
        for index, code in enumerate((1, 2, 11)):
            rig.chip.pulse_bits(17, 27, f"{code:04b}")
            await eventually(lambda index=index: len(rig.reads()) == index + 1)
        assert [read.keys for read in rig.reads() if isinstance(read, KeyPress)] == ["1", "2", "#"]

    rig.play(body)


def test_a_level_shifter_that_inverts() -> None:
    rig = Rig(inverted=True)
    rig.chip.levels.update({17: False, 27: False})

    async def body() -> None:
        request = rig.chip.requests[0]
        for bit in "0110111100":
            line = 27 if bit == "1" else 17
            rig.chip.drive(line, True, time.monotonic_ns() + request.seqno * 2_000_000)
            rig.chip.drive(line, False)
        assert all(event.event_type is not RISING for event in request.events)
        await eventually(rig.reads)
        (read,) = rig.reads()
        assert isinstance(read, CardRead)
        assert f"{read.value:0{read.length}b}" == "0110111100"

    rig.play(body)


LEDS = {
    "led": GpioOutput(line=22, active_low=True),
    "led_red": GpioOutput(line=23),
    "beeper": GpioOutput(line=24),
}


def test_colours_are_made_of_the_lines_there_are() -> None:
    rig = Rig(**LEDS)

    async def body() -> None:
        for colour, green, red in (
            (Colour.GREEN, True, False),
            (Colour.RED, False, True),
            (Colour.AMBER, True, True),
            (Colour.BLUE, False, False),
            (Colour.OFF, False, False),
        ):
            rig.driver.send(Led(YARD, colour))
            assert (not rig.wire(22), rig.wire(23)) == (green, red)

    rig.play(body)


def test_a_colour_for_a_time_gives_way_to_the_resting_one() -> None:
    rig = Rig(**LEDS)

    async def body() -> None:
        rig.driver.send(Led(YARD, Colour.RED))
        rig.driver.send(Led(YARD, Colour.GREEN, 0.05))
        assert (not rig.wire(22), rig.wire(23)) == (True, False)
        await eventually(lambda: (not rig.wire(22), rig.wire(23)) == (False, True))

    rig.play(body)


def test_a_blinking_resting_colour_goes_on_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiegand, "BLINK", 0.01)
    rig = Rig(**LEDS)

    async def body() -> None:
        rig.driver.send(Led(YARD, Colour.RED, blink=True))
        rig.driver.send(Led(YARD, Colour.GREEN, 0.02))
        for wanted in (True, False, True, False):
            await eventually(lambda wanted=wanted: rig.wire(23) is wanted)

    rig.play(body)


def test_a_beep_is_counted() -> None:
    rig = Rig(**LEDS)
    beeps: list[bool] = []

    async def body() -> None:
        write = rig.chip.requests[0].set_value
        rig.chip.requests[0].set_value = lambda line, value: (  # type: ignore[method-assign]  # a spy on the wire
            beeps.append(bool(value.value)) if line == 24 else None,
            write(line, value),
        )[1]
        rig.driver.send(Buzz(YARD, count=3, seconds=0.005))
        await eventually(lambda: len(beeps) == 7)
        assert beeps == [True, False] * 3 + [False]

    rig.play(body)


def test_the_resting_colour_returns_after_an_outage() -> None:
    rig = Rig(**LEDS)

    async def body() -> None:
        rig.unplug()
        await eventually(lambda: not rig.online())
        rig.driver.send(Led(YARD, Colour.RED))
        rig.replug()
        await eventually(lambda: rig.online() == rig.devices)
        assert rig.wire(23)

    rig.play(body)


def test_lines_that_are_not_wired_are_passed_over() -> None:
    rig = Rig()

    async def body() -> None:
        rig.driver.send(Led(YARD, Colour.RED))
        rig.driver.send(Buzz(YARD))
        with pytest.raises(DriverUsageError):
            rig.driver.send(SwitchOn(Point(YARD, "out0")))

    rig.play(body)


def test_an_unknown_format_is_refused_when_the_driver_is_made() -> None:
    with pytest.raises(UnknownFormatError, match='did you mean the format "H10301"'):
        Rig(formats=("H1031",))


def test_the_registry_makes_it() -> None:
    settings = WiegandReader(chip="/dev/x", d0=1, d1=2)
    assert DRIVER.lines(settings) == (frozenset(), frozenset())
    assert isinstance(DRIVER.create(None, {YARD: settings}, Rig().context()), WiegandDriver)


def test_only_formats_refuses_what_is_of_another_length() -> None:
    for only, kind in ((True, ReadError), (False, CardRead)):
        rig = Rig(formats=("H10301",), only_formats=only)

        async def body(rig: Rig = rig, kind: type = kind) -> None:
            rig.chip.pulse_bits(17, 27, BITS[:-1])  # one pulse is lost
            await eventually(rig.reads)
            (read,) = rig.reads()
            assert isinstance(read, kind)
            assert kind is CardRead or (isinstance(read, ReadError) and "H10301 has 26" in read.note)

        rig.play(body)


def test_only_formats_needs_formats() -> None:
    with pytest.raises(ValueError, match="only_formats needs formats"):
        WiegandReader(chip="/dev/gpiochip0", d0=1, d1=2, only_formats=True)


def test_a_noisy_line_is_cut_off_and_believed_again_when_it_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "ERRORS_TO_CUT", 5)
    monkeypatch.setattr(health, "QUIET", 0.3)
    rig = Rig()

    def online() -> bool:
        return next(each.online for each in rig.driver.status() if each.device == YARD)

    async def body() -> None:
        for count in range(1, 6):
            rig.chip.pulse_bits(17, 27, "01101")
            await eventually(lambda count=count: len(rig.reads()) == count or not online())
        await eventually(lambda: not online())
        rig.chip.pulse_bits(17, 27, BITS)
        await eventually(online)
        assert len(rig.reads()) == 5, "the card that came while the line was noisy is not believed"
        rig.chip.pulse_bits(17, 27, BITS)
        await eventually(lambda: isinstance(rig.reads()[-1], CardRead))

    rig.play(body)
