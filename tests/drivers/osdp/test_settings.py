"""What the site file may say of a bus and a reader."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from drivers.osdp.settings import OsdpBus, OsdpReader, lines

KEY = "credential:scbk"


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"secure_channel": "off"}, "allow_cleartext = true"),
        ({"secure_channel": "off", "key": KEY}, "allow_cleartext = true"),
        ({"key": KEY, "allow_cleartext": True}, 'goes only with secure_channel = "off"'),
        ({}, "needs key"),
        ({"secure_channel": "install"}, "needs key"),
        ({"key": KEY, "secure_channel": "maybe"}, "'required', 'install' or 'off'"),
        ({"key": KEY, "address": 127}, "less than or equal to 126"),
        ({"key": KEY, "address": -1}, "greater than or equal to 0"),
        ({"key": KEY, "outputs": 9}, "less than or equal to 8"),
        ({"key": KEY, "queued_limit": "0s"}, "greater than or equal to 0.5"),
        ({"key": KEY, "queued_limit": 2.0}, "expected a duration"),
        ({"key": KEY, "adress": 1}, "adress"),
    ],
)
def test_a_reader_s_fault_is_named(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        OsdpReader(**{"address": 0, **keys})
    assert words in str(refusal.value)


@pytest.mark.parametrize("keys", [{"baudrate": 1200}, {"port": ""}, {"check": "none"}])
def test_a_bus_that_cannot_be_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OsdpBus(**{"port": "/dev/ttyS0", **keys})


def test_clear_text_must_be_said_twice() -> None:
    assert OsdpReader(address=0, secure_channel="off", allow_cleartext=True).key is None


def test_the_lines_of_a_reader() -> None:
    reader = OsdpReader(address=0, key=KEY, outputs=2, inputs=3)
    assert lines(reader) == ({"out0", "out1"}, {"in0", "in1", "in2"})
