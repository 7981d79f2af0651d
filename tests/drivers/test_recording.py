"""The text of recordings: commands, settings and lines come back as they were; what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.events import (
    Buzz,
    CardRead,
    Colour,
    Command,
    DeviceAlarm,
    DeviceEvent,
    DeviceOffline,
    DeviceOnline,
    InputChanged,
    InputState,
    KeyPress,
    Led,
    Point,
    Pulse,
    ReadError,
    ReadFault,
    SwitchOff,
    SwitchOn,
    TamperChanged,
)
from drivers.gpio.settings import GpioChip, GpioInput, GpioOutput, WiegandReader
from drivers.modbus.driver import ModbusBus, ModbusTcpBus
from drivers.osdp.settings import OsdpBus, OsdpReader
from drivers.recording import (
    MAGIC,
    Kind,
    Line,
    RecordingError,
    command_words,
    comparable,
    event_words,
    header,
    parse,
    read_command,
    restore,
)

names = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True)
points = st.builds(Point, names, names)
seconds = st.floats(0.001, 1e6)
commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(Pulse, points, seconds),
    st.builds(SwitchOn, points),
    st.builds(SwitchOff, points),
    st.builds(Led, names, st.sampled_from(Colour), st.none() | seconds, st.booleans()),
    st.builds(Buzz, names, st.integers(1, 99), seconds),
)


@given(commands)
@settings(max_examples=100, deadline=None)
def test_a_command_comes_back(command: Command) -> None:
    assert read_command(Line(0.0, Kind.COMMAND, command_words(command))) == command


@pytest.mark.parametrize("words", ["", "pulse main.out1", "pulse out1 5", "hold", "led r mauve steady", "fly"])
def test_what_is_no_command_is_refused(words: str) -> None:
    with pytest.raises(RecordingError, match="line 7"):
        read_command(Line(0.0, Kind.COMMAND, words, 7))


@pytest.mark.parametrize(
    "table",
    [
        OsdpBus(port="/dev/x", baudrate=115200, record="a.rec"),
        OsdpReader(address=3, secure_channel="off", allow_cleartext=True, queued_limit="1500ms"),  # type: ignore[arg-type]  # as the site file has it
        ModbusBus(port="/dev/x", parity="E", poll="25ms"),  # type: ignore[arg-type]  # as the site file has it
        ModbusTcpBus(host="127.0.0.1"),
        WiegandReader(chip="/dev/gpiochip0", d0=1, d1=2, formats=("H10301", "ind26"), led=GpioOutput(line=3)),
        GpioChip(chip="c", outputs={"a": GpioOutput(line=1)}, inputs={"b": GpioInput(line=2, active_low=True)}),
    ],
)
def test_settings_come_back(table: object) -> None:
    text = header("x", table, {"dev": table})
    recording = parse([text])
    assert restore(type(table), recording.bus) == table
    assert restore(type(table), recording.devices["dev"]) == table


def test_settings_of_another_latchd_are_refused_in_words() -> None:
    with pytest.raises(RecordingError, match="wings"):
        restore(OsdpBus, '{"port": "/dev/x", "wings": 2}')


@given(st.lists(st.tuples(st.floats(0, 1e6), st.binary(min_size=1, max_size=20))))
@settings(max_examples=50, deadline=None)
def test_lines_come_back(rows: list[tuple[float, bytes]]) -> None:
    lines = [Line(0.0, Kind.OPEN), *(Line(at, Kind.SENT, data.hex()) for at, data in rows)]
    text = header("osdp", None, {}) + "".join(line.text() + "\n" for line in lines)
    again = parse([text]).lines
    assert [(line.kind, line.words) for line in again] == [(line.kind, line.words) for line in lines]
    assert all(abs(a.at - b.at) < 1e-5 for a, b in zip(again, lines, strict=True))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "line 1"),
        ("SQLite format 3", "line 1"),
        (f"{MAGIC}\n1.000000 open", "does not name its driver"),
        (f"{MAGIC}\ndriver x\n1.000000 jump", "line 3"),
        (f"{MAGIC}\ndriver x\nsoon open", "line 3"),
        (f"{MAGIC}\ndriver x\n1.000000 tx 5", "line 3"),
        (f"{MAGIC}\ndriver x\n1.000000 rx", "line 3"),
    ],
)
def test_what_is_no_recording_is_refused(text: str, why: str) -> None:
    with pytest.raises(RecordingError, match=why):
        parse([text])


def test_files_follow_each_other_and_begin_with_an_open() -> None:
    head = header("osdp", None, {})
    first = f"{head}1.000000 tx 00\n2.000000 open\n3.000000 tx 01\n"
    recording = parse([first, f"{head}4.000000 rx 02\n"])
    assert [line.text() for line in recording.lines] == [
        "2.000000 open",
        "3.000000 tx 01",
        "4.000000 rx 02",
    ]


SECRETS: list[tuple[DeviceEvent, str]] = [
    (CardRead("r", 4, 0b1010, 1.0), "card r 4 bits"),
    (ReadError("r", ReadFault.QUEUED, 1.0, 4, 0b1010), "read-error r queued 4 bits"),
    (ReadError("r", ReadFault.BAD_FRAME, 1.0), "read-error r bad_frame 0 bits"),
    (KeyPress("r", "1010", 1.0), "keys r 4 keys"),
]


@pytest.mark.parametrize(("event", "words"), SECRETS)
def test_card_numbers_and_keys_are_told_only_when_they_are_to_be(event: DeviceEvent, words: str) -> None:
    assert event_words(event, shown=False) == words
    assert "1010" in event_words(event, shown=True) or "bad_frame" in words
    assert comparable(event_words(event, shown=True)) == words


def test_events_without_secrets() -> None:
    told = [
        event_words(event, shown=False)
        for event in (
            InputChanged(Point("main", "in1"), InputState.ON, 1.0),
            DeviceOnline("r", 1.0, "vendor 1", True),
            DeviceOffline("r", 1.0, "wrong key"),
            TamperChanged("r", True, 1.0),
            DeviceAlarm("r", 1.0, "power failed"),
        )
    ]
    assert told == [
        "input main.in1 on",
        "online r secure vendor 1",
        "offline r wrong key",
        "tamper r on",
        "alarm r power failed",
    ]
    assert comparable(told[2]) == "offline r"


def test_the_page_names_every_kind_of_line() -> None:
    page = (Path(__file__).parents[2] / "docs" / "recording.md").read_text()
    assert [kind for kind in Kind if f"`{kind}`" not in page] == []
