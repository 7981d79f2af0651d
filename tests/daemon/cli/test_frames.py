"""``latchd replay --decode`` and ``--pcap`` as a technician uses them."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from daemon.cli.latchd import latchd
from daemon.errors import ConfigError

RECORDINGS = Path(__file__).parents[2] / "recordings"
CARD = "10110011100011110000111110"
PACKED = (int(CARD, 2) << 6).to_bytes(4, "big")


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(latchd, ["replay", *map(str, words)], standalone_mode=False)


def test_the_frames_come_out_in_words_and_no_card_number() -> None:
    result = run("--decode", RECORDINGS / "osdp-clear.rec")
    assert result.exit_code == 0
    assert result.output.startswith("5844.004680 the port was opened\n5844.006976 -> 0 seq 0 ID\n")
    assert " RAW 8 bytes not shown\n" in result.output
    assert CARD not in result.output
    lines = [
        json.loads(line) for line in run("--decode", "--json", RECORDINGS / "osdp-clear.rec").output.splitlines()
    ]
    assert [set(line) for line in lines] == [{"at", "frame"}] * len(lines)
    assert len(lines) == len(result.output.splitlines())


def test_no_key_is_needed() -> None:
    result = run("--decode", RECORDINGS / "osdp-secure.rec")
    assert result.exit_code == 0
    assert "bytes encrypted [SCS_18]" in result.output


def test_a_file_for_wireshark_is_for_its_owner_only_and_holds_no_card(tmp_path: Path) -> None:
    file = tmp_path / "out.pcapng"
    result = run("--pcap", file, RECORDINGS / "osdp-clear.rec")
    assert result.exit_code == 0
    assert "is blanked; --show-cards writes it" in result.output
    assert file.stat().st_mode & 0o777 == 0o600
    assert PACKED not in file.read_bytes()
    again = run("--pcap", file, RECORDINGS / "osdp-clear.rec")
    assert isinstance(again.exception, click.ClickException)
    assert "already exists" in again.exception.message


def test_cards_are_written_when_asked_for_and_still_not_printed(tmp_path: Path) -> None:
    file = tmp_path / "out.pcapng"
    result = run("--decode", "--show-cards", "--pcap", file, RECORDINGS / "osdp-clear.rec")
    assert result.exit_code == 0
    assert "in clear: delete it when it has served" in result.output
    assert PACKED in file.read_bytes()
    assert CARD not in result.output
    assert PACKED.hex() not in result.output
    refused = run("--decode", "--show-cards", RECORDINGS / "osdp-clear.rec")
    assert isinstance(refused.exception, click.UsageError)


def test_where_a_file_cannot_be_the_error_says_so(tmp_path: Path) -> None:
    result = run("--pcap", tmp_path / "none" / "out.pcapng", RECORDINGS / "osdp-clear.rec")
    assert isinstance(result.exception, click.ClickException)
    assert "cannot be created: No such file" in result.exception.message


@pytest.mark.parametrize("name", ["gpio", "modbus-rtu-noise", "wiegand"])
def test_another_driver_has_no_frames_to_decode(name: str) -> None:
    result = run("--decode", RECORDINGS / f"{name}.rec")
    assert isinstance(result.exception, ConfigError)
    assert 'has no frames to decode, only "osdp" has' in str(result.exception)


def test_a_recording_of_an_unknown_driver_is_told_in_words(tmp_path: Path) -> None:
    file = tmp_path / "a.rec"
    file.write_text("latchd recording 1\ndriver osdq\nbus null\n")
    result = run("--decode", file)
    assert isinstance(result.exception, ConfigError)
    assert 'no driver "osdq"' in str(result.exception)
