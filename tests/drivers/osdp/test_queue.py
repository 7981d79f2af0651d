"""What waits for one reader: relays first, the newest of a kind, bounded, never late."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.driver import DriverUsageError
from drivers.events import Buzz, Colour, Command, Led, Point, Pulse, SwitchOff, SwitchOn
from drivers.osdp.messages import Cmd, OutputControl
from drivers.osdp.queue import RELAY_PATIENCE, SERVICE_LIMIT, Outbox, Outgoing

OUTPUTS = [Point("r0", "out0"), Point("r0", "out1")]
commands = st.one_of(
    st.builds(Pulse, st.sampled_from(OUTPUTS), st.floats(0.1, 60.0)),
    st.builds(SwitchOn, st.sampled_from(OUTPUTS)),
    st.builds(SwitchOff, st.sampled_from(OUTPUTS)),
    st.builds(Led, st.just("r0"), st.sampled_from(Colour), st.none() | st.floats(0.1, 9.0), blink=st.booleans()),
    st.builds(Buzz, st.just("r0"), st.integers(1, 3), st.floats(0.1, 1.0)),
)


def filled(*orders: Command, at: float = 100.0) -> Outbox:
    outbox = Outbox(2)
    for order in orders:
        outbox.put(order, at)
    return outbox


def emptied(outbox: Outbox) -> list[Outgoing]:
    found = []
    while (outgoing := outbox.take()) is not None:
        found.append(outgoing)
    return found


@given(st.lists(commands, max_size=60))
@settings(max_examples=50, deadline=None)
def test_it_holds_no_more_than_a_reader_has(orders: list[Command]) -> None:
    outbox = filled(*orders)
    taken = emptied(outbox)
    assert outbox.empty
    slots = [outgoing.slot for outgoing in taken]
    assert len(slots) == len(set(slots)) <= 5, "two outputs, two lights, one buzzer"
    relays = [outgoing.relay for outgoing in taken]
    assert relays == sorted(relays, reverse=True), "relays first"
    for point in OUTPUTS:
        last = [
            order for order in orders if isinstance(order, Pulse | SwitchOn | SwitchOff) and order.point == point
        ]
        sent = [outgoing.data[1] for outgoing in taken if outgoing.slot == point.line]
        kinds = {Pulse: OutputControl.PULSE_ON, SwitchOn: OutputControl.ON, SwitchOff: OutputControl.OFF}
        assert sent == [kinds[type(order)] for order in last[-1:]], "and of them the newest"


def test_a_relay_that_waited_too_long_is_dropped_but_a_lock_is_locked_however_late() -> None:
    outbox = filled(Pulse(OUTPUTS[0], 5.0), SwitchOff(OUTPUTS[1]))
    assert outbox.expired(100.0 + RELAY_PATIENCE) == []
    assert [late.slot for late in outbox.expired(100.1 + RELAY_PATIENCE)] == ["out0"]
    assert [outgoing.slot for outgoing in emptied(outbox)] == ["out1"]


def test_what_was_not_confirmed_goes_back_unless_something_newer_came() -> None:
    outbox = filled(Pulse(OUTPUTS[0], 5.0), Buzz("r0"))
    first, buzz = emptied(outbox)
    outbox.put(SwitchOff(OUTPUTS[0]), 101.0)
    outbox.put_back(first)
    outbox.put_back(buzz)
    assert next(outgoing.data[1] for outgoing in emptied(outbox)) == OutputControl.OFF


def test_the_resting_light_comes_again_with_every_session() -> None:
    outbox = filled(Led("r0", Colour.BLUE), Led("r0", Colour.GREEN, 2.0))
    emptied(outbox)
    outbox.restore()
    (again,) = emptied(outbox)
    assert again.slot == "resting led"
    assert again.queued


def test_under_load_lights_and_sounds_are_left_out_and_counted_but_the_resting_light_waits() -> None:
    outbox = filled(Led("r0", Colour.BLUE), Led("r0", Colour.GREEN, 2.0), Buzz("r0"), Pulse(OUTPUTS[0], 5.0))
    assert outbox.take(100.0, busy=True).slot == "out0"  # type: ignore[union-attr]  # it is there
    assert outbox.take(100.0, busy=True) is None
    assert outbox.shed == 2
    assert [outgoing.slot for outgoing in emptied(outbox)] == ["resting led"]


def test_a_pulse_that_goes_back_is_shorter_by_what_has_passed_and_never_longer_than_its_time() -> None:
    outbox = filled(Pulse(OUTPUTS[0], 5.0))
    (pulse,) = emptied(outbox)
    outbox.put_back(pulse)
    assert outbox.take(100.8).data == bytes([0, OutputControl.PULSE_ON, 42, 0])  # type: ignore[union-attr]
    outbox.put_back(pulse)
    assert outbox.take(105.0) is None


def test_on_and_off_never_come_too_late() -> None:
    outbox = filled(SwitchOn(OUTPUTS[0]), SwitchOff(OUTPUTS[1]))
    assert outbox.expired(1e9) == []


def test_what_a_device_refuses_is_not_queued_until_it_is_another() -> None:
    outbox = filled(Led("r0", Colour.BLUE))
    outbox.refuse(Cmd.LED)
    outbox.restore()
    outbox.put(Led("r0", Colour.RED, 1.0), 100.0)
    assert outbox.empty
    outbox.accept_all(())
    outbox.restore()
    assert not outbox.empty


def test_at_the_end_every_output_that_was_switched_on_is_switched_off() -> None:
    outbox = filled(Pulse(OUTPUTS[0], 5.0), SwitchOn(OUTPUTS[1]))
    emptied(outbox)
    outbox.put(SwitchOff(OUTPUTS[1]), 100.0)
    outbox.switch_off(101.0)
    assert sorted((each.slot, each.data[1]) for each in emptied(outbox)) == [("out0", 1), ("out1", 1)]
    outbox.switch_off(102.0)
    assert emptied(outbox) == []


def test_a_technician_s_commands_are_few_and_not_moved_to_another_session() -> None:
    outbox = Outbox(1)
    for _ in range(SERVICE_LIMIT):
        outbox.put_service(Cmd.COMSET, b"")
    with pytest.raises(DriverUsageError, match="wait already"):
        outbox.put_service(Cmd.TEXT, b"")
    assert {outgoing.queued for outgoing in emptied(outbox)} == {False}


def test_an_output_that_is_not_there_is_refused() -> None:
    with pytest.raises(DriverUsageError, match='no output "out2"; the reader has out0, out1'):
        filled(SwitchOn(Point("r0", "out2")))
    with pytest.raises(DriverUsageError, match="the reader has none"):
        Outbox(0).put(SwitchOn(OUTPUTS[0]), 100.0)


def test_nothing_of_a_key_is_shown() -> None:
    assert repr(Outgoing(Cmd.KEYSET, bytes(range(18)), "key")) == "Outgoing(KEYSET, key)"
