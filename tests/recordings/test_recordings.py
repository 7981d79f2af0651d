"""Every recording in this folder, replayed through the machine of its driver: the same events come out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from daemon.cli.replay import events_of
from drivers import recording as form
from drivers.events import CardRead, DeviceEvent, ReadError, ReadFault
from drivers.recording import Kind, Recording, RecordingError, comparable, event_words
from drivers.registry import BUILT_IN

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*.rec"))
KEY = bytes(range(16))
CARD = 0b10110011100011110000111110


def replayed(recording: Recording, key: bytes = KEY, keys: Mapping[str, str] | None = None) -> list[DeviceEvent]:
    return [each.event for each in events_of(recording, dict(keys or {}), lambda reference: key)]


def read(name: str) -> Recording:
    return form.parse([(HERE / f"{name}.rec").read_text()])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recording_gives_the_events_that_it_gave_then(file: Path) -> None:
    recording = form.parse([file.read_text()])
    found = [comparable(event_words(event, shown=False)) for event in replayed(recording)]
    assert found == [comparable(words) for words in recording.events]
    assert len(found) > 3


def test_every_driver_has_a_recording() -> None:
    assert {form.parse([file.read_text()]).driver for file in FILES} == set(BUILT_IN)


@pytest.mark.parametrize("name", ["osdp-clear", "osdp-secure"])
def test_the_card_of_an_osdp_recording_is_the_one_that_was_presented(name: str) -> None:
    events = replayed(read(name))
    (card,) = (event for event in events if isinstance(event, CardRead))
    assert (card.length, card.value) == (26, CARD)
    (late,) = (event for event in events if isinstance(event, ReadError))
    assert (late.fault, late.value) == (ReadFault.QUEUED, CARD)


def test_a_recording_in_clear_tells_the_card_and_one_of_the_channel_does_not() -> None:
    clear, secure = ((HERE / f"osdp-{how}.rec").read_text() for how in ("clear", "secure"))
    assert f"26 bits {CARD:b}\n" in clear
    assert "26 bits\n" in secure
    packed = (CARD << 6).to_bytes(4, "big").hex()
    assert packed in "".join(line.words for line in read("osdp-clear").lines if line.kind is Kind.RECEIVED)
    assert packed not in "".join(line.words for line in read("osdp-secure").lines)


def test_another_key_opens_nothing() -> None:
    with pytest.raises(RecordingError, match=r"handshake that is not|would send"):
        replayed(read("osdp-secure"), bytes(16))


@pytest.mark.parametrize("kind", [Kind.SENT, Kind.COMMAND])
def test_a_recording_that_was_changed_is_noticed(kind: Kind) -> None:
    recording = read("osdp-secure")
    places = [n for n, line in enumerate(recording.lines) if line.kind is kind]
    at = places[0] if kind is Kind.COMMAND else places[len(places) // 2]
    lines = recording.lines[:at] + recording.lines[at + 1 :]
    changed = Recording(recording.driver, recording.bus, recording.devices, lines)
    with pytest.raises(RecordingError, match="would send"):
        replayed(changed)


def test_a_bit_that_was_changed_in_a_secure_recording_is_no_card() -> None:
    recording = read("osdp-secure")
    text = (HERE / "osdp-secure.rec").read_text()
    told = next(line for line in recording.lines if line.kind is Kind.EVENT and line.words.startswith("card"))
    heard = [line for line in recording.lines if line.kind is Kind.RECEIVED and line.at < told.at][-1]
    flipped = bytes([heard.data[0] ^ 1]) + heard.data[1:]
    changed = form.parse([text.replace(heard.text(), heard.text().replace(heard.words, flipped.hex()))])
    events: list[DeviceEvent] = []
    with pytest.raises(RecordingError, match="would send"):
        events.extend(each.event for each in events_of(changed, {}, lambda reference: KEY))
    assert not [event for event in events if isinstance(event, CardRead)]
