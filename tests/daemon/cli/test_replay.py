"""``latchd replay`` as a technician uses it: what it prints, its exit codes, and what it says of a wrong file."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydantic import TypeAdapter

from daemon.cli.latchd import latchd
from daemon.errors import ConfigError
from drivers.cards.formats import built_in_formats
from drivers.cards.tables import CardFormatTable
from drivers.driver import Context
from drivers.events import CardRead, DeviceEvent
from drivers.gpio.settings import WiegandReader
from drivers.gpio.wiegand import DRIVER as WIEGAND
from drivers.gpio.wiegand import WiegandDriver
from drivers.recorder import recordable
from tests.drivers.conformance import eventually
from tests.drivers.gpio.fake_chip import FakeChip

RECORDINGS = Path(__file__).parents[2] / "recordings"
CARD = "10110011100011110000111110"
SITE8 = {
    "length": 16,
    "fields": {"card_number": "15,1-13"},
    "checks": [{"bit": 0, "parity": "odd", "over": "1-13"}],
    "fixed": {"14": 1},
}


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(latchd, ["replay", *map(str, words)], standalone_mode=False)


def test_the_events_come_out_and_no_card_number() -> None:
    result = run(RECORDINGS / "osdp-clear.rec")
    assert result.exit_code == 0
    assert "card lobby 26 bits\n" in result.output
    assert CARD not in result.output
    assert CARD in run("--show-cards", RECORDINGS / "osdp-clear.rec").output
    lines = [json.loads(line) for line in run("--json", RECORDINGS / "sim.rec").output.splitlines()]
    assert [set(line) for line in lines] == [{"at", "event"}] * len(lines)
    assert lines[-1]["event"] == "input main.contact off"


def test_a_key_is_given_under_another_reference(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(bytes(range(16)))
    key.chmod(0o600)
    result = run("--key", f"lobby=file:{key}", RECORDINGS / "osdp-secure.rec")
    assert result.exit_code == 0
    assert "online lobby secure" in result.output


def test_a_key_for_a_reader_that_is_not_there_is_told_in_words() -> None:
    result = run("--key", "yard=env:KEY", RECORDINGS / "osdp-secure.rec")
    assert isinstance(result.exception, ConfigError)
    assert 'no reader "yard" with a key' in str(result.exception)


def test_what_comes_out_otherwise_than_then_is_exit_code_1(tmp_path: Path) -> None:
    text = (RECORDINGS / "gpio.rec").read_text()
    changed = tmp_path / "changed.rec"
    changed.write_text(text.replace("edge 6 1", "edge 6 0").replace("level 6 1", "level 6 0"))
    result = run(changed)
    assert result.exit_code == 1
    assert "event 7: originally recorded: input cabinet.rex on" in result.output


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "this is no recording"),
        ("latchd recording 1\nopen\n", "line 2: expected a time"),
        ("latchd recording 1\n1.000000 open\n", "does not name its driver"),
        ("latchd recording 1\ndriver osdq\nbus null\n", 'no driver "osdq"'),
        ("latchd recording 1\ndriver sim\nbus {}\ndevice a {\n1.000000 open\n", "do not fit this latchd"),
        ("latchd recording 1\ndriver sim\nbus {}\n1.000000 open\n1.000000 gap 3\n", "line 5: 3 lines are missing"),
        ("latchd recording 1\ndriver wiegand\nbus null\n1.000000 open\n", "has 0 devices"),
    ],
)
def test_what_cannot_be_replayed_is_told_in_words(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "a.rec"
    file.write_text(text)
    result = run(file)
    assert isinstance(result.exception, ConfigError)
    assert words in str(result.exception)
    assert "a.rec" in str(result.exception)


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("wiegand", " edge 17 ", " edge 16 ", "line 16, which is none of the reader's"),
        ("osdp-clear", " led lobby ", " led yard ", 'a command for "yard", which is no reader here'),
    ],
)
def test_what_is_not_on_the_bus_is_told_in_words(
    tmp_path: Path, name: str, old: str, new: str, words: str
) -> None:
    """Found by the fuzzer: a KeyError."""
    file = tmp_path / "changed.rec"
    text = (RECORDINGS / f"{name}.rec").read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    result = run(file)
    assert isinstance(result.exception, ConfigError)
    assert words in str(result.exception)


def record_a_card_of_its_own_format(path: Path) -> list[DeviceEvent]:
    """A Wiegand reader with a card format of the site file, recorded."""
    events: list[DeviceEvent] = []
    chip = FakeChip()
    chip.levels.update({17: True, 27: True})
    formats = built_in_formats().extended({"Site8": TypeAdapter(CardFormatTable).validate_json(json.dumps(SITE8))})

    def create(bus: None, devices: Mapping[str, WiegandReader], context: Context) -> WiegandDriver:
        return WiegandDriver(devices, context, chip)

    settings = WiegandReader(
        chip=chip.path, d0=17, d1=27, formats=("site8", "H10301"), record=str(path), record_cleartext=True
    )
    context = Context(events.append, time.monotonic, lambda reference: b"", formats)
    driver = recordable(replace(WIEGAND, create=create)).create(None, {"yard": settings}, context)

    async def body() -> None:
        task = asyncio.create_task(driver.run())
        await eventually(lambda: events)
        chip.pulse_bits(17, 27, f"{formats.encode('Site8', None, 4711)[1]:016b}")
        await eventually(lambda: len(events) > 1)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(body())
    return events


def test_a_card_format_of_the_site_file_comes_along(tmp_path: Path) -> None:
    path = tmp_path / "yard.rec"
    assert isinstance(record_a_card_of_its_own_format(path)[1], CardRead)
    assert path.read_text().count("\nformat ") == 1, "only what latchd does not bring with it"
    assert run(path).exit_code == 0
    without = tmp_path / "without.rec"
    without.write_text("\n".join(row for row in path.read_text().splitlines() if not row.startswith("format ")))
    result = run(without)
    assert isinstance(result.exception, ConfigError)
    assert 'no card format "site8"' in str(result.exception)


def test_a_recording_whose_clock_goes_back_is_read_to_its_end(tmp_path: Path) -> None:
    """Found by the fuzzer: an OverflowError."""
    file = tmp_path / "changed.rec"
    rows = (RECORDINGS / "osdp-secure.rec").read_text().splitlines(keepends=True)
    answer = next(at for at, row in enumerate(rows) if row.endswith(" rx 2b00\n"))
    rows[answer] = f"846{rows[answer][rows[answer].index('.') :]}"
    file.write_text("".join(rows[:27]))
    key = tmp_path / "key"
    key.write_bytes(bytes(range(16)))
    key.chmod(0o600)
    result = run("--key", f"lobby=file:{key}", file)
    assert result.exception is None or isinstance(result.exception, ConfigError | SystemExit)
