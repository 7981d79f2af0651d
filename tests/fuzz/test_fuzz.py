"""A short, repeatable piece of ``make fuzz`` for every harness, and proof that the harnesses find faults."""

from __future__ import annotations

import platform
import random

import pytest

from drivers.osdp import frame
from drivers.osdp.frame import encode
from drivers.wiegand import frame as wiegand_frame
from tests.fuzz.__main__ import guided
from tests.fuzz.engine import FoundError, Harness, Odds, mutated, run
from tests.fuzz.harnesses import HARNESSES
from tests.fuzz.modbus import ModbusTcp
from tests.fuzz.osdp_frame import OsdpFrame
from tests.fuzz.osdp_session import OsdpSecure
from tests.fuzz.texts import ControlLine, SiteFile
from tests.fuzz.wiegand import WiegandEdges

SLICE = {"site-file": 25, "modbus-boards": 300, "osdp-clear": 1500, "osdp-secure": 1500, "recording": 300}
"""Frames of the slow ones; the others get a thousand."""


@pytest.mark.parametrize("kind", HARNESSES, ids=lambda kind: kind.name)
def test_the_invariant_holds(kind: type[Harness]) -> None:
    harness = kind()
    assert run(harness, SLICE.get(harness.name, 1000), seed=1) > 0
    for what, odds in harness.odds.items():
        assert odds.plausible, (what, odds)


def test_the_shares_of_the_wires_are_a_hundred() -> None:
    assert sum(kind.share for kind in HARNESSES) == 100


def test_mutants_are_repeatable_and_bounded() -> None:
    corpus = [b"abc", bytes(3000)]
    first = [mutated(corpus[n % 2], corpus, random.Random(n)) for n in range(200)]
    assert first == [mutated(corpus[n % 2], corpus, random.Random(n)) for n in range(200)]
    assert max(map(len, first)) <= 2048
    assert len({each for each in first if len(each) < 100}) > 50


def test_odds_notice_too_much() -> None:
    assert Odds(1 / 16, tried=1600, passed=110).plausible
    assert not Odds(1 / 16, tried=1600, passed=160).plausible
    assert not Odds(2**-32, tried=1000, passed=2).plausible


# ------------------------------------------------------------------ a planted fault is found


def found(kind: type[Harness], frames: int = 3000) -> str:
    with pytest.raises(FoundError) as finding:
        run(kind(), frames, seed=1)
    return str(finding.value)


def test_a_reader_that_does_not_look_at_the_check_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    good = frame.decode

    def blind(raw: bytes) -> object:
        mended = raw[:-2] + frame.crc16(raw[:-2]).to_bytes(2, "little") if raw[4] & 4 else raw
        return good(mended)

    monkeypatch.setattr(frame, "decode", blind)
    assert "--only osdp-frame --input" in found(OsdpFrame)


def test_a_channel_that_does_not_look_at_the_mac_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.osdp.secure.compare_digest", lambda left, right: len(left) == 4 or left == right)
    assert "AssertionError" in found(OsdpSecure, 20_000)


def test_a_line_that_takes_any_transaction_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def deaf(self: object, data: bytes, request: object) -> object:
        return original(self, b"\0\1" + data[2:], request)  # type: ignore[arg-type]  # as it was called

    original = ModbusTcp.framing.extract
    monkeypatch.setattr(ModbusTcp.framing, "extract", deaf)
    assert "AssertionError" in found(ModbusTcp)


def test_a_decoder_that_does_not_sort_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiegand_frame, "_fault", lambda group, expected: "")
    assert "AssertionError" in found(WiegandEdges)


def test_text_that_breaks_a_parser_s_stack_is_refused() -> None:
    """Found here first: each of these once ended in a RecursionError or a TypeError."""
    for data in (b"\xff", b"5", b"null", b'{"end": "error", "message": "no", "exit_code": "x"}'):
        assert ControlLine().feed(data) == 1
    assert SiteFile().feed(b"a = " + b"[" * 20_000) == 1


@pytest.mark.soak
@pytest.mark.skipif(platform.machine() != "x86_64", reason="atheris has wheels for x86-64 only")
def test_coverage_guides_a_harness(capsys: pytest.CaptureFixture[str]) -> None:
    assert guided([OsdpFrame], seconds=2, seed=1)
    (line,) = capsys.readouterr().out.splitlines()
    assert int(line.split()[1].replace(",", "")) > 100, line


def test_a_whole_frame_is_counted_once() -> None:
    assert OsdpFrame().feed(encode(0, 1, 0x60)) == 1
