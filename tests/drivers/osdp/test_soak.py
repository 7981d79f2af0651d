"""A minute of everything that goes wrong on a bus, against libosdp's readers, all segments at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.peers.osdp_trial import SEGMENTS, Verdict, complaints

SECONDS = 60.0
SLACK = 1.0
"""Seconds: seven buses, fourteen readers and another test share two processors. ``benchmarks/osdp_faults.py``
gives none."""


@pytest.mark.soak
@pytest.mark.timeout(240)
def test_no_card_is_invented_doubled_or_lost_and_readers_are_back_at_once(tmp_path: Path) -> None:
    async def trial(name: str) -> Verdict:
        folder = tmp_path / name.replace(" ", "-")
        folder.mkdir()
        return await SEGMENTS[name](folder, SECONDS)

    async def together() -> list[Verdict]:
        async with asyncio.TaskGroup() as group:
            trials = [group.create_task(trial(name)) for name in SEGMENTS]
        return [each.result() for each in trials]

    verdicts = asyncio.run(together())
    print(*(verdict.line() for verdict in verdicts), sep="\n")
    assert [f"{verdict.name}: {what}" for verdict in verdicts for what in complaints(verdict, SLACK)] == []
    for verdict in verdicts:
        assert verdict.read > verdict.presented / 4, "the trial itself must have worked"
